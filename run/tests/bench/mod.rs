//! `paf-run` in folders of its own.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use ndarray::{ArrayD, IxDyn};
use ndarray_npy::{WritableElement, read_npy, write_npy};
use paf_circuit::write_circuit;
use serde_json::Value;
use tempfile::TempDir;

use crate::common::Case;

/// The commands that make or use keys.
pub(crate) const COMMANDS_WITH_KEYS: [&str; 6] = ["keygen", "encrypt", "eval", "decrypt", "infer", "check"];

/// A folder in which commands run.
pub(crate) struct Bench {
    pub(crate) folder: TempDir,
}

impl Bench {
    pub(crate) fn new(case: &Case) -> Self {
        let bench = Bench::empty();
        write_circuit(&bench.path("circuit.bin"), &case.circuit).unwrap();
        let mut shape = vec![case.samples.len()];
        shape.extend(&case.circuit.program.inputs[0].shape.0);
        bench.write("x.npy", &shape, case.samples.concat());
        bench
    }

    pub(crate) fn empty() -> Self {
        Bench { folder: tempfile::tempdir().unwrap() }
    }

    /// A circuit with its client file, keys and encrypted inputs.
    pub(crate) fn with_keys(case: &Case) -> Self {
        let bench = Bench::new(case);
        bench.succeeds("client circuit.bin -o client.bin");
        bench.succeeds("keygen client.bin --secret client.key --public server.key");
        bench.succeeds("encrypt client.bin --public server.key --input x.npy --output x.ct");
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write<T: WritableElement>(&self, name: &str, shape: &[usize], data: Vec<T>) {
        write_npy(self.path(name), &ArrayD::from_shape_vec(IxDyn(shape), data).unwrap()).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> ArrayD<f64> {
        read_npy(self.path(name)).unwrap()
    }

    pub(crate) fn run(&self, arguments: &str) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The circuits of these tests protect nothing, and the commands that ask whether that is meant are told so.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = self.command_as_is(arguments);
        if arguments.split_whitespace().next().is_some_and(|name| COMMANDS_WITH_KEYS.contains(&name)) {
            command.arg("--insecure-test-parameters");
        }
        command
    }

    pub(crate) fn command_as_is(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_paf-run"));
        command.args(arguments.split_whitespace()).current_dir(self.folder.path());
        // No test depends on the settings of who runs it.
        command.env("XDG_CONFIG_HOME", self.path("settings"));
        command
    }

    pub(crate) fn succeeds(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "paf-run {arguments}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    pub(crate) fn json(&self, arguments: &str) -> Value {
        serde_json::from_str(&self.succeeds(&format!("{arguments} --json"))).unwrap()
    }

    /// The command ends with this exit code, and the last line of stderr contains the message.
    pub(crate) fn fails(&self, arguments: &str, code: i32, message: &str) {
        assert_fails(&mut self.command(arguments), arguments, code, message);
    }

    /// As [`Bench::fails`] for a command that is not told that its circuit protects nothing.
    pub(crate) fn fails_as_is(&self, arguments: &str, code: i32, message: &str) {
        assert_fails(&mut self.command_as_is(arguments), arguments, code, message);
    }

    /// Moves files into a new folder.
    pub(crate) fn part(&self, files: &[&str]) -> Bench {
        let part = Bench::empty();
        for file in files {
            fs::copy(self.path(file), part.path(file)).unwrap();
        }
        part
    }

    pub(crate) fn files(&self) -> Vec<String> {
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<String> = fs::read_dir(self.folder.path()).unwrap().map(name).collect();
        names.sort();
        names
    }
}

fn assert_fails(command: &mut Command, arguments: &str, code: i32, message: &str) {
    let output = command.output().unwrap();
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "paf-run {arguments}: {stderr}");
    let last = stderr.trim_end().lines().last().unwrap_or_default();
    assert!(last.starts_with("error: ") && last.contains(message), "paf-run {arguments}: {stderr}");
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
