//! NumPy's `.npy` files: inputs as numbers of any kind, results in float64, or as integers, truth values or texts.

use std::fs;
use std::io::{self, BufWriter, IntoInnerError};
use std::path::Path;

use paf_files::{AtomicFile, FileError, npy};
use paf_ir::tensor::Shape;

use crate::error::{Result, RuntimeError};

/// An array with its elements row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Array<T = f64> {
    /// The shape.
    pub shape: Shape,
    /// The elements.
    pub data: Vec<T>,
}

/// Reads an array of numbers of any kind.
///
/// # Errors
/// [`RuntimeError::Read`], [`RuntimeError::NotNpy`] or [`RuntimeError::Dtype`].
pub fn read(path: &Path) -> Result<Array> {
    let bytes = fs::read(path).map_err(RuntimeError::read(path))?;
    let array = npy::floats(&bytes).map_err(|error| match error {
        FileError::ElementType { found, .. } => RuntimeError::Dtype { path: path.to_owned(), dtype: found },
        FileError::NotNpy(message) => RuntimeError::NotNpy { path: path.to_owned(), message },
        other => RuntimeError::NotNpy { path: path.to_owned(), message: other.to_string() },
    })?;
    Ok(Array { shape: Shape(array.shape), data: array.data })
}

/// Writes an array under a temporary name and renames it.
///
/// # Errors
/// [`RuntimeError::Write`].
pub fn write<T: npy::WritableElement>(path: &Path, array: &Array<T>) -> Result<()> {
    write_with(path, |file| npy::write(file, &array.shape.0, &array.data))
}

/// The same for an array of texts.
///
/// # Errors
/// [`RuntimeError::Write`].
pub fn write_texts(path: &Path, shape: &Shape, texts: &[&str]) -> Result<()> {
    write_with(path, |file| npy::write_texts(file, &shape.0, texts))
}

fn write_with(path: &Path, content: impl FnOnce(&mut BufWriter<AtomicFile>) -> io::Result<()>) -> Result<()> {
    let write = || {
        let mut file = BufWriter::new(AtomicFile::create(path)?);
        content(&mut file)?;
        file.into_inner().map_err(IntoInnerError::into_error)?.commit()
    };
    write().map_err(RuntimeError::write(path))
}
