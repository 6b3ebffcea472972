//! Which static scale a ReLU or MaxPool gets.

use std::collections::BTreeMap;

use paf_ir::linear::Window;
use paf_ir::tensor::{Graph, Node, NodeId, Op};

use super::margin::Margins;
use super::scaling::{Scaling, trusted_values};
use super::values::Values;
use super::{ApproximationOptions, finite_range, order};
use crate::error::PassError;
use crate::paf::Paf;

/// Decides on scales from a network, the options, and how many samples there are.
pub(super) struct Scales<'a> {
    pub(super) source: &'a Graph,
    pub(super) options: &'a ApproximationOptions,
    pub(super) consumers: Vec<Vec<NodeId>>,
    pub(super) sample_count: usize,
    /// Levels below each node, as far as they tell which addend has some to spare.
    depths: Vec<u32>,
    /// Of what has no PAF: outputs and smooth functions.
    margins: Margins,
    default_margins: Margins,
    /// Of nodes with a PAF of their own.
    node_margins: BTreeMap<&'a str, Margins>,
}

impl<'a> Scales<'a> {
    pub(super) fn new(source: &'a Graph, options: &'a ApproximationOptions, sample_count: usize) -> Self {
        let margins = Margins::new(options.margin, source);
        let own = |(node, paf): (&'a String, &Paf)| (node.as_str(), margins.beside(paf));
        Scales {
            source,
            options,
            consumers: source.consumers(),
            sample_count,
            depths: depths(source),
            margins,
            default_margins: margins.beside(&options.default_paf),
            node_margins: options.per_node.pafs.iter().map(own).collect(),
        }
    }

    fn paf_of(&self, node: &Node) -> &Paf {
        self.options.per_node.pafs.get(&node.name).unwrap_or(&self.options.default_paf)
    }

    fn margins_of(&self, node: &Node) -> &Margins {
        self.node_margins.get(node.name.as_str()).unwrap_or(&self.default_margins)
    }

    /// The scale of a ReLU that sees these values.
    pub(super) fn of_relu(&self, id: NodeId, node: &Node, values: &Values) -> Result<Scaling, PassError> {
        self.scaling(id, node, values, reach_of_sign, 1.0)
    }

    /// The scale of a MaxPool that sees these values, guard included.
    pub(super) fn of_pool(&self, id: NodeId, node: &Node, values: &Values, guard: f64) -> Result<Scaling, PassError> {
        let scaling = self.scaling(id, node, values, reach_of_difference, guard)?;
        match &scaling {
            Scaling::Channels(scales) if !self.options.per_node.scales.contains_key(&node.name) => {
                let spread = spread_of_channels(values, scales);
                Ok(scaling.times((spread * guard).max(1.0)))
            }
            _ => Ok(scaling),
        }
    }

    fn scaling(
        &self,
        id: NodeId,
        node: &Node,
        values: &Values,
        reach: impl Fn(f64, f64) -> f64,
        guard: f64,
    ) -> Result<Scaling, PassError> {
        let (low, high) = finite_range(values, &node.name)?;
        if let Some(given) = self.options.per_node.scales.get(&node.name) {
            check_given(node, given, values, &reach)?;
            return Ok(given.clone());
        }
        let margins = self.margins_of(node);
        let by_channel = match self.channels_between_maps(id, node) {
            Some(channels) => {
                let trusted = trusted_values(self.paf_of(node));
                Scaling::by_channel(values, (channels, trusted), &reach, |seen| margins.of(Some(seen), &reach) * guard)
            }
            None => None,
        };
        match by_channel {
            Some(scaling) => Ok(scaling),
            None => Ok(Scaling::Uniform(uniform(margins, values, reach(low, high), &reach) * guard)),
        }
    }

    /// Refuses a scale that was given for a pool if two values differ by more. One that calibration decided on holds
    /// them all; a given one may be of coefficients that overshoot, or of another order of comparisons.
    pub(super) fn check_comparison(&self, pool: &Node, a: &Values, b: &Values) -> Result<(), PassError> {
        let Some(given) = self.options.per_node.scales.get(&pool.name) else { return Ok(()) };
        check_given(pool, given, &a.zip(b, |a, b| a - b), &reach_of_sign)
    }

    /// The margin of an output or of the operand of a smooth function.
    pub(super) fn margin(&self, values: &Values, reach: impl Fn(f64, f64) -> f64) -> f64 {
        self.margins.of(values.extremes().as_ref(), reach)
    }

    /// Whether the comparison of a ReLU becomes part of the pool that reads it. Scales that were given are those of two
    /// nodes, not of one.
    pub(super) fn is_part_of_pool(&self, relu: NodeId) -> bool {
        let has_scale = |id: NodeId| self.options.per_node.scales.contains_key(&self.source.node(id).name);
        order::joins_pool(self.source, &self.consumers, relu, self.options.reduction)
            && !has_scale(relu)
            && !has_scale(self.consumers[relu.index()][0])
    }

    /// The one pool after a ReLU.
    pub(super) fn pool_after(&self, id: NodeId) -> Option<(NodeId, &'a Node, &'a Window)> {
        let [reader] = self.consumers[id.index()][..] else { return None };
        let pool = self.source.node(reader);
        let Op::MaxPool(window) = &pool.op else { return None };
        Some((reader, pool, window))
    }

    /// Whether a ReLU reads a linear map.
    pub(super) fn reads_map(&self, id: NodeId) -> bool {
        matches!(self.source.node(self.source.node(id).inputs[0]).op, Op::Linear(_))
    }

    /// Number of channels of a ReLU or MaxPool that stands between linear maps, with others of its kind at most.
    fn channels_between_maps(&self, id: NodeId, node: &Node) -> Option<usize> {
        let scales_by_channel =
            self.takes_channels(node) && self.comes_from_map(node, node.inputs[0]) && self.goes_to_maps(node, id);
        scales_by_channel.then(|| node.shape.0[1])
    }

    /// Whether a node may have scales by channel: none was given, and calibration shows enough of each channel.
    fn takes_channels(&self, node: &Node) -> bool {
        let input = &self.source.node(node.inputs[0]).shape;
        let given = self.options.per_node.scales.contains_key(&node.name);
        !given
            && input.0.len() > 2
            && input.size() / input.0[1].max(1) * self.sample_count >= trusted_values(self.paf_of(node))
    }

    /// Whether what a node reads can be divided by scales of its own.
    fn comes_from_map(&self, reader: &Node, id: NodeId) -> bool {
        let node = self.source.node(id);
        match &node.op {
            Op::Linear(_) | Op::BatchNorm(_) => true,
            Op::Relu | Op::MaxPool(_) => {
                self.takes_channels(node) && self.goes_to_maps(node, id) && self.comes_from_map(node, node.inputs[0])
            }
            Op::Add => self.paf_of(reader).rectifier().is_some() && self.may_be_divided(node),
            _ => false,
        }
    }

    /// Whether a sum can be divided channel by channel at no level: each addend is a map that nothing else reads, or has a
    /// level to spare for a map of its own.
    fn may_be_divided(&self, sum: &Node) -> bool {
        let melts = |id: &NodeId| {
            let is_map = matches!(self.source.node(*id).op, Op::Linear(_) | Op::BatchNorm(_));
            is_map && self.consumers[id.index()].len() == 1
        };
        sum.inputs.iter().all(|addend| melts(addend) || self.has_level_to_spare(sum, *addend))
    }

    /// Whether another addend is deeper.
    fn has_level_to_spare(&self, sum: &Node, addend: NodeId) -> bool {
        sum.inputs.iter().any(|other| self.depths[other.index()] > self.depths[addend.index()])
    }

    /// Whether all that reads a node's result can take it by channel.
    fn goes_to_maps(&self, node: &Node, id: NodeId) -> bool {
        let is_rectifier = self.paf_of(node).rectifier().is_some();
        let is_output = self.source.outputs.iter().any(|output| output.node == id);
        let reads_in_channels = |&reader: &NodeId| {
            let node = self.source.node(reader);
            match &node.op {
                Op::Linear(_) | Op::BatchNorm(_) => true,
                Op::Relu | Op::MaxPool(_) => self.takes_channels(node) && self.goes_to_maps(node, reader),
                Op::Reshape => self.goes_to_maps(node, reader),
                Op::Add => is_rectifier && self.has_level_to_spare(node, id),
                _ => false,
            }
        };
        !is_output && self.consumers[id.index()].iter().all(reads_in_channels)
    }
}

/// Levels below each node: a linear map takes one, ReLU and pools take several.
fn depths(graph: &Graph) -> Vec<u32> {
    let mut depths: Vec<u32> = Vec::with_capacity(graph.len());
    for (_, node) in graph.nodes() {
        let below = node.inputs.iter().map(|input| depths[input.index()]).max().unwrap_or(0);
        let own = match &node.op {
            Op::Relu | Op::MaxPool(_) => LEVELS_OF_RELU,
            op => super::levels_without_paf(op),
        };
        depths.push(below + own);
    }
    depths
}

/// Levels of a ReLU, for the comparison of depths: the fewest there are.
const LEVELS_OF_RELU: u32 = 3;

/// margin × reached. A node that sees only zeros gets 1.
fn uniform(margins: &Margins, values: &Values, reached: f64, reach: impl Fn(f64, f64) -> f64) -> f64 {
    if reached > 0.0 { margins.of(values.extremes().as_ref(), reach) * reached } else { 1.0 }
}

/// Rounding that a given scale forgives: those who measured it folded the network otherwise.
const ROUNDING: f64 = 1e-6;

/// A given scale fits the tensor, and no sample leaves it. Interval bounds are too wide to tell.
fn check_given(
    node: &Node,
    given: &Scaling,
    values: &Values,
    reach: &impl Fn(f64, f64) -> f64,
) -> Result<(), PassError> {
    let scales = match given {
        Scaling::Uniform(scale) => std::slice::from_ref(scale),
        Scaling::Channels(scales) => scales,
    };
    let channels = node.shape.0.get(1).copied().unwrap_or(1);
    if !(scales.len() == 1 || scales.len() == channels)
        || scales.iter().any(|&scale| !(scale > 0.0 && scale < f64::INFINITY))
    {
        return Err(PassError::BadScale { node: node.name.clone(), given: scales.len(), channels });
    }
    let Some(extremes) = values.channel_extremes(scales.len(), 1) else { return Ok(()) };
    for (&scale, (low, high)) in scales.iter().zip(extremes.ranges()) {
        let reached = reach(low, high);
        if reached > scale * (1.0 + ROUNDING) {
            return Err(PassError::OutOfRange { node: node.name.clone(), reached, scale });
        }
    }
    Ok(())
}

/// What the argument of a sign reaches for values in a range.
pub(super) fn reach_of_sign(low: f64, high: f64) -> f64 {
    low.abs().max(high.abs())
}

/// What a difference of two values in a range reaches; zero counts as a value, gaps between elements hold it.
fn reach_of_difference(low: f64, high: f64) -> f64 {
    high.max(0.0) - low.min(0.0)
}

/// What a difference of any two channels reaches, each in parts of its scale: slots beyond the edge of a channel hold the
/// next one, and what is compared there has to stay within the polynomial too.
fn spread_of_channels(values: &Values, scales: &[f64]) -> f64 {
    let Some(extremes) = values.channel_extremes(scales.len(), 1) else { return 0.0 };
    let in_parts = extremes.ranges().into_iter().zip(scales).map(|((low, high), scale)| (low / scale, high / scale));
    let (low, high) = in_parts.fold((0.0f64, 0.0f64), |all, (low, high)| (all.0.min(low), all.1.max(high)));
    reach_of_difference(low, high)
}

/// How far values in a range lie from the middle of another one.
pub(super) fn reach_from_middle(low: f64, high: f64) -> impl Fn(f64, f64) -> f64 {
    let middle = (low + high) / 2.0;
    move |low, high| (low - middle).abs().max((high - middle).abs())
}
