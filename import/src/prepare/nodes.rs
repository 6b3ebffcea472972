//! Nodes and attributes that replace others.

use super::names::Names;
use super::refusals::Refusals;
use crate::constants::{ConstantValue, ElementKind};
use crate::error::ImportError;
use crate::onnx::{AttributeProto, AttributeType, DataType, NodeProto, TensorProto};
use crate::site::Refusal;
use crate::walk::{invalid, name};

/// The domain of the operators that onnxruntime adds to the standard ones.
pub(super) const MICROSOFT: &str = "com.microsoft";

/// Nodes, each of which another list may take the place of. Those that are refused are noted and stay.
pub(super) fn replaced(
    nodes: Vec<NodeProto>,
    refusals: &mut Refusals,
    mut replace: impl FnMut(&NodeProto) -> Option<Result<Vec<NodeProto>, Refusal>>,
) -> Result<Vec<NodeProto>, ImportError> {
    let mut result = Vec::with_capacity(nodes.len());
    for node in nodes {
        match replace(&node) {
            None => result.push(node),
            Some(Ok(others)) => result.extend(others),
            Some(Err(Refusal::Invalid(problem))) => return Err(invalid(&node, problem)),
            Some(Err(refusal)) => {
                refusals.note(&node, &refusal);
                result.push(node);
            }
        }
    }
    Ok(result)
}

/// The nodes that take the place of one.
pub(super) struct Replacement<'a> {
    /// The node that is replaced.
    pub(super) node: &'a NodeProto,
    /// The names that the graph has.
    pub(super) names: &'a mut Names,
    /// What replaces it so far.
    pub(super) nodes: Vec<NodeProto>,
}

impl<'a> Replacement<'a> {
    /// Nothing yet.
    pub(super) fn of(node: &'a NodeProto, names: &'a mut Names) -> Self {
        Replacement { node, names, nodes: vec![] }
    }

    /// An operand's name, empty for one that is left out.
    pub(super) fn input(&self, index: usize) -> &'a str {
        self.node.input.get(index).map_or("", String::as_str)
    }

    /// An output's name, empty for one that is left out.
    pub(super) fn output(&self, index: usize) -> &'a str {
        self.node.output.get(index).map_or("", String::as_str)
    }

    /// Adds a node between others and gives the name of its result.
    pub(super) fn add(&mut self, operator: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> String {
        let own = self.names.fresh(&format!("{}/{operator}", name(self.node)));
        self.push(operator, inputs, &[&own], &own, attributes);
        own
    }

    /// Adds the node that computes the first output, or with its further outputs.
    pub(super) fn finish(
        &mut self,
        operator: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: Vec<AttributeProto>,
    ) {
        self.push(operator, inputs, outputs, name(self.node), attributes);
    }

    /// Adds a constant number and gives its name.
    pub(super) fn number(&mut self, value: f64) -> String {
        self.constant(scalar(value))
    }

    /// Adds a constant list of numbers and gives its name.
    pub(super) fn numbers(&mut self, values: Vec<f64>) -> String {
        self.constant(reals(vec![values.len()], values))
    }

    /// Adds a constant tensor and gives its name.
    pub(super) fn constant(&mut self, value: TensorProto) -> String {
        self.add("Constant", &[], vec![tensor("value", value)])
    }

    /// Adds a node that computes a further output.
    pub(super) fn also(&mut self, operator: &str, inputs: &[&str], output: &str, attributes: Vec<AttributeProto>) {
        let own = self.names.fresh(&format!("{}/{operator}", name(self.node)));
        self.push(operator, inputs, &[output], &own, attributes);
    }

    /// Adds the product of the first operand and weights, plus a bias that may be left out, as the first output.
    pub(super) fn product_and_sum(&mut self, weights: &str, bias: &str) {
        if bias.is_empty() {
            return self.finish("MatMul", &[self.input(0), weights], &[self.output(0)], vec![]);
        }
        let product = self.add("MatMul", &[self.input(0), weights], vec![]);
        self.finish("Add", &[&product, bias], &[self.output(0)], vec![]);
    }

    /// The node's attributes of these names.
    pub(super) fn kept(&self, names: &[&str]) -> Vec<AttributeProto> {
        let attributes = self.node.attribute.iter();
        attributes.filter(|attribute| names.contains(&attribute.name.as_str())).cloned().collect()
    }

    fn push(
        &mut self,
        operator: &str,
        inputs: &[&str],
        outputs: &[&str],
        node_name: &str,
        attribute: Vec<AttributeProto>,
    ) {
        let owned = |list: &[&str]| {
            let used = list.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1);
            list[..used].iter().map(|&name| name.to_owned()).collect()
        };
        self.nodes.push(NodeProto {
            input: owned(inputs),
            output: owned(outputs),
            name: node_name.to_owned(),
            op_type: operator.to_owned(),
            attribute,
            ..NodeProto::default()
        });
    }
}

