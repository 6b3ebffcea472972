//! Nodes of one graph that move into another, under names of their own.

use std::collections::BTreeMap;

use super::names::Names;
use crate::onnx::{AttributeProto, GraphProto, NodeProto};
use crate::walk::name;

/// What the values of an inner graph are called in the outer one.
pub(super) struct Scope<'a> {
    /// The node in whose place the inner graph is written.
    place: &'a NodeProto,
    names: &'a mut Names,
    renamed: BTreeMap<String, String>,
}

impl<'a> Scope<'a> {
    /// At the place of a node.
    pub(super) fn at(place: &'a NodeProto, names: &'a mut Names) -> Self {
        Scope { place, names, renamed: BTreeMap::new() }
    }

    /// Calls an inner value by an outer name.
    pub(super) fn bind(&mut self, inner: &str, outer: &str) {
        self.renamed.insert(inner.to_owned(), outer.to_owned());
    }

    /// Gives an inner value a name of its own if it has none yet.
    pub(super) fn claim(&mut self, inner: &str) {
        if !inner.is_empty() && !self.renamed.contains_key(inner) {
            let own = self.names.fresh(&format!("{}/{inner}", name(self.place)));
            self.renamed.insert(inner.to_owned(), own);
        }
    }

    /// Claims everything that a graph computes or holds, and its inputs.
    pub(super) fn claim_all(&mut self, graph: &GraphProto) {
        graph.initializer.iter().for_each(|weight| self.claim(&weight.name));
        graph.input.iter().for_each(|input| self.claim(&input.name));
        self.claim_results(&graph.node);
    }

    /// Claims the results of nodes, and everything in their graphs.
    pub(super) fn claim_results(&mut self, nodes: &[NodeProto]) {
        for node in nodes {
            node.output.iter().for_each(|output| self.claim(output));
            node.attribute.iter().filter_map(|attribute| attribute.g.as_ref()).for_each(|graph| self.claim_all(graph));
        }
    }

    /// What an inner value is called in the outer graph; values that are not known are outer ones.
    pub(super) fn value(&self, inner: &str) -> String {
        self.renamed.get(inner).map_or(inner, String::as_str).to_owned()
    }

    /// A node with outer names.
    pub(super) fn node(&mut self, node: &NodeProto) -> NodeProto {
        NodeProto {
            input: node.input.iter().map(|value| self.value(value)).collect(),
            output: node.output.iter().map(|value| self.value(value)).collect(),
            name: self.node_name(&node.name),
            attribute: node.attribute.iter().map(|attribute| self.attribute(attribute)).collect(),
            ..node.clone()
        }
    }

    /// The outer name of a node, if it has a name.
    fn node_name(&mut self, inner: &str) -> String {
        match inner {
            "" => String::new(),
            _ => self.names.fresh_node(&format!("{}/{inner}", name(self.place))),
        }
    }

    fn attribute(&mut self, attribute: &AttributeProto) -> AttributeProto {
        AttributeProto { g: attribute.g.as_ref().map(|graph| self.graph(graph)), ..attribute.clone() }
    }

    fn graph(&mut self, graph: &GraphProto) -> GraphProto {
        let mut renamed = graph.clone();
        renamed.node = graph.node.iter().map(|node| self.node(node)).collect();
        renamed.initializer.iter_mut().for_each(|weight| weight.name = self.value(&weight.name));
        renamed.input.iter_mut().chain(&mut renamed.output).for_each(|value| value.name = self.value(&value.name));
        renamed
    }
}
