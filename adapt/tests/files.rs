//! `model.paf.json`, configurations and data: what is read back, and what is refused with which words.

mod common;

use std::path::{Path, PathBuf};

use common::{configured, digits_network, distance, files, held_back, recovered, testdata, walked};
use paf_adapt::config::StepName::{Bn, Calibrate, Ct};
use paf_adapt::model_files::read_network;
use paf_adapt::paf_file::PafFile;
use paf_adapt::{Config, Data};
use serde_json::{Value, json};

fn example() -> Value {
    json!({"version": 1, "nodes": [{
        "node": "relu", "operator": "Relu", "paf": "f1_g2.cheon", "order": "first_to_last", "basis": "power",
        "components": [[3.25, -5.9, 3.7], [1.5, -0.5]], "scale": 12.5, "margin": 1.1,
        "components_from": "named", "scale_from": "calibrate"
    }]})
}

/// The example with one field of its node changed.
fn with(field: &str, value: Value) -> Value {
    let mut file = example();
    file["nodes"][0][field] = value;
    file
}

#[test]
fn a_file_says_what_it_was_written_from() {
    let original = digits_network("digits_cnn.onnx");
    let network = walked(&original, "f2_g3.smartpaf", &configured(&[Calibrate, Ct])).network;
    let text = serde_json::to_string(&PafFile::of(&network)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.json");
    std::fs::write(&path, text).unwrap();
    let back = PafFile::read(&path).unwrap().network(&path, original.graph.clone()).unwrap();
    assert_eq!(back.pafs, network.pafs);
}

#[test]
fn components_can_stand_in_either_order() {
    let mut reversed = with("order", json!("last_to_first"));
    reversed["nodes"][0]["components"].as_array_mut().unwrap().reverse();
    let graph = digits_network("digits_cnn.onnx").graph;
    let pafs = [example(), reversed].map(|file| PafFile::parse(&file.to_string()).unwrap().decisions(&graph).unwrap());
    assert_eq!(pafs[0].pafs, pafs[1].pafs);
}

#[test]
fn damaged_files_are_refused() {
    let whole = example().to_string();
    let mut twice = example();
    let entry = twice["nodes"][0].clone();
    twice["nodes"].as_array_mut().unwrap().push(entry);
    let cases: Vec<(String, &str)> = vec![
        (whole[..whole.len() / 2].into(), "no file of PAFs"),
        ("[]".into(), "no file of PAFs"),
        (json!({"version": 2, "nodes": []}).to_string(), "has version 2; this program reads version 1"),
        (twice.to_string(), "`relu` stands twice"),
        (whole.replace("12.5", "1e999"), "number out of range"),
        (with("scale", json!(0.0)).to_string(), "positive"),
        (with("scale", json!([])).to_string(), "positive"),
        (with("margin", json!(0.5)).to_string(), "margin 0.5"),
        (with("components", json!([])).to_string(), "no components"),
        (with("components", json!([[1.0], [0.0]])).to_string(), "component 2"),
        (with("components", json!([[1e300, 1e300], [1e300]])).to_string(), "not finite"),
        (with("basis", json!("monomial")).to_string(), "unknown variant `monomial`"),
        (with("colour", json!("red")).to_string(), "unknown field `colour`"),
    ];
    for (text, part) in cases {
        let error = PafFile::parse(&text).unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn files_of_other_networks_are_refused() {
    let graph = digits_network("digits_cnn.onnx").graph;
    let cases = [
        (with("node", json!("relu_7")), "no ReLU or MaxPool `relu_7`; it has relu, max_pool"),
        (with("node", json!("max_pool")), "`max_pool` is a MaxPool in the network, not a Relu"),
        (with("scale", json!([1.0, 2.0])), "has 4 channels and 2 scales"),
    ];
    for (file, part) in cases {
        let error = PafFile::parse(&file.to_string()).unwrap().decisions(&graph).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_recovered_model_reads_back_as_the_same_network() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path(), "digits_resnet_tiny.onnx");
    let outcome = recovered(&files, &configured(&[Calibrate, Bn, Ct]), Some(&held_back())).unwrap();
    let back = read_network(&files.output, &files.paf_output).unwrap();
    let (far, near) =
        (distance(&outcome.original, &outcome.network, &held_back()), distance(&outcome.network, &back, &held_back()));
    // Weights are float32 in the file.
    assert!(near < 1e-3 * far, "{near} against {far}");
    let (original, recovered) = outcome.accuracy.unwrap();
    assert!(recovered.percent() > original.percent() - 2.0);
}

#[test]
fn nothing_is_written_when_a_recovery_fails() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { node_pafs: [("relu_7".to_owned(), "alpha7".to_owned())].into(), ..Config::default() };
    let error = recovered(&files(folder.path(), "digits_resnet_tiny.onnx"), &config, None).unwrap_err();
    assert!(error.to_string().contains("relu_7"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn configurations_name_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.toml");
    let cases = [
        ("stepps = []", "unknown field `stepps`, expected one of `steps`, `paf`"),
        ("steps = [\"calibrat\"]", "unknown variant `calibrat`, expected one of `calibrate`, `bn`, `ct`"),
        ("margin = 0.5", "margin = 0.5: a number from 1 to 100"),
        ("samples = 0", "at least one"),
        ("[ct]\ntail = 1", "unknown field `tail`"),
        ("paf = \"alpha7\"\nsteps = [", "line 2"),
    ];
    for (text, part) in cases {
        std::fs::write(&path, text).unwrap();
        let error = Config::read(&path).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("c.toml"), "{text}: {error}");
    }
    std::fs::write(&path, "steps = [\"calibrate\", \"ct\"]\npaf = \"f2_g2.cheon\"\ndata = \"x.npz\"").unwrap();
    let config = Config::read(&path).unwrap();
    assert_eq!((config.steps, config.data), (vec![Calibrate, Ct], Some(folder.path().join("x.npz"))));
}

fn written(folder: &Path, name: &str, x: &[usize], y: Option<Vec<i64>>) -> PathBuf {
    let path = folder.join(name);
    let mut file = ndarray_npy::NpzWriter::new(std::fs::File::create(&path).unwrap());
    file.add_array("x", &ndarray::ArrayD::<f32>::ones(x)).unwrap();
    if let Some(y) = y {
        file.add_array("y", &ndarray::Array1::from(y)).unwrap();
    }
    file.finish().unwrap();
    path
}

#[test]
fn data_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let good = Data::read(&written(folder, "good.npz", &[3, 1, 8, 8], Some(vec![0, 2, 1])), None).unwrap();
    assert_eq!((good.len(), good.y.clone()), (3, Some(vec![0, 2, 1])));
    let graph = digits_network("digits_cnn.onnx").graph;
    good.check_for(&graph).unwrap();
    let other = Data::read(&written(folder, "other.npz", &[3, 1, 8, 7], None), None).unwrap();
    let error = other.check_for(&graph).unwrap_err().to_string();
    assert!(error.contains("[1, 8, 7]") && error.contains("[1, 8, 8]"), "{error}");
    let cases = [
        (written(folder, "counts.npz", &[3, 2], Some(vec![0, 1])), "3 samples and 2 labels"),
        (written(folder, "negative.npz", &[2, 2], Some(vec![0, -1])), "label 1 is -1"),
        (written(folder, "none.npz", &[0, 2], None), "samples of shape [0, 2]"),
        (testdata("digits_cnn.onnx"), "is no .npy file"),
    ];
    for (path, part) in cases {
        let error = Data::read(&path, None).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let forged = folder.join("forged.npy");
    std::fs::write(&forged, b"\x93NUMPY\x02\x00\xff\xff\xff\xff").unwrap();
    let error = Data::read(&forged, None).unwrap_err().to_string();
    assert!(error.contains("its header has 4294967295 bytes and the file 12"), "{error}");
    let labels = testdata("digits_labels.npy");
    let error = Data::read(&testdata("digits_test.npy"), Some(&labels)).unwrap_err().to_string();
    assert!(error.contains("360 samples and 10 labels"), "{error}");
}

#[test]
fn a_control_without_training_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.toml");
    std::fs::write(&path, "control = true\n").unwrap();
    let problem = Config::read(&path).unwrap_err().to_string();
    assert!(problem.contains("control = true") && problem.contains("`at`"), "{problem}");
}

#[test]
fn unknown_training_keys_are_refused_with_the_valid_ones() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.toml");
    std::fs::write(&path, "[train]\nepoch = 3\n").unwrap();
    let problem = Config::read(&path).unwrap_err().to_string();
    assert!(problem.contains("`epoch`") && problem.contains("`epochs`"), "{problem}");
    std::fs::write(&path, "[train]\nheld_back = 1.5\n").unwrap();
    let problem = Config::read(&path).unwrap_err().to_string();
    assert!(problem.contains("train.held_back = 1.5"), "{problem}");
}
