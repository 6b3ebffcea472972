//! What evaluates: the operations of the ckks IR on one engine's ciphertexts.
//!
//! A linear map with its plan and a bootstrap are one operation each, so that an engine may evaluate them as it likes.
//! Order, copies and lifetimes are the caller's.

use paf_ir::ckks::{Level, Type};
use paf_ir::diagonals::PackedMap;
use paf_ir::program::MapId;
use paf_scheme::EngineProfile;

use crate::Result;

/// A linear map where it stands in a program.
#[derive(Debug, Clone, Copy)]
pub struct LinearStep<'p> {
    /// Number of the map in its program.
    pub id: MapId,
    /// The map with layouts and plan.
    pub map: &'p PackedMap,
    /// Level of the operand.
    pub from: Level,
    /// Level of the result.
    pub to: Level,
}

/// Operations on ciphertexts. Types are those that the verifier proved for the operands, of one ciphertext each.
pub trait Evaluator {
    /// The engine whose operations these are.
    const PROFILE: &'static EngineProfile;

    /// One ciphertext.
    type Ciphertext;

    /// A second ciphertext of the same content.
    ///
    /// # Errors
    /// What the engine reports.
    fn duplicate(&self, input: &Self::Ciphertext) -> Result<Self::Ciphertext>;

    /// A linear map with its bias, rescaled, on all ciphertexts of a value.
    ///
    /// # Errors
    /// What the engine reports.
    fn linear(&self, step: LinearStep<'_>, inputs: &[Self::Ciphertext]) -> Result<Vec<Self::Ciphertext>>;

    /// Slot `t` of the result is slot `t + steps` of the operand.
    ///
    /// # Errors
    /// What the engine reports.
    fn rotate(&self, input: &Self::Ciphertext, steps: i64, ty: Type) -> Result<Self::Ciphertext>;

    /// `left + right`.
    ///
    /// # Errors
    /// What the engine reports.
    fn add(&self, left: Self::Ciphertext, right: &Self::Ciphertext) -> Result<Self::Ciphertext>;

    /// `left − right`.
    ///
    /// # Errors
    /// What the engine reports.
    fn sub(&self, left: Self::Ciphertext, right: &Self::Ciphertext) -> Result<Self::Ciphertext>;

    /// `left · right`, a product of three parts.
    ///
    /// # Errors
    /// What the engine reports.
    fn mul(&self, left: &Self::Ciphertext, right: &Self::Ciphertext) -> Result<Self::Ciphertext>;

    /// `input²`, a product of three parts.
    ///
    /// # Errors
    /// What the engine reports.
    fn square(&self, input: &Self::Ciphertext) -> Result<Self::Ciphertext>;

    /// `constant · input`, a product at `level`.
    ///
    /// # Errors
    /// What the engine reports.
    fn mul_constant(&self, input: Self::Ciphertext, constant: f64, ty: Type, level: Level) -> Result<Self::Ciphertext>;

    /// `input + constant`, at rest or a product as `ty` says.
    ///
    /// # Errors
    /// What the engine reports.
    fn add_constant(&self, input: Self::Ciphertext, constant: f64, ty: Type) -> Result<Self::Ciphertext>;

    /// Three parts back to two.
    ///
    /// # Errors
    /// What the engine reports.
    fn relinearize(&self, input: Self::Ciphertext, ty: Type) -> Result<Self::Ciphertext>;

    /// A product at a level becomes a value at rest one level lower.
    ///
    /// # Errors
    /// What the engine reports.
    fn rescale(&self, input: Self::Ciphertext, ty: Type) -> Result<Self::Ciphertext>;

    /// A value at rest at a lower level.
    ///
    /// # Errors
    /// What the engine reports.
    fn drop_to(&self, input: Self::Ciphertext, ty: Type, level: Level) -> Result<Self::Ciphertext>;

    /// Refreshes a value at rest, which repeats after `slots` slots, to a higher level.
    ///
    /// # Errors
    /// [`EngineError::BootstrapUnsupported`](crate::EngineError::BootstrapUnsupported) where the engine cannot.
    fn bootstrap(&self, input: Self::Ciphertext, ty: Type, slots: usize, level: Level) -> Result<Self::Ciphertext>;
}
