//! The one error enum of this crate, and the exit code that programs give to the system's errors.

use std::io;

/// What is wrong with a file; the caller knows its name.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused to read or write.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Not in NumPy's format for an array, or cut short.
    #[error("is no .npy file: {0}")]
    NotNpy(String),
    /// Not in NumPy's format for several arrays, or damaged.
    #[error("is no .npz file: {0}")]
    NotNpz(String),
    /// An array's elements are of a type that is not read.
    #[error("holds numbers of type {found}; {needed} is needed")]
    ElementType {
        /// NumPy's name of the type.
        found: String,
        /// The types that are read.
        needed: &'static str,
    },
    /// A bound file whose content cannot be understood.
    #[error("{0}")]
    Damaged(String),
    /// A bound file that was made with something else.
    #[error("was made with something else")]
    BoundToAnother,
}

/// The exit code of a program that ends with an error of the system: 1 for a wrong path or what is no text, which is the user's,
/// 3 for a disk that fails, which is not.
pub fn io_exit_code(source: &io::Error) -> u8 {
    match source.kind() {
        io::ErrorKind::NotFound
        | io::ErrorKind::IsADirectory
        | io::ErrorKind::InvalidFilename
        | io::ErrorKind::InvalidData => 1,
        _ => 3,
    }
}
