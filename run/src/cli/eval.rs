//! `eval`: the server's part, with or without checkpoints.

use std::path::Path;
use std::sync::Arc;

use paf_circuit::container::{FileKind, SectionReader, require_file};
use paf_circuit::read_circuit;
use paf_runtime::{Checkpoints, EvaluationKeys, InsecureTestParameters, Server, inputs_content};

use super::commands::finish;
use super::error::Result;
use super::progress::{Phase, Progress};
use super::report::{Format, Report, refuse_or_warn, seconds, wrote};
use super::{Keep, Memory, OpenFheEngine};

/// The files of an evaluation.
pub(crate) struct Files<'a> {
    pub(crate) circuit: &'a Path,
    pub(crate) public: &'a Path,
    pub(crate) input: &'a Path,
    pub(crate) output: &'a Path,
    /// Whether results hold nothing but the outputs.
    pub(crate) sanitize: bool,
}

pub(crate) fn eval(
    files: &Files<'_>,
    memory: Memory,
    keep: &Keep,
    insecure: InsecureTestParameters,
    format: Format,
) -> Result<()> {
    let (mut report, progress) = (Report::default(), Progress::new(format));
    check_same_key(files.input, files.public)?;
    // Whole and undamaged, before hundreds of keys are read; what it means is checked with them.
    inputs_content(files.input)?;
    let checkpoints = keep.open()?;
    let circuit = Arc::new(read_circuit(files.circuit)?);
    refuse_or_warn(&circuit.parameters, insecure, &mut report)?;
    memory.check(&circuit)?;
    let mut phase = progress.phase("load");
    let key_memory = memory.key_memory(&circuit);
    let mut server: Server<OpenFheEngine> = Server::new(circuit, insecure)?;
    if files.sanitize {
        server.sanitize()?;
    }
    let keys = server.load_keys(files.public, key_memory, &mut phase.counter("evaluation keys"))?;
    report.fact("load_seconds", phase.end());
    server.check_inputs(&keys, files.input)?;
    let samples = server.open_inputs(&keys, files.input)?.samples();
    let mut phase = progress.phase("prepare");
    let prepared = server.prepare(memory.prepare_budget(&server), &mut phase.counter("linear maps"))?;
    report.fact("prepare_seconds", phase.end());
    report.fact("prepared_bytes", prepared);
    let mut phase = progress.phase("eval");
    evaluate(&server, &keys, files, samples, checkpoints.as_ref(), &mut phase, &mut report)?;
    let time = phase.end();
    report.fact("samples", samples);
    report.fact("seconds", time);
    report.line("evaluated", format!("{samples} samples in {}", seconds(time)));
    wrote(&mut report, files.output);
    finish(report, format)
}

fn evaluate(
    server: &Server<OpenFheEngine>,
    keys: &EvaluationKeys<OpenFheEngine>,
    files: &Files<'_>,
    samples: usize,
    checkpoints: Option<&Checkpoints>,
    phase: &mut Phase,
    report: &mut Report,
) -> Result<()> {
    let observer = &mut |sample, step: paf_runtime::executor::Step<'_>| phase.layer(sample, samples, step);
    let Some(checkpoints) = checkpoints else {
        server.evaluate_file(keys, files.input, files.output, observer)?;
        return Ok(());
    };
    let done = server.evaluate_file_with_checkpoints(keys, files.input, files.output, checkpoints, observer)?;
    report.fact("operations", done.operations);
    report.fact("operations_from_checkpoints", done.spared);
    if done.spared > 0 {
        report.line("resumed", format!("{} of {} operations were done before", done.spared, done.operations));
    }
    Ok(())
}

/// Refuses ciphertexts of another key by the headers of the files, before hundreds of keys are read.
fn check_same_key(input: &Path, public: &Path) -> Result<()> {
    [input, public].into_iter().try_for_each(require_file)?;
    let key = SectionReader::open(public, FileKind::ServerKey)?.header().binding.key;
    let found = SectionReader::open(input, FileKind::Ciphertexts)?.header().binding;
    Ok(found.check_key(&key).map_err(|error| error.in_file(input))?)
}
