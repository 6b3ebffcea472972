//! The step `recover`: what a file of PAFs, the built-in recovery or an external command puts in place of the model's
//! own weights and the default PAFs.

use std::path::{Path, PathBuf};

use paf_files::Bytes;
use paf_ir::tensor::Graph;
use paf_passes::recover::Recovered;
use paf_recovery::command::{self, CommandRequest};
use paf_recovery::paf_file::PafFile;
use paf_recovery::recover::recover_graph;
use paf_recovery::{Config, Data, RecoveryError};

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
    // What the search counts bootstraps for is what will be compiled.
    config.search.memory = config.search.memory.or(options.memory.map(Bytes));
    let no_data = || CompileError::Usage("--recover needs data: `data` in its configuration, or --calibration".into());
    let data = config.data.as_ref().or(options.calibration.as_ref()).ok_or_else(no_data)?;
    let data = Data::read(data, config.labels.as_deref())?;
    let network = recover_graph(graph, &config, &data, false)?.network;
    let recovered = decided(&PafFile::of(&network), path, &network.graph)?;
    Ok((network.graph, recovered))
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
    let left = command::run(&request, graph)?;
    let graph = import(&left.model())?.graph;
    let recovered = decided(&left.pafs, &options.model, &graph)?;
    Ok((graph, recovered))
}
