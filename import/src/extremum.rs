//! Max, Min, ReduceMax and ReduceMin.

use paf_ir::Shape;

use super::activation::relu_of;
use super::constants::{ConstantValue, ElementKind};
use super::elementwise::{Binary, combine};
use super::pool::{add_max_pool, whole_window};
use super::site::{Outcome, Refusal, Site, Value, axes};

/// Max of any number of operands: `b + relu(a − b)` in a balanced tree.
pub(super) fn max(site: &mut Site<'_>) -> Outcome {
    tree(site, |site, a, b| {
        let difference = combine(site, Binary::Sub, a, b.clone())?;
        let excess = relu_of(site, difference)?;
        combine(site, Binary::Add, b, excess)
    })
}

/// Min of any number of operands: `a − relu(a − b)`.
pub(super) fn min(site: &mut Site<'_>) -> Outcome {
    tree(site, |site, a, b| {
        let difference = combine(site, Binary::Sub, a.clone(), b)?;
        let excess = relu_of(site, difference)?;
        combine(site, Binary::Sub, a, excess)
    })
}

fn tree(site: &mut Site<'_>, two: impl Fn(&mut Site<'_>, Value, Value) -> Outcome) -> Outcome {
    let mut level = (0..site.operands.len()).map(|index| site.operand(index)).collect::<Result<Vec<_>, _>>()?;
    while level.len() > 1 {
        let mut next = Vec::with_capacity(level.len().div_ceil(2));
        let mut pairs = level.into_iter();
        while let Some(a) = pairs.next() {
            next.push(match pairs.next() {
                Some(b) => two(site, a, b)?,
                None => a,
            });
        }
        level = next;
    }
    level.pop().ok_or_else(|| Refusal::invalid("it has no operands"))
}

/// ReduceMax.
pub(super) fn reduce_max(site: &mut Site<'_>) -> Outcome {
    let x = site.operand(0)?;
    reduce(site, x)
}

/// ReduceMin: `−max(−x)`.
pub(super) fn reduce_min(site: &mut Site<'_>) -> Outcome {
    let minus_one = || Value::Constant(ConstantValue::scalar(-1.0, ElementKind::Real));
    let x = site.operand(0)?;
    let negated = combine(site, Binary::Mul, x, minus_one())?;
    let largest = reduce(site, negated)?;
    combine(site, Binary::Mul, largest, minus_one())
}

/// The largest element over axes: those come last, and a pool's window covers them.
fn reduce(site: &mut Site<'_>, x: Value) -> Outcome {
    let shape = site.shape(&x)?;
    let keep_axes = site.attributes.integer("keepdims")?.unwrap_or(1) != 0;
    let list = site.integers(1, "axes")?.filter(|list| !list.is_empty());
    let reduced = match list {
        Some(list) => axes(&list, shape.0.len())?,
        None if site.attributes.flag("noop_with_empty_axes")? => return Ok(x),
        None => (0..shape.0.len()).collect(),
    };
    let kept: Vec<usize> = (0..shape.0.len()).filter(|axis| !reduced.contains(axis)).collect();
    let product = |axes: &[usize]| axes.iter().map(|&axis| shape.0[axis]).product::<usize>();
    let (lines, count) = (product(&kept), product(&reduced));
    let mut result = shape.clone();
    reduced.iter().for_each(|&axis| result.0[axis] = 1);
    if !keep_axes {
        result = Shape(kept.iter().map(|&axis| shape.0[axis]).collect());
    }
    if count == 1 {
        return site.reshaped(x, result);
    }
    match site.permuted(x, [kept, reduced].concat())? {
        Value::Tensor(id) => add_max_pool(site, id, whole_window([lines, 1, count]), result),
        _ => Err(Refusal::unsupported("its operand is a constant", "fold constants with onnxsim before")),
    }
}
