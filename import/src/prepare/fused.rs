//! Operators that onnxruntime writes into the models that it optimizes, as the standard operators that they stand for.

use super::names::Names;
use super::nodes::{MICROSOFT, Replacement, integer, integers, number, replaced, text};
use super::ranks::Ranks;
use super::refusals::Refusals;
use crate::attributes::Attributes;
use crate::error::ImportError;
use crate::model::is_standard;
use crate::onnx::{AttributeProto, GraphProto, NodeProto};
use crate::site::Refusal;

/// Writes the standard nodes of one.
type Unfuse = fn(&mut Unfusing<'_>) -> Result<(), Refusal>;

const FUSED: &[(&str, Unfuse)] = &[
    ("BiasGelu", bias_gelu),
    ("DynamicQuantizeMatMul", dynamic_quantize_matmul),
    ("FastGelu", fast_gelu),
    ("FusedConv", fused_conv),
    ("FusedGemm", fused_gemm),
    ("FusedMatMul", fused_matmul),
    ("Gelu", same),
    ("LayerNormalization", same),
    ("QuickGelu", quick_gelu),
    ("SimplifiedLayerNormalization", simplified_layer_normalization),
    ("SkipLayerNormalization", skip_layer_normalization),
    ("SkipSimplifiedLayerNormalization", skip_simplified_layer_normalization),
    ("TransposeMatMul", fused_matmul),
    ("Trilu", same),
];

/// Operators of onnxruntime for which there is a way to get rid of them.
const REFUSED: &[(&str, &str)] = &[
    ("Attention", UNOPTIMIZED),
    ("MatMulBnb4", UNQUANTIZED),
    ("MatMulNBits", UNQUANTIZED),
    ("MultiHeadAttention", UNOPTIMIZED),
];

const UNOPTIMIZED: &str = "export the model without onnxruntime's optimizations";
const UNQUANTIZED: &str = "export the model before quantization, with float weights";

/// The ε of onnxruntime's normalizations that add a second operand first.
const SKIP_EPSILON: f32 = 1e-12;

/// The slope in onnxruntime's QuickGelu.
const QUICK_GELU_SLOPE: f32 = 1.702;

/// A node on its way to standard ones.
struct Unfusing<'a> {
    to: Replacement<'a>,
    ranks: &'a Ranks,
}

impl Unfusing<'_> {
    fn attributes(&self) -> Attributes<'_> {
        Attributes(&self.to.node.attribute)
    }
}

/// Puts standard nodes in the place of fused ones.
pub(super) fn unfuse(graph: &mut GraphProto, refusals: &mut Refusals) -> Result<(), ImportError> {
    if !graph.node.iter().any(|node| is_fused(node) || refused_hint(node).is_some()) {
        return Ok(());
    }
    let (mut names, ranks) = (Names::of(graph), Ranks::of(graph));
    let unsupported = |hint| Refusal::unsupported("it is an operator of onnxruntime alone", hint);
    graph.node = replaced(std::mem::take(&mut graph.node), refusals, |node| match refused_hint(node) {
        Some(hint) => Some(Err(unsupported(hint))),
        None => unfused(node, &mut names, &ranks),
    })?;
    Ok(())
}

fn unfused(node: &NodeProto, names: &mut Names, ranks: &Ranks) -> Option<Result<Vec<NodeProto>, Refusal>> {
    let (_, write) = FUSED.iter().find(|(operator, _)| is_fused(node) && *operator == node.op_type)?;
    let mut unfusing = Unfusing { to: Replacement::of(node, names), ranks };
    Some(write(&mut unfusing).map(|()| unfusing.to.nodes))
}

/// Whether the table has the node: onnxruntime has one of its operators in the standard domain.
fn is_fused(node: &NodeProto) -> bool {
    match node.domain.as_str() {
        MICROSOFT => FUSED.iter().any(|(operator, _)| *operator == node.op_type),
        domain => is_standard(domain) && node.op_type == "SimplifiedLayerNormalization",
    }
}

fn refused_hint(node: &NodeProto) -> Option<&'static str> {
    let known = REFUSED.iter().find(|(operator, _)| node.domain == MICROSOFT && *operator == node.op_type);
    known.map(|(_, hint)| *hint)
}

