//! `--machine-costs`: predictions and circuits for another machine than the reference one.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use common::testdata;
use paf_circuit::{read_circuit, write_machine_costs};
use paf_scheme::{EngineProfile, WorkKind};
use serde_json::Value;

fn compile(folder: &Path, circuit: &str, costs: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paf-compile"));
    command.arg(testdata("digits_cnn.onnx")).args(["--json", "-o", circuit]).current_dir(folder);
    command.arg("--calibration").arg(fs::canonicalize(testdata("digits_calibration.npy")).unwrap());
    command.args(costs.into_iter().flat_map(|file| ["--machine-costs", file])).output().unwrap()
}

fn facts(folder: &Path, circuit: &str, costs: Option<&str>) -> Value {
    let output = compile(folder, circuit, costs);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_machine_that_is_twice_as_slow_takes_twice_as_long_and_gets_the_same_program() {
    let folder = tempfile::tempdir().unwrap();
    let mut costs = EngineProfile::openfhe().reference.costs();
    costs.machine = "a slow one".into();
    costs.seconds.iter_mut().flatten().for_each(|seconds| *seconds *= 2.0);
    write_machine_costs(&folder.path().join("slow.json"), &costs).unwrap();

    let (here, there) = (facts(folder.path(), "a.bin", None), facts(folder.path(), "b.bin", Some("slow.json")));
    let seconds = |facts: &Value| facts["predicted_seconds"].as_f64().unwrap();
    assert!((seconds(&there) / seconds(&here) - 2.0).abs() < 1e-9, "{} and {}", seconds(&here), seconds(&there));
    assert_eq!(
        (here["predicted_for"].as_str(), there["predicted_for"].as_str()),
        (Some("two cores"), Some("a slow one"))
    );
    assert_eq!(here["predicted_peak_bytes"], there["predicted_peak_bytes"]);

    let read = |name: &str| read_circuit(&folder.path().join(name)).unwrap();
    let (here, there) = (read("a.bin"), read("b.bin"));
    assert_eq!((here.parameters, here.program), (there.parameters, there.program));
    assert_eq!(here.prediction.work, there.prediction.work, "work is counted on the reference machine");
    assert!((here.prediction.work.total() - here.prediction.seconds).abs() < 1e-9);

    facts(folder.path(), "c.bin", Some("slow.json"));
    let bytes = |name: &str| fs::read(folder.path().join(name)).unwrap();
    assert_eq!(bytes("b.bin"), bytes("c.bin"), "the same table gives the same circuit");
}

#[test]
fn tables_that_are_missing_or_damaged_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut costs = EngineProfile::openfhe().reference.costs();
    costs.seconds[WorkKind::Rescale as usize][0] = 0.0;
    write_machine_costs(&folder.path().join("zero.json"), &costs).unwrap();
    for (file, message) in
        [("missing.json", "missing.json"), ("zero.json", "zero.json: the file is not valid: `rescale` holds 0")]
    {
        let output = compile(folder.path(), "a.bin", Some(file));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && stderr.contains(message), "{stderr}");
        assert!(!folder.path().join("a.bin").exists());
    }
}
