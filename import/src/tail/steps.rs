//! Importers of the client's operators: each adds steps to the client's program.

use std::sync::Arc;

use paf_ir::Shape;
use paf_ir::client::{Binary, ClientOp, Reduction, Unary};
use paf_ir::tensor::Function;

use super::super::constants::{ConstantValue, ElementKind};
use super::super::site::{Final, Outcome, Refusal, Site, Value, axes, axis};

/// A smooth function of each element.
pub(super) fn function(site: &mut Site<'_>) -> Outcome {
    let function = match site.operator {
        "Asinh" => Function::Asinh,
        "Atan" => Function::Atan,
        "Cos" => Function::Cos,
        "Cosh" => Function::Cosh,
        "Erf" => Function::Erf,
        "Exp" => Function::Exp,
        "Log" => Function::Log,
        "Reciprocal" => Function::Reciprocal,
        "Sigmoid" => Function::Sigmoid,
        "Sin" => Function::Sin,
        "Sinh" => Function::Sinh,
        "Softplus" => Function::Softplus,
        "Softsign" => Function::Softsign,
        "Sqrt" => Function::Sqrt,
        "Tanh" => Function::Tanh,
        other => return Err(Refusal::invalid(format!("{other} is no function of one element"))),
    };
    let x = site.operand(0)?;
    site.client_step(ClientOp::Function(function), &[&x], ElementKind::Real)
}

/// Another function of each element.
pub(super) fn unary(site: &mut Site<'_>) -> Outcome {
    let x = site.operand(0)?;
    let (unary, kind) = match site.operator {
        "Abs" => (Unary::Abs, kind_of(&x)),
        "Ceil" => (Unary::Ceil, kind_of(&x)),
        "Floor" => (Unary::Floor, kind_of(&x)),
        "Neg" => (Unary::Negate, kind_of(&x)),
        "Not" => (Unary::Not, ElementKind::Boolean),
        "Round" => (Unary::Round, kind_of(&x)),
        "Sign" => (Unary::Sign, kind_of(&x)),
        other => return Err(Refusal::invalid(format!("{other} is no function of one element"))),
    };
    site.client_step(ClientOp::Unary(unary), &[&x], kind)
}

fn kind_of(value: &Value) -> ElementKind {
    match value {
        Value::Final(result) => result.kind,
        Value::Constant(constant) => constant.kind,
        Value::Tensor(_) | Value::Unknown => ElementKind::Real,
    }
}

/// An operation on two or, for Min and Max, more values.
pub(super) fn binary(site: &mut Site<'_>) -> Outcome {
    let (operation, is_comparison) = match site.operator {
        "Add" => (Binary::Add, false),
        "Sub" => (Binary::Sub, false),
        "Mul" => (Binary::Mul, false),
        "Div" => (Binary::Div, false),
        "Pow" => (Binary::Pow, false),
        "Min" => (Binary::Min, false),
        "Max" => (Binary::Max, false),
        "Equal" => (Binary::Equal, true),
        "Greater" => (Binary::Greater, true),
        "GreaterOrEqual" => (Binary::GreaterOrEqual, true),
        "Less" => (Binary::Less, true),
        "LessOrEqual" => (Binary::LessOrEqual, true),
        "And" => (Binary::And, true),
        "Or" => (Binary::Or, true),
        "Xor" => (Binary::Xor, true),
        other => return Err(Refusal::invalid(format!("{other} is no operation on two values"))),
    };
    let mut result = site.operand(0)?;
    let kind = if is_comparison { ElementKind::Boolean } else { kind_of(&result) };
    for index in 1..site.operands.len() {
        let next = site.operand(index)?;
        result = site.client_step(ClientOp::Binary(operation), &[&result, &next], kind)?;
    }
    if operation == Binary::Div && kind == ElementKind::Integer {
        return site.client_step(ClientOp::Unary(Unary::Truncate), &[&result], kind);
    }
    Ok(result)
}

/// Sum of any number of values.
pub(super) fn sum(site: &mut Site<'_>) -> Outcome {
    let mut total = site.operand(0)?;
    for index in 1..site.operands.len() {
        let next = site.operand(index)?;
        total = combined(site, Binary::Add, &total, &next)?;
    }
    Ok(total)
}

/// Mean of any number of values.
pub(super) fn mean(site: &mut Site<'_>) -> Outcome {
    let count = number(site.operands.len() as f64);
    let total = sum(site)?;
    combined(site, Binary::Div, &total, &count)
}

