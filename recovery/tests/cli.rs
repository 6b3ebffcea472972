//! `paf-recover` as its users run it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata").join(name)
}

fn run(folder: &Path, model: &str, arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paf-recover"));
    command.arg(testdata(model)).args(["-o", "recovered.onnx", "--paf-out", "p.json"]);
    command.args(arguments.split_whitespace()).current_dir(folder).output().unwrap()
}

fn path(name: &str) -> String {
    testdata(name).display().to_string()
}

#[test]
fn writes_model_pafs_and_report() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("c.toml"), "paf = \"f1_g2.cheon\"\nsamples = 200\n").unwrap();
    let arguments = format!(
        "--data {} --test {} --test-labels {} --config c.toml --report r.html --json",
        path("digits_calibration.npy"),
        path("digits_test.npy"),
        path("digits_test_labels.npy")
    );
    let output = run(folder.path(), "digits_resnet_tiny.onnx", &arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let facts: Value = serde_json::from_slice(&output.stdout).unwrap();
    let nodes = facts["nodes"].as_array().unwrap();
    assert_eq!(
        nodes.iter().map(|node| node["node"].as_str().unwrap()).collect::<Vec<_>>(),
        ["stem_relu", "inner_relu", "block_relu"]
    );
    assert_eq!(facts["total_depth"], 3 * 6);
    let percent = |side: &str| facts[side]["percent"].as_f64().unwrap();
    assert!((percent("original") - 97.22).abs() < 0.01, "{}", percent("original"));
    assert!(percent("recovered") > 94.0, "{}", percent("recovered"));
    assert!(folder.path().join("recovered.onnx").is_file() && folder.path().join("p.json").is_file());
    let report = fs::read_to_string(folder.path().join("r.html")).unwrap();
    assert_eq!(report.matches("<svg").count(), 3 + 1, "one a node, and accuracy by step");
    assert!(report.contains("stem_relu") && report.contains("original 97.22"));
}

#[test]
fn bad_input_gets_an_error_and_leaves_nothing() {
    let data = path("digits_calibration.npy");
    let labels = path("digits_labels.npy");
    let cases = [
        (String::new(), 2, "no training data"),
        (format!("--data {data} --labels {labels}"), 1, "600 samples and 10 labels"),
        ("--data missing.npz".into(), 1, "missing.npz"),
        (format!("--data {data} --config c.toml"), 1, "unknown field `colour`"),
        (format!("--data {data} --config paf.toml"), 1, "there is no PAF called \"alpha77\""),
        (format!("--data {}", path("digits_cnn.onnx")), 1, "no .npy file"),
    ];
    for (arguments, code, part) in cases {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("c.toml"), "colour = 1").unwrap();
        fs::write(folder.path().join("paf.toml"), "paf = \"alpha77\"").unwrap();
        let output = run(folder.path(), "digits_cnn.onnx", &arguments);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments}: {message}");
        assert!(message.contains(part), "{arguments}: {message}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "{arguments}");
    }
}
