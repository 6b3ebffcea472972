//! Evaluations that are killed, as processes, and go on; checkpoints of something else.

mod bench;
#[path = "../../runtime/tests/common/mod.rs"]
mod common;

use std::fs;
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use bench::Bench;
use common::refreshing_case;
use paf_circuit::write_circuit;
use paf_runtime::Checkpoints;
use serde_json::Value;

const EVAL: &str = "eval circuit.bin --public server.key --input x.ct --output z.ct --checkpoint-every 0";

/// Moments over the whole time of an evaluation at which it is killed.
const MOMENTS: u32 = 12;

/// The circuit with its keys, and the results of an evaluation that nothing interrupted.
fn bench() -> (Bench, Vec<u8>) {
    let bench = Bench::with_keys(&refreshing_case());
    bench.succeeds("eval circuit.bin --public server.key --input x.ct --output y.ct");
    let whole = fs::read(bench.path("y.ct")).unwrap();
    (bench, whole)
}

fn start(bench: &Bench, arguments: &str) -> Child {
    bench.command(&format!("{EVAL} {arguments}")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn kill(mut process: Child) -> ExitStatus {
    process.kill().unwrap();
    process.wait().unwrap()
}

/// When a checkpoint was last written.
fn last_write(folder: &Path) -> Option<SystemTime> {
    let files = fs::read_dir(folder).ok()?.flatten();
    let checkpoints = files.filter(|file| file.file_name().to_string_lossy().starts_with("sample-"));
    checkpoints.filter_map(|file| file.metadata().ok()?.modified().ok()).max()
}

/// Starts an evaluation and kills it as soon as it has written a further checkpoint. Whether it was still running.
fn kill_after_a_checkpoint(bench: &Bench, option: &str) -> bool {
    let folder = bench.path("kept");
    let before = last_write(&folder);
    let mut process = start(bench, &format!("{option} kept"));
    let is_new = || last_write(&folder).is_some_and(|time| Some(time) != before);
    while process.try_wait().unwrap().is_none() && !is_new() {
        sleep(Duration::from_micros(200));
    }
    !kill(process).success()
}

/// Leaves checkpoints in the folder `kept`.
fn interrupt(bench: &Bench) {
    for _ in 0..20 {
        if kill_after_a_checkpoint(bench, "--checkpoint") && last_write(&bench.path("kept")).is_some() {
            return;
        }
    }
    panic!("every evaluation ended before it could be killed");
}

fn check_finished(bench: &Bench, whole: &[u8], when: &str) {
    assert!(fs::read(bench.path("z.ct")).unwrap() == whole, "{when}: other results");
    assert_eq!(fs::read_dir(bench.path("kept")).unwrap().count(), 0, "{when}: checkpoints are left");
    fs::remove_file(bench.path("z.ct")).unwrap();
}

#[test]
fn an_evaluation_killed_at_any_moment_goes_on_with_the_same_result() {
    let (bench, whole) = bench();
    let begin = Instant::now();
    assert!(start(&bench, "--checkpoint kept").wait().unwrap().success());
    let duration = begin.elapsed();
    check_finished(&bench, &whole, "not killed");
    for moment in 0..MOMENTS {
        let process = start(&bench, "--checkpoint kept");
        sleep(duration * moment / MOMENTS);
        if !kill(process).success() {
            fs::create_dir_all(bench.path("kept")).unwrap();
            bench.succeeds(&format!("{EVAL} --resume kept"));
        }
        check_finished(&bench, &whole, &format!("killed at {moment} of {MOMENTS}"));
    }
}

#[test]
fn a_folder_serves_one_process_at_a_time() {
    let (bench, whole) = bench();
    let held = Checkpoints::start(&bench.path("kept"), Duration::ZERO).unwrap();
    for option in ["--checkpoint", "--resume"] {
        bench.fails(&format!("{EVAL} {option} kept"), 1, "kept is in use by another process");
    }
    assert!(!bench.path("z.ct").exists());
    drop(held);
    bench.succeeds(&format!("{EVAL} --checkpoint kept"));
    check_finished(&bench, &whole, "when the folder was free again");
}

#[test]
fn an_evaluation_killed_after_each_checkpoint_ends_without_doing_work_twice() {
    let (bench, whole) = bench();
    interrupt(&bench);
    let mut kills = 1;
    while kills < 6 && kill_after_a_checkpoint(&bench, "--resume") {
        kills += 1;
    }
    if !bench.path("z.ct").exists() {
        bench.succeeds(&format!("{EVAL} --resume kept"));
    }
    assert!(kills > 3, "{kills} kills");
    check_finished(&bench, &whole, "killed after each checkpoint");
}

#[test]
fn what_checkpoints_spare_is_reported() {
    let (bench, whole) = bench();
    interrupt(&bench);
    let facts: Value = bench.json(&format!("{EVAL} --resume kept"));
    let (all, spared) = (facts["operations"].as_u64().unwrap(), facts["operations_from_checkpoints"].as_u64().unwrap());
    let case = refreshing_case();
    assert_eq!(all as usize, case.samples.len() * case.circuit.program.len());
    assert!(spared > 0 && spared < all, "{facts}");
    check_finished(&bench, &whole, "resumed");
    let facts = bench.json(&format!("{EVAL} --checkpoint kept"));
    assert_eq!(facts["operations_from_checkpoints"], 0);
    check_finished(&bench, &whole, "not interrupted");
}

#[test]
fn checkpoints_of_something_else_are_refused() {
    let (bench, whole) = bench();
    interrupt(&bench);
    let mut other = refreshing_case().circuit;
    other.model.source_sha256 = [8; 32];
    write_circuit(&bench.path("other.bin"), &other).unwrap();
    bench.succeeds("encrypt circuit.bin --public server.key --input x.npy --output other.ct");
    bench.succeeds("keygen circuit.bin --secret second.key --public second-server.key");
    bench.succeeds("encrypt circuit.bin --public second-server.key --input x.npy --output second.ct");

    let fails = |circuit: &str, key: &str, input: &str, option: &str, message: &str| {
        bench.fails(&format!("eval {circuit} --public {key} --input {input} --output z.ct {option}"), 1, message);
    };
    fails("circuit.bin", "server.key", "x.ct", "--checkpoint kept", "kept holds checkpoints of an interrupted run");
    fails("other.bin", "server.key", "x.ct", "--resume kept", "checkpoint of a run with another circuit");
    fails("circuit.bin", "server.key", "other.ct", "--resume kept", "checkpoint of a run with another input file");
    fails("circuit.bin", "second-server.key", "second.ct", "--resume kept", ".checkpoint: made with the key");
    fails("circuit.bin", "server.key", "x.ct", "--resume missing", "missing");
    fails("circuit.bin", "server.key", "kept/sample-0.checkpoint", "", "it does not hold inputs");
    assert_eq!(bench.run(&format!("{EVAL} --resume kept --checkpoint kept")).status.code(), Some(2));
    assert_eq!(bench.run(&format!("{EVAL} --checkpoint-every -1")).status.code(), Some(2));

    bench.succeeds(&format!("{EVAL} --resume kept"));
    check_finished(&bench, &whole, "after all that");
}

#[test]
fn damaged_checkpoints_are_refused() {
    let (bench, whole) = bench();
    interrupt(&bench);
    let path = bench.path("kept/sample-0.checkpoint");
    let checkpoint = fs::read(&path).unwrap();
    let resume = format!("{EVAL} --resume kept");
    for place in [0, 20, 200, checkpoint.len() / 2, checkpoint.len() - 1] {
        let mut damaged = checkpoint.clone();
        damaged[place] ^= 1;
        fs::write(&path, &damaged).unwrap();
        bench.fails(&resume, 1, "sample-0.checkpoint");
        fs::write(&path, &checkpoint[..place]).unwrap();
        bench.fails(&resume, 1, "sample-0.checkpoint");
    }
    fs::write(bench.path("kept/sample-1.checkpoint"), &checkpoint).unwrap();
    fs::write(&path, &checkpoint).unwrap();
    bench.fails(&resume, 1, "this is a checkpoint of sample 0");
    fs::remove_file(bench.path("kept/sample-1.checkpoint")).unwrap();
    fs::write(bench.path("kept/.sample-1.checkpointAbCdEf.tmp"), "half").unwrap();
    bench.succeeds(&resume);
    check_finished(&bench, &whole, "with a half written file");
}
