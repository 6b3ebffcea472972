//! Mean and variance of channels, and the weights that restore them.
//!
//! A channel that had mean μ₀ and deviation σ₀ in the original network has μ₁ and σ₁ with PAFs before it. What
//! normalizes it, or the layer itself, is changed so that the network after it meets μ₀ and σ₀ again.

use std::sync::Arc;

use paf_ir::linear::{Bias, Conv, Primitive};
use paf_ir::tensor::{BatchNorm, Graph, NodeId, Op, Shape, Tensor};
use paf_ir::{Constant, LinearMap};
use paf_passes::approximate::Values;

use crate::error::RecoveryError;

/// No factor leaves [1/LIMIT, LIMIT]: beyond it the channel is noise.
const LIMIT: f64 = 4.0;

/// A deviation below this part of the largest one counts as none.
const SILENT: f64 = 1e-4;

/// Mean and deviation of one channel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Moments {
    mean: f64,
    deviation: f64,
}

/// Moments of `channels` equal parts of each sample.
fn moments(values: &Values, channels: usize) -> Vec<Moments> {
    let mut sums = vec![(0.0, 0.0, 0usize); channels];
    for block in values.summaries(|samples| sums_of(samples, channels)) {
        for (sum, part) in sums.iter_mut().zip(block) {
            *sum = (sum.0 + part.0, sum.1 + part.1, sum.2 + part.2);
        }
    }
    let moments = |&(sum, squares, count): &(f64, f64, usize)| {
        let count = count.max(1) as f64;
        let mean = sum / count;
        Moments { mean, deviation: (squares / count - mean * mean).max(0.0).sqrt() }
    };
    sums.iter().map(moments).collect()
}

/// For each channel the sum, the sum of squares, and the number of values.
fn sums_of(samples: &[Vec<f64>], channels: usize) -> Vec<(f64, f64, usize)> {
    let mut sums = vec![(0.0, 0.0, 0); channels];
    for sample in samples {
        let part = (sample.len() / channels).max(1);
        for (sum, channel) in sums.iter_mut().zip(sample.chunks(part)) {
            let (mut first, mut second) = (0.0, 0.0);
            for x in channel {
                (first, second) = (first + x, second + x * x);
            }
            *sum = (sum.0 + first, sum.1 + second, sum.2 + channel.len());
        }
    }
    sums
}

/// What the original network shows at one node: of a BatchNorm its input's moments, of a layer with channels its
/// result's; `None` for any other node.
pub(super) fn reference(graph: &Graph, id: NodeId, operand: &Values, result: &Values) -> Option<Vec<Moments>> {
    match &graph.node(id).op {
        Op::BatchNorm(norm) => Some(moments(operand, norm.mean.data.len())),
        _ => output_channels(graph, id).map(|channels| moments(result, channels)),
    }
}

/// For each channel: σ₁/σ₀ and both means; the ratio is 1 for silent channels.
fn ratios(before: &[Moments], approximated: &Values) -> Vec<(f64, f64, f64)> {
    let after = moments(approximated, before.len());
    let largest = before.iter().map(|moments| moments.deviation).fold(0.0, f64::max);
    let ratio = |(before, after): (&Moments, &Moments)| {
        let silent = before.deviation.min(after.deviation) <= SILENT * largest;
        let ratio = if silent { 1.0 } else { (after.deviation / before.deviation).clamp(1.0 / LIMIT, LIMIT) };
        (ratio, before.mean, after.mean)
    };
    before.iter().zip(&after).map(ratio).collect()
}

/// Running statistics under which what comes now is normalized to what came in the original network.
pub(super) fn matched_norm(norm: &BatchNorm, exact: &[Moments], approximated: &Values) -> BatchNorm {
    let ratios = ratios(exact, approximated);
    let channels = ratios.iter().enumerate();
    let (mean, variance) = channels
        .map(|(channel, &(ratio, before, after))| {
            let mean = after + ratio * (norm.mean.data[channel] - before);
            let variance = ratio * ratio * (norm.variance.data[channel] + norm.epsilon) - norm.epsilon;
            (mean, variance.max(0.0))
        })
        .unzip();
    BatchNorm { mean: vector(mean), variance: vector(variance), ..norm.clone() }
}

/// New weights of a convolution or dense layer: its rows are scaled, and its outputs shifted.
pub(super) struct Correction {
    layer: NodeId,
    /// What takes the shift: the layer, or the addition of a constant after it.
    shifted: Option<NodeId>,
    factors: Vec<f64>,
    shifts: Vec<f64>,
}

impl Correction {
    /// The correction of a layer that nothing else normalizes; `None` for any other node.
    pub(super) fn of(graph: &Graph, layer: NodeId, exact: &[Moments], approximated: &Values) -> Option<Self> {
        output_channels(graph, layer)?;
        let consumers = &graph.consumers()[layer.index()];
        let is_normalized = |&reader: &NodeId| matches!(graph.node(reader).op, Op::BatchNorm(_));
        if !consumers.is_empty() && consumers.iter().all(is_normalized) {
            return None;
        }
        let (factors, shifts) = ratios(exact, approximated)
            .iter()
            .map(|&(ratio, before, after)| (1.0 / ratio, before - after / ratio))
            .unzip();
        Some(Correction { layer, shifted: takes_shift(graph, layer, consumers), factors, shifts })
    }

