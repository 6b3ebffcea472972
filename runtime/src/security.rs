//! Whether parameters are taken that protect nothing.

use paf_scheme::{InsecureTestParameters, Parameters};

use crate::error::{Result, RuntimeError};

/// Refuses test parameters unless they are allowed: parameters come with a file, and whoever wrote it says what they are.
///
/// # Errors
/// [`RuntimeError::InsecureParameters`].
pub fn check_security(parameters: &Parameters, insecure: InsecureTestParameters) -> Result<()> {
    if insecure == InsecureTestParameters::Allow || !parameters.is_insecure() {
        return Ok(());
    }
    let &Parameters { ring_dimension, log_qp, .. } = parameters;
    Err(RuntimeError::InsecureParameters { ring_dimension, log_qp })
}
