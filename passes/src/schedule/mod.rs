//! `schedule`: levels, rescales, relinearizations, and the parameters that carry them.
//!
//! Needs: a verified slots program. Then holds: a verified ckks program and parameters of at least 128-bit security that
//! have its levels.

mod cost;
mod levels;
mod parameters;

use paf_ir::ckks::{CkksProgram, Parameters, Verified};
use paf_ir::slots::SlotProgram;

use crate::error::PassError;
use cost::CostModel;
pub use parameters::Request;

/// A circuit with its parameters and predictions.
#[derive(Debug, Clone, PartialEq)]
pub struct Scheduled {
    /// The circuit.
    pub program: Verified,
    /// Its parameters.
    pub parameters: Parameters,
    /// Predicted seconds of one evaluation.
    pub seconds: f64,
    /// Predicted peak memory of a process that does everything.
    pub peak_bytes: u64,
    /// Predicted precision of the result in bits, relative to its largest value.
    pub precision_bits: f64,
}

/// Assigns levels; the result is not tied to parameters yet.
///
/// # Errors
/// [`PassError::Ir`] only for a program that was not verified.
pub fn assign_levels(slots: &SlotProgram) -> Result<CkksProgram, PassError> {
    levels::assign(slots)
}

/// Assigns levels and chooses parameters.
///
/// # Errors
/// [`PassError::TooDeep`] if no secure parameters have the levels, [`PassError::TooBig`] if none fits the memory.
pub fn schedule(slots: &SlotProgram, request: &Request) -> Result<Scheduled, PassError> {
    let program = assign_levels(slots)?;
    if !parameters::exist(&program, request) {
        return Err(PassError::TooDeep {
            needed: program.top_level().0,
            available: parameters::most_levels(program.slots, request.precision_bits),
            fitting: None,
        });
    }
    let model = CostModel::new(&program);
    let parameters = match parameters::choose(&program, &model, request) {
        Some(parameters) => parameters,
        None => {
            let needed = parameters::smallest_peak(&program, &model, request);
            return Err(PassError::TooBig { needed, limit: request.memory.unwrap_or(0) });
        }
    };
    let (seconds, peak_bytes) = (model.seconds(&parameters), model.peak_bytes(&parameters));
    let precision_bits =
        parameters::expected_precision(parameters.ring_dimension, parameters.levels, parameters.scale_bits);
    let program = program.verify()?;
    Ok(Scheduled { program, parameters, seconds, peak_bytes, precision_bits })
}
