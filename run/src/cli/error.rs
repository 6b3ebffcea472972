//! Why a command ends, in the words of the command line, and its exit code.

use std::num::NonZeroU32;
use std::path::PathBuf;

use paf_circuit::CircuitError;
use paf_engine::EngineError;
use paf_files::Bytes;
use paf_oracle::OracleError;
use paf_runtime::{EXIT_DATA, EXIT_ENVIRONMENT, RuntimeError};

/// The result of a command.
pub(crate) type Result<T, E = CommandError> = std::result::Result<T, E>;

/// Exit code after Ctrl-C.
const EXIT_INTERRUPTED: u8 = 130;

/// Why a command ends without having done what was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// The library says why.
    #[error("{source}{}", hint(source))]
    Runtime {
        /// What it says.
        source: RuntimeError,
    },
    /// The machine does not have the memory that the circuit is predicted to need.
    #[error("the circuit needs about {} of memory, {} are free; --ignore-memory tries all the same", Bytes(*needed), Bytes(*available))]
    Memory {
        /// Predicted peak in bytes.
        needed: u64,
        /// Free memory in bytes.
        available: u64,
    },
    /// Both keys cannot be in one file.
    #[error("--secret and --public both name {}: the secret key would be lost, or go to the server", .0.display())]
    SameFile(PathBuf),
    /// A key would be replaced.
    #[error("{} is there already: --force replaces it, and what was encrypted for it is lost", .0.display())]
    KeyExists(PathBuf),
    /// A passphrase was to be typed twice.
    #[error("the two passphrases are not the same")]
    OtherPassphrase,
    /// Ctrl-C where a passphrase was asked for.
    #[error("interrupted")]
    Interrupted,
    /// A passphrase cannot be asked for.
    #[error("no terminal to ask for the passphrase on ({0}): --passphrase-file FILE reads it from a file")]
    NoTerminal(std::io::Error),
    /// A file of a passphrase that holds none.
    #[error("{}: {problem}", path.display())]
    PassphraseFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Scores are to be shared more precisely than the noise allows.
    #[error("--share {bits}: the results have about {precision:.1} bits, {}", shareable(*most))]
    TooManyBits {
        /// Asked for.
        bits: u32,
        /// The most there are.
        most: u32,
        /// Predicted precision.
        precision: f64,
    },
    /// Flooding leaves nothing of the results.
    #[error("--flood {seen}: takes {bits:.1} bits, the results have about {precision:.1}; --share without --flood")]
    Flooded {
        /// How many results others may see.
        seen: NonZeroU32,
        /// What flooding takes.
        bits: f64,
        /// Predicted precision.
        precision: f64,
    },
    /// A single number has no class.
    #[error("--share class: output {0} tells more than a class; --share BITS rounds what it is computed from")]
    NoClass(String),
    /// There is no folder for the user's settings.
    #[error("neither XDG_CONFIG_HOME nor HOME names a folder: say where to write with -o FILE")]
    NoSettingsFolder,
    /// A sample was asked for that the inputs do not hold.
    #[error("there is no sample {sample}, the inputs hold {count}")]
    NoSuchSample {
        /// Sample number, from 0.
        sample: usize,
        /// Number of samples.
        count: usize,
    },
    /// A file of labels does not fit.
    #[error("{path}: {problem}")]
    Labels {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The original network does not run.
    #[error("{0}")]
    Original(#[from] OracleError),
    /// A network was named as the original that has other outputs.
    #[error("the circuit was made of another model: its outputs hold {expected:?} values, those of --model {got:?}")]
    OtherModel {
        /// Values of each output of the circuit.
        expected: Vec<usize>,
        /// Of the model.
        got: Vec<usize>,
    },
    /// A layer of an encrypted evaluation agrees with the clear one to fewer bits than was asked for.
    #[error("layer {layer} agrees with the clear run to {bits:.1} bits, fewer than {least}")]
    Imprecise {
        /// The ONNX node.
        layer: String,
        /// Bits of agreement.
        bits: f64,
        /// Bits asked for.
        least: f64,
    },
    /// A layer of an encrypted evaluation is far under what the noise model, and so the compiler, expects.
    #[error(
        "layer {layer} agrees with the clear run to {bits:.1} bits on average, far fewer than the {expected:.1} expected"
    )]
    Unexpected {
        /// The ONNX node.
        layer: String,
        /// Bits of agreement on average.
        bits: f64,
        /// By the noise model.
        expected: f64,
    },
}

/// What may be shared of the bits that there are.
fn shareable(most: u32) -> String {
    match most {
        0 => "none of which can be shared without showing the noise; --share class".to_owned(),
        _ => {
            format!("of which {most} can be shared without showing the noise; --share {most} or less, or --share class")
        }
    }
}

impl CommandError {
    /// The exit code of the program.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            CommandError::Runtime { source } => source.exit_code(),
            CommandError::Memory { .. } | CommandError::NoTerminal(_) => EXIT_ENVIRONMENT,
            CommandError::Interrupted => EXIT_INTERRUPTED,
            _ => EXIT_DATA,
        }
    }
}

impl From<RuntimeError> for CommandError {
    fn from(source: RuntimeError) -> Self {
        CommandError::Runtime { source }
    }
}

impl From<CircuitError> for CommandError {
    fn from(error: CircuitError) -> Self {
        RuntimeError::from(error).into()
    }
}

impl From<EngineError> for CommandError {
    fn from(error: EngineError) -> Self {
        RuntimeError::from(error).into()
    }
}

/// The argument that helps.
fn hint(error: &RuntimeError) -> &'static str {
    match error {
        RuntimeError::Leftovers { .. } => "; compile the network with --sanitize",
        RuntimeError::CheckpointsExist { .. } => "; --resume DIR goes on with it",
        RuntimeError::InsecureParameters { .. } => {
            "; compile the network without --insecure-test-parameters; a test of what needs no protection gives that option here too"
        }
        _ => "",
    }
}
