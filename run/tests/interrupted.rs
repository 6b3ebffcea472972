//! Ctrl-C, kills and their like: what was unfinished is gone, and the exit code says which signal it was.

#![cfg(unix)]

mod bench;
#[path = "../../runtime/tests/common/mod.rs"]
mod common;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bench::Bench;
use common::refreshing_case;
use testkit::program::{ended_by, moments};

/// Attempts until a signal comes while there is something unfinished: a command that was faster has finished its work.
const ATTEMPTS: u32 = 50;

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return vec![] };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// All that commands have under names that nobody asked for.
fn unfinished(bench: &Bench) -> Vec<String> {
    let hidden = [bench.folder.path().to_owned(), bench.path("kept")].into_iter().flat_map(|folder| names(&folder));
    hidden.filter(|name| name.starts_with('.')).chain(names(&bench.path("temporary"))).collect()
}

fn command(bench: &Bench, arguments: &str) -> Command {
    let mut command = bench.command(arguments);
    command.env("TMPDIR", bench.path("temporary"));
    command
}

/// How long a command takes; what it makes is removed again.
fn usual(bench: &Bench, arguments: &str) -> Duration {
    let (start, before) = (Instant::now(), bench.files());
    assert!(command(bench, arguments).output().unwrap().status.success(), "{arguments}");
    let time = start.elapsed();
    remove_new(bench, &before);
    time
}

fn remove_new(bench: &Bench, before: &[String]) {
    for name in bench.files().iter().filter(|name| !before.contains(name)) {
        fs::remove_file(bench.path(name)).unwrap();
    }
}

/// Interrupts a command at one moment after another, until one was caught; nothing of it may stay, ever.
fn interrupt(bench: &Bench, arguments: &str, signal: &str, code: i32) {
    let (usual, before) = (usual(bench, arguments), bench.files());
    for moment in moments(usual, ATTEMPTS) {
        let status = ended_by(command(bench, arguments), signal, moment);
        assert_eq!(unfinished(bench), Vec::<String>::new(), "{arguments}");
        remove_new(bench, &before);
        match status.code() {
            Some(found) if found == code => return,
            // Before the handler was there, or after the work was done.
            None | Some(0) => {}
            other => panic!("{arguments}: {other:?}"),
        }
    }
    panic!("{arguments}: no attempt was caught");
}

fn bench() -> Bench {
    let bench = Bench::with_keys(&refreshing_case());
    fs::create_dir(bench.path("temporary")).unwrap();
    bench
}

const EVAL: &str = "eval circuit.bin --public server.key --input x.ct --output y.ct";
const KEYGEN: &str = "keygen client.bin --secret other.key --public other-server.key";
const ENCRYPT: &str = "encrypt client.bin --public server.key --input x.npy --output other.ct";

#[test]
fn nothing_unfinished_stays() {
    let bench = bench();
    for (signal, code) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129)] {
        interrupt(&bench, KEYGEN, signal, code);
        interrupt(&bench, "infer circuit.bin --input x.npy --key-memory 1", signal, code);
        interrupt(&bench, EVAL, signal, code);
    }
}

/// Both keys or none, the whole of the inputs or nothing.
#[test]
fn kills_leave_all_or_nothing() {
    let bench = bench();
    let before = bench.files();
    for (arguments, made) in [(KEYGEN, vec!["other-server.key", "other.key"]), (ENCRYPT, vec!["other.ct"])] {
        for moment in moments(usual(&bench, arguments), 45) {
            ended_by(command(&bench, arguments), "-KILL", moment);
            assert_eq!(unfinished(&bench), Vec::<String>::new(), "{arguments}");
            let new: Vec<String> = bench.files().into_iter().filter(|name| !before.contains(name)).collect();
            assert!(new.is_empty() || new == made, "{arguments}: {new:?}");
            remove_new(&bench, &before);
        }
    }
}

/// Whole checkpoints stay, since they are what the next run goes on from.
#[test]
fn an_evaluation_that_ended_early_goes_on() {
    let bench = bench();
    let arguments = format!("{EVAL} --resume kept --checkpoint-every 0");
    fs::create_dir(bench.path("kept")).unwrap();
    bench.succeeds(&arguments);
    let (expected, start) = (fs::read(bench.path("y.ct")).unwrap(), Instant::now());
    bench.succeeds(&arguments);
    let usual = start.elapsed();
    let kills = moments(usual, 60).map(|moment| ("-KILL", moment));
    for (signal, moment) in kills.chain(moments(usual, 5).map(|moment| ("-INT", moment))) {
        if !ended_by(command(&bench, &arguments), signal, moment).success() {
            assert_eq!(unfinished(&bench), Vec::<String>::new());
            continue;
        }
        assert!(fs::read(bench.path("y.ct")).unwrap() == expected);
        fs::remove_file(bench.path("y.ct")).unwrap();
    }
    bench.succeeds(&arguments);
    assert!(fs::read(bench.path("y.ct")).unwrap() == expected);
    assert_eq!(names(&bench.path("kept")), Vec::<String>::new());
}

#[test]
fn signals_that_were_ignored_stay_ignored() {
    let bench = bench();
    let usual = usual(&bench, KEYGEN);
    let program = env!("CARGO_BIN_EXE_paf-run");
    let script = format!("trap '' HUP; exec {program} {KEYGEN} --insecure-test-parameters");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).current_dir(bench.folder.path());
    assert!(ended_by(shell, "-HUP", usual.mul_f64(0.5)).success());
}

/// The limit of a file's size is told as any full disk is.
#[test]
fn a_file_that_grows_too_large_is_an_error() {
    let bench = bench();
    let script =
        format!("ulimit -f 8; exec {} {KEYGEN} --insecure-test-parameters 2>problem", env!("CARGO_BIN_EXE_paf-run"));
    let status = Command::new("sh").args(["-c", &script]).current_dir(bench.folder.path()).status().unwrap();
    let problem = fs::read_to_string(bench.path("problem")).unwrap();
    assert_eq!(status.code(), Some(3), "{problem}");
    assert!(problem.contains("other-server.key") && !bench.path("other.key").exists(), "{problem}");
}
