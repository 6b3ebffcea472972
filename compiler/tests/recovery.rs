//! Recovery before a compilation: from a file of PAFs, built in, and by an external program.

mod common;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::compiled;
use paf_adapt::config::{ScaleMargin, SearchConfig, StepName};
use paf_adapt::evaluate::logits;
use paf_adapt::events::unheard;
use paf_adapt::model_files::read_network;
use paf_adapt::{Config, Data, Event, ModelFiles, RecoveryError, recover_files};
use paf_circuit::Circuit;
use paf_compiler::error::CompileError;
use paf_compiler::options::{Bootstraps, Calibration, CompileOptions, Margin, PafChoice, Recovery, Reduction};
use paf_compiler::pipeline::{Compilation, compile};
use paf_scheme::EngineProfile;
use testkit::arrays::read_array;
use testkit::parties::{accuracy, clear_outputs, samples_of};
use testkit::{digits, testdata};

const MODEL: &str = "digits_resnet_tiny.onnx";

fn config() -> Config {
    Config { paf: "f1_g2.smartpaf".into(), margin: ScaleMargin::Fixed(1.5), samples: 300, ..Config::default() }
}

fn digits_data() -> Data {
    Data::read(&testdata("digits_calibration.npy"), None).unwrap()
}

/// Recovers into a folder: the model and its PAFs.
fn recovered(folder: &Path, model: &str) -> (PathBuf, PathBuf) {
    let (output, paf_output) = (folder.join("recovered.onnx"), folder.join("p.json"));
    let files = ModelFiles { model: testdata(model), output: output.clone(), paf_output: paf_output.clone() };
    recover_files(&files, &config(), (&digits_data(), None), None, EngineProfile::openfhe(), &mut unheard).unwrap();
    (output, paf_output)
}

fn options(model: impl Into<PathBuf>, recovery: Recovery) -> CompileOptions {
    let calibration = testdata("digits_calibration.npy").into();
    CompileOptions { calibration, recovery, insecure: true, ..CompileOptions::for_model(model) }
}

fn right(circuit: &Circuit) -> f64 {
    accuracy(&clear_outputs(circuit, &samples_of(circuit, digits::test_images())), &digits::test_labels())
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
    let samples = samples_of(&circuit, digits::images());
    for (expected, output) in expected.iter().zip(clear_outputs(&circuit, &samples)) {
        let difference = expected.iter().zip(&output.ports[0]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
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
    let plain = compiled(&CompileOptions {
        pafs: vec![paf],
        margin: Margin::Fixed(1.5),
        ..options(testdata(MODEL), Recovery::None)
    });
    let recovered = compiled(&options(testdata(MODEL), Recovery::BuiltIn(path)));
    assert_eq!(plain.circuit.counts().levels, recovered.circuit.counts().levels);
    let (plain, recovered) = (right(&plain.circuit), right(&recovered.circuit));
    assert!(recovered > plain + 2.0, "{plain} without recovery, {recovered} with it");
}

/// A search in a network too deep for one chain of levels.
fn deep_search(shallowest: &str, max_bootstraps: u32) -> Config {
    let pafs = [shallowest, "alpha14"].map(String::from).to_vec();
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
    let recovered =
        |config| recover_files(&files, &config, (&digits_data(), None), None, EngineProfile::openfhe(), &mut unheard);
    let report = recovered(deep_search("alpha12", 4)).unwrap().search.unwrap();
    let cost = report.tried[report.chosen].cost;
    let options = options(&files.output, Recovery::PafFile(files.paf_output.clone()));
    let circuit = compiled(&CompileOptions { insecure: false, ..options }).circuit;
    assert!((1..=4).contains(&cost.bootstraps), "{cost:?}");
    assert_eq!(circuit.counts().bootstraps, cost.bootstraps as usize);

    let error = recovered(deep_search("alpha13", 0)).unwrap_err().to_string();
    assert!(error.contains("max_bootstraps = 0: the network is expected to take "), "{error}");
}

/// The configuration of a search for these PAFs with at most so many bootstraps, on the digits.
fn search_file(folder: &Path, pafs: &str, max_bootstraps: u32) -> Recovery {
    let path = folder.join("search.toml");
    let data = fs::canonicalize(testdata("digits_calibration.npy")).unwrap();
    let text = format!(
        "steps = [\"calibrate\", \"search\"]\nsamples = 300\ndata = {data:?}\n\
         [search]\npafs = {pafs}\nmax_bootstraps = {max_bootstraps}\nheld_back = 200\ntries = 2\n"
    );
    fs::write(&path, text).unwrap();
    Recovery::BuiltIn(path)
}

/// What the options of the compilation do to the number of bootstraps is known to the search: it keeps its bound, or says that
/// nothing does.
#[test]
fn a_search_keeps_its_bound_whatever_the_compilation_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let recovery = search_file(folder.path(), "[\"alpha12\"]", 4);
    let options = || CompileOptions { insecure: false, ..options(testdata(MODEL), recovery.clone()) };
    let bootstraps = |options: &CompileOptions| compile(options).map(|compiled| compiled.circuit.counts().bootstraps);
    let few = bootstraps(&options()).unwrap();
    assert!((1..=4).contains(&few), "{few}");
    let often = CompileOptions { bootstraps: Bootstraps::UpTo(7), ..options() };
    let error = bootstraps(&often).unwrap_err().to_string();
    assert!(error.contains("bootstraps"), "{error}");
    for options in [
        CompileOptions { bootstraps: Bootstraps::UpTo(12), ..options() },
        CompileOptions { precision: Some(20.0), ..options() },
        CompileOptions { max_pool: Reduction::Tree, ..options() },
    ] {
        match bootstraps(&options) {
            Ok(found) => assert!(found <= 4, "{found} bootstraps"),
            Err(error) => assert!(error.to_string().contains("bootstraps"), "{error}"),
        }
    }
}

#[test]
fn a_search_without_bootstraps_takes_a_paf_that_fits() {
    let folder = tempfile::tempdir().unwrap();
    let recovery = search_file(folder.path(), "[\"alpha4\", \"alpha12\"]", 3);
    let never = CompileOptions { bootstraps: Bootstraps::Never, insecure: false, ..options(testdata(MODEL), recovery) };
    let circuit = compiled(&never).circuit;
    assert_eq!(circuit.counts().bootstraps, 0);
    assert!(circuit.model.pafs.iter().any(|node| node.paf == "alpha4"), "{:?}", circuit.model.pafs);
}

#[test]
fn the_range_of_the_inputs_comes_with_the_pafs() {
    let folder = tempfile::tempdir().unwrap();
    let (network, pafs) = recovered(folder.path(), MODEL);
    let seen = read_array(&testdata("digits_calibration.npy")).data;
    let extremes = seen.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &x| (low.min(x), high.max(x)));
    let alone = |input_range| CompileOptions {
        calibration: Calibration::default(),
        input_range,
        ..options(&network, Recovery::PafFile(pafs.clone()))
    };
    let circuit = compiled(&alone(None)).circuit;
    assert_eq!(circuit.program.inputs[0].scaling.range, extremes);
    assert!(
        circuit.model.notes[0].starts_with("scales of outputs come from interval bounds"),
        "{:?}",
        circuit.model.notes
    );
    assert_eq!(compiled(&alone(Some((-2.0, 2.0)))).circuit.program.inputs[0].scaling.range, (-2.0, 2.0));

    let mut file: serde_json::Value = serde_json::from_slice(&fs::read(&pafs).unwrap()).unwrap();
    file.as_object_mut().unwrap().remove("inputs").unwrap();
    fs::write(&pafs, file.to_string()).unwrap();
    assert_eq!(compiled(&alone(None)).circuit.program.inputs[0].scaling.range, (-1.0, 1.0), "a file without ranges");
}

