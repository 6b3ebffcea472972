//! Small ONNX models, built as protobuf messages.

use tract_onnx::pb::tensor_shape_proto::Dimension;
use tract_onnx::pb::tensor_shape_proto::dimension::Value as Size;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, type_proto,
};

/// Element types of `TensorProto.DataType`.
pub const FLOAT: i32 = 1;
/// Whole numbers.
pub const INT64: i32 = 7;

/// A model with one input `x` and one output `y`.
pub fn model(opset: i64, shape: &[i64], nodes: Vec<NodeProto>, weights: Vec<TensorProto>) -> ModelProto {
    model_of(opset, vec![input("x", shape)], nodes, weights, &["y"])
}

/// A model.
pub fn model_of(
    opset: i64,
    inputs: Vec<ValueInfoProto>,
    nodes: Vec<NodeProto>,
    weights: Vec<TensorProto>,
    outputs: &[&str],
) -> ModelProto {
    let output = |name: &&str| ValueInfoProto { name: (*name).into(), ..Default::default() };
    let graph = GraphProto {
        node: nodes,
        initializer: weights,
        input: inputs,
        output: outputs.iter().map(output).collect(),
        ..Default::default()
    };
    let opset = OperatorSetIdProto { domain: String::new(), version: opset };
    ModelProto { ir_version: 8, opset_import: vec![opset], graph: Some(graph), ..Default::default() }
}

/// An input of float32.
pub fn input(name: &str, shape: &[i64]) -> ValueInfoProto {
    let axis = |&size: &i64| Dimension { value: Some(Size::DimValue(size)), ..Default::default() };
    let shape = TensorShapeProto { dim: shape.iter().map(axis).collect() };
    let tensor = type_proto::Tensor { elem_type: FLOAT, shape: Some(shape) };
    let r#type = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
    ValueInfoProto { name: name.into(), r#type: Some(r#type), ..Default::default() }
}

/// A node; operands and outputs are separated by blanks.
pub fn node(operator: &str, operands: &str, outputs: &str, attribute: Vec<AttributeProto>) -> NodeProto {
    let names = |list: &str| list.split(' ').map(str::to_owned).collect();
    NodeProto {
        op_type: operator.into(),
        input: names(operands),
        output: names(outputs),
        attribute,
        ..Default::default()
    }
}

/// An attribute that is a whole number.
pub fn integer(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: 2, i, ..Default::default() }
}

/// An attribute that is a real number.
pub fn real(name: &str, f: f32) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: 1, f, ..Default::default() }
}

/// An attribute that is a text.
pub fn text(name: &str, s: &str) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: 3, s: s.as_bytes().to_vec(), ..Default::default() }
}

/// An attribute that is a list of whole numbers.
pub fn integers(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: 7, ints: ints.to_vec(), ..Default::default() }
}

/// An attribute that is a list of real numbers.
pub fn reals(name: &str, floats: &[f32]) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: 6, floats: floats.to_vec(), ..Default::default() }
}

/// An attribute that is a list of texts.
pub fn texts(name: &str, list: &[&str]) -> AttributeProto {
    let strings = list.iter().map(|text| text.as_bytes().to_vec()).collect();
    AttributeProto { name: name.into(), r#type: 8, strings, ..Default::default() }
}

/// A weight of float32.
pub fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: FLOAT,
        float_data: values.to_vec(),
        ..Default::default()
    }
}

/// A weight that is a list of whole numbers.
pub fn list(name: &str, values: &[i64]) -> TensorProto {
    let dims = vec![values.len() as i64];
    TensorProto { name: name.into(), dims, data_type: INT64, int64_data: values.to_vec(), ..Default::default() }
}
