//! The bytes of a model and where they come from.

use std::fs::File;
use std::path::{Component, Path, PathBuf};

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
    pub folder: Option<WeightFolder>,
}

/// Where weights in files of their own lie: beside the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightFolder {
    folder: PathBuf,
    /// The folders, links resolved, that files may really be in: that of the model's name, and that of the model itself, as
    /// caches of models have links to both.
    real: Vec<PathBuf>,
}

impl WeightFolder {
    /// That of a model.
    pub fn of(model: &Path) -> Self {
        let folder =
            model.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
        let of_model = || Some(model.canonicalize().ok()?.parent()?.to_owned());
        let real = [folder.canonicalize().ok(), of_model()].into_iter().flatten().collect();
        WeightFolder { folder, real }
    }

    /// Opens a file that lies there, also if it is reached by links, and is a file.
    pub(crate) fn open(&self, location: &str) -> Result<File, String> {
        let inside = |component| matches!(component, Component::Normal(_) | Component::CurDir);
        let outside = || format!("its external data `{location}` lies outside the model's folder");
        if !Path::new(location).components().all(inside) {
            return Err(outside());
        }
        let failed = |problem: std::io::Error| format!("its external data `{location}` cannot be read: {problem}");
        let file = self.folder.join(location).canonicalize().map_err(failed)?;
        if !self.real.iter().any(|folder| file.starts_with(folder)) {
            return Err(outside());
        }
        if !file.is_file() {
            return Err(format!("its external data `{location}` is no file"));
        }
        File::open(file).map_err(failed)
    }
}

impl ModelSource {
    /// Reads a file, which also gives the name and the folder.
    ///
    /// # Errors
    /// [`ImportError::Read`].
    pub fn read(path: &Path) -> Result<Self, ImportError> {
        let bytes = std::fs::read(path).map_err(|source| ImportError::Read { path: path.into(), source })?;
        let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        Ok(ModelSource { name, origin: path.into(), bytes, folder: Some(WeightFolder::of(path)) })
    }

    /// A model in memory, with all its weights inside.
    pub fn from_bytes(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        let name = name.into();
        ModelSource { origin: name.clone().into(), name, bytes, folder: None }
    }
}
