//! Calibration samples from `.npy`.

use std::path::Path;

use ndarray::{ArrayD, ArrayViewD, Axis};
use ndarray_npy::{ViewElement, ViewNpyError, ViewNpyExt};
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
    if array.iter().all(|value| *value == 0.0) {
        return Err(fail("every value is 0: the range of the inputs cannot be seen".into()));
    }
    Ok(array.axis_iter(Axis(0)).map(|sample| vec![sample.iter().copied().collect()]).collect())
}

fn read_floats(path: &Path) -> Result<ArrayD<f64>, String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let array = match view::<f32>(&bytes) {
        Err(ViewNpyError::WrongDescriptor(_)) => view::<f64>(&bytes),
        result => result,
    };
    array.map_err(|error| format!("needs to be a .npy file of float32 or float64: {error}"))
}

/// Views the bytes instead of reading from them: nothing is allocated that a damaged header promises.
fn view<T: ViewElement + Copy + Into<f64>>(bytes: &[u8]) -> Result<ArrayD<f64>, ViewNpyError> {
    Ok(ArrayViewD::<T>::view_npy(bytes)?.mapv(Into::into))
}
