//! Neural networks on encrypted data, as a library: bytes and streams in, bytes and streams out.
//!
//! [`compile`] turns an ONNX model into a [`Circuit`]. A [`Client`] makes keys, encrypts and decrypts; a [`Server`] evaluates
//! the circuit on ciphertexts with the keys of one client or another. Nothing here takes a path, prints, or changes a
//! setting of the process; a program that wants all of its machine calls [`machine::set_up`] first. What takes long has an
//! observer that can stop it, and everything can be called from any thread.
//!
//! ```
//! use paf::{Array, Circuit, Client, CompileOptions, InsecureTestParameters, PortShape as _, Samples, Server};
//!
//! # fn main() -> Result<(), paf::NoSuchPaf> {
//! # let model = include_bytes!("../../testdata/digits_mlp.onnx").to_vec();
//! // The vendor compiles the model. These parameters are fast and protect nothing: leave the option out, and let both sides
//! // refuse such circuits.
//! let options = CompileOptions { insecure: true, ..paf::options("digits", model) };
//! let insecure = InsecureTestParameters::Allow;
//! let circuit = paf::compile(options)?;
//! let for_the_client = circuit.client_bytes()?;
//!
//! // The client makes keys and encrypts an image of 64 pixels.
//! let client = Client::read(&for_the_client[..], insecure)?;
//! let (secret, public) = client.generate_pair()?;
//! let (mut server_key, mut inputs) = (Vec::new(), Vec::new());
//! client.generate_keys_to(&secret, &public, &mut server_key, &mut |_, _| {})?;
//! let image = Array { shape: client.inputs()[0].batch_of(1), data: vec![0.5; 64] };
//! let samples = Samples::new(client.inputs(), vec![image], None)?;
//! client.encrypt_to(&public, &samples, &mut inputs, &mut |_, _| {})?;
//!
//! // The server evaluates, and sees neither the image nor the result.
//! let server = Server::new(Circuit::from_bytes(&circuit.to_bytes()?)?.shared(), insecure)?;
//! let keys = server.read_keys(&server_key[..], &mut |_, _| {})?;
//! let mut results = Vec::new();
//! server.evaluate_stream(&keys, &inputs[..], &mut results, &mut |_, _| {})?;
//!
//! let outputs = client.decrypt_from(&secret, &results[..], &mut |_, _| {})?.samples.remove(0)?;
//! let clear = circuit.simulate(&samples)?;
//! assert_eq!(outputs.top1(), clear[0].top1());
//! # Ok(())
//! # }
//! ```

use std::io::{Read, Write};
use std::sync::Arc;

use paf_compiler::error::CompileError;
pub use paf_compiler::options::CompileOptions;
use paf_compiler::options::ModelInput;
use paf_compiler::pipeline::Compilation;
use paf_engine::EngineError;
pub use paf_engine_openfhe::{OpenFheEngine, machine};
use paf_import::ModelSource;
use paf_ir::program::InputPort;
use paf_ir::tensor::Shape;
use paf_runtime::Noise;
pub use paf_runtime::npy::Array;
pub use paf_runtime::{ClientOutput, InsecureTestParameters, RuntimeError, Samples};

/// The client's side of a circuit.
pub type Client = paf_runtime::Client<OpenFheEngine>;
/// The server's side of a circuit.
pub type Server = paf_runtime::Server<OpenFheEngine>;
/// Decrypts.
pub type SecretKey = paf_runtime::SecretKey<OpenFheEngine>;
/// Encrypts.
pub type PublicKey = paf_runtime::PublicKey<OpenFheEngine>;
/// What a server evaluates with, for one client.
pub type EvaluationKeys = paf_runtime::EvaluationKeys<OpenFheEngine>;

/// Why the library did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum NoSuchPaf {
    /// A model could not be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// A circuit could not be read or run.
    #[error(transparent)]
    Run(#[from] RuntimeError),
}

impl From<paf_circuit::CircuitError> for NoSuchPaf {
    fn from(error: paf_circuit::CircuitError) -> Self {
        NoSuchPaf::Run(error.into())
    }
}

impl From<EngineError> for NoSuchPaf {
    fn from(error: EngineError) -> Self {
        NoSuchPaf::Run(error.into())
    }
}

/// Default options for the ONNX model in some bytes; messages and circuit call it `name`.
pub fn options(name: &str, model: Vec<u8>) -> CompileOptions {
    CompileOptions::new(ModelInput::Source(ModelSource::from_bytes(name, model)))
}

/// Compiles a model.
///
/// # Errors
/// [`NoSuchPaf::Compile`]; [`NoSuchPaf::Run`] in a process that was forked from one that had used the library.
pub fn compile(options: CompileOptions) -> Result<Circuit, NoSuchPaf> {
    paf_engine::check_process()?;
    Ok(Circuit(Arc::new(Compilation::new(options)?.finish()?.circuit)))
}

/// A compiled network.
#[derive(Debug, Clone, PartialEq)]
pub struct Circuit(Arc<paf_circuit::Circuit>);

impl Circuit {
    /// Reads what a circuit file holds, to the end of the stream.
    ///
    /// # Errors
    /// [`NoSuchPaf::Run`] for what is damaged.
    pub fn read(stream: impl Read) -> Result<Self, NoSuchPaf> {
        Ok(Circuit(Arc::new(paf_circuit::read_circuit_from(stream)?)))
    }

    /// A circuit from the bytes of its file.
    ///
    /// # Errors
    /// Those of [`Circuit::read`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NoSuchPaf> {
        Circuit::read(bytes)
    }

    /// Writes what a circuit file holds: weights and program, for the server.
    ///
    /// # Errors
    /// [`NoSuchPaf::Run`] if the sink refuses.
    pub fn write(&self, out: impl Write) -> Result<(), NoSuchPaf> {
        Ok(paf_circuit::write_circuit_to(out, &self.0)?)
    }

    /// The bytes of the circuit's file.
    ///
    /// # Errors
    /// Those of [`Circuit::write`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, NoSuchPaf> {
        let mut bytes = Vec::new();
        self.write(&mut bytes)?;
        Ok(bytes)
    }

    /// The bytes of the client's part: no weights, no program.
    ///
    /// # Errors
    /// [`NoSuchPaf::Run`].
    pub fn client_bytes(&self) -> Result<Vec<u8>, NoSuchPaf> {
        let mut bytes = Vec::new();
        paf_circuit::write_client_to(&mut bytes, &self.0.client())?;
        Ok(bytes)
    }

    /// Runs the circuit on plain numbers: the outputs of every sample.
    ///
    /// # Errors
    /// [`NoSuchPaf::Run`].
    pub fn simulate(&self, samples: &Samples) -> Result<Vec<ClientOutput>, NoSuchPaf> {
        Ok(paf_runtime::simulate(&self.0, samples, Noise::Off)?)
    }

    /// The circuit itself, for a [`Server`].
    pub fn shared(&self) -> Arc<paf_circuit::Circuit> {
        Arc::clone(&self.0)
    }
}

/// Shapes of inputs.
pub trait PortShape {
    /// The shape of an array of so many samples.
    fn batch_of(&self, samples: usize) -> Shape;
}

impl PortShape for InputPort {
    fn batch_of(&self, samples: usize) -> Shape {
        Shape([&[samples], &self.shape.0[..]].concat())
    }
}