fn combined(site: &mut Site<'_>, operation: Binary, a: &Value, b: &Value) -> Outcome {
    site.client_step(ClientOp::Binary(operation), &[a, b], ElementKind::Real)
}

fn number(value: f64) -> Value {
    Value::Constant(ConstantValue::scalar(value, ElementKind::Real))
}

/// Where.
pub(super) fn choose(site: &mut Site<'_>) -> Outcome {
    let (condition, a, b) = (site.operand(0)?, site.operand(1)?, site.operand(2)?);
    let kind = kind_of(&a);
    site.client_step(ClientOp::Choose, &[&condition, &a, &b], kind)
}

/// Relu.
pub(super) fn relu(site: &mut Site<'_>) -> Outcome {
    let x = site.operand(0)?;
    combined(site, Binary::Max, &x, &number(0.0))
}

/// LeakyRelu, which is one to one for a positive slope; Relu for zero.
pub(super) fn leaky_relu(site: &mut Site<'_>) -> Outcome {
    let (x, slope) = (site.operand(0)?, site.attributes.number("alpha")?.unwrap_or(0.01));
    let (positive, negative) = halves(site, &x)?;
    let negative = combined(site, Binary::Mul, &negative, &number(slope))?;
    combined(site, Binary::Add, &positive, &negative)
}

/// The positive and the negative part.
fn halves(site: &mut Site<'_>, x: &Value) -> Result<(Value, Value), Refusal> {
    let positive = combined(site, Binary::Max, x, &number(0.0))?;
    let negative = combined(site, Binary::Min, x, &number(0.0))?;
    Ok((positive, negative))
}

/// Elu, `x` or `α·(e^x − 1)`; Celu, the same with `x/α` in the exponential.
pub(super) fn elu(site: &mut Site<'_>) -> Outcome {
    let (x, alpha) = (site.operand(0)?, site.attributes.number("alpha")?.unwrap_or(1.0));
    let width = if site.operator == "Celu" { alpha } else { 1.0 };
    if width == 0.0 {
        return Err(Refusal::invalid("alpha is 0"));
    }
    let (positive, negative) = halves(site, &x)?;
    let inner = combined(site, Binary::Div, &negative, &number(width))?;
    let curved = site.client_step(ClientOp::Function(Function::Elu), &[&inner], ElementKind::Real)?;
    let curved = combined(site, Binary::Mul, &curved, &number(alpha))?;
    combined(site, Binary::Add, &positive, &curved)
}

/// Clip, with bounds as operands or, before operator set 11, as attributes.
pub(super) fn clip(site: &mut Site<'_>) -> Outcome {
    let mut result = site.operand(0)?;
    let kind = kind_of(&result);
    for (index, name, operation) in [(1, "min", Binary::Max), (2, "max", Binary::Min)] {
        let bound = match site.optional(index)? {
            Some(bound) => Some(bound),
            None => site.attributes.number(name)?.map(number),
        };
        if let Some(bound) = bound {
            result = site.client_step(ClientOp::Binary(operation), &[&result, &bound], kind)?;
        }
    }
    Ok(result)
}

/// Softmax and LogSoftmax. Before operator set 13 all axes from the named one on are one.
pub(super) fn softmax(site: &mut Site<'_>) -> Outcome {
    let is_logarithm = site.operator == "LogSoftmax";
    along_flat_axis(site, |site, x, axis| {
        let op = if is_logarithm { ClientOp::LogSoftmax(axis) } else { ClientOp::Softmax(axis) };
        site.client_step(op, &[x], ElementKind::Real)
    })
}

/// Hardmax: 1 at the first of the largest elements, 0 elsewhere.
pub(super) fn hardmax(site: &mut Site<'_>) -> Outcome {
    along_flat_axis(site, |site, x, axis| {
        let length = site.shape(x)?.0[axis];
        let place = site.client_step(ClientOp::ArgMax { axis, last: false }, &[x], ElementKind::Integer)?;
        let mut sizes = vec![1; site.shape(x)?.0.len()];
        sizes[axis] = length;
        let places = ConstantValue::new(Shape(sizes), (0..length).map(|i| i as f64).collect(), ElementKind::Integer);
        site.client_step(ClientOp::Binary(Binary::Equal), &[&place, &Value::Constant(places)], ElementKind::Real)
    })
}

