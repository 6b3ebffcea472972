//! What the client computes from decrypted tensors: a small program of functions that stand behind a network's last layer.
//!
//! It holds no weights of layers: only functions, numbers that every element shares, scales of bounded results (which the
//! results show), and tables that a class is looked up in. Tensors have the shapes of the model, one sample each; operations
//! mean what their ONNX namesakes mean, on f64.

mod eval;
mod ops;
mod text;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::error::IrError;
use crate::tensor::Shape;

pub use ops::{Binary, ClientOp, Reduction, Unary};

/// Most steps of a program.
pub const MAX_STEPS: usize = 4096;

/// A tensor that the client has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ClientValue {
    /// What it decrypted from an output of the circuit.
    Port(usize),
    /// The result of a step.
    Step(usize),
}

/// One operation.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientStep {
    /// What computes it.
    pub op: ClientOp,
    /// Ports, or steps before it.
    pub operands: Vec<ClientValue>,
    /// Shape of the result.
    pub shape: Shape,
}

/// What the elements of a result are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResultKind {
    /// Real numbers.
    Real,
    /// Integers, such as classes.
    Integer,
    /// 0 or 1.
    Boolean,
    /// Places in a list of texts.
    Text(Arc<Vec<String>>),
}

impl ResultKind {
    /// The kind's name.
    pub fn name(&self) -> &'static str {
        match self {
            ResultKind::Real => "real",
            ResultKind::Integer => "integer",
            ResultKind::Boolean => "boolean",
            ResultKind::Text(_) => "text",
        }
    }
}

/// An output of the model.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientResult {
    /// Name in the model.
    pub name: String,
    /// The tensor.
    pub value: ClientValue,
    /// Shape of one sample's result, without the batch axis.
    pub shape: Shape,
    /// What its elements are.
    pub kind: ResultKind,
}

/// All that the client computes. Without results the decrypted tensors themselves are the model's outputs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ClientProgram {
    /// The shape of each decrypted tensor in the model.
    pub ports: Vec<Shape>,
    /// The operations in order.
    pub steps: Vec<ClientStep>,
    /// The model's outputs in its order.
    pub results: Vec<ClientResult>,
}

impl ClientProgram {
    /// Whether the decrypted tensors are the model's outputs.
    pub fn is_empty(&self) -> bool {
        self.results.is_empty()
    }

    /// The shape of a tensor, if there is one.
    pub fn shape(&self, value: ClientValue) -> Option<&Shape> {
        match value {
            ClientValue::Port(port) => self.ports.get(port),
            ClientValue::Step(step) => self.steps.get(step).map(|step| &step.shape),
        }
    }

    /// Adds a step whose shape follows from its operands.
    ///
    /// # Errors
    /// [`IrError::Type`] if the operation is not defined for them.
    pub fn push(&mut self, op: ClientOp, operands: Vec<ClientValue>) -> Result<ClientValue, IrError> {
        let shape = op.infer(&self.operand_shapes(&op, &operands, self.steps.len())?, None)?;
        Ok(self.append(op, operands, shape))
    }

    /// Adds a reshape or an expansion to a shape.
    ///
    /// # Errors
    /// [`IrError::Type`] if the operand cannot have it.
    pub fn push_to(&mut self, op: ClientOp, operand: ClientValue, shape: Shape) -> Result<ClientValue, IrError> {
        let operands = vec![operand];
        let shape = op.infer(&self.operand_shapes(&op, &operands, self.steps.len())?, Some(&shape))?;
        Ok(self.append(op, operands, shape))
    }

    fn append(&mut self, op: ClientOp, operands: Vec<ClientValue>, shape: Shape) -> ClientValue {
        self.steps.push(ClientStep { op, operands, shape });
        ClientValue::Step(self.steps.len() - 1)
    }

