//! Ctrl-C at any moment leaves no half-written file.

#![cfg(unix)]

use std::process::{Command, Stdio};
use std::time::Duration;

use testkit::program::Workbench;
use testkit::testdata;

#[test]
fn nothing_unfinished_stays() {
    let bench = Workbench::new(env!("CARGO_BIN_EXE_paf-recover"));
    let path = |name: &str| testdata(name).display().to_string();
    let data = path("digits_calibration.npy");
    let arguments =
        format!("{} -o recovered.onnx --paf-out p.json --data {data} --report r.html", path("digits_resnet_tiny.onnx"));
    let mut interrupted = 0;
    for milliseconds in [0, 1, 5, 20, 50, 100, 200, 400] {
        let mut command = bench.command(&arguments);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // The handler is there before anything is written; before it, the signal ends the process by itself.
        std::thread::sleep(Duration::from_millis(30 + milliseconds));
        let process = child.id().to_string();
        let _ = Command::new("kill").args(["-INT", &process]).stderr(Stdio::null()).status();
        let code = child.wait().unwrap().code();
        interrupted += usize::from(code == Some(130));
        assert!(matches!(code, Some(0 | 130) | None), "{code:?}");
        let left = bench.files().into_iter().filter(|name| name.starts_with('.')).collect::<Vec<_>>();
        assert!(left.is_empty(), "{left:?}");
    }
    assert!(interrupted > 0);
}
