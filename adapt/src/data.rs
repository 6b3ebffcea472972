//! Training data: `.npz` with `x` and, if there are labels, `y`; or a `.npy` of each.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use paf_files::npy::{self, NumpyArray};
use paf_files::npz::Npz;
use paf_ir::Shape;
use paf_ir::random::SplitMix64;
use paf_ir::tensor::Graph;
use paf_passes::decisions::CalibrationSamples;
use sha2::{Digest, Sha256};

use crate::config::{Config, StepName};
use crate::error::RecoveryError;

/// Samples that are enough for the scales of outputs, ranges of smooth functions, and for what can be refreshed.
pub(crate) const CALIBRATION_SAMPLES: usize = 64;

/// Samples of the one input of a network, and their classes.
#[derive(Debug, Clone, PartialEq)]
pub struct Data {
    /// Shape of one sample, without the batch axis.
    pub shape: Shape,
    /// `[k, shape…]`, row-major.
    pub x: Vec<f32>,
    /// The class of each sample.
    pub y: Option<Vec<u32>>,
}

impl Data {
    /// Adds samples and labels to what a run is recognized by.
    pub fn add_to(&self, hash: &mut Sha256) {
        self.x.iter().for_each(|value| hash.update(value.to_le_bytes()));
        self.y.iter().flatten().for_each(|label| hash.update(label.to_le_bytes()));
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.x.len() / self.shape.size().max(1)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One sample, flat.
    pub fn sample(&self, index: usize) -> &[f32] {
        let size = self.shape.size();
        &self.x[index * size..][..size]
    }

    /// Some of the samples, in the order given.
    pub fn subset(&self, indices: &[usize]) -> Data {
        let x = indices.iter().flat_map(|&index| self.sample(index)).copied().collect();
        let y = self.y.as_ref().map(|y| indices.iter().map(|&index| y[index]).collect());
        Data { shape: self.shape.clone(), x, y }
    }

    /// At most `count` samples, drawn without repetition; the same for the same seed.
    pub fn drawn(&self, count: usize, seed: u64) -> Data {
        if count >= self.len() {
            return self.clone();
        }
        self.subset(&shuffled(self.len(), seed)[..count])
    }

    /// The samples that the steps of a search look at, and those that judge.
    ///
    /// # Errors
    /// [`RecoveryError::Data`] for too few samples.
    pub(crate) fn split(&self, config: &Config) -> Result<(Data, Data), RecoveryError> {
        let held_back = config.search.held_back.min(self.len() * 3 / 4);
        if held_back == 0 {
            let message = format!("{} samples: the search needs more to hold some back", self.len());
            return Err(RecoveryError::Data(message));
        }
        let order = shuffled(self.len(), config.seed);
        let (rest, judging) = order.split_at(self.len() - held_back);
        Ok((self.subset(&rest[..rest.len().min(config.samples)]), self.subset(judging)))
    }

    /// What a circuit is calibrated on where the user names no samples for that: some that the steps look at.
    ///
    /// # Errors
    /// [`RecoveryError::Data`] for too few samples.
    pub fn calibration(&self, config: &Config) -> Result<CalibrationSamples, RecoveryError> {
        let seen = match config.steps.contains(&StepName::Search) {
            true => self.split(config)?.0,
            false => self.drawn(config.samples, config.seed),
        };
        let sample = |k: usize| vec![seen.sample(k).iter().map(|&x| f64::from(x)).collect()];
        Ok((0..seen.len().min(CALIBRATION_SAMPLES)).map(sample).collect())
    }

    /// The same samples with the classes that an `.npy` holds.
    ///
    /// # Errors
    /// [`RecoveryError::File`] for a damaged file, another type, another number of labels.
    pub fn with_labels(self, labels: &Path) -> Result<Self, RecoveryError> {
        let y = read_npy_labels(labels)?;
        match y.len() == self.len() {
            true => Ok(Data { y: Some(y), ..self }),
            false => Err(RecoveryError::file(labels, format!("{} samples and {} labels", self.len(), y.len()))),
        }
    }

    /// Samples of the one input of a network, without labels.
    ///
    /// # Errors
    /// [`RecoveryError::Data`] for a network of several inputs, and for samples that do not fit it.
    pub fn of_samples(samples: &CalibrationSamples, graph: &Graph) -> Result<Self, RecoveryError> {
        let shape = sample_shape(graph)?;
        let misfit = || RecoveryError::Data(format!("the network takes samples of {} values", shape.size()));
        let tensor = |sample: &Vec<Vec<f64>>| match &sample[..] {
            [tensor] if tensor.len() == shape.size() => Ok(tensor.iter().map(|&x| x as f32).collect::<Vec<_>>()),
            _ => Err(misfit()),
        };
        let x = samples.iter().map(tensor).collect::<Result<Vec<_>, _>>()?.concat();
        Ok(Data { shape, x, y: None })
    }

    /// Reads an `.npz` with `x` and perhaps `y`, or an `.npy` of samples and perhaps one of labels.
    ///
    /// # Errors
    /// [`RecoveryError::File`] for damaged files, other types, counts of samples and labels that differ.
    pub fn read(path: &Path, labels: Option<&Path>) -> Result<Self, RecoveryError> {
        let is_npz = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npz"));
        let (x, mut y) = if is_npz { read_npz(path)? } else { (read_npy_samples(path)?, None) };
        if let Some(labels) = labels {
            y = Some(read_npy_labels(labels)?);
        }
        let Some((&count, sample)) = x.shape.split_first().filter(|(count, _)| **count > 0) else {
            return Err(RecoveryError::file(path, format!("samples of shape {:?}: [k, sample] is needed", x.shape)));
        };
        if let Some(labels) = y.as_ref().filter(|y| y.len() != count) {
            return Err(RecoveryError::file(path, format!("{count} samples and {} labels", labels.len())));
        }
        if let Some(bad) = x.data.iter().position(|value| !value.is_finite()) {
            return Err(RecoveryError::file(path, format!("value {bad} is NaN or infinite")));
        }
        Ok(Data { shape: Shape(sample.to_vec()), x: x.data, y })
    }

    /// The range of the values, by the name of the network's one input.
    pub fn ranges(&self, graph: &Graph) -> BTreeMap<String, (f64, f64)> {
        let extremes =
            self.x.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &x| (low.min(x), high.max(x)));
        let range = Some((f64::from(extremes.0), f64::from(extremes.1))).filter(|(low, high)| low < high);
        graph.inputs.iter().zip(range).map(|((input, _), range)| (graph.node(*input).name.clone(), range)).collect()
    }

