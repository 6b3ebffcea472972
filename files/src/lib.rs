//! What every file of this project needs, whatever is in it: written whole or not at all, arrays as NumPy has them,
//! numbers of bytes, checksums as text.
//!
//! * [`AtomicFile`] makes files appear whole or not at all.
//! * [`TemporaryFolder`] is a folder that vanishes, and [`remove_when_interrupted`] makes it and half-written files vanish when
//!   a signal ends the process.
//! * [`ScratchFile`] is a file without a name.
//! * [`OrExit`] is the allocator of programs that end with a sentence where there is no memory.
//! * [`ChildProgram`] is a program that was started and ends with this process.
//! * [`npy`] and [`npz`] read NumPy's arrays and allocate no more than their bytes can hold.
//! * [`BoundFile`] is a file that belongs to one run: it names what it was made with.
//! * [`Bytes`] is a number of bytes, read as `16G` and printed as `16.0 GiB`.
//!
//! Nothing here knows a format of this project; errors say what is wrong, and callers say with which file.

/// Says a line on standard error; a reader that closed it, or a full device, is no error of the program's.
#[macro_export]
macro_rules! say {
    ($($words:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($words)*);
    }};
}

mod atomic_file;
mod bound;
mod bytes;
mod child;
mod error;
mod hex;
pub mod memory;
pub mod npy;
pub mod npz;
mod out_of_memory;
mod unfinished;

pub use atomic_file::{AtomicFile, write_whole};
pub use bound::BoundFile;
pub use bytes::Bytes;
pub use child::ChildProgram;
pub use error::{FileError, io_exit_code};
pub use hex::hex;
pub use out_of_memory::OrExit;
pub use unfinished::{ScratchFile, TemporaryFolder, remove_when_interrupted};
