//! How far values reach at each ReLU and MaxPool, and scales that hold them.

use std::collections::BTreeMap;

use candle_core::{DType, Tensor};
use paf_adapt::Data;
use paf_adapt::RecoveryError;
use paf_ir::tensor::{NodeId, Op};
use paf_passes::approximate::Scaling;

use crate::batches;
use crate::error::TrainError;
use crate::model::{Normalizing, Pass, Seen, TapeModel};

/// What a scale that grows gets on top, so that it need not grow again when those before it settle.
const SLACK: f64 = 1.02;

/// How often a batch is run again, beyond once for each operator, until it stays within the scales.
const MORE_TRIES: usize = 4;

/// Ranges of an operator's parts, those with a scale of their own.
type Ranges = Vec<Range>;

/// What a part of a tensor with a scale of its own showed.
#[derive(Debug, Clone, Copy)]
struct Range {
    /// Lowest value.
    low: f64,
    /// Highest value.
    high: f64,
    /// Largest magnitude in a comparison. A PAF above 1 makes results of a pool's comparisons that are larger than what
    /// was compared, so later ones may see more than the pool's input tells.
    difference: f64,
}

impl Range {
    const NOTHING: Range = Range { low: f64::INFINITY, high: f64::NEG_INFINITY, difference: 0.0 };

    /// The largest argument of the sign, in units of the tensor. Where a pool's input leaves the scale, its comparisons
    /// came through a polynomial out of its range and say nothing.
    fn reach(&self, op: &Op, scale: f64) -> f64 {
        let Op::MaxPool(_) = op else { return self.low.abs().max(self.high.abs()) };
        let span = self.high.max(0.0) - self.low.min(0.0);
        if span > scale { span } else { span.max(self.difference) }
    }

    fn widen(&mut self, other: &Range) {
        (self.low, self.high) = (self.low.min(other.low), self.high.max(other.high));
        self.difference = self.difference.max(other.difference);
    }
}

/// Scales for some operators that hold all samples with at least half of the margin to spare, or all of the margin where
/// values left the scale that there was. A scale that does so already stays as it is, and one that nearly does changes
/// by little, so that coefficients tuned for it stay right. Gives the operators whose scales changed, in graph order.
///
/// A batch that leaves a scale is run again with a wider one, so that no value came through a polynomial out of its
/// range. Batches before it saw the narrower scale: operators after one that changed are to be looked at again.
pub(crate) fn renew_scales(
    model: &mut TapeModel,
    operators: &BTreeMap<NodeId, f64>,
    data: &Data,
    batch: usize,
) -> Result<Vec<NodeId>, TrainError> {
    let before: BTreeMap<NodeId, Scaling> =
        operators.keys().filter_map(|id| Some((*id, model.scale(*id)?.clone()))).collect();
    for (id, ranges) in ranges(model, operators, data, batch)? {
        let reached = reached(model, id, &ranges);
        let Some(widened) = model.scale(id) else { continue };
        model.set_scale(id, wider(&renewed_scale(&before[&id], &reached, operators[&id]), widened));
    }
    Ok(before.into_iter().filter(|(id, scale)| model.scale(*id) != Some(scale)).map(|(id, _)| id).collect())
}

fn renewed_scale(scale: &Scaling, reached: &[f64], margin: f64) -> Scaling {
    part_by_part(scale, reached, |scale, reached| {
        let enough = (1.0 + margin) / 2.0 * reached;
        match (reached > scale, enough > scale) {
            (true, _) => margin * reached,
            (false, true) => SLACK * enough,
            (false, false) => scale,
        }
    })
}

/// The larger scale of each part. A pool that was widened may look as if it had not needed to be, since what it compares
/// depends on its scale.
fn wider(a: &Scaling, b: &Scaling) -> Scaling {
    part_by_part(a, b.parts(1).0, f64::max)
}

