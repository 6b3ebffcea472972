//! The table of operators: which function imports which, and what to say about the others.

use super::site::{Outcome, Site};
use super::{conv, dense, elementwise, norm, pool, post, reduce, select, shape};

/// Imports one node.
pub(super) type Importer = fn(&mut Site<'_>) -> Outcome;

const IMPORTERS: &[(&str, Importer)] = &[
    ("Add", elementwise::add),
    ("ArgMax", post::arg_max),
    ("AveragePool", pool::average_pool),
    ("BatchNormalization", norm::batch_normalization),
    ("Cast", shape::cast),
    ("Concat", select::concat),
    ("Constant", shape::constant),
    ("ConstantOfShape", shape::constant_of_shape),
    ("Conv", conv::conv),
    ("Div", elementwise::div),
    ("Dropout", shape::dropout),
    ("Expand", select::expand),
    ("Flatten", shape::flatten),
    ("Gather", select::gather),
    ("Gemm", dense::gemm),
    ("GlobalAveragePool", pool::global_average_pool),
    ("GlobalMaxPool", pool::global_max_pool),
    ("Identity", shape::identity),
    ("LogSoftmax", post::log_softmax),
    ("MatMul", dense::matmul),
    ("MaxPool", pool::max_pool),
    ("Mean", elementwise::mean),
    ("Mul", elementwise::mul),
    ("Neg", elementwise::neg),
    ("Pad", select::pad),
    ("Reciprocal", elementwise::reciprocal),
    ("ReduceMean", reduce::reduce_mean),
    ("ReduceSum", reduce::reduce_sum),
    ("Relu", norm::relu),
    ("Reshape", shape::reshape),
    ("Shape", shape::shape),
    ("Size", shape::element_count),
    ("Slice", select::slice),
    ("Softmax", post::softmax),
    ("Sqrt", elementwise::sqrt),
    ("Squeeze", shape::squeeze),
    ("Sub", elementwise::sub),
    ("Sum", elementwise::sum),
    ("Transpose", shape::transpose),
    ("Unsqueeze", shape::unsqueeze),
];

/// The function that imports an operator.
pub(super) fn importer(operator: &str) -> Option<Importer> {
    IMPORTERS.iter().find(|(name, _)| *name == operator).map(|(_, importer)| *importer)
}

/// What would work in place of an operator that no function imports.
pub(super) fn hint(operator: &str) -> String {
    if ACTIVATIONS.contains(&operator) {
        return "Relu is the activation that works; train the model with it".into();
    }
    match operator {
        "If" | "Loop" | "Scan" => "export the model without control flow, by tracing it on an example".into(),
        "QuantizeLinear"
        | "DequantizeLinear"
        | "DynamicQuantizeLinear"
        | "QLinearConv"
        | "QLinearMatMul"
        | "ConvInteger"
        | "MatMulInteger" => "export the model before quantization, with float weights".into(),
        "InstanceNormalization" | "LayerNormalization" | "GroupNormalization" | "LRN" | "LpNormalization" => {
            "BatchNormalization works; train the model with it".into()
        }
        "LpPool" | "GlobalLpPool" => "AveragePool and MaxPool work".into(),
        _ => format!("these operators work: {}", all_names()),
    }
}

fn all_names() -> String {
    IMPORTERS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// Functions of one element each.
const ACTIVATIONS: &[&str] = &[
    "Abs",
    "Celu",
    "Clip",
    "Elu",
    "Erf",
    "Exp",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "LeakyRelu",
    "Log",
    "Mish",
    "PRelu",
    "Selu",
    "Sigmoid",
    "Softplus",
    "Softsign",
    "Swish",
    "Tanh",
    "ThresholdedRelu",
];

/// Further operators whose result has the shape of their first operand.
const SHAPE_PRESERVING: &[&str] = &[
    "Ceil",
    "Cos",
    "Floor",
    "Hardmax",
    "InstanceNormalization",
    "LRN",
    "LayerNormalization",
    "LogSoftmax",
    "LpNormalization",
    "Reciprocal",
    "Round",
    "Sign",
    "Sin",
    "Softmax",
    "Sqrt",
    "Tan",
];

/// Whether an operator's result has the shape of its first operand, so that the rest of the network can be checked
/// even though the operator is not supported.
pub(super) fn preserves_shape(operator: &str) -> bool {
    ACTIVATIONS.contains(&operator) || SHAPE_PRESERVING.contains(&operator)
}
