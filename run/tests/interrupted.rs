//! Ctrl-C and its like: what was unfinished is gone, and the exit code says which signal it was.

#![cfg(unix)]

mod bench;
#[path = "../../runtime/tests/common/mod.rs"]
mod common;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bench::Bench;
use common::refreshing_case;

/// Attempts until a signal comes at the right moment: a command that was faster has finished its work.
const ATTEMPTS: usize = 50;

fn send(child: &Child, signal: &str) {
    let process = child.id().to_string();
    assert!(Command::new("kill").args([signal, &process]).status().unwrap().success());
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return vec![] };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// All that commands have under names that nobody asked for.
fn unfinished(bench: &Bench) -> Vec<String> {
    let hidden = [bench.folder.path().to_owned(), bench.path("kept")].into_iter().flat_map(|folder| names(&folder));
    hidden.filter(|name| name.starts_with('.')).chain(names(&bench.path("temporary"))).collect()
}

fn start(bench: &Bench, arguments: &str) -> Child {
    let mut command = bench.command(arguments);
    command.env("TMPDIR", bench.path("temporary")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Interrupts a command when it has something unfinished, until one was caught; nothing of it may stay, ever.
fn interrupt(bench: &Bench, arguments: &str, signals: &[&str], code: i32) {
    for _ in 0..ATTEMPTS {
        let mut child = start(bench, arguments);
        while unfinished(bench).is_empty() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_micros(200));
        }
        if child.try_wait().unwrap().is_none() {
            signals.iter().for_each(|signal| send(&child, signal));
        }
        let end = Instant::now() + Duration::from_secs(60);
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < end, "{arguments}: it hangs");
            std::thread::sleep(Duration::from_millis(1));
        };
        if signals.len() == 1 {
            assert_eq!(unfinished(bench), Vec::<String>::new(), "{arguments}");
        }
        match status.code() {
            Some(found) if found == code => return,
            other => assert_eq!(other, Some(0), "{arguments}: a command that was not caught has done its work"),
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

#[test]
fn nothing_unfinished_stays() {
    let bench = bench();
    for (signal, code) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129)] {
        interrupt(&bench, "keygen client.bin --secret other.key --public other-server.key", &[signal], code);
        interrupt(&bench, "infer circuit.bin --input x.npy --key-memory 1", &[signal], code);
        interrupt(&bench, EVAL, &[signal], code);
    }
}

/// Whole checkpoints stay, since they are what the next run goes on from.
#[test]
fn an_interrupted_evaluation_goes_on() {
    let bench = bench();
    bench.succeeds(&format!("{EVAL} --checkpoint-every 0"));
    let expected = fs::read(bench.path("y.ct")).unwrap();
    fs::create_dir(bench.path("kept")).unwrap();
    interrupt(&bench, &format!("{EVAL} --resume kept --checkpoint-every 0"), &["-INT"], 130);
    bench.succeeds(&format!("{EVAL} --resume kept --checkpoint-every 0"));
    assert_eq!(fs::read(bench.path("y.ct")).unwrap(), expected);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let bench = bench();
    let keygen = "keygen client.bin --secret other.key --public other-server.key";
    interrupt(&bench, keygen, &["-INT", "-INT", "-INT"], 130);
}

#[test]
fn signals_that_were_ignored_stay_ignored() {
    let bench = bench();
    let keygen = "keygen client.bin --secret other.key --public other-server.key --insecure-test-parameters";
    let script = format!("trap '' HUP; exec {} {keygen}", env!("CARGO_BIN_EXE_paf-run"));
    let mut child = Command::new("sh").args(["-c", &script]).current_dir(bench.folder.path()).spawn().unwrap();
    while unfinished(&bench).is_empty() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_micros(200));
    }
    if child.try_wait().unwrap().is_none() {
        send(&child, "-HUP");
    }
    assert!(child.wait().unwrap().success());
}