/// Something along an axis of the first operand, which takes in all axes behind it in operator sets before 13.
fn along_flat_axis(site: &mut Site<'_>, along: impl Fn(&mut Site<'_>, &Value, usize) -> Outcome) -> Outcome {
    let x = site.operand(0)?;
    let (shape, given) = (site.shape(&x)?, site.attributes.integer("axis")?);
    if site.opset >= 13 {
        let axis = axis(given.unwrap_or(-1), shape.0.len())?;
        return along(site, &x, axis);
    }
    let axis = axis(given.unwrap_or(1), shape.0.len())?;
    let (outer, inner) = shape.0.split_at(axis);
    let flat = Shape(vec![outer.iter().product(), inner.iter().product()]);
    let flat = site.reshaped(x, flat)?;
    let result = along(site, &flat, 1)?;
    site.reshaped(result, shape)
}

/// ArgMax.
pub(super) fn arg_max(site: &mut Site<'_>) -> Outcome {
    let x = site.operand(0)?;
    arg_largest(site, &x)
}

/// ArgMin: where the negated tensor is largest.
pub(super) fn arg_min(site: &mut Site<'_>) -> Outcome {
    let x = site.operand(0)?;
    let negated = site.client_step(ClientOp::Unary(Unary::Negate), &[&x], ElementKind::Real)?;
    arg_largest(site, &negated)
}

fn arg_largest(site: &mut Site<'_>, x: &Value) -> Outcome {
    let shape = site.shape(x)?;
    let axis = axis(site.attributes.integer("axis")?.unwrap_or(0), shape.0.len())?;
    let last = site.attributes.flag("select_last_index")?;
    let places = site.client_step(ClientOp::ArgMax { axis, last }, &[x], ElementKind::Integer)?;
    without_axes(site, places, &[axis])
}

/// The result of a reduction, without the axes of size 1 where `keepdims` is 0.
fn without_axes(site: &mut Site<'_>, value: Value, axes: &[usize]) -> Outcome {
    if site.attributes.integer("keepdims")?.unwrap_or(1) != 0 {
        return Ok(value);
    }
    let shape = site.shape(&value)?;
    let kept = (0..shape.0.len()).filter(|axis| !axes.contains(axis));
    site.reshaped(value, Shape(kept.map(|axis| shape.0[axis]).collect()))
}

/// TopK: the largest values and their places.
pub(super) fn top_k(site: &mut Site<'_>) -> Outcome {
    let x = site.operand(0)?;
    let shape = site.shape(&x)?;
    let axis = axis(site.attributes.integer("axis")?.unwrap_or(-1), shape.0.len())?;
    let count = match site.integers(1, "k")? {
        Some(list) => list.first().copied(),
        None => site.attributes.integer("k")?,
    };
    let count = count.and_then(|count| usize::try_from(count).ok());
    let count = count.ok_or_else(|| Refusal::invalid("k is no count"))?;
    let largest = site.attributes.integer("largest")?.unwrap_or(1) != 0;
    let places = site.client_step(ClientOp::TopK { axis, count, largest }, &[&x], ElementKind::Integer)?;
    let values = site.client_step(ClientOp::TakeAlong(axis), &[&x, &places], kind_of(&x))?;
    site.more_outputs = vec![places];
    Ok(values)
}

/// The reductions of ONNX.
pub(super) fn reduce(site: &mut Site<'_>) -> Outcome {
    let reduction = match site.operator {
        "ReduceL1" => Reduction::L1,
        "ReduceL2" => Reduction::L2,
        "ReduceLogSum" => Reduction::LogSum,
        "ReduceLogSumExp" => Reduction::LogSumExp,
        "ReduceMax" => Reduction::Max,
        "ReduceMean" => Reduction::Mean,
        "ReduceMin" => Reduction::Min,
        "ReduceProd" => Reduction::Prod,
        "ReduceSum" => Reduction::Sum,
        "ReduceSumSquare" => Reduction::SumSquare,
        other => return Err(Refusal::invalid(format!("{other} is no reduction"))),
    };
    let x = site.operand(0)?;
    let rank = site.shape(&x)?.0.len();
    let reduced = match site.integers(1, "axes")?.filter(|list| !list.is_empty()) {
        Some(list) => axes(&list, rank)?,
        None if site.attributes.flag("noop_with_empty_axes")? => return Ok(x),
        None => (0..rank).collect(),
    };
    let result = site.client_step(ClientOp::Reduce(reduction, reduced.clone()), &[&x], kind_of(&x))?;
    without_axes(site, result, &reduced)
}

