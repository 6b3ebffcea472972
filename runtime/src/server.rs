//! The server: evaluates a circuit on ciphertexts. It holds evaluation keys, never a secret key.

use std::path::Path;
use std::sync::Arc;

use paf_circuit::{Circuit, read_circuit};
use paf_ir::ckks::Op;

use crate::ciphertexts::{CiphertextReader, CiphertextWriter, PortType, Role};
use crate::engine::Result;
use crate::executor::{Evaluation, Step};
use crate::keys::EvaluationKeys;
use crate::openfhe::{Ciphertext, OpenFheEngine, Scheme};

/// Bytes of plaintexts that are encoded ahead for a circuit without bootstraps unless a caller says otherwise.
pub const DEFAULT_PREPARE_BUDGET: u64 = 4 << 30;

/// The server's side of one circuit.
///
/// ```no_run
/// use std::path::Path;
/// use paf_runtime::{DEFAULT_PREPARE_BUDGET, Server};
/// # fn main() -> Result<(), paf_runtime::RuntimeError> {
/// let mut server = Server::load(Path::new("circuit.bin"), Path::new("server.key"), &mut |_, _| {})?;
/// server.prepare(DEFAULT_PREPARE_BUDGET, &mut |_, _| {})?;
/// server.evaluate_file(Path::new("x.ct"), Path::new("y.ct"), &mut |sample, step| {
///     println!("sample {sample}: {}", step.layer);
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    circuit: Arc<Circuit>,
    pub(crate) scheme: Arc<Scheme>,
    pub(crate) engine: OpenFheEngine,
    pub(crate) keys: EvaluationKeys,
}

impl Server {
    /// Reads a circuit and the evaluation keys made for it; the observer gets the number of keys read and the total.
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`](crate::RuntimeError::Circuit) for files that are damaged or do not belong together,
    /// and those of [`Scheme::new`].
    pub fn load(circuit: &Path, keys: &Path, observer: &mut dyn FnMut(usize, usize)) -> Result<Self> {
        let circuit = Arc::new(read_circuit(circuit)?);
        let budget = circuit.prediction.key_memory;
        Self::with_keys(circuit, keys, budget, observer)
    }

    /// Reads the evaluation keys of a circuit: all of them, or with a `key_memory` that is not 0 each when it is needed,
    /// so that no more than so many bytes of them are in memory.
    ///
    /// # Errors
    /// Those of [`Server::load`].
    pub fn with_keys(
        circuit: Arc<Circuit>,
        keys: &Path,
        key_memory: u64,
        observer: &mut dyn FnMut(usize, usize),
    ) -> Result<Self> {
        let scheme = Arc::new(Scheme::new(&circuit.parameters)?);
        let keys = match key_memory {
            0 => EvaluationKeys::load(&scheme, &circuit.client(), keys, observer)?,
            budget => EvaluationKeys::open(&scheme, &circuit, keys, budget, observer)?,
        };
        Self::new(circuit, scheme, keys)
    }

    /// A server for a circuit and keys that are in memory.
    ///
    /// # Errors
    /// Those of [`OpenFheEngine::new`].
    pub fn new(circuit: Arc<Circuit>, scheme: Arc<Scheme>, keys: EvaluationKeys) -> Result<Self> {
        let engine = OpenFheEngine::new(Arc::clone(&scheme), &circuit.program)?;
        Ok(Server { circuit, scheme, engine, keys })
    }

    /// The circuit.
    pub fn circuit(&self) -> &Circuit {
        &self.circuit
    }

    /// The budget for [`Server::prepare`] that the predicted memory counts on: none beside the keys of bootstraps.
    pub fn prepare_budget(&self) -> u64 {
        if self.circuit.parameters.bootstrap.is_some() { 0 } else { DEFAULT_PREPARE_BUDGET }
    }

    /// Encodes plaintexts ahead as far as they fit into `budget` bytes; the observer gets the number of linear maps
    /// done and the total. Gives the bytes in use.
    ///
    /// # Errors
    /// [`RuntimeError::OpenFhe`](crate::RuntimeError::OpenFhe).
    pub fn prepare(&mut self, budget: u64, observer: &mut dyn FnMut(usize, usize)) -> Result<u64> {
        self.engine.prepare(budget, observer)
    }

    /// Evaluates one sample: ciphertexts by input port in, by output port out.
    ///
    /// # Errors
    /// Those of [`executor::run`](crate::executor::run), and those of reading keys.
    pub fn evaluate(
        &self,
        inputs: Vec<Vec<Ciphertext>>,
        observer: &mut dyn FnMut(Step<'_>),
    ) -> Result<Vec<Vec<Ciphertext>>> {
        let mut evaluation = Evaluation::new(&self.engine, &self.circuit.program, inputs)?;
        while let Some(step) = evaluation.next_step() {
            observer(step);
            self.keys.make_ready(step.id)?;
            evaluation.step()?;
        }
        evaluation.outputs()
    }

    /// Opens a file of encrypted inputs, which must belong to the circuit and the keys.
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`](crate::RuntimeError::Circuit), [`RuntimeError::Content`](crate::RuntimeError::Content).
    pub fn open_inputs(&self, path: &Path) -> Result<CiphertextReader<'_>> {
        let ports = self.input_ports();
        CiphertextReader::open(&self.scheme, path, Role::Inputs, ports, self.keys.binding(), self.keys.tag())
    }

    /// Evaluates all samples of a file into a file; the observer gets the sample's number and the step.
    ///
    /// # Errors
    /// Those of [`Server::open_inputs`] and [`Server::evaluate`].
    pub fn evaluate_file(
        &self,
        inputs: &Path,
        results: &Path,
        observer: &mut dyn FnMut(usize, Step<'_>),
    ) -> Result<usize> {
        let mut reader = self.open_inputs(inputs)?;
        let samples = reader.samples();
        let mut writer = self.results_writer(results, samples)?;
        for sample in 0..samples {
            let outputs = self.evaluate(reader.next_sample()?, &mut |step| observer(sample, step))?;
            writer.sample(&outputs)?;
        }
        reader.finish()?;
        writer.commit()?;
        Ok(samples)
    }

    /// Starts a file of results.
    pub(crate) fn results_writer(&self, results: &Path, samples: usize) -> Result<CiphertextWriter> {
        let per_sample = self.circuit.program.outputs.iter().map(|port| port.layout.ciphertexts).sum();
        CiphertextWriter::create(results, Role::Results, self.keys.binding(), samples, per_sample)
    }

    fn input_ports(&self) -> Vec<PortType> {
        let program = &self.circuit.program;
        let level_of = |port: usize| {
            let reads = |op: &Op| matches!(op, Op::Input { port: other, .. } if *other as usize == port);
            program.values().find(|(_, value)| reads(&value.op)).map(|(_, value)| value.ty.level)
        };
        let ports = program.inputs.iter().enumerate();
        ports
            .filter_map(|(index, port)| Some((port.layout.ciphertexts, level_of(index)?)))
            .map(|(ciphertexts, level)| PortType { ciphertexts, level })
            .collect()
    }
}
