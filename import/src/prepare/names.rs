//! Names that no value and no node of a graph has yet.

use std::collections::BTreeSet;

use crate::onnx::GraphProto;

/// The names that are taken.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeSet<String>);

impl Names {
    /// Those of a graph and of the graphs in its nodes.
    pub(super) fn of(graph: &GraphProto) -> Self {
        let mut names = Names::default();
        names.take(graph);
        names
    }

    fn take(&mut self, graph: &GraphProto) {
        let values = graph.input.iter().chain(&graph.output).map(|value| &value.name);
        self.0.extend(values.chain(graph.initializer.iter().map(|weight| &weight.name)).cloned());
        for node in &graph.node {
            self.0.extend(node.input.iter().chain(&node.output).chain([&node.name]).cloned());
            node.attribute.iter().filter_map(|attribute| attribute.g.as_ref()).for_each(|inner| self.take(inner));
        }
    }

    /// A name like the wanted one, which is taken from then on.
    pub(super) fn fresh(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        while !self.0.insert(name.clone()) {
            name.push('_');
        }
        name
    }
}
