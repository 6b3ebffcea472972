//! The ckks IR: one straight-line program on ciphertexts with every level explicit.
//!
//! A level counts the rescales that are left. The modulus of level `l` is `q_0·q_1⋯q_l`. A value *at rest* at level
//! `l` has exactly the scale `s_l`, where `s_{l−1} = s_l² / q_l` and `s_top` is the encryption scale: the sequence that
//! makes the product of two values of one level come out exactly at the next level's scale. A *product* at level `l`
//! has scale `s_l²` and awaits its rescale. So scale never drifts, and addition needs equal levels and kinds only.
//!
//! Operations with a plaintext operand (`linear`, `mul_constant`, `drop`) take an operand of any higher level: the
//! engine drops limbs first and encodes the plaintext at the scale that makes the result exact.

use std::fmt;

use crate::error::IrError;
use crate::program::{InferenceContext, MapId, OpLine, Operation, Program, ValueId};

/// A ciphertext program.
pub type CkksProgram = Program<Op>;

/// Rescales left; 0 is the last level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(pub u32);

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for Level {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Level)
    }
}

/// An operation on ciphertexts; on values of several ciphertexts it acts on each.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// The input port of this number, encrypted at this level.
    Input {
        /// Port number.
        port: u32,
        /// Level of the fresh ciphertext.
        level: Level,
    },
    /// A linear map with its plan and bias, rescaled: at rest at `level`.
    Linear {
        /// The map.
        map: MapId,
        /// Operand at rest at a level above `level`.
        input: ValueId,
        /// Level of the result.
        level: Level,
    },
    /// Slot `t` of the result is slot `t + steps` of the operand.
    Rotate {
        /// Slots to the left.
        steps: i64,
        /// Operand of two parts.
        input: ValueId,
    },
    /// `a + b`, same level and kind.
    Add(ValueId, ValueId),
    /// `a − b`, same level and kind.
    Sub(ValueId, ValueId),
    /// `a · b`, both at rest at one level, two parts each: a product of three parts.
    Mul(ValueId, ValueId),
    /// `c · x`: a product at `level`, which is at most the operand's.
    MulConstant {
        /// The constant.
        constant: f64,
        /// Operand at rest.
        input: ValueId,
        /// Level of the product.
        level: Level,
    },
    /// `x + c` in every slot, at rest or product.
    AddConstant {
        /// The constant.
        constant: f64,
        /// The operand.
        input: ValueId,
    },
    /// Three parts back to two.
    Relinearize(ValueId),
    /// A product at level `l` becomes a value at rest at level `l − 1`.
    Rescale(ValueId),
    /// A value at rest at a lower level, scale adjusted exactly.
    Drop {
        /// Operand at rest.
        input: ValueId,
        /// Level of the result, below the operand's.
        level: Level,
    },
    /// Refreshes a value at rest, of magnitude at most about 1 in every slot, to a higher level.
    Bootstrap {
        /// Operand at rest, two parts, level at least 1.
        input: ValueId,
        /// The operand repeats after this many slots, a power of two: fewer are cheaper.
        slots: usize,
        /// Level of the result.
        level: Level,
    },
}

impl CkksProgram {
    /// An output whose slots without an element may hold leftovers of inner layers: one that does not come from a linear map,
    /// which leaves zeros there.
    pub fn output_with_leftovers(&self) -> Option<&str> {
        let is_map = |mut id: ValueId| {
            while let Op::Drop { input, .. } = self.value(id).op {
                id = input;
            }
            matches!(self.value(id).op, Op::Linear { .. })
        };
        self.outputs.iter().find(|port| !is_map(port.value)).map(|port| port.name.as_str())
    }
}

/// Whether a value awaits its rescale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Scale `s_l`.
    Rest,
    /// Scale `s_l²`.
    Product,
}

/// Type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Type {
    /// Number of ciphertexts.
    pub ciphertexts: usize,
    /// Level.
    pub level: Level,
    /// Polynomials of each ciphertext: 2, or 3 before relinearization.
    pub parts: u8,
    /// At rest or product.
    pub kind: Kind,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.kind == Kind::Rest { "rest" } else { "product" };
        write!(f, "ct<{}, level {}, {} parts, {kind}>", self.ciphertexts, self.level, self.parts)
    }
}