/// LpNormalization: the tensor divided by its length along an axis.
pub(super) fn lp_normalization(site: &mut Site<'_>) -> Outcome {
    let x = site.operand(0)?;
    let axis = axis(site.attributes.integer("axis")?.unwrap_or(-1), site.shape(&x)?.0.len())?;
    let reduction = match site.attributes.integer("p")?.unwrap_or(2) {
        1 => Reduction::L1,
        2 => Reduction::L2,
        other => return Err(Refusal::invalid(format!("p is {other}, must be 1 or 2"))),
    };
    divided(site, &x, reduction, axis)
}

/// Normalizer of scikit-learn: rows divided by their largest value, their sum of magnitudes or their length.
pub(super) fn normalizer(site: &mut Site<'_>) -> Outcome {
    let x = site.operand(0)?;
    let last = axis(-1, site.shape(&x)?.0.len())?;
    match site.attributes.text("norm")?.as_deref() {
        None | Some("MAX") => {
            let largest = ClientOp::Reduce(Reduction::Max, vec![last]);
            let largest = site.client_step(largest, &[&x], ElementKind::Real)?;
            not_by_zero(site, &x, largest)
        }
        Some("L1") => divided(site, &x, Reduction::L1, last),
        Some("L2") => divided(site, &x, Reduction::L2, last),
        Some(other) => Err(Refusal::invalid(format!("norm is `{other}`, must be MAX, L1 or L2"))),
    }
}

fn divided(site: &mut Site<'_>, x: &Value, reduction: Reduction, axis: usize) -> Outcome {
    let length = site.client_step(ClientOp::Reduce(reduction, vec![axis]), &[x], ElementKind::Real)?;
    not_by_zero(site, x, length)
}

/// A quotient whose divisor is 1 where it would be zero, as a row of zeros stays one.
fn not_by_zero(site: &mut Site<'_>, x: &Value, divisor: Value) -> Outcome {
    let is_zero = site.client_step(ClientOp::Unary(Unary::Not), &[&divisor], ElementKind::Real)?;
    let divisor = combined(site, Binary::Add, &divisor, &is_zero)?;
    combined(site, Binary::Div, x, &divisor)
}

/// Binarizer: whether a value is above the threshold.
pub(super) fn binarizer(site: &mut Site<'_>) -> Outcome {
    let (x, threshold) = (site.operand(0)?, site.attributes.number("threshold")?.unwrap_or(0.0));
    site.client_step(ClientOp::Binary(Binary::Greater), &[&x, &number(threshold)], ElementKind::Real)
}

/// Concat: what the client has beside what it decrypts and constants.
pub(super) fn concat(site: &mut Site<'_>) -> Outcome {
    let parts = (0..site.operands.len()).map(|index| site.operand(index)).collect::<Result<Vec<_>, _>>()?;
    let kind = parts.first().map_or(ElementKind::Real, kind_of);
    let given = site.attributes.integer("axis")?.unwrap_or(1);
    let first = parts.first().ok_or_else(|| Refusal::invalid("it has no operands"))?;
    let axis = axis(given, site.shape(first)?.0.len())?;
    site.client_step(ClientOp::Concat(axis), &parts.iter().collect::<Vec<_>>(), kind)
}

/// Gather: elements at constant places, or of a table at places that the client computes.
pub(super) fn gather(site: &mut Site<'_>) -> Outcome {
    let (data, places) = (site.operand(0)?, site.operand(1)?);
    if let (Value::Final(_) | Value::Tensor(_), Value::Constant(_)) = (&data, &places) {
        return super::super::select::gather(site);
    }
    let axis = axis(site.attributes.integer("axis")?.unwrap_or(0), site.shape(&data)?.0.len())?;
    taken(site, axis, &data, &places)
}

/// GatherElements.
pub(super) fn gather_elements(site: &mut Site<'_>) -> Outcome {
    let (data, places) = (site.operand(0)?, site.operand(1)?);
    let axis = axis(site.attributes.integer("axis")?.unwrap_or(0), site.shape(&data)?.0.len())?;
    let kind = kind_of(&data);
    site.client_step(ClientOp::TakeAlong(axis), &[&data, &places], kind)
}

