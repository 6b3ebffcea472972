//! Gemm and MatMul with a constant factor.

use std::sync::Arc;

use paf_ir::linear::{Bias, Conv, Primitive, Window};
use paf_ir::tensor::{NodeId, Op, Tensor};
use paf_ir::{Constant, LinearMap, Shape};

use super::broadcast::{broadcast_shape, expanded, repeating};
use super::site::{Outcome, Refusal, Site, Value, size};

/// Gemm, `alpha · A' · B' + beta · C`; A or B is constant.
pub(super) fn gemm(site: &mut Site<'_>) -> Outcome {
    let transposed = [site.attributes.flag("transA")?, site.attributes.flag("transB")?];
    let (map, input, result) = match (site.operand(0)?, site.operand(1)?) {
        (Value::Tensor(a), Value::Constant(_)) => tensor_times_constant(site, a, transposed)?,
        (Value::Constant(_), Value::Tensor(b)) => constant_times_tensor(site, b, transposed)?,
        (Value::Constant(_), _) => return Err(Refusal::unsupported("both factors are constants", "fold them before")),
        _ => return Err(both_depend_on_input()),
    };
    let scale = site.attributes.number("alpha")?.unwrap_or(1.0);
    let beta = site.attributes.number("beta")?.unwrap_or(1.0);
    let c = site.optional(2)?.filter(|_| beta != 0.0);
    let bias = if let Some(Value::Constant(_)) = c { Some(gemm_bias(site, &result, beta)?) } else { None };
    let product = site.add_linear(LinearMap { scale, bias, ..map }, input, result.clone())?;
    match c {
        Some(Value::Tensor(c)) => add_scaled(site, product, c, beta, &result),
        _ => Ok(Value::Tensor(product)),
    }
}

type Product = (LinearMap, NodeId, Shape);

fn tensor_times_constant(site: &Site<'_>, a: NodeId, transposed: [bool; 2]) -> Result<Product, Refusal> {
    let b = site.weights(1, "operand B")?.tensor;
    let given = site.graph.node(a).shape.clone();
    let [rows, inner] = matrix_sizes(&given, transposed[0])?;
    let weight = if transposed[1] { two_axes(&b)? } else { transpose(&b)? };
    let outputs = matching_outputs(&weight, inner)?;
    let dense = Primitive::Dense { weight, left: rows, right: 1 };
    Ok((chain(transposed[0].then_some(given), dense), a, Shape(vec![rows, outputs])))
}

fn constant_times_tensor(site: &Site<'_>, b: NodeId, transposed: [bool; 2]) -> Result<Product, Refusal> {
    let a = site.weights(0, "operand A")?.tensor;
    let given = site.graph.node(b).shape.clone();
    let [inner, columns] = matrix_sizes(&given, transposed[1])?;
    let weight = if transposed[0] { transpose(&a)? } else { two_axes(&a)? };
    let outputs = matching_outputs(&weight, inner)?;
    let dense = Primitive::Dense { weight, left: 1, right: columns };
    Ok((chain(transposed[1].then_some(given), dense), b, Shape(vec![outputs, columns])))
}

/// The product of a matrix, transposed before if its given shape is named.
fn chain(transposed: Option<Shape>, dense: Primitive) -> LinearMap {
    let mut map = LinearMap::of(dense, None);
    if let Some(input) = transposed.filter(|shape| !shape.0.contains(&1)) {
        map.factors.insert(0, Primitive::Permute { input, permutation: vec![1, 0] });
    }
    map
}

/// `beta · C` on every element of the result, for a constant C.
fn gemm_bias(site: &Site<'_>, result: &Shape, beta: f64) -> Result<Bias, Refusal> {
    size(result)?;
    let mut tensor = site.weights(2, "operand C")?.tensor;
    if beta != 1.0 {
        tensor = Arc::new(tensor.map(|value| beta * value));
    }
    repeating(&tensor, result)
}

/// `product + beta · C` for a C that depends on the input.
fn add_scaled(site: &mut Site<'_>, product: NodeId, c: NodeId, beta: f64, result: &Shape) -> Outcome {
    let scaled = if beta == 1.0 { c } else { site.add(Op::Scale(beta), &[c])? };
    let Value::Tensor(c) = expanded(site, Value::Tensor(scaled), result)? else { return Err(Refusal::UnknownOperand) };
    Ok(Value::Tensor(site.add(Op::Add, &[product, c])?))
}

