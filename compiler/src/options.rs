//! What to compile and how.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use paf_import::{ModelSource, TrailingFunctions};
pub use paf_passes::approximate::{DEFAULT_FUNCTION_ERROR, Margin, Reduction};
use paf_passes::decisions::CalibrationSamples;
pub use paf_passes::paf::DEFAULT_PAF;
pub use paf_passes::schedule::{Bootstraps, DEFAULT_PRECISION};
use paf_scheme::{EngineProfile, MachineCosts};

/// A choice of PAF, for every node or for one.
#[derive(Debug, Clone, PartialEq)]
pub struct PafChoice {
    /// The node; `None` for all.
    pub node: Option<String>,
    /// Name of the PAF.
    pub paf: String,
}

impl std::str::FromStr for PafChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (node, paf) = match text.rsplit_once('=') {
            Some((node, paf)) => (Some(node.to_owned()), paf),
            None => (None, text),
        };
        if paf.is_empty() || node.as_deref() == Some("") {
            return Err("expected NAME or NODE=NAME".into());
        }
        Ok(PafChoice { node, paf: paf.to_owned() })
    }
}

/// A step of the pipeline, after which compilation can stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum PipelineStep {
    /// ONNX to the tensor graph.
    Import,
    /// The accuracy-recovery hook.
    Recover,
    /// Linear operations melt into each other.
    Fold,
    /// ReLU and MaxPool become polynomials.
    Approximate,
    /// Least multiplicative depth.
    Optimize,
    /// Tensors to slots.
    Pack,
    /// Levels and parameters.
    Schedule,
    /// The circuit file.
    Emit,
}

/// Where weights, PAFs and scales come from, if not from the model and the calibration alone.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Recovery {
    /// Nowhere else.
    #[default]
    None,
    /// A `model.paf.json` beside the model.
    PafFile(PathBuf),
    /// The built-in recovery, by a configuration.
    BuiltIn(PathBuf),
    /// An external command: program and arguments, split at spaces.
    Command(String),
}

/// The ONNX model.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelInput {
    /// A file, with files of weights beside it if it has such.
    File(PathBuf),
    /// Bytes.
    Source(ModelSource),
}

impl ModelInput {
    /// What messages call it.
    pub fn origin(&self) -> &Path {
        match self {
            ModelInput::File(path) => path,
            ModelInput::Source(source) => &source.origin,
        }
    }
}

/// Typical inputs.
#[derive(Debug, Clone, PartialEq)]
pub enum Calibration {
    /// One `.npy` file an input of the model, in order: `[k, sample shape…]`; none for no samples.
    Files(Vec<PathBuf>),
    /// Samples themselves.
    Samples(CalibrationSamples),
}

impl Calibration {
    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        match self {
            Calibration::Files(files) => files.is_empty(),
            Calibration::Samples(samples) => samples.is_empty(),
        }
    }

    /// The files that hold the samples.
    pub fn files(&self) -> &[PathBuf] {
        match self {
            Calibration::Files(files) => files,
            Calibration::Samples(_) => &[],
        }
    }
}

impl Default for Calibration {
    fn default() -> Self {
        Calibration::Files(vec![])
    }
}

impl From<PathBuf> for Calibration {
    fn from(file: PathBuf) -> Self {
        Calibration::Files(vec![file])
    }
}

