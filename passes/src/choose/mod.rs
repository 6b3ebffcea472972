//! `--paf auto`: a PAF for each ReLU and MaxPool.
//!
//! Needs: a folded graph and samples. Then holds: the graph is approximated as by [`mod@crate::approximate`], with the
//! least depth that keeps the error within a bound, or the least error within a depth.
//!
//! 1. Candidates are the PAFs that no other one beats in depth and largest error.
//! 2. Each is measured at each node: how far do the outputs move if this node alone gets it?
//! 3. [`search`] gives the least predicted error at every depth.
//! 4. The networks that it proposes are approximated, scales and all, and compared with the original on every sample.
//!    What counts is this measurement; the prediction says where to look.

mod mixes;
mod refreshes;
pub mod search;

use std::collections::BTreeMap;

use paf_ir::tensor::{Graph, Node, NodeId, Op};

use crate::approximate::{
    self, Approximated, ApproximationOptions, Deviation, Effect, Sensitivity, approximate_with, in_cheaper_order,
    measure,
};
use crate::decisions::CalibrationSamples;
use crate::error::PassError;
use crate::paf::Paf;
pub use mixes::{LevelGraph, Mix};
use search::{Choice, ChoiceStep, Selection};

/// Networks that are approximated and measured at most.
const MOST_MEASUREMENTS: usize = 8;

/// What to aim for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// The least depth at which [`Deviation::rms`] on the samples is at most this.
    MaxError(f64),
    /// The least error with at most so many levels on the deepest path, linear layers included.
    MaxLevels(u32),
}

/// The PAF of one node.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeChoice {
    /// Name of the ONNX node.
    pub node: String,
    /// Name of its PAF.
    pub paf: String,
    /// Levels of the node; none for a ReLU that is part of the pool after it.
    pub levels: u32,
    /// By how much the outputs move if this node alone has its PAF, as [`Deviation::rms`].
    pub error: f64,
}

/// A choice for a network and what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    /// Every ReLU and MaxPool in order.
    pub nodes: Vec<NodeChoice>,
    /// Levels on the deepest path, linear layers included.
    pub levels: u32,
    /// The error expected from the measurements of single nodes, as [`Deviation::rms`].
    pub predicted_error: f64,
    /// The error on the samples.
    pub measured: Deviation,
}

/// Chooses PAFs for all nodes that `options.per_node` does not name, and approximates with them.
///
/// # Errors
/// [`PassError::NothingToChoose`], [`PassError::TooFewLevels`], [`PassError::ErrorTooSmall`], and whatever
/// [`approximate::approximate`] finds.
pub fn choose(
    graph: &Graph,
    options: &ApproximationOptions,
    samples: &CalibrationSamples,
    goal: Goal,
) -> Result<(Approximated, Chosen), PassError> {
    approximate::check_names(graph, &options.per_node)?;
    if samples.is_empty() {
        return Err(PassError::Calibration("the choice of PAFs needs samples".into()));
    }
    let is_open = |node: &Node| is_nonlinear(node) && !options.per_node.pafs.contains_key(&node.name);
    if !graph.nodes().any(|(_, node)| is_open(node)) {
        return Err(PassError::NothingToChoose);
    }
    let mut pafs = candidates()?;
    let open = pafs.len();
    pafs.extend(options.per_node.pafs.values().cloned());
    let allowed = |node: &Node| match options.per_node.pafs.keys().position(|name| *name == node.name) {
        Some(given) => vec![open + given],
        None => (0..open).collect(),
    };
    let graph = &in_cheaper_order(graph, &options.per_node)?;
    let sensitivity = measure(graph, options, samples, &pafs, allowed)?;
    Search::new(graph, options, samples, &pafs, &sensitivity).run(goal)
}

fn is_nonlinear(node: &Node) -> bool {
    matches!(node.op, Op::Relu | Op::MaxPool(_))
}

/// The PAFs that no other one beats in depth and largest error, shallow ones first.
pub fn candidates() -> Result<Vec<Paf>, PassError> {
    let all: Vec<Paf> = Paf::names().into_iter().map(Paf::by_name).collect::<Result<_, _>>()?;
    let mut priced: Vec<(usize, f64, Paf)> =
        all.into_iter().map(|paf| (paf.depth(), paf.max_relu_error(), paf)).collect();
    priced.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut least = f64::INFINITY;
    priced.retain(|(_, error, _)| {
        let better = *error <= least;
        least = least.min(*error);
        better
    });
    Ok(priced.into_iter().map(|(_, _, paf)| paf).collect())
}

struct Search<'a> {
    graph: &'a Graph,
    options: &'a ApproximationOptions,
    samples: &'a CalibrationSamples,
    pafs: &'a [Paf],
    sensitivity: &'a Sensitivity,
    /// Ascending depth.
    front: Vec<Selection>,
}

