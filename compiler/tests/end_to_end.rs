//! Whole compilations of the models in `testdata`, run on both engines: clear against references that the compiler did
//! not make, encrypted against clear.

mod common;

use std::path::Path;
use std::sync::Arc;

use common::compiled;
use paf_circuit::{Circuit, encode_circuit};
use paf_compiler::error::CompileError;
use paf_compiler::options::{Bootstraps, CompileOptions, PafChoice, PipelineStep};
use paf_compiler::pipeline::{Compilation, compile};
use paf_ir::tensor::{Graph, Shape, Tensor, evaluate};
use paf_passes::PassError;
use paf_runtime::samples::results;
use paf_runtime::{ClientOutput, agreement_bits};
use testkit::arrays::read_array;
use testkit::digits::{self, CNN, Digits, MLP, NETWORKS, RESNET, images};
use testkit::parties::{Parties, accuracy, clear_outputs, exclusive, samples_of};
use testkit::{entries, file_name, testdata};

/// Least bits to which two results must agree.
#[derive(Debug, Clone, Copy)]
enum Agreement {
    /// The same real numbers, computed in another order by polynomials whose coefficients reach 60.
    Reordered,
    /// Encrypted with test parameters: N = 2^11, a scale of 2^50.
    TestParameters,
    /// Encrypted with the parameters of a real run.
    Secure,
}

impl Agreement {
    fn bits(self) -> f64 {
        match self {
            Agreement::Reordered => 36.0,
            Agreement::TestParameters => 24.0,
            Agreement::Secure => 12.0,
        }
    }

    fn check(self, what: &str, got: &[f64], reference: &[f64]) -> Result<(), String> {
        let bits = agreement_bits(got, reference);
        let agrees = got.len() == reference.len() && bits >= self.bits();
        if agrees { Ok(()) } else { Err(format!("{what}: {bits:.1} bits, {self:?}")) }
    }
}

/// Relative rounding of references in float32.
const FLOAT32: f64 = 1e-5;

fn assert_all_pass(results: impl IntoIterator<Item = Result<(), String>>) {
    let failures: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    assert!(failures.is_empty(), "{} fail:\n{}", failures.len(), failures.join("\n"));
}

fn options(network: &Digits) -> CompileOptions {
    CompileOptions {
        calibration: digits::calibration_file().into(),
        pafs: vec![PafChoice { node: None, paf: "alpha7".into() }],
        ..CompileOptions::for_model(network.model())
    }
}

fn circuit(network: &Digits) -> Circuit {
    compiled(&options(network)).circuit
}

fn circuit_with_test_parameters(network: &Digits) -> Circuit {
    compiled(&CompileOptions { insecure: true, ..options(network) }).circuit
}

/// The polynomial network of a compilation.
fn approximated(options: CompileOptions) -> Graph {
    let mut compilation = Compilation::new(options).expect("options that go together");
    compilation.run(PipelineStep::Approximate).expect("a supported network");
    let lowering = compilation.lowering.expect("the step was taken");
    lowering.polynomial.expect("the step was taken").approximated.graph
}

/// What a tensor graph, scaled as the circuit's ports say, gives for one sample.
fn evaluate_scaled(graph: &Graph, circuit: &Circuit, sample: &[f64]) -> Vec<f64> {
    let (input, output) = (&circuit.program.inputs[0], &circuit.program.outputs[0]);
    let scaled = sample.iter().map(|value| value * input.scaling.scale).collect();
    let values = evaluate(graph, &[scaled]).expect("the sample fits").remove(0);
    values.into_iter().map(|value| value * output.scale).collect()
}

#[test]
fn circuits_compute_what_the_approximated_network_computes() {
    for network in NETWORKS {
        let circuit = circuit(&network);
        let graph = approximated(options(&network));
        let images = images();
        let outputs = clear_outputs(&circuit, &samples_of(&circuit, images.clone()));
        let samples = images.data.chunks_exact(64).zip(&outputs);
        assert_all_pass(samples.map(|(image, output)| {
            Agreement::Reordered.check(network.name, &output.ports[0], &evaluate_scaled(&graph, &circuit, image))
        }));
    }
}

