//! The tensor IR: a graph of tensors in one sample, batch axis of 1 kept where the model has one.
//!
//! Values are real tensors; elements are numbered row-major. Operations mean what their ONNX namesakes mean.
//! Linear operators of every kind are one operation, [`Op::Linear`]. After `approximate` only [`Op::Input`],
//! [`Op::Linear`], [`Op::Reshape`], [`Op::Add`], [`Op::Sub`], [`Op::Mul`], [`Op::Scale`] and [`Op::AddConstant`]
//! remain: the graph is polynomial.

mod eval;
mod follow;
mod function;
mod rebuild;
mod text;
mod verify;

use std::fmt;
use std::sync::Arc;

use crate::client::ClientProgram;
use crate::error::IrError;
use crate::linear::{LinearMap, Window};

pub use eval::{GraphEvaluator, evaluate, evaluate_all};
pub use follow::Live;
pub use function::{FUNCTIONS, Function};

/// Sizes of a tensor's axes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Shape(pub Vec<usize>);

/// Most elements of a tensor: element numbers are `u32`, and the last one is [`ZERO`](crate::linear::ZERO).
pub const MAX_ELEMENTS: usize = u32::MAX as usize;

/// The product of sizes, if it is at least 1 and at most [`MAX_ELEMENTS`].
pub(crate) fn element_count(sizes: &[usize]) -> Option<usize> {
    let count = sizes.iter().try_fold(1usize, |count, &size| count.checked_mul(size))?;
    (1..=MAX_ELEMENTS).contains(&count).then_some(count)
}

impl Shape {
    /// Number of elements; 1 for a scalar. For a shape of unknown origin see [`Shape::checked_size`].
    pub fn size(&self) -> usize {
        self.0.iter().product()
    }

    /// Number of elements, if it is at least 1 and at most [`MAX_ELEMENTS`].
    pub fn checked_size(&self) -> Option<usize> {
        element_count(&self.0)
    }

    /// Whether an array of this shape holds samples of another one along its first axis. Of samples of one number it may have
    /// axes of length 1 or not.
    pub fn holds_samples_of(&self, sample: &Shape) -> bool {
        let one_number = |sizes: &[usize]| sizes.iter().all(|&size| size == 1);
        match self.0.split_first() {
            Some((_, own)) => *own == sample.0 || one_number(own) && one_number(&sample.0),
            None => false,
        }
    }

    /// The shape to which two shapes broadcast: aligned at the end, sizes are equal or 1.
    pub fn broadcast(&self, other: &Shape) -> Option<Shape> {
        let rank = self.0.len().max(other.0.len());
        let size =
            |shape: &Shape, axis: usize| (axis + shape.0.len()).checked_sub(rank).map_or(1, |axis| shape.0[axis]);
        let axis = |axis: usize| match (size(self, axis), size(other, axis)) {
            (a, b) if a == b => Some(a),
            (1, size) | (size, 1) => Some(size),
            _ => None,
        };
        (0..rank).map(axis).collect::<Option<Vec<_>>>().map(Shape)
    }

    /// Row-major strides in elements.
    pub fn strides(&self) -> Vec<usize> {
        let mut strides = vec![1; self.0.len()];
        for axis in (1..self.0.len()).rev() {
            strides[axis - 1] = strides[axis] * self.0[axis];
        }
        strides
    }

    /// Coordinates of a row-major element number.
    pub fn coordinates(&self, mut element: usize) -> Vec<usize> {
        let mut coordinates = vec![0; self.0.len()];
        for axis in (0..self.0.len()).rev() {
            coordinates[axis] = element % self.0[axis];
            element /= self.0[axis];
        }
        coordinates
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// A tensor of weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Sizes of the axes.
    pub shape: Shape,
    /// Values, row-major.
    pub data: Vec<f64>,
}

/// Shared weights; equal weights are stored once in the circuit file.
pub type Constant = Arc<Tensor>;

impl Tensor {
    /// A tensor; the caller guarantees that the shape fits the data.
    pub fn new(shape: Shape, data: Vec<f64>) -> Self {
        debug_assert_eq!(shape.size(), data.len());
        Tensor { shape, data }
    }

    /// The tensor with every value mapped.
    pub fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Tensor { shape: self.shape.clone(), data: self.data.iter().copied().map(f).collect() }
    }
}

/// Index of a node in its graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

impl NodeId {
    /// The index as a `usize`.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Statistics and affine parameters of a BatchNormalization over axis 1.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchNorm {
    /// γ, one value a channel.
    pub scale: Constant,
    /// β, one value a channel.
    pub bias: Constant,
    /// Running mean, one value a channel.
    pub mean: Constant,
    /// Running variance, one value a channel.
    pub variance: Constant,
    /// ε added to the variance.
    pub epsilon: f64,
}