    /// Whether anything changed: a layer without a place for a shift stays as it is.
    pub(super) fn apply(&self, graph: &mut Graph) -> Result<bool, RecoveryError> {
        let Some(shifted) = self.shifted else { return Ok(false) };
        let Op::Linear(map) = &graph.node(self.layer).op else { return Ok(false) };
        let mut layer = scaled_rows(map, &self.factors);
        if shifted == self.layer {
            layer.bias = Some(self.shifted_bias(layer.bias.as_ref(), map.outputs));
            graph.replace_weights(self.layer, Op::Linear(Arc::new(layer)))?;
            return Ok(true);
        }
        // The layer's own bias is none; its outputs are shifted where the constant is added.
        graph.replace_weights(self.layer, Op::Linear(Arc::new(layer)))?;
        let Op::Linear(addition) = &graph.node(shifted).op else { return Ok(false) };
        let mut addition = (**addition).clone();
        addition.bias = Some(self.shifted_constant(addition.bias.as_ref(), addition.outputs));
        graph.replace_weights(shifted, Op::Linear(Arc::new(addition)))?;
        Ok(true)
    }

    /// `factor · bias + shift`, one value a channel.
    fn shifted_bias(&self, bias: Option<&Bias>, outputs: usize) -> Bias {
        let repeat = outputs / self.factors.len();
        let old = |channel: usize| bias.map_or(0.0, |bias| bias.at(channel * repeat));
        let channels = self.factors.iter().zip(&self.shifts).enumerate();
        let values = channels.map(|(channel, (factor, shift))| factor * old(channel) + shift).collect();
        Bias { values: vector(values), repeat }
    }

    fn shifted_constant(&self, bias: Option<&Bias>, outputs: usize) -> Bias {
        let repeat = outputs / self.factors.len();
        let old = |channel: usize| bias.map_or(0.0, |bias| bias.at(channel * repeat));
        let values = self.shifts.iter().enumerate().map(|(channel, shift)| old(channel) + shift).collect();
        Bias { values: vector(values), repeat }
    }
}

fn vector(values: Vec<f64>) -> Constant {
    Arc::new(Tensor::new(Shape(vec![values.len()]), values))
}

/// Output channels of a convolution or a dense layer on one vector.
fn output_channels(graph: &Graph, id: NodeId) -> Option<usize> {
    let Op::Linear(map) = &graph.node(id).op else { return None };
    match &map.factors[..] {
        [Primitive::Conv(conv)] => Some(conv.weight.shape.0[0]),
        [Primitive::Dense { weight, left: 1, right: 1 }] => Some(weight.shape.0[0]),
        _ => None,
    }
}

/// Where a shift by channel can go without a new operation: into a constant that is added after the layer, or into a
/// bias of the layer's own, which Conv and Gemm can have.
fn takes_shift(graph: &Graph, layer: NodeId, consumers: &[NodeId]) -> Option<NodeId> {
    let Op::Linear(map) = &graph.node(layer).op else { return None };
    if let [reader] = consumers
        && let Op::Linear(addition) = &graph.node(*reader).op
        && addition.factors.is_empty()
        && addition.scale == 1.0
        && map.bias.is_none()
        && addition.bias.as_ref().is_some_and(|bias| is_by_channel(bias, map))
    {
        return Some(*reader);
    }
    let can_have_bias = matches!(map.factors[..], [Primitive::Conv(_)]) || map.bias.is_some();
    let bias_fits = map.bias.as_ref().is_none_or(|bias| is_by_channel(bias, map));
    (can_have_bias && bias_fits).then_some(layer)
}

/// Whether a bias holds one value for each output channel of a layer.
fn is_by_channel(bias: &Bias, layer: &LinearMap) -> bool {
    let channels = match &layer.factors[..] {
        [Primitive::Conv(conv)] => conv.weight.shape.0[0],
        [Primitive::Dense { weight, .. }] => weight.shape.0[0],
        _ => return false,
    };
    bias.values.data.len() == channels && bias.repeat * channels == layer.outputs
}

fn scaled_rows(map: &LinearMap, factors: &[f64]) -> LinearMap {
    let scale = |weight: &Constant| {
        let row = weight.data.len() / factors.len();
        let data = weight.data.iter().enumerate().map(|(index, value)| value * factors[index / row]).collect();
        Arc::new(Tensor::new(weight.shape.clone(), data))
    };
    let scaled = |factor: &Primitive| match factor {
        Primitive::Conv(conv) => Primitive::Conv(Conv { weight: scale(&conv.weight), ..conv.clone() }),
        Primitive::Dense { weight, left, right } => {
            Primitive::Dense { weight: scale(weight), left: *left, right: *right }
        }
        other => other.clone(),
    };
    LinearMap { factors: map.factors.iter().map(scaled).collect(), ..map.clone() }
}
