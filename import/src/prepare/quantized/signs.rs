//! Which values are never negative, or as they are given.

use std::collections::BTreeSet;

use crate::attributes::Attributes;
use crate::onnx::NodeProto;
use crate::prepare::flow::{Flow, moved, moves};

/// Operators whose results are never negative.
const NOT_NEGATIVE: &[&str] = &[
    "Abs",
    "Exp",
    "HardSigmoid",
    "ReduceL1",
    "ReduceL2",
    "ReduceSumSquare",
    "Relu",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Sqrt",
];

/// Operators whose results are not negative where none of their operands is.
const KEEPING: &[&str] =
    &["Add", "AveragePool", "Cast", "GlobalAveragePool", "Max", "Mean", "Min", "Mul", "ReduceMean", "ReduceSum", "Sum"];

/// Names of values that are never negative, or whose sign is that of an input.
#[derive(Default)]
pub(super) struct Signs(BTreeSet<String>);

impl Signs {
    /// Notes what a node does to signs.
    pub(super) fn follow(&mut self, node: &NodeProto, flow: &Flow<'_>) {
        let operands: Vec<&str> = match moves(node) {
            true => moved(node).iter().map(String::as_str).collect(),
            false => node.input.iter().map(String::as_str).collect(),
        };
        let is_clipped = node.op_type == "Clip" && clips_at_zero(node, flow);
        let keeps = moves(node) && !operands.is_empty() && operands.iter().all(|name| self.holds(name, flow));
        if is_clipped || keeps || self.of_result(&node.op_type, &operands, flow) {
            self.0.extend(node.output.iter().cloned());
        }
    }

    /// Whether a value is never negative, or is given with its sign.
    pub(super) fn holds(&self, name: &str, flow: &Flow<'_>) -> bool {
        self.0.contains(name) || flow.is_given(name)
    }

    /// Whether the result of an operator is never negative.
    pub(super) fn of_result(&self, operator: &str, operands: &[&str], flow: &Flow<'_>) -> bool {
        let all = || operands.iter().all(|name| self.holds(name, flow));
        NOT_NEGATIVE.contains(&operator) || KEEPING.contains(&operator) && all()
    }
}

/// Whether the lower bound of a Clip is not negative.
fn clips_at_zero(node: &NodeProto, flow: &Flow<'_>) -> bool {
    let operand = node.input.get(1).and_then(|name| flow.values(name)).and_then(|values| values.first().copied());
    let low = operand.or_else(|| Attributes(&node.attribute).number("min").ok().flatten());
    low.is_some_and(|low| low >= 0.0)
}
