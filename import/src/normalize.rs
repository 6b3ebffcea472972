//! Normalizations whose statistics depend on the input: differences from the mean, times one over the root of a mean square.
//!
//! They are sums of what there is already: linear maps, a product of two tensors, and the smooth function 1/√x on its
//! calibrated range, as in the function bodies of ONNX's schema.

use std::sync::Arc;

use paf_ir::linear::Primitive;
use paf_ir::tensor::{Function, NodeId, Op, Tensor};
use paf_ir::{LinearMap, Shape};

use super::activation::magnitude;
use super::constants::ConstantValue;
use super::elementwise::{Binary, combine};
use super::reduce::mean_over;
use super::site::{Outcome, Refusal, Site, Value, axes, axis};

/// ONNX's default for the ε added to a mean square.
const DEFAULT_EPSILON: f64 = 1e-5;

/// Added to the deviation in MeanVarianceNormalization.
const DEVIATION_EPSILON: f64 = 1e-9;

/// LayerNormalization over the axes from `axis` on; further outputs are the mean and one over the deviation.
pub(super) fn layer_normalization(site: &mut Site<'_>) -> Outcome {
    let (x, shape) = site.tensor(0)?;
    let axes = trailing_axes(site, &shape)?;
    let epsilon = epsilon(site)?;
    let (centered, mean) = centered(site, x, &axes)?;
    let inverse = inverse_root(site, centered, &axes, epsilon)?;
    let result = product(site, centered, inverse)?;
    site.more_outputs = vec![Value::Tensor(mean), Value::Tensor(inverse)];
    scaled_and_shifted(site, result)
}

/// RMSNormalization over the axes from `axis` on.
pub(super) fn rms_normalization(site: &mut Site<'_>) -> Outcome {
    let (x, shape) = site.tensor(0)?;
    let axes = trailing_axes(site, &shape)?;
    let epsilon = epsilon(site)?;
    let inverse = inverse_root(site, x, &axes, epsilon)?;
    let result = product(site, x, inverse)?;
    scaled_and_shifted(site, result)
}

/// InstanceNormalization: each channel of each sample by itself.
pub(super) fn instance_normalization(site: &mut Site<'_>) -> Outcome {
    let (x, shape) = site.tensor(0)?;
    let axes: Vec<usize> = (2..shape.0.len()).collect();
    let epsilon = epsilon(site)?;
    let result = normalized(site, x, &axes, epsilon)?;
    by_channel(site, result, shape.0.len().saturating_sub(2))
}

/// GroupNormalization: channels in groups; before operator set 21 scale and bias are by group.
pub(super) fn group_normalization(site: &mut Site<'_>) -> Outcome {
    let (x, shape) = site.tensor(0)?;
    let groups = site.attributes.integer("num_groups")?.ok_or_else(|| Refusal::invalid("num_groups is missing"))?;
    let channels = shape.0.get(1).copied().unwrap_or(0);
    let groups = usize::try_from(groups).ok().filter(|&groups| groups > 0 && channels.is_multiple_of(groups));
    let groups = groups.ok_or_else(|| Refusal::invalid(format!("num_groups does not divide {channels} channels")))?;
    let epsilon = epsilon(site)?;
    let grouped = Shape(vec![shape.0[0], groups, shape.size() / (shape.0[0] * groups)]);
    let input = site.add_reshape(x, grouped)?;
    let result = normalized(site, input, &[2], epsilon)?;
    if site.opset < 21 {
        let scaled = by_channel(site, result, 1)?;
        return site.reshaped(scaled, shape);
    }
    let Value::Tensor(result) = site.reshaped(Value::Tensor(result), shape.clone())? else {
        return Err(Refusal::UnknownOperand);
    };
    by_channel(site, result, shape.0.len() - 2)
}

/// MeanVarianceNormalization over batch and space unless `axes` says otherwise.
pub(super) fn mean_variance_normalization(site: &mut Site<'_>) -> Outcome {
    let (x, shape) = site.tensor(0)?;
    let list = site.attributes.integers("axes")?.unwrap_or_else(|| vec![0, 2, 3]);
    let axes = axes(&list, shape.0.len())?;
    Ok(Value::Tensor(normalized(site, x, &axes, DEVIATION_EPSILON * DEVIATION_EPSILON)?))
}

/// LpNormalization along `axis`, p being 1 or 2.
pub(super) fn lp_normalization(site: &mut Site<'_>) -> Outcome {
    let (x, shape) = site.tensor(0)?;
    let axis = axis(site.attributes.integer("axis")?.unwrap_or(-1), shape.0.len())?;
    let count = shape.0[axis] as f64;
    let inverse = match site.attributes.integer("p")?.unwrap_or(2) {
        1 => {
            let Value::Tensor(magnitudes) = magnitude(site, Value::Tensor(x))? else {
                return Err(Refusal::UnknownOperand);
            };
            let sum = mean_over(site, magnitudes, &[axis], count)?;
            site.add(Op::Function(Function::Reciprocal), &[sum])?
        }
        2 => {
            let squares = site.add(Op::Mul, &[x, x])?;
            let sum = mean_over(site, squares, &[axis], count)?;
            site.add(Op::Function(Function::InverseSqrt), &[sum])?
        }
        p => return Err(Refusal::invalid(format!("p is {p}, not 1 or 2"))),
    };
    Ok(Value::Tensor(product(site, x, inverse)?))
}

