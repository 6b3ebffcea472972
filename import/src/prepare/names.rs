//! Names that no value and no node of a graph has yet.

use std::collections::BTreeSet;

use crate::onnx::GraphProto;

/// The names that are taken, of values and of nodes.
#[derive(Debug, Default)]
pub(super) struct Names {
    values: BTreeSet<String>,
    nodes: BTreeSet<String>,
}

impl Names {
    /// Those of a graph and of the graphs in its nodes.
    pub(super) fn of(graph: &GraphProto) -> Self {
        let mut names = Names::default();
        names.take(graph);
        names
    }

    fn take(&mut self, graph: &GraphProto) {
        let values = graph.input.iter().chain(&graph.output).map(|value| &value.name);
        self.values.extend(values.chain(graph.initializer.iter().map(|weight| &weight.name)).cloned());
        for node in &graph.node {
            self.values.extend(node.input.iter().chain(&node.output).cloned());
            self.nodes.insert(node.name.clone());
            node.attribute.iter().filter_map(|attribute| attribute.g.as_ref()).for_each(|inner| self.take(inner));
        }
    }

    /// A name like the wanted one for a value, and for the node that computes it.
    pub(super) fn fresh(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        while self.nodes.contains(&name) || !self.values.insert(name.clone()) {
            name.push('_');
        }
        name
    }

    /// A name like the wanted one for a node.
    pub(super) fn fresh_node(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        while !self.nodes.insert(name.clone()) {
            name.push('_');
        }
        name
    }
}