impl Operation for Op {
    type Type = Type;

    fn name(&self) -> &'static str {
        match self {
            Op::Input { .. } => "input",
            Op::Linear { .. } => "linear",
            Op::Rotate { .. } => "rotate",
            Op::Add(..) => "add",
            Op::Sub(..) => "sub",
            Op::Mul(..) => "mul",
            Op::MulConstant { .. } => "mul_constant",
            Op::AddConstant { .. } => "add_constant",
            Op::Relinearize(_) => "relinearize",
            Op::Rescale(_) => "rescale",
            Op::Drop { .. } => "drop",
            Op::Bootstrap { .. } => "bootstrap",
        }
    }

    fn operands(&self) -> Vec<ValueId> {
        match *self {
            Op::Input { .. } => vec![],
            Op::Add(a, b) | Op::Sub(a, b) | Op::Mul(a, b) => vec![a, b],
            Op::Linear { input, .. }
            | Op::Rotate { input, .. }
            | Op::MulConstant { input, .. }
            | Op::AddConstant { input, .. }
            | Op::Drop { input, .. }
            | Op::Bootstrap { input, .. }
            | Op::Relinearize(input)
            | Op::Rescale(input) => vec![input],
        }
    }

    fn map(&self) -> Option<MapId> {
        if let Op::Linear { map, .. } = self { Some(*map) } else { None }
    }

    fn port(&self) -> Option<u32> {
        if let Op::Input { port, .. } = self { Some(*port) } else { None }
    }

    fn ciphertexts(ty: Type) -> usize {
        ty.ciphertexts
    }

    fn period(_: Type) -> Option<usize> {
        None
    }

    fn infer(&self, operands: &[Type], context: &InferenceContext<'_>) -> Result<Type, IrError> {
        let fail = |message: String| Err(IrError::ty(self.name(), message));
        match *self {
            Op::Input { port, level } => {
                let port = context.inputs.get(port as usize);
                let layout = &port.ok_or_else(|| IrError::ty("input", "there is no such port"))?.layout;
                Ok(Type { ciphertexts: layout.ciphertexts, level, parts: 2, kind: Kind::Rest })
            }
            Op::AddConstant { constant, .. } | Op::MulConstant { constant, .. } if !constant.is_finite() => {
                fail(format!("constant {constant}"))
            }
            Op::Add(..) | Op::Sub(..) => self.infer_sum(operands[0], operands[1]),
            Op::AddConstant { .. } => Ok(operands[0]),
            Op::Relinearize(_) if operands[0].parts == 3 => Ok(Type { parts: 2, ..operands[0] }),
            Op::Relinearize(_) => fail(format!("needs three parts, got {}", operands[0])),
            Op::Rescale(_) => match operands[0] {
                Type { kind: Kind::Product, level: Level(level @ 1..), .. } => {
                    Ok(Type { level: Level(level - 1), kind: Kind::Rest, ..operands[0] })
                }
                other => fail(format!("needs a product above level 0, got {other}")),
            },
            _ => self.infer_on_rest(operands, context),
        }
    }

    fn print_attributes(&self) -> String {
        match self {
            Op::Input { port, level } => format!("port={port} level={level}"),
            Op::Linear { map, level, .. } => format!("#{} level={level} ", map.0),
            Op::Rotate { steps, .. } => format!("steps={steps} "),
            Op::MulConstant { constant, level, .. } => format!("by={constant:?} level={level} "),
            Op::AddConstant { constant, .. } => format!("by={constant:?} "),
            Op::Drop { level, .. } => format!("level={level} "),
            Op::Bootstrap { slots, level, .. } => format!("slots={slots} level={level} "),
            _ => String::new(),
        }
    }

    fn parse(name: &str, line: &mut OpLine<'_, '_>) -> Result<Self, IrError> {
        Ok(match name {
            "input" => Op::Input { port: line.keyed("port")?, level: line.keyed("level")? },
            "linear" => Op::Linear { map: line.map()?, level: line.keyed("level")?, input: line.value()? },
            "rotate" => Op::Rotate { steps: line.keyed("steps")?, input: line.value()? },
            "add" => Op::Add(line.value()?, line.value()?),
            "sub" => Op::Sub(line.value()?, line.value()?),
            "mul" => Op::Mul(line.value()?, line.value()?),
            "mul_constant" => {
                Op::MulConstant { constant: line.keyed("by")?, level: line.keyed("level")?, input: line.value()? }
            }
            "add_constant" => Op::AddConstant { constant: line.keyed("by")?, input: line.value()? },
            "relinearize" => Op::Relinearize(line.value()?),
            "rescale" => Op::Rescale(line.value()?),
            "drop" => Op::Drop { level: line.keyed("level")?, input: line.value()? },
            "bootstrap" => {
                Op::Bootstrap { slots: line.keyed("slots")?, level: line.keyed("level")?, input: line.value()? }
            }
            other => return Err(line.unknown(other)),
        })
    }
}

