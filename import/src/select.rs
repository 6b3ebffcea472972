//! Operators that pick, repeat or join elements: Slice, Gather, Pad, Expand, Concat.

use std::sync::Arc;

use paf_ir::Shape;
use paf_ir::linear::ZERO;
use paf_ir::tensor::{NodeId, Op};
use paf_ir::{Bias, LinearMap};

use super::broadcast::{broadcast_shape, expanded};
use super::constants::{ConstantValue, ElementKind, MAX_COMPUTED};
use super::site::{Outcome, Refusal, Site, Value, axes, axis, size, size_beside};

/// Every index of every axis.
fn everything(shape: &Shape) -> Vec<Vec<u32>> {
    shape.0.iter().map(|&size| (0..size as u32).collect()).collect()
}

/// Slice: `starts`, `ends`, `axes` and `steps` are operands, before operator set 10 attributes.
pub(super) fn slice(site: &mut Site<'_>) -> Outcome {
    let value = site.operand(0)?;
    let shape = site.shape(&value)?;
    let needed = |index, name: &str| {
        let list = site.integers(index, name)?;
        list.ok_or_else(|| Refusal::invalid(format!("{name} are missing")))
    };
    let (starts, ends) = (needed(1, "starts")?, needed(2, "ends")?);
    let sliced = site.integers(3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = site.integers(4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), sliced.len(), steps.len()] != [starts.len(); 3] {
        return Err(Refusal::invalid("starts, ends, axes and steps differ in length"));
    }
    axes(&sliced, shape.0.len())?;
    let mut indices = everything(&shape);
    for (place, &one) in sliced.iter().enumerate() {
        let axis = axis(one, shape.0.len())?;
        indices[axis] = slice_of_axis(shape.0[axis], starts[place], ends[place], steps[place])?;
    }
    site.selected(value, indices)
}

/// Indices of one axis from start to end, which is not included; negative bounds count from the end.
fn slice_of_axis(size: usize, start: i64, end: i64, step: i64) -> Result<Vec<u32>, Refusal> {
    let signed = size as i64;
    let from_front = |bound: i64| if bound < 0 { bound.saturating_add(signed) } else { bound };
    let (start, end) = (from_front(start), from_front(end));
    match step {
        0 => Err(Refusal::invalid("a step is zero")),
        1.. => {
            let (start, end) = (start.clamp(0, signed), end.clamp(0, signed));
            Ok((start..end).step_by(step as usize).map(|index| index as u32).collect())
        }
        _ => {
            let (start, end) = (start.clamp(-1, signed - 1), end.clamp(-1, signed - 1));
            let backward = (end + 1..start + 1).rev().step_by(step.unsigned_abs() as usize);
            Ok(backward.map(|index| index as u32).collect())
        }
    }
}

/// Gather with constant indices.
pub(super) fn gather(site: &mut Site<'_>) -> Outcome {
    let value = site.operand(0)?;
    let shape = site.shape(&value)?;
    let axis = axis(site.attributes.integer("axis")?.unwrap_or(0), shape.0.len())?;
    let places = site.constant(1, "the list of indices")?;
    let list = places.as_integers().ok_or_else(|| Refusal::invalid("the indices are no integers"))?;
    let signed = shape.0[axis] as i64;
    if let Some(bad) = list.iter().find(|&&index| !(-signed..signed).contains(&index)) {
        return Err(Refusal::invalid(format!("index {bad} on axis {axis} of {shape}")));
    }
    let mut indices = everything(&shape);
    indices[axis] = list.iter().map(|index| index.rem_euclid(signed) as u32).collect();
    let result = [&shape.0[..axis], &places.shape().0, &shape.0[axis + 1..]].concat();
    let picked = site.selected(value, indices)?;
    site.reshaped(picked, Shape(result))
}

/// Pad with a constant, with the nearest element (`edge`) or mirrored (`reflect`); negative pads cut.
pub(super) fn pad(site: &mut Site<'_>) -> Outcome {
    let value = site.operand(0)?;
    let shape = site.shape(&value)?;
    let mode = site.attributes.text("mode")?.unwrap_or_else(|| "constant".into());
    let mut indices = everything(&shape);
    for (axis, [begin, end]) in pads(site, &shape)? {
        indices[axis] = padded_axis(shape.0[axis], begin, end, &mode)?;
    }
    let fill = if mode == "constant" { fill(site)? } else { 0.0 };
    if fill == 0.0 {
        return site.selected(value, indices);
    }
    let kept = ConstantValue::new(shape.clone(), vec![1.0; size(&shape)?], ElementKind::Real);
    let Value::Constant(kept) = site.selected(Value::Constant(kept), indices.clone())? else {
        return Err(Refusal::UnknownOperand);
    };
    let frame = ConstantValue { tensor: Arc::new(kept.tensor.map(|kept| fill * (1.0 - kept))), ..kept };
    let padded = site.selected(value, indices)?;
    super::elementwise::sum_of(site, padded, Value::Constant(frame))
}

