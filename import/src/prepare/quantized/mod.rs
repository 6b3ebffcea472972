//! Networks that were quantized, as the networks of real numbers that they stand for.
//!
//! The name of a quantized tensor becomes that of the numbers that it stands for. QuantizeLinear gives its operand back, and
//! so does DequantizeLinear; operators on integers become those on numbers. Rounding is left out, and so are the ends of the
//! range, for calibration chose the range: but where it begins at zero it stands for a ReLU, which quantizers take out of
//! the model, and where it ends at 6 as well, for a ReLU6. Integers that are an output of the model are rounded by the client.

mod dynamic;
mod integers;
mod parameters;
mod signs;

use std::collections::{BTreeMap, BTreeSet};

use super::flow::{Flow, moved, moves};
use super::names::Names;
use super::nodes::{Replacement, integer};
use super::refusals::Refusals;
use crate::onnx::{GraphProto, NodeProto};
use crate::site::Refusal;
use crate::walk::name;
use integers::IntegerOperator;
use parameters::Parameters;
use signs::Signs;

pub(super) use dynamic::read_dynamic;

/// What would work for a tensor whose integers are computed with.
const HINT: &str = "export the model before quantization, with float weights";

/// The upper end of ReLU6, and how near an end of a range must lie to be meant.
const SIX: f64 = 6.0;
const SIX_TOLERANCE: f64 = 1e-4;

/// Puts operators on numbers in the place of quantizing ones.
pub(super) fn read_static(graph: &GraphProto, flow: &Flow<'_>, refusals: &mut Refusals) -> Option<Vec<NodeProto>> {
    let quantizes = |node: &NodeProto| node.op_type == "QuantizeLinear" || IntegerOperator::of(node).is_some();
    if !graph.node.iter().any(quantizes) {
        return None;
    }
    let (quantized, refused) = Quantized::of(graph, flow);
    for (&position, reason) in &refused {
        refusals.note(&graph.node[position], &Refusal::unsupported(reason.clone(), HINT));
    }
    let mut rewriting = Rewriting { flow, quantized, signs: Signs::default(), names: Names::of(graph), nodes: vec![] };
    graph.node.iter().for_each(|node| rewriting.node(node));
    Some(rewriting.nodes)
}

/// The quantized tensors that depend on the input, with the nodes that quantize them.
#[derive(Default)]
pub(super) struct Quantized<'g> {
    values: BTreeMap<&'g str, (Parameters, BTreeSet<usize>)>,
    /// Results of operators on quantized tensors that are no such themselves.
    numbers: BTreeSet<&'g str>,
    /// Nodes whose tensors are read otherwise, and how.
    refused: BTreeMap<usize, String>,
}

impl<'g> Quantized<'g> {
    /// The tensors of which only the numbers matter, and why those of other nodes are none.
    fn of(graph: &'g GraphProto, flow: &Flow<'_>) -> (Self, BTreeMap<usize, String>) {
        let mut refused = BTreeMap::new();
        loop {
            let mut quantized = Quantized::default();
            for (position, node) in graph.node.iter().enumerate() {
                quantized.follow(position, node, flow, &refused);
            }
            for output in &graph.output {
                quantized.refuse(&output.name, &format!("its integers are the output `{}` of the model", output.name));
            }
            if quantized.refused.is_empty() {
                return (quantized, refused);
            }
            refused.append(&mut quantized.refused);
        }
    }

    fn follow(&mut self, position: usize, node: &'g NodeProto, flow: &Flow<'_>, refused: &BTreeMap<usize, String>) {
        let may = !refused.contains_key(&position);
        match node.op_type.as_str() {
            "QuantizeLinear" => {
                let depends = node.input.first().is_some_and(|x| flow.depends(x));
                let may = may && depends && last(node, flow).is_none();
                if let (true, Some(parameters)) = (may, Parameters::of(flow, node)) {
                    self.add(node, parameters, BTreeSet::from([position]));
                }
            }
            "DequantizeLinear" => {
                let Some(x) = node.input.first() else { return };
                let agrees = |(own, _): &(Parameters, _)| Parameters::of(flow, node).is_some_and(|it| it.agree(own));
                if !self.values.get(x.as_str()).is_none_or(agrees) {
                    self.refuse(x, &format!("`{}` reads it with another scale or zero point", name(node)));
                }
            }
            _ => match IntegerOperator::of(node) {
                Some(operator) => self.follow_integers(position, node, (operator, may), flow),
                None if moves(node) => self.follow_moved(node),
                None => node.input.iter().for_each(|x| self.refuse_reader(x, node)),
            },
        }
    }

    fn follow_integers(
        &mut self,
        position: usize,
        node: &'g NodeProto,
        (operator, may): (&IntegerOperator, bool),
        flow: &Flow<'_>,
    ) {
        let operands = operator.operands(node);
        let fits = operands.iter().all(|operand| {
            let parameters = Parameters::named(flow, operand.parameters, -1, None);
            match (self.values.get(operand.tensor), parameters) {
                (Some((own, _)), Some(wanted)) => wanted.agree(own),
                (None, Some(_)) => !flow.depends(operand.tensor) || flow.whole(operand.tensor).is_some(),
                _ => false,
            }
        });
        let has_scale = !operator.has_bias(node) || operator.bias_scale(flow, node).is_some();
        let is_quantized = !operator.result(node)[0].is_empty();
        let result = operator.result_parameters(flow, node);
        let has_result = !is_quantized || result.is_some();
        match result {
            _ if !(may && fits && has_scale && has_result) => {
                operands.iter().for_each(|operand| self.refuse_reader(operand.tensor, node));
                let reason = "its operands are not quantized with the constant scales and zero points that it names";
                if may {
                    self.refused.insert(position, reason.into());
                }
            }
            Some(parameters) if is_quantized => self.add(node, parameters, BTreeSet::from([position])),
            _ => self.numbers.extend(node.output.first().map(String::as_str)),
        }
    }

