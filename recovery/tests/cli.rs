//! `paf-recover` as its users run it.

use std::fs;

use testkit::program::{DATA, USAGE, Workbench};
use testkit::testdata;

const OUTPUT: &str = "-o recovered.onnx --paf-out p.json";

fn bench() -> Workbench {
    Workbench::new(env!("CARGO_BIN_EXE_paf-recover"))
}

fn path(name: &str) -> String {
    testdata(name).display().to_string()
}

#[test]
fn writes_model_pafs_and_report() {
    let bench = bench();
    bench.write("c.toml", "paf = \"f1_g2.cheon\"\nsamples = 200\n");
    let arguments = format!(
        "{} {OUTPUT} --data {} --test {} --test-labels {} --config c.toml --report r.html --json",
        path("digits_resnet_tiny.onnx"),
        path("digits_calibration.npy"),
        path("digits_test.npy"),
        path("digits_test_labels.npy")
    );
    let facts = bench.succeeds(&arguments).json();
    let nodes = facts["nodes"].as_array().unwrap();
    assert_eq!(
        nodes.iter().map(|node| node["node"].as_str().unwrap()).collect::<Vec<_>>(),
        ["stem_relu", "inner_relu", "block_relu"]
    );
    assert_eq!(facts["total_depth"], 3 * 6);
    let percent = |side: &str| facts[side]["percent"].as_f64().unwrap();
    assert!((percent("original") - 97.22).abs() < 0.01, "{}", percent("original"));
    assert!(percent("recovered") > 94.0, "{}", percent("recovered"));
    assert!(bench.path("recovered.onnx").is_file() && bench.path("p.json").is_file());
    let report = fs::read_to_string(bench.path("r.html")).unwrap();
    assert_eq!(report.matches("<svg").count(), 3 + 1, "one a node, and accuracy by step");
    assert!(report.contains("stem_relu") && report.contains("original 97.22"));
}

#[test]
fn bad_input_gets_an_error_and_leaves_nothing() {
    let data = path("digits_calibration.npy");
    let labels = path("digits_labels.npy");
    let cases = [
        (String::new(), USAGE, "no training data"),
        (format!("--data {data} --labels {labels}"), DATA, "600 samples and 10 labels"),
        ("--data missing.npz".into(), DATA, "missing.npz"),
        (format!("--data {data} --config c.toml"), DATA, "unknown field `colour`"),
        (format!("--data {data} --config paf.toml"), DATA, "there is no PAF called \"alpha77\""),
        (format!("--data {}", path("digits_cnn.onnx")), DATA, "no .npy file"),
    ];
    let bench = bench();
    bench.write("c.toml", "colour = 1");
    bench.write("paf.toml", "paf = \"alpha77\"");
    for (arguments, code, part) in cases {
        bench.fails(&format!("{} {OUTPUT} {arguments}", path("digits_cnn.onnx")), code, &[part]);
    }
}
