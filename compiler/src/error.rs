//! Why a model is not compiled, and the exit code of each reason.

use std::path::PathBuf;

use paf_adapt::RecoveryError;
use paf_circuit::CircuitError;
use paf_files::{Bytes, io_exit_code};
use paf_import::ImportError;
use paf_passes::PassError;
use paf_passes::paf::NoSuchPaf;
use paf_runtime::RuntimeError;

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
    /// The compilation itself would take more memory than it may.
    #[error(
        "compiling it takes about {} of memory, and {} may be used; {}",
        Bytes(*needed),
        Bytes(*allowed),
        what_fits(*samples, *fitting)
    )]
    Memory {
        /// Bytes that it takes, about.
        needed: u64,
        /// Bytes that it may take.
        allowed: u64,
        /// Calibration samples.
        samples: usize,
        /// The most samples with which it fits, if it does with any.
        fitting: Option<usize>,
    },
    /// Options that have no meaning, or none together.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The table of a machine's costs cannot be used.
    #[error(transparent)]
    MachineCosts(CircuitError),
    /// The circuit does not run on plain numbers.
    #[error(transparent)]
    Run(#[from] RuntimeError),
    /// The circuit could not be written.
    #[error(transparent)]
    Write(#[from] CircuitError),
}

/// Options that have no meaning, or none together.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OptionsError {
    /// There is no such PAF.
    #[error(transparent)]
    UnknownPaf(#[from] NoSuchPaf),
    /// A choice of PAFs is asked for one node.
    #[error("a PAF can only be chosen for all nodes, not for `{node}` alone; single nodes may be excepted")]
    ChoiceForOneNode {
        /// The node.
        node: String,
    },
    /// A choice of PAFs without a bound.
    #[error("a choice of PAFs needs a bound of its error or of its levels")]
    ChoiceWithoutGoal,
    /// A choice of PAFs with two bounds.
    #[error("a choice of PAFs takes a bound either of its error or of its levels")]
    TwoGoals,
    /// A bound for a choice of PAFs that is not asked for.
    #[error("a bound of error or levels is what a choice of PAFs aims for, and none is asked for")]
    GoalWithoutChoice,
    /// A bound of the error that is none.
    #[error("an error of at most {0}: a number above 0 and at most 1 is needed")]
    MaxError(f64),
    /// A choice of PAFs without samples to measure errors on.
    #[error("a choice of PAFs measures errors on samples, and there are none")]
    ChoiceWithoutSamples,
    /// Built-in recovery without data.
    #[error("recovery needs data: named in its configuration, or as calibration samples")]
    RecoveryWithoutData,
}

/// What would help a compilation that takes too much memory.
fn what_fits(samples: usize, fitting: Option<usize>) -> String {
    match fitting {
        Some(fitting) => format!("with {fitting} of the {samples} calibration samples it fits"),
        None => "that takes more memory, a smaller input or fewer channels".to_owned(),
    }
}

impl CompileError {
    /// 1 for the user's model or data, 2 for usage, 3 for the environment.
    pub fn exit_code(&self) -> u8 {
        match self {
            CompileError::Import(ImportError::Read { source, .. }) => io_exit_code(source),
            CompileError::Recovery(error) => error.exit_code(),
            CompileError::Options(_) | CompileError::Pass(PassError::NoSuchNode { .. }) => 2,
            CompileError::Memory { .. } => 3,
            CompileError::Import(_) | CompileError::Pass(_) | CompileError::Calibration { .. } => 1,
            CompileError::Run(error) => error.exit_code(),
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
