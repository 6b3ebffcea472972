//! The steps without gradients: `calibrate`, `ls`, `bn`, `ct`.
//!
//! One walk in graph order does them all, so that every node is measured with everything before it final: statistics
//! of a linear layer are matched, and its weights solved, with the PAFs before it in place, a scale covers what the corrected layer gives, and
//! coefficients are fitted to that very distribution at that very scale.

mod coefficients;
mod histogram;
mod reconstruction;
mod statistics;
mod walk;

use std::time::{Duration, Instant};

use paf_ir::tensor::Op;
use paf_passes::approximate::{Scaling, Values};
use paf_passes::paf::Paf;

use crate::config::Config;
use crate::data::Data;
use crate::error::RecoveryError;
use crate::evaluate::node_values;
use crate::events::{Event, Listener, tell};
use crate::live::follow;
use crate::network::{Network, NodePaf, Origin};
pub use coefficients::fit;
pub use histogram::Histogram;
pub(crate) use walk::{Reference, Tuned, Walk};

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

/// Runs the steps of a configuration that need no gradients, in one walk over the network.
///
/// `pafs` are the PAFs to start from, by node; `original` is the exact network, whose statistics `bn` restores. The
/// listener hears of the nodes that are done.
///
/// # Errors
/// [`RecoveryError`] for data that do not fit, values that are not finite, a pool no guard suffices for.
pub fn walk(
    original: &Network,
    pafs: &dyn Fn(&str) -> Paf,
    data: &Data,
    config: &Config,
    listener: &mut Listener<'_>,
) -> Result<Walked, RecoveryError> {
    data.check_for(&original.graph)?;
    let start = Instant::now();
    let reference = Reference::for_steps(original, data, config);
    let mut walk = Walk::new(original, &reference, data, config);
    let all = original.nonlinear().count();
    while let Some((_, node)) = walk.advance()? {
        let tuned = walk.tuned(pafs(&node.name))?;
        walk.place(tuned)?;
        tell(listener, Event::Done { done: walk.reports().len(), all })?;
    }
    let (network, nodes) = walk.finish();
    Ok(Walked { network, nodes, time: start.elapsed() })
}

/// Direct replacement, for comparison: the scale is the largest magnitude that the original network shows.
///
/// # Errors
/// As [`walk()`].
pub fn direct(original: &Network, pafs: &dyn Fn(&str) -> Paf, data: &Data) -> Result<Network, RecoveryError> {
    data.check_for(&original.graph)?;
    let mut network = original.clone();
    follow(&original.graph, data, 0..data.len(), |id, node, operands| {
        if matches!(node.op, Op::Relu | Op::MaxPool(_)) {
            let chosen = NodePaf {
                paf: pafs(&node.name),
                scale: Scaling::Uniform(reached(&node.op, operands[0]).max(f64::MIN_POSITIVE)),
                margin: 1.0,
                coefficients_from: Origin::Named,
                scale_from: Origin::Calibrate,
            };
            network.pafs.insert(id, chosen);
        }
        Ok::<_, RecoveryError>(node_values(original, id, operands))
    })?;
    Ok(network)
}

/// The largest magnitude that the sign of a node may see.
fn reached(op: &Op, operand: &Values) -> f64 {
    let (low, high) = operand.range().unwrap_or((0.0, 0.0));
    if *op == Op::Relu { low.abs().max(high.abs()) } else { high.max(0.0) - low.min(0.0) }
}
