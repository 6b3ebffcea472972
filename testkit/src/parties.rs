//! A circuit run in one process: on the clear engine, and encrypted by both parties.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use paf_circuit::Circuit;
use paf_engine::Engine as _;
use paf_engine_openfhe::{OpenFheEngine, machine};
use paf_ir::program::InputPort;
use paf_ir::tensor::Tensor;
use paf_runtime::npy::Array;
use paf_runtime::{
    Client, ClientOutput, InsecureTestParameters, LocalKeys, Noise, Samples, Server, result_bits, simulate,
};

/// Contexts and evaluation keys are process-wide in OpenFHE, and large: tests that use them take turns.
pub fn exclusive() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// OpenFHE as `paf-run` sets it up: all cores, and an allocator that keeps its pages.
///
/// # Panics
/// If `PAF_KERNELS` names what this machine does not have.
pub fn set_up_openfhe() {
    machine::set_up().expect("PAF_KERNELS names what this machine has");
}

/// Inputs of a circuit with one input.
///
/// # Panics
/// If they do not fit.
pub fn samples_of(circuit: &Circuit, inputs: Tensor) -> Samples {
    samples_of_ports(&circuit.program.inputs, vec![inputs])
}

/// Inputs of ports, one array each.
///
/// # Panics
/// If they do not fit.
pub fn samples_of_ports(ports: &[InputPort], inputs: Vec<Tensor>) -> Samples {
    let arrays = inputs.into_iter().map(|Tensor { shape, data }| Array { shape, data }).collect();
    Samples::new(ports, arrays, None).expect("the inputs fit the ports")
}

/// The outputs of every sample on the clear engine.
///
/// # Panics
/// If the circuit does not run.
pub fn clear_outputs(circuit: &Circuit, samples: &Samples) -> Vec<ClientOutput> {
    simulate(circuit, samples, Noise::Off).expect("the circuit runs")
}

/// The share of right predictions, in percent.
///
/// # Panics
/// If there are not as many labels as outputs.
pub fn accuracy(outputs: &[ClientOutput], labels: &[usize]) -> f64 {
    assert_eq!(outputs.len(), labels.len());
    let right = outputs.iter().zip(labels).filter(|(output, label)| output.top1() == **label).count();
    100.0 * right as f64 / labels.len() as f64
}

/// Client and server of a circuit with all keys.
pub struct Parties {
    /// Encrypts and decrypts.
    pub client: Client<OpenFheEngine>,
    /// Evaluates.
    pub server: Server<OpenFheEngine>,
    /// The keys of both.
    pub keys: LocalKeys<OpenFheEngine>,
}

impl Parties {
    /// Makes the keys and prepares the server.
    ///
    /// # Panics
    /// If a step fails.
    pub fn new(circuit: &Arc<Circuit>) -> Self {
        set_up_openfhe();
        let client =
            Client::new(circuit.client(), InsecureTestParameters::Allow).expect("OpenFHE takes the parameters");
        let server = Server::with_engine(Arc::clone(circuit), Arc::clone(client.engine()));
        let mut server = server.expect("a circuit for the openfhe engine");
        server.prepare(OpenFheEngine::PROFILE.memory.prepared_bytes, &mut |_, _| {}).expect("plaintexts");
        let keys = LocalKeys::make(&client, &server, 0, &mut |_, _| {}).expect("keys");
        Parties { client, server, keys }
    }

    /// The outputs of one sample, encrypted, evaluated and decrypted.
    ///
    /// # Panics
    /// If a step fails.
    pub fn infer(&self, samples: &Samples, sample: usize) -> ClientOutput {
        let inputs = self.client.encrypt(&self.keys.public, samples, sample).expect("encryption");
        let results = self.server.evaluate(&self.keys.evaluation, inputs, &mut |_| {}).expect("evaluation");
        self.client.decrypt(&self.keys.secret, sample, &results).expect("decryption")
    }
}

/// Bits of the first samples, encrypted, lie about those that were predicted: no sample has fewer by more than two, and on average
/// they have no more than four more.
///
/// # Panics
/// If they do not.
pub fn assert_bits(circuit: &Circuit, samples: &Samples, count: usize, what: &str) {
    let _turn = exclusive();
    let (clear, predicted) = (clear_outputs(circuit, samples), circuit.prediction.precision_bits);
    let parties = Parties::new(&Arc::new(circuit.clone()));
    let bits: Vec<f64> = (0..count)
        .map(|sample| {
            let encrypted = parties.infer(samples, sample).ports.concat();
            result_bits(&circuit.program.outputs, &encrypted, &clear[sample].ports.concat())
        })
        .collect();
    let (least, mean) = (bits.iter().copied().fold(f64::INFINITY, f64::min), bits.iter().sum::<f64>() / count as f64);
    println!("{what}: least {least:.1}, mean {mean:.1}, predicted {predicted:.1}");
    assert!(least >= predicted - 2.0 && mean <= predicted + 4.0, "{what}: {least:.1}, {mean:.1} of {predicted:.1}");
}
