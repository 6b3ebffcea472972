//! Scripts in Python with the libraries of `testdata/make/requirements.txt`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::testdata;

/// Runs a script with arguments; the first call makes the environment, in `folder`, that it runs in.
///
/// # Panics
/// If there is no `python3` with `venv`, the libraries cannot be installed, or the script fails.
pub fn run_script(folder: &Path, script: &Path, arguments: &[&Path]) {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    let python = PYTHON.get_or_init(|| environment(&folder.join("python")));
    succeed(Command::new(python).arg(script).args(arguments));
}

/// The interpreter of an environment with the libraries; one that is whole already is taken as it is.
fn environment(folder: &Path) -> PathBuf {
    let python = folder.join("bin/python");
    succeed(Command::new("python3").args(["-m", "venv"]).arg(folder));
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    succeed(Command::new(&python).args(pip).arg(testdata("make/requirements.txt")));
    python
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap_or_else(|problem| panic!("{command:?}: {problem}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
