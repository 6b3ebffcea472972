//! Walks the ONNX graph in file order and builds the tensor graph.

use std::collections::{BTreeMap, BTreeSet};

use paf_ir::tensor::{BatchAxis, Graph};

use super::attributes::Attributes;
use super::constants::{self, ConstantValue};
use super::error::{ImportError, UnsupportedNode};
use super::evaluation::{self, Evaluate};
use super::model::Model;
use super::onnx::{GraphProto, NodeProto};
use super::operators::{self, Property};
use super::prepare::{self, Conditions};
use super::site::{Refusal, Site, Value};
use super::tail::{self, ClientBuilder};
use super::{ImportOptions, Imported, inputs};

/// The newest operator set whose changes have been read.
pub(super) const NEWEST_OPSET: i64 = 24;

/// Builds the tensor graph of a model.
///
/// Conditions of branches that turn out to be constant are added to those that are known: the model is to be imported
/// again with them.
pub(super) fn import_model(
    model: &Model,
    options: &ImportOptions,
    conditions: &mut Conditions,
) -> Result<Imported, ImportError> {
    let mut walk = Walk { evaluate: options.evaluate, ..Walk::new(model) };
    if model.graph.output.is_empty() {
        return Err(ImportError::NoOutput);
    }
    walk.bind_inputs(options)?;
    walk.read_weights()?;
    walk.warn_of_new_opset();
    let outcome = walk.nodes(options).and_then(|()| walk.outputs());
    conditions.append(&mut walk.conditions);
    match outcome {
        // A node after an unsupported one can seem invalid because a shape had to be guessed.
        Err(ImportError::Invalid { .. }) | Ok(()) if !walk.unsupported.is_empty() => {
            return Err(ImportError::Unsupported(walk.unsupported.into_values().collect()));
        }
        other => other?,
    }
    walk.graph.verify()?;
    Ok(Imported { graph: walk.graph, warnings: walk.warnings })
}

struct Walk<'m> {
    model: &'m Model,
    /// Names on which an output depends.
    needed: BTreeSet<&'m str>,
    values: BTreeMap<&'m str, Value>,
    graph: Graph,
    client: ClientBuilder,
    warnings: Vec<String>,
    /// By position of the node in the file.
    unsupported: BTreeMap<usize, UnsupportedNode>,
    /// Of branches, as far as they are constant.
    conditions: Conditions,
    evaluate: Option<Evaluate>,
    /// Elements of the file's weights.
    weight_elements: usize,
    /// Elements of constants that nodes have computed.
    computed_elements: usize,
}

impl<'m> Walk<'m> {
    fn new(model: &'m Model) -> Self {
        Walk {
            model,
            needed: needed_names(&model.graph),
            values: BTreeMap::new(),
            graph: Graph::default(),
            client: ClientBuilder::default(),
            warnings: model.notes.warnings.clone(),
            unsupported: BTreeMap::new(),
            conditions: Conditions::new(),
            evaluate: None,
            weight_elements: 0,
            computed_elements: 0,
        }
    }

    fn bind_inputs(&mut self, options: &ImportOptions) -> Result<(), ImportError> {
        let graph = &self.model.graph;
        for (name, tensor) in &options.constants {
            let input = graph.input.iter().find(|input| input.name == *name);
            let input = input.ok_or_else(|| ImportError::NoSuchInput { name: name.clone() })?;
            let element_type = inputs::element_type(input);
            let kind = element_type.map_or(constants::ElementKind::Real, constants::kind);
            let constant = ConstantValue::new(tensor.shape.clone(), tensor.data.clone(), kind);
            self.values.insert(&input.name, Value::Constant(constant));
        }
        let free: Vec<_> =
            inputs::data_inputs(graph).filter(|input| !options.constants.contains_key(&input.name)).collect();
        if free.is_empty() {
            return Err(ImportError::NoInput);
        }
        let (used, unused): (Vec<_>, Vec<_>) =
            free.into_iter().partition(|input| self.needed.contains(input.name.as_str()));
        self.warnings.extend(unused.iter().map(|input| format!("input `{}` is not used: left out", input.name)));
        for input in used {
            let declared = inputs::declared(input)?;
            let id = self.graph.input(&input.name, declared.shape, declared.batch);
            self.values.insert(&input.name, Value::Tensor(id));
        }
        Ok(())
    }

