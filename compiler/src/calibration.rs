//! Calibration samples from `.npy`.

use std::path::Path;

use ndarray::{ArrayD, Axis};
use ndarray_npy::read_npy;
use paf_ir::tensor::Graph;
use paf_passes::recover::Samples;

use crate::error::CompileError;
use crate::pipeline::sample_shape;

/// Reads samples for the one input of a graph: `[k, sample shape…]`, float32 or float64.
///
/// # Errors
/// [`CompileError::Calibration`] naming the file for a wrong type, shape or value.
pub fn read_samples(path: &Path, graph: &Graph) -> Result<Samples, CompileError> {
    let fail = |problem: String| CompileError::Calibration { path: path.to_owned(), problem };
    let array = read_floats(path).map_err(&fail)?;
    let [(input, has_batch_axis)] = graph.inputs[..] else {
        return Err(fail(format!("the model has {} inputs; calibration takes models with one", graph.inputs.len())));
    };
    let expected = sample_shape(&graph.node(input).shape, has_batch_axis).0;
    let shape = array.shape();
    if shape.len() != expected.len() + 1 || shape[1..] != expected[..] || shape[0] == 0 {
        return Err(fail(format!("has shape {shape:?}; [k, sample] with sample {expected:?} is needed, k at least 1")));
    }
    if let Some(bad) = array.iter().position(|value| !value.is_finite()) {
        return Err(fail(format!("value {bad} is NaN or infinite")));
    }
    Ok(array.axis_iter(Axis(0)).map(|sample| vec![sample.iter().copied().collect()]).collect())
}

fn read_floats(path: &Path) -> Result<ArrayD<f64>, String> {
    if let Err(error) = std::fs::metadata(path) {
        return Err(error.to_string());
    }
    if let Ok(array) = read_npy::<_, ArrayD<f32>>(path) {
        return Ok(array.mapv(f64::from));
    }
    read_npy::<_, ArrayD<f64>>(path).map_err(|error| format!("needs a .npy file of float32 or float64: {error}"))
}
