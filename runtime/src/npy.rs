//! NumPy's `.npy` files: inputs in float32 or float64, results in float64, or int64 where they are indices.

use std::fs;
use std::io::BufWriter;
use std::io::Write as _;
use std::path::Path;

use ndarray::{ArrayD, ArrayViewD, IxDyn};
use ndarray_npy::{ViewElement, ViewNpyError, ViewNpyExt, WritableElement, WriteNpyError, WriteNpyExt};
use paf_circuit::AtomicFile;
use paf_ir::tensor::Shape;

use crate::engine::Result;
use crate::error::RuntimeError;

/// An array with its elements row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Array<T = f64> {
    /// The shape.
    pub shape: Shape,
    /// The elements.
    pub data: Vec<T>,
}

/// Reads an array of float32 or float64.
///
/// # Errors
/// [`RuntimeError::Read`], [`RuntimeError::NotNpy`] or [`RuntimeError::Dtype`].
pub fn read(path: &Path) -> Result<Array> {
    let bytes = fs::read(path).map_err(RuntimeError::read(path))?;
    match view::<f32>(&bytes) {
        Err(ViewNpyError::WrongDescriptor(_)) => view::<f64>(&bytes),
        result => result,
    }
    .map_err(|error| match error {
        ViewNpyError::WrongDescriptor(dtype) => {
            RuntimeError::Dtype { path: path.to_owned(), dtype: dtype.to_string().replace('\'', "") }
        }
        other => RuntimeError::NotNpy { path: path.to_owned(), message: other.to_string() },
    })
}

/// Views the bytes instead of reading from them: nothing is allocated that a damaged header promises.
fn view<T: ViewElement + Copy + Into<f64>>(bytes: &[u8]) -> std::result::Result<Array, ViewNpyError> {
    let array = ArrayViewD::<T>::view_npy(bytes)?;
    Ok(Array { shape: Shape(array.shape().to_vec()), data: array.iter().map(|&value| value.into()).collect() })
}

/// Writes an array under a temporary name and renames it.
///
/// # Errors
/// [`RuntimeError::Write`].
pub fn write<T: WritableElement + Clone>(path: &Path, array: &Array<T>) -> Result<()> {
    let mut file = BufWriter::new(AtomicFile::create(path).map_err(RuntimeError::write(path))?);
    let shape = IxDyn(&array.shape.0);
    let array = ArrayD::from_shape_vec(shape, array.data.clone()).expect("an array has as many elements as its shape");
    array.write_npy(&mut file).map_err(write_error).map_err(RuntimeError::write(path))?;
    file.flush().map_err(RuntimeError::write(path))?;
    let file = file.into_inner().map_err(|error| RuntimeError::write(path)(error.into_error()))?;
    file.commit().map_err(RuntimeError::write(path))
}

fn write_error(error: WriteNpyError) -> std::io::Error {
    match error {
        WriteNpyError::Io(error) => error,
        other => std::io::Error::other(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(bytes: &[u8]) -> Result<Array> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npy");
        fs::write(&path, bytes).unwrap();
        read(&path)
    }

    fn npy<T: WritableElement>(array: &ArrayD<T>) -> Vec<u8> {
        let mut bytes = Vec::new();
        array.write_npy(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn floats_of_both_widths_are_read_in_row_major_order() {
        let array = ArrayD::from_shape_vec(IxDyn(&[2, 2]), vec![1.0f32, 2.0, 3.0, 4.5]).unwrap();
        assert_eq!(round_trip(&npy(&array)).unwrap().data, [1.0, 2.0, 3.0, 4.5]);
        let transposed = array.mapv(f64::from).reversed_axes();
        assert_eq!(round_trip(&npy(&transposed)).unwrap().data, [1.0, 3.0, 2.0, 4.5]);
    }

    #[test]
    fn other_types_are_named() {
        let error = round_trip(&npy(&ArrayD::from_elem(IxDyn(&[3]), 1u8))).unwrap_err();
        assert!(matches!(&error, RuntimeError::Dtype { dtype, .. } if dtype == "|u1"), "{error}");
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = npy(&ArrayD::from_elem(IxDyn(&[3]), 1.0f64));
        for length in 0..bytes.len() {
            let error = round_trip(&bytes[..length]).unwrap_err();
            assert!(matches!(error, RuntimeError::NotNpy { .. }), "{length}: {error}");
        }
    }

    #[test]
    fn a_header_that_promises_too_much_is_an_error() {
        let bytes = npy(&ArrayD::from_elem(IxDyn(&[1]), 1.0f64));
        let text = String::from_utf8_lossy(&bytes[..128]).into_owned();
        let at = text.find("(1,)").unwrap();
        let mut bytes = bytes;
        let huge = b"(99999999999999,)";
        bytes[at..at + huge.len()].copy_from_slice(huge);
        bytes[at + huge.len()] = b'}';
        assert!(matches!(round_trip(&bytes).unwrap_err(), RuntimeError::NotNpy { .. }));
    }
}
