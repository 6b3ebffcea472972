//! One process: threads and tables of a library do not survive `fork()`.

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{EngineError, Result};

/// The process that used the library first; 0 before.
static FIRST: AtomicU32 = AtomicU32::new(0);

/// Remembers the process of the first use. In a process that was forked after it, helper threads that a lock or a loop
/// waits for do not exist, so whatever waits for threads asks here before.
///
/// # Errors
/// [`EngineError::Forked`] in such a process.
pub fn check_process() -> Result<()> {
    check(&FIRST, process::id())
}

fn check(first: &AtomicU32, now: u32) -> Result<()> {
    match first.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed) {
        Err(parent) if parent != now => Err(EngineError::Forked { parent }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_process_of_the_first_use_goes_on() {
        let first = AtomicU32::new(0);
        assert!(check(&first, 17).is_ok() && check(&first, 17).is_ok());
        assert!(matches!(check(&first, 18), Err(EngineError::Forked { parent: 17 })));
        assert!(check_process().is_ok());
    }
}
