//! ONNX's own tests of operators, compiled with test-size parameters and run on both engines.

#[path = "backend/cases.rs"]
mod cases;
mod common;

use std::path::Path;
use std::sync::Arc;

use cases::{NO_CIRCUIT, free_inputs, read_tensor};
use common::{Parties, clear_outputs, exclusive, samples_of, shared_data};
use paf_circuit::Circuit;
use paf_compiler::options::{CompileOptions, PafChoice};
use paf_compiler::pipeline::compile;
use paf_ir::tensor::Shape;
use paf_runtime::npy::Array;
use paf_runtime::{Samples, agreement_bits};
use prost::Message;
use tract_onnx::pb::{ModelProto, TensorProto};

/// Tests that pass: all 219 but the five that no circuit can hold.
const PASSING: usize = 214;

/// Relative rounding of references in float32; one reference is written with four digits.
const FLOAT32: f64 = 1e-5;
const FOUR_DIGITS: f64 = 1e-4;

/// Least bits to which a result agrees with the clear engine: N = 2^11 or more, a scale of 2^50.
const ENCRYPTED_BITS: f64 = 20.0;

#[test]
fn backend_tests_on_the_clear_engine_give_the_stored_results() {
    assert_all_pass("alpha10", Case::check_clear);
}

#[test]
fn backend_tests_encrypted_agree_with_the_clear_engine() {
    let _turn = exclusive();
    // The shallowest PAF: encryption adds the same noise to any.
    assert_all_pass("f1_g2.cheon", Case::check_encrypted);
}

fn assert_all_pass(paf: &str, check: impl Fn(Case) -> Result<(), String>) {
    let Some(data) = shared_data() else { return };
    let mut passed = 0;
    let mut failures = vec![];
    for set in folders(&data.join("node")) {
        for folder in folders(&set) {
            let name = format!("{}/{}", file_name(&set), file_name(&folder));
            if NO_CIRCUIT.iter().any(|(test, _)| *test == name) {
                continue;
            }
            match Case::new(&folder, paf).and_then(&check) {
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

/// A test compiled with test-size parameters.
struct Case {
    circuit: Circuit,
    samples: Samples,
    expected: Vec<f64>,
    /// Rounding of the stored result, relative to its largest value.
    rounding: f64,
}

impl Case {
    fn new(folder: &Path, paf: &str) -> Result<Self, String> {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let model = temporary.path().join("model.onnx");
        std::fs::write(&model, with_weights(folder).encode_to_vec()).expect("the temporary folder is writable");
        let input = read_tensor(&folder.join("test_data_set_0/input_0.pb"));
        let low = input.data.iter().copied().fold(f64::INFINITY, f64::min);
        let high = input.data.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let options = CompileOptions {
            input_range: Some((low, high.max(low + 1e-3))),
            pafs: vec![PafChoice { node: None, paf: paf.into() }],
            insecure: true,
            ..CompileOptions::for_model(model)
        };
        let circuit = compile(&options).map_err(|problem| problem.to_string())?.circuit;
        let shape = Shape([&[1], &*circuit.program.inputs[0].shape.0].concat());
        let samples = samples_of(&circuit, Array { shape, data: input.data });
        let expected = read_tensor(&folder.join("test_data_set_0/output_0.pb")).data;
        let has_four_digits = file_name(folder) == "test_averagepool_2d_ceil_last_window_starts_on_pad";
        Ok(Case { circuit, samples, expected, rounding: if has_four_digits { FOUR_DIGITS } else { FLOAT32 } })
    }

    fn check_clear(self) -> Result<(), String> {
        let got = clear_outputs(&self.circuit, &self.samples).remove(0).values;
        if got.len() != self.expected.len() {
            return Err(format!("{} values, {} expected", got.len(), self.expected.len()));
        }
        // What the circuit says about its own errors, which add up: no test scales an approximated value up.
        let stated: f64 = self.circuit.model.pafs.iter().map(|paf| paf.max_error).sum();
        let largest = self.expected.iter().fold(1.0f64, |largest, value| largest.max(value.abs()));
        let allowed = stated + self.rounding * largest;
        let worst = got.iter().zip(&self.expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        if worst <= allowed { Ok(()) } else { Err(format!("off by {worst:.2e}, {allowed:.2e} allowed")) }
    }

    fn check_encrypted(self) -> Result<(), String> {
        let clear = clear_outputs(&self.circuit, &self.samples).remove(0).raw;
        // What a result that is zero in the clear is compared with.
        let unit = self.circuit.program.outputs[0].scale;
        let parties = Parties::new(&Arc::new(self.circuit));
        let got = parties.infer(&self.samples, 0).raw;
        let bits = if clear.iter().all(|&value| value == 0.0) {
            -got.iter().fold(0.0f64, |worst, value| worst.max(value.abs() / unit)).log2()
        } else {
            agreement_bits(&got, &clear)
        };
        if bits >= ENCRYPTED_BITS { Ok(()) } else { Err(format!("{bits:.1} bits")) }
    }
}
