//! Nodes that compute constants from constants by operators that are not imported: someone else evaluates them.

use paf_ir::Shape;
use prost::Message;

use super::constants::{self, ConstantValue, are_numbers, checked_size};
use super::model::is_standard;
use super::onnx::{DataType, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, ValueInfoProto};
use super::prepare::{message, single};
use super::site::Value;

/// A constant that was computed.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its elements, row-major.
    pub values: Vec<f64>,
    /// The type of its elements, as ONNX numbers them.
    pub element_type: i32,
}

/// Computes the outputs of a model without inputs, given as the bytes of its file; says in words why it cannot.
pub type Evaluate = fn(&[u8]) -> Result<Vec<Evaluated>, String>;

/// Operators whose results are not determined.
const RANDOM: &[&str] = &["Bernoulli", "Multinomial", "RandomNormalLike", "RandomUniformLike"];

/// The values of a node's outputs, if all of its operands are constants and they can be computed.
pub(super) fn evaluated(
    evaluate: Evaluate,
    node: &NodeProto,
    operands: &[Option<Value>],
    opset: i64,
) -> Option<Vec<Value>> {
    let has_graph = node.attribute.iter().any(|attribute| attribute.g.is_some());
    if has_graph || !is_standard(&node.domain) || RANDOM.contains(&node.op_type.as_str()) {
        return None;
    }
    let mut weights: Vec<TensorProto> = vec![];
    for (name, operand) in node.input.iter().zip(operands) {
        match operand {
            Some(Value::Constant(constant)) if constant.texts.is_some() => return None,
            Some(Value::Constant(constant)) if weights.iter().all(|weight| weight.name != *name) => {
                weights.push(single(message(name, constant)));
            }
            None | Some(Value::Constant(_)) => {}
            Some(_) => return None,
        }
    }
    if weights.is_empty() {
        return None;
    }
    let results = evaluate(&model_of(node, weights, opset).encode_to_vec()).ok()?;
    results.into_iter().map(|result| constant(result).map(Value::Constant)).collect()
}

/// A model of one node and its constants.
fn model_of(node: &NodeProto, weights: Vec<TensorProto>, opset: i64) -> ModelProto {
    let named = node.output.iter().filter(|name| !name.is_empty());
    let output = named.map(|name| ValueInfoProto { name: name.clone(), ..ValueInfoProto::default() }).collect();
    let graph = GraphProto {
        node: vec![node.clone()],
        name: "constants".into(),
        initializer: weights,
        output,
        ..GraphProto::default()
    };
    let opset = OperatorSetIdProto { domain: String::new(), version: opset };
    ModelProto { ir_version: 8, opset_import: vec![opset], graph: Some(graph), ..ModelProto::default() }
}

fn constant(result: Evaluated) -> Option<ConstantValue> {
    let element_type = DataType::try_from(result.element_type).ok().filter(|&it| are_numbers(it))?;
    let fits = checked_size(&result.shape) == Some(result.values.len());
    let is_finite = result.values.iter().all(|value| value.is_finite());
    let kind = constants::kind(element_type);
    (fits && is_finite).then(|| ConstantValue::new(Shape(result.shape), result.values, kind))
}