    fn operand_shapes(&self, op: &ClientOp, operands: &[ClientValue], before: usize) -> Result<Vec<&Shape>, IrError> {
        let shape = |&value: &ClientValue| {
            let is_there = !matches!(value, ClientValue::Step(step) if step >= before);
            let shape = if is_there { self.shape(value) } else { None };
            shape.ok_or_else(|| IrError::ty(op.name(), format!("no operand {value} before it")))
        };
        operands.iter().map(shape).collect()
    }

    /// The ports that a tensor is computed from, ascending.
    pub fn ports_of(&self, value: ClientValue) -> Vec<usize> {
        let operands = self.steps_of(value).into_iter().flat_map(|step| step.operands.iter().copied());
        let port = |value: ClientValue| match value {
            ClientValue::Port(port) => Some(port),
            ClientValue::Step(_) => None,
        };
        let ports: BTreeSet<usize> = operands.chain([value]).filter_map(port).collect();
        ports.into_iter().collect()
    }

    /// Operations on the way from ports to a tensor, in order.
    pub fn steps_of(&self, value: ClientValue) -> Vec<&ClientStep> {
        let mut is_used = vec![false; self.steps.len()];
        let mut pending = vec![value];
        while let Some(value) = pending.pop() {
            let ClientValue::Step(step) = value else { continue };
            if !std::mem::replace(&mut is_used[step], true) {
                pending.extend(&self.steps[step].operands);
            }
        }
        self.steps.iter().zip(is_used).filter(|(_, used)| *used).map(|(step, _)| step).collect()
    }

    /// Checks the program for decrypted tensors of these sizes.
    ///
    /// # Errors
    /// [`IrError::Invalid`] with one line a problem.
    pub fn check(&self, sizes: &[usize]) -> Result<(), IrError> {
        let problems = self.problems(sizes);
        if problems.is_empty() { Ok(()) } else { Err(IrError::Invalid(problems)) }
    }

    /// Names of the functions among operations, in order: what only moves elements and constants are left out.
    pub fn functions<'p>(steps: impl IntoIterator<Item = &'p ClientStep>) -> Vec<&'static str> {
        let is_function = |step: &&ClientStep| !matches!(step.op, ClientOp::Constant(_) | ClientOp::Reshape);
        steps.into_iter().filter(is_function).map(|step| step.op.name()).collect()
    }

    /// Problems, for tensors of these sizes decrypted; empty for a valid program.
    pub(crate) fn problems(&self, sizes: &[usize]) -> Vec<String> {
        if self.is_empty() {
            let is_nothing = self.ports.is_empty() && self.steps.is_empty();
            return if is_nothing { vec![] } else { vec!["the client's program has no result".into()] };
        }
        if self.ports.iter().map(Shape::checked_size).ne(sizes.iter().map(|&size| Some(size))) {
            return vec![format!("the client's program takes {:?}, the outputs have {sizes:?} elements", self.ports)];
        }
        let step = |(index, step): (usize, &ClientStep)| {
            let shapes = self.operand_shapes(&step.op, &step.operands, index);
            let shape = shapes.and_then(|shapes| step.op.infer(&shapes, Some(&step.shape)));
            match shape {
                Ok(shape) if shape == step.shape => None,
                Ok(shape) => Some(format!("step {index} of the client: its shape must be {shape}")),
                Err(error) => Some(format!("step {index} of the client: {error}")),
            }
        };
        let mut problems: Vec<String> = self.steps.iter().enumerate().filter_map(step).collect();
        let result = |result: &ClientResult| match self.shape(result.value) {
            Some(shape) if shape.size() == result.shape.size() => None,
            _ => Some(format!("result `{}`: no tensor of shape {}", result.name, result.shape)),
        };
        problems.extend(self.results.iter().filter_map(result));
        if self.steps.len() > MAX_STEPS {
            problems.push(format!("{} steps of the client, at most {MAX_STEPS}", self.steps.len()));
        }
        problems
    }
}

impl std::fmt::Display for ClientValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ClientValue::Port(port) => write!(f, "port {port}"),
            ClientValue::Step(step) => write!(f, "${step}"),
        }
    }
}