/// An operator that the standard has under the same name.
fn same(it: &mut Unfusing<'_>) -> Result<(), Refusal> {
    let node = it.to.node.clone();
    it.to.nodes.push(NodeProto { domain: String::new(), ..node });
    Ok(())
}

/// FusedConv: the sum of a convolution and a further operand, then a function.
fn fused_conv(it: &mut Unfusing<'_>) -> Result<(), Refusal> {
    let conv = it.to.kept(&["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"]);
    let [x, w, bias, summand] = [0, 1, 2, 3].map(|index| it.to.input(index));
    let mut result = it.to.add("Conv", &[x, w, bias], conv);
    if !summand.is_empty() {
        result = it.to.add("Add", &[&result, summand], vec![]);
    }
    let parameters = it.attributes().numbers("activation_params")?.unwrap_or_default();
    let parameters: Vec<Option<f64>> = parameters.into_iter().map(Some).collect();
    activated(it, &result, &parameters)
}

/// FusedGemm: a function of a Gemm.
fn fused_gemm(it: &mut Unfusing<'_>) -> Result<(), Refusal> {
    let gemm = it.to.kept(&["alpha", "beta", "transA", "transB"]);
    let operands = [0, 1, 2].map(|index| it.to.input(index));
    let result = it.to.add("Gemm", &operands, gemm);
    let parameter = |name: &str| it.attributes().number(name);
    let parameters = [parameter("activation_alpha")?, parameter("activation_beta")?];
    activated(it, &result, &parameters)
}

/// The function of the attribute `activation`, with parameters in the order of their names.
fn activated(it: &mut Unfusing<'_>, x: &str, parameters: &[Option<f64>]) -> Result<(), Refusal> {
    let operator = it.attributes().text("activation")?.unwrap_or_default();
    let output = it.to.output(0);
    let names: &[&str] = match operator.as_str() {
        "" => return finish(it, "Identity", &[x], vec![]),
        "Relu" | "Sigmoid" | "Softplus" | "Softsign" | "Tanh" => &[],
        "Elu" | "LeakyRelu" => &["alpha"],
        "HardSigmoid" => &["alpha", "beta"],
        "Clip" => {
            let bound = |index: usize| parameters.get(index).copied().flatten();
            let bounds = [bound(0), bound(1)].map(|bound| bound.map_or_else(String::new, |bound| it.to.number(bound)));
            it.to.finish("Clip", &[x, &bounds[0], &bounds[1]], &[output], vec![]);
            return Ok(());
        }
        other => {
            return Err(Refusal::unsupported(format!("its activation is `{other}`"), UNOPTIMIZED));
        }
    };
    let given = names.iter().zip(parameters).filter_map(|(name, value)| value.map(|value| number(name, value as f32)));
    let attributes = given.collect();
    finish(it, &operator, &[x], attributes)
}

fn finish(
    it: &mut Unfusing<'_>,
    operator: &str,
    inputs: &[&str],
    attributes: Vec<AttributeProto>,
) -> Result<(), Refusal> {
    let output = it.to.output(0);
    it.to.finish(operator, inputs, &[output], attributes);
    Ok(())
}

/// FusedMatMul: factors with their last two axes exchanged, and a multiple of the product.
fn fused_matmul(it: &mut Unfusing<'_>) -> Result<(), Refusal> {
    for name in ["transBatchA", "transBatchB"] {
        if it.attributes().flag(name)? {
            return Err(Refusal::unsupported(format!("{name} is 1"), UNOPTIMIZED));
        }
    }
    let a = factor(it, 0, "transA")?;
    let b = factor(it, 1, "transB")?;
    match it.attributes().number("alpha")? {
        None | Some(1.0) => finish(it, "MatMul", &[&a, &b], vec![]),
        Some(alpha) => {
            let (product, alpha) = (it.to.add("MatMul", &[&a, &b], vec![]), it.to.number(alpha));
            finish(it, "Mul", &[&product, &alpha], vec![])
        }
    }
}

