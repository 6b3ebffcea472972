//! Checkpoints: an evaluation that is killed goes on where it was, with the same result.
//!
//! A folder holds one file for each sample that was begun, with the values that are alive between two operations; the
//! file of a sample whose program is done holds its results. A file is replaced by the next one atomically, so there is
//! always a whole one. The results file is written at the end, and then the checkpoints are removed.

mod file;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fs, io};

use paf_circuit::container::ContentId;
use paf_circuit::{Circuit, CircuitError, encode_circuit};
use paf_engine::{Answer, Engine, KeySet as _};
use paf_files::AtomicFile;
use paf_ir::ckks::Op;
use paf_ir::program::ValueId;
use sha2::{Digest, Sha256};

use crate::ciphertexts::{CiphertextWriter, Role};
use crate::error::{Result, RuntimeError};
use crate::executor::{Evaluation, Onlooker, Step};
use crate::keys::EvaluationKeys;
use crate::server::{Ports, Server, each};

/// A checkpoint takes at most this share of the time since the one before.
const LARGEST_SHARE: f64 = 0.05;

/// Beginning and end of a checkpoint's name; its sample's number is in between.
const NAME: (&str, &str) = ("sample-", ".checkpoint");

/// A folder of checkpoints and how often they are written. No other process can use the folder meanwhile.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    folder: PathBuf,
    interval: Duration,
    _lock: Arc<fs::File>,
}

impl Checkpoints {
    /// For a new evaluation: the folder is made if it is not there. Checkpoints are at least `interval` apart.
    ///
    /// # Errors
    /// [`RuntimeError::CheckpointsExist`] if there are some already, [`RuntimeError::CheckpointsInUse`],
    /// [`RuntimeError::Write`].
    pub fn start(folder: &Path, interval: Duration) -> Result<Self> {
        fs::create_dir_all(folder).map_err(RuntimeError::write(folder))?;
        let checkpoints = Self::resume(folder, interval)?;
        if checkpoints.samples()?.is_empty() {
            return Ok(checkpoints);
        }
        Err(RuntimeError::CheckpointsExist { folder: folder.to_owned() })
    }

    /// For an evaluation that was interrupted, and whose files may be there; what a kill left half written is removed.
    ///
    /// # Errors
    /// [`RuntimeError::Read`] if there is no such folder, [`RuntimeError::CheckpointsInUse`] if another process works
    /// there, [`RuntimeError::Write`].
    pub fn resume(folder: &Path, interval: Duration) -> Result<Self> {
        let checkpoints = Checkpoints { folder: folder.to_owned(), interval, _lock: Arc::new(lock(folder)?) };
        for name in checkpoints.names()?.iter().filter(|name| is_half_written(name)) {
            remove(&folder.join(name))?;
        }
        Ok(checkpoints)
    }

    fn names(&self) -> Result<Vec<String>> {
        let name = |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
        let names = || fs::read_dir(&self.folder)?.map(name).collect::<io::Result<_>>();
        names().map_err(RuntimeError::read(&self.folder))
    }

    /// The samples that have a checkpoint.
    fn samples(&self) -> Result<Vec<usize>> {
        let number = |name: &String| name.strip_prefix(NAME.0)?.strip_suffix(NAME.1)?.parse().ok();
        Ok(self.names()?.iter().filter_map(number).collect())
    }

    fn path(&self, sample: usize) -> PathBuf {
        self.folder.join(format!("{}{sample}{}", NAME.0, NAME.1))
    }
}

/// Whether [`AtomicFile`] made a file for a checkpoint that then was not completed.
fn is_half_written(name: &str) -> bool {
    name.strip_prefix('.').is_some_and(|name| name.starts_with(NAME.0) && name.ends_with(".tmp"))
}

