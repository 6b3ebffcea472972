//! Operators that move single elements by constant indices: GatherElements, GatherND, Compress, ScatterElements, ScatterND;
//! and CenterCropPad.

use paf_ir::Shape;
use paf_ir::linear::ZERO;

use super::activation::relu_of;
use super::constants::{ConstantValue, ElementKind};
use super::elementwise::{Binary, combine};
use super::site::{Outcome, Refusal, Site, Value, axes, axis, size};

/// GatherElements: along one axis, an index for each element of the result.
pub(super) fn gather_elements(site: &mut Site<'_>) -> Outcome {
    let value = site.operand(0)?;
    let shape = site.shape(&value)?;
    let axis = axis(site.attributes.integer("axis")?.unwrap_or(0), shape.0.len())?;
    let indices = site.constant(1, "the list of indices")?;
    let places = along_axis(&shape, &indices, axis)?;
    picked(site, value, &places, indices.shape().clone())
}

/// GatherND: an index of the first axes for each element, or part, of the result.
pub(super) fn gather_nd(site: &mut Site<'_>) -> Outcome {
    let value = site.operand(0)?;
    let shape = site.shape(&value)?;
    if site.attributes.integer("batch_dims")?.unwrap_or(0) != 0 {
        return Err(Refusal::unsupported("batch_dims is not 0", "use one index list for all"));
    }
    let indices = site.constant(1, "the list of indices")?;
    let (places, result) = of_parts(&shape, &indices)?;
    picked(site, value, &places, result)
}

/// Compress with a constant condition.
pub(super) fn compress(site: &mut Site<'_>) -> Outcome {
    let mut value = site.operand(0)?;
    let mut shape = site.shape(&value)?;
    let given = site.attributes.integer("axis")?;
    if given.is_none() {
        shape = Shape(vec![size(&shape)?]);
        value = site.reshaped(value, shape.clone())?;
    }
    let axis = axis(given.unwrap_or(0), shape.0.len())?;
    let condition = site.constant(1, "the condition")?;
    let kept = condition.tensor.data.iter().take(shape.0[axis]).enumerate().filter(|(_, keep)| **keep != 0.0);
    let kept = kept.map(|(index, _)| index as u32).collect();
    let everything = |size: &usize| (0..*size as u32).collect();
    let mut indices: Vec<Vec<u32>> = shape.0.iter().map(everything).collect();
    indices[axis] = kept;
    site.selected(value, indices)
}

/// ScatterElements, and Scatter of older operator sets: constant updates of elements along one axis.
pub(super) fn scatter_elements(site: &mut Site<'_>) -> Outcome {
    let shape = site.shape(&site.operand(0)?)?;
    let axis = axis(site.attributes.integer("axis")?.unwrap_or(0), shape.0.len())?;
    let indices = site.constant(1, "the list of indices")?;
    let places = along_axis(&shape, &indices, axis)?;
    scattered(site, &shape, &places)
}

/// ScatterND: constant updates of elements, or parts.
pub(super) fn scatter_nd(site: &mut Site<'_>) -> Outcome {
    let shape = site.shape(&site.operand(0)?)?;
    let indices = site.constant(1, "the list of indices")?;
    let (places, _) = of_parts(&shape, &indices)?;
    scattered(site, &shape, &places)
}

/// CenterCropPad: cut or padded with zeros around the middle, to a constant shape.
pub(super) fn center_crop_pad(site: &mut Site<'_>) -> Outcome {
    let value = site.operand(0)?;
    let shape = site.shape(&value)?;
    let rank = shape.0.len();
    let target = site.integers(1, "shape")?.ok_or_else(|| Refusal::invalid("the target shape is missing"))?;
    let list = site.attributes.integers("axes")?.unwrap_or_else(|| (0..rank as i64).collect());
    axes(&list, rank)?;
    if list.len() != target.len() {
        return Err(Refusal::invalid(format!("{} sizes for {} axes", target.len(), list.len())));
    }
    let mut indices: Vec<Vec<u32>> = shape.0.iter().map(|&size| (0..size as u32).collect()).collect();
    for (&one, &wanted) in list.iter().zip(&target) {
        let axis = axis(one, rank)?;
        let (given, wanted) = (shape.0[axis], usize::try_from(wanted).ok().filter(|&wanted| wanted > 0));
        let wanted = wanted.ok_or_else(|| Refusal::invalid(format!("the target shape is {target:?}")))?;
        size(&Shape(vec![wanted]))?;
        let (skipped, added) = (given.saturating_sub(wanted) / 2, wanted.saturating_sub(given) / 2);
        let source = |index: usize| (index + skipped).checked_sub(added).filter(|&index| index < given);
        indices[axis] = (0..wanted).map(|index| source(index).map_or(ZERO, |index| index as u32)).collect();
    }
    site.selected(value, indices)
}

