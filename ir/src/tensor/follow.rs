//! A graph followed node by node: what was computed, and what is still read.
//!
//! Whoever computes something for each node from what it computed for the operands (values, images in another graph,
//! tensors on a tape) keeps it in a [`Live`], which drops each value after its last reader.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Graph, Node, NodeId};

/// A graph between two of its nodes, with the values that a later node or the user still reads. A clone goes on from the
/// same place another way.
#[derive(Debug, Clone)]
pub struct Live<'g, T> {
    graph: &'g Graph,
    /// The last reader of each node that is followed; one past the last node for what the user reads.
    last_uses: Arc<[usize]>,
    /// By reader, the values that it reads beside its operands.
    others: Arc<BTreeMap<NodeId, Vec<NodeId>>>,
    values: Vec<Option<T>>,
}

/// The last reader of each of the first nodes; its own number for one that none of them reads.
fn last_uses(graph: &Graph, count: usize) -> Vec<usize> {
    let mut last: Vec<usize> = (0..count).collect();
    for (id, node) in graph.nodes().take(count) {
        node.inputs.iter().for_each(|input| last[input.index()] = id.index());
    }
    last
}

impl<'g, T> Live<'g, T> {
    /// Before the first node of a graph; the values of its outputs stay.
    pub fn new(graph: &'g Graph) -> Self {
        let mut last = last_uses(graph, graph.len());
        graph.outputs.iter().for_each(|output| last[output.node.index()] = graph.len());
        Live { graph, values: Vec::with_capacity(last.len()), last_uses: last.into(), others: Arc::default() }
    }

    /// Before the first node of a graph that is followed up to one of its nodes only, whose value stays.
    pub fn up_to(graph: &'g Graph, result: NodeId) -> Self {
        let mut last = last_uses(graph, result.index() + 1);
        last[result.index()] = last.len();
        Live { graph, values: Vec::with_capacity(last.len()), last_uses: last.into(), others: Arc::default() }
    }

    /// The same where some nodes read values that are not their operands: pairs of a value and such a reader.
    pub fn reading(mut self, others: impl IntoIterator<Item = (NodeId, NodeId)>) -> Self {
        let mut last = self.last_uses.to_vec();
        let mut by_reader = BTreeMap::clone(&self.others);
        for (value, reader) in others {
            last[value.index()] = last[value.index()].max(reader.index());
            by_reader.entry(reader).or_default().push(value);
        }
        (self.last_uses, self.others) = (last.into(), by_reader.into());
        self
    }

    /// The node whose value comes next; `None` after the last one.
    pub fn next(&self) -> Option<(NodeId, &'g Node)> {
        let id = NodeId(self.values.len() as u32);
        (id.index() < self.last_uses.len()).then(|| (id, self.graph.node(id)))
    }

    /// The value of a node, if it was computed and is still read.
    pub fn get(&self, id: NodeId) -> Option<&T> {
        self.values.get(id.index())?.as_ref()
    }

    /// What the next node reads as its operand of this number.
    pub fn operand(&self, index: usize) -> &T {
        let (_, node) = self.next().expect("there is a next node");
        self.get(node.inputs[index]).expect("operands live until their last reader")
    }

    /// All operands of the next node.
    pub fn operands(&self) -> Vec<&T> {
        let count = self.next().map_or(0, |(_, node)| node.inputs.len());
        (0..count).map(|index| self.operand(index)).collect()
    }

    /// An operand of the next node by itself: moved out where nothing else reads it, a copy otherwise. It must not be asked
    /// for twice.
    pub fn take_operand(&mut self, index: usize) -> T
    where
        T: Clone,
    {
        let (id, node) = self.next().expect("there is a next node");
        let operand = node.inputs[index];
        let readings = node.inputs.iter().filter(|&&input| input == operand).count();
        if readings == 1 && self.last_uses[operand.index()] == id.index() {
            return self.values[operand.index()].take().expect("operands live until their last reader");
        }
        self.operand(index).clone()
    }

    /// Takes the value of the next node, and drops what only that one read.
    pub fn push(&mut self, value: T) {
        let (id, node) = self.next().expect("there is a next node");
        self.values.push(Some(value));
        let others = self.others.get(&id).into_iter().flatten();
        for &used in node.inputs.iter().chain(others).chain([&id]) {
            if self.last_uses[used.index()] == id.index() {
                self.values[used.index()] = None;
            }
        }
    }

    /// Goes on to the end; `value` computes that of each next node.
    ///
    /// # Errors
    /// That of `value`.
    pub fn follow<E>(mut self, mut value: impl FnMut(&mut Self, NodeId, &'g Node) -> Result<T, E>) -> Result<Self, E> {
        while let Some((id, node)) = self.next() {
            let value = value(&mut self, id, node)?;
            self.push(value);
        }
        Ok(self)
    }

    /// The values of the graph's outputs, after the last node.
    pub fn outputs(&self) -> impl Iterator<Item = &T> {
        self.graph.outputs.iter().map(|output| self.get(output.node).expect("outputs stay to the end"))
    }

    /// The values that are still read, with their nodes.
    pub fn alive(&self) -> impl Iterator<Item = (NodeId, &T)> {
        let values = self.values.iter().enumerate();
        values.filter_map(|(index, value)| Some((NodeId(index as u32), value.as_ref()?)))
    }
}
