//! Functions of the model's own: each call becomes the function's nodes.

use super::names::Names;
use super::nodes::identity;
use super::refusals::Refusals;
use super::scope::Scope;
use crate::error::ImportError;
use crate::model::{is_standard, standard_version};
use crate::onnx::{AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto};
use crate::site::Refusal;
use crate::walk::invalid;

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
        let nodes = body(call, function, &mut self.names);
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

/// The nodes of a function with the names and attributes of a call.
fn body(call: &NodeProto, function: &FunctionProto, names: &mut Names) -> Vec<NodeProto> {
    let mut scope = Scope::at(call, names);
    let actual = |list: &[String], index: usize| list.get(index).cloned().unwrap_or_default();
    for (index, formal) in function.input.iter().enumerate() {
        scope.bind(formal, &actual(&call.input, index));
    }
    let mut passed = vec![];
    for (index, formal) in function.output.iter().enumerate() {
        match actual(&call.output, index) {
            wanted if wanted.is_empty() => {}
            wanted if function.input.contains(formal) => passed.push(identity(scope.value(formal), wanted)),
            wanted => scope.bind(formal, &wanted),
        }
    }
    scope.claim_results(&function.node);
    function.node.iter().flat_map(|node| &node.input).for_each(|value| scope.claim(value));
    let referring = function.node.iter().map(|node| with_attributes(node, call, function));
    referring.map(|node| scope.node(&node)).chain(passed).collect()
}

/// A node of a function in which attributes that refer to the function's are the call's or their defaults; those that are
/// neither are left out.
fn with_attributes(node: &NodeProto, call: &NodeProto, function: &FunctionProto) -> NodeProto {
    let attribute = |attribute: &AttributeProto| {
        if attribute.ref_attr_name.is_empty() {
            let inner = |graph: &GraphProto| GraphProto {
                node: graph.node.iter().map(|node| with_attributes(node, call, function)).collect(),
                ..graph.clone()
            };
            return Some(AttributeProto { g: attribute.g.as_ref().map(inner), ..attribute.clone() });
        }
        let mut given = call.attribute.iter().chain(&function.attribute_proto);
        let given = given.find(|given| given.name == attribute.ref_attr_name)?;
        Some(AttributeProto { name: attribute.name.clone(), ..given.clone() })
    };
    NodeProto { attribute: node.attribute.iter().filter_map(attribute).collect(), ..node.clone() }
}