    fn read_weights(&mut self) -> Result<(), ImportError> {
        let graph = &self.model.graph;
        for weight in &graph.initializer {
            let name = weight.name.as_str();
            if self.needed.contains(name) && !self.values.contains_key(name) {
                let constant = constants::read_weight(weight, name, self.model.folder.as_ref())?;
                self.weight_elements += constant.tensor.data.len();
                self.values.insert(name, Value::Constant(constant));
            }
        }
        Ok(())
    }

    fn warn_of_new_opset(&mut self) {
        let opset = self.model.opset;
        if opset > NEWEST_OPSET {
            self.warnings.push(format!("operator set {opset} is newer than {NEWEST_OPSET}, the newest known one"));
        }
    }

    fn nodes(&mut self, options: &ImportOptions) -> Result<(), ImportError> {
        let is_free = |name: &&str| matches!(self.values.get(name), Some(Value::Tensor(_)));
        let inputs: Vec<&str> =
            self.model.graph.input.iter().map(|input| input.name.as_str()).filter(is_free).collect();
        let trailing = tail::positions(&self.model.graph, &inputs, options.trailing);
        for (position, node) in self.model.graph.node.iter().enumerate() {
            if self.is_needed(node) {
                let values = self.node(position, node, trailing.contains(&position))?;
                self.count_computed(node, &values)?;
                self.values.extend(node.output.iter().map(String::as_str).zip(values));
            }
        }
        Ok(())
    }

    /// Refuses a model whose constants grow far beyond its weights.
    fn count_computed(&mut self, node: &NodeProto, values: &[Value]) -> Result<(), ImportError> {
        let elements_of = |value: &Value| match value {
            Value::Constant(constant) => constant.tensor.data.len(),
            _ => 0,
        };
        let elements = values.iter().map(elements_of).sum::<usize>();
        match node.op_type.as_str() {
            "Constant" => self.weight_elements += elements,
            _ => self.computed_elements += elements,
        }
        let most = constants::COMPUTED_CONSTANTS + constants::COMPUTED_OF_WEIGHTS.saturating_mul(self.weight_elements);
        if self.computed_elements > most {
            return Err(invalid(node, format!("constants up to here have more than {most} elements")));
        }
        Ok(())
    }

    fn is_needed(&self, node: &NodeProto) -> bool {
        node.output.iter().any(|output| self.needed.contains(output.as_str()))
    }

    /// The values of a node's outputs; an unsupported node is noted and stood in for.
    fn node(&mut self, position: usize, node: &'m NodeProto, is_trailing: bool) -> Result<Vec<Value>, ImportError> {
        let operands = self.operands(node)?;
        let refusal = match self.try_node(node, operands.clone(), is_trailing) {
            Ok(values) => return Ok(values),
            Err(refusal) => refusal,
        };
        if let (Some(evaluate), Refusal::Unsupported { .. }) = (self.evaluate, &refusal)
            && let Some(values) = evaluation::evaluated(evaluate, node, &operands, self.model.opset)
        {
            return Ok(values);
        }
        match refusal {
            Refusal::Unsupported { reason, hint } => {
                let is_known = self.model.notes.refusals.of(node).is_some();
                let has_place = is_known || !operators::is_only_last(node);
                let reason = if has_place { reason } else { self.with_reader(node, reason) };
                self.note(position, reason, hint);
            }
            Refusal::UnknownOperand => {}
            Refusal::Weight(problem) => return Err(problem),
            Refusal::Invalid(problem) => return Err(invalid(node, problem)),
        }
        let mut values = vec![Value::Unknown; node.output.len().max(1)];
        values[0] = self.stand_in(node, operands);
        Ok(values)
    }

    fn operands(&self, node: &'m NodeProto) -> Result<Vec<Option<Value>>, ImportError> {
        let operand = |name: &String| {
            if name.is_empty() {
                return Ok(None);
            }
            let value = self.values.get(name.as_str()).cloned();
            let missing = || invalid(node, format!("nothing before it computes its operand `{name}`"));
            value.map(Some).ok_or_else(missing)
        };
        node.input.iter().map(operand).collect()
    }

