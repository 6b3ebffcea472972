//! The steps without gradients: `calibrate`, `bn`, `ct`.
//!
//! One walk in graph order does them all, so that every node is measured with everything before it final: statistics
//! of a linear layer are matched with the PAFs before it in place, a scale covers what the corrected layer gives, and
//! coefficients are fitted to that very distribution at that very scale.

mod coefficients;
mod histogram;
mod statistics;

use std::time::{Duration, Instant};

use paf_ir::tensor::{NodeId, Op};
use paf_passes::approximate::{self, Scaling, Values, static_scale};
use paf_passes::paf::Paf;
use paf_passes::recover::Recovered;

use crate::config::{Config, StepName};
use crate::data::Data;
use crate::error::RecoveryError;
use crate::evaluate::{input_values, node_values};
use crate::network::{Network, NodePaf, Origin};
pub use coefficients::fit;
pub use histogram::Histogram;

/// What a walk found out about one ReLU or MaxPool.
#[derive(Debug, Clone)]
pub struct NodeReport {
    /// The ONNX node.
    pub node: String,
    /// Arguments of the sign, in parts of the scale.
    pub histogram: Histogram,
    /// Root of the mean square error of the result on the data, in units of the tensor: before `ct` and after.
    pub error: (f64, f64),
    /// Why `ct` left the coefficients as they were, if it did.
    pub kept: Option<String>,
    /// What the user should look at.
    pub warnings: Vec<String>,
}

/// A walk's result.
#[derive(Debug, Clone)]
pub struct Walked {
    /// The network with scales, and with corrected weights and tuned coefficients as asked.
    pub network: Network,
    /// Every ReLU and MaxPool in graph order.
    pub nodes: Vec<NodeReport>,
    /// Time it took.
    pub time: Duration,
}

/// Told of the number of nodes that are done, of all.
pub type Progress<'a> = &'a mut dyn FnMut(usize, usize);

/// Runs the steps of a configuration that need no gradients, in one walk over the network.
///
/// `pafs` are the PAFs to start from, by node; `original` is the exact network, whose statistics `bn` restores.
///
/// # Errors
/// [`RecoveryError`] for data that do not fit, values that are not finite, a pool no guard suffices for.
pub fn walk(
    original: &Network,
    pafs: &dyn Fn(&str) -> Paf,
    data: &Data,
    config: &Config,
    progress: Progress<'_>,
) -> Result<Walked, RecoveryError> {
    data.check_for(&original.graph)?;
    let start = Instant::now();
    let mut walk = Walk::new(original, config);
    walk.run(pafs, data, progress)?;
    Ok(Walked { network: walk.network, nodes: walk.reports, time: start.elapsed() })
}

/// Direct replacement, for comparison: the scale is the largest magnitude that the original network shows.
///
/// # Errors
/// As [`walk`].
pub fn direct(original: &Network, pafs: &dyn Fn(&str) -> Paf, data: &Data) -> Result<Network, RecoveryError> {
    data.check_for(&original.graph)?;
    let mut network = original.clone();
    let config = Config { steps: vec![], ..Config::default() };
    let mut walk = Walk::new(original, &config);
    walk.follow_exact(data, |id, node, operand| {
        let (low, high) = operand.range().unwrap_or((0.0, 0.0));
        let reached = if node.op == Op::Relu { low.abs().max(high.abs()) } else { high.max(0.0) - low.min(0.0) };
        let scale = Scaling::Uniform(reached.max(f64::MIN_POSITIVE));
        let chosen = NodePaf {
            paf: pafs(&node.name),
            scale,
            margin: 1.0,
            coefficients_from: Origin::Named,
            scale_from: Origin::Calibrate,
        };
        network.pafs.insert(id, chosen);
    });
    Ok(network)
}

struct Walk<'a> {
    original: &'a Network,
    config: &'a Config,
    network: Network,
    reports: Vec<NodeReport>,
    /// Values of nodes that are read again: of the network with PAFs, and of the exact one where `bn` needs them.
    values: Vec<Option<Values>>,
    exact: Vec<Option<Values>>,
    pending: Vec<usize>,
}

impl<'a> Walk<'a> {
    fn new(original: &'a Network, config: &'a Config) -> Self {
        let consumers = original.graph.consumers();
        Walk {
            original,
            config,
            network: Network { graph: original.graph.clone(), pafs: Default::default() },
            reports: vec![],
            values: vec![],
            exact: vec![],
            pending: consumers.iter().map(Vec::len).collect(),
        }
    }

    fn does(&self, step: StepName) -> bool {
        self.config.steps.contains(&step)
    }

