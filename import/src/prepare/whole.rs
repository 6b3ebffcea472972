//! Inputs of whole numbers: what exact arithmetic on them means, and what it does not.

use super::flow::Flow;
use super::names::Names;
use super::nodes::{Replacement, integer};
use super::refusals::Refusals;
use crate::attributes::Attributes;
use crate::onnx::{DataType, GraphProto, NodeProto};
use crate::quantized::integer_range;
use crate::site::Refusal;

/// Drops casts between integers that change nothing, makes arithmetic on integers that on numbers, and notes nodes that
/// need the integers themselves.
pub(super) fn check(graph: &GraphProto, flow: &Flow<'_>, refusals: &mut Refusals) -> Option<Vec<NodeProto>> {
    for node in &graph.node {
        if let Some(refusal) = refusal(node, flow) {
            refusals.note_for_circuit(node, &refusal);
        }
    }
    if !graph.node.iter().any(|node| is_widening(node, flow) || is_arithmetic(node, flow)) {
        return None;
    }
    let mut names = Names::of(graph);
    let written = |node: &NodeProto| {
        let mut it = Replacement::of(node, &mut names);
        if is_widening(node, flow) {
            it.finish("Identity", &[it.input(0)], &[it.output(0)], vec![]);
        } else if is_arithmetic(node, flow) {
            let to_float = || vec![integer("to", DataType::Float as i64)];
            let operands = [0, 1].map(|index| it.add("Cast", &[it.input(index)], to_float()));
            it.finish(&node.op_type, &[&operands[0], &operands[1]], &[it.output(0)], node.attribute.clone());
        } else {
            it.nodes.push(node.clone());
        }
        it.nodes
    };
    Some(graph.node.iter().flat_map(written).collect())
}

/// Whether a node adds or multiplies integers of the input.
fn is_arithmetic(node: &NodeProto, flow: &Flow<'_>) -> bool {
    let gives_integers = node.output.first().is_some_and(|output| flow.whole(output).is_some());
    gives_integers && matches!(node.op_type.as_str(), "Add" | "Mul" | "Sub")
}

/// Whether a node casts integers to a type that holds all of them.
fn is_widening(node: &NodeProto, flow: &Flow<'_>) -> bool {
    let x = node.input.first().and_then(|x| flow.whole(x));
    let range = |element_type: Option<DataType>| element_type.and_then(integer_range);
    match (node.op_type.as_str(), range(x), range(cast_target(node))) {
        ("Cast", Some((low, high)), Some(target)) => target.0 <= low && high <= target.1,
        _ => false,
    }
}

/// The type to which a Cast converts.
pub(super) fn cast_target(node: &NodeProto) -> Option<DataType> {
    let code = Attributes(&node.attribute).integer("to").ok().flatten()?;
    DataType::try_from(i32::try_from(code).ok()?).ok()
}

fn refusal(node: &NodeProto, flow: &Flow<'_>) -> Option<Refusal> {
    let operand = |index: usize| node.input.get(index).map_or("", String::as_str);
    match node.op_type.as_str() {
        "Div" if flow.whole(operand(0)).is_some() => Some(Refusal::unsupported(
            "it divides integers of the input, which drops the remainder",
            "cast the input to FLOAT before it",
        )),
        "Gather" if flow.depends(operand(1)) && !flow.depends(operand(0)) => Some(Refusal::unsupported(
            "its indices depend on the input: encrypted numbers cannot choose the rows of a table",
            "let the client look them up: cut the model behind this node, and give it the rows as its input",
        )),
        _ => None,
    }
}
