//! The frame that the slots and ckks IRs share: values in order, linear maps, ports to the client, text and checks.

mod text;
mod verify;

use std::fmt::{Debug, Display};
use std::sync::Arc;

use crate::client::ClientProgram;
use crate::diagonals::PackedMap;
use crate::error::IrError;
use crate::layout::Layout;
use crate::tensor::Shape;

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
    /// What the client does to its elements before it encrypts them.
    pub scaling: InputScaling,
}

/// How the client brings the elements of an input to about [−1, 1].
#[derive(Debug, Clone, PartialEq)]
pub struct InputScaling {
    /// The client multiplies by this.
    pub scale: f64,
    /// Smallest and largest value the circuit was calibrated for.
    pub range: (f64, f64),
    /// What has a scale and a range of its own.
    pub own: OwnColumns,
}

/// Columns of an input with a scale and a range of their own, such as an income beside flags.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OwnColumns {
    /// Consecutive elements of a column.
    pub repeat: usize,
    /// Number of columns: element `i` is of column `(i / repeat) mod count`.
    pub count: usize,
    /// Those with a scale of their own, ascending; the others share the port's.
    pub columns: Vec<OwnColumn>,
}

/// A column with a scale of its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OwnColumn {
    /// Number of the column.
    pub column: usize,
    /// The client subtracts this first.
    pub offset: f64,
    /// Then it multiplies by this; 0 for a column that calibration showed to be constant.
    pub scale: f64,
    /// Smallest and largest value the circuit was calibrated for.
    pub range: (f64, f64),
}

impl OwnColumns {
    /// The own scale of an element, if it has one.
    pub fn of(&self, element: usize) -> Option<&OwnColumn> {
        if self.columns.is_empty() {
            return None;
        }
        let column = element / self.repeat % self.count;
        let place = self.columns.binary_search_by_key(&column, |own| own.column).ok()?;
        Some(&self.columns[place])
    }

    /// What is wrong with them for an input of so many elements.
    ///
    /// Empty where all share the port's scale.
    pub fn problem(&self, size: usize) -> Option<String> {
        if *self == OwnColumns::default() {
            return None;
        }
        let ascending = self.columns.windows(2).all(|pair| pair[0].column < pair[1].column);
        let is_there = self.columns.last().is_some_and(|last| last.column < self.count);
        let divides = self.repeat.checked_mul(self.count).is_some_and(|part| part > 0 && size.is_multiple_of(part));
        let is_usable = |own: &OwnColumn| {
            let (low, high) = own.range;
            own.offset.is_finite() && own.scale.is_finite() && own.scale >= 0.0 && low <= high
        };
        let fits = ascending && is_there && divides && self.columns.iter().all(is_usable);
        (!fits).then(|| "columns that do not fit it".into())
    }
}

impl InputScaling {
    /// One scale and range for all elements.
    pub fn shared(scale: f64, range: (f64, f64)) -> Self {
        InputScaling { scale, range, own: OwnColumns::default() }
    }

    /// An element as it is encrypted.
    pub fn scaled(&self, element: usize, value: f64) -> f64 {
        match self.own.of(element) {
            Some(own) => (value - own.offset) * own.scale,
            None => value * self.scale,
        }
    }

    /// Smallest and largest value of an element that the circuit was calibrated for.
    pub fn range_of(&self, element: usize) -> (f64, f64) {
        self.own.of(element).map_or(self.range, |own| own.range)
    }
}

/// What the client decrypts.
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
    /// What the client decrypts, in order.
    pub outputs: Vec<OutputPort>,
    /// What the client makes of that.
    pub client: ClientProgram,
    values: Vec<Value<O>>,
}

impl<O: Operation> Program<O> {
    /// A program without values.
    pub fn new(slots: usize, maps: Vec<PackedMap>, inputs: Vec<InputPort>) -> Self {
        Program { slots, maps, inputs, outputs: vec![], client: ClientProgram::default(), values: vec![] }
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
