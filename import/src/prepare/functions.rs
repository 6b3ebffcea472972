//! Functions of the model's own: each call becomes the function's nodes.

use std::collections::BTreeMap;

use super::names::Names;
use super::refusals::Refusals;
use crate::error::ImportError;
use crate::model::{is_standard, standard_version};
use crate::onnx::{AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto};
use crate::site::Refusal;
use crate::walk::{invalid, name};

/// No model becomes longer by its functions: some call each other twice a step.
const MOST_NODES: usize = 1 << 20;

/// Operators that mean something else from an operator set on, for all who read them here.
const CHANGED: &[(&str, i64)] = &[
    ("Add", 7),
    ("DFT", 20),
    ("Div", 7),
    ("GroupNormalization", 21),
    ("LogSoftmax", 13),
    ("Mul", 7),
    ("PRelu", 7),
    ("Resize", 11),
    ("Softmax", 13),
    ("Sub", 7),
];

/// Puts the nodes of functions in the place of their calls.
pub(super) fn inline(model: &mut ModelProto, opset: i64, refusals: &mut Refusals) -> Result<(), ImportError> {
    if model.functions.is_empty() {
        return Ok(());
    }
    let functions = std::mem::take(&mut model.functions);
    if standard_version(&model.opset_import).is_none() {
        model.opset_import.push(OperatorSetIdProto { domain: String::new(), version: opset });
    }
    let Some(graph) = &mut model.graph else { return Ok(()) };
    let names = Names::of(graph);
    let mut inliner = Inliner { functions: &functions, opset, names, refusals, count: 0, callers: vec![] };
    graph.node = inliner.nodes(std::mem::take(&mut graph.node))?;
    Ok(())
}

struct Inliner<'a> {
    functions: &'a [FunctionProto],
    /// The standard operator set of the model.
    opset: i64,
    names: Names,
    refusals: &'a mut Refusals,
    /// Nodes that came from functions.
    count: usize,
    /// The functions whose bodies are being written, from the outermost.
    callers: Vec<*const FunctionProto>,
}

impl<'a> Inliner<'a> {
    fn nodes(&mut self, nodes: Vec<NodeProto>) -> Result<Vec<NodeProto>, ImportError> {
        let mut result = Vec::with_capacity(nodes.len());
        for mut node in nodes {
            for inner in node.attribute.iter_mut().filter_map(|attribute| attribute.g.as_mut()) {
                inner.node = self.nodes(std::mem::take(&mut inner.node))?;
            }
            match self.function(&node) {
                Some(function) => result.extend(self.call(&node, function)?),
                None => result.push(node),
            }
        }
        Ok(result)
    }

    /// The function that a node calls.
    fn function(&self, node: &NodeProto) -> Option<&'a FunctionProto> {
        let same_domain = |a: &str, b: &str| a == b || is_standard(a) && is_standard(b);
        self.functions.iter().find(|function| {
            function.name.as_deref() == Some(&node.op_type)
                && same_domain(function.domain.as_deref().unwrap_or(""), &node.domain)
                && function.overload == node.overload
        })
    }

    /// The nodes of a call, those of calls in it included.
    fn call(&mut self, call: &NodeProto, function: &'a FunctionProto) -> Result<Vec<NodeProto>, ImportError> {
        if self.callers.iter().any(|&caller| std::ptr::eq(caller, function)) {
            return Err(invalid(call, format!("the function `{}` calls itself", call.op_type)));
        }
        self.count += function.node.len();
        if self.count > MOST_NODES {
            return Err(invalid(call, format!("the functions of the model have more than {MOST_NODES} nodes in all")));
        }
        let mut body = Body::of(call, function, &mut self.names);
        let mut nodes: Vec<NodeProto> = function.node.iter().map(|node| body.node(node)).collect();
        nodes.extend(body.passed_through(function));
        self.refuse_changed(function, &nodes);
        self.callers.push(function);
        let nodes = self.nodes(nodes);
        self.callers.pop();
        nodes
    }

    /// Notes nodes that mean something else in the model's operator set than in the function's.
    fn refuse_changed(&mut self, function: &FunctionProto, nodes: &[NodeProto]) {
        let own = standard_version(&function.opset_import).unwrap_or(self.opset);
        for node in nodes.iter().filter(|node| is_standard(&node.domain)) {
            let side = |version: i64| CHANGED.iter().any(|&(op, since)| op == node.op_type && version >= since);
            if side(own) != side(self.opset) {
                let reason = format!(
                    "a function uses it as of operator set {own} and the model has {}, where it means something else",
                    self.opset
                );
                self.refusals.note(node, &Refusal::unsupported(reason, "export both with one operator set"));
            }
        }
    }
}