#[test]
fn clear_accuracy_is_that_of_the_network() {
    let labels = digits::test_labels();
    for network in NETWORKS {
        let circuit = circuit(&network);
        let outputs = clear_outputs(&circuit, &samples_of(&circuit, digits::test_images()));
        let got = accuracy(&outputs, &labels);
        println!("{}: {got:.2} %, ONNX Runtime {:.2} %", network.name, network.accuracy);
        assert!((got - network.accuracy).abs() <= 1.5, "{}: {got:.2} %, not {:.2} %", network.name, network.accuracy);
    }
}

/// Runs the first samples encrypted: predictions as on the clear engine, and the agreement asked for.
fn check_encrypted(
    name: &str,
    circuit: Circuit,
    inputs: Tensor,
    count: usize,
    agreement: Agreement,
) -> Result<(), String> {
    let circuit = Arc::new(circuit);
    let samples = samples_of(&circuit, inputs);
    let clear = clear_outputs(&circuit, &samples);
    let parties = Parties::new(&circuit);
    for (sample, expected) in clear.iter().take(count).enumerate() {
        let got = parties.infer(&samples, sample);
        let bits = agreement_bits(&got.ports[0], &expected.ports[0]);
        println!("{name}, sample {sample}: {bits:.1} bits");
        if got.top1() != expected.top1() {
            return Err(format!("{name}, sample {sample}: {} instead of {}", got.top1(), expected.top1()));
        }
        agreement.check(&format!("{name}, sample {sample}"), &got.ports[0], &expected.ports[0])?;
    }
    Ok(())
}

#[test]
fn encrypted_digits_agree_with_the_clear_engine() {
    let _turn = exclusive();
    let runs = NETWORKS.map(|network| {
        let circuit = circuit_with_test_parameters(&network);
        check_encrypted(network.name, circuit, images(), 3, Agreement::TestParameters)
    });
    assert_all_pass(runs);
}

#[test]
fn the_mlp_runs_encrypted_at_128_bits() {
    let _turn = exclusive();
    let circuit = circuit(&MLP);
    assert!(!circuit.parameters.is_insecure());
    assert_all_pass([check_encrypted(MLP.name, circuit, images(), 3, Agreement::Secure)]);
}

#[test]
fn the_cnn_runs_encrypted_at_128_bits() {
    let _turn = exclusive();
    let circuit = circuit(&CNN);
    assert!(!circuit.parameters.is_insecure());
    assert_all_pass([check_encrypted(CNN.name, circuit, images(), 1, Agreement::Secure)]);
}

#[test]
fn compiling_twice_gives_the_same_bytes() {
    for network in NETWORKS {
        assert_eq!(encode_circuit(&circuit(&network)), encode_circuit(&circuit(&network)), "{}", network.name);
    }
}

#[test]
fn a_network_that_is_too_deep_is_told_what_would_fit() {
    let with = |paf: &str| {
        let pafs = vec![PafChoice { node: None, paf: paf.into() }];
        compile(&CompileOptions { pafs, bootstraps: Bootstraps::Never, ..options(&RESNET) })
    };
    let error = with("alpha14").map(drop).expect_err("three activations of 14 levels");
    let CompileError::Pass(PassError::TooDeep { needed, available, fitting: Some((paf, levels)), .. }) = error else {
        panic!("{error}");
    };
    assert!(needed >= 3 * 14 && available < needed && levels <= available, "{needed} {available} {levels}");
    assert_eq!(with(&paf).expect("the compiler said that it fits").circuit.counts().levels, levels);
}

/// The numbers of a value's line in a ckks listing.
struct Line<'t> {
    text: &'t str,
}

impl<'t> Line<'t> {
    /// The first line that contains a text.
    fn find(listing: &'t str, part: &str) -> Self {
        let line = listing.lines().find(|line| line.contains(part));
        Line { text: line.unwrap_or_else(|| panic!("no `{part}` in\n{listing}")) }
    }

    /// The level of the value, from its type.
    fn level(&self) -> u32 {
        let (_, ty) = self.text.rsplit_once("level ").expect("a typed value");
        ty.split(',').next().and_then(|level| level.parse().ok()).expect("a level")
    }

