//! NumPy's `.npy` files.

use std::path::Path;

use ndarray::{ArrayD, IxDyn};
use ndarray_npy::{WritableElement, read_npy, write_npy};
use paf_ir::Shape;
use paf_ir::tensor::Tensor;

/// An array of float32, float64 or int64.
///
/// # Panics
/// If the file holds no such array.
pub fn read_array(path: &Path) -> Tensor {
    let array = read_npy::<_, ArrayD<f32>>(path).map(|array| array.mapv(f64::from));
    let array = array.or_else(|_| read_npy::<_, ArrayD<f64>>(path));
    let array = array.or_else(|_| read_npy::<_, ArrayD<i64>>(path).map(|array| array.mapv(|value| value as f64)));
    let array = array.unwrap_or_else(|problem| panic!("{}: {problem}", path.display()));
    Tensor::new(Shape(array.shape().to_vec()), array.into_iter().collect())
}

/// An array of indices.
///
/// # Panics
/// If the file holds no array of int64.
pub fn read_indices(path: &Path) -> Vec<usize> {
    read_array(path).data.into_iter().map(|value| value as usize).collect()
}

/// Writes an array.
///
/// # Panics
/// If the shape does not fit or the file cannot be written.
pub fn write_array<T: WritableElement>(path: &Path, shape: &[usize], data: Vec<T>) {
    let array = ArrayD::from_shape_vec(IxDyn(shape), data).expect("the shape fits the data");
    write_npy(path, &array).unwrap_or_else(|problem| panic!("{}: {problem}", path.display()));
}

/// Samples of a shape as one array.
pub fn batch(sample: &Shape, samples: &[Vec<f64>]) -> Tensor {
    Tensor::new(Shape([&[samples.len()], &sample.0[..]].concat()), samples.concat())
}

/// Writes values as float32.
///
/// # Panics
/// As [`write_array`].
pub fn write_floats(path: &Path, array: &Tensor) {
    write_array(path, &array.shape.0, array.data.iter().map(|&value| value as f32).collect());
}
