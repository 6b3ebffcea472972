//! The values of a network on many samples, node by node.

use paf_ir::tensor::{BatchNorm, Node, NodeId, Op};
use paf_passes::approximate::Values;
use serde::{Deserialize, Serialize};

use crate::convolve::convolved;
use crate::data::Data;
use crate::error::RecoveryError;
use crate::live::{self, follow};
use crate::network::{Network, NodePaf};

/// Samples that go through a network together where only its results are wanted.
const BATCH: usize = 128;

/// The values of one node, from those of its operands.
pub fn node_values(network: &Network, id: NodeId, operands: &[&Values]) -> Values {
    let node = network.graph.node(id);
    match (&node.op, network.pafs.get(&id)) {
        (Op::Relu, Some(chosen)) => operands[0].relu(&chosen.paf, &chosen.scale),
        (Op::MaxPool(window), Some(NodePaf { paf, scale, .. })) => {
            operands[0].pool(window, network.reduction, &|a, b| a.max(b, paf, scale))
        }
        (Op::BatchNorm(norm), _) => operands[0].affine(&affine(norm)),
        (Op::Linear(map), _) => convolved(map, operands[0]).unwrap_or_else(|| Values::exact(&node.op, operands)),
        (op, _) => Values::exact(op, operands),
    }
}

/// `γ·(x − μ)/√(σ² + ε) + β` as factor and offset of each channel.
fn affine(norm: &BatchNorm) -> Vec<(f64, f64)> {
    (0..norm.scale.data.len()).map(|channel| norm.affine(channel)).collect()
}

/// The samples as values of the network's input.
pub fn input_values(data: &Data, range: std::ops::Range<usize>) -> Values {
    let sample = |index| data.sample(index).iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
    Values::of_samples(&range.map(sample).collect::<Vec<_>>())
}

/// The first output of the network on each sample, flat.
///
/// # Errors
/// [`RecoveryError::Data`] if the network does not take these samples.
pub fn logits(network: &Network, data: &Data) -> Result<Vec<Vec<f64>>, RecoveryError> {
    let size = network.graph.node(network.graph.outputs[0].node).shape.size();
    let mut results = all_results(network, data)?;
    results.iter_mut().for_each(|result| result.truncate(size));
    Ok(results)
}

/// All outputs of the network on each sample, one after another, flat.
///
/// # Errors
/// [`RecoveryError::Data`] if the network does not take these samples.
pub fn all_results(network: &Network, data: &Data) -> Result<Vec<Vec<f64>>, RecoveryError> {
    data.check_for(&network.graph)?;
    let mut results = Vec::with_capacity(data.len());
    for start in (0..data.len()).step_by(BATCH) {
        let samples = start..data.len().min(start + BATCH);
        let value = |id, _: &Node, operands: &[&Values]| Ok::<_, RecoveryError>(node_values(network, id, operands));
        let live = follow(&network.graph, data, samples, value)?;
        results.extend(live::results(&live, &network.graph));
    }
    Ok(results)
}

/// How well results fit labels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Samples whose largest result is at their class.
    pub correct: usize,
    /// Samples.
    pub count: usize,
}

impl Accuracy {
    /// Counts the samples whose largest result is at their class.
    pub fn of(logits: &[Vec<f64>], labels: &[u32]) -> Self {
        let correct = logits.iter().zip(labels).filter(|(logits, label)| top1(logits) == **label as usize).count();
        Accuracy { correct, count: labels.len() }
    }

    /// In percent.
    pub fn percent(&self) -> f64 {
        100.0 * self.correct as f64 / self.count.max(1) as f64
    }

    /// Standard error of the percentage: that of a count of independent samples.
    pub fn standard_error(&self) -> f64 {
        let p = self.percent() / 100.0;
        100.0 * (p * (1.0 - p) / self.count.max(1) as f64).sqrt()
    }
}

/// What a second network loses to a first one on the same samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lost {
    /// Points of accuracy, in percent of the samples.
    pub points: f64,
    /// Its standard error: that of a mean of paired differences.
    pub standard_error: f64,
}

impl Lost {
    /// From whether the first and the second network are right about each sample.
    pub fn between(first: &[bool], second: &[bool]) -> Self {
        let count = first.len().max(1) as f64;
        let differ = |from: bool| first.iter().zip(second).filter(|(a, b)| **a == from && **b != from).count() as f64;
        let (lost, won) = (differ(true), differ(false));
        let (net, changed) = (lost - won, lost + won);
        let standard_error = 100.0 * (changed - net * net / count).max(0.0).sqrt() / count;
        Lost { points: 100.0 * net / count, standard_error }
    }
}

/// Index of the largest result; NaN loses.
pub fn top1(logits: &[f64]) -> usize {
    let better =
        |best: usize, index: usize| if logits[index] > logits[best] || logits[best].is_nan() { index } else { best };
    (1..logits.len()).fold(0, better)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_paired() {
        let lost = |first: [u8; 4], second: [u8; 4]| Lost::between(&first.map(|x| x == 1), &second.map(|x| x == 1));
        assert_eq!(lost([1, 1, 0, 0], [1, 1, 0, 0]), Lost { points: 0.0, standard_error: 0.0 });
        assert_eq!(
            lost([1, 1, 1, 0], [0, 1, 1, 1]),
            Lost { points: 0.0, standard_error: 100.0 * (0.5f64 / 4.0).sqrt() }
        );
        assert_eq!(lost([1, 1, 1, 0], [0, 0, 1, 0]), Lost { points: 50.0, standard_error: 25.0 });
    }
}
