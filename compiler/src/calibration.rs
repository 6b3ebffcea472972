//! Calibration samples from `.npy`.

use std::path::{Path, PathBuf};

use paf_files::FileError;
use paf_files::npy::{self, NumpyArray};
use paf_ir::tensor::{BatchAxis, Graph, NodeId, Shape};
use paf_passes::decisions::CalibrationSamples;

use crate::error::CompileError;
use crate::options::Calibration;

/// The samples that a network is calibrated on; none for interval bounds.
///
/// # Errors
/// [`CompileError::Calibration`] as [`read_samples`]. Samples that are given are checked where they are used.
pub(crate) fn samples(calibration: &Calibration, graph: &Graph) -> Result<CalibrationSamples, CompileError> {
    match calibration {
        Calibration::Files(files) if files.is_empty() => Ok(vec![]),
        Calibration::Files(files) => read_samples(files, graph),
        Calibration::Samples(samples) => Ok(samples.clone()),
    }
}

/// The shapes of the arrays of samples, as far as files hold such: what is wrong with one is said when it is read.
pub(crate) fn shapes(calibration: &Calibration) -> Vec<Vec<usize>> {
    let arrays = calibration.files().iter().map(|path| read_floats(path).map(|array| array.shape));
    arrays.collect::<Result<_, _>>().unwrap_or_default()
}

/// Reads samples for the inputs of a graph, one file an input, in order: `[k, sample shape…]`, numbers of any kind.
///
/// # Errors
/// [`CompileError::Calibration`] naming the file for a wrong type, shape or value, or the first file if the number of
/// files or their numbers of samples are wrong.
pub fn read_samples(paths: &[PathBuf], graph: &Graph) -> Result<CalibrationSamples, CompileError> {
    let fail = |problem: String| {
        let path = paths.first().cloned().unwrap_or_default();
        CompileError::Calibration { path, problem }
    };
    if paths.len() != graph.inputs.len() {
        let names: Vec<&str> = graph.inputs.iter().map(|input| graph.node(input.0).name.as_str()).collect();
        return Err(fail(format!("{} files for the inputs {names:?}; give one for each, in this order", paths.len())));
    }
    let inputs = paths.iter().zip(&graph.inputs);
    let ports = inputs.map(|(path, &input)| samples_of_input(path, graph, input)).collect::<Result<Vec<_>, _>>()?;
    let counts: Vec<usize> = ports.iter().map(Vec::len).collect();
    if counts.iter().any(|&count| count != counts[0]) {
        return Err(fail(format!("the files hold different numbers of samples: {counts:?}")));
    }
    let mut samples = vec![Vec::with_capacity(ports.len()); counts.first().copied().unwrap_or(0)];
    for port in ports {
        samples.iter_mut().zip(port).for_each(|(sample, tensor)| sample.push(tensor));
    }
    Ok(samples)
}

/// One flat tensor a sample.
fn samples_of_input(
    path: &Path,
    graph: &Graph,
    (input, batch): (NodeId, BatchAxis),
) -> Result<Vec<Vec<f64>>, CompileError> {
    let fail = |problem: String| CompileError::Calibration { path: path.to_owned(), problem };
    let array = read_floats(path).map_err(|error| fail(error.to_string()))?;
    let (name, expected) = (&graph.node(input).name, batch.sample_shape(&graph.node(input).shape));
    let shape = Shape(array.shape);
    if !shape.holds_samples_of(&expected) || shape.0[0] == 0 {
        return Err(fail(format!(
            "has shape {shape}; the input `{name}` takes [k, sample] with sample {expected}, k at least 1"
        )));
    }
    if let Some(bad) = array.data.iter().position(|value| !value.is_finite()) {
        return Err(fail(format!("value {bad} is NaN or infinite")));
    }
    if array.data.iter().all(|value| *value == 0.0) {
        return Err(fail("every value is 0: the range of the inputs cannot be seen".into()));
    }
    Ok(array.data.chunks(expected.size()).map(<[f64]>::to_vec).collect())
}

fn read_floats(path: &Path) -> Result<NumpyArray<f64>, FileError> {
    npy::floats(&std::fs::read(path)?)
}