    fn try_node(
        &mut self,
        node: &'m NodeProto,
        operands: Vec<Option<Value>>,
        is_trailing: bool,
    ) -> Result<Vec<Value>, Refusal> {
        let refusals = &self.model.notes.refusals;
        if let Some(refusal) = if is_trailing { refusals.of_trailing(node) } else { refusals.of(node) } {
            return Err(refusal);
        }
        if let Some(holds) = prepare::known_condition(node, &operands) {
            self.conditions.extend(node.output.first().map(|output| (output.clone(), holds)));
            return Err(Refusal::UnknownOperand);
        }
        let mut site = Site {
            graph: &mut self.graph,
            client: &mut self.client,
            name: name(node),
            operator: &node.op_type,
            attributes: Attributes(&node.attribute),
            operands,
            outputs: node.output.len(),
            more_outputs: vec![],
            opset: self.model.opset,
            folder: self.model.folder.as_ref(),
            warnings: &mut self.warnings,
        };
        let by_client = if is_trailing { tail::import(node, &mut site) } else { None };
        let first = by_client.unwrap_or_else(|| operators::import(node, &mut site))?;
        let values = [vec![first], site.more_outputs].concat();
        let mut missing = node.output.iter().skip(values.len());
        if let Some(output) = missing.find(|output| self.needed.contains(output.as_str())) {
            let reason = format!("its output `{output}` is used");
            return Err(Refusal::unsupported(reason, "only its first output can be used"));
        }
        Ok(values)
    }

    /// Why a node that could only be the last one cannot stand where it does.
    fn with_reader(&self, node: &NodeProto, reason: String) -> String {
        let mut nodes = self.model.graph.node.iter();
        let reader = nodes.find(|reader| self.is_needed(reader) && reader.input.contains(&node.output[0]));
        reader.map_or(reason, |reader| {
            format!("it stands in the middle of the network: `{}` reads its result", name(reader))
        })
    }

    fn note(&mut self, position: usize, reason: String, hint: String) {
        let Some(node) = self.model.graph.node.get(position) else { return };
        self.unsupported.entry(position).or_insert_with(|| UnsupportedNode {
            name: name(node).to_owned(),
            operator: node.op_type.clone(),
            reason,
            hint,
        });
    }

    /// Some tensor of the shape of an unsupported node's result, so that the nodes after it can be checked.
    fn stand_in(&mut self, node: &NodeProto, operands: Vec<Option<Value>>) -> Value {
        let keeps_shape = operators::has(&node.op_type, Property::KeepsShape);
        if let (true, Some(Some(Value::Tensor(id)))) = (keeps_shape, operands.first()) {
            return Value::Tensor(*id);
        }
        let graph = &self.model.graph;
        let mut known = graph.value_info.iter().chain(&graph.output);
        let information = known.find(|value| node.output.first() == Some(&value.name));
        match information.map(inputs::declared) {
            Some(Ok(declared)) => Value::Tensor(self.graph.input(name(node), declared.shape, BatchAxis::Absent)),
            _ => Value::Unknown,
        }
    }

    fn outputs(&mut self) -> Result<(), ImportError> {
        let mut outputs = vec![];
        for output in &self.model.graph.output {
            let name = output.name.clone();
            match self.values.get(output.name.as_str()) {
                Some(Value::Constant(_)) => return Err(ImportError::ConstantOutput { name }),
                Some(Value::Unknown) => {}
                Some(value) => outputs.push((name, value.clone())),
                None => return Err(ImportError::UndefinedOutput { name }),
            }
        }
        std::mem::take(&mut self.client).finish(&mut self.graph, outputs);
        Ok(())
    }
}

/// The names on which the outputs depend.
pub(super) fn needed_names(graph: &GraphProto) -> BTreeSet<&str> {
    let makers = graph.node.iter().flat_map(|node| node.output.iter().map(move |output| (output.as_str(), node)));
    let makers: BTreeMap<&str, &NodeProto> = makers.collect();
    let mut needed = BTreeSet::new();
    let mut pending: Vec<&str> = graph.output.iter().map(|output| output.name.as_str()).collect();
    while let Some(name) = pending.pop() {
        if name.is_empty() || !needed.insert(name) {
            continue;
        }
        if let Some(maker) = makers.get(name) {
            pending.extend(maker.input.iter().map(String::as_str));
        }
    }
    needed
}

/// A node's name, or its first output's.
pub(super) fn name(node: &NodeProto) -> &str {
    match node.output.first() {
        Some(output) if node.name.is_empty() => output,
        _ => &node.name,
    }
}

/// A node that breaks ONNX's rules.
pub(super) fn invalid(node: &NodeProto, problem: String) -> ImportError {
    ImportError::Invalid { node: name(node).to_owned(), operator: node.op_type.clone(), problem }
}