    /// The line of the last operand.
    fn operand(&self, listing: &'t str) -> Self {
        let (_, operands) = self.text.split_once(" = ").expect("a value");
        let operand = operands.split_whitespace().rfind(|word| word.starts_with('%')).expect("an operand");
        Line::find(listing, &format!("{operand} \""))
    }
}

#[test]
fn a_relu_takes_seven_levels() {
    let listing = circuit(&MLP).program.to_listing();
    let last = Line::find(&listing, "= linear #1 ");
    let levels = Line::find(&listing, "= linear #0 ").level() - last.operand(&listing).level();
    assert_eq!(levels, 7, "{listing}");
}

#[test]
fn a_two_by_two_max_pool_takes_fourteen_levels() {
    let listing = circuit(&CNN).program.to_listing();
    let last = Line::find(&listing, "= linear #1 ");
    let pool_input = Line::find(&listing, "\"max_pool\" = rotate ").operand(&listing).level();
    let relu = Line::find(&listing, "= linear #0 ").level() - pool_input;
    let pool = pool_input - last.operand(&listing).level();
    assert_eq!((relu, pool), (7, 14), "{listing}");
}

/// A model of one operator with its input and the result of ONNX's reference evaluator.
struct OperatorCase {
    name: String,
    circuit: Circuit,
    input: Tensor,
    expected: Tensor,
}

/// Every case of `testdata/ops`, with test parameters.
fn operator_cases() -> Vec<OperatorCase> {
    entries(&testdata("ops")).iter().map(|folder| operator_case(folder)).collect()
}

fn operator_case(folder: &Path) -> OperatorCase {
    let mut input = read_array(&folder.join("input.npy"));
    let smallest = input.data.iter().copied().fold(f64::INFINITY, f64::min);
    let largest = input.data.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let options = CompileOptions {
        input_range: Some((smallest, largest)),
        insecure: true,
        ..CompileOptions::for_model(folder.join("model.onnx"))
    };
    let circuit = compiled(&options).circuit;
    input.shape = Shape([&[1], &*circuit.program.inputs[0].shape.0].concat());
    OperatorCase { name: file_name(folder), circuit, input, expected: read_array(&folder.join("output.npy")) }
}

impl OperatorCase {
    fn clear(&self) -> ClientOutput {
        clear_outputs(&self.circuit, &samples_of(&self.circuit, self.input.clone())).remove(0)
    }

    /// What the circuit says about its own error, and the rounding of the reference. No case has a map after an
    /// activation, and activations in a row add their errors: max is 1-Lipschitz.
    fn tolerance(&self) -> f64 {
        let stated: f64 = self.circuit.model.pafs.iter().map(|paf| paf.max_error).sum();
        let largest = self.expected.data.iter().fold(1.0f64, |largest, value| largest.max(value.abs()));
        stated + FLOAT32 * largest
    }

    fn check_clear(&self) -> Result<(), String> {
        let got = self.clear().results.remove(0);
        let size = results(&self.circuit.program.outputs, &self.circuit.program.client)[0].shape.size();
        if (got.len(), size) != (self.expected.data.len(), self.expected.data.len()) {
            return Err(format!("{}: {} values, {} expected", self.name, got.len(), self.expected.data.len()));
        }
        let worst = got.iter().zip(&self.expected.data).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        if worst <= self.tolerance() {
            return Ok(());
        }
        Err(format!("{}: off by {worst:.2e}, {:.2e} allowed", self.name, self.tolerance()))
    }
}

#[test]
fn operators_on_the_clear_engine_give_the_reference_results() {
    let cases = operator_cases();
    assert_eq!(cases.len(), 77);
    assert_all_pass(cases.iter().map(OperatorCase::check_clear));
}

#[test]
fn operators_encrypted_agree_with_the_clear_engine() {
    let _turn = exclusive();
    let run = |case: OperatorCase| check_encrypted(&case.name, case.circuit, case.input, 1, Agreement::TestParameters);
    assert_all_pass(operator_cases().into_iter().map(run));
}