/// An advisory lock on a folder, which the system releases with the process however it ends. A file system without
/// locks gives none.
fn lock(folder: &Path) -> Result<fs::File> {
    let file = fs::File::open(folder).map_err(RuntimeError::read(folder))?;
    match file.try_lock() {
        Err(fs::TryLockError::WouldBlock) => Err(RuntimeError::CheckpointsInUse { folder: folder.to_owned() }),
        Err(fs::TryLockError::Error(error)) if error.kind() != io::ErrorKind::Unsupported => {
            Err(RuntimeError::write(folder)(error))
        }
        _ => Ok(file),
    }
}

fn remove(path: &Path) -> Result<()> {
    fs::remove_file(path).map_err(RuntimeError::write(path))
}

/// What a checkpoint belongs to besides the circuit's fingerprint and the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    /// SHA-256 of the circuit file.
    circuit: [u8; 32],
    /// The content of the file of inputs.
    inputs: ContentId,
}

impl Run {
    fn new(circuit: &Circuit, inputs: ContentId) -> Self {
        Run { circuit: Sha256::digest(encode_circuit(circuit)).into(), inputs }
    }
}

/// How much of an evaluation was done by this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evaluated {
    /// Samples in the results.
    pub samples: usize,
    /// Operations over all samples.
    pub operations: usize,
    /// Those of them that checkpoints spared.
    pub spared: usize,
}

impl<E: Engine> Server<E> {
    /// As [`Server::evaluate_file`], from the last checkpoint on where there is one. Checkpoints are written before
    /// bootstraps and between layers, and removed when the results are written; an evaluation that was cancelled goes on
    /// from the last one.
    ///
    /// # Errors
    /// Those of [`Server::evaluate_file`]; [`RuntimeError::OtherRun`] and [`RuntimeError::Circuit`] for checkpoints
    /// that belong to something else, [`RuntimeError::Content`] for those that do not hold what they must.
    pub fn evaluate_file_with_checkpoints<A: Answer>(
        &self,
        keys: &EvaluationKeys<E>,
        inputs: &Path,
        results: &Path,
        checkpoints: &Checkpoints,
        observer: &mut dyn FnMut(usize, Step<'_>) -> A,
    ) -> Result<Evaluated> {
        let evaluator = self.evaluator(keys);
        let session = Session::new(self, keys, &evaluator, self.check_inputs(keys, inputs)?, checkpoints)?;
        let probe = AtomicFile::create(results);
        drop(probe.map_err(|source| CircuitError::Io { path: results.to_owned(), source })?);
        let mut reader = self.open_inputs(keys, inputs)?;
        let (samples, mut spared) = (reader.samples(), 0);
        for sample in 0..samples {
            let told = &mut |step: Step<'_>| observer(sample, step).flow();
            spared += session.evaluate(sample, reader.next_sample()?, told)?;
        }
        reader.finish()?;
        session.write_results(results, samples)?;
        session.remove()?;
        Ok(Evaluated { samples, operations: samples * self.circuit().program.len(), spared })
    }
}

/// One process's work on a run.
struct Session<'s, 'e, E: Engine> {
    server: &'s Server<E>,
    keys: &'s EvaluationKeys<E>,
    evaluator: &'s E::Evaluator<'e>,
    checkpoints: &'s Checkpoints,
    run: Run,
}

impl<'s, 'e, E: Engine> Session<'s, 'e, E> {
    /// Refuses checkpoints of another run before any work.
    fn new(
        server: &'s Server<E>,
        keys: &'s EvaluationKeys<E>,
        evaluator: &'s E::Evaluator<'e>,
        inputs: ContentId,
        checkpoints: &'s Checkpoints,
    ) -> Result<Self> {
        let run = Run::new(server.circuit(), inputs);
        let session = Session { server, keys, evaluator, checkpoints, run };
        for sample in checkpoints.samples()? {
            session.open(sample)?;
        }
        Ok(session)
    }

