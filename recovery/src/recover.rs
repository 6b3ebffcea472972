//! A whole recovery: from a model and data to a model with new weights and the file of its PAFs.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use paf_files::AtomicFile;
use paf_import::{import, with_weights};
use paf_ir::linear::Primitive;
use paf_ir::tensor::{Graph, NodeId, Op};
use paf_passes::PassError;
use paf_passes::paf::Paf;

use crate::config::{Config, StepName};
use crate::data::Data;
use crate::error::RecoveryError;
use crate::evaluate::{Accuracy, logits};
use crate::network::Network;
use crate::paf_file::PafFile;
use crate::progress::Reporter;
use crate::search::{SearchReport, file_beside, search};
use crate::steps::{NodeReport, Walked, walk};
use crate::train::{Run, TrainConfig, train};

/// What a recovery reads and writes.
#[derive(Debug, Clone)]
pub struct Request {
    /// The ONNX file.
    pub model: PathBuf,
    /// Where the ONNX file with new weights goes.
    pub output: PathBuf,
    /// Where `model.paf.json` goes.
    pub paf_output: PathBuf,
    /// What runs.
    pub config: Config,
    /// No progress on stderr.
    pub quiet: bool,
}

/// What a recovery did.
#[derive(Debug)]
pub struct Outcome {
    /// The network as it was written.
    pub network: Network,
    /// The exact network it was made from.
    pub original: Network,
    /// Every ReLU and MaxPool in graph order.
    pub nodes: Vec<NodeReport>,
    /// What the search tried, if there was one.
    pub search: Option<SearchReport>,
    /// Right predictions on the test data, if there are some: of the original network, and of the recovered one.
    pub accuracy: Option<(Accuracy, Accuracy)>,
    /// The exact network trained the same way, where the configuration asks for it.
    pub control: Option<Control>,
    /// Time that the steps took, without the control.
    pub seconds: f64,
}

/// The exact network, trained as the recovered one was: what training gains by itself. Losses are read against the
/// better one of the original network and this.
#[derive(Debug)]
pub struct Control {
    /// The network; it is not written.
    pub network: Network,
    /// Right predictions on the test data, if there are some.
    pub accuracy: Option<Accuracy>,
}

/// Runs a recovery and writes both files; on failure neither is written. Checkpoints are removed once they are.
///
/// # Errors
/// [`RecoveryError`] naming the file, node or key at fault.
pub fn recover(request: &Request, data: &Data, test: Option<&Data>) -> Result<Outcome, RecoveryError> {
    let mut outcome = recover_graph(import(&request.model)?.graph, &request.config, data, request.quiet)?;
    if let Some(test) = test {
        let (original, recovered) = (accuracy(&outcome.original, test)?, accuracy(&outcome.network, test)?);
        outcome.accuracy = Some((original, recovered));
        if let Some(control) = &mut outcome.control {
            control.accuracy = Some(accuracy(&control.network, test)?);
        }
    }
    write(request, &outcome.original.graph, &outcome.network)?;
    if let Some(checkpoint) = &request.config.checkpoint {
        for path in [checkpoint.clone(), file_beside(checkpoint)].into_iter().filter(|path| path.exists()) {
            std::fs::remove_file(&path).map_err(RecoveryError::io(&path))?;
        }
    }
    Ok(outcome)
}

/// Runs a recovery of an imported network; nothing is written but checkpoints.
///
/// # Errors
/// [`RecoveryError`] naming the node or key at fault.
pub fn recover_graph(graph: Graph, config: &Config, data: &Data, quiet: bool) -> Result<Outcome, RecoveryError> {
    let original = Network::exact(graph)?;
    let (walked, search) = without_gradients(&original, config, data, quiet)?;
    let (mut network, mut seconds, mut control) = (walked.network, walked.time.as_secs_f64(), None);
    if let Some(training) = config.training() {
        let training = Training { original: &original.graph, config: &training, seed: config.seed, data, quiet };
        let start = Instant::now();
        network = training.run(&network, config.checkpoint.as_deref())?;
        seconds += start.elapsed().as_secs_f64();
        if config.control {
            control = Some(Control { network: training.run(&original, None)?, accuracy: None });
        }
    }
    Ok(Outcome { network, original, nodes: walked.nodes, search, accuracy: None, control, seconds })
}

