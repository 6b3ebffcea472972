//! ONNX's own tests of operators, compiled with test-size parameters and run on both engines.

use std::sync::Arc;

use paf_circuit::Circuit;
use paf_compiler::options::{Calibration, CompileOptions, PafChoice};
use paf_compiler::pipeline::compile;
use paf_import::TrailingFunctions;
use paf_ir::tensor::{Shape, Tensor};
use paf_runtime::{Samples, agreement_bits};
use prost::Message;
use testkit::arrays::write_array;
use testkit::backend::{BackendTest, backend_tests, more_backend_tests};
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

/// Tests of newer operators and versions that do not pass: what is in their names between `^` and `$`, and why.
const NOT_YET: [(&str, &str); 35] = [
    ("^acos", "functions whose domain ends"),
    ("^ai_onnx_ml", "operators of ai.onnx.ml"),
    ("select_last_index", "the last of equal elements"),
    ("^asin_", "functions whose domain ends"),
    ("^asin$", "functions whose domain ends"),
    ("^atanh", "functions whose domain ends"),
    ("^attention", "products of two tensors in MatMul"),
    ("^clip", "bounds in the wrong order, and Less on data where the function is written out"),
    ("^dequantizelinear", "integer inputs"),
    ("^eyelike", "its input are integers, which only lend their shape"),
    ("^greater", "comparisons of data"),
    ("^gru", "recurrence"),
    ("^hardmax", "comparisons of data"),
    ("^isinf", "no encrypted value is infinite"),
    ("^isnan", "no encrypted value is NaN"),
    ("^l2normalization_axis_0", "a column of zeros, whose norm nothing divides by"),
    ("^less", "comparisons of data"),
    ("^logsoftmax_large_number_expanded", "exponentials of 10^4 apart"),
    ("^lrn", "a power of 3/4"),
    ("^lstm", "recurrence"),
    ("^nllloss", "labels as inputs"),
    ("^onehot", "comparisons of data"),
    ("^pow_types_int", "integer inputs"),
    ("^quantizelinear", "rounding of data"),
    ("^range_float", "its bounds are inputs"),
    ("^reciprocal_example", "a range that holds zero"),
    ("^resize_upsample_sizes_nearest_not_smaller", "keep_aspect_ratio_policy"),
    ("^rnn", "recurrence"),
    ("^shrink_hard", "it jumps"),
    ("^simple_rnn", "recurrence"),
    ("^softmax_large_number_expanded", "exponentials of 10^4 apart"),
    ("^tan_", "a function with poles"),
    ("^thresholdedrelu", "it jumps"),
    ("^top_k", "comparisons of data"),
    ("^where_example", "a condition that is an input"),
];

/// A product of twelve numbers, each in parts of the largest one, is so small that fewer bits are left of it.
const MANY_FACTORS: &str = "libonnx/test_reduce_prod_default_axes_keepdims_example";

/// Tests of newer operators that pass.
const PASSING_NEWER: usize = 312;

/// What errors of functions are multiplied by where a network is calibrated on the one sample that it is tested with: a
/// normalization divides by small deviations.
const GAIN: f64 = 5.0;

#[test]
#[ignore = "needs PAF_SHARED"]
fn newer_backend_tests_on_the_clear_engine_give_the_stored_results() {
    assert_newer_pass("alpha10", None, Case::check_clear);
}

#[test]
#[ignore = "needs PAF_SHARED"]
fn newer_backend_tests_encrypted_agree_with_the_clear_engine() {
    let _turn = exclusive();
    assert_newer_pass("f1_g2.cheon", Some(MANY_FACTORS), Case::check_encrypted);
}

/// Runs them by the range of their inputs, and where that is not enough calibrated.
fn assert_newer_pass(paf: &str, but: Option<&str>, check: impl Fn(Case) -> Result<(), String>) {
    let is_open = |test: &BackendTest| {
        let name = format!("^{}$", test.name.replace("libonnx/test_", ""));
        NOT_YET.iter().all(|(part, _)| !name.contains(part))
    };
    let tests: Vec<BackendTest> = more_backend_tests().into_iter().filter(is_open).collect();
    assert_eq!(tests.len(), PASSING_NEWER);
    let run = |test: &BackendTest| {
        let by_range = Case::new(test, paf, Range::OfInputs).and_then(&check);
        by_range.or_else(|_| Case::new(test, paf, Range::Calibrated).and_then(&check))
    };
    assert_none_fails(tests.iter().filter(|test| Some(test.name.as_str()) != but), run);
}

