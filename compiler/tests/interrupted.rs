//! Ctrl-C at any moment leaves no half-written file and no program that was started.

#![cfg(unix)]

use testkit::program::Workbench;
use testkit::testdata;

#[test]
fn nothing_unfinished_stays() {
    let bench = Workbench::new(env!("CARGO_BIN_EXE_paf-compile"));
    let path = |name: &str| testdata(name).display().to_string();
    let data = path("digits_calibration.npy");
    let arguments = format!("{} --paf alpha7 -o circuit.bin --calibration {data}", path("digits_resnet_tiny.onnx"));
    bench.interrupts_leave_nothing(&arguments);
}

/// What is killed is compiled again to the same bytes.
#[test]
fn kills_leave_nothing_and_change_nothing() {
    let bench = Workbench::new(env!("CARGO_BIN_EXE_paf-compile"));
    let path = |name: &str| testdata(name).display().to_string();
    let data = path("digits_calibration.npy");
    let arguments = |output: &str| format!("{} -o {output} --calibration {data}", path("digits_mlp.onnx"));
    bench.succeeds(&arguments("expected.bin"));
    bench.kills_leave_nothing(&arguments("circuit.bin"), 60);
    bench.succeeds(&arguments("circuit.bin"));
    let bytes = |name: &str| std::fs::read(bench.path(name)).unwrap();
    assert!(bytes("circuit.bin") == bytes("expected.bin"));
}

/// A process that has ended and that nobody has waited for yet still has a number.
#[cfg(target_os = "linux")]
fn runs(process: &str) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    state.rsplit(") ").next().is_some_and(|state| !state.is_empty() && !state.starts_with(['Z', 'X']))
}

/// Polls for some seconds.
#[cfg(target_os = "linux")]
fn becomes_true(condition: impl Fn() -> bool) -> bool {
    (0..1000).any(|_| {
        condition() || {
            std::thread::sleep(std::time::Duration::from_millis(10));
            false
        }
    })
}

/// The command and what it started.
#[cfg(target_os = "linux")]
#[test]
fn a_recovery_command_ends_with_the_program() {
    let bench = Workbench::new(env!("CARGO_BIN_EXE_paf-compile"));
    bench.write("recover.sh", "sleep 1000 &\necho $$ $! > begun\nmv begun processes\nwait\n");
    let mut command = bench.command(&format!("{} -o circuit.bin", testdata("digits_mlp.onnx").display()));
    let mut child = command.args(["--recover-cmd", "sh recover.sh"]).spawn().unwrap();
    assert!(becomes_true(|| bench.path("processes").exists()), "the command runs");
    let processes = std::fs::read_to_string(bench.path("processes")).unwrap();
    assert!(processes.split_whitespace().all(runs), "{processes}");
    let program = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &program]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(becomes_true(|| !processes.split_whitespace().any(runs)), "{processes}");
    assert_eq!(bench.files(), ["processes", "recover.sh"]);
}