    /// Elements that are moved stay what they are, where all elements share scale and zero point.
    fn follow_moved(&mut self, node: &'g NodeProto) {
        let operands = moved(node);
        let values: Vec<_> = operands.iter().filter_map(|x| self.values.get(x.as_str())).collect();
        let Some((first, _)) = values.first() else { return };
        let same = values.iter().all(|(own, _)| own.uniform().is_some() && own.agree(first));
        if same && values.len() == operands.len() {
            let roots = values.iter().flat_map(|(_, roots)| roots).copied().collect();
            self.add(node, first.clone(), roots);
        } else {
            operands.iter().for_each(|x| self.refuse_reader(x, node));
        }
    }

    fn add(&mut self, node: &'g NodeProto, parameters: Parameters, roots: BTreeSet<usize>) {
        for output in &node.output {
            self.values.insert(output, (parameters.clone(), roots.clone()));
        }
    }

    fn refuse_reader(&mut self, x: &str, reader: &NodeProto) {
        let reason = format!("`{}` ({}) computes with its integers", name(reader), reader.op_type);
        self.refuse(x, &reason);
    }

    fn refuse(&mut self, x: &str, reason: &str) {
        if let Some((_, roots)) = self.values.get(x) {
            for &root in roots {
                self.refused.entry(root).or_insert_with(|| reason.to_owned());
            }
        }
    }

    /// Whether a name is that of a quantized tensor.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }
}

struct Rewriting<'a> {
    flow: &'a Flow<'a>,
    quantized: Quantized<'a>,
    signs: Signs,
    names: Names,
    nodes: Vec<NodeProto>,
}

impl Rewriting<'_> {
    fn node(&mut self, node: &NodeProto) {
        let is_quantized = |name: Option<&String>| name.is_some_and(|name| self.quantized.contains(name));
        let (reads, gives) = (is_quantized(node.input.first()), is_quantized(node.output.first()));
        let is_read = gives || node.output.first().is_some_and(|name| self.quantized.numbers.contains(name.as_str()));
        let mut it = Replacement::of(node, &mut self.names);
        match (node.op_type.as_str(), IntegerOperator::of(node)) {
            ("DequantizeLinear", _) if reads => it.finish("Identity", &[it.input(0)], &[it.output(0)], vec![]),
            ("QuantizeLinear", _) if gives => quantize(&mut it, self.flow, &self.signs),
            ("QuantizeLinear", _) => match last(node, self.flow) {
                Some(parameters) => round(&mut it, &parameters),
                None => it.nodes.push(with_type(node, self.flow)),
            },
            (_, Some(operator)) if is_read => {
                operator.write(&mut it, self.flow, &self.quantized, &mut self.signs);
            }
            _ => it.nodes.push(node.clone()),
        }
        for node in it.nodes {
            self.signs.follow(&node, self.flow);
            self.nodes.push(node);
        }
    }
}

/// Scale and zero point of a QuantizeLinear of data that no node reads: its integers are an output of the model.
fn last(node: &NodeProto, flow: &Flow<'_>) -> Option<Parameters> {
    let depends = node.input.first().is_some_and(|x| flow.depends(x));
    let is_read = node.output.first().is_some_and(|output| !flow.readers(output).is_empty());
    Parameters::of(flow, node).filter(|parameters| depends && !is_read && parameters.uniform().is_some())
}

/// The integers themselves, by operators that the client computes after decryption.
fn round(it: &mut Replacement<'_>, parameters: &Parameters) {
    let (scale, zero) = parameters.uniform().unwrap_or((1.0, 0.0));
    let constants = [scale, zero, parameters.range.0, parameters.range.1].map(|value| it.number(value));
    let scaled = it.add("Div", &[it.input(0), &constants[0]], vec![]);
    let rounded = it.add("Round", &[&scaled], vec![]);
    let moved = it.add("Add", &[&rounded, &constants[1]], vec![]);
    let clipped = it.add("Clip", &[&moved, &constants[2], &constants[3]], vec![]);
    let to = integer("to", parameters.element_type as i64);
    it.finish("Cast", &[&clipped], &[it.output(0)], vec![to]);
}

/// The numbers that a QuantizeLinear gives.
fn quantize(it: &mut Replacement<'_>, flow: &Flow<'_>, signs: &Signs) {
    let x = it.input(0);
    match Parameters::of(flow, it.node) {
        Some(parameters) if parameters.start_at_zero() && !signs.holds(x, flow) => rectified(it, x, &parameters),
        _ => it.finish("Identity", &[x], &[it.output(0)], vec![]),
    }
}

/// The function that a range from zero stands for.
fn rectified(it: &mut Replacement<'_>, x: &str, parameters: &Parameters) {
    let ends_at_six = |largest: f64| (largest - SIX).abs() <= SIX_TOLERANCE * SIX;
    if parameters.largest().is_some_and(ends_at_six) {
        let (low, high) = (it.number(0.0), it.number(SIX));
        it.finish("Clip", &[x, &low, &high], &[it.output(0)], vec![]);
    } else {
        it.finish("Relu", &[x], &[it.output(0)], vec![]);
    }
}

/// A QuantizeLinear with the type of its result, which only its zero point says.
fn with_type(node: &NodeProto, flow: &Flow<'_>) -> NodeProto {
    let mut node = node.clone();
    let zero = node.input.get(2).and_then(|zero| flow.constant(zero));
    if let (Some(zero), false) = (zero, node.attribute.iter().any(|attribute| attribute.name == "output_dtype")) {
        node.attribute.push(integer("output_dtype", zero.data_type.into()));
    }
    node
}
