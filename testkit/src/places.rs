//! Where files are: the repository's own, and the data beside it.

use std::fs;
use std::path::{Path, PathBuf};

/// A file of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// A file of `testdata`.
pub fn testdata(path: &str) -> PathBuf {
    repository("testdata").join(path)
}

fn shared_path(path: &str) -> PathBuf {
    let folder = std::env::var_os("PAF_SHARED").map_or_else(|| PathBuf::from("../shared"), PathBuf::from);
    repository("").join(folder).join(path)
}

/// A file or folder of the shared data, which are not part of the repository: `PAF_SHARED` names their folder, by default
/// `shared` beside the checkout.
///
/// # Panics
/// If it is not there. Tests that call this are ignored unless they are asked for.
pub fn shared(path: &str) -> PathBuf {
    let path = shared_path(path);
    assert!(path.exists(), "needs PAF_SHARED, the folder of the shared data: there is no {}", path.display());
    path
}

/// The same, or nothing where it is not there.
pub fn shared_if_there(path: &str) -> Option<PathBuf> {
    let path = shared_path(path);
    path.exists().then_some(path)
}

/// What a folder holds, by name.
///
/// # Panics
/// If it cannot be read.
pub fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|problem| panic!("{}: {problem}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a directory entry").path()).collect();
    paths.sort();
    paths
}

/// The last part of a path.
///
/// # Panics
/// If there is none.
pub fn file_name(path: &Path) -> String {
    path.file_name().expect("a file name").to_string_lossy().into_owned()
}

/// The last part of a path without its extension.
///
/// # Panics
/// If there is none.
pub fn stem(path: &Path) -> String {
    path.file_stem().expect("a file name").to_string_lossy().into_owned()
}