impl Op {
    fn infer_sum(&self, a: Type, b: Type) -> Result<Type, IrError> {
        if (a.ciphertexts, a.level, a.kind) != (b.ciphertexts, b.level, b.kind) {
            return Err(IrError::ty(self.name(), format!("operands are {a} and {b}")));
        }
        Ok(Type { parts: a.parts.max(b.parts), ..a })
    }

    /// Operations whose operands must be at rest with two parts.
    fn infer_on_rest(&self, operands: &[Type], context: &InferenceContext<'_>) -> Result<Type, IrError> {
        let fail = |message: String| Err(IrError::ty(self.name(), message));
        if let Some(other) = operands.iter().find(|ty| ty.kind != Kind::Rest || ty.parts != 2) {
            return fail(format!("needs an operand of two parts at rest, got {other}"));
        }
        let x = operands[0];
        match *self {
            Op::Rotate { .. } => Ok(x),
            Op::Mul(..) if operands[0] == operands[1] && x.level.0 > 0 => {
                Ok(Type { parts: 3, kind: Kind::Product, ..x })
            }
            Op::Mul(..) => fail(format!("operands are {x} and {}, need one level above 0", operands[1])),
            Op::Linear { map, level, .. } => {
                let map = context.map(map)?;
                if level >= x.level || map.input.ciphertexts != x.ciphertexts {
                    return fail(format!("to level {level} from {x}"));
                }
                Ok(Type { ciphertexts: map.output.ciphertexts, level, ..x })
            }
            Op::MulConstant { level, .. } if level <= x.level && level.0 > 0 => {
                Ok(Type { level, kind: Kind::Product, ..x })
            }
            Op::Drop { level, .. } if level < x.level => Ok(Type { level, ..x }),
            Op::Bootstrap { slots, level, .. } if level > x.level && x.level.0 > 0 => {
                if slots.is_power_of_two() && slots <= context.slots {
                    return Ok(Type { level, ..x });
                }
                fail(format!("of {slots} slots in a program of {}", context.slots))
            }
            _ => fail(format!("does not fit {x}")),
        }
    }
}

/// A program that passed [`CkksProgram::verify`]; emission and execution take nothing else.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified(CkksProgram);

impl std::ops::Deref for Verified {
    type Target = CkksProgram;

    fn deref(&self) -> &CkksProgram {
        &self.0
    }
}

impl CkksProgram {
    /// Checks what the head of `program/verify.rs` lists (maps, types, ports and who reads them), and that results are
    /// at rest with two parts. It does not check noise.
    ///
    /// # Errors
    /// [`IrError::Invalid`] with one line a problem.
    pub fn verify(self) -> Result<Verified, IrError> {
        let mut problems = self.problems();
        for port in self.outputs.iter().filter(|port| port.value.index() < self.len()) {
            let ty = self.value(port.value).ty;
            if ty.kind != Kind::Rest || ty.parts != 2 {
                problems.push(format!("output `{}` is {ty}, must be at rest with two parts", port.name));
            }
        }
        if problems.is_empty() { Ok(Verified(self)) } else { Err(IrError::Invalid(problems)) }
    }

    /// The level fresh inputs are encrypted at, the highest of the program.
    pub fn top_level(&self) -> Level {
        self.values().map(|(_, value)| value.ty.level).max().unwrap_or(Level(0))
    }
}
