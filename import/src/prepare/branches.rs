//! If whose condition is known: the branch that is taken stands in its place.

use std::collections::BTreeMap;

use super::flow::Flow;
use super::names::Names;
use super::nodes::identity;
use super::scope::Scope;
use crate::onnx::{GraphProto, NodeProto};
use crate::site::Value;

/// Conditions that the walk has found to be constant, by the first output of their If.
pub(crate) type Conditions = BTreeMap<String, bool>;

/// Writes the branches that are taken; what they hold may be an If again.
pub(super) fn take(graph: &GraphProto, flow: &Flow<'_>, known: &Conditions) -> Option<GraphProto> {
    let condition = |node: &NodeProto| condition(node, flow, known);
    graph.node.iter().find_map(condition)?;
    let mut names = Names::of(graph);
    let mut taken = GraphProto { node: vec![], ..graph.clone() };
    for node in &graph.node {
        match condition(node).and_then(|holds| branch(node, holds)) {
            Some(branch) => write(&mut taken, node, branch, &mut names),
            None => taken.node.push(node.clone()),
        }
    }
    Some(taken)
}

/// The condition of an If that depends on nothing, where the branch is there.
pub(crate) fn known_condition(node: &NodeProto, operands: &[Option<Value>]) -> Option<bool> {
    let Some(Some(Value::Constant(condition))) = operands.first() else { return None };
    let holds = condition.as_scalar()? != 0.0;
    (node.op_type == "If" && branch(node, holds).is_some()).then_some(holds)
}

/// The condition of an If that a weight or the walk says, where the branch is there.
fn condition(node: &NodeProto, flow: &Flow<'_>, known: &Conditions) -> Option<bool> {
    if node.op_type != "If" {
        return None;
    }
    let of_weight = || Some(*flow.values(node.input.first()?)?.first()? != 0.0);
    let holds = known.get(node.output.first()?).copied().or_else(of_weight)?;
    branch(node, holds).map(|_| holds)
}

fn branch(node: &NodeProto, holds: bool) -> Option<&GraphProto> {
    let name = if holds { "then_branch" } else { "else_branch" };
    node.attribute.iter().find(|attribute| attribute.name == name)?.g.as_ref()
}

fn write(graph: &mut GraphProto, node: &NodeProto, branch: &GraphProto, names: &mut Names) {
    let mut scope = Scope::at(node, names);
    let is_computed = |name: &str| branch.node.iter().any(|inner| inner.output.iter().any(|output| output == name));
    let mut passed = vec![];
    let mut bound: Vec<&str> = vec![];
    for (inner, outer) in branch.output.iter().zip(&node.output) {
        if is_computed(&inner.name) && !bound.contains(&inner.name.as_str()) {
            scope.bind(&inner.name, outer);
            bound.push(&inner.name);
        } else {
            passed.push((inner.name.as_str(), outer));
        }
    }
    scope.claim_all(branch);
    graph.node.extend(branch.node.iter().map(|inner| scope.node(inner)));
    graph.node.extend(passed.into_iter().map(|(inner, outer)| identity(scope.value(inner), outer.clone())));
    graph.initializer.extend(branch.initializer.iter().cloned().map(|mut weight| {
        weight.name = scope.value(&weight.name);
        weight
    }));
}
