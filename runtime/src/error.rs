//! The one error enum of this crate, and whose fault each error is.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use paf_circuit::CircuitError;
use paf_engine::EngineError;
use paf_files::io_exit_code;
use paf_ir::IrError;
use paf_ir::tensor::Shape;

/// The result of running circuits.
pub type Result<T, E = RuntimeError> = std::result::Result<T, E>;

/// Why a circuit could not be run.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// A circuit, client, key or ciphertext file could not be read or written.
    #[error(transparent)]
    Circuit(#[from] CircuitError),
    /// A file outside the project's formats could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A file outside the project's formats could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// There is no room for temporary files.
    #[error("cannot write to the folder for temporary files, {} (TMPDIR names another one): {source}", folder.display())]
    Scratch {
        /// The folder.
        folder: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A secret key file that others than its owner may read or write.
    #[error("{} is open to others (mode {mode:03o}): run `chmod 600` on it; if it may have been read, make new keys", path.display())]
    LooseMode {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A secret key is under a passphrase, and none was given.
    #[error("the secret key is under a passphrase")]
    PassphraseNeeded,
    /// An empty passphrase protects nothing.
    #[error("the passphrase is empty")]
    NoPassphrase,
    /// A file under a passphrase cannot be opened.
    #[error("the passphrase is wrong, or the file is damaged")]
    WrongPassphrase,
    /// A secret key could not be put under a passphrase: there was no memory, or no randomness.
    #[error("the system did not give what it takes to put the secret key under a passphrase")]
    Sealing,
    /// An input file is no `.npy` file, or a damaged one.
    #[error("{} is not a usable .npy file: {message}", path.display())]
    NotNpy {
        /// The file.
        path: PathBuf,
        /// What the reader found.
        message: String,
    },
    /// An input file holds numbers of another type.
    #[error("{} holds numbers of type {dtype}, inputs are float16, float32, float64, of an integer type or bool; convert with x.astype(\"float32\"), scaled as the network expects", path.display())]
    Dtype {
        /// The file.
        path: PathBuf,
        /// NumPy's name of the type.
        dtype: String,
    },
    /// An input array does not have the shape that the circuit takes.
    #[error("{input} has shape {got}, the circuit takes [k{}] for k samples", axes(expected))]
    InputShape {
        /// The input's name in the model.
        input: String,
        /// Shape of one sample.
        expected: Shape,
        /// Shape of the array.
        got: Shape,
    },
    /// The number of input arrays is not the number of inputs of the circuit.
    #[error("the circuit has {} inputs ({}), got {got}", expected.len(), expected.join(", "))]
    InputCount {
        /// Names of the inputs.
        expected: Vec<String>,
        /// Number of arrays.
        got: usize,
    },
    /// Input arrays of several inputs hold different numbers of samples.
    #[error("the inputs hold different numbers of samples: {0:?}")]
    SampleCounts(Vec<usize>),
    /// There is nothing to do.
    #[error("{0} holds no samples")]
    NoSamples(String),
    /// An input value is NaN or infinite.
    #[error("{input}, sample {sample}, element {element}: the value is {value}")]
    NotFinite {
        /// The input's name in the model.
        input: String,
        /// Sample number, from 0.
        sample: usize,
        /// Element number in the sample, row-major.
        element: usize,
        /// The value.
        value: f64,
    },
    /// An input value lies outside the range that the circuit was calibrated for: its polynomials mean nothing there.
    #[error("{input}, sample {sample}, element {element}: {value} is outside the calibrated range [{}, {}]; check the preprocessing, or compile with calibration data that covers it", range.0, range.1)]
    OutOfRange {
        /// The input's name in the model.
        input: String,
        /// Sample number, from 0.
        sample: usize,
        /// Element number in the sample, row-major.
        element: usize,
        /// The value.
        value: f64,
        /// The range.
        range: (f64, f64),
    },
    /// A result is NaN, infinite or absurdly large: a value has left the range of a polynomial. Not every caller takes
    /// this for an error.
    #[error("sample {sample}: output {output} holds {value}; a value left the range that its polynomial was made for")]
    Diverged {
        /// The output's name in the model.
        output: String,
        /// Sample number, from 0.
        sample: usize,
        /// The value.
        value: f64,
    },
    /// A result cannot be decrypted: its values or its noise exceed the modulus.
    #[error(
        "sample {sample}: output {output} cannot be decrypted, a value left the range that its polynomial was made for ({message})"
    )]
    Undecryptable {
        /// The output's name in the model.
        output: String,
        /// Sample number, from 0.
        sample: usize,
        /// The engine's message.
        message: String,
    },
    /// Parameters are for tests, and whoever uses them did not say so.
    #[error("the parameters are for tests and protect nothing: N = {ring_dimension}, log2(QP) = {log_qp}")]
    InsecureParameters {
        /// Ring dimension.
        ring_dimension: usize,
        /// Bits of Q·P.
        log_qp: u32,
    },
    /// An engine did not do what it was asked for.
    #[error(transparent)]
    Engine(EngineError),
    /// An observer stopped the work: what was in memory is freed, and no file was written.
    #[error("cancelled")]
    Cancelled,
    /// The number of ciphertexts of an input is not what its port takes.
    #[error("the circuit takes {expected:?} ciphertexts per input, got {got:?}")]
    CiphertextCount {
        /// By input port.
        expected: Vec<usize>,
        /// By input port.
        got: Vec<usize>,
    },
    /// An evaluation was to go on with values that are not those alive at that place, or to end before its end.
    #[error("these are not the values that operation {position} of the program needs")]
    NotAlive {
        /// Operations done.
        position: usize,
    },
    /// A folder for new checkpoints holds some of an interrupted run.
    #[error("{} holds checkpoints of an interrupted run: go on with it, or remove them to give it up", folder.display())]
    CheckpointsExist {
        /// The folder.
        folder: PathBuf,
    },
    /// Another process works with the checkpoints of a folder.
    #[error("{} is in use by another process: give each evaluation a folder of its own, or wait", folder.display())]
    CheckpointsInUse {
        /// The folder.
        folder: PathBuf,
    },
    /// A checkpoint was written by a run with another circuit or input file.
    #[error("{} is a checkpoint of a run with another {other}", path.display())]
    OtherRun {
        /// The checkpoint.
        path: PathBuf,
        /// What is not the same: `circuit` or `input file`.
        other: &'static str,
    },
    /// Results were computed from other encrypted inputs than those they are to be for.
    #[error("{}: these are results of other inputs than {}", results.display(), inputs.display())]
    OtherInputs {
        /// The results.
        results: PathBuf,
        /// The inputs.
        inputs: PathBuf,
    },
    /// Results hold leftovers of inner layers beside an output.
    #[error("output {output} does not come from a linear map, and what stands beside it is of inner layers")]
    Leftovers {
        /// The output.
        output: String,
    },
    /// A key or ciphertext file is intact but its content is not what its kind promises.
    #[error("{}: {message}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A layout or a program was used with values that do not fit it.
    #[error(transparent)]
    Ir(#[from] IrError),
}

impl From<EngineError> for RuntimeError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Cancelled => RuntimeError::Cancelled,
            other => RuntimeError::Engine(other),
        }
    }
}

