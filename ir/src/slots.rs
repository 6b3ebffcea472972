//! The slots IR: values are slot vectors, a tensor is one or more of them under a [`Layout`](crate::Layout).
//!
//! A value of type `vec<c, p>` is `c` vectors whose content repeats with period `p`. Linear maps have become
//! diagonals with a plan, slices of overlapping windows rotations. Nothing here knows of levels or ciphertexts'
//! noise; the meaning of every operation is its effect on real slot vectors ([`evaluate`]).

use std::fmt;

use crate::error::IrError;
use crate::program::{InferenceContext, MapId, OpLine, Operation, Program, ValueId};

/// A program on slot vectors.
pub type SlotProgram = Program<Op>;

/// An operation on slot vectors; on tensors of several vectors it acts on each.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// The input port of this number.
    Input(u32),
    /// A linear map with its plan, bias included.
    Linear {
        /// The map.
        map: MapId,
        /// Its operand.
        input: ValueId,
    },
    /// Slot `t` of the result is slot `t + steps` of the operand.
    Rotate {
        /// Slots to the left.
        steps: i64,
        /// The operand.
        input: ValueId,
    },
    /// `a + b`.
    Add(ValueId, ValueId),
    /// `a − b`.
    Sub(ValueId, ValueId),
    /// `a · b` slot by slot.
    Mul(ValueId, ValueId),
    /// `c · x`.
    Scale(f64, ValueId),
    /// `x + c` in every slot.
    AddConstant(f64, ValueId),
}

/// Type of a value: how many vectors, and the period of their content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Type {
    /// Number of vectors.
    pub ciphertexts: usize,
    /// Period of the content in slots.
    pub period: usize,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vec<{}, {}>", self.ciphertexts, self.period)
    }
}

impl Operation for Op {
    type Type = Type;

    fn name(&self) -> &'static str {
        match self {
            Op::Input(_) => "input",
            Op::Linear { .. } => "linear",
            Op::Rotate { .. } => "rotate",
            Op::Add(..) => "add",
            Op::Sub(..) => "sub",
            Op::Mul(..) => "mul",
            Op::Scale(..) => "scale",
            Op::AddConstant(..) => "add_constant",
        }
    }

    fn operands(&self) -> Vec<ValueId> {
        match *self {
            Op::Input(_) => vec![],
            Op::Linear { input, .. } | Op::Rotate { input, .. } => vec![input],
            Op::Add(a, b) | Op::Sub(a, b) | Op::Mul(a, b) => vec![a, b],
            Op::Scale(_, x) | Op::AddConstant(_, x) => vec![x],
        }
    }

    fn map(&self) -> Option<MapId> {
        if let Op::Linear { map, .. } = self { Some(*map) } else { None }
    }

    fn port(&self) -> Option<u32> {
        if let Op::Input(port) = self { Some(*port) } else { None }
    }

    fn ciphertexts(ty: Type) -> usize {
        ty.ciphertexts
    }

    fn period(ty: Type) -> Option<usize> {
        Some(ty.period)
    }

    fn infer(&self, operands: &[Type], context: &InferenceContext<'_>) -> Result<Type, IrError> {
        match self {
            Op::Input(port) => {
                let port = context.inputs.get(*port as usize);
                let layout = &port.ok_or_else(|| IrError::ty("input", "there is no such port"))?.layout;
                Ok(Type { ciphertexts: layout.ciphertexts, period: layout.period })
            }
            Op::Linear { map, .. } => {
                let map = context.map(*map)?;
                let expected = Type { ciphertexts: map.input.ciphertexts, period: map.input.period };
                if operands[0] != expected {
                    return Err(IrError::ty("linear", format!("takes {expected}, got {}", operands[0])));
                }
                Ok(Type { ciphertexts: map.output.ciphertexts, period: map.output.period })
            }
            Op::Add(..) | Op::Sub(..) | Op::Mul(..) if operands[0] != operands[1] => {
                Err(IrError::ty(self.name(), format!("operands are {} and {}", operands[0], operands[1])))
            }
            Op::Scale(c, _) | Op::AddConstant(c, _) if !c.is_finite() => {
                Err(IrError::ty(self.name(), format!("constant {c}")))
            }
            _ => Ok(operands[0]),
        }
    }

    fn print_attributes(&self) -> String {
        match self {
            Op::Input(port) => format!("port={port}"),
            Op::Linear { map, .. } => format!("#{} ", map.0),
            Op::Rotate { steps, .. } => format!("steps={steps} "),
            Op::Scale(c, _) | Op::AddConstant(c, _) => format!("by={c:?} "),
            _ => String::new(),
        }
    }

    fn parse(name: &str, line: &mut OpLine<'_, '_>) -> Result<Self, IrError> {
        Ok(match name {
            "input" => Op::Input(line.keyed("port")?),
            "linear" => Op::Linear { map: line.map()?, input: line.value()? },
            "rotate" => Op::Rotate { steps: line.keyed("steps")?, input: line.value()? },
            "add" => Op::Add(line.value()?, line.value()?),
            "sub" => Op::Sub(line.value()?, line.value()?),
            "mul" => Op::Mul(line.value()?, line.value()?),
            "scale" => Op::Scale(line.keyed("by")?, line.value()?),
            "add_constant" => Op::AddConstant(line.keyed("by")?, line.value()?),
            other => return Err(line.unknown(other)),
        })
    }
}

