//! A network with two encrypted inputs of different shapes and two outputs, compiled and run on both engines.

use std::path::Path;
use std::sync::Arc;

use paf_compiler::error::CompileError;
use paf_compiler::options::{Calibration, CompileOptions, PafChoice};
use paf_compiler::pipeline::compile;
use paf_ir::tensor::{Shape, Tensor};
use paf_runtime::{Noise, agreement_bits, simulate};
use prost::Message;
use testkit::arrays::write_array;
use testkit::onnx::{input, model_of, node};
use testkit::parties::{Parties, exclusive, samples_of_ports};
use tract_onnx::pb::NodeProto;

/// Least bits to which the encrypted results agree with the clear engine: N = 2^11, a scale of 2^50.
const ENCRYPTED_BITS: f64 = 24.0;

const LEFT: [f64; 12] = [0.5, -1.0, 2.0, 1.5, -0.25, 0.75, -2.0, 1.0, 0.0, 1.25, -1.5, 0.25];
const RIGHT: [f64; 6] = [1.0, -0.5, 0.25, -1.0, 0.5, 2.0];
const SAMPLES: usize = 2;

/// How much wider the inputs of [`products_of_wide_ranges_keep_their_precision`] are: up to 30.
const WIDE: f64 = 15.0;

/// `gate = left · sigmoid(right)` and `power = left · right · left`.
fn wide_model() -> Vec<u8> {
    let nodes = vec![
        node("Sigmoid", "right", "opening", vec![]),
        node("Mul", "left opening", "gate", vec![]),
        node("Mul", "left right", "product", vec![]),
        node("Mul", "product left", "power", vec![]),
    ];
    model_with(nodes, ["gate", "power"])
}

/// `larger = max(left, right)` and `product = left · right`, the right one broadcast along the second axis.
fn model() -> Vec<u8> {
    let nodes = vec![node("Max", "left right", "larger", vec![]), node("Mul", "left right", "product", vec![])];
    model_with(nodes, ["larger", "product"])
}

fn model_with(nodes: Vec<NodeProto>, outputs: [&str; 2]) -> Vec<u8> {
    let inputs = vec![input("left", &[1, 2, 3]), input("right", &[1, 1, 3])];
    model_of(13, inputs, nodes, vec![], &outputs).encode_to_vec()
}

fn options(folder: &Path) -> CompileOptions {
    let at = |name: &str| folder.join(name);
    std::fs::write(at("model.onnx"), model()).expect("the temporary folder is writable");
    write_array(&at("left.npy"), &[SAMPLES, 2, 3], LEFT.to_vec());
    write_array(&at("right.npy"), &[SAMPLES, 1, 3], RIGHT.to_vec());
    CompileOptions {
        calibration: Calibration::Files(vec![at("left.npy"), at("right.npy")]),
        pafs: vec![PafChoice { node: None, paf: "alpha10".into() }],
        insecure: true,
        ..CompileOptions::for_model(at("model.onnx"))
    }
}

fn arrays() -> Vec<Tensor> {
    vec![
        Tensor::new(Shape(vec![SAMPLES, 2, 3]), LEFT.to_vec()),
        Tensor::new(Shape(vec![SAMPLES, 1, 3]), RIGHT.to_vec()),
    ]
}

/// What the network gives for a sample.
fn expected(sample: usize) -> [Vec<f64>; 2] {
    let pairs = || (0..6).map(move |index| (LEFT[sample * 6 + index], RIGHT[sample * 3 + index % 3]));
    [pairs().map(|(left, right)| left.max(right)).collect(), pairs().map(|(left, right)| left * right).collect()]
}

#[test]
fn two_inputs_and_two_outputs_on_both_engines() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let circuit = compile(&options(folder.path())).expect("a valid model").circuit;
    let stated: f64 = circuit.model.pafs.iter().map(|paf| paf.max_error).sum();
    let samples = samples_of_ports(&circuit.program.inputs, arrays());
    let clear = simulate(&circuit, &samples, Noise::Off).expect("the circuit runs");
    for (sample, outputs) in clear.iter().enumerate() {
        for ((values, expected), allowed) in outputs.results.iter().zip(expected(sample)).zip([stated, 1e-9]) {
            let worst = values.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(values.len() == 6 && worst <= allowed, "sample {sample}: off by {worst}, {allowed} allowed");
        }
    }
    let _turn = exclusive();
    let parties = Parties::new(&Arc::new(circuit));
    let encrypted = parties.infer(&samples, 1);
    for (encrypted, clear) in encrypted.ports.iter().zip(&clear[1].ports) {
        let bits = agreement_bits(encrypted, clear);
        assert!(bits >= ENCRYPTED_BITS, "{bits} bits");
    }
}

/// Values of 30 and products of 27,000 beside a gate between 0 and 1: each is as precise as values of size 1.
#[test]
fn products_of_wide_ranges_keep_their_precision() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    let options = options(folder.path());
    let wide = |values: &[f64]| values.iter().map(|value| WIDE * value).collect::<Vec<f64>>();
    std::fs::write(at("model.onnx"), wide_model()).expect("the temporary folder is writable");
    write_array(&at("left.npy"), &[SAMPLES, 2, 3], wide(&LEFT));
    write_array(&at("right.npy"), &[SAMPLES, 1, 3], wide(&RIGHT));
    let circuit = compile(&options).expect("a valid model").circuit;
    let arrays = arrays().iter().map(|array| array.map(|value| WIDE * value)).collect();
    let samples = samples_of_ports(&circuit.program.inputs, arrays);
    let clear = simulate(&circuit, &samples, Noise::Off).expect("the circuit runs").remove(0);
    let power = |index: usize| WIDE.powi(3) * LEFT[index] * LEFT[index] * RIGHT[index % 3];
    for (index, got) in clear.results[1].iter().enumerate() {
        assert!((got - power(index)).abs() <= 1e-9 * WIDE.powi(3), "{got} instead of {}", power(index));
    }
    let _turn = exclusive();
    let parties = Parties::new(&Arc::new(circuit));
    let encrypted = parties.infer(&samples, 0);
    for (encrypted, clear) in encrypted.ports.iter().zip(&clear.ports) {
        let bits = agreement_bits(encrypted, clear);
        println!("{bits:.1} bits");
        assert!(bits >= ENCRYPTED_BITS, "{bits} bits");
    }
}

#[test]
fn calibration_needs_a_file_for_each_input() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let calibration = folder.path().join("left.npy").into();
    let options = CompileOptions { calibration, ..options(folder.path()) };
    let Err(CompileError::Calibration { problem, .. }) = compile(&options) else { panic!("compiled") };
    assert!(problem.contains("left") && problem.contains("right"), "{problem}");
}