fn axes(shape: &Shape) -> String {
    shape.0.iter().map(|axis| format!(", {axis}")).collect()
}

/// Exit code for errors in the user's model or data.
pub const EXIT_DATA: u8 = 1;
/// Exit code for errors of the environment: memory, disk, the library behind an engine.
pub const EXIT_ENVIRONMENT: u8 = 3;

impl RuntimeError {
    /// The exit code of a command that ends with this error: [`EXIT_DATA`] or [`EXIT_ENVIRONMENT`].
    pub fn exit_code(&self) -> u8 {
        match self {
            RuntimeError::Read { source, .. } | RuntimeError::Write { source, .. } => io_exit_code(source),
            RuntimeError::Circuit(error) => match error.problem() {
                CircuitError::Io { source, .. } => io_exit_code(source),
                _ => EXIT_DATA,
            },
            RuntimeError::Scratch { .. } | RuntimeError::Sealing => EXIT_ENVIRONMENT,
            RuntimeError::Engine(
                EngineError::Library { .. } | EngineError::Environment { .. } | EngineError::Forked { .. },
            ) => EXIT_ENVIRONMENT,
            _ => EXIT_DATA,
        }
    }

    /// [`RuntimeError::Cancelled`] for a break.
    pub(crate) fn unless_cancelled(flow: ControlFlow<()>) -> Result<()> {
        if flow.is_break() { Err(RuntimeError::Cancelled) } else { Ok(()) }
    }

    /// What an engine says about bytes, as an error about what holds them.
    pub(crate) fn in_content(path: &Path) -> impl Fn(EngineError) -> RuntimeError + use<> {
        let path = path.to_owned();
        move |error| match error {
            EngineError::Damaged(message) => RuntimeError::content(&path, message),
            EngineError::OtherKey => RuntimeError::content(&path, EngineError::OtherKey.to_string()),
            other => other.into(),
        }
    }

    pub(crate) fn scratch(source: io::Error) -> RuntimeError {
        RuntimeError::Scratch { folder: std::env::temp_dir(), source }
    }

    pub(crate) fn read(path: &Path) -> impl Fn(io::Error) -> RuntimeError + use<> {
        let path = path.to_owned();
        move |source| RuntimeError::Read { path: path.clone(), source }
    }

    pub(crate) fn write(path: &Path) -> impl Fn(io::Error) -> RuntimeError + use<> {
        let path = path.to_owned();
        move |source| RuntimeError::Write { path: path.clone(), source }
    }

    pub(crate) fn content(path: &Path, message: impl Into<String>) -> RuntimeError {
        RuntimeError::Content { path: path.to_owned(), message: message.into() }
    }
}
