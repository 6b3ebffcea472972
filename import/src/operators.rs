//! The table of operators: which function imports which, and what is known of the others.

use super::model::is_standard;
use super::onnx::NodeProto;
use super::prepare::CLASSICAL;
use super::site::{Outcome, Refusal, Site};
use super::{
    activation, blocks, conv, dense, einsum, elementwise, extremum, indexed, logic, norm, normalize, pool, quantized,
    reduce, resize, sampling, select, shape, tail, transposed,
};
use Property::KeepsShape;

/// Imports one node.
pub(super) type Importer = fn(&mut Site<'_>) -> Outcome;

/// What the walk has to know of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Property {
    /// Its result has the shape of its first operand, so that the rest of the network can be checked even where the node is
    /// not supported.
    KeepsShape,
}

const IMPORTED: &[(&str, Importer, &[Property])] = &[
    ("Abs", activation::abs, &[]),
    ("Add", elementwise::add, &[]),
    ("AffineGrid", sampling::affine_grid, &[]),
    ("And", logic::and, &[]),
    ("Asinh", activation::asinh, &[KeepsShape]),
    ("Atan", activation::atan, &[KeepsShape]),
    ("AveragePool", pool::average_pool, &[]),
    ("BatchNormalization", norm::batch_normalization, &[]),
    ("Cast", shape::cast, &[]),
    ("Celu", activation::celu, &[]),
    ("CenterCropPad", indexed::center_crop_pad, &[]),
    ("Clip", activation::clip, &[KeepsShape]),
    ("Col2Im", sampling::col2im, &[]),
    ("Compress", indexed::compress, &[]),
    ("Concat", select::concat, &[]),
    ("Constant", shape::constant, &[]),
    ("ConstantOfShape", shape::constant_of_shape, &[]),
    ("Conv", conv::conv, &[]),
    ("ConvTranspose", transposed::conv_transpose, &[]),
    ("Cos", activation::cos, &[KeepsShape]),
    ("Cosh", activation::cosh, &[KeepsShape]),
    ("DFT", sampling::dft, &[]),
    ("DepthToSpace", blocks::depth_to_space, &[]),
    ("DequantizeLinear", quantized::dequantize_linear, &[KeepsShape]),
    ("Div", elementwise::div, &[]),
    ("Dropout", shape::dropout, &[]),
    ("Einsum", einsum::einsum, &[]),
    ("Elu", activation::elu, &[KeepsShape]),
    ("Equal", logic::equal, &[]),
    ("Erf", activation::erf, &[]),
    ("Exp", activation::exp, &[]),
    ("Expand", select::expand, &[]),
    ("EyeLike", blocks::eye_like, &[]),
    ("Flatten", shape::flatten, &[]),
    ("Gather", select::gather, &[]),
    ("GatherElements", indexed::gather_elements, &[]),
    ("GatherND", indexed::gather_nd, &[]),
    ("Gelu", activation::gelu, &[KeepsShape]),
    ("Gemm", dense::gemm, &[]),
    ("GlobalAveragePool", pool::global_average_pool, &[]),
    ("GlobalLpPool", pool::global_lp_pool, &[]),
    ("GlobalMaxPool", pool::global_max_pool, &[]),
    ("Greater", logic::greater, &[]),
    ("GreaterOrEqual", logic::greater_or_equal, &[]),
    ("GridSample", sampling::grid_sample, &[]),
    ("GroupNormalization", normalize::group_normalization, &[KeepsShape]),
    ("HardSigmoid", activation::hard_sigmoid, &[]),
    ("HardSwish", activation::hard_swish, &[]),
    ("Identity", shape::identity, &[]),
    ("InstanceNormalization", normalize::instance_normalization, &[KeepsShape]),
    ("LRN", normalize::local_response_normalization, &[KeepsShape]),
    ("LayerNormalization", normalize::layer_normalization, &[KeepsShape]),
    ("LeakyRelu", activation::leaky_relu, &[]),
    ("Less", logic::less, &[]),
    ("LessOrEqual", logic::less_or_equal, &[]),
    ("Log", activation::log, &[]),
    ("LpNormalization", normalize::lp_normalization, &[KeepsShape]),
    ("LpPool", pool::lp_pool, &[]),
    ("MatMul", dense::matmul, &[]),
    ("Max", extremum::max, &[]),
    ("MaxPool", pool::max_pool, &[]),
    ("Mean", elementwise::mean, &[]),
    ("MeanVarianceNormalization", normalize::mean_variance_normalization, &[KeepsShape]),
    ("Min", extremum::min, &[]),
    ("Mish", activation::mish, &[]),
    ("Mul", elementwise::mul, &[]),
    ("Neg", elementwise::neg, &[]),
    ("Not", logic::not, &[]),
    ("Or", logic::or, &[]),
    ("PRelu", activation::prelu, &[]),
    ("Pad", select::pad, &[]),
    ("Pow", activation::pow, &[]),
    ("QuantizeLinear", quantized::quantize_linear, &[KeepsShape]),
    ("RMSNormalization", normalize::rms_normalization, &[KeepsShape]),
    ("Range", blocks::range, &[]),
    ("Reciprocal", activation::reciprocal, &[]),
    ("ReduceL1", reduce::reduce_l1, &[]),
    ("ReduceL2", reduce::reduce_l2, &[]),
    ("ReduceLogSum", reduce::reduce_log_sum, &[]),
    ("ReduceLogSumExp", reduce::reduce_log_sum_exp, &[]),
    ("ReduceMax", extremum::reduce_max, &[]),
    ("ReduceMean", reduce::reduce_mean, &[]),
    ("ReduceMin", extremum::reduce_min, &[]),
    ("ReduceProd", reduce::reduce_prod, &[]),
    ("ReduceSum", reduce::reduce_sum, &[]),
    ("ReduceSumSquare", reduce::reduce_sum_square, &[]),
    ("Relu", norm::relu, &[]),
    ("Reshape", shape::reshape, &[]),
    ("Resize", resize::resize, &[]),
    ("Scatter", indexed::scatter_elements, &[]),
    ("ScatterElements", indexed::scatter_elements, &[]),
    ("ScatterND", indexed::scatter_nd, &[]),
    ("Selu", activation::selu, &[]),
    ("Shape", shape::shape, &[]),
    ("Shrink", activation::shrink, &[]),
    ("Sigmoid", activation::sigmoid, &[]),
    ("Sin", activation::sin, &[KeepsShape]),
    ("Sinh", activation::sinh, &[KeepsShape]),
    ("Size", shape::element_count, &[]),
    ("Slice", select::slice, &[]),
    ("Softplus", activation::softplus, &[]),
    ("Softsign", activation::softsign, &[]),
    ("SpaceToDepth", blocks::space_to_depth, &[]),
    ("Split", select::split, &[]),
    ("Sqrt", activation::sqrt, &[]),
    ("Squeeze", shape::squeeze, &[]),
    ("Sub", elementwise::sub, &[]),
    ("Sum", elementwise::sum, &[]),
    ("Swish", activation::swish, &[]),
    ("Tanh", activation::tanh, &[]),
    ("Tile", blocks::tile, &[]),
    ("Transpose", shape::transpose, &[]),
    ("Trilu", blocks::trilu, &[KeepsShape]),
    ("Unsqueeze", shape::unsqueeze, &[]),
    ("Upsample", resize::upsample, &[]),
    ("Where", logic::choose, &[]),
    ("Xor", logic::xor, &[]),
];

