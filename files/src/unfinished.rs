//! What must not outlive an interrupted process: files and folders under names that nobody asked for, until they are
//! finished, and programs that it started.
//!
//! A process that ends in order removes its own. One that is interrupted does it if its program asks for that in `main`
//! ([`remove_when_interrupted`]): a library decides nothing about the signals of a process.
//!
//! One register holds them all. Making, naming, starting and removing one happen under its lock, so that whoever has the lock
//! sees all there are, and no more come.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;
use signal_hook::{flag, low_level};
use tempfile::TempDir;

static UNFINISHED: Mutex<Register> = Mutex::new(Register { paths: BTreeSet::new(), groups: vec![] });

/// All that is unfinished.
pub(crate) struct Register {
    paths: BTreeSet<PathBuf>,
    /// Process groups of programs that were started.
    pub(crate) groups: Vec<Pid>,
}

pub(crate) fn unfinished() -> MutexGuard<'static, Register> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file or folder that removes itself when it is dropped, and is in the register until then.
#[derive(Debug)]
pub(crate) struct Unfinished<T> {
    /// There until the end.
    value: Option<T>,
    path: PathBuf,
}

impl<T: AsRef<Path>> Unfinished<T> {
    /// Makes one and registers it.
    ///
    /// # Errors
    /// Those of `make`, and of finding the current folder.
    pub(crate) fn make(make: impl FnOnce() -> io::Result<T>) -> io::Result<Self> {
        let mut register = unfinished();
        let value = make()?;
        let path = std::path::absolute(value.as_ref())?;
        register.paths.insert(path.clone());
        Ok(Unfinished { value: Some(value), path })
    }
}

impl<T> Unfinished<T> {
    /// Ends it, by giving it another name for example.
    pub(crate) fn end<R>(mut self, action: impl FnOnce(T) -> R) -> R {
        let mut register = unfinished();
        let result = action(self.value.take().expect(THERE));
        register.paths.remove(&self.path);
        result
    }
}

/// Only what consumes the whole takes the value.
const THERE: &str = "the value is there until the end";

impl<T> Deref for Unfinished<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect(THERE)
    }
}

impl<T> DerefMut for Unfinished<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect(THERE)
    }
}

impl<T> Drop for Unfinished<T> {
    fn drop(&mut self) {
        if let Some(value) = self.value.take() {
            let mut register = unfinished();
            drop(value);
            register.paths.remove(&self.path);
        }
    }
}

/// A folder in the system's folder for temporary files that only its owner may enter. It is removed when this is dropped.
#[derive(Debug)]
pub struct TemporaryFolder(Unfinished<TempDir>);

impl TemporaryFolder {
    /// Makes an empty folder.
    ///
    /// # Errors
    /// Any I/O error.
    pub fn new() -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("paf-");
        crate::atomic_file::set_mode(&mut builder, 0o700);
        Unfinished::make(|| builder.tempdir()).map(TemporaryFolder)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

/// A file for as long as it is open, which no folder lists: nothing is left of it, whatever ends the process.
#[derive(Debug)]
pub struct ScratchFile(File);

impl ScratchFile {
    /// Makes an empty one in the system's folder for temporary files.
    ///
    /// # Errors
    /// Any I/O error.
    pub fn new() -> io::Result<Self> {
        tempfile::tempfile().map(ScratchFile)
    }

    /// What to write to.
    pub fn file(&self) -> &File {
        &self.0
    }

    /// Where this process, and no other, can open it again to read it from its beginning.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }
}

/// Makes SIGINT, SIGTERM and SIGHUP end the programs that were started ([`ChildProgram`](crate::ChildProgram)), remove all that
/// is unfinished, and end the process with 128 and the signal's number, as
/// shells count: 130 after Ctrl-C. A second signal ends it at once. Signals that the process was started to ignore stay
/// ignored (`nohup`). A file that grows beyond the limit of the process is an error of writing, not its end. Programs call it first
/// in `main`.
///
/// # Errors
/// Any I/O error; then some of the signals may end the process without this.
pub fn remove_when_interrupted() -> io::Result<()> {
    let ignored = ignored_signals();
    let signals: Vec<i32> =
        [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0).collect();
    let interrupted = Arc::new(AtomicBool::new(false));
    for &signal in &signals {
        flag::register_conditional_shutdown(signal, exit_code(signal), Arc::clone(&interrupted))?;
        flag::register(signal, Arc::clone(&interrupted))?;
    }
    flag::register(SIGXFSZ, Arc::default())?;
    let mut coming = Signals::new(&signals)?;
    let wait = move || {
        if let Some(signal) = coming.forever().next() {
            // Locked to the end: nothing is begun or named any more.
            let register = unfinished();
            register.groups.iter().for_each(|&group| end_group(group));
            remove_all(&register.paths);
            low_level::exit(exit_code(signal));
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(wait).map(drop)
}

/// Ends all programs of a group; those that have ended are no error.
pub(crate) fn end_group(group: Pid) {
    let _ = kill_process_group(group, Signal::KILL);
}

fn exit_code(signal: i32) -> i32 {
    128 + signal
}

/// What cannot be removed stays: there is nobody left to tell.
fn remove_all(paths: &BTreeSet<PathBuf>) {
    for path in paths {
        let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    }
}

/// The signals that the process ignores, a bit each from 1 on; none where the system does not say.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
