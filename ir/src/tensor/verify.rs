//! The tensor verifier. It checks that
//!
//! * operands come before their users and are as many as the operation takes;
//! * every shape has 1 to [`MAX_ELEMENTS`](super::MAX_ELEMENTS) elements and follows from the operands;
//! * linear maps are consistent, and weights, constants and normalizations are finite;
//! * the inputs are the input nodes, each once, in order;
//! * there is an output, outputs name nodes, and the client's program takes their tensors.
//!
//! It does not check that every node is used.

use super::{BatchNorm, Graph, Node, NodeId, Op, Output, infer_shape};
use crate::error::IrError;

impl Graph {
    /// Checks the graph's invariants; errors are collected.
    ///
    /// # Errors
    /// [`IrError::Invalid`] with one line a problem.
    pub fn verify(&self) -> Result<(), IrError> {
        let mut problems: Vec<String> = Vec::new();
        for (id, node) in self.nodes() {
            if let Err(problem) = self.check_node(id, node) {
                problems.push(format!("%{} {} `{}`: {problem}", id.0, node.op.name(), node.name));
            }
        }
        problems.extend(self.input_problem());
        problems.extend(self.outputs.iter().filter_map(|output| self.output_problem(output)));
        if self.outputs.is_empty() {
            problems.push("the graph has no output".into());
        }
        if problems.is_empty() {
            let size = |output: &Output| self.node(output.node).shape.size();
            problems.extend(self.client.problems(&self.outputs.iter().map(size).collect::<Vec<_>>()));
        }
        if problems.is_empty() { Ok(()) } else { Err(IrError::Invalid(problems)) }
    }

    fn input_problem(&self) -> Option<String> {
        let listed: Vec<NodeId> = self.inputs.iter().map(|input| input.0).collect();
        let nodes: Vec<NodeId> = self.nodes().filter(|(_, node)| node.op == Op::Input).map(|(id, _)| id).collect();
        (listed != nodes).then(|| format!("inputs {listed:?} are listed, the input nodes are {nodes:?}"))
    }

    fn output_problem(&self, output: &Output) -> Option<String> {
        let is_missing = self.nodes.get(output.node.index()).is_none();
        is_missing.then(|| format!("output `{}`: no node %{}", output.name, output.node.0))
    }

    fn check_node(&self, id: NodeId, node: &Node) -> Result<(), IrError> {
        if node.inputs.len() != node.op.arity() || node.inputs.iter().any(|input| *input >= id) {
            return Err(IrError::ty(node.op.name(), "operands are missing or come later"));
        }
        let shapes: Vec<_> = node.inputs.iter().map(|&input| &self.node(input).shape).collect();
        if shapes.iter().copied().chain([&node.shape]).any(|shape| shape.checked_size().is_none()) {
            return Err(IrError::ty(node.op.name(), format!("no tensor has the shape {}", node.shape)));
        }
        let follows = match &node.op {
            Op::Input => true,
            Op::Reshape => shapes[0].size() == node.shape.size(),
            Op::Linear(map) => {
                map.check()?;
                map.check_finite()?;
                (map.inputs, map.outputs) == (shapes[0].size(), node.shape.size())
            }
            op => infer_shape(op, &shapes)? == node.shape,
        };
        if let Op::BatchNorm(norm) = &node.op {
            check_batch_norm(norm)?;
        }
        if follows { Ok(()) } else { Err(IrError::ty(node.op.name(), "its shape does not follow from its operands")) }
    }
}

fn check_batch_norm(norm: &BatchNorm) -> Result<(), IrError> {
    let mut affine = (0..norm.scale.data.len()).map(|channel| norm.affine(channel));
    if affine.all(|(factor, offset)| factor.is_finite() && offset.is_finite()) {
        return Ok(());
    }
    Err(IrError::ty("batch_norm", "the factor or offset of a channel is not finite"))
}