/// A node that gives a value another name.
pub(super) fn identity(value: String, output: String) -> NodeProto {
    NodeProto { input: vec![value], output: vec![output], op_type: "Identity".into(), ..NodeProto::default() }
}

/// An attribute that is a number.
pub(super) fn number(name: &str, f: f32) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Float as i32, f, ..AttributeProto::default() }
}

/// An attribute that is a whole number.
pub(super) fn integer(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Int as i32, i, ..AttributeProto::default() }
}

/// An attribute that is a list of whole numbers.
pub(super) fn integers(name: &str, ints: Vec<i64>) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Ints as i32, ints, ..AttributeProto::default() }
}

/// An attribute that is a text.
pub(super) fn text(name: &str, s: &str) -> AttributeProto {
    let s = s.as_bytes().to_vec();
    AttributeProto { name: name.into(), r#type: AttributeType::String as i32, s, ..AttributeProto::default() }
}

/// An attribute that is a tensor.
pub(super) fn tensor(name: &str, t: TensorProto) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Tensor as i32, t: Some(t), ..AttributeProto::default() }
}

/// The message of a constant.
pub(crate) fn message(name: &str, constant: &ConstantValue) -> TensorProto {
    let values = constant.tensor.data.iter();
    let dims = constant.shape().0.iter().map(|&size| size as i64).collect();
    let tensor = TensorProto { name: name.into(), dims, ..TensorProto::default() };
    match constant.kind {
        ElementKind::Real => {
            TensorProto { data_type: DataType::Double as i32, double_data: values.copied().collect(), ..tensor }
        }
        ElementKind::Integer => TensorProto {
            data_type: DataType::Int64 as i32,
            int64_data: values.map(|&value| value as i64).collect(),
            ..tensor
        },
        ElementKind::Boolean => TensorProto {
            data_type: DataType::Bool as i32,
            int32_data: values.map(|&value| i32::from(value != 0.0)).collect(),
            ..tensor
        },
    }
}

/// Real numbers in single precision, the type that models have; other tensors as they are.
pub(crate) fn single(tensor: TensorProto) -> TensorProto {
    if tensor.data_type != DataType::Double as i32 {
        return tensor;
    }
    let float_data = tensor.double_data.iter().map(|&value| value as f32).collect();
    TensorProto { data_type: DataType::Float as i32, float_data, double_data: vec![], ..tensor }
}

/// A tensor of one number without axes.
pub(super) fn scalar(value: f64) -> TensorProto {
    TensorProto { data_type: DataType::Double as i32, double_data: vec![value], ..TensorProto::default() }
}

/// A tensor of numbers.
pub(super) fn reals(shape: Vec<usize>, values: Vec<f64>) -> TensorProto {
    TensorProto {
        dims: shape.into_iter().map(|size| size as i64).collect(),
        data_type: DataType::Double as i32,
        double_data: values,
        ..TensorProto::default()
    }
}

/// A list of whole numbers.
pub(super) fn wholes(values: Vec<i64>) -> TensorProto {
    TensorProto {
        dims: vec![values.len() as i64],
        data_type: DataType::Int64 as i32,
        int64_data: values,
        ..TensorProto::default()
    }
}

/// A list of texts.
pub(super) fn texts(values: &[String]) -> TensorProto {
    TensorProto {
        dims: vec![values.len() as i64],
        data_type: DataType::String as i32,
        string_data: values.iter().map(|text| text.as_bytes().to_vec()).collect(),
        ..TensorProto::default()
    }
}
