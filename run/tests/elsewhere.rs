//! The program away from the folder where it was built: with OpenFHE's libraries beside it, and in `../lib` of it.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The libraries that the build has put beside the program.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let folder = program.parent().ok_or("a program lies in a folder")?;
    let paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    Ok(paths.into_iter().filter(|path| path.to_string_lossy().ends_with(".so.1")).collect())
}

/// Copies the program to `bin` of a fresh folder and the libraries to another one, and runs it there.
fn check(library_folder: &str) -> Result<()> {
    let built = Path::new(env!("CARGO_BIN_EXE_paf-run"));
    let place = tempfile::tempdir()?;
    let [bin, lib] = ["bin", library_folder].map(|name| place.path().join(name));
    fs::create_dir_all(&bin)?;
    fs::create_dir_all(&lib)?;
    let program = bin.join("paf-run");
    fs::copy(built, &program)?;
    let libraries = libraries(built)?;
    for library in &libraries {
        fs::copy(library, lib.join(library.file_name().ok_or("a file has a name")?))?;
    }
    // With this variable the dynamic linker prints what it would load, and from where.
    let loaded = Command::new(&program).env("LD_TRACE_LOADED_OBJECTS", "1").output()?;
    let loaded = String::from_utf8(loaded.stdout)?;
    for name in ["libOPENFHEpke.so.1", "libOPENFHEbinfhe.so.1", "libOPENFHEcore.so.1"] {
        let line = loaded.lines().find(|line| line.contains(&format!("{name} => "))).ok_or("it needs OpenFHE")?;
        let path = line.split_whitespace().nth(2).ok_or("a path")?;
        let found = fs::canonicalize(path)?;
        assert!(found.starts_with(fs::canonicalize(&lib)?), "{name} comes from {path}, not from the copied folder");
    }
    let output = Command::new(&program).args(["info", "--machine"]).output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[test]
fn libraries_are_found_beside_the_program() -> Result<()> {
    check("bin")
}

#[test]
fn libraries_are_found_in_the_folder_lib_next_to_the_programs() -> Result<()> {
    check("lib")
}