fn part_by_part(scale: &Scaling, others: &[f64], f: impl Fn(f64, f64) -> f64) -> Scaling {
    let scales: Vec<f64> = scale.parts(1).0.iter().zip(others).map(|(scale, other)| f(*scale, *other)).collect();
    match scale {
        Scaling::Uniform(_) => Scaling::Uniform(scales[0]),
        Scaling::Channels(_) => Scaling::Channels(scales),
    }
}

/// Whether circuits take the PAF of a node: a pool's must not lie so far above 1 that no scale holds all comparisons.
pub(crate) fn is_deployable(model: &TapeModel, id: NodeId) -> Result<bool, TrainError> {
    let Op::MaxPool(window) = &model.graph.node(id).op else { return Ok(true) };
    let guard = model.paf(id)?.map_or(1.0, |paf| paf.pool_guard(model.reduction.comparisons(window)));
    Ok(guard.is_finite())
}

/// Ranges of all samples; scales that a batch leaves are widened on the way.
fn ranges(
    model: &mut TapeModel,
    operators: &BTreeMap<NodeId, f64>,
    data: &Data,
    batch: usize,
) -> Result<BTreeMap<NodeId, Ranges>, TrainError> {
    let all: Vec<usize> = (0..data.len()).collect();
    let mut found: BTreeMap<NodeId, Ranges> = BTreeMap::new();
    for indices in all.chunks(batch) {
        let x = batches::tensor(data, indices, model.dtype())?;
        let mut seen = ranges_of_batch(model, operators, &x)?;
        for _ in 0..operators.len() + MORE_TRIES {
            let Some(id) = first_left(model, &seen)? else { break };
            let reached = reached(model, id, &seen[&id]);
            if let Some(scale) = model.scale(id) {
                model.set_scale(id, renewed_scale(scale, &reached, operators[&id]));
            }
            seen = ranges_of_batch(model, operators, &x)?;
        }
        if let Some(id) = first_left(model, &seen)? {
            seen.retain(|other, _| *other <= id);
        }
        for (id, ranges) in seen {
            let all = found.entry(id).or_insert_with(|| vec![Range::NOTHING; ranges.len()]);
            all.iter_mut().zip(&ranges).for_each(|(all, range)| all.widen(range));
        }
    }
    Ok(found)
}

