//! What the tests and the benchmark of whole compilations share: files, compilation, runs on both engines.

#![allow(dead_code, reason = "each binary uses a part")]

pub(crate) mod agreement;
pub(crate) mod bench;
pub(crate) mod mnist;
pub(crate) mod zoo;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use ndarray::{ArrayD, IxDyn};
use ndarray_npy::{WritableElement, read_npy, write_npy};
use paf_circuit::Circuit;
use paf_compiler::options::CompileOptions;
use paf_compiler::pipeline::{Compiled, compile};
use paf_engine::Engine as _;
use paf_engine_openfhe::{OpenFheEngine, machine};
use paf_ir::tensor::Shape;
use paf_runtime::npy::Array;
use paf_runtime::{Client, LocalKeys, Noise, Output, Samples, Server, simulate};

/// Contexts and evaluation keys are process-wide in OpenFHE, and large: tests that use them take turns.
pub(crate) fn exclusive() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// OpenFHE as `paf-run` sets it up: all cores, and an allocator that keeps its pages.
pub(crate) fn set_up_openfhe() {
    machine::set_up().expect("PAF_KERNELS names what this machine has");
}

pub(crate) fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata").join(name)
}

/// Networks and images that are not part of the repository; `PAF_SHARED` names the folder that holds `data`, by default
/// the one beside the workspace. Without it, says that it skips.
pub(crate) fn shared_data() -> Option<PathBuf> {
    let folder = std::env::var_os("PAF_SHARED").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared")).join("data");
    if folder.join("mnist").is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: `{}` holds no MNIST; set PAF_SHARED", folder.display());
    None
}

/// An `.npy` file of float32 or int64.
pub(crate) fn read_array(path: &Path) -> Array {
    let array: ArrayD<f64> = match read_npy::<_, ArrayD<f32>>(path) {
        Ok(array) => array.mapv(f64::from),
        Err(_) => read_npy::<_, ArrayD<i64>>(path).expect("an array of f32 or i64").mapv(|value| value as f64),
    };
    Array { shape: Shape(array.shape().to_vec()), data: array.into_iter().collect() }
}

pub(crate) fn write_array<T: WritableElement>(path: &Path, shape: &[usize], data: Vec<T>) {
    write_npy(path, &ArrayD::from_shape_vec(IxDyn(shape), data).expect("the shape fits")).expect("a writable folder");
}

/// Compiles, or fails with the compiler's message.
pub(crate) fn compiled(options: &CompileOptions) -> Compiled {
    compile(options).unwrap_or_else(|error| panic!("{}: {error}", options.model.origin().display()))
}

/// Inputs of a circuit with one input.
pub(crate) fn samples_of(circuit: &Circuit, array: Array) -> Samples {
    Samples::new(&circuit.program.inputs, vec![array], None).expect("the inputs fit the circuit")
}

/// The first output of every sample on the clear engine.
pub(crate) fn clear_outputs(circuit: &Circuit, samples: &Samples) -> Vec<Output> {
    let outputs = simulate(circuit, samples, Noise::Off).expect("the circuit runs");
    outputs.into_iter().map(|mut outputs| outputs.remove(0)).collect()
}

/// The share of right predictions, in percent.
pub(crate) fn accuracy(outputs: &[Output], labels: &[usize]) -> f64 {
    assert_eq!(outputs.len(), labels.len());
    let right = outputs.iter().zip(labels).filter(|(output, label)| output.top1() == **label).count();
    100.0 * right as f64 / labels.len() as f64
}

/// Client and server of a circuit with all keys, in one process.
pub(crate) struct Parties {
    pub(crate) client: Client<OpenFheEngine>,
    pub(crate) server: Server<OpenFheEngine>,
    pub(crate) keys: LocalKeys<OpenFheEngine>,
}

impl Parties {
    pub(crate) fn new(circuit: &Arc<Circuit>) -> Self {
        set_up_openfhe();
        let client = Client::new(circuit.client()).expect("OpenFHE takes the parameters");
        let server = Server::with_engine(Arc::clone(circuit), Arc::clone(client.engine()));
        let mut server = server.expect("a circuit for the openfhe engine");
        server.prepare(OpenFheEngine::PROFILE.memory.prepared_bytes, &mut |_, _| {}).expect("plaintexts");
        let keys = LocalKeys::make(&client, &server, 0, &mut |_, _| {}).expect("keys");
        Parties { client, server, keys }
    }

    /// The outputs of one sample, encrypted, evaluated and decrypted.
    pub(crate) fn outputs(&self, samples: &Samples, sample: usize) -> Vec<Output> {
        let inputs = self.client.encrypt(&self.keys.public, samples, sample).expect("encryption");
        let results = self.server.evaluate(&self.keys.evaluation, inputs, &mut |_| {}).expect("evaluation");
        self.client.decrypt(&self.keys.secret, sample, &results).expect("decryption")
    }

    /// The first output of one sample, encrypted, evaluated and decrypted.
    pub(crate) fn infer(&self, samples: &Samples, sample: usize) -> Output {
        self.outputs(samples, sample).remove(0)
    }
}
