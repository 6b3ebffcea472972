//! The server: evaluates a circuit on ciphertexts, with the evaluation keys of one client or another. It never holds a
//! secret key.

use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use paf_circuit::container::{ContentId, FileKind, SectionReader, require_file};
use paf_circuit::{Circuit, ClientPart, read_circuit};
use paf_engine::{Answer, Engine, Evaluator, KeySet as _};
use paf_ir::ckks::Op;
use paf_scheme::InsecureTestParameters;

use crate::ciphertexts::{CiphertextReader, CiphertextWriter, Count, Owner, PortType, Role};
use crate::error::{Result, RuntimeError};
use crate::executor::{Evaluation, Step, Told};
use crate::keys::EvaluationKeys;
use crate::security::check_security;
use crate::tally::{OperationSeconds, Tally};

/// Ciphertexts by port.
pub(crate) type Ports<C> = Vec<Vec<C>>;

/// The server's side of one circuit on an engine. Keys are objects of their own: one server serves many clients.
///
/// ```no_run
/// use std::path::Path;
/// use paf_engine_openfhe::OpenFheEngine;
/// use paf_runtime::{InsecureTestParameters, Server};
/// # fn main() -> Result<(), paf_runtime::RuntimeError> {
/// let refuse = InsecureTestParameters::Refuse;
/// let mut server: Server<OpenFheEngine> = Server::load(Path::new("circuit.bin"), refuse)?;
/// server.prepare(server.prepare_budget(), &mut |_, _| {})?;
/// let keys = server.load_keys(Path::new("server.key"), server.key_memory(), &mut |_, _| {})?;
/// server.evaluate_file(&keys, Path::new("x.ct"), Path::new("y.ct"), &mut |sample, step| {
///     println!("sample {sample}: {}", step.layer);
/// })?;
/// # Ok(())
/// # }
/// ```
///
/// An observer may stop an evaluation: between two operations it is asked, and with a break the evaluation is dropped.
pub struct Server<E: Engine> {
    circuit: Arc<Circuit>,
    /// The circuit's part that says which keys there are.
    part: ClientPart,
    pub(crate) engine: Arc<E>,
    program: E::Program,
    tally: Tally,
    sanitize: bool,
}

