//! Operators on quantized tensors, as the operators on the numbers that these stand for.

use super::Quantized;
use super::parameters::Parameters;
use super::signs::Signs;
use crate::attributes::Attributes;
use crate::model::is_standard;
use crate::onnx::{AttributeProto, NodeProto};
use crate::prepare::flow::Flow;
use crate::prepare::nodes::{MICROSOFT, Replacement, integer};

/// An operator on quantized tensors.
pub(super) struct IntegerOperator {
    name: &'static str,
    /// The operator that it stands for.
    real: &'static str,
    operands: Operands,
    /// Attributes that both have.
    attributes: &'static [&'static str],
}

/// Where an operator has tensors, scales and zero points among its operands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operands {
    /// One tensor with scale and zero point, then those of the result.
    One,
    /// Two of them, then those of the result.
    Two,
    /// Two of them, those of the result, then a bias.
    TwoAndBias,
    /// Two of them, a bias, then those of the result if it is quantized.
    TwoBiasFirst,
    /// Those of the result, then any number of tensors.
    Many,
}

const WINDOWS: &[&str] =
    &["auto_pad", "ceil_mode", "count_include_pad", "dilations", "group", "kernel_shape", "pads", "strides"];

const OPERATORS: &[IntegerOperator] = &[
    of("QGemm", "Gemm", Operands::TwoBiasFirst, &["alpha", "transA", "transB"]),
    of("QLinearAdd", "Add", Operands::Two, &[]),
    of("QLinearAveragePool", "AveragePool", Operands::One, WINDOWS),
    of("QLinearConcat", "Concat", Operands::Many, &["axis"]),
    of("QLinearConv", "Conv", Operands::TwoAndBias, WINDOWS),
    of("QLinearGlobalAveragePool", "GlobalAveragePool", Operands::One, &[]),
    of("QLinearLeakyRelu", "LeakyRelu", Operands::One, &["alpha"]),
    of("QLinearMatMul", "MatMul", Operands::Two, &[]),
    of("QLinearMul", "Mul", Operands::Two, &[]),
    of("QLinearReduceMean", "ReduceMean", Operands::One, &["axes", "keepdims"]),
    of("QLinearSigmoid", "Sigmoid", Operands::One, &[]),
    of("QLinearSoftmax", "Softmax", Operands::One, &["axis"]),
];

const fn of(
    name: &'static str,
    real: &'static str,
    operands: Operands,
    attributes: &'static [&'static str],
) -> IntegerOperator {
    IntegerOperator { name, real, operands, attributes }
}

/// A tensor among the operands, with the names of its scale and zero point.
#[derive(Clone, Copy)]
pub(super) struct Operand<'a> {
    pub(super) tensor: &'a str,
    pub(super) parameters: [&'a str; 2],
}

impl IntegerOperator {
    /// The operator of a node, if it is in the table and does what the table says.
    pub(super) fn of(node: &NodeProto) -> Option<&'static Self> {
        if !is_standard(&node.domain) && node.domain != MICROSOFT {
            return None;
        }
        let has_other_layout = Attributes(&node.attribute).flag("channels_last").unwrap_or(true);
        OPERATORS.iter().find(|operator| operator.name == node.op_type && !has_other_layout)
    }

    /// The quantized operands.
    pub(super) fn operands<'a>(&self, node: &'a NodeProto) -> Vec<Operand<'a>> {
        let first = if self.operands == Operands::Many { 2 } else { 0 };
        let count = match self.operands {
            Operands::One => 1,
            Operands::Many => node.input.len().saturating_sub(2) / 3,
            _ => 2,
        };
        let operand = |start: usize| Operand {
            tensor: name(node, start),
            parameters: [name(node, start + 1), name(node, start + 2)],
        };
        (0..count).map(|index| operand(first + 3 * index)).collect()
    }

    /// Scale and zero point of the result; both are empty for a result that is not quantized.
    pub(super) fn result<'a>(&self, node: &'a NodeProto) -> [&'a str; 2] {
        let place = match self.operands {
            Operands::One => 3,
            Operands::Two | Operands::TwoAndBias => 6,
            Operands::TwoBiasFirst => 7,
            Operands::Many => 0,
        };
        [name(node, place), name(node, place + 1)]
    }

    fn bias<'a>(&self, node: &'a NodeProto) -> &'a str {
        match self.operands {
            Operands::TwoAndBias => name(node, 8),
            Operands::TwoBiasFirst => name(node, 6),
            _ => "",
        }
    }

    /// The axis along which the weights of an operand can have scales of their own.
    fn weight_axis(&self, node: &NodeProto) -> i64 {
        match self.real {
            "Conv" => 0,
            "Gemm" if Attributes(&node.attribute).flag("transB").unwrap_or(false) => 0,
            "Gemm" => 1,
            _ => -1,
        }
    }

    /// The scale of the bias, which no operand says; `None` where those of the operands are not known.
    pub(super) fn bias_scale(&self, flow: &Flow<'_>, node: &NodeProto) -> Option<Vec<f64>> {
        let operands = self.operands(node);
        let scale = |index: usize| flow.values(operands.get(index)?.parameters[0]);
        let (data, weights) = (scale(0)?, scale(1)?);
        let alpha = match self.real {
            "Gemm" => Attributes(&node.attribute).number("alpha").ok()?.unwrap_or(1.0),
            _ => 1.0,
        };
        let &[data] = &data[..] else { return None };
        Some(weights.iter().map(|weight| alpha * data * weight).collect())
    }

    /// Whether there is a bias.
    pub(super) fn has_bias(&self, node: &NodeProto) -> bool {
        !self.bias(node).is_empty()
    }

    /// Writes the operator on the numbers.
    pub(super) fn write(
        &self,
        it: &mut Replacement<'_>,
        flow: &Flow<'_>,
        quantized: &Quantized<'_>,
        signs: &mut Signs,
    ) {
        let node = it.node;
        let mut inputs: Vec<String> =
            self.operands(node).into_iter().map(|operand| self.real_operand(it, quantized, operand)).collect();
        if self.has_bias(node) {
            let scale = it.numbers(self.bias_scale(flow, node).unwrap_or_default());
            let bias = it.add("DequantizeLinear", &[self.bias(node), &scale], vec![integer("axis", 0)]);
            inputs.push(bias);
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let attributes: Vec<AttributeProto> = it.kept(self.attributes);
        match self.result_parameters(flow, node) {
            Some(parameters) if parameters.start_at_zero() && !signs.of_result(self.real, &inputs, flow) => {
                let result = it.add(self.real, &inputs, attributes);
                super::rectified(it, &result, &parameters);
            }
            _ => it.finish(self.real, &inputs, &[it.output(0)], attributes),
        }
    }

    /// Scale and zero point of the result, if it is quantized.
    pub(super) fn result_parameters(&self, flow: &Flow<'_>, node: &NodeProto) -> Option<Parameters> {
        Parameters::named(flow, self.result(node), -1, None)
    }

    /// The name of the numbers that an operand stands for.
    fn real_operand(&self, it: &mut Replacement<'_>, quantized: &Quantized<'_>, operand: Operand<'_>) -> String {
        if quantized.contains(operand.tensor) {
            return operand.tensor.to_owned();
        }
        let [scale, zero] = operand.parameters;
        let axis = integer("axis", self.weight_axis(it.node));
        it.add("DequantizeLinear", &[operand.tensor, scale, zero], vec![axis])
    }
}

fn name(node: &NodeProto, index: usize) -> &str {
    node.input.get(index).map_or("", String::as_str)
}
