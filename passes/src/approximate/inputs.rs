//! Which scales the elements of an input get.
//!
//! All elements share one, unless that costs bits: encryption adds noise in parts of the scale, and where a table's scaler is
//! part of the network (a balance of 10^5 beside flags, each divided by its own deviation), the first layer multiplies what
//! lies on the small columns. So noise is sent through the first maps, once under a shared scale and once with columns of
//! their own, and compared with what the samples make there. Elements of pixels are alike, and keep one scale.
//!
//! A column that calibration shows to be constant becomes that constant where its value lies outside of the shared range, or
//! where the noise on it would drown the rest.

use std::sync::Arc;

use paf_ir::lanes::{LANES, side_by_side};
use paf_ir::linear::{Bias, LinearMap, Operator, Primitive};
use paf_ir::program::{InputScaling, OwnColumn, OwnColumns};
use paf_ir::random::SplitMix64;
use paf_ir::tensor::{BatchAxis, Graph, NodeId, Op, Shape, Tensor};

use crate::error::PassError;

/// A column gets a scale of its own where its values spread over less than this part of the shared scale.
const SMALL: f64 = 1.0 / 8.0;

/// Noise in parts of what the samples make of the first maps, for an error as large as the scale, that costs no bits worth
/// saving: that of an ordinary layer is a few.
const ORDINARY: f64 = 16.0;

/// How many times less noise columns of their own must have.
const WORTH: f64 = 4.0;

/// Columns at most; an input of more elements has pixels.
const MOST_COLUMNS: usize = 1 << 16;

/// Samples that say how large the results of the first maps are.
const SAMPLES: usize = 64;

/// What the client does with an input that showed these samples, where `shared` is one scale for all.
pub(super) fn scaling(
    graph: &Graph,
    (input, batch): (NodeId, BatchAxis),
    samples: &[&[f64]],
    shared: InputScaling,
) -> InputScaling {
    let Some(elements) = samples.first().map(|sample| sample.len()) else { return shared };
    let Some(first) = FirstMaps::of(graph, input, samples) else { return shared };
    let before = first.noise(&vec![shared.scale.recip(); elements]);
    if before <= ORDINARY {
        return shared;
    }
    let shape = batch.sample_shape(&graph.node(input).shape);
    let groups = (0..shape.0.len()).map(|axis| Grouping::along(&shape, axis));
    let groups = groups.filter(|group| (2..=MOST_COLUMNS).contains(&group.count));
    let separated = groups.filter_map(|group| Columns::new(group, samples).separated(&first, elements, before));
    let best = separated.min_by(|a, b| a.1.total_cmp(&b.1));
    best.map_or(shared, |(scaling, _)| scaling)
}

/// The input in the network's own units, from what the client encrypts.
pub(super) fn unscaled(graph: &mut Graph, name: &str, x: NodeId, scaling: &InputScaling) -> Result<NodeId, PassError> {
    let shared = scaling.scale.recip();
    let OwnColumns { repeat, count, columns } = &scaling.own;
    if columns.is_empty() {
        return Ok(graph.add(name, Op::Scale(shared), &[x])?);
    }
    let (mut factors, mut offsets) = (vec![shared; *count], vec![0.0; *count]);
    for own in columns {
        factors[own.column] = if own.scale == 0.0 { 0.0 } else { own.scale.recip() };
        offsets[own.column] = own.offset;
    }
    let shape = graph.node(x).shape.clone();
    let vector = |values: Vec<f64>| Arc::new(Tensor::new(Shape(vec![values.len()]), values));
    let bias = offsets.iter().any(|&offset| offset != 0.0);
    let bias = bias.then(|| Bias { values: vector(offsets), repeat: *repeat });
    let diagonal = Primitive::Diagonal { values: vector(factors), repeat: *repeat, size: shape.size() };
    Ok(graph.linear(name, LinearMap::of(diagonal, bias), x, shape)?)
}

/// The maps that read an input, and how much the results of each differ from sample to sample.
struct FirstMaps {
    maps: Vec<Operator>,
    spread: Vec<f64>,
}

impl FirstMaps {
    /// None where something else reads it: there a scale by column would take a level.
    fn of(graph: &Graph, input: NodeId, samples: &[&[f64]]) -> Option<Self> {
        let consumers = graph.consumers();
        let (mut pending, mut maps) = (vec![input], vec![]);
        while let Some(id) = pending.pop() {
            if graph.outputs.iter().any(|output| output.node == id) {
                return None;
            }
            for &reader in &consumers[id.index()] {
                match &graph.node(reader).op {
                    Op::Linear(map) => maps.push(Operator::new(&LinearMap { bias: None, ..(**map).clone() })),
                    Op::Reshape => pending.push(reader),
                    _ => return None,
                }
            }
        }
        let spread = maps.iter().map(|map| spread(map, samples)).collect();
        (!maps.is_empty()).then_some(FirstMaps { maps, spread })
    }

