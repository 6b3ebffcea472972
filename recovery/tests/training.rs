//! The steps `pa` and `at` from files to files.

use std::path::{Path, PathBuf};

use ndarray::Array4;
use ndarray_npy::ReadNpyExt;
use paf_ir::Shape;
use paf_recovery::recover::{Request, read_network, recover};
use paf_recovery::train::{Loss, quick_logits};
use paf_recovery::{Config, Data};

/// Rounding of weights to single precision in the ONNX file.
const SINGLE: f32 = 1e-4;

fn test_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata").join(name)
}

fn digits() -> Data {
    let x = Array4::<f32>::read_npy(std::fs::File::open(test_file("digits_calibration.npy")).unwrap()).unwrap();
    Data { shape: Shape(x.shape()[1..].to_vec()), x: x.iter().copied().collect(), y: None }
}

fn config(folder: &Path, steps: &str) -> Config {
    let text = format!(
        "steps = {steps}\npaf = \"f1_g2.cheon\"\nmargin = 1.3\nsamples = 200\ncheckpoint = \"run\"\n\
         [train]\nepochs = 1\ngroups = 1\nlast_groups = 3\nbatch = 50\ncoefficient_rate = 0.01\nweight_rate = 0.001\n"
    );
    let path = folder.join("c.toml");
    std::fs::write(&path, text).unwrap();
    Config::read(&path).unwrap()
}

#[test]
fn a_trained_network_comes_back_from_its_files() {
    let (folder, data) = (tempfile::tempdir().unwrap(), digits());
    for model in ["digits_cnn.onnx", "digits_resnet_tiny.onnx"] {
        let request = Request {
            model: test_file(model),
            output: folder.path().join("out.onnx"),
            paf_output: folder.path().join("out.json"),
            config: config(folder.path(), "[\"calibrate\", \"bn\", \"ct\", \"pa\", \"at\"]"),
            quiet: true,
        };
        let outcome = recover(&request, &data, None).unwrap();
        let read = read_network(&request.output, &request.paf_output).unwrap();
        assert_eq!(read.pafs, outcome.network.pafs);
        let logits = |network| quick_logits(network, &data, 100).unwrap().concat();
        for (written, read) in logits(&outcome.network).iter().zip(logits(&read)) {
            assert!((written - read).abs() <= SINGLE * (1.0 + written.abs()), "{written} and {read}");
        }
        assert!(!folder.path().join("run").exists(), "the checkpoint goes once the files are there");
    }
}

#[test]
fn the_control_is_the_exact_network_trained_alike() {
    let folder = tempfile::tempdir().unwrap();
    let labels = test_file("digits_test_labels.npy");
    let data = Data::read(&test_file("digits_test.npy"), Some(&labels)).unwrap();
    let mut config = config(folder.path(), "[\"calibrate\", \"bn\", \"ct\", \"at\"]");
    config.control = true;
    config.train.loss = Loss::Labels;
    let request = Request {
        model: test_file("digits_resnet_tiny.onnx"),
        output: folder.path().join("out.onnx"),
        paf_output: folder.path().join("out.json"),
        config,
        quiet: true,
    };
    let outcome = recover(&request, &data, Some(&data)).unwrap();
    let control = outcome.control.unwrap();
    assert!(control.network.pafs.is_empty());
    assert_ne!(control.network.graph, outcome.original.graph, "its weights are trained");
    let (original, _) = outcome.accuracy.unwrap();
    assert!(control.accuracy.unwrap().correct >= original.correct, "{control:?}, {original:?}");
    let written = read_network(&request.output, &request.paf_output).unwrap();
    assert_eq!(written.pafs, outcome.network.pafs, "what is written has PAFs");
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
