//! Static scales: one for a tensor, or one for each channel.
//!
//! ReLU and maxima within a channel commute with a positive factor on the channel, `relu(s·x) = s·relu(x)`. Where linear
//! maps stand before and after, the factors melt into them, so scales by channel cost nothing and keep a channel of
//! small values as precise as one of large values.

use std::sync::Arc;

use paf_ir::linear::{Bias, LinearMap, Primitive};
use paf_ir::tensor::{Graph, NodeId, Op, Shape, Tensor};

use super::batch::Extremes;
use super::values::Values;
use crate::error::PassError;
use crate::paf::Paf;

/// Values a channel must show on the samples before its own extremes are trusted: with fewer, an input not seen
/// in calibration leaves the scale too often.
const TRUSTED_VALUES: usize = 50_000;

/// The same for polynomials of ReLU, to which a wide scale, as few samples ask for, costs little.
const TRUSTED_BY_RECTIFIERS: usize = 10_000;

/// Values of each channel that its own scale takes, beside this PAF.
pub(super) fn trusted_values(paf: &Paf) -> usize {
    if paf.rectifier().is_some() { TRUSTED_BY_RECTIFIERS } else { TRUSTED_VALUES }
}

/// No channel's scale falls below this part of the largest one.
pub(super) const SMALLEST_PART: f64 = 1e-3;

/// Scales of one tensor.
#[derive(Debug, Clone, PartialEq)]
pub enum Scaling {
    /// One scale.
    Uniform(f64),
    /// One scale a channel; channels are equal parts of the tensor.
    Channels(Vec<f64>),
}

impl Scaling {
    /// Scales by channel from a statistic of each channel's `(lowest, highest)` value, times a factor that all have in
    /// common; `None` without samples enough.
    pub(super) fn by_channel(
        values: &Values,
        (channels, trusted): (usize, usize),
        statistic: impl Fn(f64, f64) -> f64,
        factor: impl Fn(&Extremes) -> f64,
    ) -> Option<Self> {
        let extremes = values.channel_extremes(channels, trusted)?;
        let factor = factor(&extremes);
        let scales: Vec<f64> = extremes.ranges().iter().map(|&(low, high)| factor * statistic(low, high)).collect();
        let largest = scales.iter().copied().fold(0.0, f64::max);
        let usable = largest > 0.0 && largest.is_finite();
        usable.then(|| Scaling::Channels(scales.iter().map(|scale| scale.max(SMALLEST_PART * largest)).collect()))
    }

    /// Every scale times a factor.
    pub fn times(&self, factor: f64) -> Scaling {
        match self {
            Scaling::Uniform(scale) => Scaling::Uniform(scale * factor),
            Scaling::Channels(scales) => Scaling::Channels(scales.iter().map(|scale| scale * factor).collect()),
        }
    }

    /// The same with each scale at least this part of another one of the same channels.
    pub(super) fn at_least(&self, part: f64, others: &Scaling) -> Scaling {
        match (self, others) {
            (Scaling::Uniform(scale), _) => Scaling::Uniform(scale.max(part * others.largest())),
            (Scaling::Channels(scales), _) => {
                let others = others.parts(1).0;
                let raised = |(channel, scale): (usize, &f64)| scale.max(part * others[channel % others.len()]);
                Scaling::Channels(scales.iter().enumerate().map(raised).collect())
            }
        }
    }

    /// The largest scale.
    pub fn largest(&self) -> f64 {
        match self {
            Scaling::Uniform(scale) => *scale,
            Scaling::Channels(scales) => scales.iter().copied().fold(0.0, f64::max),
        }
    }

    /// The scales and how many consecutive elements of a tensor of `size` share each.
    pub fn parts(&self, size: usize) -> (&[f64], usize) {
        match self {
            Scaling::Uniform(scale) => (std::slice::from_ref(scale), size.max(1)),
            Scaling::Channels(scales) => (scales, (size / scales.len()).max(1)),
        }
    }

    /// Each of these scales in parts of another one of the same channels.
    pub(super) fn in_units(&self, units: &Scaling) -> Vec<f64> {
        let (own, units) = (self.parts(1).0, units.parts(1).0);
        let channels = own.len().max(units.len());
        (0..channels).map(|channel| own[channel % own.len()] / units[channel % units.len()]).collect()
    }

    /// Each scale divided by the factor of its channel, or by that of all.
    pub(super) fn in_parts(&self, factors: &[f64]) -> Scaling {
        if let (Scaling::Uniform(scale), [factor, others @ ..]) = (self, factors)
            && others.iter().all(|other| other == factor)
        {
            return Scaling::Uniform(scale / factor);
        }
        Scaling::Channels(self.in_units(&Scaling::Channels(factors.to_vec())))
    }

    /// `x / scale`.
    pub(super) fn divide(&self, graph: &mut Graph, name: &str, x: NodeId) -> Result<NodeId, PassError> {
        self.apply(graph, name, x, |scale| 1.0 / scale)
    }

    /// `x · scale`.
    pub(super) fn multiply(&self, graph: &mut Graph, name: &str, x: NodeId) -> Result<NodeId, PassError> {
        self.apply(graph, name, x, |scale| scale)
    }

    fn apply(
        &self,
        graph: &mut Graph,
        name: &str,
        x: NodeId,
        factor: impl Fn(f64) -> f64,
    ) -> Result<NodeId, PassError> {
        match self {
            Scaling::Uniform(scale) => Ok(graph.add(name, Op::Scale(factor(*scale)), &[x])?),
            Scaling::Channels(scales) => {
                diagonal(graph, name, x, scales.iter().map(|&scale| factor(scale)).collect(), None)
            }
        }
    }
}

/// A map that multiplies each channel by its factor, and adds its bias.
pub(super) fn diagonal(
    graph: &mut Graph,
    name: &str,
    x: NodeId,
    factors: Vec<f64>,
    bias: Option<Vec<f64>>,
) -> Result<NodeId, PassError> {
    let shape = graph.node(x).shape.clone();
    let repeat = shape.size() / factors.len();
    let vector = |values: Vec<f64>| Arc::new(Tensor::new(Shape(vec![values.len()]), values));
    let diagonal = Primitive::Diagonal { values: vector(factors), repeat, size: shape.size() };
    let bias = bias.map(|bias| Bias { values: vector(bias), repeat });
    Ok(graph.linear(name, LinearMap::of(diagonal, bias), x, shape)?)
}
