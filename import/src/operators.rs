//! The table of operators: which function imports which, and what is known of the others.

use super::site::{Outcome, Site};
use super::{
    activation, conv, dense, elementwise, extremum, norm, pool, post, reduce, resize, select, shape, transposed,
};
use Property::{FollowsFinal, KeepsShape};

/// Imports one node.
pub(super) type Importer = fn(&mut Site<'_>) -> Outcome;

/// What the walk has to know of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Property {
    /// It may follow a final Softmax, LogSoftmax or ArgMax: its importer handles [`Value::Final`](super::site::Value::Final).
    FollowsFinal,
    /// Its result has the shape of its first operand, so that the rest of the network can be checked even where the node is
    /// not supported.
    KeepsShape,
}

const IMPORTED: &[(&str, Importer, &[Property])] = &[
    ("Abs", activation::abs, &[]),
    ("Add", elementwise::add, &[]),
    ("ArgMax", post::arg_max, &[FollowsFinal]),
    ("AveragePool", pool::average_pool, &[]),
    ("BatchNormalization", norm::batch_normalization, &[]),
    ("Cast", shape::cast, &[FollowsFinal]),
    ("Celu", activation::celu, &[]),
    ("Clip", activation::clip, &[KeepsShape]),
    ("Concat", select::concat, &[]),
    ("Constant", shape::constant, &[]),
    ("ConstantOfShape", shape::constant_of_shape, &[]),
    ("Conv", conv::conv, &[]),
    ("ConvTranspose", transposed::conv_transpose, &[]),
    ("Div", elementwise::div, &[]),
    ("Dropout", shape::dropout, &[FollowsFinal]),
    ("Elu", activation::elu, &[KeepsShape]),
    ("Erf", activation::erf, &[]),
    ("Exp", activation::exp, &[]),
    ("Expand", select::expand, &[]),
    ("Flatten", shape::flatten, &[FollowsFinal]),
    ("Gather", select::gather, &[]),
    ("Gelu", activation::gelu, &[KeepsShape]),
    ("Gemm", dense::gemm, &[]),
    ("GlobalAveragePool", pool::global_average_pool, &[]),
    ("GlobalMaxPool", pool::global_max_pool, &[]),
    ("HardSigmoid", activation::hard_sigmoid, &[]),
    ("HardSwish", activation::hard_swish, &[]),
    ("Identity", shape::identity, &[FollowsFinal]),
    ("LeakyRelu", activation::leaky_relu, &[]),
    ("Log", activation::log, &[]),
    ("LogSoftmax", post::log_softmax, &[KeepsShape]),
    ("MatMul", dense::matmul, &[]),
    ("Max", extremum::max, &[]),
    ("MaxPool", pool::max_pool, &[]),
    ("Mean", elementwise::mean, &[]),
    ("Min", extremum::min, &[]),
    ("Mish", activation::mish, &[]),
    ("Mul", elementwise::mul, &[]),
    ("Neg", elementwise::neg, &[]),
    ("PRelu", activation::prelu, &[]),
    ("Pad", select::pad, &[]),
    ("Pow", activation::pow, &[]),
    ("Reciprocal", activation::reciprocal, &[]),
    ("ReduceMax", extremum::reduce_max, &[]),
    ("ReduceMean", reduce::reduce_mean, &[]),
    ("ReduceMin", extremum::reduce_min, &[]),
    ("ReduceSum", reduce::reduce_sum, &[]),
    ("Relu", norm::relu, &[]),
    ("Reshape", shape::reshape, &[FollowsFinal]),
    ("Resize", resize::resize, &[]),
    ("Selu", activation::selu, &[]),
    ("Shape", shape::shape, &[FollowsFinal]),
    ("Shrink", activation::shrink, &[]),
    ("Sigmoid", activation::sigmoid, &[]),
    ("Size", shape::element_count, &[]),
    ("Slice", select::slice, &[]),
    ("Softmax", post::softmax, &[KeepsShape]),
    ("Softplus", activation::softplus, &[]),
    ("Softsign", activation::softsign, &[]),
    ("Split", select::split, &[]),
    ("Sqrt", activation::sqrt, &[]),
    ("Squeeze", shape::squeeze, &[FollowsFinal]),
    ("Sub", elementwise::sub, &[]),
    ("Sum", elementwise::sum, &[]),
    ("Swish", activation::swish, &[]),
    ("Tanh", activation::tanh, &[]),
    ("Transpose", shape::transpose, &[FollowsFinal]),
    ("Unsqueeze", shape::unsqueeze, &[FollowsFinal]),
    ("Upsample", resize::upsample, &[]),
];

