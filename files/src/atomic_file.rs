//! Files that appear whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use tempfile::NamedTempFile;

use crate::unfinished::Unfinished;

/// A file being written without a name in its folder; [`AtomicFile::commit`] gives it its own.
///
/// Without a commit it leaves nothing behind, whatever ends the process, and a file that had the name before stays as it was. Where
/// a file system has no files without names it gets a temporary one, and for the moment in which it replaces another file; that is
/// removed when this is dropped, or when the process is interrupted and its program asked for that ([`remove_when_interrupted`](crate::remove_when_interrupted)). A target that is
/// a device or a pipe (`/dev/stdout`) is written directly.
#[derive(Debug)]
pub struct AtomicFile {
    target: PathBuf,
    destination: Destination,
}

#[derive(Debug)]
enum Destination {
    Unnamed(File),
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
        let destination = match unnamed(folder(&target), mode) {
            Some(file) => Destination::Unnamed(file),
            None => Destination::Temporary(temporary(&target, mode)?),
        };
        Ok(AtomicFile { target, destination })
    }

    /// Forces the content to the disk.
    ///
    /// # Errors
    /// Any I/O error.
    pub fn sync(&self) -> io::Result<()> {
        match &self.destination {
            Destination::Direct(_) => Ok(()),
            Destination::Unnamed(file) => file.sync_all(),
            Destination::Temporary(file) => file.as_file().sync_all(),
        }
    }

    /// Forces the content to the disk and gives the file its name, replacing a file that has it.
    ///
    /// # Errors
    /// Any I/O error; then nothing is left behind.
    pub fn commit(self) -> io::Result<()> {
        self.sync()?;
        self.publish()
    }

    /// Gives the file its name, replacing a file that has it, after [`AtomicFile::sync`].
    ///
    /// # Errors
    /// Any I/O error; then nothing is left behind.
    pub fn publish(self) -> io::Result<()> {
        match self.destination {
            Destination::Direct(mut file) => return file.flush(),
            Destination::Unnamed(file) => name(&file, &self.target)?,
            Destination::Temporary(file) => {
                file.end(|file| file.persist(&self.target).map_err(|error| error.error)).map(drop)?;
            }
        }
        sync_folder(&self.target);
        Ok(())
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.destination {
            Destination::Temporary(file) => file.write(bytes),
            Destination::Unnamed(file) | Destination::Direct(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.destination {
            Destination::Temporary(file) => file.flush(),
            Destination::Unnamed(file) | Destination::Direct(file) => file.flush(),
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

/// A file without a name, where the file system has such and the process can name it later.
fn unnamed(folder: &Path, mode: u32) -> Option<File> {
    if !Path::new("/proc/self/fd").exists() {
        return None;
    }
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::open(folder, flags, Mode::from_raw_mode(mode)).ok().map(File::from)
}

/// Names a file. A file that has the name already is replaced in one step: by the new one under a temporary name, for which
/// there is no other way.
fn name(file: &File, target: &Path) -> io::Result<()> {
    let open = format!("/proc/self/fd/{}", file.as_raw_fd());
    let link = |path: &Path| -> io::Result<()> {
        Ok(rustix::fs::linkat(CWD, open.as_str(), CWD, path, AtFlags::SYMLINK_FOLLOW)?)
    };
    match link(target) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let temporary = with_temporary_name(target, |builder| builder.make_in(folder(target), link))?;
            temporary.end(|file| file.persist(target).map_err(|error| error.error))
        }
        result => result,
    }
}

fn temporary(target: &Path, mode: u32) -> io::Result<Unfinished<NamedTempFile>> {
    with_temporary_name(target, |builder| {
        set_mode(builder, mode);
        builder.tempfile_in(folder(target))
    })
}

/// What `make` makes beside a target, under a name that begins with its own.
fn with_temporary_name<F>(
    target: &Path,
    make: impl FnOnce(&mut tempfile::Builder<'_, '_>) -> io::Result<NamedTempFile<F>>,
) -> io::Result<Unfinished<NamedTempFile<F>>> {
    let name = target.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(name);
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(".tmp");
    Unfinished::make(|| make(&mut builder))
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
