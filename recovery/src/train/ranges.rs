//! How far values reach at each ReLU and MaxPool, and scales that hold them.

use std::collections::BTreeMap;

use paf_ir::tensor::{NodeId, Op};
use paf_passes::approximate::Scaling;

use super::batches;
use super::model::{Model, Normalizing, Pass, Seen};
use crate::data::Data;
use crate::error::RecoveryError;

/// Lowest and highest value of each part of a tensor that has a scale of its own.
type Ranges = Vec<(f64, f64)>;

/// Scales for some operators that hold all samples with at least half of the margin to spare. A scale that does so
/// already stays as it is, so that coefficients tuned for it stay right. Gives the operators whose scales changed.
pub(super) fn renew_scales(
    model: &mut Model,
    operators: &BTreeMap<NodeId, f64>,
    data: &Data,
    batch: usize,
) -> Result<Vec<NodeId>, RecoveryError> {
    let ranges = ranges(model, operators, data, batch)?;
    let mut renewed = Vec::new();
    for (id, ranges) in ranges {
        let margin = operators[&id];
        let guard = guard(model, id)?;
        let Some(scale) = model.scale(id) else { continue };
        let reached: Vec<f64> = ranges.iter().map(|&range| guard * reach(&model.graph.node(id).op, range)).collect();
        let (scales, _) = scale.parts(model.graph.node(id).shape.size());
        let renew = |(scale, reached): (&f64, &f64)| {
            let suffices = reached * (1.0 + margin) / 2.0 <= *scale;
            if suffices { *scale } else { margin * reached }
        };
        let scales: Vec<f64> = scales.iter().zip(&reached).map(renew).collect();
        let new = match scale {
            Scaling::Uniform(_) => Scaling::Uniform(scales[0]),
            Scaling::Channels(_) => Scaling::Channels(scales),
        };
        if new != *scale {
            model.set_scale(id, new);
            renewed.push(id);
        }
    }
    Ok(renewed)
}

/// The factor on a pool's scale that keeps later comparisons in range.
pub(super) fn guard(model: &Model, id: NodeId) -> Result<f64, RecoveryError> {
    let node = model.graph.node(id);
    let Op::MaxPool(window) = &node.op else { return Ok(1.0) };
    let Some(paf) = model.paf(id)? else { return Ok(1.0) };
    let guard = paf.pool_guard(window.kernel.iter().product());
    if guard.is_finite() {
        return Ok(guard);
    }
    let problem = format!("no scale keeps the comparisons of this pool in range of PAF {}", paf.name);
    Err(RecoveryError::Node { node: node.name.clone(), problem })
}

fn reach(op: &Op, (low, high): (f64, f64)) -> f64 {
    match op {
        Op::MaxPool(_) => high.max(0.0) - low.min(0.0),
        _ => low.abs().max(high.abs()),
    }
}

fn ranges(
    model: &Model,
    operators: &BTreeMap<NodeId, f64>,
    data: &Data,
    batch: usize,
) -> Result<BTreeMap<NodeId, Ranges>, RecoveryError> {
    let pass = Pass { trained: &Default::default(), normalizing: Normalizing::Running };
    let all: Vec<usize> = (0..data.len()).collect();
    let mut found: BTreeMap<NodeId, Ranges> = BTreeMap::new();
    for indices in all.chunks(batch) {
        let x = batches::tensor(data, indices, model.dtype())?;
        model.forward_observed(&x, &pass, &mut |id, seen| {
            let (Seen::Operand(operand), true) = (seen, operators.contains_key(&id)) else { return Ok(()) };
            let Some(scale) = model.scale(id) else { return Ok(()) };
            let width = operand.dim(1)?;
            let (scales, part) = scale.parts(width);
            let ranges = found.entry(id).or_insert_with(|| vec![(f64::INFINITY, f64::NEG_INFINITY); scales.len()]);
            let values: Vec<f64> = operand.flatten_all()?.to_dtype(candle_core::DType::F64)?.to_vec1()?;
            for (place, part) in values.chunks(part).enumerate() {
                let range = &mut ranges[place % scales.len()];
                *range = part.iter().fold(*range, |(low, high), &x| (low.min(x), high.max(x)));
            }
            check_finite(model, id, ranges)
        })?;
    }
    Ok(found)
}

fn check_finite(model: &Model, id: NodeId, ranges: &Ranges) -> Result<(), RecoveryError> {
    if ranges.iter().all(|(low, high)| low.is_finite() && high.is_finite() && low <= high) {
        return Ok(());
    }
    let problem = "its input is not finite on the training data; earlier PAFs leave their range: calibrate first, or \
                   take a larger margin";
    Err(RecoveryError::Node { node: model.graph.node(id).name.clone(), problem: problem.into() })
}
