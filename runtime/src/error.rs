//! The one error enum of this crate, and the exit code that each error has on the command line.

use std::io;
use std::path::{Path, PathBuf};

use paf_circuit::CircuitError;
use paf_files::{Bytes, io_exit_code};
use paf_ir::IrError;
use paf_ir::tensor::Shape;

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
    /// An input file is no `.npy` file, or a damaged one.
    #[error("{} is not a usable .npy file: {message}", path.display())]
    NotNpy {
        /// The file.
        path: PathBuf,
        /// What the reader found.
        message: String,
    },
    /// An input file holds numbers of another type.
    #[error("{} holds numbers of type {dtype}, inputs are float32 or float64; convert with x.astype(\"float32\"), scaled as the network expects", path.display())]
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
        /// OpenFHE's message.
        message: String,
    },
    /// OpenFHE reported an error.
    #[error("OpenFHE, {operation}: {message}")]
    OpenFhe {
        /// What was being done.
        operation: String,
        /// OpenFHE's message.
        message: String,
    },
    /// The code that a variable asks for cannot be used.
    #[error("PAF_KERNELS: {0}")]
    Kernels(openfhe_sys::kernels::Unavailable),
    /// A circuit's parameters are not what OpenFHE makes of them.
    #[error("OpenFHE does not give the circuit's parameters: {0}")]
    ParameterMismatch(String),
    /// A rotation is wider than OpenFHE's integers.
    #[error("rotation by {steps} slots is too wide")]
    RotationTooLarge {
        /// Slots.
        steps: i64,
    },
    /// A circuit contains a bootstrap, and parameters without.
    #[error("the circuit contains a bootstrap, which its parameters do not provide for")]
    BootstrapUnsupported,
    /// An engine got a linear map of a program that it was not made for.
    #[error("the engine was made for another program")]
    OtherProgram,
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
    #[error("{} holds checkpoints of an interrupted run: --resume goes on with it, removing them gives it up", folder.display())]
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
    /// A sample was asked for that an input file does not hold.
    #[error("there is no sample {sample}, the inputs hold {count}")]
    NoSuchSample {
        /// Sample number, from 0.
        sample: usize,
        /// Number of samples.
        count: usize,
    },
    /// A key or ciphertext file is intact but its content is not what its kind promises.
    #[error("{}: {message}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The machine does not have the memory that the circuit is predicted to need.
    #[error("the circuit needs about {} of memory, {} are free; --ignore-memory tries all the same", Bytes(*needed), Bytes(*available))]
    Memory {
        /// Predicted peak in bytes.
        needed: u64,
        /// Free memory in bytes.
        available: u64,
    },
    /// There is no folder for the user's settings.
    #[error("neither XDG_CONFIG_HOME nor HOME names a folder: say where to write with -o FILE")]
    NoSettingsFolder,
    /// A layout or a program was used with values that do not fit it.
    #[error(transparent)]
    Ir(#[from] IrError),
}

/// OpenFHE's text without the source file, line and function that it begins with.
pub(crate) fn openfhe_message(exception: &openfhe_sys::Exception) -> String {
    let text = exception.to_string();
    text.split_once("(): ").map_or(text.as_str(), |(_, message)| message).to_owned()
}

fn axes(shape: &Shape) -> String {
    shape.0.iter().map(|axis| format!(", {axis}")).collect()
}

/// Exit code for errors in the user's model or data.
pub const EXIT_DATA: u8 = 1;
/// Exit code for errors of the environment: memory, disk, OpenFHE.
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
            RuntimeError::OpenFhe { .. } | RuntimeError::Memory { .. } | RuntimeError::Kernels(_) => EXIT_ENVIRONMENT,
            _ => EXIT_DATA,
        }
    }

    /// Turns an exception of OpenFHE into an error that says what was being done.
    pub(crate) fn openfhe(operation: &str) -> impl Fn(openfhe_sys::Exception) -> RuntimeError + use<> {
        let operation = operation.to_owned();
        move |exception| RuntimeError::OpenFhe { operation: operation.clone(), message: openfhe_message(&exception) }
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
