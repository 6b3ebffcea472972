//! The one error enum of this crate.

use std::io;
use std::path::{Path, PathBuf};

use crate::Fingerprint;
use crate::container::{FileKind, KeyId};

/// Why a file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CircuitError {
    /// The file's magic is that of another kind of file, or of none of ours.
    #[error("this is {}; {needed} is needed", found_name(*found))]
    NotThisKind {
        /// What was asked for, with its article.
        needed: &'static str,
        /// What the magic says the file is; `None` for a foreign file.
        found: Option<FileKind>,
    },
    /// The file has a format version that this reader does not know.
    #[error("format version {found}, this program reads version {supported}")]
    Version {
        /// The file's version.
        found: u32,
        /// The reader's version.
        supported: u32,
    },
    /// The file ends before its content does.
    #[error("the file is cut short")]
    Truncated,
    /// A checksum does not match what it covers.
    #[error("the file is damaged: the checksum of {0} does not match")]
    Checksum(String),
    /// The bytes are intact but do not describe something valid.
    #[error("the file is not valid: {0}")]
    Malformed(String),
    /// A pipe or a device where the same bytes are read more than once.
    #[error("it is a pipe or a device, which can be read once only; save it to a file first")]
    ReadOnce,
    /// The operating system refused to read or write.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A key or ciphertext file was made for another circuit.
    #[error("made for the circuit with fingerprint {found}, not for {expected}")]
    OtherCircuit {
        /// Fingerprint of the circuit in use.
        expected: Fingerprint,
        /// Fingerprint in the file.
        found: Fingerprint,
    },
    /// A ciphertext or key file belongs to another secret key.
    #[error("made with the key {found}, not with {expected}")]
    OtherKey {
        /// The key in use.
        expected: KeyId,
        /// The key in the file.
        found: KeyId,
    },
    /// Any other variant but [`CircuitError::Io`], with the file it is about.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: Box<CircuitError>,
    },
}

impl CircuitError {
    /// The error without the path it may be wrapped in.
    pub fn problem(&self) -> &CircuitError {
        if let CircuitError::File { problem, .. } = self { problem.problem() } else { self }
    }

    pub(crate) fn into_problem(self) -> CircuitError {
        if let CircuitError::File { problem, .. } = self { problem.into_problem() } else { self }
    }

    /// The error with the file it is about, if it does not name one.
    pub fn in_file(self, path: &Path) -> Self {
        match self {
            CircuitError::Io { .. } | CircuitError::File { .. } => self,
            problem => CircuitError::File { path: path.to_owned(), problem: Box::new(problem) },
        }
    }

    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        CircuitError::Io { path: path.to_owned(), source }
    }

    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        CircuitError::Malformed(message.into())
    }
}

fn found_name(found: Option<FileKind>) -> &'static str {
    found.map_or("no file of this project", FileKind::name)
}
