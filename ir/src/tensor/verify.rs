//! The tensor verifier. It checks that operands come before their users, that every shape follows from the
//! operands, that linear maps are consistent, that weights and constants are finite, and that inputs and outputs
//! name nodes. It does not check that every node is used.

use super::{Graph, Node, NodeId, Op, infer_shape};
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
        let ids = self.inputs.iter().map(|input| input.0).chain(self.outputs.iter().map(|output| output.node));
        problems.extend(ids.filter(|id| id.index() >= self.len()).map(|id| format!("no node %{}", id.0)));
        if self.outputs.is_empty() {
            problems.push("the graph has no output".into());
        }
        if problems.is_empty() { Ok(()) } else { Err(IrError::Invalid(problems)) }
    }

    fn check_node(&self, id: NodeId, node: &Node) -> Result<(), IrError> {
        if node.inputs.len() != node.op.arity() || node.inputs.iter().any(|input| *input >= id) {
            return Err(IrError::ty(node.op.name(), "operands are missing or come later"));
        }
        let shapes: Vec<_> = node.inputs.iter().map(|&input| &self.node(input).shape).collect();
        let wrong = |expected: usize| {
            (expected != node.shape.size())
                .then(|| IrError::ty(node.op.name(), format!("{} has not {expected} elements", node.shape)))
        };
        let problem = match &node.op {
            Op::Input => (!self.inputs.iter().any(|input| input.0 == id))
                .then(|| IrError::ty("input", "is not in the graph's inputs")),
            Op::Reshape => wrong(shapes[0].size()),
            Op::Linear(map) => {
                map.check()?;
                check_finite(map)?;
                if map.inputs != shapes[0].size() {
                    return Err(IrError::ty("linear", format!("takes {} elements of {}", map.inputs, shapes[0])));
                }
                wrong(map.outputs)
            }
            op => (infer_shape(op, &shapes)? != node.shape)
                .then(|| IrError::ty(op.name(), "its shape does not follow from its operands")),
        };
        problem.map_or(Ok(()), Err)
    }
}

fn check_finite(map: &crate::LinearMap) -> Result<(), IrError> {
    let constants = map.factors.iter().filter_map(|factor| factor.constant());
    let biases = map.bias.iter().map(|bias| &bias.values);
    if constants.chain(biases).any(|constant| constant.data.iter().any(|value| !value.is_finite())) {
        return Err(IrError::ty("linear", "a weight is NaN or infinite"));
    }
    Ok(())
}
