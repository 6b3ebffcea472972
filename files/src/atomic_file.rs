//! Files that appear whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::unfinished::Unfinished;

/// A file being written under a temporary name in its folder; [`AtomicFile::commit`] gives it its own name.
///
/// Dropped without a commit it leaves nothing behind, nor when the process is interrupted and its program asked for that
/// ([`remove_when_interrupted`](crate::remove_when_interrupted)), and a file that had the name before stays as it was. A target
/// that is a device or a pipe (`/dev/stdout`) is written directly.
#[derive(Debug)]
pub struct AtomicFile {
    target: PathBuf,
    destination: Destination,
}

#[derive(Debug)]
enum Destination {
    Temporary(Unfinished<NamedTempFile>),
    Direct(File),
}

impl AtomicFile {
    /// Starts a file that others may read as the process's umask allows.
    ///
    /// # Errors
    /// Any I/O error; the target's folder must exist and be writable.
    pub fn create(path: &Path) -> io::Result<Self> {
        Self::with_mode(path, 0o666)
    }

    /// Starts a file that only its owner may read: secret keys.
    ///
    /// # Errors
    /// As [`AtomicFile::create`].
    pub fn create_private(path: &Path) -> io::Result<Self> {
        Self::with_mode(path, 0o600)
    }

    fn with_mode(path: &Path, mode: u32) -> io::Result<Self> {
        let existing = fs::metadata(path).ok();
        if existing.as_ref().is_some_and(fs::Metadata::is_dir) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if existing.is_some_and(|metadata| !metadata.is_file()) {
            let destination = Destination::Direct(File::options().write(true).open(path)?);
            return Ok(AtomicFile { target: path.to_owned(), destination });
        }
        let target = if path.is_symlink() { fs::canonicalize(path)? } else { path.to_owned() };
        let destination = Destination::Temporary(temporary(&target, mode)?);
        Ok(AtomicFile { target, destination })
    }

    /// Forces the content to the disk and gives the file its name, replacing a file that has it.
    ///
    /// # Errors
    /// Any I/O error; then nothing is left behind.
    pub fn commit(self) -> io::Result<()> {
        match self.destination {
            Destination::Direct(mut file) => file.flush(),
            Destination::Temporary(file) => {
                file.as_file().sync_all()?;
                file.end(|file| file.persist(&self.target).map_err(|error| error.error))?;
                sync_folder(&self.target);
                Ok(())
            }
        }
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.destination {
            Destination::Temporary(file) => file.write(bytes),
            Destination::Direct(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.destination {
            Destination::Temporary(file) => file.flush(),
            Destination::Direct(file) => file.flush(),
        }
    }
}

/// Writes a file whole or not at all.
///
/// # Errors
/// Any I/O error; then a file that had the name is as it was.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes)?;
    file.commit()
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn temporary(target: &Path, mode: u32) -> io::Result<Unfinished<NamedTempFile>> {
    let name = target.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(name);
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(".tmp");
    set_mode(&mut builder, mode);
    Unfinished::make(|| builder.tempfile_in(folder(target)))
}

#[cfg(unix)]
pub(crate) fn set_mode(builder: &mut tempfile::Builder<'_, '_>, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    builder.permissions(fs::Permissions::from_mode(mode));
}

#[cfg(not(unix))]
pub(crate) fn set_mode(_: &mut tempfile::Builder<'_, '_>, _: u32) {}

/// Makes the new name itself survive a power cut, where the system can do that; the content is safe already.
fn sync_folder(target: &Path) {
    if let Ok(folder) = File::open(folder(target)) {
        let _ = folder.sync_all();
    }
}
