//! Commands that hold secrets leave no core file, whatever ends them.

#![cfg(target_os = "linux")]

mod bench;
#[path = "../../runtime/tests/common/mod.rs"]
mod common;

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
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

/// Whether the shell has become the program.
fn is_program(process: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{process}/comm")).unwrap().trim() == "paf-run"
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
        // The shell begins with the limit of the tests, which may be 0 too.
        while !(is_program(child.id()) && core_limit(child.id()) == "0") {
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

/// The program with its libraries where any user can run it, and a folder where any user can write.
fn open_to_all() -> Bench {
    let bench = Bench::new(&common::network_case());
    let program = Path::new(env!("CARGO_BIN_EXE_paf-run"));
    let libraries = testkit::entries(program.parent().unwrap()).into_iter();
    let libraries = libraries.filter(|path| path.to_string_lossy().ends_with(".so.1"));
    for file in libraries.chain([program.to_owned()]) {
        std::fs::copy(&file, bench.path(&testkit::file_name(&file))).unwrap();
    }
    std::fs::set_permissions(bench.folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    bench
}

/// A shell command in the folder by a user without privileges: as root, another one.
fn by_a_user(bench: &Bench, script: &str) -> Command {
    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let mut command = Command::new(if is_root { "setpriv" } else { "sh" });
    if is_root {
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "sh"]);
    }
    command.args(["-c", script]).current_dir(bench.folder.path()).env("TMPDIR", bench.folder.path());
    command
}

/// Waits until a process sleeps in opening a pipe: what it needed before is loaded.
fn until_it_waits(child: &Child) {
    let patience = Instant::now() + Duration::from_secs(30);
    let channel = || std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
    let sleeps = |stat: &str| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S'));
    let mut times = 0;
    while times < 20 {
        assert!(Instant::now() < patience);
        times = if sleeps(&channel()) { times + 1 } else { 0 };
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Other processes of the user read neither the map of the memory of a process that has the key, nor the memory.
#[test]
fn what_holds_a_key_cannot_be_read_by_others_of_the_user() {
    let bench = open_to_all();
    let run = |arguments: &str| {
        let output = by_a_user(&bench, &format!("./paf-run {arguments}")).output().unwrap();
        assert!(output.status.success(), "{arguments}: {}", bench::text(&output.stderr));
    };
    run("keygen circuit.bin --secret client.key --public server.key --insecure-test-parameters");
    assert!(by_a_user(&bench, "mkfifo pipe").status().unwrap().success());
    let reads = |command: &str| {
        let mut child = by_a_user(&bench, &format!("exec ./paf-run {command}")).spawn().unwrap();
        until_it_waits(&child);
        let read = |file: &str| {
            let script = format!("head -c 64 /proc/{}/{file}", child.id());
            by_a_user(&bench, &script).output().unwrap().stdout.len() == 64
        };
        let result = (read("maps"), read("environ"));
        child.kill().unwrap();
        child.wait().unwrap();
        result
    };
    assert_eq!(reads("info --machine-costs pipe circuit.bin"), (true, true), "what holds no key can be looked at");
    let decrypt = "decrypt circuit.bin --secret client.key --input pipe --output y.npy --insecure-test-parameters";
    assert_eq!(reads(decrypt), (false, false), "what holds a key cannot");
}

/// Nothing that commands write but the key file itself has the key in it.
#[test]
fn the_key_is_in_its_file_alone() {
    let bench = Bench::with_keys(&common::network_case());
    let mut printed =
        bench.succeeds("eval circuit.bin --public server.key --input x.ct --output y.ct --checkpoint kept");
    printed += &bench.succeeds("decrypt client.bin --secret client.key --input y.ct --output y.npy");
    let key = std::fs::read(bench.path("client.key")).unwrap();
    let is_coefficient = |byte: &u8| matches!(byte, 0 | 1 | 255);
    let start = key.windows(64).position(|run| run.iter().all(is_coefficient)).expect("coefficients");
    let needle = &key[start..start + 48];
    let holds = |bytes: &[u8]| bytes.windows(needle.len()).any(|run| run == needle);
    assert!(holds(&key) && !holds(printed.as_bytes()));
    for file in bench.files().iter().filter(|file| *file != "client.key" && bench.path(file).is_file()) {
        assert!(!holds(&std::fs::read(bench.path(file)).unwrap()), "{file}");
    }
}
