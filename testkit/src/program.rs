//! The project's programs, run as their users run them: in a folder of their own, by a command line, to an exit code.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::entries;
use crate::file_name;

/// Exit code for the user's model or data.
pub const DATA: i32 = 1;
/// Exit code for wrong usage.
pub const USAGE: i32 = 2;
/// Exit code for the environment.
pub const ENVIRONMENT: i32 = 3;

/// A program with a folder in which it runs, empty at first.
#[derive(Debug)]
pub struct Workbench {
    program: PathBuf,
    folder: TempDir,
}

/// What a run printed.
#[derive(Debug, Clone)]
pub struct Printed {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Printed {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Printed { stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// The facts of a run with `--json`.
    ///
    /// # Panics
    /// If standard output is no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|problem| panic!("{problem}: {}", self.stdout))
    }
}

/// Starts a program that prints nowhere, sends it a signal after some time, and waits for its end.
///
/// # Panics
/// If it cannot be started, or does not end.
pub fn ended_by(mut command: Command, signal: &str, after: Duration) -> ExitStatus {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a program");
    std::thread::sleep(after);
    let process = child.id().to_string();
    let _ = Command::new("kill").args([signal, &process]).stderr(Stdio::null()).status();
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            return status;
        }
        assert!(Instant::now() < end, "it hangs");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// So many moments of a time, spread over all of it and in no order; always the same ones.
pub fn moments(time: Duration, count: u32) -> impl Iterator<Item = Duration> {
    let golden = 0.5 * (5f64.sqrt() - 1.0);
    (1..=count).map(move |index| time.mul_f64((f64::from(index) * golden).fract()))
}

impl Workbench {
    /// For a program: `env!("CARGO_BIN_EXE_NAME")` in the tests of its crate.
    ///
    /// # Panics
    /// If there can be no temporary folder.
    pub fn new(program: impl AsRef<Path>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Workbench { program: program.as_ref().to_owned(), folder }
    }

    /// A file of the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The names of the folder's files.
    pub fn files(&self) -> Vec<String> {
        entries(self.folder.path()).iter().map(|path| file_name(path)).collect()
    }

    /// Writes a file of the folder.
    ///
    /// # Panics
    /// If it cannot.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        fs::write(self.path(name), contents).expect("a writable folder");
    }

    /// The program with arguments that are separated by blanks.
    pub fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments.split_whitespace()).current_dir(self.folder.path());
        // No test depends on the settings of who runs it.
        command.env("XDG_CONFIG_HOME", self.path("settings"));
        command
    }

    /// Runs the program.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn run(&self, arguments: &str) -> Output {
        self.command(arguments).output().expect("the program starts")
    }

    /// Interrupts the program at several moments: it ends with 130 at least once, and never leaves a hidden file.
    ///
    /// # Panics
    /// If it does not.
    pub fn interrupts_leave_nothing(&self, arguments: &str) {
        let mut interrupted = 0;
        for milliseconds in [0, 1, 5, 20, 50, 100, 200, 400] {
            // The handler is there before anything is written; before it, the signal ends the process by itself.
            let code = ended_by(self.command(arguments), "-INT", Duration::from_millis(30 + milliseconds)).code();
            interrupted += usize::from(code == Some(130));
            assert!(matches!(code, Some(0 | 130) | None), "{code:?}");
            self.assert_nothing_hidden();
        }
        assert!(interrupted > 0);
    }

    /// Kills the program at so many moments of its usual time: it never leaves a hidden file.
    ///
    /// # Panics
    /// If it does.
    pub fn kills_leave_nothing(&self, arguments: &str, kills: u32) {
        let usual = Instant::now();
        self.succeeds(arguments);
        for delay in moments(usual.elapsed(), kills) {
            ended_by(self.command(arguments), "-KILL", delay);
            self.assert_nothing_hidden();
        }
    }

    fn assert_nothing_hidden(&self) {
        let left = self.files().into_iter().filter(|name| name.starts_with('.')).collect::<Vec<_>>();
        assert!(left.is_empty(), "{left:?}");
    }

    /// The run ends well.
    ///
    /// # Panics
    /// If it does not.
    pub fn succeeds(&self, arguments: &str) -> Printed {
        let output = self.run(arguments);
        let printed = Printed::of(&output);
        assert!(output.status.success(), "{arguments}: {}", printed.stderr);
        printed
    }

    /// The run ends with this exit code and a message with these parts; nothing is left in the folder.
    ///
    /// # Panics
    /// If it does not.
    pub fn fails(&self, arguments: &str, code: i32, parts: &[&str]) -> Printed {
        let before = self.files();
        let output = self.run(arguments);
        let printed = Printed::of(&output);
        let stderr = &printed.stderr;
        assert_eq!(output.status.code(), Some(code), "{arguments}: {stderr}");
        for part in parts {
            assert!(stderr.contains(part), "{arguments}: no `{part}` in: {stderr}");
        }
        assert_eq!(self.files(), before, "{arguments}");
        printed
    }
}