    fn run(&mut self, pafs: &dyn Fn(&str) -> Paf, data: &Data, progress: Progress<'_>) -> Result<(), RecoveryError> {
        let original = self.original;
        for (id, node) in original.graph.nodes() {
            if node.op == Op::Input {
                let input = input_values(data, 0..data.len());
                self.exact.push(self.does(StepName::Bn).then(|| input.clone()));
                self.values.push(Some(input));
                continue;
            }
            if matches!(node.op, Op::Relu | Op::MaxPool(_)) {
                self.approximate(id, pafs(&node.name))?;
            }
            let exact =
                self.does(StepName::Bn).then(|| node_values(original, id, &operands(&self.exact, &node.inputs)));
            let value = self.corrected_values(id, exact.as_ref())?;
            value.range().ok_or_else(|| paf_passes::PassError::NotFinite { node: node.name.clone() })?;
            self.values.push(Some(value));
            self.exact.push(exact);
            self.release(&node.inputs);
            progress(id.index() + 1, original.graph.len());
        }
        Ok(())
    }

    /// The values of a node, after its weights were corrected where `bn` is asked for.
    fn corrected_values(&mut self, id: NodeId, exact: Option<&Values>) -> Result<Values, RecoveryError> {
        let node = self.original.graph.node(id);
        let operands = operands(&self.values, &node.inputs);
        let Some(exact) = exact else { return Ok(node_values(&self.network, id, &operands)) };
        if self.network.pafs.is_empty() {
            return Ok(exact.clone());
        }
        if let Op::BatchNorm(norm) = &node.op {
            let before = self.exact[node.inputs[0].index()].as_ref().expect("operands live until their last reader");
            let corrected = statistics::matched_norm(norm, before, operands[0]);
            self.network.graph.replace_weights(id, Op::BatchNorm(corrected))?;
            return Ok(node_values(&self.network, id, &operands));
        }
        let values = node_values(&self.network, id, &operands);
        if !self.config.bn.match_linear {
            return Ok(values);
        }
        match statistics::Correction::of(&self.network.graph, id, exact, &values) {
            Some(correction) => {
                let changed = correction.apply(&mut self.network.graph)?;
                Ok(if changed { node_values(&self.network, id, &operands) } else { values })
            }
            None => Ok(values),
        }
    }

    /// Gives a ReLU or MaxPool its scale, and tuned coefficients where `ct` is asked for.
    fn approximate(&mut self, id: NodeId, paf: Paf) -> Result<(), RecoveryError> {
        let node = self.original.graph.node(id);
        let operand = self.values[node.inputs[0].index()].as_ref().expect("operands live until their last reader");
        let scale = static_scale(&self.network.graph, id, &paf, operand, &scale_options(&paf, self.config.margin))?;
        let histogram = Histogram::of(&node.op, operand, &scale);
        let before = histogram.error(&paf);
        let mut chosen = NodePaf {
            paf,
            scale,
            margin: self.config.margin,
            coefficients_from: Origin::Named,
            scale_from: Origin::Calibrate,
        };
        let mut kept = None;
        if self.does(StepName::Ct) {
            match fit(&chosen.paf, &histogram, &self.config.ct) {
                Ok(tuned) => (chosen.paf, chosen.coefficients_from) = (tuned, Origin::Ct),
                Err(reason) => kept = Some(reason),
            }
        }
        let error = (before, histogram.error(&chosen.paf));
        let warnings = histogram.warnings();
        self.reports.push(NodeReport { node: node.name.clone(), histogram, error, kept, warnings });
        self.network.pafs.insert(id, chosen);
        Ok(())
    }

    /// Follows the exact network alone and shows the operand of every ReLU and MaxPool.
    fn follow_exact(&mut self, data: &Data, mut visit: impl FnMut(NodeId, &paf_ir::tensor::Node, &Values)) {
        let original = self.original;
        for (id, node) in original.graph.nodes() {
            if node.op == Op::Input {
                self.values.push(Some(input_values(data, 0..data.len())));
                continue;
            }
            let operands = operands(&self.values, &node.inputs);
            if matches!(node.op, Op::Relu | Op::MaxPool(_)) {
                visit(id, node, operands[0]);
            }
            let value = node_values(original, id, &operands);
            self.values.push(Some(value));
            self.exact.push(None);
            self.release(&node.inputs);
        }
    }

    /// Drops values that no later node reads.
    fn release(&mut self, read: &[NodeId]) {
        for input in read {
            self.pending[input.index()] -= 1;
            if self.pending[input.index()] == 0 {
                self.values[input.index()] = None;
                if let Some(exact) = self.exact.get_mut(input.index()) {
                    *exact = None;
                }
            }
        }
    }
}

fn operands<'v>(values: &'v [Option<Values>], inputs: &[NodeId]) -> Vec<&'v Values> {
    inputs.iter().map(|input| values[input.index()].as_ref().expect("operands live until their last reader")).collect()
}

fn scale_options(paf: &Paf, margin: f64) -> approximate::Options {
    approximate::Options {
        default_paf: paf.clone(),
        per_node: Recovered::default(),
        margin,
        input_range: (-1.0, 1.0),
        function_error: 1e-3,
    }
}