/// An operation on tensors.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// The network's input.
    Input,
    /// `scale · M·x + bias`.
    Linear(Arc<LinearMap>),
    /// The same elements under another shape.
    Reshape,
    /// Inference-form batch normalization, `γ·(x − μ)/√(σ² + ε) + β` per channel (axis 1).
    BatchNorm(BatchNorm),
    /// `max(x, 0)`.
    Relu,
    /// Maximum over windows of the last two axes; padding counts as −∞.
    MaxPool(Window),
    /// A function of each element.
    Function(Function),
    /// `a + b`, equal shapes.
    Add,
    /// `a − b`, equal shapes.
    Sub,
    /// `a · b` element by element, equal shapes.
    Mul,
    /// `c · x`.
    Scale(f64),
    /// `x + c`.
    AddConstant(f64),
}

impl Op {
    /// The operation's name in the text form.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Input => "input",
            Op::Linear(_) => "linear",
            Op::Reshape => "reshape",
            Op::BatchNorm(_) => "batch_norm",
            Op::Relu => "relu",
            Op::MaxPool(_) => "max_pool",
            Op::Function(_) => "function",
            Op::Add => "add",
            Op::Sub => "sub",
            Op::Mul => "mul",
            Op::Scale(_) => "scale",
            Op::AddConstant(_) => "add_constant",
        }
    }

    /// Number of operands.
    pub fn arity(&self) -> usize {
        match self {
            Op::Input => 0,
            Op::Add | Op::Sub | Op::Mul => 2,
            _ => 1,
        }
    }
}

/// One value of the graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The ONNX node it came from, for messages; not unique.
    pub name: String,
    /// What computes it.
    pub op: Op,
    /// Operands, earlier nodes.
    pub inputs: Vec<NodeId>,
    /// Shape of the result.
    pub shape: Shape,
}

/// A network: nodes in topological order, its inputs and outputs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    /// The input nodes in the model's order.
    pub inputs: Vec<(NodeId, BatchAxis)>,
    /// The tensors that the client decrypts.
    pub outputs: Vec<Output>,
    /// What the client makes of them.
    pub client: ClientProgram,
}

/// Whether an input counts samples along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchAxis {
    /// Along the first one, which has size 1.
    First,
    /// Along none.
    Absent,
}

impl BatchAxis {
    /// The shape of one sample of a result of this shape, in a network some of whose inputs may count samples.
    pub fn of_result(batched: bool, shape: &Shape) -> Shape {
        let keeps_axis = batched && shape.0.first() == Some(&1) && shape.0.len() > 1;
        let batch = if keeps_axis { BatchAxis::First } else { BatchAxis::Absent };
        batch.sample_shape(shape)
    }

    /// The shape of one sample of a tensor of this shape.
    pub fn sample_shape(self, shape: &Shape) -> Shape {
        let skipped = usize::from(self == BatchAxis::First && !shape.0.is_empty());
        Shape(shape.0[skipped..].to_vec())
    }
}

/// One result of the network.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// Name in the model, of the first result that the client computes from it.
    pub name: String,
    /// The node.
    pub node: NodeId,
}

impl Graph {
    /// All nodes in topological order.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes.iter().enumerate().map(|(index, node)| (NodeId(index as u32), node))
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are no nodes.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// One node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// Adds an input of the given shape.
    pub fn input(&mut self, name: impl Into<String>, shape: Shape, batch: BatchAxis) -> NodeId {
        let id = self.append(name.into(), Op::Input, vec![], shape);
        self.inputs.push((id, batch));
        id
    }

    /// Adds a node whose shape follows from its operands.
    ///
    /// # Errors
    /// [`IrError::Type`] if the operation is not defined for the operands' shapes.
    pub fn add(&mut self, name: impl Into<String>, op: Op, inputs: &[NodeId]) -> Result<NodeId, IrError> {
        let shape = self.infer(&op, inputs)?;
        Ok(self.append(name.into(), op, inputs.to_vec(), shape))
    }

    /// Adds a linear map; the map fixes the number of elements and the caller names the shape.
    ///
    /// # Errors
    /// [`IrError::Type`] if sizes do not agree.
    pub fn linear(
        &mut self,
        name: impl Into<String>,
        map: LinearMap,
        input: NodeId,
        shape: Shape,
    ) -> Result<NodeId, IrError> {
        map.check()?;
        let given = self.operand_shape("linear", input)?;
        if given.checked_size() != Some(map.inputs) || shape.checked_size() != Some(map.outputs) {
            let message = format!("a map of {} to {} elements from {given} to {shape}", map.inputs, map.outputs);
            return Err(IrError::ty("linear", message));
        }
        Ok(self.append(name.into(), Op::Linear(Arc::new(map)), vec![input], shape))
    }

    /// Adds a view of the same elements under another shape.
    ///
    /// # Errors
    /// [`IrError::Type`] if the number of elements changes.
    pub fn reshape(&mut self, name: impl Into<String>, input: NodeId, shape: Shape) -> Result<NodeId, IrError> {
        let given = self.operand_shape("reshape", input)?;
        if shape.checked_size().is_none() || given.checked_size() != shape.checked_size() {
            return Err(IrError::ty("reshape", format!("{given} and {shape} have not the same number of elements")));
        }
        Ok(self.append(name.into(), Op::Reshape, vec![input], shape))
    }