/// Options of a compilation.
#[derive(Debug, Clone, PartialEq)]
pub struct CompileOptions {
    /// The ONNX model.
    pub model: ModelInput,
    /// Calibration samples.
    pub calibration: Calibration,
    /// The outputs that are computed, of those that the model has; all of them if none is named.
    pub outputs: Vec<String>,
    /// Who computes functions behind the last layer.
    pub trailing: TrailingFunctions,
    /// Sizes of axes of the inputs that have a name in the place of a size; files of samples say them too.
    pub sizes: BTreeMap<String, usize>,
    /// Range of the inputs where there are no samples; otherwise what recovery saw, or [`DEFAULT_INPUT_RANGE`].
    pub input_range: Option<(f64, f64)>,
    /// PAFs, later ones win; [`AUTO_PAF`] for all nodes asks for a choice.
    pub pafs: Vec<PafChoice>,
    /// The share of samples that are to be predicted as by the original network: where there are samples, and neither PAFs nor
    /// a recovery are asked for, PAFs are chosen and fitted for it.
    pub fidelity: f64,
    /// The classes of the calibration samples: with them the choice keeps accuracy instead.
    pub labels: Option<PathBuf>,
    /// Recovery of accuracy before anything else.
    pub recovery: Recovery,
    /// Bound of the error for a choice of PAFs: root of the mean square by which results on the samples differ from the
    /// original network's, in parts of the largest result.
    pub max_error: Option<f64>,
    /// Bound of the levels for a choice of PAFs: those of the deepest path, linear layers included.
    pub max_levels: Option<u32>,
    /// Static scale: this times the largest magnitude seen.
    pub margin: Margin,
    /// Largest error of the polynomial of a smooth function, as a part of its largest value on its range. Without one it is
    /// [`DEFAULT_FUNCTION_ERROR`](paf_passes::approximate::DEFAULT_FUNCTION_ERROR), and less where samples show that results
    /// ask for it.
    pub function_error: Option<f64>,
    /// How pools compare.
    pub max_pool: Reduction,
    /// Bits by which results must agree with the clear circuit's: kept or refused. Where none are asked for, circuits without
    /// bootstraps have [`DEFAULT_PRECISION`] and more, others what the prediction says.
    pub precision: Option<f64>,
    /// Most bytes that a run may use.
    pub memory: Option<u64>,
    /// Most bytes that the compilation itself may take, as it is estimated; no limit without one.
    pub compile_memory: Option<u64>,
    /// Test parameters without any security.
    pub insecure: bool,
    /// Whether results hold nothing of the network but the outputs, so that `paf-run eval --sanitize` takes the circuit; a level
    /// where the last operation is no linear map.
    pub sanitize: bool,
    /// Where bootstraps may be.
    pub bootstraps: Bootstraps,
    /// How often a bootstrap refreshes a value, 1 or 2; otherwise once, or twice where the precision takes that.
    pub bootstrap_iterations: Option<u32>,
    /// The engine that the circuit is for.
    pub profile: &'static EngineProfile,
    /// The machine that seconds are predicted for, if it is not the reference machine.
    pub machine: Option<MachineCosts>,
}

/// The share of samples that are to be predicted as by the original network.
pub const DEFAULT_FIDELITY: f64 = 0.98;

/// Stands for a PAF of its own for each node, as `max_error` or `max_levels` asks.
pub const AUTO_PAF: &str = "auto";

/// Range of the inputs where nothing else says one.
pub const DEFAULT_INPUT_RANGE: (f64, f64) = (-1.0, 1.0);

impl CompileOptions {
    /// Default options for the model in a file.
    pub fn for_model(file: impl Into<PathBuf>) -> Self {
        CompileOptions::new(ModelInput::File(file.into()))
    }

    /// Default options for a model.
    pub fn new(model: ModelInput) -> Self {
        CompileOptions {
            model,
            calibration: Calibration::default(),
            outputs: vec![],
            trailing: TrailingFunctions::default(),
            sizes: BTreeMap::new(),
            input_range: None,
            pafs: vec![],
            fidelity: DEFAULT_FIDELITY,
            labels: None,
            recovery: Recovery::None,
            max_error: None,
            max_levels: None,
            margin: Margin::default(),
            function_error: None,
            max_pool: Reduction::default(),
            precision: None,
            memory: None,
            compile_memory: None,
            insecure: false,
            sanitize: false,
            bootstraps: Bootstraps::default(),
            bootstrap_iterations: None,
            profile: EngineProfile::openfhe(),
            machine: None,
        }
    }
}
