//! The one error enum of this crate, and the exit codes.

use std::path::PathBuf;

use paf_adapt::RecoveryError;
use paf_circuit::CircuitError;
use paf_files::io_exit_code;
use paf_passes::PassError;

use crate::import::ImportError;

/// Why a model was not compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The ONNX file cannot be read or has something that is not supported.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// A pass refuses the model or its data.
    #[error(transparent)]
    Pass(#[from] PassError),
    /// Recovery failed, or its files are wrong.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// The calibration file cannot be used.
    #[error("{}: {problem}", path.display())]
    Calibration {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what would work.
        problem: String,
    },
    /// A command-line value has no meaning together with the others.
    #[error("{0}")]
    Usage(String),
    /// The table of a machine's costs cannot be used.
    #[error(transparent)]
    MachineCosts(CircuitError),
    /// The circuit could not be written.
    #[error(transparent)]
    Write(#[from] CircuitError),
}

impl CompileError {
    /// 1 for the user's model or data, 2 for usage, 3 for the environment.
    pub fn exit_code(&self) -> u8 {
        match self {
            CompileError::Import(ImportError::Read { source, .. }) => io_exit_code(source),
            CompileError::Recovery(error) => error.exit_code(),
            CompileError::Usage(_) | CompileError::Pass(PassError::NoSuchNode { .. }) => 2,
            CompileError::Import(_) | CompileError::Pass(_) | CompileError::Calibration { .. } => 1,
            CompileError::MachineCosts(error) => match error.problem() {
                CircuitError::Io { source, .. } => io_exit_code(source),
                _ => 1,
            },
            CompileError::Write(error) => match error.problem() {
                CircuitError::Io { source, .. } => io_exit_code(source),
                _ => 3,
            },
        }
    }
}
