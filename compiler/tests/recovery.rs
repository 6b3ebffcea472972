//! Recovery before a compilation: from a file of PAFs, built in, and by an external program.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{accuracy, clear_outputs, compiled, read_array, samples_of, testdata};
use paf_adapt::config::{SearchConfig, StepName};
use paf_adapt::evaluate::logits;
use paf_adapt::events::unheard;
use paf_adapt::model_files::read_network;
use paf_adapt::{Config, Data, ModelFiles, recover_files};
use paf_circuit::Circuit;
use paf_compiler::options::{Margin, Options, PafChoice, Recovery};

const MODEL: &str = "digits_resnet_tiny.onnx";

fn config() -> Config {
    Config { paf: "f1_g2.smartpaf".into(), margin: 1.5, samples: 300, ..Config::default() }
}

fn digits() -> Data {
    Data::read(&testdata("digits_calibration.npy"), None).unwrap()
}

/// Recovers into a folder: the model and its PAFs.
fn recovered(folder: &Path, model: &str) -> (PathBuf, PathBuf) {
    let (output, paf_output) = (folder.join("recovered.onnx"), folder.join("p.json"));
    let files = ModelFiles { model: testdata(model), output: output.clone(), paf_output: paf_output.clone() };
    recover_files(&files, &config(), (&digits(), None), None, &mut unheard).unwrap();
    (output, paf_output)
}

fn options(model: impl Into<PathBuf>, recovery: Recovery) -> Options {
    let calibration = Some(testdata("digits_calibration.npy"));
    Options { calibration, recovery, insecure: true, ..Options::for_model(model) }
}

fn right(circuit: &Circuit) -> f64 {
    let labels =
        read_array(&testdata("digits_test_labels.npy")).data.iter().map(|&label| label as usize).collect::<Vec<_>>();
    accuracy(&clear_outputs(circuit, &samples_of(circuit, read_array(&testdata("digits_test.npy")))), &labels)
}

#[test]
fn a_circuit_does_what_recovery_evaluated() {
    for model in [MODEL, "digits_cnn.onnx"] {
        let folder = tempfile::tempdir().unwrap();
        let (network, pafs) = recovered(folder.path(), model);
        check_agreement(&network, &pafs);
    }
}

/// The first images' results of a recovered network agree on the clear engine and in recovery's own evaluation; its
/// levels.
fn check_agreement(network: &Path, pafs: &Path) -> usize {
    let circuit = compiled(&options(network, Recovery::PafFile(pafs.to_owned()))).circuit;
    let images = Data::read(&testdata("digits_images.npy"), None).unwrap();
    let expected = logits(&read_network(network, pafs).unwrap(), &images).unwrap();
    let samples = samples_of(&circuit, read_array(&testdata("digits_images.npy")));
    for (expected, output) in expected.iter().zip(clear_outputs(&circuit, &samples)) {
        let difference = expected.iter().zip(&output.raw).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(difference < 1e-6, "{}: {difference}", network.display());
    }
    circuit.counts().levels as usize
}

#[test]
fn scales_by_channel_cost_no_level() {
    let folder = tempfile::tempdir().unwrap();
    let (network, pafs) = recovered(folder.path(), "digits_cnn.onnx");
    let uniform = check_agreement(&network, &pafs);
    let mut file: serde_json::Value = serde_json::from_slice(&fs::read(&pafs).unwrap()).unwrap();
    for (index, node) in file["nodes"].as_array_mut().unwrap().iter_mut().enumerate() {
        let scale = node["scale"].as_f64().unwrap();
        let by_channel: Vec<f64> =
            (0..4).map(|channel| scale * (1.0 + 0.1 * f64::from(channel * (2 - index as u32)))).collect();
        node["scale"] = serde_json::json!(by_channel);
    }
    fs::write(&pafs, file.to_string()).unwrap();
    assert_eq!(check_agreement(&network, &pafs), uniform);
}

#[test]
fn built_in_recovery_keeps_what_direct_replacement_loses() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.toml");
    fs::write(&path, "paf = \"f1_g2.smartpaf\"\nmargin = 1.5\nsamples = 300\n").unwrap();
    let paf = PafChoice { node: None, paf: "f1_g2.smartpaf".into() };
    let plain =
        compiled(&Options { pafs: vec![paf], margin: Margin::Fixed(1.5), ..options(testdata(MODEL), Recovery::None) });
    let recovered = compiled(&options(testdata(MODEL), Recovery::BuiltIn(path)));
    assert_eq!(plain.circuit.counts().levels, recovered.circuit.counts().levels);
    let (plain, recovered) = (right(&plain.circuit), right(&recovered.circuit));
    assert!(recovered > plain + 2.0, "{plain} without recovery, {recovered} with it");
}

/// A search in a network too deep for one chain of levels.
fn deep_search(max_bootstraps: u32) -> Config {
    let pafs = ["alpha12", "alpha14"].map(String::from).to_vec();
    let search = SearchConfig {
        pafs,
        max_bootstraps: Some(max_bootstraps),
        held_back: 200,
        tries: 3,
        ..SearchConfig::default()
    };
    Config { search, steps: vec![StepName::Calibrate, StepName::Ct, StepName::Search], ..config() }
}

