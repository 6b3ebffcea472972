//! `C.toml`: which steps run, with which PAFs.

mod search;
mod train;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use paf_passes::approximate::Margin;
use paf_passes::paf::Paf;
use serde::{Deserialize, Serialize};

use crate::error::RecoveryError;
pub use search::SearchConfig;
pub use train::{Augment, Loss, Normalization, OptimizerKind, Schedule, TrainConfig, TrainingOrder, Upstream};

/// The configuration of a recovery; every key has a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What runs, in this order.
    pub steps: Vec<StepName>,
    /// The PAF of every node without one of its own.
    pub paf: String,
    /// PAFs of single nodes, by ONNX node name.
    pub node_pafs: BTreeMap<String, String>,
    /// Seed of everything that is drawn.
    pub seed: u64,
    /// The static scale is this times the largest magnitude on the data.
    pub margin: ScaleMargin,
    /// Most training samples that the steps without gradients look at; drawn at random.
    pub samples: usize,
    /// Training data where the command line names none; relative to the configuration's folder.
    pub data: Option<PathBuf>,
    /// Labels of training data in `.npy`; relative to the configuration's folder.
    pub labels: Option<PathBuf>,
    /// PAFs that the report compares step by step on test data.
    pub compare: Vec<String>,
    /// The step `ct`.
    pub ct: CtConfig,
    /// The step `bn`.
    pub bn: BnConfig,
    /// The step `search`.
    pub search: SearchConfig,
    /// The steps `pa` and `at`.
    pub train: TrainConfig,
    /// Whether the exact network is trained the same way too, so that its accuracy tells what training alone gains.
    pub control: bool,
    /// Where training is kept after each epoch, to go on after it was stopped, and with `.search` after its name what a
    /// search has measured; removed at the end. Relative to the configuration's folder.
    pub checkpoint: Option<PathBuf>,
}

/// How much wider than the data a static scale is: `1.5`, or `"automatic"`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ScaleMargin {
    /// By this factor.
    Fixed(f64),
    /// By what the samples ask for at each node, as a compilation decides it.
    Named(NamedMargin),
}

/// A margin without a number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NamedMargin {
    /// What the samples ask for.
    Automatic,
}

impl ScaleMargin {
    /// What the samples ask for.
    pub const AUTOMATIC: ScaleMargin = ScaleMargin::Named(NamedMargin::Automatic);
}

impl From<ScaleMargin> for Margin {
    fn from(margin: ScaleMargin) -> Self {
        match margin {
            ScaleMargin::Fixed(factor) => Margin::Fixed(factor),
            ScaleMargin::Named(NamedMargin::Automatic) => Margin::Automatic,
        }
    }
}

/// A step by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepName {
    /// Static scales.
    Calibrate,
    /// BatchNorm statistics, or means and variances of linear layers, with the PAFs in place.
    Bn,
    /// Least squares of the coefficients.
    Ct,
    /// Least squares of the weights behind PAFs.
    Ls,
    /// A PAF for each node instead of `paf` for all.
    Search,
    /// Training, one ReLU or MaxPool at a time, then all of them.
    Pa,
    /// Training of all at once.
    At,
}

/// Options of `ct`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CtConfig {
    /// The sign stays right and bounded up to this part beyond the scale.
    pub tail_margin: f64,
    /// No tuned PAF is larger than this on [−1 − tail_margin, 1 + tail_margin].
    pub tail_bound: f64,
    /// Whether channels may get polynomials of ReLU of their own: more plaintexts, less error.
    pub channels: bool,
}

/// Options of `bn`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BnConfig {
    /// Whether linear layers without BatchNorm get the mean and variance that they had in the original network.
    pub match_linear: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            steps: vec![StepName::Calibrate, StepName::Bn, StepName::Ct],
            paf: "alpha7".into(),
            node_pafs: BTreeMap::new(),
            seed: 1,
            margin: ScaleMargin::Fixed(1.5),
            samples: 1000,
            data: None,
            labels: None,
            compare: vec![],
            ct: CtConfig::default(),
            bn: BnConfig::default(),
            search: SearchConfig::default(),
            train: TrainConfig::default(),
            control: false,
            checkpoint: None,
        }
    }
}

impl Default for CtConfig {
    fn default() -> Self {
        CtConfig { tail_margin: 0.02, tail_bound: 1.25, channels: true }
    }
}

impl Default for BnConfig {
    fn default() -> Self {
        BnConfig { match_linear: true }
    }
}

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    /// [`RecoveryError::File`] naming an unknown key and the valid ones, or a value out of bounds.
    pub fn read(path: &Path) -> Result<Self, RecoveryError> {
        let text = std::fs::read_to_string(path).map_err(RecoveryError::io(path))?;
        let fail = |error: toml::de::Error| {
            let line = error.span().map(|span| 1 + text[..span.start].matches('\n').count());
            let place = line.map_or(String::new(), |line| format!("line {line}: "));
            RecoveryError::file(path, format!("{place}{}", error.message()))
        };
        let mut config: Config = toml::from_str(&text).map_err(fail)?;
        config.check().map_err(|problem| RecoveryError::file(path, problem))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for file in [&mut config.data, &mut config.labels, &mut config.checkpoint].into_iter().flatten() {
            *file = folder.join(&*file);
        }
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let within = |name: &str, value: f64, low: f64, high: f64| match (low..=high).contains(&value) {
            true => Ok(()),
            false => Err(format!("{name} = {value}: a number from {low} to {high} is needed")),
        };
        if let ScaleMargin::Fixed(margin) = self.margin {
            within("margin", margin, 1.0, 100.0)?;
        }
        within("ct.tail_margin", self.ct.tail_margin, 0.0, 1.0)?;
        within("ct.tail_bound", self.ct.tail_bound, 1.0, 10.0)?;
        if self.samples == 0 {
            return Err("samples = 0: at least one is needed".into());
        }
        for name in &self.compare {
            Paf::by_name(name).map_err(|error| format!("compare: {error}"))?;
        }
        self.search.check().map_err(|problem| format!("search.{problem}"))?;
        if self.control && self.training().is_none() {
            return Err("control = true: it needs the step `pa` or `at`, which it repeats".into());
        }
        self.train.check().map_err(|problem| format!("train.{problem}"))
    }

    /// How the steps `pa` and `at` train, if one of them is asked for: `pa` includes `at`.
    pub fn training(&self) -> Option<TrainConfig> {
        let order = match (self.steps.contains(&StepName::Pa), self.steps.contains(&StepName::At)) {
            (true, _) => TrainingOrder::Progressive,
            (false, true) if self.train.order == TrainingOrder::Together => TrainingOrder::Together,
            (false, true) => TrainingOrder::Alternate,
            (false, false) => return None,
        };
        Some(TrainConfig { order, ..self.train.clone() })
    }
}
