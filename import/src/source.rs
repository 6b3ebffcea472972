//! The bytes of a model and where they come from.

use std::path::{Path, PathBuf};

use super::error::ImportError;

/// An ONNX model as it was handed over: what is read once is what is imported, written back and hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelSource {
    /// The model's name.
    pub name: String,
    /// What messages call it: the file, or the name.
    pub origin: PathBuf,
    /// The file's content.
    pub bytes: Vec<u8>,
    /// Where weights in files of their own lie, if there may be such.
    pub folder: Option<PathBuf>,
}

impl ModelSource {
    /// Reads a file, which also gives the name and the folder.
    ///
    /// # Errors
    /// [`ImportError::Read`].
    pub fn read(path: &Path) -> Result<Self, ImportError> {
        let bytes = std::fs::read(path).map_err(|source| ImportError::Read { path: path.into(), source })?;
        let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        Ok(ModelSource { name, origin: path.into(), bytes, folder: path.parent().map(Path::to_path_buf) })
    }

    /// A model in memory, with all its weights inside.
    pub fn from_bytes(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        let name = name.into();
        ModelSource { origin: name.clone().into(), name, bytes, folder: None }
    }
}
