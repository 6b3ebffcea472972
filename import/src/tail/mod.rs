//! Which nodes at the end of a network the client computes, after decryption.
//!
//! A node is the client's if nobody but the client's nodes and the outputs read it, and if it is one of the operators in
//! `operators.rs`. Such a run begins at an operator that no circuit computes, or at a smooth one-to-one function, which a
//! polynomial would only approximate at some levels; what follows goes along. Constants go to the client only where they are
//! single numbers, tables of labels, thresholds, or scales of results that are bounded anyway: never the weights of a layer.
//! Values of which several are combined must come from one tensor, so that nothing is decrypted that the outputs hide.

mod operators;
mod steps;

use std::collections::{BTreeMap, BTreeSet};

use paf_ir::client::{ClientOp, ClientProgram, ClientResult, ClientValue, ResultKind, Unary};
use paf_ir::tensor::{BatchAxis, Graph, NodeId, Output};

use super::TrailingFunctions;
use super::constants::ElementKind;
use super::onnx::{GraphProto, NodeProto};
use super::site::{Final, Outcome, Refusal, Site, Value};
use operators::{Constants, Part, Trailing, trailing};

/// What is computed from decrypted tensors, while it grows.
#[derive(Debug, Default)]
pub(super) struct ClientBuilder {
    pub(super) program: ClientProgram,
    /// The graph's node of each port.
    nodes: Vec<NodeId>,
}

impl ClientBuilder {
    /// A tensor of the graph, decrypted.
    fn port(&mut self, graph: &Graph, node: NodeId) -> ClientValue {
        let known = self.nodes.iter().position(|&other| other == node);
        ClientValue::Port(known.unwrap_or_else(|| {
            self.nodes.push(node);
            self.program.ports.push(graph.node(node).shape.clone());
            self.nodes.len() - 1
        }))
    }

    /// Gives a graph its outputs: each model output by its name.
    pub(super) fn finish(mut self, graph: &mut Graph, outputs: Vec<(String, Value)>) {
        let mut nodes: Vec<NodeId> = vec![];
        let is_plain = outputs.iter().all(|(_, value)| match value {
            Value::Tensor(id) => {
                !nodes.contains(id) && {
                    nodes.push(*id);
                    true
                }
            }
            _ => false,
        });
        if is_plain {
            graph.outputs = outputs.into_iter().zip(nodes).map(|((name, _), node)| Output { name, node }).collect();
            return;
        }
        let mut order: Vec<usize> = vec![];
        for (name, value) in outputs {
            let Some((value, kind)) = self.result(graph, value) else { continue };
            let ports = self.program.ports_of(value);
            for (place, &port) in ports.iter().enumerate().filter(|(_, port)| !order.contains(port)).collect::<Vec<_>>()
            {
                order.push(port);
                let node = self.nodes[port];
                let name = if place == 0 { name.clone() } else { graph.node(node).name.clone() };
                graph.outputs.push(Output { name, node });
            }
            let whole = self.program.shape(value).cloned().unwrap_or_default();
            let shape = match BatchAxis::of_result(graph.is_batched(), &whole) {
                // What is left of one sample's classes is its batch axis.
                shape if graph.is_batched() && shape.0 == [1] && whole.0 == [1] => {
                    BatchAxis::First.sample_shape(&shape)
                }
                shape => shape,
            };
            self.program.results.push(ClientResult { name, value, shape, kind });
        }
        graph.client = reordered(self.program, &order);
    }

    fn result(&mut self, graph: &Graph, value: Value) -> Option<(ClientValue, ResultKind)> {
        match value {
            Value::Tensor(id) => Some((self.port(graph, id), ResultKind::Real)),
            Value::Final(Final { value, texts: Some(texts), .. }) => Some((value, ResultKind::Text(texts))),
            Value::Final(Final { value, kind, .. }) => Some((
                value,
                match kind {
                    ElementKind::Real => ResultKind::Real,
                    ElementKind::Integer => ResultKind::Integer,
                    ElementKind::Boolean => ResultKind::Boolean,
                },
            )),
            Value::Constant(_) | Value::Unknown => None,
        }
    }
}