#[test]
fn a_search_counts_the_bootstraps_that_the_circuit_has() {
    let folder = tempfile::tempdir().unwrap();
    let (output, paf_output) = (folder.path().join("recovered.onnx"), folder.path().join("p.json"));
    let files = ModelFiles { model: testdata(MODEL), output, paf_output };
    let recovered = |config| recover_files(&files, &config, (&digits(), None), None, &mut unheard);
    let report = recovered(deep_search(4)).unwrap().search.unwrap();
    let cost = report.tried[report.chosen].cost;
    let options = options(&files.output, Recovery::PafFile(files.paf_output.clone()));
    let circuit = compiled(&Options { insecure: false, ..options }).circuit;
    assert!((1..=4).contains(&cost.bootstraps), "{cost:?}");
    assert_eq!(circuit.counts().bootstraps, cost.bootstraps as usize);

    let error = recovered(deep_search(0)).unwrap_err().to_string();
    assert!(error.contains("max_bootstraps = 0: the network is expected to take "), "{error}");
}

/// A program that runs in the folder it is given.
fn script(folder: &Path, text: &str) -> Recovery {
    let path = folder.join("recover.sh");
    fs::write(&path, format!("cd \"$1\" || exit 9\n{text}\n")).unwrap();
    Recovery::Command(format!("sh {}", path.display()))
}

#[test]
fn an_external_program_leaves_model_and_pafs() {
    let folder = tempfile::tempdir().unwrap();
    let (network, pafs) = recovered(folder.path(), MODEL);
    let text = format!(
        "grep -q '\"node\":\"stem_relu\"' request.json || {{ echo no node >&2; exit 1; }}\n\
         grep -q digits_calibration.npy request.json || {{ echo no data >&2; exit 1; }}\n\
         test -s model.onnx && cp {} recovered.onnx && cp {} model.paf.json",
        network.display(),
        pafs.display()
    );
    let external = compiled(&options(testdata(MODEL), script(folder.path(), &text))).circuit;
    let from_files = compiled(&options(&network, Recovery::PafFile(pafs))).circuit;
    assert_eq!(external.program.to_listing(), from_files.program.to_listing());
}

#[test]
fn a_failing_program_fails_the_compilation_with_its_words() {
    let cases = [
        ("echo out of memory >&2; exit 3", "exit status: 3: out of memory"),
        ("exit 1", "no message"),
        ("cp model.onnx recovered.onnx", "left no model.paf.json"),
        ("cp model.onnx recovered.onnx; echo '{' > model.paf.json", "no file of PAFs"),
        ("cp model.onnx recovered.onnx; echo '{\"version\": 7, \"nodes\": []}' > model.paf.json", "has version 7"),
        ("echo x > recovered.onnx; echo '{\"version\": 1, \"nodes\": []}' > model.paf.json", "not an ONNX model"),
    ];
    for (text, part) in cases {
        let folder = tempfile::tempdir().unwrap();
        let options = options(testdata(MODEL), script(folder.path(), text));
        let error = paf_compiler::pipeline::compile(&options).unwrap_err();
        assert!(error.to_string().contains(part), "{text}: {error}");
        assert_eq!(error.exit_code(), 1);
    }
    let options = options(testdata(MODEL), Recovery::Command("no-such-program-here".into()));
    let error = paf_compiler::pipeline::compile(&options).unwrap_err().to_string();
    assert!(error.contains("no-such-program-here") && error.contains("cannot be started"), "{error}");
}

fn run(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_paf-compile")).args(arguments).current_dir(folder).output().unwrap()
}

#[test]
fn the_command_line_refuses_what_does_not_go_together() {
    let folder = tempfile::tempdir().unwrap();
    let model = testdata(MODEL).display().to_string();
    fs::write(folder.path().join("c.toml"), "colour = 1").unwrap();
    fs::write(folder.path().join("p.json"), "{\"version\": 1, \"nodes\": []").unwrap();
    let cases: [(&[&str], i32, &str); 5] = [
        (&["--paf-file", "p.json", "--paf", "alpha7"], 2, "cannot be used with"),
        (&["--recover", "c.toml", "--recover-cmd", "sh"], 2, "cannot be used with"),
        (&["--recover", "c.toml"], 1, "unknown field `colour`"),
        (&["--paf-file", "p.json"], 1, "no file of PAFs"),
        (&["--paf-file", "missing.json"], 1, "missing.json"),
    ];
    for (arguments, code, part) in cases {
        let output = run(&[&[model.as_str(), "-o", "c.bin"], arguments].concat(), folder.path());
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {message}");
        assert!(message.contains(part), "{arguments:?}: {message}");
        assert!(!folder.path().join("c.bin").exists());
    }
}

#[test]
fn data_beyond_a_given_scale_are_refused_by_node() {
    let folder = tempfile::tempdir().unwrap();
    let (network, pafs) = recovered(folder.path(), MODEL);
    let mut file: serde_json::Value = serde_json::from_slice(&fs::read(&pafs).unwrap()).unwrap();
    file["nodes"][0]["scale"] = serde_json::json!(1e-3);
    fs::write(&pafs, file.to_string()).unwrap();
    let error = paf_compiler::pipeline::compile(&options(&network, Recovery::PafFile(pafs))).unwrap_err().to_string();
    assert!(error.contains("stem_relu"), "{error}");
}
