//! Operators that move or rename axes, and those that compute with shapes.

use paf_ir::Shape;

use super::constants::{self, ConstantValue, ElementKind};
use super::onnx::DataType;
use super::site::{Outcome, Refusal, Site, Value, axes, axis, size};

/// Identity.
pub(super) fn identity(site: &mut Site<'_>) -> Outcome {
    site.operand(0)
}

/// Dropout in its inference form, which is the identity.
pub(super) fn dropout(site: &mut Site<'_>) -> Outcome {
    let training = site.optional_constant(2, "training_mode")?;
    if training.and_then(|flag| flag.as_scalar()).is_some_and(|flag| flag != 0.0) {
        return Err(Refusal::unsupported("training_mode is true", "export the model in inference mode"));
    }
    site.operand(0)
}

/// Reshape, with 0 for a size that stays and −1 for the size that follows.
pub(super) fn reshape(site: &mut Site<'_>) -> Outcome {
    let value = site.operand(0)?;
    let target = site.integers(1, "shape")?.ok_or_else(|| Refusal::invalid("the target shape is missing"))?;
    let shape = reshape_target(&site.shape(&value)?, &target, site.attributes.flag("allowzero")?)?;
    site.reshaped(value, shape)
}

fn reshape_target(given: &Shape, target: &[i64], zero_is_a_size: bool) -> Result<Shape, Refusal> {
    let fail = || Refusal::invalid(format!("{given} cannot be reshaped to {target:?}"));
    let mut sizes = Vec::with_capacity(target.len());
    for (place, &wanted) in target.iter().enumerate() {
        sizes.push(match wanted {
            -1 => 1,
            0 if !zero_is_a_size => *given.0.get(place).ok_or_else(fail)?,
            _ => usize::try_from(wanted).map_err(|_| fail())?,
        });
    }
    let known = size(&Shape(sizes.clone()))?;
    let mut inferred = target.iter().enumerate().filter(|(_, wanted)| **wanted == -1).map(|(place, _)| place);
    if let Some(place) = inferred.next() {
        let elements = size(given)?;
        if known == 0 || !elements.is_multiple_of(known) || inferred.next().is_some() {
            return Err(fail());
        }
        sizes[place] = elements / known;
    }
    Ok(Shape(sizes))
}

/// Flatten to two axes.
pub(super) fn flatten(site: &mut Site<'_>) -> Outcome {
    let value = site.operand(0)?;
    let shape = site.shape(&value)?;
    let rank = shape.0.len();
    let given = site.attributes.integer("axis")?.unwrap_or(1);
    let axis = if given == rank as i64 { rank } else { axis(given, rank)? };
    let (rows, columns) = shape.0.split_at(axis);
    let flat = Shape(vec![rows.iter().product(), columns.iter().product()]);
    site.reshaped(value, flat)
}

/// Squeeze: the named axes, or all of size 1.
pub(super) fn squeeze(site: &mut Site<'_>) -> Outcome {
    let value = site.operand(0)?;
    let shape = site.shape(&value)?;
    let removed = match site.integers(1, "axes")? {
        Some(list) => axes(&list, shape.0.len())?,
        None => (0..shape.0.len()).filter(|&axis| shape.0[axis] == 1).collect(),
    };
    if let Some(axis) = removed.iter().find(|&&axis| shape.0[axis] != 1) {
        return Err(Refusal::invalid(format!("axis {axis} of {shape} cannot be removed")));
    }
    let kept = shape.0.iter().enumerate().filter(|(axis, _)| !removed.contains(axis)).map(|(_, &size)| size);
    let squeezed = Shape(kept.collect());
    site.reshaped(value, squeezed)
}

/// Unsqueeze: axes of size 1 at the named places of the result.
pub(super) fn unsqueeze(site: &mut Site<'_>) -> Outcome {
    let value = site.operand(0)?;
    let list = site.integers(1, "axes")?.ok_or_else(|| Refusal::invalid("the axes are missing"))?;
    let mut shape = site.shape(&value)?;
    for axis in axes(&list, shape.0.len() + list.len())? {
        shape.0.insert(axis, 1);
    }
    site.reshaped(value, shape)
}

/// Transpose; without `perm` it reverses the axes.
pub(super) fn transpose(site: &mut Site<'_>) -> Outcome {
    let value = site.operand(0)?;
    let rank = site.shape(&value)?.0.len();
    let given = site.attributes.integers("perm")?.unwrap_or_else(|| (0..rank as i64).rev().collect());
    let permutation = given.iter().map(|&one| axis(one, rank)).collect::<Result<Vec<_>, _>>()?;
    if axes(&given, rank)?.len() != rank {
        return Err(Refusal::invalid(format!("perm {given:?} for {rank} axes")));
    }
    site.permuted(value, permutation)
}