    /// Gives a node an operation with other weights.
    ///
    /// # Errors
    /// [`IrError::Type`] if the operation is of another kind or its result has another shape.
    pub fn replace_weights(&mut self, id: NodeId, op: Op) -> Result<(), IrError> {
        let node = self.node(id);
        let fits = match (&node.op, &op) {
            (Op::Linear(old), Op::Linear(new)) => {
                new.check()?;
                (old.inputs, old.outputs) == (new.inputs, new.outputs)
            }
            (Op::BatchNorm(_), Op::BatchNorm(_)) => self.infer(&op, &node.inputs)? == node.shape,
            _ => false,
        };
        if !fits {
            return Err(IrError::ty(op.name(), format!("cannot stand for node `{}`, a {}", node.name, node.op.name())));
        }
        self.nodes[id.index()].op = op;
        Ok(())
    }

    fn append(&mut self, name: String, op: Op, inputs: Vec<NodeId>, shape: Shape) -> NodeId {
        self.nodes.push(Node { name, op, inputs, shape });
        NodeId(self.nodes.len() as u32 - 1)
    }

    fn operand_shape(&self, op: &str, id: NodeId) -> Result<&Shape, IrError> {
        let node = self.nodes.get(id.index());
        node.map(|node| &node.shape).ok_or_else(|| IrError::ty(op, format!("no operand %{}", id.0)))
    }

    fn infer(&self, op: &Op, inputs: &[NodeId]) -> Result<Shape, IrError> {
        if inputs.len() != op.arity() {
            return Err(IrError::ty(op.name(), format!("takes {} operands, got {}", op.arity(), inputs.len())));
        }
        let shapes = inputs.iter().map(|&id| self.operand_shape(op.name(), id)).collect::<Result<Vec<_>, _>>()?;
        infer_shape(op, &shapes)
    }

    /// The batch axis of an input; none of anything else.
    pub fn batch_axis(&self, id: NodeId) -> BatchAxis {
        self.inputs.iter().find(|input| input.0 == id).map_or(BatchAxis::Absent, |input| input.1)
    }

    /// Whether an input counts samples along an axis.
    pub fn is_batched(&self) -> bool {
        self.inputs.iter().any(|input| input.1 == BatchAxis::First)
    }

    /// The nodes that read each node.
    pub fn consumers(&self) -> Vec<Vec<NodeId>> {
        let mut consumers = vec![Vec::new(); self.nodes.len()];
        for (id, node) in self.nodes() {
            for input in &node.inputs {
                consumers[input.index()].push(id);
            }
        }
        consumers
    }
}

fn infer_shape(op: &Op, shapes: &[&Shape]) -> Result<Shape, IrError> {
    match op {
        Op::Input | Op::Linear(_) | Op::Reshape => {
            Err(IrError::ty(op.name(), "has a method of its own, its shape cannot be inferred"))
        }
        Op::BatchNorm(norm) => infer_batch_norm(norm, shapes[0]),
        Op::MaxPool(window) => infer_pool(window, shapes[0]),
        Op::Add | Op::Sub | Op::Mul if shapes[0] != shapes[1] => {
            Err(IrError::ty(op.name(), format!("operands have shapes {} and {}", shapes[0], shapes[1])))
        }
        Op::Scale(c) | Op::AddConstant(c) if !c.is_finite() => Err(IrError::ty(op.name(), format!("constant {c}"))),
        _ => Ok(shapes[0].clone()),
    }
}

fn infer_batch_norm(norm: &BatchNorm, shape: &Shape) -> Result<Shape, IrError> {
    let channels = *shape.0.get(1).ok_or_else(|| IrError::ty("batch_norm", format!("{shape} has no channel axis")))?;
    for constant in [&norm.scale, &norm.bias, &norm.mean, &norm.variance] {
        if constant.data.len() != channels {
            let message = format!("{} parameters for {channels} channels", constant.data.len());
            return Err(IrError::ty("batch_norm", message));
        }
    }
    Ok(shape.clone())
}

fn infer_pool(window: &Window, shape: &Shape) -> Result<Shape, IrError> {
    window.check()?;
    let rank = shape.0.len();
    let plane_fits = rank >= 2 && shape.0[rank - 2..] == window.input[1..];
    if !plane_fits || shape.checked_size() != element_count(&window.input) {
        return Err(IrError::ty("max_pool", format!("window over {:?} on {shape}", window.input)));
    }
    if !window.every_window_reads() {
        return Err(IrError::ty("max_pool", "a window lies wholly in the padding"));
    }
    let mut result = shape.clone();
    result.0[rank - 2..].copy_from_slice(&window.output);
    Ok(result)
}
