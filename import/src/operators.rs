//! The table of operators: which function imports which, and what to say about the others.

use super::site::{Outcome, Site};
use super::{
    activation, conv, dense, elementwise, extremum, norm, pool, post, reduce, resize, select, shape, transposed,
};

/// Imports one node.
pub(super) type Importer = fn(&mut Site<'_>) -> Outcome;

const IMPORTERS: &[(&str, Importer)] = &[
    ("Abs", activation::abs),
    ("Add", elementwise::add),
    ("ArgMax", post::arg_max),
    ("AveragePool", pool::average_pool),
    ("BatchNormalization", norm::batch_normalization),
    ("Cast", shape::cast),
    ("Celu", activation::celu),
    ("Clip", activation::clip),
    ("Concat", select::concat),
    ("Constant", shape::constant),
    ("ConstantOfShape", shape::constant_of_shape),
    ("Conv", conv::conv),
    ("ConvTranspose", transposed::conv_transpose),
    ("Div", elementwise::div),
    ("Dropout", shape::dropout),
    ("Elu", activation::elu),
    ("Erf", activation::erf),
    ("Exp", activation::exp),
    ("Expand", select::expand),
    ("Flatten", shape::flatten),
    ("Gather", select::gather),
    ("Gelu", activation::gelu),
    ("Gemm", dense::gemm),
    ("GlobalAveragePool", pool::global_average_pool),
    ("GlobalMaxPool", pool::global_max_pool),
    ("HardSigmoid", activation::hard_sigmoid),
    ("HardSwish", activation::hard_swish),
    ("Identity", shape::identity),
    ("LeakyRelu", activation::leaky_relu),
    ("Log", activation::log),
    ("LogSoftmax", post::log_softmax),
    ("MatMul", dense::matmul),
    ("Max", extremum::max),
    ("MaxPool", pool::max_pool),
    ("Mean", elementwise::mean),
    ("Min", extremum::min),
    ("Mish", activation::mish),
    ("Mul", elementwise::mul),
    ("Neg", elementwise::neg),
    ("PRelu", activation::prelu),
    ("Pad", select::pad),
    ("Pow", activation::pow),
    ("Reciprocal", activation::reciprocal),
    ("ReduceMax", extremum::reduce_max),
    ("ReduceMean", reduce::reduce_mean),
    ("ReduceMin", extremum::reduce_min),
    ("ReduceSum", reduce::reduce_sum),
    ("Relu", norm::relu),
    ("Reshape", shape::reshape),
    ("Resize", resize::resize),
    ("Selu", activation::selu),
    ("Shape", shape::shape),
    ("Sigmoid", activation::sigmoid),
    ("Size", shape::element_count),
    ("Slice", select::slice),
    ("Softmax", post::softmax),
    ("Softplus", activation::softplus),
    ("Softsign", activation::softsign),
    ("Split", select::split),
    ("Sqrt", activation::sqrt),
    ("Squeeze", shape::squeeze),
    ("Sub", elementwise::sub),
    ("Sum", elementwise::sum),
    ("Swish", activation::swish),
    ("Tanh", activation::tanh),
    ("Transpose", shape::transpose),
    ("Unsqueeze", shape::unsqueeze),
    ("Upsample", resize::upsample),
];

/// The function that imports an operator.
pub(super) fn importer(operator: &str) -> Option<Importer> {
    IMPORTERS.iter().find(|(name, _)| *name == operator).map(|(_, importer)| *importer)
}

/// What would work in place of an operator that no function imports.
pub(super) fn hint(operator: &str) -> String {
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
        "ThresholdedRelu" => "it jumps, so no polynomial is close to it; Relu and LeakyRelu work".into(),
        "LpPool" | "GlobalLpPool" => "AveragePool and MaxPool work".into(),
        _ => format!("these operators work: {}", all_names()),
    }
}

fn all_names() -> String {
    IMPORTERS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// Operators whose result has the shape of their first operand.
const SHAPE_PRESERVING: &[&str] = &[
    "Ceil",
    "Clip",
    "Cos",
    "Elu",
    "Floor",
    "Gelu",
    "Hardmax",
    "InstanceNormalization",
    "LRN",
    "LayerNormalization",
    "LogSoftmax",
    "LpNormalization",
    "Round",
    "Sign",
    "Sin",
    "Softmax",
    "Tan",
    "ThresholdedRelu",
];

/// Whether an operator's result has the shape of its first operand, so that the rest of the network can be checked
/// even though the operator is not supported.
pub(super) fn preserves_shape(operator: &str) -> bool {
    SHAPE_PRESERVING.contains(&operator)
}