/// Shape: the sizes as a constant, of the axes from `start` to `end`.
pub(super) fn shape(site: &mut Site<'_>) -> Outcome {
    let sizes = site.shape(&site.operand(0)?)?.0;
    let rank = sizes.len() as i64;
    let bound = |name: &str, default: i64| {
        let given = site.attributes.integer(name)?.unwrap_or(default);
        Ok::<i64, Refusal>(if given < 0 { given.saturating_add(rank) } else { given }.clamp(0, rank))
    };
    let (start, end) = (bound("start", 0)?, bound("end", rank)?);
    let chosen = sizes.iter().take(end as usize).skip(start as usize);
    Ok(Value::Constant(ConstantValue::integers(chosen.map(|&size| size as i64))))
}

/// Size: the number of elements as a constant.
pub(super) fn element_count(site: &mut Site<'_>) -> Outcome {
    let count = size(&site.shape(&site.operand(0)?)?)?;
    Ok(Value::Constant(ConstantValue::scalar(count as f64, ElementKind::Integer)))
}

/// ConstantOfShape, zeros by default.
pub(super) fn constant_of_shape(site: &mut Site<'_>) -> Outcome {
    let target = site.constant(0, "the shape")?.as_integers();
    let target = target.ok_or_else(|| Refusal::invalid("the shape has no integer elements"))?;
    let shape = reshape_target(&Shape(vec![]), &target, true)?;
    let fill = match site.attributes.tensor("value")? {
        Some(tensor) => site.own_tensor(tensor)?,
        None => ConstantValue::scalar(0.0, ElementKind::Real),
    };
    let value = fill.as_scalar().ok_or_else(|| Refusal::invalid("attribute `value` does not have one element"))?;
    let data = vec![value; size(&shape)?];
    Ok(Value::Constant(ConstantValue::new(shape, data, fill.kind)))
}

/// Constant, in any of its numeric forms.
pub(super) fn constant(site: &mut Site<'_>) -> Outcome {
    let attributes = site.attributes;
    let value = if let Some(tensor) = attributes.tensor("value")? {
        site.own_tensor(tensor)?
    } else if let Some(number) = attributes.number("value_float")? {
        ConstantValue::scalar(number, ElementKind::Real)
    } else if let Some(integer) = attributes.integer("value_int")? {
        ConstantValue::scalar(integer as f64, ElementKind::Integer)
    } else if let Some(numbers) = attributes.numbers("value_floats")? {
        ConstantValue::new(Shape(vec![numbers.len()]), numbers, ElementKind::Real)
    } else if let Some(integers) = attributes.integers("value_ints")? {
        ConstantValue::integers(integers)
    } else {
        return Err(Refusal::unsupported("it holds no dense tensor of numbers", "use the attribute `value`"));
    };
    Ok(Value::Constant(value))
}

/// Cast: constants are converted, tensors stay real numbers.
pub(super) fn cast(site: &mut Site<'_>) -> Outcome {
    let code = site.attributes.integer("to")?.ok_or_else(|| Refusal::invalid("attribute `to` is missing"))?;
    let known = i32::try_from(code).ok().and_then(|code| DataType::try_from(code).ok());
    let target = known.ok_or_else(|| Refusal::invalid(format!("attribute `to` is {code}, no element type")))?;
    if matches!(target, DataType::Undefined | DataType::String | DataType::Complex64 | DataType::Complex128) {
        return Err(Refusal::unsupported(format!("to is {}", target.name()), "casts to FLOAT work"));
    }
    let kind = constants::kind(target);
    match site.operand(0)? {
        Value::Constant(constant) => Ok(Value::Constant(converted(&constant, kind))),
        Value::Final(result) => site.cast_at_client(result, kind),
        value if kind == ElementKind::Real => {
            if !matches!(target, DataType::Float | DataType::Double) {
                site.warnings.push(format!("`{}`: the cast to {} rounds nothing", site.name, target.name()));
            }
            Ok(value)
        }
        _ => Err(Refusal::unsupported(
            format!("to is {}: it rounds a value that depends on the input", target.name()),
            "casts to FLOAT work",
        )),
    }
}

fn converted(constant: &ConstantValue, kind: ElementKind) -> ConstantValue {
    let convert = |value: f64| match kind {
        ElementKind::Real => value,
        ElementKind::Integer => value.trunc(),
        ElementKind::Boolean => f64::from(value != 0.0),
    };
    ConstantValue::of(std::sync::Arc::new(constant.tensor.map(convert)), kind)
}