impl<'a> Search<'a> {
    fn new(
        graph: &'a Graph,
        options: &'a ApproximationOptions,
        samples: &'a CalibrationSamples,
        pafs: &'a [Paf],
        sensitivity: &'a Sensitivity,
    ) -> Self {
        let outputs: Vec<usize> = graph.outputs.iter().map(|output| output.node.index()).collect();
        let front = search::front(&steps(graph, sensitivity), &outputs);
        Search { graph, options, samples, pafs, sensitivity, front }
    }

    fn run(&self, goal: Goal) -> Result<(Approximated, Chosen), PassError> {
        match goal {
            Goal::MaxLevels(levels) => {
                let least = self.front.first().map_or(0, |selection| selection.levels);
                let within = self.front.iter().rfind(|selection| selection.levels <= levels);
                self.approximated(within.ok_or(PassError::TooFewLevels { wanted: levels, least })?)
            }
            Goal::MaxError(error) => self.shallowest(error),
        }
    }

    /// The shallowest network that is measured to have at most this error, between a shallower one that has more and
    /// the last one that has not. Predictions, corrected by what they were off before, say which to measure next.
    fn shallowest(&self, error: f64) -> Result<(Approximated, Chosen), PassError> {
        let (mut fails, mut passes) = (0, self.front.len());
        let mut best = None;
        let mut correction = 1.0;
        for _ in 0..MOST_MEASUREMENTS {
            if fails == passes {
                break;
            }
            let guess = self.front.partition_point(|selection| selection.error.sqrt() * correction > error);
            let index = guess.clamp(fails, passes - 1);
            let (approximated, chosen) = self.approximated(&self.front[index])?;
            correction = chosen.measured.rms / chosen.predicted_error.max(f64::MIN_POSITIVE);
            if chosen.measured.rms <= error {
                passes = index;
                best = Some((approximated, chosen));
            } else {
                fails = index + 1;
            }
        }
        match best {
            Some(best) => Ok(best),
            None => self.most_accurate(error),
        }
    }

    fn most_accurate(&self, error: f64) -> Result<(Approximated, Chosen), PassError> {
        let deepest = self.front.last().ok_or(PassError::NothingToChoose)?;
        let (approximated, chosen) = self.approximated(deepest)?;
        if chosen.measured.rms <= error {
            return Ok((approximated, chosen));
        }
        Err(PassError::ErrorTooSmall { wanted: error, least: chosen.measured.rms, levels: chosen.levels })
    }

    fn approximated(&self, selection: &Selection) -> Result<(Approximated, Chosen), PassError> {
        let (mut nodes, mut pafs) = (Vec::new(), BTreeMap::new());
        for (id, node) in self.graph.nodes() {
            let Some((effect, own)) = self.effect(id, selection) else { continue };
            let given = self.options.per_node.pafs.get(&node.name);
            let paf = given.unwrap_or(&self.pafs[effect.paf]);
            pafs.insert(id, paf.clone());
            nodes.push(NodeChoice {
                node: node.name.clone(),
                paf: paf.name.clone(),
                levels: if own { effect.levels } else { 0 },
                error: if own { effect.mean_square.sqrt() } else { 0.0 },
            });
        }
        let approximated = approximate_with(self.graph, self.options, self.samples, &pafs)?;
        let chosen = Chosen {
            nodes,
            levels: selection.levels,
            predicted_error: selection.error.sqrt(),
            measured: self.sensitivity.reference.deviation(&approximated.outputs),
        };
        Ok((approximated, chosen))
    }

    /// What a selection does at a node, and whether that is the node's own or that of the pool it is part of.
    fn effect(&self, id: NodeId, selection: &Selection) -> Option<(&Effect, bool)> {
        let pool = self.sensitivity.pools.get(&id);
        let index = pool.unwrap_or(&id).index();
        let effects = self.sensitivity.effects[index].as_ref()?;
        Some((&effects[selection.picks[index]], pool.is_none()))
    }
}

/// The network as the search sees it; a node that needs no PAF has one choice.
fn steps(graph: &Graph, sensitivity: &Sensitivity) -> Vec<ChoiceStep> {
    let choices = |id: NodeId| match &sensitivity.effects[id.index()] {
        Some(effects) => {
            effects.iter().map(|effect| Choice { levels: effect.levels, error: effect.mean_square }).collect()
        }
        None => vec![Choice { levels: sensitivity.levels[id.index()], error: 0.0 }],
    };
    let step = |(id, node): (NodeId, &Node)| ChoiceStep {
        operands: node.inputs.iter().map(|input| input.index()).collect(),
        choices: choices(id),
    };
    graph.nodes().map(step).collect()
}
