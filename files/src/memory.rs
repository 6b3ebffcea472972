//! What Linux says about memory.

use std::fs;

/// A number of kilobytes in a file of `/proc`, in bytes.
fn kilobytes(file: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// The most memory this process has had.
pub fn peak_bytes() -> Option<u64> {
    kilobytes("/proc/self/status", "VmHWM:")
}

/// The memory that this process has now.
pub fn current_bytes() -> Option<u64> {
    kilobytes("/proc/self/status", "VmRSS:")
}

/// What the machine has free, caches that it can drop included.
pub fn available_bytes() -> Option<u64> {
    kilobytes("/proc/meminfo", "MemAvailable:")
}