    /// Takes one sample to its end and gives the number of operations that a checkpoint spared.
    fn evaluate(
        &self,
        sample: usize,
        inputs: Ports<E::Ciphertext>,
        observer: &mut dyn FnMut(Step<'_>) -> ControlFlow<()>,
    ) -> Result<usize> {
        let mut evaluation = self.begin(sample, inputs)?;
        let spared = evaluation.position();
        let pace = Pace::new(self.checkpoints.interval);
        evaluation.finish(&mut Keeper { session: self, sample, spared, pace, observer })?;
        if evaluation.position() > spared {
            self.save(sample, &evaluation)?;
        }
        Ok(spared)
    }

    fn begin(&self, sample: usize, inputs: Ports<E::Ciphertext>) -> Result<Evaluation<'s, E::Evaluator<'e>>> {
        let program = &self.server.circuit().program;
        let inputs = each(inputs, |ciphertext| self.keys.set.admit(ciphertext))?;
        let evaluation = if self.checkpoints.path(sample).exists() {
            let (position, alive) = self.load(sample)?;
            Evaluation::resume(self.evaluator, program, inputs, position, alive)
        } else {
            Evaluation::new(self.evaluator, program, inputs)
        };
        Ok(self.server.watched(self.keys, evaluation?))
    }

    /// Before bootstraps values are smallest, and between layers few are alive.
    fn is_boundary(&self, step: Step<'_>) -> bool {
        let program = &self.server.circuit().program;
        let Some(before) = step.id.0.checked_sub(1) else { return false };
        let starts_layer = &*program.value(ValueId(before)).name != step.layer;
        starts_layer || matches!(program.value(step.id).op, Op::Bootstrap { .. })
    }

    fn write_results(&self, path: &Path, samples: usize) -> Result<()> {
        let (engine, count) = (&*self.server.engine, self.server.result_count(samples));
        let mut writer = CiphertextWriter::create(engine, path, Role::Results, self.keys.binding(), count)?;
        for sample in 0..samples {
            writer.sample(&self.results(sample)?)?;
        }
        writer.source(&self.run.inputs)?;
        writer.commit().map(drop)
    }

    /// The results of a sample that is done.
    fn results(&self, sample: usize) -> Result<Ports<E::Ciphertext>> {
        let (position, alive) = self.load(sample)?;
        let program = &self.server.circuit().program;
        let no_inputs = program.inputs.iter().map(|_| vec![]).collect();
        let evaluation = Evaluation::resume(self.evaluator, program, no_inputs, position, alive)?;
        self.server.released(self.keys, evaluation.outputs()?)
    }

    fn remove(&self) -> Result<()> {
        self.checkpoints.samples()?.into_iter().try_for_each(|sample| remove(&self.checkpoints.path(sample)))
    }
}

/// Writes a checkpoint of a sample where one is due.
struct Keeper<'k, 'e, E: Engine> {
    session: &'k Session<'k, 'e, E>,
    sample: usize,
    /// What was loaded is not written again: a process that is killed soon after has still come further.
    spared: usize,
    pace: Pace,
    observer: &'k mut dyn FnMut(Step<'_>) -> ControlFlow<()>,
}

impl<'e, E: Engine> Onlooker<E::Evaluator<'e>> for Keeper<'_, 'e, E> {
    fn before(&mut self, evaluation: &Evaluation<'_, E::Evaluator<'e>>, step: Step<'_>) -> Result<()> {
        let (session, sample) = (self.session, self.sample);
        if evaluation.position() > self.spared && self.pace.is_due() && session.is_boundary(step) {
            self.pace.time(|| session.save(sample, evaluation))?;
        }
        RuntimeError::unless_cancelled((self.observer)(step))
    }
}

/// When the next checkpoint is due: after the interval, and not before work outweighs writing.
struct Pace {
    interval: Duration,
    last: Instant,
}

impl Pace {
    fn new(interval: Duration) -> Self {
        Pace { interval, last: Instant::now() }
    }

    fn is_due(&self) -> bool {
        self.last.elapsed() >= self.interval
    }

    fn time(&mut self, write: impl FnOnce() -> Result<()>) -> Result<()> {
        let start = Instant::now();
        write()?;
        self.last = Instant::now();
        if !self.interval.is_zero() {
            self.interval = self.interval.max((self.last - start).div_f64(LARGEST_SHARE));
        }
        Ok(())
    }
}
