//! Refuses to start what will not fit.

use paf_files::memory::available_bytes;

use super::error::CommandError;

/// Refuses to start what will not fit.
///
/// # Errors
/// [`CommandError::Memory`].
pub(crate) fn check_memory(needed: u64) -> Result<(), CommandError> {
    match available_bytes() {
        Some(available) if available < needed => Err(CommandError::Memory { needed, available }),
        _ => Ok(()),
    }
}