/// The axes with their pads at the beginning and the end.
fn pads(site: &Site<'_>, shape: &Shape) -> Result<Vec<(usize, [i64; 2])>, Refusal> {
    let name = if site.attributes.has("paddings") { "paddings" } else { "pads" };
    let list = site.integers(1, name)?.ok_or_else(|| Refusal::invalid("pads are missing"))?;
    let padded = match site.optional_constant(3, "axes")? {
        None => (0..shape.0.len()).collect(),
        Some(constant) => {
            let list = constant.as_integers().ok_or_else(|| Refusal::invalid("axes are no integers"))?;
            axes(&list, shape.0.len())?;
            list.iter().map(|&one| axis(one, shape.0.len())).collect::<Result<Vec<_>, _>>()?
        }
    };
    if list.len() != 2 * padded.len() {
        return Err(Refusal::invalid(format!("{} pads for {} axes", list.len(), padded.len())));
    }
    let (begins, ends) = list.split_at(padded.len());
    Ok(padded.iter().zip(begins.iter().zip(ends)).map(|(&axis, (&begin, &end))| (axis, [begin, end])).collect())
}

/// What a constant pad is filled with.
fn fill(site: &Site<'_>) -> Result<f64, Refusal> {
    match site.optional_constant(2, "the fill value")? {
        Some(operand) => operand.as_scalar().ok_or_else(|| Refusal::invalid("the fill value is not one number")),
        None => Ok(site.attributes.number("value")?.unwrap_or(0.0)),
    }
}

fn padded_axis(size: usize, begin: i64, end: i64, mode: &str) -> Result<Vec<u32>, Refusal> {
    let (signed, limit) = (size as i64, MAX_COMPUTED as i64);
    let (start, stop) = (begin.saturating_neg(), signed.saturating_add(end));
    let length = stop.saturating_sub(start);
    if size == 0 || !(1..=limit).contains(&length) {
        return Err(Refusal::invalid(format!("pads {begin} and {end} on an axis of size {size}")));
    }
    let source = |index: i64| match mode {
        _ if (0..signed).contains(&index) => Ok(index as u32),
        "constant" => Ok(ZERO),
        "edge" => Ok(index.clamp(0, signed - 1) as u32),
        "reflect" => {
            let mirrored = if index < 0 { index.saturating_neg() } else { 2 * (signed - 1) - index };
            let inside = (0..signed).contains(&mirrored);
            inside.then_some(mirrored as u32).ok_or_else(|| Refusal::invalid("it reflects more than the axis holds"))
        }
        _ => Err(Refusal::unsupported(format!("mode is `{mode}`"), "constant, edge and reflect work")),
    };
    (start..stop).map(source).collect()
}

/// Split along an axis: sizes are an operand, before operator set 13 an attribute; without them the parts are equal.
pub(super) fn split(site: &mut Site<'_>) -> Outcome {
    let value = site.operand(0)?;
    let shape = site.shape(&value)?;
    let axis = axis(site.attributes.integer("axis")?.unwrap_or(0), shape.0.len())?;
    let sizes = match site.integers(1, "split")? {
        Some(list) => list.iter().map(|&size| usize::try_from(size).unwrap_or(usize::MAX)).collect(),
        None => equal_parts(shape.0[axis], site.outputs)?,
    };
    let total = sizes.iter().try_fold(0usize, |total, &size| total.checked_add(size));
    if sizes.len() != site.outputs || total != Some(shape.0[axis]) {
        let outputs = site.outputs;
        return Err(Refusal::invalid(format!("it splits axis {axis} of {shape} into {sizes:?} for {outputs} outputs")));
    }
    let mut parts = Vec::with_capacity(sizes.len());
    let mut start = 0;
    for size in sizes {
        let mut indices = everything(&shape);
        indices[axis] = (start..start + size).map(|index| index as u32).collect();
        parts.push(site.selected(value.clone(), indices)?);
        start += size;
    }
    let first = parts.remove(0);
    site.more_outputs = parts;
    Ok(first)
}

/// Sizes rounded up, the last part takes what is left.
fn equal_parts(size: usize, parts: usize) -> Result<Vec<usize>, Refusal> {
    let part = size.div_ceil(parts.max(1));
    let sizes: Vec<usize> = (0..parts).map(|index| part.min(size.saturating_sub(index * part))).collect();
    if parts == 0 || sizes.contains(&0) { Err(Refusal::invalid("a part is empty")) } else { Ok(sizes) }
}

