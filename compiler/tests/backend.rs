//! ONNX's own tests of operators, compiled with test-size parameters and run on both engines.

use std::sync::Arc;

use paf_circuit::Circuit;
use paf_compiler::options::{CompileOptions, PafChoice};
use paf_compiler::pipeline::compile;
use paf_ir::tensor::{Shape, Tensor};
use paf_runtime::{Samples, agreement_bits};
use prost::Message;
use testkit::backend::{BackendTest, backend_tests};
use testkit::parties::{Parties, clear_outputs, exclusive, samples_of};

/// Tests that pass: all 219 but the five that no circuit can hold.
const PASSING: usize = 214;

/// Relative rounding of references in float32; one reference is written with four digits.
const FLOAT32: f64 = 1e-5;
const FOUR_DIGITS: f64 = 1e-4;

/// Least bits to which a result agrees with the clear engine: N = 2^11 or more, a scale of 2^50.
const ENCRYPTED_BITS: f64 = 20.0;

#[test]
#[ignore = "needs PAF_SHARED"]
fn backend_tests_on_the_clear_engine_give_the_stored_results() {
    assert_all_pass("alpha10", Case::check_clear);
}

#[test]
#[ignore = "needs PAF_SHARED"]
fn backend_tests_encrypted_agree_with_the_clear_engine() {
    let _turn = exclusive();
    // The shallowest PAF: encryption adds the same noise to any.
    assert_all_pass("f1_g2.cheon", Case::check_encrypted);
}

fn assert_all_pass(paf: &str, check: impl Fn(Case) -> Result<(), String>) {
    let tests: Vec<BackendTest> = backend_tests().into_iter().filter(BackendTest::has_circuit).collect();
    assert_eq!(tests.len(), PASSING);
    let run = |test: &BackendTest| Case::new(test, paf).and_then(&check);
    let failure = |test: &BackendTest| run(test).err().map(|problem| format!("{}: {problem}", test.name));
    let failures: Vec<String> = tests.iter().filter_map(failure).collect();
    assert!(failures.is_empty(), "{} fail:\n{}", failures.len(), failures.join("\n"));
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
    fn new(test: &BackendTest, paf: &str) -> Result<Self, String> {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let model = temporary.path().join("model.onnx");
        std::fs::write(&model, test.model_with_weights().encode_to_vec()).expect("the temporary folder is writable");
        let input = test.input();
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
        let samples = samples_of(&circuit, Tensor::new(shape, input.data));
        let rounding = if test.has_four_digits() { FOUR_DIGITS } else { FLOAT32 };
        Ok(Case { circuit, samples, expected: test.output().data, rounding })
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