/// An operand of a product, transposed where the attribute says so.
fn factor(it: &mut Unfusing<'_>, index: usize, name: &str) -> Result<String, Refusal> {
    let operand = it.to.input(index);
    if !it.attributes().flag(name)? {
        return Ok(operand.to_owned());
    }
    let Some(rank) = it.ranks.of_value(operand) else {
        let reason = format!("{name} is 1 and the number of axes of `{operand}` is not known");
        return Err(Refusal::unsupported(reason, "run ONNX shape inference on the model"));
    };
    let mut permutation: Vec<i64> = (0..rank as i64).collect();
    if let [.., a, b] = &mut permutation[..] {
        std::mem::swap(a, b);
    }
    Ok(it.to.add("Transpose", &[operand], vec![integers("perm", permutation)]))
}

/// DynamicQuantizeMatMul: a product with quantized weights, and a bias.
fn dynamic_quantize_matmul(it: &mut Unfusing<'_>) -> Result<(), Refusal> {
    let operands = [1, 2, 3].map(|index| it.to.input(index));
    let weights = it.to.add("DequantizeLinear", &operands, vec![integer("axis", -1)]);
    it.to.product_and_sum(&weights, it.to.input(4));
    Ok(())
}

/// BiasGelu: Gelu of a sum.
fn bias_gelu(it: &mut Unfusing<'_>) -> Result<(), Refusal> {
    let sum = it.to.add("Add", &[it.to.input(0), it.to.input(1)], vec![]);
    finish(it, "Gelu", &[&sum], vec![])
}

/// FastGelu: Gelu with tanh, of a sum where there is a second operand.
fn fast_gelu(it: &mut Unfusing<'_>) -> Result<(), Refusal> {
    let (mut x, bias) = (it.to.input(0).to_owned(), it.to.input(1));
    if !bias.is_empty() {
        x = it.to.add("Add", &[&x, bias], vec![]);
    }
    finish(it, "Gelu", &[&x], vec![text("approximate", "tanh")])
}

/// QuickGelu: `x · sigmoid(alpha · x)`.
fn quick_gelu(it: &mut Unfusing<'_>) -> Result<(), Refusal> {
    let alpha = it.attributes().number("alpha")?.map_or(QUICK_GELU_SLOPE, |alpha| alpha as f32);
    finish(it, "Swish", &[it.to.input(0)], vec![number("alpha", alpha)])
}

/// SimplifiedLayerNormalization, by its standard name.
fn simplified_layer_normalization(it: &mut Unfusing<'_>) -> Result<(), Refusal> {
    let attributes = it.to.kept(&["axis", "epsilon"]);
    finish(it, "RMSNormalization", &[it.to.input(0), it.to.input(1)], attributes)
}

/// SkipLayerNormalization: LayerNormalization of a sum, which is the fourth output.
fn skip_layer_normalization(it: &mut Unfusing<'_>) -> Result<(), Refusal> {
    let sum = skip_sum(it, 4);
    let attributes = skip_attributes(it)?;
    let outputs = [0, 1, 2].map(|index| it.to.output(index));
    let (gamma, beta) = (it.to.input(2), it.to.input(3));
    it.to.finish("LayerNormalization", &[&sum, gamma, beta], &outputs, attributes);
    Ok(())
}

/// SkipSimplifiedLayerNormalization: the same without mean and shift.
fn skip_simplified_layer_normalization(it: &mut Unfusing<'_>) -> Result<(), Refusal> {
    let sum = skip_sum(it, 3);
    let attributes = skip_attributes(it)?;
    finish(it, "RMSNormalization", &[&sum, it.to.input(2)], attributes)
}

/// The sum of the first two operands and a bias, under the name of the output that is this sum.
fn skip_sum(it: &mut Unfusing<'_>, bias: usize) -> String {
    let (bias, wanted) = (it.to.input(bias), it.to.output(3));
    let mut sum = it.to.add("Add", &[it.to.input(0), it.to.input(1)], vec![]);
    if !bias.is_empty() {
        sum = it.to.add("Add", &[&sum, bias], vec![]);
    }
    if let (false, Some(last)) = (wanted.is_empty(), it.to.nodes.last_mut()) {
        last.output = vec![wanted.to_owned()];
        sum = wanted.to_owned();
    }
    sum
}

fn skip_attributes(it: &Unfusing<'_>) -> Result<Vec<AttributeProto>, Refusal> {
    let epsilon = it.attributes().number("epsilon")?.map_or(SKIP_EPSILON, |epsilon| epsilon as f32);
    Ok(vec![integer("axis", -1), number("epsilon", epsilon)])
}
