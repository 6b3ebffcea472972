//! What Linux says about memory.

use std::fs;

use super::error::CommandError;

/// A number of kilobytes in a file of `/proc`, in bytes.
fn kilobytes(file: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// The most memory this process has had.
pub(crate) fn peak_bytes() -> Option<u64> {
    kilobytes("/proc/self/status", "VmHWM:")
}

/// The memory that this process has now.
pub(crate) fn current_bytes() -> Option<u64> {
    kilobytes("/proc/self/status", "VmRSS:")
}

/// Refuses to start what will not fit.
///
/// # Errors
/// [`CommandError::Memory`].
pub(crate) fn check_memory(needed: u64) -> Result<(), CommandError> {
    match kilobytes("/proc/meminfo", "MemAvailable:") {
        Some(available) if available < needed => Err(CommandError::Memory { needed, available }),
        _ => Ok(()),
    }
}
