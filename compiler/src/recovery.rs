//! The step `recover`: what a file of PAFs, the built-in recovery or an external command puts in place of the model's
//! own weights and the default PAFs.

use std::path::Path;
use std::sync::Arc;

use paf_adapt::command::{self, CommandRequest};
use paf_adapt::paf_file::PafFile;
use paf_adapt::recovery::check_training;
use paf_adapt::{Config, Data, Listener, RecoveryError, Target, Training, recover};
use paf_import::{ModelSource, import_with};
use paf_ir::tensor::Graph;
use paf_passes::decisions::Decisions;
use paf_passes::lower::{LowerOptions, Lowering};

use crate::calibration;
use crate::error::{CompileError, OptionsError};
use crate::fidelity::{self, FidelityChoice};
use crate::importing::import_options;
use crate::options::{Calibration, CompileOptions, DEFAULT_PAF, Recovery};

/// The network with its recovered weights, to be lowered with what was decided for its nodes. The listener hears of what
/// takes long.
///
/// # Errors
/// [`CompileError::Recovery`] or [`CompileError::Import`] for what the recovery leaves, [`CompileError::Calibration`].
pub(crate) fn recovered(
    options: &CompileOptions,
    lower: &LowerOptions,
    (source, graph): (&ModelSource, &Graph),
    listener: &mut Listener<'_>,
) -> Result<Recovered, CompileError> {
    let lowering = match &options.recovery {
        Recovery::None => {
            let Recovered { lowering, choice } = fidelity::chosen(options, lower, graph, listener)?;
            return Ok(Recovered { lowering: fidelity::with_functions(options, lowering)?, choice });
        }
        Recovery::PafFile(path) => {
            let decisions = decided(&PafFile::read(path)?, path, graph)?;
            lowering(options, lower, graph.clone(), decisions)
        }
        Recovery::BuiltIn(path) => built_in(options, lower, path, graph, listener),
        Recovery::Command(command) => external(options, lower, command, (source, graph), listener),
    };
    Ok(Recovered { lowering: fidelity::with_functions(options, lowering?)?, choice: None })
}

/// A network that is ready for the passes.
pub(crate) struct Recovered {
    pub(crate) lowering: Lowering,
    /// The choice of PAFs that was made where nothing was asked for, or why none was made.
    pub(crate) choice: Option<FidelityChoice>,
}

/// What the passes get.
pub(crate) fn lowering(
    options: &CompileOptions,
    lower: &LowerOptions,
    graph: Graph,
    decisions: Decisions,
) -> Result<Lowering, CompileError> {
    let samples = calibration::samples(&options.calibration, &graph)?;
    Ok(Lowering::new(graph, samples, with_decisions(options, lower.clone(), decisions)))
}

/// A PAF that the options name for a node stays, and so does a range of the inputs.
pub(crate) fn with_decisions(
    options: &CompileOptions,
    mut lower: LowerOptions,
    mut decisions: Decisions,
) -> LowerOptions {
    if options.input_range.is_some() {
        decisions.ranges.clear();
    }
    lower.approximation.per_node = lower.approximation.per_node.or(decisions);
    lower
}

fn decided(file: &PafFile, path: &Path, graph: &Graph) -> Result<Decisions, RecoveryError> {
    file.decisions(graph).map_err(|problem| RecoveryError::file(path, problem))
}

/// The search costs its mixes by what is compiled: with these options and samples, and in the memory that it is given
/// where the compilation names none.
fn built_in(
    options: &CompileOptions,
    lower: &LowerOptions,
    path: &Path,
    graph: &Graph,
    listener: &mut Listener<'_>,
) -> Result<Lowering, CompileError> {
    let config = Config::read(path)?;
    check_training(&config, training())?;
    let data = data(options, &config, graph)?;
    let mut lower = lower.clone();
    if lower.schedule.memory.is_none() {
        lower.schedule.memory = config.search.memory.map(|size| size.0);
    }
    let samples = match options.calibration.is_empty() {
        true => data.calibration(&config)?,
        false => calibration::samples(&options.calibration, graph)?,
    };
    let target = Target { options: lower, samples: Arc::new(samples) };
    let network = recover(&target, graph.clone(), &config, &data, training(), listener)?.network;
    let lower = with_decisions(options, target.options, network.decisions());
    Ok(Lowering::new(network.graph, target.samples, lower))
}

/// What the steps `pa` and `at` run on, if this program was built with it.
fn training() -> Option<&'static dyn Training> {
    #[cfg(feature = "train")]
    return Some(&paf_train::CandleTraining);
    #[cfg(not(feature = "train"))]
    None
}

/// What the steps learn from: the data of the configuration, or the calibration samples.
fn data(options: &CompileOptions, config: &Config, graph: &Graph) -> Result<Data, CompileError> {
    let labels = config.labels.as_deref();
    match (&config.data, &options.calibration) {
        (Some(path), _) => Ok(Data::read(path, labels)?),
        (None, Calibration::Files(files)) if !files.is_empty() => Ok(Data::read(&files[0], labels)?),
        (None, Calibration::Samples(samples)) if !samples.is_empty() => Ok(Data::of_samples(samples, graph)?),
        (None, _) => Err(OptionsError::RecoveryWithoutData.into()),
    }
}

fn external(
    options: &CompileOptions,
    lower: &LowerOptions,
    command: &str,
    (source, graph): (&ModelSource, &Graph),
    listener: &mut Listener<'_>,
) -> Result<Lowering, CompileError> {
    let for_all = options.pafs.iter().rfind(|choice| choice.node.is_none());
    let request = CommandRequest {
        command,
        model: source,
        data: options.calibration.files(),
        paf: for_all.map_or(DEFAULT_PAF, |choice| &choice.paf),
        margin: options.margin,
    };
    let left = command::run(&request, graph, listener)?;
    let graph = import_with(&left.model(), &import_options(options))?.graph;
    let decisions = decided(&left.pafs, &source.origin, &graph)?;
    lowering(options, lower, graph, decisions)
}
