//! What the environment does not give: each ends with exit code 3 and a sentence, never with a signal.

#![cfg(unix)]

mod bench;
#[path = "../../runtime/tests/common/mod.rs"]
mod common;

use std::fs;
use std::process::{Command, Output};

use bench::{Bench, text};
use common::{network_case, refreshing_case};

/// Exit code for the environment.
const ENVIRONMENT: i32 = 3;

const EVAL: &str = "eval circuit.bin --public server.key --input x.ct --output y.ct --insecure-test-parameters";

/// A command of a shell, `RUN` standing for the program.
fn shell(bench: &Bench, script: &str) -> Output {
    let script = script.replace("RUN", env!("CARGO_BIN_EXE_paf-run"));
    Command::new("bash").args(["-c", &script]).current_dir(bench.folder.path()).output().unwrap()
}

#[test]
fn a_missing_folder_for_temporary_files_is_named() {
    let bench = Bench::new(&refreshing_case());
    let mut command = bench.command("infer circuit.bin --input x.npy --key-memory 1");
    let output = command.env("TMPDIR", bench.path("missing")).output().unwrap();
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(ENVIRONMENT), "{stderr}");
    assert!(stderr.contains("cannot write to the folder for temporary files") && stderr.contains("TMPDIR"), "{stderr}");
}

/// Whatever the limit of addresses: the work is done, or there is a sentence.
#[test]
fn too_few_addresses_are_a_sentence() {
    let bench = Bench::with_keys(&refreshing_case());
    let mut refused = 0;
    for mebibytes in (60..600).step_by(20) {
        for more in ["", " --ignore-memory"] {
            let output = shell(&bench, &format!("ulimit -v $(({mebibytes} * 1024)); exec RUN {EVAL}{more}"));
            let stderr = text(&output.stderr);
            // Below that the program itself cannot be loaded.
            if output.status.code() == Some(127) {
                continue;
            }
            match output.status.code() {
                Some(0) => {}
                Some(ENVIRONMENT) => {
                    refused += 1;
                    let last = stderr.trim_end().lines().last().unwrap_or_default();
                    assert!(last.starts_with("error: ") && last.contains("memory"), "{mebibytes} MiB: {stderr}");
                }
                other => panic!("{mebibytes} MiB{more}: {other:?}, {:?}: {stderr}", output.status),
            }
        }
    }
    assert!(refused > 0, "no limit was too low");
}

#[test]
fn closed_streams_and_full_devices_are_no_signal() {
    let bench = Bench::with_keys(&network_case());
    for (script, codes) in [
        ("RUN info circuit.bin | true; exit ${PIPESTATUS[0]}", vec![0, ENVIRONMENT]),
        ("RUN info circuit.bin >/dev/full", vec![ENVIRONMENT]),
        (&format!("RUN {EVAL} >&- 2>&-"), vec![0, ENVIRONMENT]),
        (&format!("RUN {EVAL} </dev/null"), vec![0]),
    ] {
        let output = shell(&bench, script);
        assert!(output.status.code().is_some_and(|code| codes.contains(&code)), "{script}: {:?}", output.status);
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let bench = Bench::with_keys(&network_case());
    fs::write(bench.path("file"), "").unwrap();
    let eval = EVAL.replace("y.ct", "file/y.ct");
    let output = shell(&bench, &format!("RUN {eval}"));
    assert_eq!(output.status.code(), Some(ENVIRONMENT), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("file/y.ct: "));
}
