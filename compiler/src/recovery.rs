//! The step `recover`: what a file of PAFs, the built-in recovery or an external command puts in place of the model's
//! own weights and the default PAFs.

use std::io::{IsTerminal, Stderr, stderr};
use std::path::{Path, PathBuf};

use paf_adapt::command::{self, CommandRequest};
use paf_adapt::paf_file::PafFile;
use paf_adapt::progress::ProgressText;
use paf_adapt::recovery::check_training;
use paf_adapt::{Config, Data, RecoveryError, Training, recover};
use paf_files::Bytes;
use paf_ir::tensor::Graph;
use paf_passes::recover::Recovered;

use crate::error::CompileError;
use crate::import::import;
use crate::options::{DEFAULT_PAF, Options, Recovery};

/// The graph with its recovered weights, and what was decided for its nodes.
///
/// # Errors
/// [`CompileError::Recovery`] or [`CompileError::Import`] for what the recovery leaves.
pub(crate) fn recovered(options: &Options, graph: Graph) -> Result<(Graph, Recovered), CompileError> {
    match &options.recovery {
        Recovery::None => Ok((graph, Recovered::default())),
        Recovery::PafFile(path) => {
            let recovered = decided(&PafFile::read(path)?, path, &graph)?;
            Ok((graph, recovered))
        }
        Recovery::BuiltIn(path) => built_in(options, path, graph),
        Recovery::Command(command) => external(options, command, &graph),
    }
}

fn decided(file: &PafFile, path: &Path, graph: &Graph) -> Result<Recovered, RecoveryError> {
    file.recovered(graph).map_err(|problem| RecoveryError::file(path, problem))
}

fn built_in(options: &Options, path: &Path, graph: Graph) -> Result<(Graph, Recovered), CompileError> {
    let mut config = Config::read(path)?;
    check_training(&config, training())?;
    // What the search counts bootstraps for is what will be compiled.
    config.search.memory = config.search.memory.or(options.memory.map(Bytes));
    let no_data = || CompileError::Usage("--recover needs data: `data` in its configuration, or --calibration".into());
    let data = config.data.as_ref().or(options.calibration.as_ref()).ok_or_else(no_data)?;
    let data = Data::read(data, config.labels.as_deref())?;
    let mut progress = progress();
    let network = recover(graph, &config, &data, training(), &mut |event| progress.hear(event))?.network;
    let recovered = decided(&PafFile::of(&network), path, &network.graph)?;
    Ok((network.graph, recovered))
}

/// What the steps `pa` and `at` run on, if this program was built with it.
fn training() -> Option<&'static dyn Training> {
    #[cfg(feature = "train")]
    return Some(&paf_train::CandleTraining);
    #[cfg(not(feature = "train"))]
    None
}

fn progress() -> ProgressText<Stderr> {
    if stderr().is_terminal() { ProgressText::in_place(stderr()) } else { ProgressText::in_lines(stderr()) }
}

fn external(options: &Options, command: &str, graph: &Graph) -> Result<(Graph, Recovered), CompileError> {
    let data: Vec<PathBuf> = options.calibration.iter().chain(&options.more_calibration).cloned().collect();
    let for_all = options.pafs.iter().rfind(|choice| choice.node.is_none());
    let request = CommandRequest {
        command,
        model: &options.model,
        data: &data,
        paf: for_all.map_or(DEFAULT_PAF, |choice| &choice.paf),
        margin: options.margin,
    };
    let mut progress = progress();
    let left = command::run(&request, graph, &mut |event| progress.hear(event))?;
    let graph = import(&left.model())?.graph;
    let recovered = decided(&left.pafs, &options.model, &graph)?;
    Ok((graph, recovered))
}
