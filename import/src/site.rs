//! What an operator's importer sees: its node, its operands, and the graph that it adds to.

use std::sync::Arc;

use paf_ir::client::{ClientOp, ClientValue};
use paf_ir::linear::Primitive;
use paf_ir::tensor::{Graph, NodeId, Op, Tensor};
use paf_ir::{IrError, LinearMap, Shape};

use super::attributes::Attributes;
use super::constants::{self, ConstantValue, ElementKind, MAX_COMPUTED, MAX_ELEMENTS, size_within};
use super::error::ImportError;
use super::onnx::TensorProto;
use super::source::WeightFolder;
use super::tail::ClientBuilder;

/// What a name of the ONNX graph stands for.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// A constant.
    Constant(ConstantValue),
    /// A tensor that depends on the input.
    Tensor(NodeId),
    /// A tensor of the client.
    Final(Final),
    /// A result of an unsupported node, whose shape is unknown too.
    Unknown,
}

/// A tensor that the client computes from what it decrypts.
#[derive(Debug, Clone)]
pub(super) struct Final {
    /// Where it is in the client's program.
    pub(super) value: ClientValue,
    /// What its elements are.
    pub(super) kind: ElementKind,
    /// The list in which its elements are places, where they stand for texts.
    pub(super) texts: Option<Arc<Vec<String>>>,
}

/// Why an operator's importer gave no value.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The node is valid, but no circuit can hold it.
    Unsupported {
        /// The attribute, or another reason.
        reason: String,
        /// What would work.
        hint: String,
    },
    /// The node breaks ONNX's rules.
    Invalid(String),
    /// A tensor among the node's attributes cannot be read.
    Weight(ImportError),
    /// An operand is unknown, because of an unsupported node before.
    UnknownOperand,
}

impl Refusal {
    pub(super) fn invalid(problem: impl Into<String>) -> Self {
        Refusal::Invalid(problem.into())
    }

    pub(super) fn unsupported(reason: impl Into<String>, hint: impl Into<String>) -> Self {
        Refusal::Unsupported { reason: reason.into(), hint: hint.into() }
    }

    /// For an operand that must be known at compile time.
    pub(super) fn not_constant(what: &str) -> Self {
        Refusal::unsupported(format!("{what} depends on the input"), format!("{what} must be a constant"))
    }
}

impl From<IrError> for Refusal {
    fn from(problem: IrError) -> Self {
        Refusal::Invalid(problem.to_string())
    }
}

/// What an operator's importer gives back.
pub(super) type Outcome = Result<Value, Refusal>;

/// One ONNX node and its surroundings.
pub(super) struct Site<'a> {
    pub(super) graph: &'a mut Graph,
    /// What the client computes.
    pub(super) client: &'a mut ClientBuilder,
    /// The node's name; tensor nodes get it too.
    pub(super) name: &'a str,
    /// The node's operator.
    pub(super) operator: &'a str,
    pub(super) attributes: Attributes<'a>,
    /// `None` for an optional operand that is left out.
    pub(super) operands: Vec<Option<Value>>,
    /// Number of outputs that the node names.
    pub(super) outputs: usize,
    /// The values of the outputs after the first, where the operator gives them.
    pub(super) more_outputs: Vec<Value>,
    /// Version of the standard operator set.
    pub(super) opset: i64,
    /// The model's folder, where external data lies, if there may be such.
    pub(super) folder: Option<&'a WeightFolder>,
    pub(super) warnings: &'a mut Vec<String>,
}

