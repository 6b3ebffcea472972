//! What to compile and how.

use std::path::PathBuf;

pub use paf_passes::approximate::{Margin, Reduction};
pub use paf_passes::schedule::{Bootstraps, DEFAULT_PRECISION};
use paf_scheme::MachineCosts;

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
pub enum Step {
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

/// Options of a compilation.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The ONNX file.
    pub model: PathBuf,
    /// Calibration samples, `.npy` of shape `[k, sample shape…]`.
    pub calibration: Option<PathBuf>,
    /// Samples of the second and later inputs of a model that has several, in order.
    pub more_calibration: Vec<PathBuf>,
    /// Range of the inputs where there are no samples.
    pub input_range: (f64, f64),
    /// PAFs, later ones win; [`AUTO_PAF`] for all nodes asks for a choice.
    pub pafs: Vec<PafChoice>,
    /// Recovery of accuracy before anything else.
    pub recovery: Recovery,
    /// Bound of the error for a choice of PAFs: root of the mean square by which results on the samples differ from the
    /// original network's, in parts of the largest result.
    pub max_error: Option<f64>,
    /// Bound of the levels for a choice of PAFs: those of the deepest path, linear layers included.
    pub max_levels: Option<u32>,
    /// Static scale: this times the largest magnitude seen.
    pub margin: Margin,
    /// Largest error of the polynomial of a smooth function, as a part of its largest value on its range.
    pub function_error: f64,
    /// How pools compare.
    pub max_pool: Reduction,
    /// Bits of precision wanted against the clear circuit.
    pub precision_bits: f64,
    /// Most bytes that a run may use.
    pub memory: Option<u64>,
    /// Test parameters without any security.
    pub insecure: bool,
    /// Where bootstraps may be.
    pub bootstraps: Bootstraps,
    /// How often a bootstrap refreshes a value, 1 or 2.
    pub bootstrap_iterations: u32,
    /// The machine that seconds are predicted for, if it is not the reference machine.
    pub machine: Option<MachineCosts>,
}

/// PAF of nodes that no option names: the smallest error of a ReLU of 7 levels (`docs/paf-errors.md`).
pub const DEFAULT_PAF: &str = "alpha7";
/// Stands for a PAF of its own for each node, as `max_error` or `max_levels` asks.
pub const AUTO_PAF: &str = "auto";
/// Default error of a smooth function's polynomial.
pub const DEFAULT_FUNCTION_ERROR: f64 = 1e-3;

impl Options {
    /// Default options for a model.
    pub fn for_model(model: impl Into<PathBuf>) -> Self {
        Options {
            model: model.into(),
            calibration: None,
            more_calibration: vec![],
            input_range: (-1.0, 1.0),
            pafs: vec![],
            recovery: Recovery::None,
            max_error: None,
            max_levels: None,
            margin: Margin::default(),
            function_error: DEFAULT_FUNCTION_ERROR,
            max_pool: Reduction::default(),
            precision_bits: DEFAULT_PRECISION,
            memory: None,
            insecure: false,
            bootstraps: Bootstraps::default(),
            bootstrap_iterations: 1,
            machine: None,
        }
    }
}
