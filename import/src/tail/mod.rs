//! Which nodes at the end of a network the client computes, after decryption.
//!
//! A node is the client's if nobody but the client's nodes and the outputs read it, and if it is one of the operators in
//! `operators.rs`. Such a run begins at an operator that no circuit computes, or at a smooth one-to-one function, which a
//! polynomial would only approximate at some levels; what follows goes along. Constants go to the client only where they are
//! single numbers, tables of labels, thresholds, or scales of results that are bounded anyway: never the weights of a layer.
//! Values of which several are combined must come from one tensor, so that nothing is decrypted that the outputs hide. Where a
//! run meets what a circuit would compute from the tensor that the run begins at, the client computes that as well: votes of
//! pairs of classes and sums of the same scores, say.

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
    let (mut refused, mut wanted) = (BTreeSet::new(), BTreeSet::new());
    loop {
        let mut search = Search::new(graph, choice, &refused, &wanted);
        let (candidates, more) = search.candidates(inputs);
        if !more.is_subset(&wanted) {
            wanted.extend(more);
            continue;
        }
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

/// A search for the nodes that the client can compute, whoever reads them.
struct Search<'m, 'a> {
    graph: &'m GraphProto,
    choice: TrailingFunctions,
    /// Nodes that others read.
    refused: &'a BTreeSet<usize>,
    /// Nodes that the client computes although no run begins before them.
    wanted: &'a BTreeSet<usize>,
    facts: BTreeMap<&'m str, Fact<'m>>,
    /// Positions of nodes by the names of their results.
    makers: BTreeMap<&'m str, usize>,
}

impl<'m, 'a> Search<'m, 'a> {
    fn new(
        graph: &'m GraphProto,
        choice: TrailingFunctions,
        refused: &'a BTreeSet<usize>,
        wanted: &'a BTreeSet<usize>,
    ) -> Self {
        let outputs = |(position, node): (usize, &'m NodeProto)| {
            node.output.iter().map(move |output| (output.as_str(), position))
        };
        let makers = graph.node.iter().enumerate().flat_map(outputs).collect();
        Search { graph, choice, refused, wanted, facts: BTreeMap::new(), makers }
    }

    /// The nodes that were found, and those that would have to be wanted for more.
    fn candidates(&mut self, inputs: &[&'m str]) -> (BTreeSet<usize>, BTreeSet<usize>) {
        for weight in &self.graph.initializer {
            let is_number = weight.dims.iter().all(|&size| size == 1);
            self.facts.insert(&weight.name, Fact { is_number, ..Fact::default() });
        }
        inputs.iter().for_each(|&name| drop(self.facts.insert(name, Fact::itself(name))));
        let (mut found, mut more) = (BTreeSet::new(), BTreeSet::new());
        for (position, node) in self.graph.node.iter().enumerate() {
            let operands = self.operands(node);
            let is_constant = is_shape_of(node) || operands.iter().all(|operand| operand.roots.is_empty());
            let may_join = !is_constant && !self.refused.contains(&position);
            let joined = may_join.then(|| self.joined(position, node, &operands)).flatten();
            if may_join && joined.is_none() {
                more.extend(self.missing(node, &operands));
            }
            for output in &node.output {
                let fact = match &joined {
                    Some(fact) => fact.clone(),
                    None if is_constant => Fact { is_number: is_number(node, &operands), ..Fact::default() },
                    None => Fact::itself(output),
                };
                self.facts.insert(output, fact);
            }
            if joined.is_some() {
                found.insert(position);
            }
        }
        (found, more)
    }

    fn operands(&self, node: &NodeProto) -> Vec<Fact<'m>> {
        node.input.iter().map(|name| self.facts.get(name.as_str()).cloned().unwrap_or_default()).collect()
    }

    /// What is known of the result where the client can compute a node.
    fn joined(&self, position: usize, node: &NodeProto, operands: &[Fact<'m>]) -> Option<Fact<'m>> {
        let trailing = trailing(node)?;
        let is_begun = operands.iter().any(|operand| operand.is_begun);
        let begins = match trailing.part {
            Part::Needed => true,
            Part::Begins => self.choice == TrailingFunctions::Client || self.wanted.contains(&position),
            Part::Follows => self.wanted.contains(&position),
        };
        let roots: BTreeSet<&str> = operands.iter().flat_map(|operand| operand.roots.iter().copied()).collect();
        let is_one = roots.len() == 1 || trailing.joins;
        let is_bounded = are_bounded(operands);
        ((begins || is_begun) && is_one && constants_fit(trailing, operands)).then_some(Fact {
            roots,
            is_begun: true,
            is_bounded: trailing.bounds || (trailing.keeps_bounds && is_bounded),
            is_number: false,
        })
    }

    /// The nodes that keep others from joining the client's: a node that combines what the client computes from a tensor with
    /// what a circuit computes from the same one.
    fn missing(&self, node: &'m NodeProto, operands: &[Fact<'m>]) -> BTreeSet<usize> {
        if trailing(node).is_none_or(|trailing| !constants_fit(trailing, operands)) {
            return BTreeSet::new();
        }
        let begun = operands.iter().find(|operand| operand.is_begun && operand.roots.len() == 1);
        let root = begun.and_then(|operand| operand.roots.first().copied());
        root.and_then(|root| self.between(root, node)).unwrap_or_default()
    }

    /// The nodes between a tensor and the operands of a node, if the client can compute all of them from that tensor alone.
    fn between(&self, root: &str, node: &'m NodeProto) -> Option<BTreeSet<usize>> {
        let mut pending: Vec<&str> = node.input.iter().map(String::as_str).collect();
        let mut nodes = BTreeSet::new();
        while let Some(name) = pending.pop() {
            let fact = self.facts.get(name).cloned().unwrap_or_default();
            let is_at_hand = fact.is_begun && fact.roots.iter().all(|&other| other == root);
            if name == root || fact.roots.is_empty() || is_at_hand {
                continue;
            }
            let position = *self.makers.get(name)?;
            if nodes.insert(position) {
                let maker = &self.graph.node[position];
                let fits = constants_fit(trailing(maker)?, &self.operands(maker));
                if !fits || self.refused.contains(&position) {
                    return None;
                }
                pending.extend(maker.input.iter().map(String::as_str));
            }
        }
        Some(nodes)
    }
}

/// Whether all operands but constants have bounds.
fn are_bounded(operands: &[Fact<'_>]) -> bool {
    operands.iter().filter(|operand| !operand.roots.is_empty()).all(|operand| operand.is_bounded)
}

/// Whether a node brings no constants to the client but such as it may.
fn constants_fit(trailing: Trailing, operands: &[Fact<'_>]) -> bool {
    match trailing.constants {
        Constants::Any => true,
        Constants::Scales => {
            are_bounded(operands) || operands.iter().all(|operand| !operand.roots.is_empty() || operand.is_number)
        }
    }
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

/// Whether the client can compute a node.
pub(super) fn computes(node: &NodeProto) -> bool {
    trailing(node).is_some()
}

/// Imports a node of the client's, if it is one.
pub(super) fn import(node: &NodeProto, site: &mut Site<'_>) -> Option<Outcome> {
    let Trailing { part, importer, .. } = trailing(node)?;
    let follows = site.operands.iter().flatten().any(|operand| matches!(operand, Value::Final(_)));
    if !follows && part == Part::Follows {
        site.decrypt_operands();
    }
    Some(importer(site))
}

impl Site<'_> {
    /// Makes the operands that a circuit computes the client's.
    fn decrypt_operands(&mut self) {
        for operand in self.operands.iter_mut().flatten() {
            if let Value::Tensor(id) = operand {
                let value = self.client.port(self.graph, *id);
                *operand = Value::Final(Final { value, kind: ElementKind::Real, texts: None });
            }
        }
    }

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
