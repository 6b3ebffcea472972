//! QuantizeLinear and DequantizeLinear. What is left of quantization after the preparation is that of constants, and of
//! inputs that hold integers.

use paf_ir::Shape;

use super::broadcast::expanded;
use super::constants::{ConstantValue, ElementKind};
use super::elementwise::{Binary, combine};
use super::onnx::DataType;
use super::site::{Outcome, Refusal, Site, Value, axis};

/// DequantizeLinear: `(x − zero point) · scale`, for the whole tensor, along an axis or by blocks of one.
pub(super) fn dequantize_linear(site: &mut Site<'_>) -> Outcome {
    let x = site.operand(0)?;
    let shape = site.shape(&x)?;
    let scale = site.weights(1, "the scale")?;
    let scale = aligned(site, scale, &shape)?;
    let shifted = match zero_point(site)? {
        Some(zero) => {
            let zero = aligned(site, zero, &shape)?;
            combine(site, Binary::Sub, x, zero)?
        }
        None => x,
    };
    combine(site, Binary::Mul, shifted, scale)
}

/// QuantizeLinear of a constant: the nearest integers in the range of their type.
pub(super) fn quantize_linear(site: &mut Site<'_>) -> Outcome {
    let Value::Constant(x) = site.operand(0)? else {
        return Err(Refusal::unsupported(
            "it rounds a value that depends on the input, for integer arithmetic",
            "export the model before quantization, or with DequantizeLinear behind each QuantizeLinear",
        ));
    };
    let shape = x.shape().clone();
    let (low, high) = result_range(site)?;
    let scale = site.weights(1, "the scale")?;
    let scale = for_each_element(site, scale, &shape)?;
    let zero = match zero_point(site)? {
        Some(zero) => for_each_element(site, zero, &shape)?,
        None => vec![0.0; x.tensor.data.len()],
    };
    if scale.contains(&0.0) {
        return Err(Refusal::invalid("a scale is zero"));
    }
    let quantized = |((&x, scale), zero): ((&f64, f64), f64)| ((x / scale).round_ties_even() + zero).clamp(low, high);
    let data = x.tensor.data.iter().zip(scale).zip(zero).map(quantized).collect();
    Ok(Value::Constant(ConstantValue::new(shape, data, ElementKind::Integer)))
}

/// The least and the largest integer of a type.
pub(super) fn integer_range(element_type: DataType) -> Option<(f64, f64)> {
    Some(match element_type {
        DataType::Bool => (0.0, 1.0),
        DataType::Uint4 => (0.0, 15.0),
        DataType::Int4 => (-8.0, 7.0),
        DataType::Uint8 => (0.0, 255.0),
        DataType::Int8 => (-128.0, 127.0),
        DataType::Uint16 => (0.0, 65_535.0),
        DataType::Int16 => (-32_768.0, 32_767.0),
        DataType::Uint32 => (0.0, f64::from(u32::MAX)),
        DataType::Int32 => (f64::from(i32::MIN), f64::from(i32::MAX)),
        DataType::Uint64 => (0.0, u64::MAX as f64),
        DataType::Int64 => (i64::MIN as f64, i64::MAX as f64),
        _ => return None,
    })
}

/// The range of the attribute `output_dtype`, which the preparation writes where only the zero point says it.
fn result_range(site: &Site<'_>) -> Result<(f64, f64), Refusal> {
    let Some(code) = site.attributes.integer("output_dtype")?.filter(|&code| code != 0) else {
        return Ok((0.0, 255.0));
    };
    let element_type = i32::try_from(code).ok().and_then(|code| DataType::try_from(code).ok());
    let range = element_type.and_then(integer_range);
    range.ok_or_else(|| {
        let name = element_type.map_or_else(|| code.to_string(), DataType::name);
        Refusal::unsupported(format!("it quantizes to the type {name}"), "integers work")
    })
}

/// The zero point as numbers, where it moves anything.
fn zero_point(site: &Site<'_>) -> Result<Option<ConstantValue>, Refusal> {
    let given = site.optional_constant(2, "the zero point")?;
    let zero = given.map(|zero| ConstantValue { kind: ElementKind::Real, ..zero });
    Ok(zero.filter(|zero| zero.tensor.data.iter().any(|&value| value != 0.0)))
}

/// A scale or zero point so that it broadcasts against a tensor.
fn aligned(site: &mut Site<'_>, constant: ConstantValue, shape: &Shape) -> Outcome {
    let count = constant.tensor.data.len();
    if count == 1 {
        return site.reshaped(Value::Constant(constant), Shape(vec![]));
    }
    let axis = axis(site.attributes.integer("axis")?.unwrap_or(1), shape.0.len())?;
    let block = site.attributes.integer("block_size")?.unwrap_or(0);
    if block != 0 {
        return by_blocks(site, constant, shape, (axis, block));
    }
    if constant.shape().0.len() == shape.0.len() {
        return Ok(Value::Constant(constant));
    }
    if count != shape.0[axis] {
        return Err(Refusal::invalid(format!("{count} scales or zero points for axis {axis} of {shape}")));
    }
    let behind = vec![1; shape.0.len() - axis - 1];
    site.reshaped(Value::Constant(constant), Shape([vec![count], behind].concat()))
}

/// A scale or zero point for each block of elements along an axis, repeated for each element.
fn by_blocks(site: &mut Site<'_>, constant: ConstantValue, shape: &Shape, (axis, block): (usize, i64)) -> Outcome {
    let blocks = constant.shape().clone();
    let block = usize::try_from(block).map_err(|_| Refusal::invalid(format!("block_size is {block}")))?;
    let fits = |place: usize| match place == axis {
        true => blocks.0[place] == shape.0[place].div_ceil(block),
        false => blocks.0[place] == shape.0[place],
    };
    if blocks.0.len() != shape.0.len() || !(0..shape.0.len()).all(fits) {
        return Err(Refusal::invalid(format!(
            "scales or zero points of shape {blocks} for blocks of {block} of {shape}"
        )));
    }
    let place = |along: usize, index: usize| if along == axis { index / block } else { index } as u32;
    let indices = shape.0.iter().enumerate();
    let indices = indices.map(|(along, &size)| (0..size).map(|index| place(along, index)).collect()).collect();
    site.selected(Value::Constant(constant), indices)
}

/// A scale or zero point for each element of a tensor.
fn for_each_element(site: &mut Site<'_>, constant: ConstantValue, shape: &Shape) -> Result<Vec<f64>, Refusal> {
    let aligned = aligned(site, constant, shape)?;
    match expanded(site, aligned, shape)? {
        Value::Constant(each) => Ok(each.tensor.data.clone()),
        _ => Err(Refusal::UnknownOperand),
    }
}
