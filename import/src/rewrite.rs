//! Writes a model back with other weights.
//!
//! The original message is kept; only initializers change. A weight that one node alone reads is replaced under its
//! name; a weight that several nodes share, or that other nodes compute, gets an initializer of its own. Weights in
//! external files move into the model, so that it can be written anywhere.

use paf_ir::linear::{Bias, LinearMap, Primitive};
use paf_ir::tensor::{Graph, Node, Op};
use prost::Message;

use super::attributes::Attributes;
use super::constants::external_raw_data;
use super::error::ImportError;
use super::onnx::{DataLocation, DataType, GraphProto, ModelProto, NodeProto, TensorProto};
use super::source::{ModelSource, WeightFolder};
use super::{ImportOptions, settled, walk};

/// The bytes of a model whose weights are those of `changed`, which was imported from it as `original` and then
/// given other weights node by node.
///
/// # Errors
/// [`ImportError`] for bytes that are no model, and [`ImportError::Weight`] naming a node whose weights have no place
/// in its ONNX operator.
pub fn with_weights(source: &ModelSource, original: &Graph, changed: &Graph) -> Result<Vec<u8>, ImportError> {
    let (model, _) = settled(source, &ImportOptions::default())?;
    let mut message = ModelProto { graph: Some(model.graph), ..model.rest };
    let graph = message.graph.get_or_insert_with(GraphProto::default);
    for tensor in &mut graph.initializer {
        inline(tensor, source.folder.as_ref())?;
    }
    for ((_, before), (_, after)) in original.nodes().zip(changed.nodes()) {
        if before.op != after.op {
            replace(graph, before, after)?;
        }
    }
    if message.graph.as_ref().is_some_and(has_free_initializers) {
        message.ir_version = message.ir_version.max(FREE_INITIALIZERS);
    }
    Ok(message.encode_to_vec())
}

/// The first IR version in which an initializer need not be an input as well.
const FREE_INITIALIZERS: i64 = 4;

fn has_free_initializers(graph: &GraphProto) -> bool {
    graph.initializer.iter().any(|tensor| graph.input.iter().all(|input| input.name != tensor.name))
}

/// A weight of a node: which operand, its values in the order of that operand, its axes if it is new.
struct Weight {
    operand: usize,
    values: Vec<f64>,
    axes: Vec<usize>,
}

fn replace(graph: &mut GraphProto, before: &Node, after: &Node) -> Result<(), ImportError> {
    let fail = |problem: &str| ImportError::Weight { name: before.name.clone(), problem: problem.into() };
    let position = graph.node.iter().position(|node| walk::name(node) == before.name);
    let position = position.ok_or_else(|| fail("the model has no such node"))?;
    let node = &graph.node[position];
    let weights = match (&before.op, &after.op) {
        (Op::BatchNorm(old), Op::BatchNorm(new)) => {
            let pairs = [
                (&old.scale, &new.scale),
                (&old.bias, &new.bias),
                (&old.mean, &new.mean),
                (&old.variance, &new.variance),
            ];
            let changed = pairs.iter().enumerate().filter(|(_, (old, new))| old != new);
            changed.map(|(index, (_, new))| vector(index + 1, &new.data)).collect()
        }
        (Op::Linear(old), Op::Linear(new)) if !starts_with_weight(graph, node) => linear_weights(node, old, new)
            .ok_or_else(|| fail(&format!("new weights have no place in its operator {}", node.op_type)))?,
        _ => return Err(fail("its new weights have no place in its operator")),
    };
    for weight in weights {
        put(graph, position, weight);
    }
    Ok(())
}

/// Whether the first operand is a weight: of Gemm and MatMul only the second can be replaced.
fn starts_with_weight(graph: &GraphProto, node: &NodeProto) -> bool {
    let first = node.input.first();
    let is_product = matches!(node.op_type.as_str(), "Gemm" | "MatMul");
    is_product && graph.initializer.iter().any(|tensor| Some(&tensor.name) == first)
}

fn vector(operand: usize, values: &[f64]) -> Weight {
    Weight { operand, values: values.to_vec(), axes: vec![values.len()] }
}

/// The weights of a linear node as its ONNX operator holds them; `None` where it cannot.
fn linear_weights(node: &NodeProto, old: &LinearMap, new: &LinearMap) -> Option<Vec<Weight>> {
    if old.scale != new.scale || old.factors.len() != new.factors.len() {
        return None;
    }
    let mut weights = Vec::new();
    for (before, after) in old.factors.iter().zip(&new.factors) {
        if before != after {
            weights.push(matrix_weight(node, after)?);
        }
    }
    if old.bias != new.bias {
        weights.push(bias_weight(node, old, new.bias.as_ref()?)?);
    }
    Some(weights)
}

fn matrix_weight(node: &NodeProto, factor: &Primitive) -> Option<Weight> {
    let attributes = Attributes(&node.attribute);
    let transposed = |name: &str| attributes.flag(name).ok();
    match (node.op_type.as_str(), factor) {
        ("Conv", Primitive::Conv(conv)) => {
            Some(Weight { operand: 1, values: conv.weight.data.clone(), axes: conv.weight.shape.0.clone() })
        }
        ("Gemm", Primitive::Dense { weight, left: _, right: 1 }) => {
            let (outputs, inputs) = (weight.shape.0[0], weight.shape.0[1]);
            Some(match transposed("transB")? {
                true => Weight { operand: 1, values: weight.data.clone(), axes: vec![outputs, inputs] },
                false => Weight { operand: 1, values: columns(&weight.data, inputs), axes: vec![inputs, outputs] },
            })
        }
        ("MatMul", Primitive::Dense { weight, left: _, right: 1 }) => {
            let (outputs, inputs) = (weight.shape.0[0], weight.shape.0[1]);
            Some(Weight { operand: 1, values: columns(&weight.data, inputs), axes: vec![inputs, outputs] })
        }
        _ => None,
    }
}

