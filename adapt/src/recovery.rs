//! A whole recovery of a network: the steps without gradients or a search, then training.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Instant;

use paf_ir::linear::Primitive;
use paf_ir::tensor::{Graph, NodeId, Op};
use paf_passes::paf::Paf;

use crate::config::{Config, StepName, TrainConfig};
use crate::data::Data;
use crate::error::RecoveryError;
use crate::evaluate::{Accuracy, logits};
use crate::events::{Event, Listener, Undertaking, tell};
use crate::network::Network;
use crate::search::{SearchReport, search};
use crate::steps::{NodeReport, Walked, walk};
use crate::target::Target;
use crate::training::{Training, TrainingRun};

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

/// Recovers an imported network for a circuit; nothing is written but checkpoints. Steps that train need `training`.
///
/// # Errors
/// [`RecoveryError`] naming the node or key at fault; [`RecoveryError::NoTraining`] before anything is done.
pub fn recover(
    target: &Target,
    graph: Graph,
    config: &Config,
    data: &Data,
    training: Option<&dyn Training>,
    listener: &mut Listener<'_>,
) -> Result<Outcome, RecoveryError> {
    check_training(config, training)?;
    let reduction = target.options.approximation.reduction;
    let original = Network { reduction, ranges: data.ranges(&graph), ..Network::exact(graph)? };
    let (walked, search) = without_gradients(&original, config, data, target, listener)?;
    let (mut network, mut seconds, mut control) = (walked.network, walked.time.as_secs_f64(), None);
    if let (Some(training), Some(settings)) = (training, config.training()) {
        let training = Course { training, original: &original.graph, settings: &settings, seed: config.seed, data };
        let start = Instant::now();
        tell(listener, Event::Begins(Undertaking::Training))?;
        network = training.run(&network, config.checkpoint.as_deref(), listener)?;
        seconds += start.elapsed().as_secs_f64();
        if config.control {
            tell(listener, Event::Begins(Undertaking::Control))?;
            control = Some(Control { network: training.run(&original, None, listener)?, accuracy: None });
        }
    }
    Ok(Outcome { network, original, nodes: walked.nodes, search, accuracy: None, control, seconds })
}

/// Whether steps that train have something that can.
///
/// # Errors
/// [`RecoveryError::NoTraining`] with the first step that has not.
pub fn check_training(config: &Config, training: Option<&dyn Training>) -> Result<(), RecoveryError> {
    let name = |step: &StepName| match step {
        StepName::Pa => Some("pa"),
        StepName::At => Some("at"),
        _ => None,
    };
    match (training, config.steps.iter().find_map(name)) {
        (None, Some(step)) => Err(RecoveryError::NoTraining { step }),
        _ => Ok(()),
    }
}

/// Runs the steps without gradients, for one PAF a node or in search of one.
fn without_gradients(
    original: &Network,
    config: &Config,
    data: &Data,
    target: &Target,
    listener: &mut Listener<'_>,
) -> Result<(Walked, Option<SearchReport>), RecoveryError> {
    if config.steps.contains(&StepName::Search) {
        tell(listener, Event::Begins(Undertaking::Search))?;
        let (walked, report) = search(original, data, config, target, listener)?;
        return Ok((walked, Some(report)));
    }
    tell(listener, Event::Begins(Undertaking::Steps))?;
    let pafs = pafs_by_node(original, config)?;
    let drawn = data.drawn(config.samples, config.seed);
    Ok((walk(original, &|node| pafs[node].clone(), &drawn, config, listener)?, None))
}

/// The steps `pa` and `at` on all data.
struct Course<'t> {
    training: &'t dyn Training,
    original: &'t Graph,
    settings: &'t TrainConfig,
    seed: u64,
    data: &'t Data,
}

impl Course<'_> {
    fn run(
        &self,
        network: &Network,
        checkpoint: Option<&Path>,
        listener: &mut Listener<'_>,
    ) -> Result<Network, RecoveryError> {
        let Course { training, original, settings: config, seed, data } = *self;
        let run = TrainingRun { original, data, config, seed, frozen: frozen(&network.graph), checkpoint };
        let trained = training.train(network, &run, listener)?;
        if !trained.improved() {
            tell(listener, Event::NothingBetter)?;
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
    let known = network.check_names(config.node_pafs.keys())?;
    let named = |node: String| {
        let paf = Paf::by_name(config.node_pafs.get(&node).unwrap_or(&config.paf))?;
        Ok((node, paf))
    };
    known.into_iter().map(named).collect()
}

pub(crate) fn accuracy(network: &Network, test: &Data) -> Result<Accuracy, RecoveryError> {
    let labels = test.y.as_deref().ok_or_else(|| RecoveryError::Data("the test data have no labels".into()))?;
    Ok(Accuracy::of(&logits(network, test)?, labels))
}