impl<E: Engine> Server<E> {
    /// Reads a circuit.
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`], and those of [`Server::new`].
    pub fn load(circuit: &Path, insecure: InsecureTestParameters) -> Result<Self> {
        Self::new(Arc::new(read_circuit(circuit)?), insecure)
    }

    /// A server for a circuit that is in memory.
    ///
    /// # Errors
    /// Those of [`check_security`], [`Engine::new`] and [`Engine::load`].
    pub fn new(circuit: Arc<Circuit>, insecure: InsecureTestParameters) -> Result<Self> {
        check_security(&circuit.parameters, insecure)?;
        let engine = Arc::new(E::new(&circuit.parameters)?);
        Self::with_engine(circuit, engine)
    }

    /// The same on an engine for its parameters that is there already: a client's, who had to ask whether they protect.
    ///
    /// # Errors
    /// Those of [`Engine::load`].
    pub fn with_engine(circuit: Arc<Circuit>, engine: Arc<E>) -> Result<Self> {
        let program = engine.load(&circuit.program)?;
        Ok(Server { part: circuit.client(), circuit, engine, program, tally: Tally::default(), sanitize: false })
    }

    /// From here on results hold nothing of the network but the outputs, and are encrypted anew: an encryption of zeros under the
    /// client's public key is added to each. What the noise says of the network stays.
    ///
    /// # Errors
    /// [`RuntimeError::Leftovers`] for a circuit whose results hold more than the outputs.
    pub fn sanitize(&mut self) -> Result<()> {
        if let Some(output) = self.circuit.program.output_with_leftovers() {
            return Err(RuntimeError::Leftovers { output: output.to_owned() });
        }
        self.sanitize = true;
        Ok(())
    }

    /// Results as the client may have them.
    pub(crate) fn released(
        &self,
        keys: &EvaluationKeys<E>,
        results: Ports<E::Ciphertext>,
    ) -> Result<Ports<E::Ciphertext>> {
        let (evaluator, program) = (self.evaluator(keys), &self.circuit.program);
        let mut released = Vec::with_capacity(results.len());
        for (ciphertexts, port) in results.into_iter().zip(&program.outputs) {
            let level = program.value(port.value).ty.level;
            let release = |mut ciphertext: E::Ciphertext| {
                if self.sanitize {
                    let zeros = self.engine.encrypt(&keys.public, &vec![0.0; program.slots], level)?;
                    ciphertext = evaluator.add(ciphertext, &keys.set.admit(zeros)?)?;
                }
                keys.set.release(ciphertext)
            };
            let port = ciphertexts.into_iter().map(release).collect::<paf_engine::Result<Vec<_>>>()?;
            released.push(port);
        }
        Ok(released)
    }

    /// The circuit.
    pub fn circuit(&self) -> &Circuit {
        &self.circuit
    }

    /// The bytes of evaluation keys in memory that the circuit was planned for; 0 for all of them.
    pub fn key_memory(&self) -> u64 {
        self.circuit.prediction.key_memory
    }

    /// Reads the evaluation keys that a client made for the circuit: all of them, or with a `key_memory` that is not 0 each
    /// when it is needed, so that no more than so many bytes of them are in memory. The observer gets the number of keys
    /// read and the number to read. It may run beside evaluations.
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`] for a file that is damaged or of another circuit, [`RuntimeError::Content`],
    /// [`RuntimeError::Cancelled`].
    pub fn load_keys<A: Answer>(
        &self,
        path: &Path,
        key_memory: u64,
        observer: &mut dyn FnMut(usize, usize) -> A,
    ) -> Result<EvaluationKeys<E>> {
        let watch = &mut |done, total| observer(done, total).flow();
        match key_memory {
            0 => EvaluationKeys::load(&*self.engine, &self.part, path, watch),
            budget => EvaluationKeys::open(&self.engine, &self.circuit, path, budget, watch),
        }
    }

    /// Reads what a file of evaluation keys holds, to the end of the stream.
    ///
    /// # Errors
    /// Those of [`Server::load_keys`].
    pub fn read_keys<A: Answer>(
        &self,
        stream: impl Read,
        observer: &mut dyn FnMut(usize, usize) -> A,
    ) -> Result<EvaluationKeys<E>> {
        let watch = &mut |done, total| observer(done, total).flow();
        EvaluationKeys::read(&*self.engine, &self.part, stream, watch)
    }

    /// The budget for [`Server::prepare`] that the predicted memory counts on: none beside the keys of bootstraps.
    pub fn prepare_budget(&self) -> u64 {
        if self.circuit.parameters.bootstrap.is_some() { 0 } else { E::PROFILE.memory.prepared_bytes }
    }

    /// Encodes plaintexts ahead as far as they fit into `budget` bytes; the observer gets the parts done and the total.
    /// Gives the bytes in use.
    ///
    /// # Errors
    /// [`RuntimeError::Engine`], [`RuntimeError::Cancelled`].
    pub fn prepare<A: Answer>(&mut self, budget: u64, observer: &mut dyn FnMut(usize, usize) -> A) -> Result<u64> {
        let watch = &mut |done, total| observer(done, total).flow();
        Ok(self.engine.prepare(&mut self.program, budget, watch)?)
    }

    /// Evaluates one sample: ciphertexts by input port in, by output port out.
    ///
    /// # Errors
    /// [`RuntimeError::CiphertextCount`]; [`RuntimeError::Circuit`] for keys of another circuit; [`RuntimeError::Engine`],
    /// also for ciphertexts of other keys; [`RuntimeError::Cancelled`]; those of reading keys.
    pub fn evaluate<A: Answer>(
        &self,
        keys: &EvaluationKeys<E>,
        inputs: Vec<Vec<E::Ciphertext>>,
        observer: &mut dyn FnMut(Step<'_>) -> A,
    ) -> Result<Vec<Vec<E::Ciphertext>>> {
        self.evaluate_told(keys, inputs, &mut |step| observer(step).flow())
    }

    fn evaluate_told(
        &self,
        keys: &EvaluationKeys<E>,
        inputs: Ports<E::Ciphertext>,
        observer: &mut dyn FnMut(Step<'_>) -> ControlFlow<()>,
    ) -> Result<Ports<E::Ciphertext>> {
        keys.binding().check_circuit(&self.part.fingerprint)?;
        let evaluator = self.evaluator(keys);
        let inputs = each(inputs, |ciphertext| keys.set.admit(ciphertext))?;
        let mut evaluation = self.watched(keys, Evaluation::new(&evaluator, &self.circuit.program, inputs)?);
        evaluation.finish(&mut Told(observer))?;
        self.released(keys, evaluation.outputs()?)
    }

    /// The program with some client's keys.
    pub(crate) fn evaluator<'e>(&'e self, keys: &'e EvaluationKeys<E>) -> E::Evaluator<'e> {
        self.engine.evaluator(&self.program, &keys.set)
    }

    /// An evaluation that makes keys ready and counts its time.
    pub(crate) fn watched<'r, V: Evaluator>(
        &'r self,
        keys: &'r EvaluationKeys<E>,
        evaluation: Evaluation<'r, V>,
    ) -> Evaluation<'r, V> {
        evaluation.with_keys(keys).with_tally(&self.tally)
    }

    /// What evaluations have taken so far, by kind of operation.
    pub fn operation_seconds(&self) -> OperationSeconds {
        self.tally.seconds(self.engine.unprepared_time(&self.program))
    }

    /// Opens a file of encrypted inputs, which must belong to the circuit and the keys.
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`], [`RuntimeError::Content`].
    pub fn open_inputs<'s>(
        &'s self,
        keys: &'s EvaluationKeys<E>,
        path: &Path,
    ) -> Result<CiphertextReader<'s, E, std::fs::File>> {
        self.inputs_of(keys, SectionReader::open(path, FileKind::Ciphertexts)?, path)
    }

    fn inputs_of<'s, R: Read>(
        &'s self,
        keys: &'s EvaluationKeys<E>,
        sections: SectionReader<R>,
        path: &Path,
    ) -> Result<CiphertextReader<'s, E, R>> {
        let owner = Owner::Server(keys);
        CiphertextReader::new(&*self.engine, owner, sections, path, Role::Inputs, self.input_ports())
    }

    /// Evaluates all samples of a file into a file; the observer gets the sample's number and the step. After an error the
    /// file of results is not there. Gives the number of samples.
    ///
    /// # Errors
    /// Those of [`Server::open_inputs`] and [`Server::evaluate`].
    pub fn evaluate_file<A: Answer>(
        &self,
        keys: &EvaluationKeys<E>,
        inputs: &Path,
        results: &Path,
        observer: &mut dyn FnMut(usize, Step<'_>) -> A,
    ) -> Result<usize> {
        self.check_inputs(keys, inputs)?;
        let reader = self.open_inputs(keys, inputs)?;
        let (samples, count) = (reader.samples(), self.result_count(reader.samples()));
        let mut writer = CiphertextWriter::create(&*self.engine, results, Role::Results, keys.binding(), count)?;
        self.evaluate_all(keys, reader, &mut writer, observer)?;
        writer.commit()?;
        Ok(samples)
    }

    /// Checks every sample of a file of encrypted inputs and the file's end, before any work is done for the first of them.
    /// Names what the file holds.
    ///
    /// # Errors
    /// Those of [`Server::open_inputs`]; [`RuntimeError::Circuit`] for a pipe.
    pub fn check_inputs(&self, keys: &EvaluationKeys<E>, path: &Path) -> Result<ContentId> {
        require_file(path)?;
        let reader = self.open_inputs(keys, path)?;
        let samples = 0..reader.samples();
        reader.check(samples)
    }

    /// Evaluates all samples of what a file of inputs holds, to the end of the stream, into any sink. Gives the number of
    /// samples. A stream is read once: each sample is checked when its turn comes.
    ///
    /// # Errors
    /// Those of [`Server::evaluate_file`]; what was written before is of no use then.
    pub fn evaluate_stream<A: Answer>(
        &self,
        keys: &EvaluationKeys<E>,
        inputs: impl Read,
        results: impl Write,
        observer: &mut dyn FnMut(usize, Step<'_>) -> A,
    ) -> Result<usize> {
        let path = Role::Inputs.thing();
        let reader = self.inputs_of(keys, SectionReader::new(inputs, None, path, FileKind::Ciphertexts)?, path)?;
        let (samples, count) = (reader.samples(), self.result_count(reader.samples()));
        let mut writer = CiphertextWriter::new(&*self.engine, results, Role::Results, keys.binding(), count)?;
        self.evaluate_all(keys, reader, &mut writer, observer)?;
        writer.finish()?;
        Ok(samples)
    }

    fn evaluate_all<R: Read, W: Write, A: Answer>(
        &self,
        keys: &EvaluationKeys<E>,
        mut reader: CiphertextReader<'_, E, R>,
        writer: &mut CiphertextWriter<'_, E, W>,
        observer: &mut dyn FnMut(usize, Step<'_>) -> A,
    ) -> Result<()> {
        for sample in 0..reader.samples() {
            let inputs = reader.next_sample()?;
            writer.sample(&self.evaluate_told(keys, inputs, &mut |step| observer(sample, step).flow())?)?;
        }
        writer.source(&reader.finish()?)
    }

    /// How much a file of results holds.
    pub(crate) fn result_count(&self, samples: usize) -> Count {
        Count { samples, per_sample: self.circuit.program.outputs.iter().map(|port| port.layout.ciphertexts).sum() }
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

/// Every ciphertext of some ports, turned into another.
pub(crate) fn each<C>(ports: Ports<C>, change: impl Fn(C) -> paf_engine::Result<C>) -> Result<Ports<C>> {
    let port = |port: Vec<C>| port.into_iter().map(|ciphertext| Ok(change(ciphertext)?)).collect();
    ports.into_iter().map(port).collect::<Result<_, RuntimeError>>()
}

impl<E: Engine> std::fmt::Debug for Server<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (engine, model) = (E::NAME, &self.circuit.model.name);
        f.debug_struct("Server").field("engine", &engine).field("model", model).finish_non_exhaustive()
    }
}