/// The program with its ports in another order.
fn reordered(mut program: ClientProgram, order: &[usize]) -> ClientProgram {
    let place = |value: &mut ClientValue| {
        if let ClientValue::Port(port) = value {
            *port = order.iter().position(|other| other == port).unwrap_or(0);
        }
    };
    program.ports = order.iter().map(|&port| program.ports[port].clone()).collect();
    program.steps.iter_mut().flat_map(|step| &mut step.operands).for_each(place);
    program.results.iter_mut().for_each(|result| place(&mut result.value));
    program
}

/// What is known of a name before the graph is built.
#[derive(Debug, Clone, Default)]
struct Fact<'m> {
    /// The tensors that it is computed from by functions that the client may compute; none of a constant.
    roots: BTreeSet<&'m str>,
    /// Whether one of these functions is among those at which a run begins.
    is_begun: bool,
    /// Whether its values have bounds that everybody knows.
    is_bounded: bool,
    /// Whether it is a constant of one element.
    is_number: bool,
}

impl<'m> Fact<'m> {
    /// Of what a circuit computes.
    fn itself(name: &'m str) -> Self {
        Fact { roots: BTreeSet::from([name]), ..Fact::default() }
    }
}

/// Positions of the nodes that the client computes.
pub(super) fn positions(graph: &GraphProto, inputs: &[&str], choice: TrailingFunctions) -> BTreeSet<usize> {
    let mut refused = BTreeSet::new();
    loop {
        let candidates = candidates(graph, inputs, choice, &refused);
        let kept = closed(graph, &candidates);
        let dropped: Vec<usize> = candidates.difference(&kept).copied().collect();
        if dropped.is_empty() {
            return kept;
        }
        refused.extend(dropped);
    }
}

/// Nodes that only the client's nodes and outputs read.
fn closed(graph: &GraphProto, candidates: &BTreeSet<usize>) -> BTreeSet<usize> {
    let mut read_by_others: BTreeSet<&str> = BTreeSet::new();
    let mut kept = BTreeSet::new();
    for (position, node) in graph.node.iter().enumerate().rev() {
        let is_kept = candidates.contains(&position)
            && !node.output.iter().any(|output| read_by_others.contains(output.as_str()));
        if is_kept {
            kept.insert(position);
        } else if !is_shape_of(node) {
            read_by_others.extend(node.input.iter().map(String::as_str));
        }
    }
    kept
}

/// Nodes that the client can compute, whoever reads them.
fn candidates<'m>(
    graph: &'m GraphProto,
    inputs: &[&'m str],
    choice: TrailingFunctions,
    refused: &BTreeSet<usize>,
) -> BTreeSet<usize> {
    let mut facts: BTreeMap<&str, Fact<'m>> = BTreeMap::new();
    for weight in &graph.initializer {
        let is_number = weight.dims.iter().all(|&size| size == 1);
        facts.insert(&weight.name, Fact { is_number, ..Fact::default() });
    }
    inputs.iter().for_each(|&name| drop(facts.insert(name, Fact::itself(name))));
    let mut found = BTreeSet::new();
    for (position, node) in graph.node.iter().enumerate() {
        let operands: Vec<Fact<'_>> =
            node.input.iter().map(|name| facts.get(name.as_str()).cloned().unwrap_or_default()).collect();
        let is_constant = is_shape_of(node) || operands.iter().all(|operand| operand.roots.is_empty());
        let joined = (!is_constant && !refused.contains(&position)).then(|| joined(node, &operands, choice)).flatten();
        for output in &node.output {
            let fact = match &joined {
                Some(fact) => fact.clone(),
                None if is_constant => Fact { is_number: is_number(node, &operands), ..Fact::default() },
                None => Fact::itself(output),
            };
            facts.insert(output, fact);
        }
        if joined.is_some() {
            found.insert(position);
        }
    }
    found
}