    /// Whether a network takes these samples.
    ///
    /// # Errors
    /// [`RecoveryError::Data`] naming both shapes, or the number of inputs.
    pub fn check_for(&self, graph: &Graph) -> Result<(), RecoveryError> {
        let expected = sample_shape(graph)?;
        if expected != self.shape {
            let message = format!("samples have shape {}; the network takes {expected}", self.shape);
            return Err(RecoveryError::Data(message));
        }
        Ok(())
    }
}

/// The shape of one sample of a network's one input.
fn sample_shape(graph: &Graph) -> Result<Shape, RecoveryError> {
    let [(input, batch)] = graph.inputs[..] else {
        let message = format!("the network has {} inputs; recovery works for one", graph.inputs.len());
        return Err(RecoveryError::Data(message));
    };
    Ok(batch.sample_shape(&graph.node(input).shape))
}

/// The numbers below `count` in an order that the seed decides (Fisher–Yates over SplitMix64).
pub fn shuffled(count: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut numbers = SplitMix64::new(seed);
    for last in (1..count).rev() {
        let other = (numbers.bits() % (last as u64 + 1)) as usize;
        order.swap(last, other);
    }
    order
}

type Labels = Option<Vec<u32>>;

fn read_npz(path: &Path) -> Result<(NumpyArray<f32>, Labels), RecoveryError> {
    let file = File::open(path).map_err(RecoveryError::io(path))?;
    let fail = |problem: String| RecoveryError::file(path, problem);
    let mut npz = Npz::open(file).map_err(|error| fail(error.to_string()))?;
    let mut find = |name: &str| npz.array(name).map_err(|error| fail(error.to_string()));
    let (x, y) = (find("x")?, find("y")?);
    let x = x.ok_or_else(|| fail(format!("holds {:?}; the samples must be called `x`", npz.names())))?;
    let x = npy::samples(&x).map_err(|error| fail(format!("`x`: {error}")))?;
    let labels = |y: Vec<u8>| npy::classes(&y).map_err(|problem| fail(format!("`y`: {problem}")));
    Ok((x, y.map(labels).transpose()?))
}

fn read_npy_samples(path: &Path) -> Result<NumpyArray<f32>, RecoveryError> {
    let bytes = std::fs::read(path).map_err(RecoveryError::io(path))?;
    npy::samples(&bytes).map_err(|error| RecoveryError::file(path, error.to_string()))
}

fn read_npy_labels(path: &Path) -> Result<Vec<u32>, RecoveryError> {
    let bytes = std::fs::read(path).map_err(RecoveryError::io(path))?;
    npy::classes(&bytes).map_err(|problem| RecoveryError::file(path, problem))
}
