//! Commands that hold secrets leave no core file, whatever ends them.

#![cfg(target_os = "linux")]

mod bench;
#[path = "../../runtime/tests/common/mod.rs"]
mod common;

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use bench::Bench;

/// A command that waits for somebody to write to its circuit, under a shell's largest limit of core files.
fn waiting(bench: &Bench, arguments: &str) -> Child {
    let program = env!("CARGO_BIN_EXE_paf-run");
    let script = format!("ulimit -S -c $(ulimit -H -c); exec {program} {arguments} --insecure-test-parameters");
    Command::new("sh").args(["-c", &script]).current_dir(bench.folder.path()).spawn().unwrap()
}

/// The soft limit in `/proc`.
fn core_limit(process: u32) -> String {
    let limits = std::fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
    line.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn what_holds_secrets_cannot_be_dumped() {
    let bench = Bench::empty();
    assert!(Command::new("mkfifo").arg(bench.path("circuit.bin")).status().unwrap().success());
    for command in [
        "keygen circuit.bin --secret a --public b",
        "encrypt circuit.bin --public a --input b --output c",
        "decrypt circuit.bin --secret a --input b --output c",
        "infer circuit.bin --input a",
        "check circuit.bin --input a",
    ] {
        let mut child = waiting(&bench, command);
        let patience = Instant::now() + Duration::from_secs(30);
        while core_limit(child.id()) != "0" {
            assert!(Instant::now() < patience, "{command}: the limit of core files is {}", core_limit(child.id()));
            std::thread::sleep(Duration::from_millis(5));
        }
        // The other half of the protection follows at once, before the circuit is opened.
        std::thread::sleep(Duration::from_millis(50));
        let process = child.id().to_string();
        assert!(Command::new("kill").args(["-ABRT", &process]).status().unwrap().success());
        let status = child.wait().unwrap();
        assert_eq!((status.signal(), status.core_dumped()), (Some(6), false), "{command}");
    }
    assert_eq!(bench.files(), ["circuit.bin"]);
}