/// What is known of the result where the client can compute a node.
fn joined<'m>(node: &NodeProto, operands: &[Fact<'m>], choice: TrailingFunctions) -> Option<Fact<'m>> {
    let trailing = trailing(node)?;
    let is_begun = operands.iter().any(|operand| operand.is_begun);
    let begins = match trailing.part {
        Part::Needed => true,
        Part::Begins => choice == TrailingFunctions::Client,
        Part::Follows => false,
    };
    let roots: BTreeSet<&str> = operands.iter().flat_map(|operand| operand.roots.iter().copied()).collect();
    let data = || operands.iter().filter(|operand| !operand.roots.is_empty());
    let is_one = roots.len() == 1 || trailing.joins;
    let is_bounded = data().all(|operand| operand.is_bounded);
    let constants_fit = match trailing.constants {
        Constants::Any => true,
        Constants::Scales => {
            is_bounded || operands.iter().all(|operand| !operand.roots.is_empty() || operand.is_number)
        }
    };
    let is_bounded = trailing.bounds || (trailing.keeps_bounds && is_bounded);
    let fact = Fact { roots, is_begun: true, is_bounded, is_number: false };
    ((begins || is_begun) && is_one && constants_fit).then_some(fact)
}

/// Whether the result is a constant although an operand is none.
fn is_shape_of(node: &NodeProto) -> bool {
    matches!(node.op_type.as_str(), "Shape" | "Size")
}

/// Whether a node of constants gives one number.
fn is_number(node: &NodeProto, operands: &[Fact<'_>]) -> bool {
    let given = |name: &str| node.attribute.iter().find(|attribute| attribute.name == name);
    match node.op_type.as_str() {
        "Constant" => {
            let tensor = given("value").and_then(|attribute| attribute.t.as_ref());
            given("value_float").or(given("value_int")).is_some()
                || tensor.is_some_and(|tensor| tensor.dims.iter().all(|&size| size == 1))
        }
        _ => !operands.is_empty() && !is_shape_of(node) && operands.iter().all(|operand| operand.is_number),
    }
}

/// Imports a node of the client's, if it is one: where none of its operands is the client's, it must begin a run.
pub(super) fn import(node: &NodeProto, site: &mut Site<'_>) -> Option<Outcome> {
    let Trailing { part, importer, .. } = trailing(node)?;
    let follows = site.operands.iter().flatten().any(|operand| matches!(operand, Value::Final(_)));
    (follows || part != Part::Follows).then(|| importer(site))
}

impl Site<'_> {
    /// A value as the client has it.
    pub(super) fn client_value(&mut self, value: &Value) -> Result<ClientValue, Refusal> {
        match value {
            Value::Tensor(id) => Ok(self.client.port(self.graph, *id)),
            Value::Final(result) => Ok(result.value),
            Value::Constant(constant) => {
                Ok(self.client.program.push(ClientOp::Constant(constant.tensor.clone()), vec![])?)
            }
            Value::Unknown => Err(Refusal::UnknownOperand),
        }
    }

    /// A value of the client as another type.
    pub(super) fn cast_at_client(&mut self, result: Final, kind: ElementKind) -> Outcome {
        let op = match (result.kind, kind) {
            _ if result.texts.is_some() => {
                return Err(Refusal::unsupported("it casts texts", "leave texts as they are"));
            }
            (ElementKind::Real, ElementKind::Integer) => ClientOp::Unary(Unary::Truncate),
            (ElementKind::Real | ElementKind::Integer, ElementKind::Boolean) => {
                let is_zero = self.client.program.push(ClientOp::Unary(Unary::Not), vec![result.value])?;
                let value = self.client.program.push(ClientOp::Unary(Unary::Not), vec![is_zero])?;
                return Ok(Value::Final(Final { value, kind, texts: None }));
            }
            _ => return Ok(Value::Final(Final { kind, ..result })),
        };
        let value = self.client.program.push(op, vec![result.value])?;
        Ok(Value::Final(Final { value, kind, texts: None }))
    }

    /// An operation of the client on values.
    pub(super) fn client_step(&mut self, op: ClientOp, operands: &[&Value], kind: ElementKind) -> Outcome {
        let operands = operands.iter().map(|value| self.client_value(value)).collect::<Result<Vec<_>, _>>()?;
        let value = self.client.program.push(op, operands)?;
        Ok(Value::Final(Final { value, kind, texts: None }))
    }
}
