//! The frame that the slots and ckks IRs share: values in order, linear maps, ports to the client, text and checks.

mod text;
mod verify;

use std::fmt::{Debug, Display};
use std::sync::Arc;

use crate::diagonals::PackedMap;
use crate::error::IrError;
use crate::layout::Layout;
use crate::tensor::{PostProcess, Shape};

pub use text::OpLine;

/// Index of a value in its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub u32);

impl ValueId {
    /// The index as a `usize`.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Index of a linear map in its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MapId(pub u32);

impl MapId {
    /// The index as a `usize`.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// What an operation set must say about itself to live in a [`Program`].
pub trait Operation: Clone + Debug + PartialEq {
    /// The type of a value.
    type Type: Copy + Debug + Display + PartialEq;

    /// The operation's name in the text form.
    fn name(&self) -> &'static str;
    /// Operands in order.
    fn operands(&self) -> Vec<ValueId>;
    /// The result's type, from the operands' types.
    ///
    /// # Errors
    /// [`IrError::Type`] if the operation is not defined for them.
    fn infer(&self, operands: &[Self::Type], context: &InferenceContext<'_>) -> Result<Self::Type, IrError>;
    /// Attributes in the text form, each followed by a space.
    fn print_attributes(&self) -> String;
    /// Reads attributes and operands back.
    ///
    /// # Errors
    /// [`IrError::Parse`].
    fn parse(name: &str, line: &mut OpLine<'_, '_>) -> Result<Self, IrError>;
    /// The linear map the operation applies.
    fn map(&self) -> Option<MapId>;
    /// The input port the operation reads.
    fn port(&self) -> Option<u32>;
    /// Number of ciphertexts of a value.
    fn ciphertexts(ty: Self::Type) -> usize;
    /// Slots after which a value's content repeats, where the type knows.
    fn period(ty: Self::Type) -> Option<usize>;
}

/// What inference may look at besides operand types.
pub struct InferenceContext<'p> {
    /// Slots of a ciphertext.
    pub slots: usize,
    /// Linear maps of the program.
    pub maps: &'p [PackedMap],
    /// Input ports of the program.
    pub inputs: &'p [InputPort],
}

impl InferenceContext<'_> {
    /// A map by id.
    ///
    /// # Errors
    /// [`IrError::Type`] if there is none.
    pub fn map(&self, id: MapId) -> Result<&PackedMap, IrError> {
        self.maps.get(id.index()).ok_or_else(|| IrError::ty("linear", format!("no map #{}", id.0)))
    }
}

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub struct Value<O: Operation> {
    /// What it is for: the ONNX node it came from.
    pub name: Arc<str>,
    /// What computes it.
    pub op: O,
    /// Its type.
    pub ty: O::Type,
}

/// An input of the circuit, as the client sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct InputPort {
    /// Name in the model.
    pub name: String,
    /// Shape of one sample, without the batch axis.
    pub shape: Shape,
    /// Where its elements lie in slots.
    pub layout: Layout,
    /// The client multiplies by this before it encrypts.
    pub scale: f64,
    /// Smallest and largest value the circuit was calibrated for.
    pub range: (f64, f64),
}

/// A result of the circuit, as the client sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputPort<V = ValueId> {
    /// Name in the model.
    pub name: String,
    /// The value that holds it.
    pub value: V,
    /// Shape of one sample's result, without the batch axis.
    pub shape: Shape,
    /// Where its elements lie in slots.
    pub layout: Layout,
    /// The client multiplies by this after it decrypts.
    pub scale: f64,
    /// What the client applies then; axes count in `shape`.
    pub post: PostProcess,
}

/// A straight-line program over slot vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct Program<O: Operation> {
    /// Slots of a ciphertext, a power of two.
    pub slots: usize,
    /// Linear maps with their plans.
    pub maps: Vec<PackedMap>,
    /// Inputs in order.
    pub inputs: Vec<InputPort>,
    /// Results in order.
    pub outputs: Vec<OutputPort>,
    values: Vec<Value<O>>,
}

impl<O: Operation> Program<O> {
    /// A program without values.
    pub fn new(slots: usize, maps: Vec<PackedMap>, inputs: Vec<InputPort>) -> Self {
        Program { slots, maps, inputs, outputs: vec![], values: vec![] }
    }

    /// All values in order.
    pub fn values(&self) -> impl Iterator<Item = (ValueId, &Value<O>)> {
        self.values.iter().enumerate().map(|(index, value)| (ValueId(index as u32), value))
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// One value.
    pub fn value(&self, id: ValueId) -> &Value<O> {
        &self.values[id.index()]
    }

    /// Appends an operation; its type follows from its operands.
    ///
    /// # Errors
    /// [`IrError::Type`] if the operation is not defined for them.
    pub fn push(&mut self, name: impl Into<Arc<str>>, op: O) -> Result<ValueId, IrError> {
        let ty = self.infer(&op, self.values.len())?;
        self.values.push(Value { name: name.into(), op, ty });
        Ok(ValueId(self.values.len() as u32 - 1))
    }

    fn infer(&self, op: &O, before: usize) -> Result<O::Type, IrError> {
        let mut types = Vec::new();
        for operand in op.operands() {
            if operand.index() >= before {
                return Err(IrError::ty(op.name(), format!("operand %{} does not come before", operand.0)));
            }
            types.push(self.values[operand.index()].ty);
        }
        op.infer(&types, &InferenceContext { slots: self.slots, maps: &self.maps, inputs: &self.inputs })
    }

    /// For each value, the last value that reads it (itself if none, the end if it is an output).
    pub fn last_uses(&self) -> Vec<usize> {
        let mut last: Vec<usize> = (0..self.values.len()).collect();
        for (id, value) in self.values() {
            for operand in value.op.operands() {
                last[operand.index()] = id.index();
            }
        }
        for output in &self.outputs {
            last[output.value.index()] = self.values.len();
        }
        last
    }
}
