//! Which channels of a ReLU have one sign for certain.
//!
//! Two things make it certain. Interval bounds hold for every input within the range of the inputs. Samples show a range, which
//! the automatic margin widens by what inputs to come are expected to exceed it, or a fixed one if that is wider.

use std::collections::BTreeMap;

use paf_ir::linear::Operator;
use paf_ir::tensor::{Graph, Live, Node, NodeId, Op, Shape};

use super::margin::Margins;
use super::values::Values;
use super::{ApproximationOptions, port_samples};
use crate::decisions::CalibrationSamples;

/// The sign of a channel's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// None is above zero: ReLU is 0.
    NeverPositive,
    /// None is below zero: ReLU is the identity.
    NeverNegative,
    /// Both may be.
    Either,
}

impl Sign {
    /// Of values within a range; [`Sign::Either`] for one that is not finite.
    fn within(range: Option<(f64, f64)>) -> Self {
        match range {
            Some((_, high)) if high <= 0.0 => Sign::NeverPositive,
            Some((low, _)) if low >= 0.0 => Sign::NeverNegative,
            _ => Sign::Either,
        }
    }

    /// This where it is certain, else the other one.
    fn or(self, other: Self) -> Self {
        if self == Sign::Either { other } else { self }
    }
}

/// Channels of a ReLU: its second axis.
pub(crate) fn channels(shape: &Shape) -> usize {
    shape.0.get(1).copied().unwrap_or(1)
}

/// For each ReLU the sign of every channel that it reads, as exact values and bounds show it. Samples that do not fit the
/// network show nothing.
pub(crate) fn signs(
    graph: &Graph,
    samples: &CalibrationSamples,
    options: &ApproximationOptions,
) -> BTreeMap<NodeId, Vec<Sign>> {
    let Some(values) = Inputs { graph, samples }.values() else { return BTreeMap::new() };
    let margins = Margins::new(options.margin, graph);
    let by_bounds = followed(graph, &bounds(graph, &values, options), |node, operand| of_bounds(operand, node));
    if samples.is_empty() {
        return by_bounds;
    }
    let mut signs = followed(graph, &values, |node, operand| of_samples(operand, node, &margins));
    for (id, proved) in by_bounds {
        let seen = signs.entry(id).or_default();
        seen.iter_mut().zip(proved).for_each(|(seen, proved)| *seen = seen.or(proved));
    }
    signs
}

/// Products with weights that looking for signs may take: more samples show little more.
const MOST_WORK: usize = 5_000_000_000;

/// Samples that are looked at in any case.
const LEAST_SAMPLES: usize = 100;

/// Every so many samples one is looked at.
fn stride(graph: &Graph, samples: &CalibrationSamples) -> usize {
    let products = |node: &Node| if let Op::Linear(map) = &node.op { Operator::new(map).products() } else { 0 };
    let of_one: usize = graph.nodes().map(|(_, node)| products(node)).sum();
    samples.len().div_ceil((MOST_WORK / of_one.max(1)).max(LEAST_SAMPLES)).max(1)
}

/// The inputs of a network and samples of them.
struct Inputs<'s> {
    graph: &'s Graph,
    samples: &'s CalibrationSamples,
}

impl Inputs<'_> {
    /// What the samples show of each input; `None` if they do not fit.
    fn values(&self) -> Option<Vec<Values>> {
        let stride = stride(self.graph, self.samples);
        let of_port = |(port, input): (usize, &(NodeId, _))| {
            let samples = port_samples(self.samples, port, self.graph.node(input.0)).ok()?;
            Some(Values::of_samples(&samples.into_iter().step_by(stride).collect::<Vec<_>>()))
        };
        self.graph.inputs.iter().enumerate().map(of_port).collect()
    }
}

/// The range of each input, at every element of it.
fn bounds(graph: &Graph, values: &[Values], options: &ApproximationOptions) -> Vec<Values> {
    let of_input = |(input, values): (&(NodeId, _), &Values)| {
        let node = graph.node(input.0);
        let decided = options.per_node.ranges.get(&node.name).copied();
        let range = match (values.range(), decided) {
            (Some(seen), Some(decided)) => (seen.0.min(decided.0), seen.1.max(decided.1)),
            (seen, decided) => decided.or(seen).unwrap_or(options.input_range),
        };
        Values::Bounds(vec![range; node.shape.size()])
    };
    graph.inputs.iter().zip(values).map(of_input).collect()
}

/// Follows exact values through a network, and looks at what each ReLU reads.
fn followed(
    graph: &Graph,
    inputs: &[Values],
    look: impl Fn(&Node, &Values) -> Vec<Sign>,
) -> BTreeMap<NodeId, Vec<Sign>> {
    let mut signs = BTreeMap::new();
    let mut live: Live<'_, Values> = Live::new(graph);
    while let Some((id, node)) = live.next() {
        if node.op == Op::Relu {
            signs.insert(id, look(node, live.operand(0)));
        }
        let input = || graph.inputs.iter().position(|input| input.0 == id).unwrap_or(0);
        let value = if node.op == Op::Input { inputs[input()].clone() } else { exact(&node.op, &live.operands()) };
        live.push(value);
    }
    signs
}

/// The exact values of an operation of an imported network.
pub(crate) fn exact(op: &Op, operands: &[&Values]) -> Values {
    match (op, operands[0]) {
        (Op::BatchNorm(norm), x) => {
            let channels: Vec<(f64, f64)> = (0..norm.scale.data.len()).map(|channel| norm.affine(channel)).collect();
            x.affine(&channels)
        }
        (Op::Function(function), Values::Bounds(bounds)) => {
            let unbounded = (f64::NEG_INFINITY, f64::INFINITY);
            let bound = |&(low, high): &(f64, f64)| match function.is_defined_on(low, high) {
                true => function.range_on(low, high),
                false => unbounded,
            };
            Values::Bounds(bounds.iter().map(bound).collect())
        }
        _ => Values::exact(op, operands),
    }
}

fn of_bounds(values: &Values, node: &Node) -> Vec<Sign> {
    let Values::Bounds(bounds) = values else { return vec![] };
    let channels = channels(&node.shape);
    let of_channel = |bounds: &[(f64, f64)]| Sign::within(Values::Bounds(bounds.to_vec()).range());
    bounds.chunks((bounds.len() / channels).max(1)).map(of_channel).collect()
}

fn of_samples(values: &Values, node: &Node, margins: &Margins) -> Vec<Sign> {
    let channels = channels(&node.shape);
    let Some(extremes) = values.channel_extremes(channels, 1) else { return vec![Sign::Either; channels] };
    let of_channel = |channel: usize| {
        let ranges: Vec<(f64, f64)> = extremes.samples.iter().map(|sample| sample[channel]).collect();
        Sign::within(margins.expected_range(&ranges, channels))
    };
    (0..channels).map(of_channel).collect()
}