impl SlotProgram {
    /// Checks what the head of `program/verify.rs` lists: maps, types, ports and who reads them.
    ///
    /// # Errors
    /// [`IrError::Invalid`] with one line a problem.
    pub fn verify(&self) -> Result<(), IrError> {
        let problems = self.problems();
        if problems.is_empty() { Ok(()) } else { Err(IrError::Invalid(problems)) }
    }
}

/// Slot vectors of one value.
pub type Vectors = Vec<Vec<f64>>;

/// Evaluates on samples already scaled and packed: one [`Vectors`] per input port, each vector one period or all slots
/// long. Gives the vectors of each output port.
///
/// # Errors
/// [`IrError::Eval`] if the inputs do not fit the ports.
pub fn evaluate(program: &SlotProgram, inputs: &[Vectors]) -> Result<Vec<Vectors>, IrError> {
    let mut values: Vec<Vectors> = Vec::with_capacity(program.len());
    for (_, value) in program.values() {
        let result = match &value.op {
            Op::Input(port) => {
                let given = inputs.get(*port as usize);
                repeat(given.ok_or_else(|| IrError::Eval(format!("input {port} is missing")))?, program.slots)?
            }
            Op::Linear { map, input } => program.maps[map.index()].apply(&values[input.index()], program.slots),
            op => apply(op, &values),
        };
        values.push(result);
    }
    Ok(program.outputs.iter().map(|port| values[port.value.index()].clone()).collect())
}

/// Repeats each vector to the full slot count.
///
/// # Errors
/// [`IrError::Eval`] if a length does not divide the slot count.
pub fn repeat(vectors: &[Vec<f64>], slots: usize) -> Result<Vectors, IrError> {
    let repeat_one = |vector: &Vec<f64>| {
        if vector.is_empty() || !slots.is_multiple_of(vector.len()) {
            return Err(IrError::Eval(format!("{} values do not repeat in {slots} slots", vector.len())));
        }
        Ok(vector.iter().copied().cycle().take(slots).collect())
    };
    vectors.iter().map(repeat_one).collect()
}

fn apply(op: &Op, values: &[Vectors]) -> Vectors {
    let each = |x: ValueId, f: &dyn Fn(f64) -> f64| -> Vectors {
        values[x.index()].iter().map(|vector| vector.iter().map(|v| f(*v)).collect()).collect()
    };
    match *op {
        Op::Rotate { steps, input } => {
            let rotate = |vector: &Vec<f64>| crate::diagonals::rotated_left(vector, steps, vector.len());
            values[input.index()].iter().map(rotate).collect()
        }
        Op::Add(a, b) => combine(&values[a.index()], &values[b.index()], |a, b| a + b),
        Op::Sub(a, b) => combine(&values[a.index()], &values[b.index()], |a, b| a - b),
        Op::Mul(a, b) => combine(&values[a.index()], &values[b.index()], |a, b| a * b),
        Op::Scale(c, x) => each(x, &|v| c * v),
        Op::AddConstant(c, x) => each(x, &|v| v + c),
        Op::Input(_) | Op::Linear { .. } => unreachable!("handled by the caller"),
    }
}

/// `f` on two lists of vectors, slot by slot.
pub fn combine(a: &[Vec<f64>], b: &[Vec<f64>], f: fn(f64, f64) -> f64) -> Vectors {
    a.iter().zip(b).map(|(a, b)| a.iter().zip(b).map(|(a, b)| f(*a, *b)).collect()).collect()
}