/// The first operator whose scale a batch leaves; nothing that comes after it is looked at.
fn first_left(model: &TapeModel, seen: &BTreeMap<NodeId, Ranges>) -> Result<Option<NodeId>, TrainError> {
    for (&id, ranges) in seen {
        check_finite(model, id, ranges)?;
        let Some(scale) = model.scale(id) else { continue };
        if scale.parts(1).0.iter().zip(reached(model, id, ranges)).any(|(scale, reached)| reached > *scale) {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// How far an operator's ranges reach, part by part.
fn reached(model: &TapeModel, id: NodeId, ranges: &[Range]) -> Vec<f64> {
    let Some(scale) = model.scale(id) else { return vec![] };
    let pairs = ranges.iter().zip(scale.parts(1).0);
    pairs.map(|(range, &scale)| range.reach(&model.graph.node(id).op, scale)).collect()
}

fn ranges_of_batch(
    model: &TapeModel,
    operators: &BTreeMap<NodeId, f64>,
    x: &Tensor,
) -> Result<BTreeMap<NodeId, Ranges>, TrainError> {
    let Some(&last) = operators.keys().next_back() else { return Ok(BTreeMap::new()) };
    let pass = Pass { trained: &Default::default(), normalizing: Normalizing::Running };
    let mut found: BTreeMap<NodeId, Ranges> = BTreeMap::new();
    model.forward_until(last, x, &pass, &mut |id, seen| {
        let (Some(scale), true) = (model.scale(id), operators.contains_key(&id)) else { return Ok(()) };
        let (Seen::Operand(tensor) | Seen::Difference(tensor)) = seen else { return Ok(()) };
        let (scales, part) = scale.parts(tensor.dim(1)?);
        let ranges = found.entry(id).or_insert_with(|| vec![Range::NOTHING; scales.len()]);
        for (place, (low, high)) in lows_and_highs(tensor, part)?.into_iter().enumerate() {
            ranges[place % scales.len()].widen(&match seen {
                Seen::Difference(_) => Range { difference: high.max(-low), ..Range::NOTHING },
                _ => Range { low, high, ..Range::NOTHING },
            });
        }
        Ok(())
    })?;
    Ok(found)
}

/// The lowest and the highest of every so many values.
fn lows_and_highs(tensor: &Tensor, part: usize) -> Result<Vec<(f64, f64)>, TrainError> {
    let flat = tensor.flatten_all()?;
    Ok(match tensor.dtype() {
        DType::F64 => extremes(&flat.to_vec1()?, part, f64::INFINITY, f64::min, f64::max),
        _ => {
            let values: Vec<f32> = flat.to_dtype(DType::F32)?.to_vec1()?;
            let found = extremes(&values, part, f32::INFINITY, f32::min, f32::max);
            found.into_iter().map(|(low, high)| (low.into(), high.into())).collect()
        }
    })
}

fn extremes<T>(values: &[T], part: usize, infinity: T, min: fn(T, T) -> T, max: fn(T, T) -> T) -> Vec<(T, T)>
where
    T: Copy + std::ops::Neg<Output = T>,
{
    let of =
        |part: &[T]| part.iter().fold((infinity, -infinity), |(low, high), &value| (min(low, value), max(high, value)));
    values.chunks(part).map(of).collect()
}

fn check_finite(model: &TapeModel, id: NodeId, ranges: &[Range]) -> Result<(), TrainError> {
    if ranges.iter().all(|range| (range.high - range.low).is_finite() && range.low <= range.high) {
        return Ok(());
    }
    let problem = "its input is not finite on the training data; earlier PAFs leave their range: calibrate first, or \
                   take a larger margin";
    Err(RecoveryError::Node { node: model.graph.node(id).name.clone(), problem: problem.into() }.into())
}

#[cfg(test)]
mod tests {
    use paf_ir::Shape;
    use paf_ir::linear::Window;
    use paf_ir::tensor::{BatchAxis, Graph, Output};
    use paf_passes::approximate::Reduction;
    use paf_passes::paf::Paf;

    use super::*;

    /// A pool of one window whose second comparison leaves a scale of 1, and would not with any that is wider.
    #[test]
    fn a_pool_that_was_widened_stays_so() {
        let mut window = Window {
            input: [1, 2, 2],
            kernel: [2, 2],
            strides: [2, 2],
            pads: [0; 4],
            dilations: [1, 1],
            output: [0, 0],
            count_include_pad: false,
        };
        window.output = window.floor_output();
        let mut graph = Graph::default();
        let x = graph.input("x", Shape(vec![1, 2, 2]), BatchAxis::Absent);
        let pool = graph.add("p", Op::MaxPool(window), &[x]).unwrap();
        graph.outputs = vec![Output { name: "y".into(), node: pool }];
        let mut model = TapeModel::new(&graph, Reduction::default(), DType::F64).unwrap();
        let overshooting = Paf::from_components("p", vec![vec![1.2]]).unwrap();
        model.add_paf(pool, &overshooting, &Scaling::Uniform(1.0)).unwrap();
        model.activate(&[pool]);
        let data = Data { shape: Shape(vec![1, 2, 2]), x: vec![0.94, 0.0, 0.0, 0.0], y: None };
        let operators = BTreeMap::from([(pool, 1.1)]);
        assert_eq!(renew_scales(&mut model, &operators, &data, 1).unwrap(), [pool]);
        let second_comparison = 0.94 * (0.5 + 0.6 * 0.94);
        assert!(second_comparison > 1.0);
        let scale = model.scale(pool).unwrap().largest();
        assert!((scale / (1.1 * second_comparison) - 1.0).abs() < 1e-6, "{scale}");
        assert!(renew_scales(&mut model, &operators, &data, 1).unwrap().is_empty());
    }
}