/// An index that counts from the end if it is negative.
fn from_front(index: i64, size: usize) -> Result<usize, Refusal> {
    let signed = size as i64;
    let inside = (-signed..signed).contains(&index).then(|| index.rem_euclid(signed) as usize);
    inside.ok_or_else(|| Refusal::invalid(format!("index {index} on an axis of size {size}")))
}

fn integers(indices: &ConstantValue) -> Result<Vec<i64>, Refusal> {
    indices.as_integers().ok_or_else(|| Refusal::invalid("the indices are no integers"))
}

/// The element of a tensor for each index: its own coordinates, but along one axis the index.
fn along_axis(shape: &Shape, indices: &ConstantValue, axis: usize) -> Result<Vec<usize>, Refusal> {
    let (own, strides) = (indices.shape(), shape.strides());
    let fits = own.0.len() == shape.0.len()
        && own.0.iter().zip(&shape.0).enumerate().all(|(one, (own, size))| one == axis || own <= size);
    if !fits {
        return Err(Refusal::invalid(format!("indices of shape {own} on {shape}")));
    }
    let place = |(element, &index): (usize, &i64)| {
        let mut coordinates = own.coordinates(element);
        coordinates[axis] = from_front(index, shape.0[axis])?;
        Ok(coordinates.iter().zip(&strides).map(|(index, stride)| index * stride).sum())
    };
    integers(indices)?.iter().enumerate().map(place).collect()
}

/// The elements of the parts that the last axis of the indices names, and their shape.
fn of_parts(shape: &Shape, indices: &ConstantValue) -> Result<(Vec<usize>, Shape), Refusal> {
    let own = &indices.shape().0;
    let depth = own.last().copied().filter(|&depth| depth > 0 && depth <= shape.0.len());
    let depth = depth.ok_or_else(|| Refusal::invalid(format!("indices of shape {} on {shape}", indices.shape())))?;
    let (strides, part) = (shape.strides(), shape.0[depth..].iter().product::<usize>());
    let mut places = vec![];
    for index in integers(indices)?.chunks(depth) {
        let mut start = 0;
        for (axis, &one) in index.iter().enumerate() {
            start += from_front(one, shape.0[axis])? * strides[axis];
        }
        places.extend(start..start + part);
    }
    Ok((places, Shape([&own[..own.len() - 1], &shape.0[depth..]].concat())))
}

/// The elements at these places, as a tensor of a shape.
fn picked(site: &mut Site<'_>, value: Value, places: &[usize], shape: Shape) -> Outcome {
    let flat = Shape(vec![size(&site.shape(&value)?)?]);
    let flat = site.reshaped(value, flat)?;
    let picked = site.selected(flat, vec![places.iter().map(|&place| place as u32).collect()])?;
    site.reshaped(picked, shape)
}

/// Operand 0 with the constant updates of operand 2 at these places: in their place, added, multiplied, or the larger or
/// smaller of both.
fn scattered(site: &mut Site<'_>, shape: &Shape, places: &[usize]) -> Outcome {
    let value = site.operand(0)?;
    let updates = site.weights(2, "the updates")?;
    if updates.tensor.data.len() != places.len() {
        return Err(Refusal::invalid("there are not as many updates as indices"));
    }
    let count = size(shape)?;
    let constant = |data| Value::Constant(ConstantValue::new(shape.clone(), data, ElementKind::Real));
    let reduction = site.attributes.text("reduction")?;
    let sign = match reduction.as_deref() {
        Some("max") => Some(1.0),
        Some("min") => Some(-1.0),
        _ => None,
    };
    if let Some(sign) = sign {
        // max(x, u) = x + relu(u − x) where there is an update, and the minimum of what is negated.
        let (mut mask, mut bounds) = (vec![0.0; count], vec![f64::NEG_INFINITY; count]);
        for (&place, &update) in places.iter().zip(&updates.tensor.data) {
            (mask[place], bounds[place]) = (1.0, f64::max(bounds[place], sign * update));
        }
        bounds.iter_mut().filter(|bound| bound.is_infinite()).for_each(|bound| *bound = 0.0);
        let signed = |site: &mut Site<'_>, x| combine(site, Binary::Mul, x, constant(vec![sign; count]));
        let x = signed(site, value)?;
        let difference = combine(site, Binary::Sub, constant(bounds), x.clone())?;
        let excess = relu_of(site, difference)?;
        let masked = combine(site, Binary::Mul, excess, constant(mask))?;
        let largest = combine(site, Binary::Add, x, masked)?;
        return signed(site, largest);
    }
    let (mut factors, mut offsets) = (vec![1.0; count], vec![0.0; count]);
    for (&place, &update) in places.iter().zip(&updates.tensor.data) {
        match reduction.as_deref() {
            None | Some("none") => (factors[place], offsets[place]) = (0.0, update),
            Some("add") => offsets[place] += update,
            Some("mul") => factors[place] *= update,
            Some(other) => {
                return Err(Refusal::invalid(format!("reduction is `{other}`")));
            }
        }
    }
    let kept = combine(site, Binary::Mul, value, constant(factors))?;
    combine(site, Binary::Add, kept, constant(offsets))
}
