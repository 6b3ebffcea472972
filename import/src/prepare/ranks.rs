//! How many axes values have, as far as the file says or operators keep it.

use std::collections::BTreeMap;

use crate::attributes::Attributes;
use crate::inputs;
use crate::onnx::{GraphProto, NodeProto};

/// Numbers of axes by name.
pub(super) struct Ranks(BTreeMap<String, usize>);

impl Ranks {
    /// Those of a graph.
    pub(super) fn of(graph: &GraphProto) -> Self {
        let declared = graph.input.iter().chain(&graph.value_info).chain(&graph.output);
        let declared = declared.filter_map(|value| Some((value.name.clone(), inputs::axes(value)?.len())));
        let weights = graph.initializer.iter().map(|weight| (weight.name.clone(), weight.dims.len()));
        let mut ranks = Ranks(declared.chain(weights).collect());
        for node in &graph.node {
            if let (Some(rank), Some(output)) = (ranks.of_result(node), node.output.first()) {
                ranks.0.entry(output.clone()).or_insert(rank);
            }
        }
        ranks
    }

    /// The number of axes of a value.
    pub(super) fn of_value(&self, name: &str) -> Option<usize> {
        self.0.get(name).copied()
    }

    /// The number of axes of a node's first output.
    fn of_result(&self, node: &NodeProto) -> Option<usize> {
        let operand = |index: usize| self.of_value(node.input.get(index)?);
        let attributes = Attributes(&node.attribute);
        match node.op_type.as_str() {
            "Flatten" | "Gemm" | "FusedGemm" => Some(2),
            "Transpose" => attributes.integers("perm").ok()?.map_or_else(|| operand(0), |perm| Some(perm.len())),
            "Constant" => Some(attributes.tensor("value").ok()??.dims.len()),
            "Add" | "Sub" | "Mul" | "Div" | "MatMul" | "FusedMatMul" => Some(operand(0)?.max(operand(1)?)),
            "AveragePool"
            | "BatchNormalization"
            | "BiasGelu"
            | "Cast"
            | "Clip"
            | "Conv"
            | "Dropout"
            | "Elu"
            | "Erf"
            | "FastGelu"
            | "FusedConv"
            | "Gelu"
            | "GlobalAveragePool"
            | "GlobalMaxPool"
            | "HardSigmoid"
            | "HardSwish"
            | "Identity"
            | "Imputer"
            | "LayerNormalization"
            | "LeakyRelu"
            | "MaxPool"
            | "Neg"
            | "Normalizer"
            | "PRelu"
            | "QuickGelu"
            | "Relu"
            | "Scaler"
            | "Sigmoid"
            | "SimplifiedLayerNormalization"
            | "SkipLayerNormalization"
            | "SkipSimplifiedLayerNormalization"
            | "Softmax"
            | "Softplus"
            | "Tanh" => operand(0),
            _ => None,
        }
    }
}
