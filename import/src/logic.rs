//! Comparisons and logic of constants, and choices between tensors by a constant.

use super::broadcast::{broadcast_shape, expanded};
use super::constants::{ConstantValue, ElementKind};
use super::elementwise::{Binary, combine};
use super::site::{Outcome, Refusal, Site, Value};

macro_rules! of_constants {
    ($($(#[$doc:meta])* $name:ident = $compare:expr;)*) => {
        $($(#[$doc])* pub(super) fn $name(site: &mut Site<'_>) -> Outcome {
            compared(site, $compare)
        })*
    };
}

of_constants! {
    /// Equal.
    equal = |a, b| a == b;
    /// Greater.
    greater = |a, b| a > b;
    /// GreaterOrEqual.
    greater_or_equal = |a, b| a >= b;
    /// Less.
    less = |a, b| a < b;
    /// LessOrEqual.
    less_or_equal = |a, b| a <= b;
    /// And.
    and = |a, b| a != 0.0 && b != 0.0;
    /// Or.
    or = |a, b| a != 0.0 || b != 0.0;
    /// Xor.
    xor = |a, b| (a != 0.0) != (b != 0.0);
}

/// Not.
pub(super) fn not(site: &mut Site<'_>) -> Outcome {
    let constant = known(site, 0)?;
    let data = constant.tensor.data.iter().map(|&value| truth(value == 0.0)).collect();
    Ok(Value::Constant(ConstantValue::new(constant.shape().clone(), data, ElementKind::Boolean)))
}

/// Where with a constant condition: the first tensor under a mask plus the second under what is left.
pub(super) fn choose(site: &mut Site<'_>) -> Outcome {
    let condition = known(site, 0)?;
    let (a, b) = (site.operand(1)?, site.operand(2)?);
    let shape = broadcast_shape(&site.shape(&a)?, &site.shape(&b)?)?;
    let shape = broadcast_shape(&shape, condition.shape())?;
    let Value::Constant(condition) = expanded(site, Value::Constant(condition), &shape)? else {
        return Err(Refusal::UnknownOperand);
    };
    let (a, b) = (expanded(site, a, &shape)?, expanded(site, b, &shape)?);
    if let (Value::Constant(a), Value::Constant(b)) = (&a, &b) {
        let pairs = a.tensor.data.iter().zip(&b.tensor.data);
        let data = condition.tensor.data.iter().zip(pairs).map(|(c, (a, b))| if *c != 0.0 { *a } else { *b });
        return Ok(Value::Constant(ConstantValue::new(shape, data.collect(), a.kind)));
    }
    let first = masked(site, a, &condition, |c| c != 0.0)?;
    let second = masked(site, b, &condition, |c| c == 0.0)?;
    combine(site, Binary::Add, first, second)
}

/// A value where a condition has it, zero elsewhere; a constant may be anything there, −∞ as well.
fn masked(site: &mut Site<'_>, value: Value, condition: &ConstantValue, has_it: impl Fn(f64) -> bool) -> Outcome {
    let conditions = condition.tensor.data.iter();
    if let Value::Constant(constant) = &value {
        let kept = conditions.zip(&constant.tensor.data).map(|(c, value)| if has_it(*c) { *value } else { 0.0 });
        let kept = ConstantValue::new(condition.shape().clone(), kept.collect(), constant.kind);
        return Ok(Value::Constant(kept));
    }
    let mask = conditions.map(|&c| truth(has_it(c))).collect();
    let mask = ConstantValue::new(condition.shape().clone(), mask, ElementKind::Real);
    combine(site, Binary::Mul, value, Value::Constant(mask))
}

fn compared(site: &mut Site<'_>, holds: impl Fn(f64, f64) -> bool) -> Outcome {
    let (a, b) = (known(site, 0)?, known(site, 1)?);
    let shape = broadcast_shape(a.shape(), b.shape())?;
    let (a, b) = (expanded(site, Value::Constant(a), &shape)?, expanded(site, Value::Constant(b), &shape)?);
    let (Value::Constant(a), Value::Constant(b)) = (a, b) else { return Err(Refusal::UnknownOperand) };
    let data = a.tensor.data.iter().zip(&b.tensor.data).map(|(&a, &b)| truth(holds(a, b))).collect();
    Ok(Value::Constant(ConstantValue::new(shape, data, ElementKind::Boolean)))
}

/// An operand that does not depend on the input.
fn known(site: &Site<'_>, index: usize) -> Result<ConstantValue, Refusal> {
    match site.operand(index)? {
        Value::Constant(constant) => Ok(constant),
        _ => Err(Refusal::unsupported(
            "it compares or chooses by values that depend on the input, which jumps",
            "constants may be compared; of tensors Relu, Clip, Max and Min work",
        )),
    }
}

fn truth(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}
