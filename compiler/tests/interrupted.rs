//! Ctrl-C at any moment leaves no half-written file.

#![cfg(unix)]

use testkit::program::Workbench;
use testkit::testdata;

#[test]
fn nothing_unfinished_stays() {
    let bench = Workbench::new(env!("CARGO_BIN_EXE_paf-compile"));
    let path = |name: &str| testdata(name).display().to_string();
    let data = path("digits_calibration.npy");
    let arguments = format!("{} -o circuit.bin --calibration {data}", path("digits_resnet_tiny.onnx"));
    bench.interrupts_leave_nothing(&arguments);
}
