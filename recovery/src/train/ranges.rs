//! How far values reach at each ReLU and MaxPool, and scales that hold them.

use std::collections::BTreeMap;

use paf_ir::tensor::{NodeId, Op};
use paf_passes::approximate::Scaling;

use super::batches;
use super::model::{Model, Normalizing, Pass, Seen};
use crate::data::Data;
use crate::error::RecoveryError;

/// What a scale that grows gets on top, so that it need not grow again when those before it settle.
const SLACK: f64 = 1.02;

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

    /// The largest argument of the sign, in units of the tensor.
    fn reach(&self, op: &Op) -> f64 {
        match op {
            Op::MaxPool(_) => (self.high.max(0.0) - self.low.min(0.0)).max(self.difference),
            _ => self.low.abs().max(self.high.abs()),
        }
    }
}

/// Scales for some operators that hold all samples with at least half of the margin to spare, or all of the margin where
/// values leave the scale that there is. A scale that does so already stays as it is, and one that nearly does changes
/// by little, so that coefficients tuned for it stay right. Gives the operators whose scales changed.
///
/// Where values leave the scale of an operator, what comes after it came through a polynomial out of its range and says
/// nothing: operators after it are left for the next call.
pub(super) fn renew_scales(
    model: &mut Model,
    operators: &BTreeMap<NodeId, f64>,
    data: &Data,
    batch: usize,
) -> Result<Vec<NodeId>, RecoveryError> {
    let mut renewed = Vec::new();
    for (id, ranges) in ranges(model, operators, data, batch)? {
        check_finite(model, id, &ranges)?;
        let Some(scale) = model.scale(id).cloned() else { continue };
        let reached: Vec<f64> = ranges.iter().map(|range| range.reach(&model.graph.node(id).op)).collect();
        let (scales, _) = scale.parts(model.graph.node(id).shape.size());
        let new = renewed_scale(&scale, scales, &reached, operators[&id]);
        if new != scale {
            model.set_scale(id, new);
            renewed.push(id);
        }
        if scales.iter().zip(&reached).any(|(scale, reached)| reached > scale) {
            break;
        }
    }
    Ok(renewed)
}

fn renewed_scale(scale: &Scaling, scales: &[f64], reached: &[f64], margin: f64) -> Scaling {
    let renew = |(scale, reached): (&f64, &f64)| {
        let enough = (1.0 + margin) / 2.0 * reached;
        match (reached > scale, enough > *scale) {
            (true, _) => margin * reached,
            (false, true) => SLACK * enough,
            (false, false) => *scale,
        }
    };
    let scales: Vec<f64> = scales.iter().zip(reached).map(renew).collect();
    match scale {
        Scaling::Uniform(_) => Scaling::Uniform(scales[0]),
        Scaling::Channels(_) => Scaling::Channels(scales),
    }
}

/// Whether circuits take the PAF of a node: a pool's must not lie so far above 1 that no scale holds all comparisons.
pub(super) fn is_deployable(model: &Model, id: NodeId) -> Result<bool, RecoveryError> {
    let Op::MaxPool(window) = &model.graph.node(id).op else { return Ok(true) };
    let guard = model.paf(id)?.map_or(1.0, |paf| paf.pool_guard(window.kernel.iter().product()));
    Ok(guard.is_finite())
}

fn ranges(
    model: &Model,
    operators: &BTreeMap<NodeId, f64>,
    data: &Data,
    batch: usize,
) -> Result<BTreeMap<NodeId, Vec<Range>>, RecoveryError> {
    let pass = Pass { trained: &Default::default(), normalizing: Normalizing::Running };
    let all: Vec<usize> = (0..data.len()).collect();
    let mut found: BTreeMap<NodeId, Vec<Range>> = BTreeMap::new();
    for indices in all.chunks(batch) {
        let x = batches::tensor(data, indices, model.dtype())?;
        model.forward_observed(&x, &pass, &mut |id, seen| {
            let (Some(scale), true) = (model.scale(id), operators.contains_key(&id)) else { return Ok(()) };
            let (Seen::Operand(tensor) | Seen::Difference(tensor)) = seen else { return Ok(()) };
            let (scales, part) = scale.parts(tensor.dim(1)?);
            let ranges = found.entry(id).or_insert_with(|| vec![Range::NOTHING; scales.len()]);
            let values: Vec<f64> = tensor.flatten_all()?.to_dtype(candle_core::DType::F64)?.to_vec1()?;
            for (place, part) in values.chunks(part).enumerate() {
                let range = &mut ranges[place % scales.len()];
                let (low, high) =
                    part.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &x| (low.min(x), high.max(x)));
                match seen {
                    Seen::Difference(_) => range.difference = range.difference.max(high).max(-low),
                    _ => (range.low, range.high) = (range.low.min(low), range.high.max(high)),
                }
            }
            Ok(())
        })?;
    }
    Ok(found)
}

fn check_finite(model: &Model, id: NodeId, ranges: &[Range]) -> Result<(), RecoveryError> {
    if ranges.iter().all(|range| (range.high - range.low).is_finite() && range.low <= range.high) {
        return Ok(());
    }
    let problem = "its input is not finite on the training data; earlier PAFs leave their range: calibrate first, or \
                   take a larger margin";
    Err(RecoveryError::Node { node: model.graph.node(id).name.clone(), problem: problem.into() })
}