impl Site<'_> {
    /// An optional operand.
    pub(super) fn optional(&self, index: usize) -> Result<Option<Value>, Refusal> {
        match self.operands.get(index).cloned().flatten() {
            Some(Value::Unknown) => Err(Refusal::UnknownOperand),
            value => Ok(value),
        }
    }

    /// An operand that the operator needs.
    pub(super) fn operand(&self, index: usize) -> Outcome {
        self.optional(index)?.ok_or_else(|| Refusal::invalid(format!("operand {index} is missing")))
    }

    /// An operand that depends on the input, with its shape.
    pub(super) fn tensor(&self, index: usize) -> Result<(NodeId, Shape), Refusal> {
        match self.operand(index)? {
            Value::Tensor(id) => Ok((id, self.graph.node(id).shape.clone())),
            _ => Err(Refusal::unsupported(
                format!("operand {index} is a constant"),
                "it must depend on the input; fold constants with onnxsim before",
            )),
        }
    }

    /// A constant operand if it is given.
    pub(super) fn optional_constant(&self, index: usize, what: &str) -> Result<Option<ConstantValue>, Refusal> {
        match self.optional(index)? {
            None => Ok(None),
            Some(Value::Constant(constant)) => Ok(Some(constant)),
            Some(_) => Err(Refusal::not_constant(what)),
        }
    }

    /// A constant operand that the operator needs.
    pub(super) fn constant(&self, index: usize, what: &str) -> Result<ConstantValue, Refusal> {
        let missing = || Refusal::invalid(format!("operand {index}, {what}, is missing"));
        self.optional_constant(index, what)?.ok_or_else(missing)
    }

    /// A constant operand of real numbers.
    pub(super) fn weights(&self, index: usize, what: &str) -> Result<ConstantValue, Refusal> {
        let constant = self.constant(index, what)?;
        if constant.kind == ElementKind::Real {
            return Ok(constant);
        }
        Err(Refusal::invalid(format!("{what} has no floating-point elements")))
    }

    /// A list of integers that is a constant operand, or in old operator sets an attribute.
    pub(super) fn integers(&self, index: usize, name: &str) -> Result<Option<Vec<i64>>, Refusal> {
        match self.optional_constant(index, name)? {
            None => self.attributes.integers(name),
            Some(constant) => constant
                .as_integers()
                .map(Some)
                .ok_or_else(|| Refusal::invalid(format!("operand {index}, {name}, has no integer elements"))),
        }
    }

    /// A tensor among the node's attributes.
    pub(super) fn own_tensor(&self, tensor: &TensorProto) -> Result<ConstantValue, Refusal> {
        constants::read_weight(tensor, self.name, self.folder).map_err(Refusal::Weight)
    }

    /// The shape of a value.
    pub(super) fn shape(&self, value: &Value) -> Result<Shape, Refusal> {
        match value {
            Value::Constant(constant) => Ok(constant.shape().clone()),
            Value::Tensor(id) => Ok(self.graph.node(*id).shape.clone()),
            Value::Final(result) => self.client.program.shape(result.value).cloned().ok_or(Refusal::UnknownOperand),
            Value::Unknown => Err(Refusal::UnknownOperand),
        }
    }

    /// Adds a node whose shape follows from its operands.
    pub(super) fn add(&mut self, op: Op, inputs: &[NodeId]) -> Result<NodeId, Refusal> {
        Ok(self.graph.add(self.name, op, inputs)?)
    }

    /// Adds a linear map; `shape` has been checked by [`size`].
    pub(super) fn add_linear(&mut self, map: LinearMap, input: NodeId, shape: Shape) -> Result<NodeId, Refusal> {
        Ok(self.graph.linear(self.name, map, input, shape)?)
    }

    /// The same elements of a tensor under another shape; no node if the shape is the same.
    pub(super) fn add_reshape(&mut self, input: NodeId, shape: Shape) -> Result<NodeId, Refusal> {
        if self.graph.node(input).shape == shape {
            return Ok(input);
        }
        Ok(self.graph.reshape(self.name, input, shape)?)
    }

    /// The same elements of a value under another shape.
    pub(super) fn reshaped(&mut self, value: Value, shape: Shape) -> Outcome {
        let given = self.shape(&value)?;
        if given.size() != size_beside(&shape, given.size())? {
            return Err(Refusal::invalid(format!("{given} cannot become {shape}: the numbers of elements differ")));
        }
        match value {
            Value::Constant(constant) => Ok(Value::Constant(ConstantValue {
                tensor: Arc::new(Tensor::new(shape, constant.tensor.data.clone())),
                ..constant
            })),
            Value::Tensor(id) => Ok(Value::Tensor(self.add_reshape(id, shape)?)),
            Value::Final(result) => {
                let value = self.client.program.push_to(ClientOp::Reshape, result.value, shape)?;
                Ok(Value::Final(Final { value, ..result }))
            }
            Value::Unknown => Err(Refusal::UnknownOperand),
        }
    }

    /// A value with its axes permuted: axis `i` of the result is axis `permutation[i]`, which has been checked.
    pub(super) fn permuted(&mut self, value: Value, permutation: Vec<usize>) -> Outcome {
        let input = self.shape(&value)?;
        let shape = Shape(permutation.iter().map(|&axis| input.0[axis]).collect());
        let moved = permutation.iter().filter(|&&axis| input.0[axis] != 1);
        if moved.is_sorted() {
            return self.reshaped(value, shape);
        }
        match value {
            Value::Constant(constant) => {
                let strides = input.strides();
                let strides = permutation.iter().map(|&axis| strides[axis]).collect::<Vec<_>>();
                Ok(Value::Constant(gathered(&constant, shape, |axis, index| Some(index * strides[axis]))))
            }
            Value::Tensor(id) => {
                let map = LinearMap::of(Primitive::Permute { input, permutation }, None);
                Ok(Value::Tensor(self.add_linear(map, id, shape)?))
            }
            Value::Final(result) => self.moved(ClientOp::Transpose(permutation), result),
            Value::Unknown => Err(Refusal::UnknownOperand),
        }
    }

    /// Per axis, the elements of the given indices, [`ZERO`](paf_ir::linear::ZERO) for zeros.
    pub(super) fn selected(&mut self, value: Value, indices: Vec<Vec<u32>>) -> Outcome {
        let input = self.shape(&value)?;
        let shape = Shape(indices.iter().map(Vec::len).collect());
        size_beside(&shape, input.size())?;
        if indices.iter().zip(&input.0).all(|(list, &size)| list.iter().copied().eq(0..size as u32)) {
            return Ok(value);
        }
        match value {
            Value::Constant(constant) => {
                let strides = input.strides();
                let place = |axis: usize, index: usize| {
                    let source = indices[axis][index];
                    (source != paf_ir::linear::ZERO).then(|| source as usize * strides[axis])
                };
                Ok(Value::Constant(gathered(&constant, shape, place)))
            }
            Value::Tensor(_) if shape.0.contains(&0) => Err(Refusal::invalid(format!("the result is empty: {shape}"))),
            Value::Tensor(id) => {
                let map = LinearMap::of(Primitive::Select { input, indices }, None);
                Ok(Value::Tensor(self.add_linear(map, id, shape)?))
            }
            Value::Final(result) => self.moved(ClientOp::Select(indices), result),
            Value::Unknown => Err(Refusal::UnknownOperand),
        }
    }

    fn moved(&mut self, op: ClientOp, result: Final) -> Outcome {
        let value = self.client.program.push(op, vec![result.value])?;
        Ok(Value::Final(Final { value, ..result }))
    }
}