#[test]
fn built_in_recovery_calibrates_on_its_data() {
    let folder = tempfile::tempdir().unwrap();
    let recovery = search_file(folder.path(), "[\"alpha4\"]", 0);
    let circuit =
        compiled(&CompileOptions { calibration: Calibration::default(), ..options(testdata(MODEL), recovery) });
    assert!(circuit.circuit.model.notes.is_empty(), "{:?}", circuit.circuit.model.notes);
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
        let error = compile(&options).unwrap_err();
        assert!(error.to_string().contains(part), "{text}: {error}");
        assert_eq!(error.exit_code(), 1);
    }
    let options = options(testdata(MODEL), Recovery::Command("no-such-program-here".into()));
    let error = compile(&options).unwrap_err().to_string();
    assert!(error.contains("no-such-program-here") && error.contains("cannot be started"), "{error}");
}

#[test]
fn what_is_printed_beside_a_circuit_is_not_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let (network, pafs) = recovered(folder.path(), MODEL);
    let runs = folder.path().join("runs");
    let Recovery::Command(command) = script(
        folder.path(),
        &format!(
            "echo run >> {}\ncp {} recovered.onnx && cp {} model.paf.json",
            runs.display(),
            network.display(),
            pafs.display()
        ),
    ) else {
        unreachable!("a script is a command")
    };
    let model = testdata(MODEL).display().to_string();
    for (ir, part) in [("tensor", "= linear"), ("slots", "slots "), ("ckks", "level 0")] {
        let arguments = [&*model, "-o", "c.bin", "--emit", ir, "--insecure-test-parameters", "--recover-cmd", &command];
        let output = run(&arguments, folder.path());
        assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains(part), "{ir}: {output:?}");
        assert_eq!(fs::read_to_string(&runs).unwrap(), "run\n", "{ir}");
        fs::remove_file(&runs).unwrap();
    }
}

#[test]
fn a_listener_hears_an_external_program_and_can_stop_it() {
    let folder = tempfile::tempdir().unwrap();
    let recovery = script(folder.path(), "echo begun; echo first >&2; exec sleep 600");
    let mut lines = vec![];
    let mut listener = |event: Event<'_>| {
        if let Event::Said(line) = event {
            lines.push(line.to_owned());
        }
        if lines.len() < 2 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let mut compilation = Compilation::new(options(testdata(MODEL), recovery)).unwrap();
    let error = compilation.recover_with(&mut listener).unwrap_err();
    assert!(matches!(error, CompileError::Recovery(RecoveryError::Stopped)), "{error}");
    lines.sort_unstable();
    assert_eq!(lines, ["begun", "first"]);
}

/// The program of another build trains instead.
#[cfg(not(feature = "train"))]
#[test]
fn without_training_steps_that_train_are_refused_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let model = testdata(MODEL).display().to_string();
    fs::write(folder.path().join("c.toml"), "steps = [\"calibrate\", \"search\", \"pa\"]\ndata = \"missing.npz\"")
        .unwrap();
    let output = run(&[&model, "-o", "c.bin", "--recover", "c.toml"], folder.path());
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("step `pa`") && message.contains("paf-recover has it"), "{message}");
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
    let error = compile(&options(&network, Recovery::PafFile(pafs))).unwrap_err().to_string();
    assert!(error.contains("stem_relu"), "{error}");
}