/// LRN: over the power `beta` of `bias + alpha/size · Σx²`, a sum over neighbouring channels.
pub(super) fn local_response_normalization(site: &mut Site<'_>) -> Outcome {
    let (x, shape) = site.tensor(0)?;
    let number = |name: &str, default: f64| Ok::<_, Refusal>(site.attributes.number(name)?.unwrap_or(default));
    let (alpha, beta, bias) = (number("alpha", 1e-4)?, number("beta", 0.75)?, number("bias", 1.0)?);
    let window = site.attributes.integer("size")?.and_then(|size| usize::try_from(size).ok()).filter(|&size| size > 0);
    let window = window.ok_or_else(|| Refusal::invalid("size is no positive number"))?;
    if shape.0.len() < 2 {
        return Err(Refusal::invalid(format!("{shape} has no channels")));
    }
    let squares = site.add(Op::Mul, &[x, x])?;
    let map = LinearMap::of(sum_of_neighbours(&shape, window, alpha / window as f64), None);
    let sum = site.add_linear(map, squares, shape)?;
    let base = site.add(Op::AddConstant(bias), &[sum])?;
    let factor = inverse_power(site, base, beta)?;
    Ok(Value::Tensor(product(site, x, factor)?))
}

/// A multiple of the sums over windows of so many channels, of which an even number has one more behind than in front.
fn sum_of_neighbours(shape: &Shape, window: usize, multiple: f64) -> Primitive {
    let channels = shape.0[1];
    let (before, after) = ((window - 1) / 2, window / 2);
    let reads = |output: usize, input: usize| input + before >= output && input <= output.saturating_add(after);
    let weight = |place: usize| if reads(place / channels, place % channels) { multiple } else { 0.0 };
    let weight = Tensor::new(Shape(vec![channels, channels]), (0..channels * channels).map(weight).collect());
    Primitive::Dense { weight: Arc::new(weight), left: shape.0[0], right: shape.0[2..].iter().product() }
}

/// One over a power of a positive tensor.
fn inverse_power(site: &mut Site<'_>, base: NodeId, exponent: f64) -> Result<NodeId, Refusal> {
    match exponent {
        0.5 => site.add(Op::Function(Function::InverseSqrt), &[base]),
        0.75 => {
            let root = site.add(Op::Function(Function::InverseSqrt), &[base])?;
            let fourth_root = site.add(Op::Function(Function::Sqrt), &[root])?;
            site.add(Op::Mul, &[root, fourth_root])
        }
        1.0 => site.add(Op::Function(Function::Reciprocal), &[base]),
        _ => {
            let logarithm = site.add(Op::Function(Function::Log), &[base])?;
            let scaled = site.add(Op::Scale(-exponent), &[logarithm])?;
            site.add(Op::Function(Function::Exp), &[scaled])
        }
    }
}

fn epsilon(site: &Site<'_>) -> Result<f64, Refusal> {
    Ok(site.attributes.number("epsilon")?.unwrap_or(DEFAULT_EPSILON))
}

/// The axes from the attribute `axis` on, the last one if it is not given.
fn trailing_axes(site: &Site<'_>, shape: &Shape) -> Result<Vec<usize>, Refusal> {
    let first = axis(site.attributes.integer("axis")?.unwrap_or(-1), shape.0.len())?;
    Ok((first..shape.0.len()).collect())
}

/// `x − mean`, and the mean.
fn centered(site: &mut Site<'_>, x: NodeId, axes: &[usize]) -> Result<(NodeId, NodeId), Refusal> {
    let mean = mean_over(site, x, axes, 1.0)?;
    match combine(site, Binary::Sub, Value::Tensor(x), Value::Tensor(mean))? {
        Value::Tensor(difference) => Ok((difference, mean)),
        _ => Err(Refusal::UnknownOperand),
    }
}

/// `1 / √(mean(x²) + ε)`.
fn inverse_root(site: &mut Site<'_>, x: NodeId, axes: &[usize], epsilon: f64) -> Result<NodeId, Refusal> {
    let squares = site.add(Op::Mul, &[x, x])?;
    let mean = mean_over(site, squares, axes, 1.0)?;
    let positive = site.add(Op::AddConstant(epsilon), &[mean])?;
    site.add(Op::Function(Function::InverseSqrt), &[positive])
}

fn product(site: &mut Site<'_>, x: NodeId, factor: NodeId) -> Result<NodeId, Refusal> {
    match combine(site, Binary::Mul, Value::Tensor(x), Value::Tensor(factor))? {
        Value::Tensor(product) => Ok(product),
        _ => Err(Refusal::UnknownOperand),
    }
}

fn normalized(site: &mut Site<'_>, x: NodeId, axes: &[usize], epsilon: f64) -> Result<NodeId, Refusal> {
    let (centered, _) = centered(site, x, axes)?;
    let inverse = inverse_root(site, centered, axes, epsilon)?;
    product(site, centered, inverse)
}

/// Times operand 1 and plus operand 2 where they are given; they broadcast.
fn scaled_and_shifted(site: &mut Site<'_>, x: NodeId) -> Outcome {
    let mut result = Value::Tensor(x);
    for (index, op, what) in [(1, Binary::Mul, "the scale"), (2, Binary::Add, "the bias")] {
        if let Some(constant) = site.optional_constant(index, what)? {
            result = combine(site, op, result, Value::Constant(constant))?;
        }
    }
    Ok(result)
}

/// Times operand 1 and plus operand 2, one of each a channel, with so many axes behind.
fn by_channel(site: &mut Site<'_>, x: NodeId, behind: usize) -> Outcome {
    let mut result = Value::Tensor(x);
    for (index, op, what) in [(1, Binary::Mul, "the scale"), (2, Binary::Add, "the bias")] {
        let given: ConstantValue = site.weights(index, what)?;
        let count = given.tensor.data.len();
        let shape = Shape([vec![count], vec![1; behind]].concat());
        let constant = site.reshaped(Value::Constant(given), shape)?;
        result = combine(site, op, result, constant)?;
    }
    Ok(result)
}