const TRACE: Option<&str> = Some("export the model without control flow, by tracing it on an example");
const UNQUANTIZED: Option<&str> = Some("export the model before quantization, with float weights");
const BATCH_NORMALIZATION: Option<&str> = Some("BatchNormalization works; train the model with it");
const NO_JUMP: Option<&str> = Some("it jumps, so no polynomial is close to it; Relu and LeakyRelu work");
const POOLS: Option<&str> = Some("AveragePool and MaxPool work");

/// Operators that nothing imports, with what would work in their place where more can be said than which operators do.
const REFUSED: &[(&str, Option<&str>, &[Property])] = &[
    ("Ceil", None, &[KeepsShape]),
    ("ConvInteger", UNQUANTIZED, &[]),
    ("Cos", None, &[KeepsShape]),
    ("DequantizeLinear", UNQUANTIZED, &[]),
    ("DynamicQuantizeLinear", UNQUANTIZED, &[]),
    ("Floor", None, &[KeepsShape]),
    ("GlobalLpPool", POOLS, &[]),
    ("GroupNormalization", BATCH_NORMALIZATION, &[]),
    ("Hardmax", None, &[KeepsShape]),
    ("If", TRACE, &[]),
    ("InstanceNormalization", BATCH_NORMALIZATION, &[KeepsShape]),
    ("LRN", BATCH_NORMALIZATION, &[KeepsShape]),
    ("LayerNormalization", BATCH_NORMALIZATION, &[KeepsShape]),
    ("Loop", TRACE, &[]),
    ("LpNormalization", BATCH_NORMALIZATION, &[KeepsShape]),
    ("LpPool", POOLS, &[]),
    ("MatMulInteger", UNQUANTIZED, &[]),
    ("QLinearConv", UNQUANTIZED, &[]),
    ("QLinearMatMul", UNQUANTIZED, &[]),
    ("QuantizeLinear", UNQUANTIZED, &[]),
    ("Round", None, &[KeepsShape]),
    ("Scan", TRACE, &[]),
    ("Sign", None, &[KeepsShape]),
    ("Sin", None, &[KeepsShape]),
    ("Tan", None, &[KeepsShape]),
    ("ThresholdedRelu", NO_JUMP, &[KeepsShape]),
];

/// The function that imports an operator.
pub(super) fn importer(operator: &str) -> Option<Importer> {
    IMPORTED.iter().find(|(name, ..)| *name == operator).map(|(_, importer, _)| *importer)
}

/// What would work in place of an operator that no function imports.
pub(super) fn hint(operator: &str) -> String {
    let known = REFUSED.iter().find(|(name, ..)| *name == operator).and_then(|(_, hint, _)| *hint);
    known.map_or_else(|| format!("these operators work: {}", all_names()), str::to_owned)
}

fn all_names() -> String {
    IMPORTED.iter().map(|(name, ..)| *name).collect::<Vec<_>>().join(", ")
}

/// Whether an operator has a property.
pub(super) fn has(operator: &str, property: Property) -> bool {
    let imported = IMPORTED.iter().map(|(name, _, properties)| (name, properties));
    let refused = REFUSED.iter().map(|(name, _, properties)| (name, properties));
    imported.chain(refused).any(|(name, properties)| *name == operator && properties.contains(&property))
}