/// ArrayFeatureExtractor: elements along the last axis; of a list, one row of them.
pub(super) fn array_feature_extractor(site: &mut Site<'_>) -> Outcome {
    let (data, places) = (site.operand(0)?, site.operand(1)?);
    let (shape, count) = (site.shape(&data)?, site.shape(&places)?.size());
    let last = axis(-1, shape.0.len())?;
    let places = site.reshaped(places, Shape(vec![count]))?;
    let taken = taken(site, last, &data, &places)?;
    let rows = if shape.0.len() == 1 { vec![1] } else { shape.0[..last].to_vec() };
    site.reshaped(taken, Shape([&rows[..], &[count]].concat()))
}

/// Slices of a table at places, with the list of texts that its elements stand for.
fn taken(site: &mut Site<'_>, axis: usize, data: &Value, places: &Value) -> Outcome {
    let (kind, texts) = match data {
        Value::Constant(table) => (table.kind, table.texts.clone()),
        other => (kind_of(other), None),
    };
    match site.client_step(ClientOp::Gather(axis), &[data, places], kind)? {
        Value::Final(result) => Ok(Value::Final(Final { texts, ..result })),
        other => Ok(other),
    }
}

/// LabelEncoder of numbers: the place of each in the list of keys, then the value of that place.
pub(super) fn label_encoder(site: &mut Site<'_>) -> Outcome {
    let x = site.operand(0)?;
    let attributes = site.attributes;
    let keys = match (attributes.integers("keys_int64s")?, attributes.numbers("keys_floats")?) {
        (Some(integers), _) => integers.into_iter().map(|key| key as f64).collect::<Vec<_>>(),
        (None, Some(numbers)) => numbers,
        (None, None) => return Err(Refusal::unsupported("its keys are no lists of numbers", "keys_int64s work")),
    };
    let texts = attributes.texts("values_strings")?;
    let numbers = match (attributes.integers("values_int64s")?, attributes.numbers("values_floats")?) {
        (Some(integers), _) => Some((integers.into_iter().map(|value| value as f64).collect(), ElementKind::Integer)),
        (None, Some(numbers)) => Some((numbers, ElementKind::Real)),
        (None, None) => None,
    };
    let place = place_among(site, &x, &keys)?;
    match (texts, numbers) {
        (Some(mut texts), _) => {
            texts.push(attributes.text("default_string")?.unwrap_or_else(|| "_Unused".into()));
            with_texts(place, texts, keys.len())
        }
        (None, Some((values, kind))) => {
            let (values, kind): (Vec<f64>, ElementKind) = (values, kind);
            let default = match kind {
                ElementKind::Real => attributes.number("default_float")?.unwrap_or(0.0),
                _ => attributes.integer("default_int64")?.unwrap_or(-1) as f64,
            };
            let table = [values, vec![default]].concat();
            if table.len() != keys.len() + 1 {
                return Err(Refusal::invalid(format!("{} values for {} keys", table.len() - 1, keys.len())));
            }
            let table = Value::Constant(ConstantValue::new(Shape(vec![table.len()]), table, kind));
            site.client_step(ClientOp::Gather(0), &[&table, &place], kind)
        }
        (None, None) => Err(Refusal::unsupported("its values are no list", "values_strings and values_int64s work")),
    }
}

fn with_texts(place: Value, texts: Vec<String>, keys: usize) -> Outcome {
    match place {
        Value::Final(result) if texts.len() == keys + 1 => {
            Ok(Value::Final(Final { texts: Some(Arc::new(texts)), ..result }))
        }
        _ => Err(Refusal::invalid(format!("{} values for {keys} keys", texts.len() - 1))),
    }
}

/// The place of each element among keys; their number for none.
fn place_among(site: &mut Site<'_>, x: &Value, keys: &[f64]) -> Outcome {
    let shape = site.shape(x)?;
    let row = site.reshaped(x.clone(), Shape([&shape.0[..], &[1]].concat()))?;
    let list = |data: Vec<f64>| Value::Constant(ConstantValue::new(Shape(vec![data.len()]), data, ElementKind::Real));
    let equal = site.client_step(ClientOp::Binary(Binary::Equal), &[&row, &list(keys.to_vec())], ElementKind::Real)?;
    // One more column, which holds the default: it is the largest where no key is equal.
    let column = Shape([&shape.0[..], &[1]].concat());
    let half = Value::Constant(ConstantValue::new(column.clone(), vec![0.5; column.size()], ElementKind::Real));
    let last = shape.0.len();
    let all = site.client_step(ClientOp::Concat(last), &[&equal, &half], ElementKind::Real)?;
    let place = site.client_step(ClientOp::ArgMax { axis: last, last: false }, &[&all], ElementKind::Integer)?;
    site.reshaped(place, shape)
}
