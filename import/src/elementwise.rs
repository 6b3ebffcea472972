//! Add, Sub, Mul, Div, Sum, Mean and functions of constants.

use std::sync::Arc;

use paf_ir::linear::Primitive;
use paf_ir::tensor::{NodeId, Op};
use paf_ir::{LinearMap, Shape};

use super::activation::reciprocal_of;
use super::broadcast::{broadcast_shape, expanded, repeating};
use super::constants::{ConstantValue, ElementKind};
use super::pattern::product_pattern;
use super::site::{Outcome, Refusal, Site, Value, size};

/// Integers up to this size are exact as f64.
const EXACT_INTEGERS: f64 = 9_007_199_254_740_992.0;

/// An operation on two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    Add,
    Sub,
    Mul,
    Div,
}

impl Binary {
    fn of(self, a: f64, b: f64) -> f64 {
        match self {
            Binary::Add => a + b,
            Binary::Sub => a - b,
            Binary::Mul => a * b,
            Binary::Div => a / b,
        }
    }
}

/// Add.
pub(super) fn add(site: &mut Site<'_>) -> Outcome {
    binary(site, Binary::Add)
}

/// Sub.
pub(super) fn sub(site: &mut Site<'_>) -> Outcome {
    binary(site, Binary::Sub)
}

/// Mul.
pub(super) fn mul(site: &mut Site<'_>) -> Outcome {
    binary(site, Binary::Mul)
}

/// Div.
pub(super) fn div(site: &mut Site<'_>) -> Outcome {
    binary(site, Binary::Div)
}

fn binary(site: &mut Site<'_>, op: Binary) -> Outcome {
    let (a, b) = (site.operand(0)?, site.operand(1)?);
    let b = if site.opset < 7 { aligned_at_axis(site, &a, b)? } else { b };
    combine(site, op, a, b)
}

/// Before operator set 7 the attribute `axis` says at which axis of A the axes of B begin.
fn aligned_at_axis(site: &mut Site<'_>, a: &Value, b: Value) -> Outcome {
    let (shape_a, mut shape_b) = (site.shape(a)?, site.shape(&b)?);
    let Some(given) = site.attributes.integer("axis")? else { return Ok(b) };
    let axis = super::site::axis(given, shape_a.0.len())?;
    let trailing = (shape_a.0.len() - axis).checked_sub(shape_b.0.len());
    let trailing = trailing.ok_or_else(|| Refusal::invalid(format!("axis {given} for operand {shape_b}")))?;
    shape_b.0.extend(vec![1; trailing]);
    site.reshaped(b, shape_b)
}

/// Sum: any number of operands.
pub(super) fn sum(site: &mut Site<'_>) -> Outcome {
    let mut total = site.operand(0)?;
    for index in 1..site.operands.len() {
        let next = site.operand(index)?;
        total = combine(site, Binary::Add, total, next)?;
    }
    Ok(total)
}

/// Mean: any number of operands.
pub(super) fn mean(site: &mut Site<'_>) -> Outcome {
    let count = ConstantValue::scalar(site.operands.len() as f64, ElementKind::Real);
    let total = sum(site)?;
    combine(site, Binary::Div, total, Value::Constant(count))
}

/// The sum of two values.
pub(super) fn sum_of(site: &mut Site<'_>, a: Value, b: Value) -> Outcome {
    combine(site, Binary::Add, a, b)
}

/// An operation on two values of any kind, which broadcast.
pub(super) fn combine(site: &mut Site<'_>, op: Binary, a: Value, b: Value) -> Outcome {
    match (a, b) {
        (Value::Constant(a), Value::Constant(b)) => Ok(Value::Constant(fold(site, op, a, b)?)),
        (Value::Tensor(x), Value::Constant(c)) => with_constant(site, op, x, &c),
        (Value::Constant(c), Value::Tensor(x)) => constant_first(site, op, &c, x),
        (Value::Tensor(a), Value::Tensor(b)) => two_tensors(site, op, a, b),
        _ => Err(Refusal::UnknownOperand),
    }
}

fn fold(site: &mut Site<'_>, op: Binary, a: ConstantValue, b: ConstantValue) -> Result<ConstantValue, Refusal> {
    let is_integer = a.kind == ElementKind::Integer && b.kind == ElementKind::Integer;
    let shape = broadcast_shape(a.shape(), b.shape())?;
    let (a, b) = (expanded(site, Value::Constant(a), &shape)?, expanded(site, Value::Constant(b), &shape)?);
    let (Value::Constant(a), Value::Constant(b)) = (a, b) else { return Err(Refusal::UnknownOperand) };
    let pairs = a.tensor.data.iter().zip(&b.tensor.data);
    let results = pairs.map(|(&a, &b)| if is_integer { op.of(a, b).trunc() } else { op.of(a, b) });
    let data = results.collect();
    let kind = if is_integer { ElementKind::Integer } else { ElementKind::Real };
    finite(ConstantValue::new(shape, data, kind))
}

/// A computed constant whose elements must be representable.
fn finite(constant: ConstantValue) -> Result<ConstantValue, Refusal> {
    let is_integer = constant.kind == ElementKind::Integer;
    let fits = |value: f64| value.is_finite() && !(is_integer && value.abs() > EXACT_INTEGERS);
    match constant.tensor.data.iter().find(|&&value| !fits(value)) {
        Some(value) => Err(Refusal::invalid(format!("a constant that it computes is {value}"))),
        None => Ok(constant),
    }
}