/// Row-major `[rows, width]` transposed.
fn columns(data: &[f64], width: usize) -> Vec<f64> {
    (0..width).flat_map(|column| data.iter().skip(column).step_by(width)).copied().collect()
}

fn bias_weight(node: &NodeProto, old: &LinearMap, bias: &Bias) -> Option<Weight> {
    let values = &bias.values.data;
    let fits = old.bias.as_ref().is_none_or(|old| old.repeat == bias.repeat && old.values.data.len() == values.len());
    if !fits {
        return None;
    }
    match node.op_type.as_str() {
        "Conv" => Some(vector(2, values)),
        "Gemm" => {
            let beta = Attributes(&node.attribute).number("beta").ok()?.unwrap_or(1.0);
            let values: Vec<f64> = values.iter().map(|value| value / beta).collect();
            (beta != 0.0).then(|| vector(2, &values))
        }
        // The constant operand of an addition is the one that another node or the input does not compute.
        "Add" if old.factors.is_empty() => Some(vector(usize::MAX, values)),
        _ => None,
    }
}

/// Sets an operand of a node to a weight.
fn put(graph: &mut GraphProto, position: usize, weight: Weight) {
    let operand = match weight.operand {
        usize::MAX => constant_operand(graph, position),
        operand => operand,
    };
    let node = &mut graph.node[position];
    node.input.resize(node.input.len().max(operand + 1), String::new());
    let name = node.input[operand].clone();
    let readers = graph.node.iter().flat_map(|node| &node.input).filter(|input| **input == name).count();
    let is_output = graph.output.iter().any(|output| output.name == name);
    let own = graph.initializer.iter_mut().find(|tensor| tensor.name == name && !name.is_empty());
    match own {
        Some(tensor) if readers == 1 && !is_output && holds(tensor, weight.values.len()) => {
            set_values(tensor, &weight.values);
        }
        _ => {
            let (axes, kept_axes) = (weight.axes, own.map(|tensor| tensor.dims.clone()));
            let axes: Vec<i64> = axes.into_iter().map(|axis| axis as i64).collect();
            let same_size = |dims: &Vec<i64>| dims.iter().product::<i64>() == weight.values.len() as i64;
            let dims = kept_axes.filter(same_size).unwrap_or(axes);
            let name = free_name(graph, &format!("{}_recovered_{operand}", walk::name(&graph.node[position])));
            let mut tensor = TensorProto { name: name.clone(), dims, ..TensorProto::default() };
            tensor.data_type = DataType::Float as i32;
            set_values(&mut tensor, &weight.values);
            graph.initializer.push(tensor);
            let replaced = std::mem::replace(&mut graph.node[position].input[operand], name);
            drop_unread(graph, &replaced);
        }
    }
}

/// Drops an initializer that nothing reads any more.
fn drop_unread(graph: &mut GraphProto, name: &str) {
    let is_read = graph.node.iter().flat_map(|node| &node.input).any(|input| input == name);
    let is_output = graph.output.iter().any(|output| output.name == name);
    if !is_read && !is_output && graph.initializer.iter().any(|tensor| tensor.name == name) {
        graph.initializer.retain(|tensor| tensor.name != name);
        graph.input.retain(|input| input.name != name);
    }
}

fn constant_operand(graph: &GraphProto, position: usize) -> usize {
    let is_initializer = |name: &String| graph.initializer.iter().any(|tensor| tensor.name == *name);
    graph.node[position].input.iter().position(is_initializer).unwrap_or(1)
}

fn holds(tensor: &TensorProto, count: usize) -> bool {
    tensor.dims.iter().product::<i64>() == count as i64
}

fn free_name(graph: &GraphProto, wanted: &str) -> String {
    let taken = |name: &str| {
        let mut values = graph.node.iter().flat_map(|node| node.input.iter().chain(&node.output));
        values.any(|value| value == name) || graph.initializer.iter().any(|tensor| tensor.name == name)
    };
    let mut name = wanted.to_owned();
    while taken(&name) {
        name.push('_');
    }
    name
}

/// Float values, or double ones where the tensor is double.
fn set_values(tensor: &mut TensorProto, values: &[f64]) {
    let is_double = tensor.data_type == DataType::Double as i32;
    tensor.float_data.clear();
    tensor.double_data.clear();
    tensor.int32_data.clear();
    tensor.raw_data = if is_double {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    } else {
        tensor.data_type = DataType::Float as i32;
        values.iter().flat_map(|&value| (value as f32).to_le_bytes()).collect()
    };
}

fn inline(tensor: &mut TensorProto, folder: Option<&WeightFolder>) -> Result<(), ImportError> {
    if tensor.data_location != Some(DataLocation::External as i32) {
        return Ok(());
    }
    tensor.raw_data = external_raw_data(tensor, folder)
        .map_err(|problem| ImportError::Weight { name: tensor.name.clone(), problem })?;
    tensor.external_data.clear();
    tensor.data_location = None;
    Ok(())
}
