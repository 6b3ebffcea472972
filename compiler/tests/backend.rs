//! ONNX's own tests of operators, compiled and run on the clear engine.

#[path = "backend/cases.rs"]
mod cases;
mod common;

use std::path::Path;

use cases::{NO_CIRCUIT, free_inputs, read_tensor};
use common::{clear_outputs, samples_of, shared_data};
use paf_compiler::options::{Options, PafChoice};
use paf_compiler::pipeline::compile;
use paf_ir::tensor::Shape;
use paf_runtime::npy::Array;
use prost::Message;
use tract_onnx::pb::{ModelProto, TensorProto};

/// Tests that pass: all 219 but the five that no circuit can hold.
const PASSING: usize = 214;

/// Relative rounding of references in float32; one reference is written with four digits.
const FLOAT32: f64 = 1e-5;
const FOUR_DIGITS: f64 = 1e-4;

#[test]
fn backend_tests_on_the_clear_engine_give_the_stored_results() {
    let Some(data) = shared_data() else { return };
    let mut passed = 0;
    let mut failures = vec![];
    for set in folders(&data.join("node")) {
        for case in folders(&set) {
            let name = format!("{}/{}", file_name(&set), file_name(&case));
            if NO_CIRCUIT.iter().any(|(test, _)| *test == name) {
                continue;
            }
            match check(&case) {
                Ok(()) => passed += 1,
                Err(problem) => failures.push(format!("{name}: {problem}")),
            }
        }
    }
    assert!(failures.is_empty(), "{} fail:\n{}", failures.len(), failures.join("\n"));
    assert_eq!(passed, PASSING);
}

fn folders(path: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut folders: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

fn file_name(path: &Path) -> String {
    path.file_name().expect("a file name").to_string_lossy().into_owned()
}

/// The model with all inputs but the first as weights, as a compiler with constant weights has to have it.
fn with_weights(folder: &Path) -> ModelProto {
    let path = folder.join("model.onnx");
    let mut model = ModelProto::decode(&*std::fs::read(&path).expect("a model")).expect("a model");
    let graph = model.graph.as_mut().expect("a graph");
    for (index, name) in free_inputs(&path).into_iter().enumerate().skip(1) {
        let file = folder.join(format!("test_data_set_0/input_{index}.pb"));
        let weight = TensorProto::decode(&*std::fs::read(file).expect("a tensor")).expect("a tensor");
        graph.initializer.push(TensorProto { name, ..weight });
    }
    model
}

fn check(folder: &Path) -> Result<(), String> {
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let model = temporary.path().join("model.onnx");
    std::fs::write(&model, with_weights(folder).encode_to_vec()).expect("the temporary folder is writable");
    let input = read_tensor(&folder.join("test_data_set_0/input_0.pb"));
    let expected = read_tensor(&folder.join("test_data_set_0/output_0.pb"));
    let low = input.data.iter().copied().fold(f64::INFINITY, f64::min);
    let high = input.data.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let paf = PafChoice { node: None, paf: "alpha10".into() };
    let options = Options {
        input_range: (low, high.max(low + 1e-3)),
        pafs: vec![paf],
        insecure: true,
        ..Options::for_model(model)
    };
    let circuit = compile(&options).map_err(|problem| problem.to_string())?.circuit;
    let shape = Shape([&[1], &*circuit.program.inputs[0].shape.0].concat());
    let samples = samples_of(&circuit, Array { shape, data: input.data });
    let got = clear_outputs(&circuit, &samples).remove(0).values;
    if got.len() != expected.data.len() {
        return Err(format!("{} values, {} expected", got.len(), expected.data.len()));
    }
    let has_four_digits = file_name(folder) == "test_averagepool_2d_ceil_last_window_starts_on_pad";
    let rounding = if has_four_digits { FOUR_DIGITS } else { FLOAT32 };
    // What the circuit says about its own errors, which add up: no test scales an approximated value up.
    let stated: f64 = circuit.model.pafs.iter().map(|paf| paf.max_error).sum();
    let largest = expected.data.iter().fold(1.0f64, |largest, value| largest.max(value.abs()));
    let allowed = stated + rounding * largest;
    let worst = got.iter().zip(&expected.data).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    if worst <= allowed { Ok(()) } else { Err(format!("off by {worst:.2e}, {allowed:.2e} allowed")) }
}
