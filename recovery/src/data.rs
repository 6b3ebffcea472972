//! Training data: `.npz` with `x` and, if there are labels, `y`; or a `.npy` of each.

use std::fs::File;
use std::path::Path;

use ndarray::{ArrayD, IxDyn, OwnedRepr};
use ndarray_npy::{NpzReader, ReadNpyError, ReadNpzError, ReadableElement, ViewElement, ViewNpyError, ViewNpyExt};
use paf_ir::Shape;
use paf_ir::tensor::Graph;
use sha2::{Digest, Sha256};

use crate::error::RecoveryError;

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
    pub(crate) fn add_to(&self, hash: &mut Sha256) {
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
        let Some((&count, sample)) = x.shape().split_first().filter(|(count, _)| **count > 0) else {
            return Err(RecoveryError::file(path, format!("samples of shape {:?}: [k, sample] is needed", x.shape())));
        };
        if let Some(labels) = y.as_ref().filter(|y| y.len() != count) {
            return Err(RecoveryError::file(path, format!("{count} samples and {} labels", labels.len())));
        }
        if let Some(bad) = x.iter().position(|value| !value.is_finite()) {
            return Err(RecoveryError::file(path, format!("value {bad} is NaN or infinite")));
        }
        Ok(Data { shape: Shape(sample.to_vec()), x: x.iter().copied().collect(), y })
    }

    /// Whether a network takes these samples.
    ///
    /// # Errors
    /// [`RecoveryError::Data`] naming both shapes, or the number of inputs.
    pub fn check_for(&self, graph: &Graph) -> Result<(), RecoveryError> {
        let [(input, has_batch_axis)] = graph.inputs[..] else {
            let message = format!("the network has {} inputs; recovery works for one", graph.inputs.len());
            return Err(RecoveryError::Data(message));
        };
        let given = &graph.node(input).shape.0;
        let expected = Shape(given[usize::from(has_batch_axis && !given.is_empty())..].to_vec());
        if expected != self.shape {
            let message = format!("samples have shape {}; the network takes {expected}", self.shape);
            return Err(RecoveryError::Data(message));
        }
        Ok(())
    }
}

/// The numbers below `count` in an order that the seed decides (Fisher–Yates over SplitMix64).
pub fn shuffled(count: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut state = seed;
    for last in (1..count).rev() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let other = (mixed(state) % (last as u64 + 1)) as usize;
        order.swap(last, other);
    }
    order
}

fn mixed(state: u64) -> u64 {
    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

type Labels = Option<Vec<u32>>;

fn read_npz(path: &Path) -> Result<(ArrayD<f32>, Labels), RecoveryError> {
    let file = File::open(path).map_err(RecoveryError::io(path))?;
    let fail = |problem: String| RecoveryError::file(path, problem);
    let mut reader = NpzReader::new(file).map_err(|error| fail(format!("is no .npz file: {error}")))?;
    let names = reader.names().map_err(|error| fail(error.to_string()))?;
    let find = |wanted: &str| names.iter().find(|name| name.trim_end_matches(".npy") == wanted).cloned();
    let x = find("x").ok_or_else(|| fail(format!("holds {names:?}; the samples must be called `x`")))?;
    let x = samples_of(&mut reader, &x).map_err(|error| fail(format!("`x`: {error}")))?;
    let y = match find("y") {
        Some(name) => Some(labels_of(&mut reader, &name).map_err(|problem| fail(format!("`y`: {problem}")))?),
        None => None,
    };
    Ok((x, y))
}

fn array_of<T: ReadableElement>(reader: &mut NpzReader<File>, name: &str) -> Result<Option<ArrayD<T>>, String> {
    match reader.by_name::<OwnedRepr<T>, IxDyn>(name) {
        Ok(array) => Ok(Some(array)),
        Err(ReadNpzError::Npy(ReadNpyError::WrongDescriptor(_))) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

fn samples_of(reader: &mut NpzReader<File>, name: &str) -> Result<ArrayD<f32>, String> {
    if let Some(array) = array_of::<f32>(reader, name)? {
        return Ok(array);
    }
    if let Some(array) = array_of::<f64>(reader, name)? {
        return Ok(array.mapv(|value| value as f32));
    }
    match array_of::<u8>(reader, name)? {
        Some(array) => Ok(array.mapv(f32::from)),
        None => Err("samples must be float32, float64 or uint8".into()),
    }
}

fn labels_of(reader: &mut NpzReader<File>, name: &str) -> Result<Vec<u32>, String> {
    if let Some(array) = array_of::<i64>(reader, name)? {
        return classes(array);
    }
    if let Some(array) = array_of::<i32>(reader, name)? {
        return classes(array);
    }
    match array_of::<u8>(reader, name)? {
        Some(array) => classes(array),
        None => Err("labels must be int64, int32 or uint8".into()),
    }
}

fn read_npy_samples(path: &Path) -> Result<ArrayD<f32>, RecoveryError> {
    let bytes = std::fs::read(path).map_err(RecoveryError::io(path))?;
    let fail = |problem: String| RecoveryError::file(path, problem);
    let float = view::<f32, f32>(&bytes, |value| value).map_err(fail)?;
    let double = || view::<f64, f32>(&bytes, |value| value as f32).map_err(fail);
    let byte = || view::<u8, f32>(&bytes, f32::from).map_err(fail);
    let array = if float.is_some() { float } else { double()? };
    let array = if array.is_some() { array } else { byte()? };
    array.ok_or_else(|| fail("samples must be float32, float64 or uint8".into()))
}

fn read_npy_labels(path: &Path) -> Result<Vec<u32>, RecoveryError> {
    let bytes = std::fs::read(path).map_err(RecoveryError::io(path))?;
    let fail = |problem: String| RecoveryError::file(path, problem);
    let long = view::<i64, i64>(&bytes, |value| value).map_err(fail)?;
    let int = || view::<i32, i64>(&bytes, i64::from).map_err(fail);
    let byte = || view::<u8, i64>(&bytes, i64::from).map_err(fail);
    let array = if long.is_some() { long } else { int()? };
    let array = if array.is_some() { array } else { byte()? };
    classes(array.ok_or_else(|| fail("labels must be int64, int32 or uint8".into()))?).map_err(fail)
}

/// Views the bytes instead of reading from them: nothing is allocated that a damaged header promises. `None` for
/// elements of another type.
fn view<T: ViewElement + Copy, U: Clone>(bytes: &[u8], convert: fn(T) -> U) -> Result<Option<ArrayD<U>>, String> {
    match ndarray::ArrayViewD::<T>::view_npy(bytes) {
        Ok(array) => Ok(Some(array.mapv(convert))),
        Err(ViewNpyError::WrongDescriptor(_)) => Ok(None),
        Err(error) => Err(format!("is no .npy file: {error}")),
    }
}

fn classes<T: Into<i64> + Copy>(array: ArrayD<T>) -> Result<Vec<u32>, String> {
    if array.ndim() != 1 {
        return Err(format!("labels of shape {:?}; one class number a sample is needed", array.shape()));
    }
    let class = |(index, &value): (usize, &T)| {
        let value: i64 = value.into();
        u32::try_from(value).map_err(|_| format!("label {index} is {value}; classes are numbered from 0"))
    };
    array.iter().enumerate().map(class).collect()
}
