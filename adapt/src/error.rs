//! Why nothing is recovered, and the exit code of each reason.

use std::io;
use std::path::{Path, PathBuf};

use paf_files::{FileError, io_exit_code};
use paf_import::ImportError;
use paf_ir::IrError;
use paf_passes::PassError;
use paf_passes::paf::NoSuchPaf;

/// Why nothing was recovered.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The ONNX file cannot be read or has something that is not supported.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// A pass refuses the network or its data.
    #[error(transparent)]
    Pass(#[from] PassError),
    /// A PAF has no such name or no such coefficients.
    #[error(transparent)]
    Paf(#[from] NoSuchPaf),
    /// The tensor graph refuses an operation.
    #[error(transparent)]
    Ir(#[from] IrError),
    /// A file of the user's has wrong content: data, configuration or PAFs.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what would work.
        problem: String,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Data that do not fit the network.
    #[error("{0}")]
    Data(String),
    /// Steps or options that do not fit the network or each other.
    #[error("{0}")]
    Usage(String),
    /// The network itself cannot be recovered as asked.
    #[error("node `{node}`: {problem}")]
    Node {
        /// The ONNX node.
        node: String,
        /// What is wrong.
        problem: String,
    },
    /// A training step diverged or got nowhere.
    #[error("{step}: {problem}")]
    Training {
        /// The step.
        step: &'static str,
        /// What happened.
        problem: String,
    },
    /// No mix of PAFs keeps the bounds that the search was given.
    #[error("search: {0}")]
    Search(String),
    /// A step trains, and whoever asks for the recovery has no training.
    #[error("step `{step}`: it trains, and there is no training")]
    NoTraining {
        /// The step.
        step: &'static str,
    },
    /// Whoever listened has stopped the work; nothing was written but checkpoints.
    #[error("stopped")]
    Stopped,
    /// The external command failed.
    #[error("recovery command `{command}`: {problem}")]
    Command {
        /// The command line.
        command: String,
        /// Its last words.
        problem: String,
    },
}

impl RecoveryError {
    /// Wrong content of a file.
    pub fn file(path: &Path, problem: impl Into<String>) -> Self {
        RecoveryError::File { path: path.to_owned(), problem: problem.into() }
    }

    /// A checkpoint that cannot be understood.
    pub fn damaged_checkpoint(path: &Path, problem: String) -> Self {
        RecoveryError::file(path, format!("is no usable checkpoint: {problem}; remove it to start anew"))
    }

    /// A checkpoint of something else.
    fn checkpoint_of_another_run(path: &Path) -> Self {
        let problem =
            "belongs to a run with another network, other data or another configuration; remove it to start anew";
        RecoveryError::file(path, problem)
    }

    /// For `map_err` on results of reading a checkpoint.
    pub fn checkpoint(path: &Path) -> impl FnOnce(FileError) -> Self + '_ {
        move |error| match error {
            FileError::Io(source) => RecoveryError::io(path)(source),
            FileError::BoundToAnother => RecoveryError::checkpoint_of_another_run(path),
            other => RecoveryError::damaged_checkpoint(path, other.to_string()),
        }
    }

    /// For `map_err` on I/O results.
    pub fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |source| RecoveryError::Io { path: path.to_owned(), source }
    }

    /// 1 for the user's model or data, 2 for usage, 3 for the environment.
    pub fn exit_code(&self) -> u8 {
        match self {
            RecoveryError::Io { source, .. } | RecoveryError::Import(ImportError::Read { source, .. }) => {
                io_exit_code(source)
            }
            RecoveryError::Usage(_) | RecoveryError::NoTraining { .. } => 2,
            _ => 1,
        }
    }
}