/// A tensor, then a constant.
fn with_constant(site: &mut Site<'_>, op: Binary, x: NodeId, constant: &ConstantValue) -> Outcome {
    let (x, shape) = broadcast_tensor(site, x, constant)?;
    let reciprocal = op == Binary::Div;
    if reciprocal && constant.tensor.data.contains(&0.0) {
        return Err(Refusal::invalid("it divides by a constant that is zero"));
    }
    if let Some(value) = uniform(constant) {
        let simple = match op {
            Binary::Add => Op::AddConstant(value),
            Binary::Sub => Op::AddConstant(-value),
            Binary::Mul => Op::Scale(value),
            Binary::Div => Op::Scale(value.recip()),
        };
        return Ok(Value::Tensor(site.add(simple, &[x])?));
    }
    let mut repeated = repeating(&constant.tensor, &shape)?;
    let elements = size(&shape)?;
    let map = match op {
        Binary::Add => LinearMap { bias: Some(repeated), ..LinearMap::identity(elements) },
        Binary::Sub => {
            repeated.values = Arc::new(repeated.values.map(|value| -value));
            LinearMap { bias: Some(repeated), ..LinearMap::identity(elements) }
        }
        Binary::Mul | Binary::Div => {
            let factor = |value: f64| if reciprocal { value.recip() } else { value };
            let values = Arc::new(repeated.values.map(factor));
            LinearMap::of(Primitive::Diagonal { values, repeat: repeated.repeat, size: elements }, None)
        }
    };
    Ok(Value::Tensor(site.add_linear(map, x, shape)?))
}

/// A constant, then a tensor.
fn constant_first(site: &mut Site<'_>, op: Binary, constant: &ConstantValue, x: NodeId) -> Outcome {
    match op {
        Binary::Add | Binary::Mul => with_constant(site, op, x, constant),
        Binary::Sub => constant_minus(site, constant, x),
        Binary::Div => {
            let reciprocal = reciprocal_of(site, x)?;
            with_constant(site, Binary::Mul, reciprocal, constant)
        }
    }
}

fn constant_minus(site: &mut Site<'_>, constant: &ConstantValue, x: NodeId) -> Outcome {
    let (x, shape) = broadcast_tensor(site, x, constant)?;
    if let Some(value) = uniform(constant) {
        let negated = site.add(Op::Scale(-1.0), &[x])?;
        return Ok(Value::Tensor(site.add(Op::AddConstant(value), &[negated])?));
    }
    let bias = Some(repeating(&constant.tensor, &shape)?);
    let map = LinearMap { scale: -1.0, bias, ..LinearMap::identity(size(&shape)?) };
    Ok(Value::Tensor(site.add_linear(map, x, shape)?))
}

/// The tensor repeated to the shape of the result.
fn broadcast_tensor(site: &mut Site<'_>, x: NodeId, constant: &ConstantValue) -> Result<(NodeId, Shape), Refusal> {
    if constant.kind != ElementKind::Real {
        return Err(Refusal::invalid("a floating-point tensor meets a constant of another type"));
    }
    let shape = broadcast_shape(&site.graph.node(x).shape, constant.shape())?;
    Ok((expanded_tensor(site, x, &shape)?, shape))
}

fn expanded_tensor(site: &mut Site<'_>, x: NodeId, shape: &Shape) -> Result<NodeId, Refusal> {
    match expanded(site, Value::Tensor(x), shape)? {
        Value::Tensor(id) => Ok(id),
        _ => Err(Refusal::UnknownOperand),
    }
}

fn uniform(constant: &ConstantValue) -> Option<f64> {
    let first = *constant.tensor.data.first()?;
    constant.tensor.data.iter().all(|&value| value == first).then_some(first)
}

fn two_tensors(site: &mut Site<'_>, op: Binary, a: NodeId, b: NodeId) -> Outcome {
    let (op, b) = match op {
        Binary::Add => (Op::Add, b),
        Binary::Sub => (Op::Sub, b),
        Binary::Mul => (Op::Mul, b),
        Binary::Div => (Op::Mul, reciprocal_of(site, b)?),
    };
    if let (Op::Mul, Some(pattern)) = (&op, product_pattern(site.graph, a, b)) {
        let function = site.add(Op::Function(pattern.function), &[pattern.argument])?;
        let scaled = if pattern.factor == 1.0 { function } else { site.add(Op::Scale(pattern.factor), &[function])? };
        return Ok(Value::Tensor(scaled));
    }
    let shape = broadcast_shape(&site.graph.node(a).shape, &site.graph.node(b).shape)?;
    let (a, b) = (expanded_tensor(site, a, &shape)?, expanded_tensor(site, b, &shape)?);
    Ok(Value::Tensor(site.add(op, &[a, b])?))
}

/// Neg.
pub(super) fn neg(site: &mut Site<'_>) -> Outcome {
    match site.operand(0)? {
        Value::Tensor(x) => Ok(Value::Tensor(site.add(Op::Scale(-1.0), &[x])?)),
        Value::Constant(constant) => of_constant(constant, |value| -value),
        _ => Err(Refusal::UnknownOperand),
    }
}

/// A function of each element of a constant.
pub(super) fn of_constant(constant: ConstantValue, f: impl Fn(f64) -> f64) -> Outcome {
    let tensor = Arc::new(constant.tensor.map(f));
    Ok(Value::Constant(finite(ConstantValue::of(tensor, constant.kind))?))
}
