//! The steps `pa` and `at` from files to files.

use std::path::{Path, PathBuf};

use ndarray::Array4;
use ndarray_npy::ReadNpyExt;
use paf_adapt::config::Loss;
use paf_adapt::events::unheard;
use paf_adapt::model_files::read_network;
use paf_adapt::recovery::Outcome;
use paf_adapt::{Config, Data, ModelFiles, recover_files};
use paf_compiler::options::{CompileOptions, Recovery};
use paf_compiler::pipeline::compile;
use paf_ir::Shape;
use paf_scheme::EngineProfile;
use paf_train::{CandleTraining, quick_logits};

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

fn files(folder: &Path, model: &str) -> ModelFiles {
    ModelFiles { model: test_file(model), output: folder.join("out.onnx"), paf_output: folder.join("out.json") }
}

fn recovered(files: &ModelFiles, config: &Config, data: (&Data, Option<&Data>)) -> Outcome {
    recover_files(files, config, data, Some(&CandleTraining), EngineProfile::openfhe(), &mut unheard).unwrap()
}

#[test]
fn a_trained_network_comes_back_from_its_files() {
    let (folder, data) = (tempfile::tempdir().unwrap(), digits());
    for model in ["digits_cnn.onnx", "digits_resnet_tiny.onnx"] {
        let config = config(folder.path(), "[\"calibrate\", \"bn\", \"ct\", \"pa\", \"at\"]");
        let files = files(folder.path(), model);
        let outcome = recovered(&files, &config, (&data, None));
        let read = read_network(&files.output, &files.paf_output).unwrap();
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
    let files = files(folder.path(), "digits_resnet_tiny.onnx");
    let outcome = recovered(&files, &config, (&data, Some(&data)));
    let control = outcome.control.unwrap();
    assert!(control.network.pafs.is_empty());
    assert_ne!(control.network.graph, outcome.original.graph, "its weights are trained");
    let (original, _) = outcome.accuracy.unwrap();
    assert!(control.accuracy.unwrap().correct >= original.correct, "{control:?}, {original:?}");
    let written = read_network(&files.output, &files.paf_output).unwrap();
    assert_eq!(written.pafs, outcome.network.pafs, "what is written has PAFs");
}

#[test]
fn a_compilation_trains_too() {
    let folder = tempfile::tempdir().unwrap();
    config(folder.path(), "[\"calibrate\", \"bn\", \"ct\", \"at\"]");
    let compiled = |recovery| {
        let calibration = test_file("digits_calibration.npy").into();
        let model = test_file("digits_cnn.onnx");
        compile(&CompileOptions { calibration, recovery, insecure: true, ..CompileOptions::for_model(model) })
            .unwrap()
            .circuit
    };
    let trained = compiled(Recovery::BuiltIn(folder.path().join("c.toml")));
    config(folder.path(), "[\"calibrate\", \"bn\", \"ct\"]");
    assert_ne!(trained.program, compiled(Recovery::BuiltIn(folder.path().join("c.toml"))).program);
}
