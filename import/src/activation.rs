//! Functions of one element: piecewise linear ones as sums of ReLUs, which become steps later, and smooth ones as
//! [`Op::Function`], which becomes a polynomial on its calibrated range.

use std::sync::Arc;

use paf_ir::Shape;
use paf_ir::tensor::{Function, NodeId, Op};

use super::constants::{ConstantValue, ElementKind};
use super::elementwise::{Binary, combine, of_constant};
use super::site::{Outcome, Refusal, Site, Value};

/// Bounds of this size, about the largest f32, stand for none.
const UNBOUNDED: f64 = 3.4e38;

/// Largest whole exponent: four levels.
const MAX_EXPONENT: u32 = 16;

/// Most different exponents of one Pow.
const MAX_EXPONENTS: usize = 4;

macro_rules! smooth {
    ($($(#[$doc:meta])* $name:ident = $function:ident;)*) => {
        $($(#[$doc])* pub(super) fn $name(site: &mut Site<'_>) -> Outcome {
            let x = site.operand(0)?;
            apply(site, Function::$function, x)
        })*
    };
}

smooth! {
    /// Sigmoid.
    sigmoid = Sigmoid;
    /// Tanh.
    tanh = Tanh;
    /// Erf.
    erf = Erf;
    /// Exp.
    exp = Exp;
    /// Log.
    log = Log;
    /// Sqrt.
    sqrt = Sqrt;
    /// Softplus.
    softplus = Softplus;
    /// Softsign.
    softsign = Softsign;
    /// Mish.
    mish = Mish;
    /// Sin.
    sin = Sin;
    /// Cos.
    cos = Cos;
    /// Sinh.
    sinh = Sinh;
    /// Cosh.
    cosh = Cosh;
    /// Atan.
    atan = Atan;
    /// Asinh.
    asinh = Asinh;
}

/// Reciprocal, also of a square root.
pub(super) fn reciprocal(site: &mut Site<'_>) -> Outcome {
    match site.operand(0)? {
        Value::Tensor(x) => Ok(Value::Tensor(reciprocal_of(site, x)?)),
        other => apply(site, Function::Reciprocal, other),
    }
}

/// `1 / x`, which is one function where x is a square root.
pub(super) fn reciprocal_of(site: &mut Site<'_>, x: NodeId) -> Result<NodeId, Refusal> {
    let node = site.graph.node(x);
    match node.op {
        Op::Function(Function::Sqrt) => {
            let operand = node.inputs[0];
            site.add(Op::Function(Function::InverseSqrt), &[operand])
        }
        _ => site.add(Op::Function(Function::Reciprocal), &[x]),
    }
}

/// A smooth function of a tensor, or its values on a constant.
pub(super) fn apply(site: &mut Site<'_>, function: Function, x: Value) -> Outcome {
    match x {
        Value::Tensor(x) => Ok(Value::Tensor(site.add(Op::Function(function), &[x])?)),
        Value::Constant(constant) => of_constant(constant, |value| function.eval(value)),
        _ => Err(Refusal::UnknownOperand),
    }
}

/// Gelu, exact or with tanh.
pub(super) fn gelu(site: &mut Site<'_>) -> Outcome {
    let x = site.operand(0)?;
    match site.attributes.text("approximate")?.as_deref() {
        None | Some("none") => apply(site, Function::Gelu, x),
        Some("tanh") => apply(site, Function::GeluTanh, x),
        Some(other) => Err(Refusal::invalid(format!("approximate is `{other}`"))),
    }
}

/// Swish: `x · sigmoid(alpha · x)`.
pub(super) fn swish(site: &mut Site<'_>) -> Outcome {
    let (x, alpha) = (site.operand(0)?, site.attributes.number("alpha")?.unwrap_or(1.0));
    if alpha == 0.0 {
        return scaled(site, x, 0.5);
    }
    let inner = scaled(site, x, alpha)?;
    let outer = apply(site, Function::Silu, inner)?;
    scaled(site, outer, alpha.recip())
}

/// Elu: `alpha · elu(x) + (1 − alpha) · relu(x)` with the elu of alpha 1, which has no kink.
pub(super) fn elu(site: &mut Site<'_>) -> Outcome {
    let alpha = site.attributes.number("alpha")?.unwrap_or(1.0);
    let x = site.operand(0)?;
    elu_of(site, x, alpha)
}

/// Selu: a multiple of an Elu.
pub(super) fn selu(site: &mut Site<'_>) -> Outcome {
    let alpha = site.attributes.number("alpha")?.unwrap_or(1.673_263_192_176_818_8);
    let gamma = site.attributes.number("gamma")?.unwrap_or(1.050_701_022_148_132_3);
    let x = site.operand(0)?;
    let elu = elu_of(site, x, alpha)?;
    scaled(site, elu, gamma)
}

/// Celu: `alpha · elu(x / alpha)`.
pub(super) fn celu(site: &mut Site<'_>) -> Outcome {
    let alpha = site.attributes.number("alpha")?.unwrap_or(1.0);
    if alpha == 0.0 {
        return Err(Refusal::invalid("alpha is 0"));
    }
    let x = site.operand(0)?;
    let inner = scaled(site, x, alpha.recip())?;
    let outer = elu_of(site, inner, 1.0)?;
    scaled(site, outer, alpha)
}

fn elu_of(site: &mut Site<'_>, x: Value, alpha: f64) -> Outcome {
    let smooth = apply(site, Function::Elu, x.clone())?;
    if alpha == 1.0 {
        return Ok(smooth);
    }
    let smooth = scaled(site, smooth, alpha)?;
    let positive = relu_of(site, x)?;
    let positive = scaled(site, positive, 1.0 - alpha)?;
    combine(site, Binary::Add, smooth, positive)
}

/// LeakyRelu: `alpha · x + (1 − alpha) · relu(x)`.
pub(super) fn leaky_relu(site: &mut Site<'_>) -> Outcome {
    let alpha = site.attributes.number("alpha")?.unwrap_or(0.01);
    let x = site.operand(0)?;
    with_slope(site, x, number(alpha))
}

/// PRelu: LeakyRelu with a slope that broadcasts; before operator set 7 one slope a channel.
pub(super) fn prelu(site: &mut Site<'_>) -> Outcome {
    let x = site.operand(0)?;
    let mut slope = site.operand(1)?;
    let (rank, count) = (site.shape(&x)?.0.len(), site.shape(&slope)?.0.iter().product::<usize>());
    if site.opset < 7 && count > 1 && rank > 1 {
        let sizes = [vec![count], vec![1; rank - 2]].concat();
        slope = site.reshaped(slope, Shape(sizes))?;
    }
    with_slope(site, x, slope)
}

fn with_slope(site: &mut Site<'_>, x: Value, slope: Value) -> Outcome {
    let rest = combine(site, Binary::Sub, number(1.0), slope.clone())?;
    let everywhere = combine(site, Binary::Mul, x.clone(), slope)?;
    let positive = relu_of(site, x)?;
    let positive = combine(site, Binary::Mul, positive, rest)?;
    combine(site, Binary::Add, everywhere, positive)
}

/// Abs.
pub(super) fn abs(site: &mut Site<'_>) -> Outcome {
    let x = site.operand(0)?;
    magnitude(site, x)
}

/// `|x| = 2·relu(x) − x`.
pub(super) fn magnitude(site: &mut Site<'_>, x: Value) -> Outcome {
    let positive = relu_of(site, x.clone())?;
    let doubled = scaled(site, positive, 2.0)?;
    combine(site, Binary::Sub, doubled, x)
}

/// Clip: bounds are operands, before operator set 11 attributes.
pub(super) fn clip(site: &mut Site<'_>) -> Outcome {
    let x = site.operand(0)?;
    let (low, high) = (bound(site, 1, "min")?, bound(site, 2, "max")?);
    clipped(site, x, low, high)
}

fn bound(site: &Site<'_>, index: usize, name: &str) -> Result<Option<f64>, Refusal> {
    let value = match site.optional_constant(index, name)? {
        Some(operand) => {
            Some(operand.as_scalar().ok_or_else(|| Refusal::invalid(format!("{name} is not one number")))?)
        }
        None => site.attributes.number(name)?,
    };
    Ok(value.filter(|value| value.abs() < UNBOUNDED))
}

/// `low + relu(x − low) − relu(x − high)`.
fn clipped(site: &mut Site<'_>, x: Value, low: Option<f64>, high: Option<f64>) -> Outcome {
    if let (Some(low), Some(high)) = (low, high)
        && low > high
    {
        return Err(Refusal::invalid(format!("its lower bound {low} lies above its upper bound {high}")));
    }
    let mut result = match low {
        Some(low) => relu_from(site, x.clone(), low)?,
        None => x.clone(),
    };
    if let Some(low) = low {
        result = shifted(site, result, low)?;
    }
    match high {
        Some(high) => {
            let beyond = relu_from(site, x, high)?;
            combine(site, Binary::Sub, result, beyond)
        }
        None => Ok(result),
    }
}

/// HardSigmoid: `clip(alpha · x + beta, 0, 1)`.
pub(super) fn hard_sigmoid(site: &mut Site<'_>) -> Outcome {
    let alpha = site.attributes.number("alpha")?.unwrap_or(0.2);
    let beta = site.attributes.number("beta")?.unwrap_or(0.5);
    let x = site.operand(0)?;
    hard_sigmoid_of(site, x, alpha, beta)
}

/// HardSwish: `x · clip(x/6 + ½, 0, 1)`.
pub(super) fn hard_swish(site: &mut Site<'_>) -> Outcome {
    let x = site.operand(0)?;
    let gate = hard_sigmoid_of(site, x.clone(), 1.0 / 6.0, 0.5)?;
    combine(site, Binary::Mul, x, gate)
}

/// Shrink: `relu(x − λ) − relu(−x − λ)`, where its two halves meet zero: bias = λ. Otherwise it jumps.
pub(super) fn shrink(site: &mut Site<'_>) -> Outcome {
    let lambda = site.attributes.number("lambd")?.unwrap_or(0.5);
    let bias = site.attributes.number("bias")?.unwrap_or(0.0);
    if bias != lambda || lambda < 0.0 {
        let problem = format!("Shrink with bias {bias} and lambd {lambda} jumps");
        return Err(Refusal::unsupported(problem, "with bias = lambd, not negative, it is a difference of two ReLUs"));
    }
    let x = site.operand(0)?;
    let above = shifted(site, x.clone(), -lambda)?;
    let above = relu_of(site, above)?;
    let below = scaled(site, x, -1.0)?;
    let below = shifted(site, below, -lambda)?;
    let below = relu_of(site, below)?;
    combine(site, Binary::Sub, above, below)
}

fn hard_sigmoid_of(site: &mut Site<'_>, x: Value, alpha: f64, beta: f64) -> Outcome {
    let inner = scaled(site, x, alpha)?;
    let inner = shifted(site, inner, beta)?;
    clipped(site, inner, Some(0.0), Some(1.0))
}

/// Pow with a constant exponent that is small and whole, or ±½; or with a constant base.
pub(super) fn pow(site: &mut Site<'_>) -> Outcome {
    match (site.operand(0)?, site.operand(1)?) {
        (x, Value::Constant(exponent)) => to_constant_power(site, x, &exponent),
        (Value::Constant(base), exponent) => {
            let logarithms = of_constant(base, f64::ln)?;
            let inner = combine(site, Binary::Mul, exponent, logarithms)?;
            apply(site, Function::Exp, inner)
        }
        _ => Err(Refusal::not_constant("the exponent")),
    }
}

fn to_constant_power(site: &mut Site<'_>, x: Value, exponents: &ConstantValue) -> Outcome {
    let mut different = exponents.tensor.data.clone();
    different.sort_by(f64::total_cmp);
    different.dedup();
    match different[..] {
        [] => Err(Refusal::invalid("the exponent is empty")),
        [exponent] => {
            let power = power_of(site, x, exponent)?;
            let shape = super::broadcast::broadcast_shape(&site.shape(&power)?, exponents.shape())?;
            super::broadcast::expanded(site, power, &shape)
        }
        _ if different.len() > MAX_EXPONENTS => Err(Refusal::unsupported(
            format!("it has {} different exponents", different.len()),
            format!("up to {MAX_EXPONENTS} work"),
        )),
        _ => sum_of_powers(site, x, exponents, &different),
    }
}

/// One power for each exponent, where that exponent stands.
fn sum_of_powers(site: &mut Site<'_>, x: Value, exponents: &ConstantValue, different: &[f64]) -> Outcome {
    let mut total = None;
    for &exponent in different {
        let places = Arc::new(exponents.tensor.map(|value| f64::from(u8::from(value == exponent))));
        let places = Value::Constant(ConstantValue::of(places, ElementKind::Real));
        let power = power_of(site, x.clone(), exponent)?;
        let there = combine(site, Binary::Mul, power, places)?;
        total = Some(match total {
            Some(sum) => combine(site, Binary::Add, sum, there)?,
            None => there,
        });
    }
    total.ok_or(Refusal::UnknownOperand)
}

fn power_of(site: &mut Site<'_>, x: Value, exponent: f64) -> Outcome {
    if let Value::Constant(constant) = x {
        return of_constant(constant, |value| value.powf(exponent));
    }
    let is_root = exponent.abs() == 0.5;
    if !is_root && (exponent.fract() != 0.0 || exponent.abs() > f64::from(MAX_EXPONENT)) {
        let hint = format!("whole exponents up to {MAX_EXPONENT}, 0.5 and -0.5 work");
        return Err(Refusal::unsupported(format!("its exponent is {exponent}"), hint));
    }
    let mut base = x;
    if is_root {
        base = apply(site, Function::Sqrt, base)?;
    }
    if exponent < 0.0 {
        base = apply(site, Function::Reciprocal, base)?;
    }
    if is_root { Ok(base) } else { whole_power(site, base, exponent.abs() as u32) }
}

/// By squaring.
fn whole_power(site: &mut Site<'_>, base: Value, exponent: u32) -> Outcome {
    if exponent == 0 {
        let zero = scaled(site, base, 0.0)?;
        return shifted(site, zero, 1.0);
    }
    let (mut square, mut rest, mut result) = (base, exponent, None);
    loop {
        if rest % 2 == 1 {
            result = Some(match result {
                Some(product) => combine(site, Binary::Mul, product, square.clone())?,
                None => square.clone(),
            });
        }
        rest /= 2;
        match result {
            Some(product) if rest == 0 => return Ok(product),
            _ => square = combine(site, Binary::Mul, square.clone(), square)?,
        }
    }
}

/// `relu(x − start)`.
fn relu_from(site: &mut Site<'_>, x: Value, start: f64) -> Outcome {
    let moved = shifted(site, x, -start)?;
    relu_of(site, moved)
}

/// `max(x, 0)`.
pub(super) fn relu_of(site: &mut Site<'_>, x: Value) -> Outcome {
    match x {
        Value::Tensor(x) => Ok(Value::Tensor(site.add(Op::Relu, &[x])?)),
        Value::Constant(constant) => of_constant(constant, |value| value.max(0.0)),
        _ => Err(Refusal::UnknownOperand),
    }
}

fn number(value: f64) -> Value {
    Value::Constant(ConstantValue::scalar(value, ElementKind::Real))
}

fn scaled(site: &mut Site<'_>, x: Value, factor: f64) -> Outcome {
    if factor == 1.0 { Ok(x) } else { combine(site, Binary::Mul, x, number(factor)) }
}

fn shifted(site: &mut Site<'_>, x: Value, offset: f64) -> Outcome {
    if offset == 0.0 { Ok(x) } else { combine(site, Binary::Add, x, number(offset)) }
}