/// A constant whose element at given coordinates is the sum of offsets per axis, or zero where an axis has none.
fn gathered(source: &ConstantValue, shape: Shape, offset: impl Fn(usize, usize) -> Option<usize>) -> ConstantValue {
    let element = |number: usize| {
        let coordinates = shape.coordinates(number);
        let place: Option<usize> = coordinates.iter().enumerate().map(|(axis, &index)| offset(axis, index)).sum();
        place.map_or(0.0, |place| source.tensor.data[place])
    };
    let data = (0..shape.size()).map(element).collect();
    ConstantValue { tensor: Arc::new(Tensor::new(shape, data)), ..source.clone() }
}

/// Number of elements of a shape that the file determines.
pub(super) fn size(shape: &Shape) -> Result<usize, Refusal> {
    size_beside(shape, 0)
}

/// The same for what is made of a tensor that is there and has so many elements.
pub(super) fn size_beside(shape: &Shape, elements: usize) -> Result<usize, Refusal> {
    let limit = MAX_COMPUTED.max(elements.saturating_mul(2)).min(MAX_ELEMENTS);
    let too_large = || Refusal::invalid(format!("a tensor of shape {shape} is larger than {limit} elements"));
    size_within(&shape.0, limit).ok_or_else(too_large)
}

/// An axis of a tensor of some rank; negative axes count from the end.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, Refusal> {
    let signed = rank as i64;
    if (-signed..signed).contains(&axis) {
        return Ok(axis.rem_euclid(signed) as usize);
    }
    Err(Refusal::invalid(format!("axis {axis} of a tensor with {rank} axes")))
}

/// Different axes, in ascending order.
pub(super) fn axes(list: &[i64], rank: usize) -> Result<Vec<usize>, Refusal> {
    let mut axes = list.iter().map(|&one| axis(one, rank)).collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    if axes.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Refusal::invalid(format!("axes {list:?} name an axis twice")));
    }
    Ok(axes)
}