/// MatMul of a tensor and a constant matrix on either side.
pub(super) fn matmul(site: &mut Site<'_>) -> Outcome {
    match (site.operand(0)?, site.operand(1)?) {
        (Value::Tensor(x), Value::Constant(_)) if is_batch(site, 1, x)? => matmul_of_batches(site, x, 1),
        (Value::Constant(_), Value::Tensor(x)) if is_batch(site, 0, x)? => matmul_of_batches(site, x, 0),
        (Value::Tensor(x), Value::Constant(_)) => matmul_right(site, x),
        (Value::Constant(_), Value::Tensor(x)) => matmul_left(site, x),
        (Value::Constant(_), _) => Err(Refusal::unsupported("both factors are constants", "fold them before")),
        _ => Err(both_depend_on_input()),
    }
}

/// Whether a constant factor is a batch of different matrices for a tensor of matrices.
fn is_batch(site: &Site<'_>, constant: usize, x: NodeId) -> Result<bool, Refusal> {
    let factor = site.constant(constant, "a factor")?;
    let leading = factor.shape().0.len().saturating_sub(2);
    Ok(factor.shape().0[..leading].iter().any(|&axis| axis != 1) && site.graph.node(x).shape.0.len() >= 2)
}

/// `W · x` (or `x · W`) for batches of matrices: a 1×1 convolution whose groups are the matrices, one column a place.
fn matmul_of_batches(site: &mut Site<'_>, x: NodeId, constant: usize) -> Outcome {
    let constant_first = constant == 0;
    let weight = site.weights(constant, "a factor")?;
    let given = site.graph.node(x).shape.clone();
    let matrix = |shape: &Shape| shape.0[shape.0.len() - 2..].to_vec();
    let batch_of = |shape: &Shape| Shape(shape.0[..shape.0.len() - 2].to_vec());
    let (w, t) = (matrix(weight.shape()), matrix(&given));
    let batch = broadcast_shape(&batch_of(weight.shape()), &batch_of(&given))?;
    let weight = expanded(site, Value::Constant(weight), &Shape([&batch.0[..], &w].concat()))?;
    let x = expanded(site, Value::Tensor(x), &Shape([&batch.0[..], &t].concat()))?;
    let (count, [inner, outputs, columns]) =
        (size(&batch)?, if constant_first { [w[1], w[0], t[1]] } else { [w[0], w[1], t[0]] });
    if (if constant_first { t[0] } else { t[1] }) != inner {
        return Err(Refusal::invalid(format!("the weight takes {inner} values and gets a tensor of shape {given}")));
    }
    let swap = |site: &mut Site<'_>, value: Value, sizes: [usize; 3]| {
        let flat = site.reshaped(value, Shape(sizes.to_vec()))?;
        if constant_first { Ok(flat) } else { site.permuted(flat, vec![0, 2, 1]) }
    };
    let weight = swap(site, weight, [count, w[0], w[1]])?;
    let x = swap(site, x, [count, t[0], t[1]])?;
    let (Value::Constant(weight), Value::Tensor(x)) = (weight, x) else { return Err(Refusal::UnknownOperand) };
    let product = grouped_product(site, x, &weight.tensor, [count, inner, outputs, columns])?;
    let result = if constant_first { product } else { site.permuted(product, vec![0, 2, 1])? };
    let matrix = if constant_first { [outputs, columns] } else { [columns, outputs] };
    site.reshaped(result, Shape([&batch.0[..], &matrix].concat()))
}

/// `[count, outputs, inner] · [count, inner, columns]`.
pub(super) fn grouped_product(site: &mut Site<'_>, x: NodeId, weight: &Constant, sizes: [usize; 4]) -> Outcome {
    let [count, inner, outputs, columns] = sizes;
    let weight = Arc::new(Tensor::new(Shape(vec![count * outputs, inner, 1, 1]), weight.data.clone()));
    let window = Window {
        input: [count * inner, 1, columns],
        kernel: [1, 1],
        strides: [1, 1],
        pads: [0; 4],
        dilations: [1, 1],
        output: [1, columns],
        count_include_pad: false,
    };
    let conv = Primitive::Conv(Conv { weight, window, groups: count });
    conv.check()?;
    let result = Shape(vec![count, outputs, columns]);
    size(&result)?;
    Ok(Value::Tensor(site.add_linear(LinearMap::of(conv, None), x, result)?))
}

/// `x · W`: the last axis of `x` is contracted.
fn matmul_right(site: &mut Site<'_>, x: NodeId) -> Outcome {
    let given = site.graph.node(x).shape.clone();
    let (weight, extra_axes) = without_batch(&site.weights(1, "operand B")?.tensor)?;
    let is_vector = weight.shape.0.len() == 1;
    let weight = if is_vector { one_row(&weight) } else { transpose(&weight)? };
    let Some((&inner, leading)) = given.0.split_last() else { return Err(scalar()) };
    let outputs = matching_outputs(&weight, inner)?;
    let mut result = leading.to_vec();
    result.extend((!is_vector).then_some(outputs));
    let result = with_rank(result, extra_axes, usize::from(!is_vector) + usize::from(given.0.len() > 1));
    size(&result)?;
    let dense = Primitive::Dense { weight, left: leading.iter().product(), right: 1 };
    Ok(Value::Tensor(site.add_linear(LinearMap::of(dense, None), x, result)?))
}