/// Expand: broadcasts to a constant shape.
pub(super) fn expand(site: &mut Site<'_>) -> Outcome {
    let value = site.operand(0)?;
    let target = site.constant(1, "the shape")?.as_integers();
    let target = target.ok_or_else(|| Refusal::invalid("the shape has no integer elements"))?;
    let sizes = target.iter().map(|&size| usize::try_from(size)).collect::<Result<Vec<_>, _>>();
    let sizes = sizes.map_err(|_| Refusal::invalid(format!("the shape is {target:?}")))?;
    let (given, wanted) = (site.shape(&value)?, Shape(sizes));
    size_beside(&wanted, given.size())?;
    let shape = broadcast_shape(&given, &wanted)?;
    expanded(site, value, &shape)
}

/// Concat: a sum of operands, each with zeros in the others' places.
pub(super) fn concat(site: &mut Site<'_>) -> Outcome {
    let parts = (0..site.operands.len()).map(|index| site.operand(index)).collect::<Result<Vec<_>, _>>()?;
    let shapes = parts.iter().map(|part| site.shape(part)).collect::<Result<Vec<_>, _>>()?;
    let first = shapes.first().ok_or_else(|| Refusal::invalid("it has no operands"))?;
    let given = site.attributes.integer("axis")?;
    let axis = axis(given.unwrap_or(1), first.0.len())?;
    let rest = |shape: &Shape| [&shape.0[..axis], &shape.0[axis + 1..]].concat();
    if shapes.iter().any(|shape| shape.0.len() != first.0.len() || rest(shape) != rest(first)) {
        return Err(Refusal::invalid(format!("operands of shapes {shapes:?} do not join on axis {axis}")));
    }
    let mut result = first.clone();
    result.0[axis] = shapes.iter().map(|shape| shape.0[axis]).sum();
    size_beside(&result, shapes.iter().map(Shape::size).max().unwrap_or(0))?;
    let mut joined = Joined { axis, result, used: 0, constants: None, tensors: None };
    for (part, shape) in parts.into_iter().zip(&shapes) {
        joined.push(site, part, shape)?;
    }
    joined.finish(site)
}

/// A concatenation under way.
struct Joined {
    axis: usize,
    result: Shape,
    /// How far the axis is filled.
    used: usize,
    /// Sum of the constant parts, in the shape of the result.
    constants: Option<ConstantValue>,
    /// Sum of the other parts.
    tensors: Option<NodeId>,
}

impl Joined {
    fn push(&mut self, site: &mut Site<'_>, part: Value, shape: &Shape) -> Result<(), Refusal> {
        let length = shape.0[self.axis];
        if length == 0 {
            return Ok(());
        }
        let mut indices = everything(shape);
        let after = self.result.0[self.axis] - self.used - length;
        let zeros = |count: usize| vec![ZERO; count];
        indices[self.axis] = [zeros(self.used), (0..length as u32).collect(), zeros(after)].concat();
        self.used += length;
        match site.selected(part, indices)? {
            Value::Constant(constant) => self.add_constant(constant),
            Value::Tensor(id) => {
                self.tensors = Some(match self.tensors {
                    Some(sum) => site.add(Op::Add, &[sum, id])?,
                    None => id,
                });
                Ok(())
            }
            _ => Err(Refusal::UnknownOperand),
        }
    }

    fn add_constant(&mut self, constant: ConstantValue) -> Result<(), Refusal> {
        let Some(sum) = &self.constants else {
            self.constants = Some(constant);
            return Ok(());
        };
        if sum.kind != constant.kind {
            return Err(Refusal::invalid("its operands have different element types"));
        }
        let data = sum.tensor.data.iter().zip(&constant.tensor.data).map(|(a, b)| a + b).collect();
        self.constants = Some(ConstantValue::new(self.result.clone(), data, sum.kind));
        Ok(())
    }

    fn finish(self, site: &mut Site<'_>) -> Outcome {
        match (self.tensors, self.constants) {
            (None, None) => Ok(Value::Constant(ConstantValue::new(self.result, vec![], ElementKind::Integer))),
            (None, Some(constant)) => Ok(Value::Constant(constant)),
            (Some(id), None) => Ok(Value::Tensor(id)),
            (Some(id), Some(constant)) => {
                let bias = Some(Bias { values: constant.tensor, repeat: 1 });
                let map = LinearMap { bias, ..LinearMap::identity(size(&self.result)?) };
                Ok(Value::Tensor(site.add_linear(map, id, self.result)?))
            }
        }
    }
}