/// The body of a function at the place of a call.
struct Body<'a> {
    call: &'a NodeProto,
    defaults: &'a [AttributeProto],
    names: &'a mut Names,
    /// What values of the function are called in the graph.
    renamed: BTreeMap<String, String>,
}

impl<'a> Body<'a> {
    fn of(call: &'a NodeProto, function: &'a FunctionProto, names: &'a mut Names) -> Self {
        let actual = |list: &[String], index: usize| list.get(index).cloned().unwrap_or_default();
        let operands = function.input.iter().enumerate();
        let mut renamed: BTreeMap<String, String> =
            operands.map(|(index, formal)| (formal.clone(), actual(&call.input, index))).collect();
        for (index, formal) in function.output.iter().enumerate() {
            let wanted = actual(&call.output, index);
            if !wanted.is_empty() && !function.input.contains(formal) {
                renamed.insert(formal.clone(), wanted);
            }
        }
        Body { call, defaults: &function.attribute_proto, names, renamed }
    }

    fn node(&mut self, node: &NodeProto) -> NodeProto {
        let own = self.names.fresh(&format!("{}/{}", name(self.call), name(node)));
        NodeProto {
            input: node.input.iter().map(|value| self.value(value)).collect(),
            output: node.output.iter().map(|value| self.value(value)).collect(),
            name: own,
            attribute: node.attribute.iter().filter_map(|attribute| self.attribute(attribute)).collect(),
            ..node.clone()
        }
    }

    /// The name in the graph of a value of the function.
    fn value(&mut self, value: &str) -> String {
        if value.is_empty() {
            return String::new();
        }
        if let Some(known) = self.renamed.get(value) {
            return known.clone();
        }
        let fresh = self.names.fresh(&format!("{}/{value}", name(self.call)));
        self.renamed.insert(value.to_owned(), fresh.clone());
        fresh
    }

    /// An attribute with the call's value, or the function's default, where it refers to one; `None` where there is neither.
    fn attribute(&mut self, attribute: &AttributeProto) -> Option<AttributeProto> {
        if attribute.ref_attr_name.is_empty() {
            let g = attribute.g.as_ref().map(|graph| self.graph(graph));
            return Some(AttributeProto { g, ..attribute.clone() });
        }
        let mut given = self.call.attribute.iter().chain(self.defaults);
        let given = given.find(|given| given.name == attribute.ref_attr_name)?;
        Some(AttributeProto { name: attribute.name.clone(), ..given.clone() })
    }

    /// The graph of a branch or loop in the function.
    fn graph(&mut self, graph: &GraphProto) -> GraphProto {
        let mut renamed = graph.clone();
        renamed.node = graph.node.iter().map(|node| self.node(node)).collect();
        renamed.initializer.iter_mut().for_each(|weight| weight.name = self.value(&weight.name));
        renamed.input.iter_mut().chain(&mut renamed.output).for_each(|value| value.name = self.value(&value.name));
        renamed
    }

    /// Outputs of a function that are its inputs.
    fn passed_through(&self, function: &FunctionProto) -> Vec<NodeProto> {
        let pairs = function.output.iter().zip(&self.call.output);
        let passed = pairs.filter(|(formal, actual)| function.input.contains(formal) && !actual.is_empty());
        let identity = |(formal, actual): (&String, &String)| NodeProto {
            input: vec![self.renamed[formal].clone()],
            output: vec![actual.clone()],
            op_type: "Identity".into(),
            ..NodeProto::default()
        };
        passed.map(identity).collect()
    }
}
