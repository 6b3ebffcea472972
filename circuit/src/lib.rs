//! The circuit file: everything that the compiler hands to the runtime, and the frame that all files share.
//!
//! * [`Circuit`] is a compiled network: program, parameters, weights, predictions. The server has it.
//! * [`ClientPart`] is the part of it that makes keys, encrypts and decrypts. It holds no weights and no program.
//! * [`container`] frames every file: kind, version, owner, checksums, one section at a time.
//!
//! The same circuit always gives the same bytes, and a reader accepts only the bytes that the writer would write:
//! what decodes is within the limits of [`limits`], has passed the IR's verifier, and keeps the security it records.
//!
//! ```
//! # use std::sync::Arc;
//! # use paf_ir::ckks::{CkksProgram, Level, Op};
//! # use paf_scheme::{Parameters, Secret, Work};
//! # use paf_ir::program::{InputPort, InputScaling, OutputPort};
//! # use paf_ir::{Layout, Shape};
//! use paf_circuit::{Circuit, Model, Prediction, read_circuit, read_client_or_circuit, write_circuit};
//! # let shape = Shape(vec![4]);
//! # let layout = Layout::dense(4, 8);
//! # let input = InputPort { name: "x".into(), shape: shape.clone(), layout: layout.clone(), scaling: InputScaling::shared(1.0, (-1.0, 1.0)) };
//! # let mut program = CkksProgram::new(8, vec![], vec![input]);
//! # let x = program.push("x", Op::Input { port: 0, level: Level(1) })?;
//! # let product = program.push("square", Op::Mul(x, x))?;
//! # let product = program.push("square", Op::Relinearize(product))?;
//! # let value = program.push("square", Op::Rescale(product))?;
//! # program.outputs.push(OutputPort { name: "y".into(), value, shape, layout, scale: 1.0 });
//! # let parameters = Parameters {
//! #     ring_dimension: 16, slots: 8, levels: Level(1), scale_bits: 40, first_modulus_bits: 60, digits: 1,
//! #     special_primes: 2, secret: Secret::UniformTernary, bootstrap: None, log_qp: 220, security_bits: 0,
//! # };
//! # let model = Model { name: "square".into(), source_sha256: [0; 32], compiler: "0.1.0".into(), pafs: vec![], notes: vec![], fidelity: None };
//! # let prediction = Prediction { peak_bytes: 1 << 20, seconds: 0.1, precision_bits: 30.0, work: Work::default(), machine: String::new(), key_memory: 0 };
//! let circuit = Circuit { model, parameters, program: program.verify()?, prediction };
//! # let folder = tempfile::tempdir()?;
//! let path = folder.path().join("circuit.bin");
//! write_circuit(&path, &circuit)?;
//! assert_eq!(read_circuit(&path)?, circuit);
//! assert_eq!(read_client_or_circuit(&path)?, circuit.client());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod container;
mod decode;
mod encode;
mod error;
mod files;
pub mod limits;
mod machine_costs;
mod schema;
mod tables;

use std::collections::BTreeMap;
use std::fmt;

use paf_files::hex;
use paf_ir::ckks::{CkksProgram, Level, Op, Verified};
use paf_ir::client::ClientProgram;
use paf_ir::program::{InputPort, OutputPort};
use paf_scheme::{Counts, Parameters, Work, bootstrap_slots, merge_levels, relinearization_level, rotation_levels};

pub use error::CircuitError;
pub use files::{
    decode_circuit, decode_client, encode_circuit, encode_client, read_circuit, read_circuit_from, read_client,
    read_client_or_circuit, read_client_or_circuit_from, write_circuit, write_circuit_to, write_client,
    write_client_to,
};
pub use machine_costs::{read_machine_costs, write_machine_costs};

/// A compiled network.
#[derive(Debug, Clone, PartialEq)]
pub struct Circuit {
    /// Where it comes from.
    pub model: Model,
    /// Parameters of the encryption scheme.
    pub parameters: Parameters,
    /// What to compute.
    pub program: Verified,
    /// What a run is expected to cost and give.
    pub prediction: Prediction,
}

/// Where a circuit comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// File stem of the ONNX file.
    pub name: String,
    /// SHA-256 of the ONNX file.
    pub source_sha256: [u8; 32],
    /// Version of the compiler.
    pub compiler: String,
    /// The polynomial of each replaced operator.
    pub pafs: Vec<ReplacedNode>,
    /// Warnings of the compiler that users of the circuit should know.
    pub notes: Vec<String>,
    /// How well the polynomial network predicts as the original one, where that was measured.
    pub fidelity: Option<Fidelity>,
}

/// How well a polynomial network predicts as the original one, on calibration samples that nothing was fitted to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fidelity {
    /// The share of these samples with the same prediction.
    pub same: f64,
    /// How many samples that rests on.
    pub samples: u64,
    /// Those of them that left a scale.
    pub outside: u64,
    /// The share that is expected of poorer samples.
    pub expected: f64,
}

impl fmt::Display for Fidelity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fidelity { same, samples, outside, expected } = self;
        write!(
            f,
            "{:.1} % of {samples} samples predicted as by the model, {outside} outside of the scales; about {:.1} % of poorer \
             ones",
            100.0 * same,
            100.0 * expected
        )
    }
}