const TRACE: Option<&str> = Some("export the model without control flow, by tracing it on an example");
const UNQUANTIZED: Option<&str> = Some("export the model before quantization, with float weights");
const NO_JUMP: Option<&str> = Some("it jumps, so no polynomial is close to it; Relu and LeakyRelu work");
const LAST: Option<&str> =
    Some("it works behind the last layer, where only outputs read it and the client computes it");

/// Operators that nothing imports, with what would work in their place where more can be said than which operators do.
const REFUSED: &[(&str, Option<&str>, &[Property])] = &[
    ("ArgMax", LAST, &[]),
    ("ArgMin", LAST, &[]),
    ("Ceil", LAST, &[KeepsShape]),
    ("ConvInteger", UNQUANTIZED, &[]),
    ("DynamicQuantizeLinear", UNQUANTIZED, &[]),
    ("Floor", LAST, &[KeepsShape]),
    ("Hardmax", LAST, &[KeepsShape]),
    ("If", TRACE, &[]),
    ("LogSoftmax", LAST, &[KeepsShape]),
    ("Loop", TRACE, &[]),
    ("MatMulInteger", UNQUANTIZED, &[]),
    ("QLinearConv", UNQUANTIZED, &[]),
    ("QLinearMatMul", UNQUANTIZED, &[]),
    ("Round", LAST, &[KeepsShape]),
    ("Scan", TRACE, &[]),
    ("Sign", LAST, &[KeepsShape]),
    ("Softmax", LAST, &[KeepsShape]),
    ("Tan", None, &[KeepsShape]),
    ("TopK", LAST, &[]),
    ("ThresholdedRelu", NO_JUMP, &[KeepsShape]),
];

/// Imports a node for the circuit.
pub(super) fn import(node: &NodeProto, site: &mut Site<'_>) -> Outcome {
    if node.domain == CLASSICAL && is_only_last(node) {
        return Err(Refusal::unsupported("the operator is not supported", LAST.unwrap_or_default()));
    }
    if !is_standard(&node.domain) {
        let reason = format!("operators of the domain `{}` are not supported", node.domain);
        return Err(Refusal::unsupported(reason, "export the model with standard ONNX operators"));
    }
    let operator = node.op_type.as_str();
    match IMPORTED.iter().find(|(name, ..)| *name == operator) {
        Some((_, importer, _)) => importer(site),
        None => Err(Refusal::unsupported("the operator is not supported", hint(operator))),
    }
}

/// Whether nothing but the client computes an operator.
pub(super) fn is_only_last(node: &NodeProto) -> bool {
    let is_classical = node.domain == CLASSICAL && tail::computes(node);
    is_classical || REFUSED.iter().any(|(name, hint, _)| *name == node.op_type && *hint == LAST)
}

/// What would work in place of an operator that no function imports.
fn hint(operator: &str) -> String {
    let known = REFUSED.iter().find(|(name, ..)| *name == operator).and_then(|(_, hint, _)| *hint);
    known.map_or_else(String::new, str::to_owned)
}

/// The operators that a function imports.
pub(super) fn all_names() -> String {
    IMPORTED.iter().map(|(name, ..)| *name).collect::<Vec<_>>().join(", ")
}

/// Whether an operator has a property.
pub(super) fn has(operator: &str, property: Property) -> bool {
    let imported = IMPORTED.iter().map(|(name, _, properties)| (name, properties));
    let refused = REFUSED.iter().map(|(name, _, properties)| (name, properties));
    imported.chain(refused).any(|(name, properties)| *name == operator && properties.contains(&property))
}