/// Runs the steps without gradients, for one PAF a node or in search of one.
fn without_gradients(
    original: &Network,
    config: &Config,
    data: &Data,
    quiet: bool,
) -> Result<(Walked, Option<SearchReport>), RecoveryError> {
    if config.steps.contains(&StepName::Search) {
        let mut reporter = Reporter::new("search", quiet);
        let (walked, report) = search(original, data, config, &mut |done, all| reporter.report(done, all))?;
        return Ok((walked, Some(report)));
    }
    let pafs = pafs_by_node(original, config)?;
    let drawn = data.drawn(config.samples, config.seed);
    let mut reporter = Reporter::new("calibrate, bn, ct", quiet);
    let mut report = |done, all| reporter.report(done, all);
    Ok((walk(original, &|node| pafs[node].clone(), &drawn, config, &mut report)?, None))
}

/// The steps `pa` and `at` on all data.
struct Training<'t> {
    original: &'t Graph,
    config: &'t TrainConfig,
    seed: u64,
    data: &'t Data,
    quiet: bool,
}

impl Training<'_> {
    fn run(&self, network: &Network, checkpoint: Option<&Path>) -> Result<Network, RecoveryError> {
        let Training { original, config, seed, data, quiet } = *self;
        let run = Run { original, data, config, seed, frozen: frozen(&network.graph), checkpoint };
        let control = if network.pafs.is_empty() { "control: " } else { "" };
        let trained = train(network, &run, &mut |progress| {
            if !quiet {
                eprintln!("{control}{progress}");
            }
        })?;
        if !quiet && !trained.improved() {
            eprintln!(
                "warning: {control}training found nothing better on the samples it held back; the network is that before it"
            );
        }
        Ok(trained.network)
    }
}

/// Nodes whose weights training leaves as they are, because new ones have no place in the ONNX operator.
pub fn frozen(graph: &Graph) -> BTreeSet<NodeId> {
    graph.nodes().filter(|(_, node)| !can_be_written_back(&node.op)).map(|(id, _)| id).collect()
}

/// Whether new weights have a place in the ONNX operator: Conv, Gemm, MatMul and BatchNormalization.
fn can_be_written_back(op: &Op) -> bool {
    match op {
        Op::Linear(map) => matches!(map.factors[..], [Primitive::Conv(_) | Primitive::Dense { right: 1, .. }]),
        _ => true,
    }
}

/// The PAF that each ReLU and MaxPool starts from.
fn pafs_by_node(network: &Network, config: &Config) -> Result<BTreeMap<String, Paf>, RecoveryError> {
    let known = check_node_names(network, config)?;
    let named = |node: String| {
        let paf = Paf::by_name(config.node_pafs.get(&node).unwrap_or(&config.paf))?;
        Ok((node, paf))
    };
    known.into_iter().map(named).collect()
}

/// The names of all ReLU and MaxPool nodes.
///
/// # Errors
/// [`PassError::NoSuchNode`] if the configuration gives a PAF to another name.
pub(crate) fn check_node_names(network: &Network, config: &Config) -> Result<Vec<String>, RecoveryError> {
    let known: Vec<String> = network.nonlinear().map(|(_, node)| node.name.clone()).collect();
    match config.node_pafs.keys().find(|name| !known.contains(name)) {
        Some(node) => Err(PassError::NoSuchNode { node: node.clone(), known }.into()),
        None => Ok(known),
    }
}

pub(crate) fn accuracy(network: &Network, test: &Data) -> Result<Accuracy, RecoveryError> {
    let labels = test.y.as_deref().ok_or_else(|| RecoveryError::Data("the test data have no labels".into()))?;
    Ok(Accuracy::of(&logits(network, test)?, labels))
}

/// Writes the model and its PAFs; the model gets its name last, when everything else is done.
fn write(request: &Request, original: &Graph, network: &Network) -> Result<(), RecoveryError> {
    let bytes = with_weights(&request.model, original, &network.graph)?;
    let staged = AtomicFile::create(&request.output).and_then(|mut file| file.write_all(&bytes).map(|()| file));
    let file = staged.map_err(RecoveryError::io(&request.output))?;
    PafFile::of(network).write(&request.paf_output)?;
    file.commit().map_err(RecoveryError::io(&request.output))
}

/// Reads a model and its PAFs as one network.
///
/// # Errors
/// [`RecoveryError`] for damage, or for PAFs of another network.
pub fn read_network(model: &Path, pafs: &Path) -> Result<Network, RecoveryError> {
    PafFile::read(pafs)?.network(pafs, import(model)?.graph)
}