    /// Root mean square of a map's results for elements drawn from noise of these sizes, in parts of what samples make there:
    /// the most of any map.
    fn noise(&self, sizes: &[f64]) -> f64 {
        let mut numbers = SplitMix64::new(0);
        // Uniform numbers of variance 1.
        let mut number = || (numbers.uniform() - 0.5) * 12f64.sqrt();
        let x: Vec<[f64; LANES]> = sizes.iter().map(|size| [(); LANES].map(|()| size * number())).collect();
        let of_map = |map: &Operator| root_mean_square(map.apply(&x).as_flattened().iter().copied());
        self.maps.iter().zip(&self.spread).map(|(map, spread)| of_map(map) / spread).fold(0.0, f64::max)
    }
}

/// How much a map's results differ from sample to sample; how large they are where they do not.
fn spread(map: &Operator, samples: &[&[f64]]) -> f64 {
    let blocks = samples[..samples.len().min(SAMPLES)].chunks(LANES);
    let results: Vec<Vec<[f64; LANES]>> = blocks.map(|block| map.apply(&side_by_side(block))).collect();
    let size = results.first().map_or(0, Vec::len);
    let of = |element: usize| results.iter().flat_map(move |result| result[element]);
    let mean = |element: usize| of(element).sum::<f64>() / (results.len() * LANES) as f64;
    let deviations = (0..size).flat_map(|element| {
        let mean = mean(element);
        of(element).map(move |value| value - mean)
    });
    match root_mean_square(deviations) {
        0.0 => root_mean_square(results.iter().flatten().flatten().copied()),
        spread => spread,
    }
}

fn root_mean_square(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0usize), |(sum, count), value| (sum + value * value, count + 1));
    (sum / count.max(1) as f64).sqrt()
}

/// Elements of an input that are one column: those with the same place along an axis.
#[derive(Clone, Copy)]
struct Grouping {
    repeat: usize,
    count: usize,
}

impl Grouping {
    fn along(shape: &Shape, axis: usize) -> Self {
        Grouping { repeat: shape.strides()[axis], count: shape.0[axis] }
    }

    fn column(self, element: usize) -> usize {
        element / self.repeat % self.count
    }
}

/// Lowest and highest value of each column.
struct Columns {
    group: Grouping,
    ranges: Vec<(f64, f64)>,
    /// Whether each column is a single element, whose middle may be subtracted.
    single: bool,
}

impl Columns {
    fn new(group: Grouping, samples: &[&[f64]]) -> Self {
        let mut ranges = vec![(f64::INFINITY, f64::NEG_INFINITY); group.count];
        for sample in samples {
            for (element, &value) in sample.iter().enumerate() {
                let (low, high) = &mut ranges[group.column(element)];
                (*low, *high) = (low.min(value), high.max(value));
            }
        }
        let single = samples.first().is_some_and(|sample| sample.len() == group.count);
        Columns { group, ranges, single }
    }

    /// Half the width of a column, or its reach where nothing may be subtracted.
    fn half(&self, column: usize) -> f64 {
        let (low, high) = self.ranges[column];
        if self.single { (high - low) / 2.0 } else { low.abs().max(high.abs()) }
    }

