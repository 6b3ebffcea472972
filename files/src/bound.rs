//! Files that belong to one run, such as checkpoints: they name what they were made with.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::FileError;
use crate::write_whole;

/// A file that is used with one fingerprint only.
///
/// How the fingerprint stands in the file is the format's: [`BoundFile::read`] is told how to find it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundFile {
    path: PathBuf,
    fingerprint: String,
}

impl BoundFile {
    /// The file of what has this fingerprint; it need not be there.
    pub fn new(path: impl Into<PathBuf>, fingerprint: String) -> Self {
        BoundFile { path: path.into(), fingerprint }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it belongs to.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The content, if the file is there. `open` finds the fingerprint and whatever else the bytes hold, or says what is
    /// wrong with them.
    ///
    /// # Errors
    /// [`FileError::Damaged`] with the words of `open`; [`FileError::BoundToAnother`]; [`FileError::Io`].
    pub fn read<T>(&self, open: impl FnOnce(&[u8]) -> Result<(String, T), String>) -> Result<Option<T>, FileError> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let (fingerprint, content) = open(&bytes).map_err(FileError::Damaged)?;
        if fingerprint != self.fingerprint {
            return Err(FileError::BoundToAnother);
        }
        Ok(Some(content))
    }

    /// Replaces the file by one with this content, which must hold the fingerprint.
    ///
    /// # Errors
    /// Any I/O error; then the file is as it was.
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        write_whole(&self.path, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A format of one line for the fingerprint.
    fn open(bytes: &[u8]) -> Result<(String, String), String> {
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        let (fingerprint, rest) = text.split_once('\n').ok_or("it has one line")?;
        Ok((fingerprint.to_owned(), rest.to_owned()))
    }

    #[test]
    fn only_what_it_was_made_with_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let (own, other) = (BoundFile::new(&path, "a1".into()), BoundFile::new(&path, "b2".into()));
        assert_eq!(own.read(open).unwrap(), None);
        own.write(b"a1\nhalfway").unwrap();
        assert_eq!(own.read(open).unwrap().as_deref(), Some("halfway"));
        assert!(matches!(other.read(open), Err(FileError::BoundToAnother)));
        own.write(b"a1").unwrap();
        assert!(matches!(own.read(open), Err(FileError::Damaged(problem)) if problem == "it has one line"));
    }
}