/// `W · x`: the last axis but one of `x` is contracted, or its only one.
fn matmul_left(site: &mut Site<'_>, x: NodeId) -> Outcome {
    let given = site.graph.node(x).shape.clone();
    let (weight, extra_axes) = without_batch(&site.weights(0, "operand A")?.tensor)?;
    let is_vector = weight.shape.0.len() == 1;
    let weight = if is_vector { one_row(&weight) } else { weight };
    let (leading, inner, columns) = match given.0[..] {
        [] => return Err(scalar()),
        [inner] => (&[][..], inner, None),
        [ref leading @ .., inner, columns] => (leading, inner, Some(columns)),
    };
    let outputs = matching_outputs(&weight, inner)?;
    let mut result = leading.to_vec();
    result.extend((!is_vector).then_some(outputs));
    result.extend(columns);
    let result = with_rank(result, extra_axes, usize::from(!is_vector) + usize::from(columns.is_some()));
    size(&result)?;
    let dense = Primitive::Dense { weight, left: leading.iter().product(), right: columns.unwrap_or(1) };
    Ok(Value::Tensor(site.add_linear(LinearMap::of(dense, None), x, result)?))
}

/// A constant factor without its leading axes, which must have size 1, and how many those are.
fn without_batch(constant: &Constant) -> Result<(Constant, usize), Refusal> {
    let extra = constant.shape.0.len().saturating_sub(2);
    let (leading, matrix) = constant.shape.0.split_at(extra);
    if leading.iter().any(|&axis| axis != 1) {
        let reason = format!("the constant factor of shape {} is a batch of matrices", constant.shape);
        return Err(Refusal::unsupported(reason, "a constant matrix or vector works"));
    }
    if matrix.is_empty() || constant.data.is_empty() {
        return Err(scalar());
    }
    if extra == 0 {
        return Ok((constant.clone(), 0));
    }
    Ok((Arc::new(Tensor::new(Shape(matrix.to_vec()), constant.data.clone())), extra))
}

/// A result whose batch axes are at least as many as the constant factor's.
fn with_rank(mut result: Vec<usize>, constant_batch_axes: usize, matrix_axes: usize) -> Shape {
    let batch_axes = result.len() - matrix_axes.min(result.len());
    result.splice(0..0, vec![1; constant_batch_axes.saturating_sub(batch_axes)]);
    Shape(result)
}

fn both_depend_on_input() -> Refusal {
    Refusal::unsupported("both factors depend on the input", "one factor must be a constant")
}

fn scalar() -> Refusal {
    Refusal::invalid("a factor is a scalar or empty")
}

/// Sizes of a matrix after it is transposed or not.
fn matrix_sizes(shape: &Shape, transposed: bool) -> Result<[usize; 2], Refusal> {
    match (&shape.0[..], transposed) {
        (&[rows, columns], false) => Ok([rows, columns]),
        (&[rows, columns], true) => Ok([columns, rows]),
        _ => Err(Refusal::invalid(format!("a factor of shape {shape} is no matrix"))),
    }
}

/// Outputs of a weight `[outputs, inputs]` that must have the given number of inputs.
fn matching_outputs(weight: &Constant, inputs: usize) -> Result<usize, Refusal> {
    match weight.shape.0[..] {
        [outputs, columns] if columns == inputs => Ok(outputs),
        _ => {
            let columns = weight.shape.0.last().unwrap_or(&0);
            Err(Refusal::invalid(format!("the weight takes {columns} values and gets {inputs}")))
        }
    }
}

fn two_axes(matrix: &Constant) -> Result<Constant, Refusal> {
    match matrix.shape.0[..] {
        [_, _] if !matrix.data.is_empty() => Ok(matrix.clone()),
        _ => Err(Refusal::invalid(format!("a factor of shape {} is no matrix", matrix.shape))),
    }
}

fn transpose(matrix: &Constant) -> Result<Constant, Refusal> {
    let matrix = two_axes(matrix)?;
    let (rows, columns) = (matrix.shape.0[0], matrix.shape.0[1]);
    let column = |column: usize| (0..rows).map(move |row| row * columns + column);
    let data = (0..columns).flat_map(column).map(|index| matrix.data[index]).collect();
    Ok(Arc::new(Tensor::new(Shape(vec![columns, rows]), data)))
}

fn one_row(vector: &Constant) -> Constant {
    Arc::new(Tensor::new(Shape(vec![1, vector.data.len()]), vector.data.clone()))
}
