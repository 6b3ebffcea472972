//! Programs without memory end with a sentence, not with a signal.

#![allow(unsafe_code, reason = "an allocator is asked for and given raw memory")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write as _;

use signal_hook::low_level;

/// Exit code of a program that the system gives no more memory: that of the environment.
const EXIT: i32 = 3;

/// The system's allocator, which ends the process where there is no memory left. A program declares it as its
/// `#[global_allocator]`; a library never does.
///
/// Rust's own answer is to abort, which leaves a core dump.
#[derive(Debug, Clone, Copy, Default)]
pub struct OrExit;

/// What was asked for, or the end of the process.
fn given(memory: *mut u8, bytes: usize) -> *mut u8 {
    if !memory.is_null() {
        return memory;
    }
    // Formatted on the stack: there is nothing to allocate with.
    let mut text = [0; 128];
    let mut rest = &mut text[..];
    let _ = writeln!(rest, "error: out of memory, {bytes} bytes were needed");
    let unused = rest.len();
    let _ = std::io::stderr().write_all(&text[..text.len() - unused]);
    low_level::exit(EXIT)
}

// SAFETY: all memory is the system allocator's, under the layouts that were asked for.
unsafe impl GlobalAlloc for OrExit {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are those that `System` asks for.
        given(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        given(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        given(unsafe { System.realloc(memory, layout, size) }, size)
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}
