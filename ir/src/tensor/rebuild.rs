//! What every pass over graphs does: a graph made again node by node.

use super::{Graph, Node, NodeId, Op, Output};
use crate::error::IrError;

impl Graph {
    /// Makes the graph again; `rewrite` adds what becomes of each node, whose operands became these, and gives its result.
    ///
    /// # Errors
    /// That of `rewrite`.
    pub fn rebuilt<E>(
        &self,
        mut rewrite: impl FnMut(&mut Graph, NodeId, &Node, &[NodeId]) -> Result<NodeId, E>,
    ) -> Result<Graph, E> {
        let mut result = Graph::default();
        let mut images: Vec<NodeId> = Vec::with_capacity(self.len());
        for (id, node) in self.nodes() {
            let inputs: Vec<NodeId> = node.inputs.iter().map(|input| images[input.index()]).collect();
            let image = rewrite(&mut result, id, node, &inputs)?;
            images.push(image);
        }
        let image = |output: &Output| Output { node: images[output.node.index()], ..output.clone() };
        result.outputs = self.outputs.iter().map(image).collect();
        result.client.clone_from(&self.client);
        Ok(result)
    }

    /// Adds a node of another graph as it is, with these operands.
    ///
    /// # Errors
    /// [`IrError::Type`] if the operands have other shapes than those of the node.
    pub fn copy(&mut self, from: &Graph, id: NodeId, inputs: &[NodeId]) -> Result<NodeId, IrError> {
        let node = from.node(id);
        let name = node.name.clone();
        match &node.op {
            Op::Input => Ok(self.input(name, node.shape.clone(), from.batch_axis(id))),
            Op::Linear(map) => self.linear(name, (**map).clone(), inputs[0], node.shape.clone()),
            Op::Reshape => self.reshape(name, inputs[0], node.shape.clone()),
            op => self.add(name, op.clone(), inputs),
        }
    }
}