fn assert_all_pass(paf: &str, check: impl Fn(Case) -> Result<(), String>) {
    let tests: Vec<BackendTest> = backend_tests().into_iter().filter(BackendTest::has_circuit).collect();
    assert_eq!(tests.len(), PASSING);
    let run = |test: &BackendTest| Case::new(test, paf, Range::OfInputs).and_then(&check);
    assert_none_fails(tests.iter(), run);
}

fn assert_none_fails<'t>(
    tests: impl Iterator<Item = &'t BackendTest>,
    run: impl Fn(&BackendTest) -> Result<(), String>,
) {
    let failure = |test: &BackendTest| run(test).err().map(|problem| format!("{}: {problem}", test.name));
    let failures: Vec<String> = tests.filter_map(failure).collect();
    assert!(failures.is_empty(), "{} fail:\n{}", failures.len(), failures.join("\n"));
}

/// What is known of the values inside of a network.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Range {
    /// The range of its inputs.
    OfInputs,
    /// What the test's own input shows.
    Calibrated,
}

/// A test compiled with test-size parameters.
struct Case {
    circuit: Circuit,
    samples: Samples,
    expected: Vec<f64>,
    /// Rounding of the stored result, relative to its largest value.
    rounding: f64,
    /// What the network may multiply the errors by that the circuit states for its nodes.
    gain: f64,
}

impl Case {
    fn new(test: &BackendTest, paf: &str, range: Range) -> Result<Self, String> {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let model = temporary.path().join("model.onnx");
        std::fs::write(&model, test.model_with_weights().encode_to_vec()).expect("the temporary folder is writable");
        let input = test.input();
        let low = input.data.iter().copied().fold(f64::INFINITY, f64::min);
        let high = input.data.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sample = temporary.path().join("sample.npy");
        let is_batched = input.shape.0.first() == Some(&1);
        let shape = if is_batched { input.shape.0.clone() } else { [&[1], &*input.shape.0].concat() };
        write_array(&sample, &shape, input.data.iter().map(|&x| x as f32).collect());
        let is_calibrated = range == Range::Calibrated;
        let options = CompileOptions {
            trailing: TrailingFunctions::Circuit,
            input_range: (!is_calibrated).then(|| (low, high.max(low + 1e-3))),
            calibration: if is_calibrated { sample.into() } else { Calibration::default() },
            pafs: vec![PafChoice { node: None, paf: paf.into() }],
            insecure: true,
            ..CompileOptions::for_model(model)
        };
        let circuit = compile(&options).map_err(|problem| problem.to_string())?.circuit;
        let shape = Shape([&[1], &*circuit.program.inputs[0].shape.0].concat());
        let samples = samples_of(&circuit, Tensor::new(shape, input.data));
        let rounding = if test.has_four_digits() { FOUR_DIGITS } else { FLOAT32 };
        let gain = if is_calibrated { GAIN } else { 1.0 };
        Ok(Case { circuit, samples, expected: test.output().data, rounding, gain })
    }

    fn check_clear(self) -> Result<(), String> {
        let got = clear_outputs(&self.circuit, &self.samples).remove(0).results.remove(0);
        if got.len() != self.expected.len() {
            return Err(format!("{} values, {} expected", got.len(), self.expected.len()));
        }
        // What the circuit says about its own errors, which add up.
        let stated: f64 = self.gain * self.circuit.model.pafs.iter().map(|paf| paf.max_error).sum::<f64>();
        let largest = self.expected.iter().fold(1.0f64, |largest, value| largest.max(value.abs()));
        let allowed = stated + self.rounding * largest;
        let worst = got.iter().zip(&self.expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        if worst <= allowed { Ok(()) } else { Err(format!("off by {worst:.2e}, {allowed:.2e} allowed")) }
    }

    fn check_encrypted(self) -> Result<(), String> {
        let clear = clear_outputs(&self.circuit, &self.samples).remove(0).ports.remove(0);
        // What a result that is zero in the clear is compared with.
        let unit = self.circuit.program.outputs[0].scale;
        let parties = Parties::new(&Arc::new(self.circuit));
        let got = parties.infer(&self.samples, 0).ports.remove(0);
        let bits = if clear.iter().all(|&value| value == 0.0) {
            -got.iter().fold(0.0f64, |worst, value| worst.max(value.abs() / unit)).log2()
        } else {
            agreement_bits(&got, &clear)
        };
        if bits >= ENCRYPTED_BITS { Ok(()) } else { Err(format!("{bits:.1} bits")) }
    }
}
