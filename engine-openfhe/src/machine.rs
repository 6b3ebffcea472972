//! What a process uses of its machine: decided here, once, for OpenFHE and for our own code.
//!
//! These settings are the whole process's: a program makes them, a library never does. Without them OpenFHE computes the
//! same, with the threads and the allocator that it finds.

use std::thread;

use openfhe_sys::kernels::{self, Code, CodeInUse};
use paf_engine::{EngineError, Result};

use crate::failed;
use crate::turns::alone;

/// What [`set_up`] has decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// The version of OpenFHE.
    pub openfhe: String,
    /// What does OpenFHE's arithmetic on limbs, and why.
    pub kernels: CodeInUse,
    /// What could do it, slowest first.
    pub available: Vec<Code>,
    /// Threads of OpenFHE's loops, which our own in the shim share, and of rayon's pool. The two never run at a time: a
    /// command is either clear or encrypted.
    pub threads: usize,
    /// Whether the allocator keeps freed limbs instead of giving them back to the system.
    pub allocator_keeps_pages: bool,
}

/// Makes this process end with a sentence and exit code 3 where OpenFHE or the shim finds no memory. A program calls it; the
/// library does not.
pub fn exit_when_out_of_memory() {
    openfhe_sys::exit_when_out_of_memory();
}

/// Sets the allocator, the threads and the kernels of this process. Call it first in `main`.
///
/// # Errors
/// [`EngineError::Environment`] if the variable `PAF_KERNELS` asks for what this process cannot use,
/// [`EngineError::Forked`].
pub fn set_up() -> Result<Machine> {
    let _turn = alone()?;
    let allocator_keeps_pages = openfhe_sys::configure_allocator();
    let threads = thread::available_parallelism().map_or(1, |count| count.get());
    openfhe_sys::set_threads(threads as u32).map_err(failed("threads"))?;
    let kernels = kernels::select_from_environment().map_err(|unavailable| EngineError::Environment {
        variable: kernels::VARIABLE,
        message: unavailable.to_string(),
    })?;
    let openfhe = openfhe_sys::openfhe_version().map_err(failed("version"))?;
    Ok(Machine { openfhe, kernels, available: kernels::available(), threads, allocator_keeps_pages })
}

/// Keeps what this process holds out of core dumps and away from debuggers of the same user: no core file whatever ends
/// it, none for a handler of crashes either. A program that makes or loads secret keys calls it before; the library does
/// not do it by itself, since it is a matter of the whole process.
///
/// # Errors
/// [`EngineError::Library`] if the system refuses.
pub fn forbid_core_dumps() -> Result<()> {
    openfhe_sys::forbid_core_dumps().map_err(failed("core dumps off"))
}