    /// The scales with columns of their own, and the noise that they have, where that is worth it beside the noise before.
    fn separated(&self, first: &FirstMaps, elements: usize, before: f64) -> Option<(InputScaling, f64)> {
        let (constant, varying): (Vec<usize>, Vec<usize>) =
            (0..self.group.count).partition(|&column| self.ranges[column].0 == self.ranges[column].1);
        let reach_of = |column: usize| self.ranges[column].0.abs().max(self.ranges[column].1.abs());
        let reach = varying.iter().map(|&column| reach_of(column)).fold(0.0, f64::max);
        let noise_of = |size: &dyn Fn(usize) -> f64| {
            let sizes: Vec<f64> = (0..elements).map(|element| size(self.group.column(element))).collect();
            first.noise(&sizes)
        };
        let small: Vec<usize> = varying.iter().copied().filter(|&column| self.half(column) < SMALL * reach).collect();
        let is_small = |column: usize| small.binary_search(&column).is_ok();
        let is_constant = |column: usize| constant.binary_search(&column).is_ok();
        let large = || varying.iter().copied().filter(|&column| !is_small(column));
        let range = large().map(|column| self.ranges[column]).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        let scale = range.map_or(1.0, |(low, high)| low.abs().max(high.abs()));
        let after = noise_of(&|column| {
            if is_constant(column) {
                0.0
            } else if is_small(column) {
                self.half(column)
            } else {
                scale
            }
        });
        if before <= WORTH * after {
            return None;
        }
        let drowns = |column: usize| noise_of(&|other| if other == column { scale } else { 0.0 }) > ORDINARY;
        let is_outside = |value: f64| range.is_none_or(|(low, high)| value < low || value > high);
        let fixed = constant.iter().copied().filter(|&column| is_outside(self.ranges[column].0) || drowns(column));
        let own = |column: usize| {
            let (low, high) = self.ranges[column];
            let (half, middle) = (self.half(column), (low + high) / 2.0);
            let offset = if self.single || low == high { middle } else { 0.0 };
            let scale = if low == high { 0.0 } else { half.recip() };
            OwnColumn { column, offset, scale, range: (low, high) }
        };
        let mut columns: Vec<OwnColumn> = small.iter().copied().chain(fixed).map(own).collect();
        columns.sort_by_key(|own| own.column);
        let own = OwnColumns { repeat: self.group.repeat, count: self.group.count, columns };
        let range = range.unwrap_or((-1.0, 1.0));
        Some((InputScaling { scale: scale.recip(), range, own }, after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A dense layer that divides each column by its deviation and adds them up.
    fn scaler(deviations: &[f64]) -> Graph {
        let mut graph = Graph::default();
        let shape = Shape(vec![1, deviations.len()]);
        let x = graph.input("x", shape, BatchAxis::First);
        let weight = Tensor::new(Shape(vec![1, deviations.len()]), deviations.iter().map(|x| x.recip()).collect());
        let map = LinearMap::of(Primitive::Dense { weight: Arc::new(weight), left: 1, right: 1 }, None);
        let y = graph.linear("y", map, x, Shape(vec![1, 1])).unwrap();
        graph.outputs = vec![paf_ir::tensor::Output { name: "y".into(), node: y }];
        graph
    }

    fn decided(deviations: &[f64], samples: &[Vec<f64>]) -> InputScaling {
        let graph = scaler(deviations);
        let samples: Vec<&[f64]> = samples.iter().map(Vec::as_slice).collect();
        let all = || samples.iter().flat_map(|sample| sample.iter().copied());
        let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
        let shared = InputScaling::shared(low.abs().max(high.abs()).recip(), (low, high));
        scaling(&graph, graph.inputs[0], &samples, shared)
    }

    fn numbers(mut column: impl FnMut(usize, f64) -> f64, columns: usize) -> Vec<Vec<f64>> {
        let mut numbers = SplitMix64::new(3);
        (0..50).map(|_| (0..columns).map(|place| column(place, numbers.uniform())).collect()).collect()
    }

    #[test]
    fn a_balance_and_a_flag_have_ranges_of_their_own() {
        let samples = numbers(|place, u| if place == 0 { 1e5 * u } else { u.round() }, 2);
        let scaling = decided(&[3e4, 0.5], &samples);
        assert_eq!(scaling.own.columns, [OwnColumn { column: 1, offset: 0.5, scale: 2.0, range: (0.0, 1.0) }]);
        assert!(scaling.scale > 1e-5 && scaling.scale < 1.2e-5);
    }

    #[test]
    fn what_is_alike_shares_a_range() {
        // Pixels, some of which are dark on all samples.
        let samples = numbers(|place, u| if place % 3 == 0 { u } else { 0.01 * u }, 12);
        assert!(decided(&[1.0; 12], &samples).own.columns.is_empty());
        // Large columns whose weights are as small.
        let samples = numbers(|_, u| 1e5 * (u - 0.5), 4);
        assert!(decided(&[3e4; 4], &samples).own.columns.is_empty());
    }

    #[test]
    fn constants_become_constants_where_they_must() {
        let with = |constant: f64, deviation: f64| {
            let samples = numbers(|place, u| if place == 1 { constant } else { 4.0 * u - 2.0 }, 3);
            decided(&[1.0, deviation, 1.0], &samples).own.columns
        };
        assert!(with(1.0, 1.0).is_empty(), "within the range, with an ordinary gain");
        assert_eq!(with(1.0, 1e-7), [OwnColumn { column: 1, offset: 1.0, scale: 0.0, range: (1.0, 1.0) }]);
        let outside = with(1e4, 1.0);
        assert_eq!(outside, [OwnColumn { column: 1, offset: 1e4, scale: 0.0, range: (1e4, 1e4) }]);
    }

    #[test]
    fn the_network_gets_what_it_had() {
        let samples = numbers(|place, u| [1e5 * u, u.round(), 7.0][place], 3);
        let scaling = decided(&[3e4, 0.5, 1e-7], &samples);
        assert_eq!(scaling.own.columns.len(), 2);
        let mut graph = Graph::default();
        let x = graph.input("x", Shape(vec![1, 3]), BatchAxis::First);
        let node = unscaled(&mut graph, "x", x, &scaling).unwrap();
        graph.outputs = vec![paf_ir::tensor::Output { name: "x".into(), node }];
        for sample in &samples {
            let scaled: Vec<f64> = (0..3).map(|element| scaling.scaled(element, sample[element])).collect();
            assert!(scaled.iter().all(|x| x.abs() <= 1.0));
            let back = paf_ir::tensor::evaluate(&graph, &[scaled]).unwrap().remove(0);
            assert!(back.iter().zip(sample).all(|(a, b)| (a - b).abs() <= 1e-12 * b.abs().max(1.0)));
        }
    }
}