/// The polynomial approximated function that replaced one operator.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplacedNode {
    /// The ONNX node.
    pub node: String,
    /// `Relu` or `MaxPool`.
    pub operator: String,
    /// Name of the function, as `--paf` takes it.
    pub paf: String,
    /// The static scale S: the operator is approximated on [−S, S].
    pub scale: f64,
    /// Largest absolute error of the operator on its range.
    pub max_error: f64,
}

/// What the compiler expects of one evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Peak memory of the server in bytes.
    pub peak_bytes: u64,
    /// Time of one evaluation in seconds.
    pub seconds: f64,
    /// Precision of the result in bits, against the same circuit in the clear.
    pub precision_bits: f64,
    /// What the seconds are made of: seconds on the reference machine by kind. Empty where it is not known.
    pub work: Work,
    /// The machine that the seconds are for; empty for the reference machine.
    pub machine: String,
    /// Bytes of evaluation keys that are in memory at a time, the others being read from their file when they are
    /// needed; 0 for all of them.
    pub key_memory: u64,
}

/// The client's part of a circuit.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientPart {
    /// Parameters of the encryption scheme.
    pub parameters: Parameters,
    /// Exactly the rotations that need a key, slots to the left, each with the highest level it is used at; those
    /// inside of bootstraps follow from the parameters.
    pub rotations: BTreeMap<i64, Level>,
    /// The slots of all bootstraps, ascending, each count once.
    pub bootstrap_slots: Vec<usize>,
    /// The highest level of a relinearization, if there is one; a bootstrap needs all levels.
    pub relinearization: Option<Level>,
    /// Inputs in order.
    pub inputs: Vec<InputPort>,
    /// Results in order; `value` is the level of the result's ciphertexts.
    pub outputs: Vec<OutputPort<Level>>,
    /// What the client computes from the results.
    pub program: ClientProgram,
    /// Level that each input is encrypted at.
    pub input_levels: Vec<Level>,
    /// What keys and ciphertexts are bound to.
    pub fingerprint: Fingerprint,
    /// File stem of the ONNX file.
    pub model_name: String,
    /// Precision of the result in bits, as the compiler predicts it.
    pub precision_bits: f64,
}

/// SHA-256 of the canonical encoding of the client's part of a circuit, model name left out.
///
/// Circuits that the same keys fit have the same fingerprint: it does not depend on the weights.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl ClientPart {
    /// Every rotation key, those of bootstraps included, with the highest level of its use.
    pub fn rotation_keys(&self) -> BTreeMap<i64, Level> {
        let mut keys = self.parameters.bootstrap_rotations(&self.bootstrap_slots);
        merge_levels(&mut keys, self.rotations.clone());
        keys
    }

    /// Bytes of all evaluation keys, each as long as the highest level of its use needs.
    pub fn evaluation_key_bytes(&self) -> u64 {
        let levels = self.rotation_keys().into_values().chain(self.relinearization);
        let whole = if self.bootstrap_slots.is_empty() { 0 } else { self.parameters.refresh_key_bytes() };
        levels.map(|level| self.parameters.evaluation_key_bytes_at(level)).sum::<u64>() + whole
    }
}

impl Circuit {
    /// The client's part.
    pub fn client(&self) -> ClientPart {
        let mut client = ClientPart {
            parameters: self.parameters.clone(),
            rotations: rotation_levels(&self.program),
            relinearization: relinearization_level(&self.program, &self.parameters),
            bootstrap_slots: bootstrap_slots(&self.program),
            inputs: self.program.inputs.clone(),
            outputs: self.program.outputs.iter().map(|port| output_at_level(&self.program, port)).collect(),
            program: self.program.client.clone(),
            input_levels: input_levels(&self.program),
            fingerprint: Fingerprint::default(),
            model_name: self.model.name.clone(),
            precision_bits: self.prediction.precision_bits,
        };
        client.fingerprint = encode::fingerprint(&client);
        client
    }

    /// The level that each input is encrypted at.
    pub fn input_levels(&self) -> Vec<Level> {
        input_levels(&self.program)
    }

    /// What keys and ciphertexts of the circuit are bound to.
    pub fn fingerprint(&self) -> Fingerprint {
        self.client().fingerprint
    }

    /// Operation counts of one evaluation; expands linear maps of several ciphertexts.
    pub fn counts(&self) -> Counts {
        Counts::of(&self.program)
    }
}

/// The level of each input port; 0 for one that nothing reads, which no reader accepts.
fn input_levels(program: &CkksProgram) -> Vec<Level> {
    let mut levels = vec![Level(0); program.inputs.len()];
    for (_, value) in program.values() {
        if let Op::Input { port, level } = value.op {
            levels[port as usize] = level;
        }
    }
    levels
}

fn output_at_level(program: &CkksProgram, port: &OutputPort) -> OutputPort<Level> {
    OutputPort {
        name: port.name.clone(),
        value: program.value(port.value).ty.level,
        shape: port.shape.clone(),
        layout: port.layout.clone(),
        scale: port.scale,
    }
}
