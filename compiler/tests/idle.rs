//! A network with a channel that never fires before a normalization that multiplies it by 1/√ε, from ONNX to results.

use paf_compiler::options::{Calibration, CompileOptions, PafChoice};
use paf_compiler::pipeline::compile;
use paf_ir::tensor::{Shape, Tensor};
use paf_runtime::{Noise, simulate};
use prost::Message;
use testkit::arrays::write_array;
use testkit::onnx::{floats, model, node, real};
use testkit::parties::samples_of_ports;
use testkit::random::random_values;

const CHANNELS: usize = 4;
const SIDE: usize = 8;
const CLASSES: usize = 5;
const SAMPLES: usize = 120;

/// Of a channel that never fires, and of what follows it.
const NEVER: f32 = -6.0;
const EPSILON: f32 = 1e-3;

/// Largest error of results, which reach about 3.
const ERROR: f64 = 0.15;

fn weights(seed: u64, count: usize, spread: f32) -> Vec<f32> {
    random_values(seed, count).into_iter().map(|value| spread * value).collect()
}

/// Conv, Relu, BatchNormalization, Flatten, MatMul: in Keras' order.
fn network() -> Vec<u8> {
    let elements = CHANNELS * (SIDE - 2).pow(2);
    let by_channel = |name: &str, values: [f32; CHANNELS]| floats(name, &[CHANNELS as i64], &values);
    let constants = vec![
        floats("w", &[CHANNELS as i64, 1, 3, 3], &weights(1, CHANNELS * 9, 0.6)),
        by_channel("b", [0.1, -0.1, 0.2, NEVER]),
        by_channel("scale", [1.0, 0.8, 1.2, 0.9]),
        by_channel("offset", [0.0, 0.1, -0.1, 0.05]),
        by_channel("mean", [0.3, 0.3, 0.3, 0.0]),
        by_channel("variance", [0.2, 0.2, 0.2, 0.0]),
        floats("d", &[elements as i64, CLASSES as i64], &weights(2, elements * CLASSES, 0.1)),
    ];
    let nodes = vec![
        node("Conv", "x w b", "c", vec![]),
        node("Relu", "c", "r", vec![]),
        node("BatchNormalization", "r scale offset mean variance", "n", vec![real("epsilon", EPSILON)]),
        node("Flatten", "n", "f", vec![]),
        node("MatMul", "f d", "y", vec![]),
    ];
    model(13, &[1, 1, SIDE as i64, SIDE as i64], nodes, constants).encode_to_vec()
}

#[test]
fn a_channel_that_never_fires_is_not_amplified() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (file, calibration) = (folder.path().join("model.onnx"), folder.path().join("x.npy"));
    std::fs::write(&file, network()).expect("the temporary folder is writable");
    let images: Vec<f64> = random_values(3, SAMPLES * SIDE * SIDE).into_iter().map(f64::from).collect();
    let shape = vec![SAMPLES, 1, SIDE, SIDE];
    write_array(&calibration, &shape, images.clone());
    let graph = paf_import::import(&file).expect("a supported network").graph;
    let chosen = CompileOptions { calibration: Calibration::from(calibration), ..CompileOptions::for_model(&file) };
    let named = |paf: &str| CompileOptions { pafs: vec![PafChoice { node: None, paf: paf.into() }], ..chosen.clone() };
    let bounded = CompileOptions { calibration: Calibration::default(), ..named("alpha10") };
    for options in [chosen.clone(), named("alpha7"), named("relu31"), bounded] {
        let circuit = compile(&options).expect("a circuit").circuit;
        let tensor = Tensor::new(Shape(shape.clone()), images.clone());
        let samples = samples_of_ports(&circuit.program.inputs, vec![tensor]);
        let results = simulate(&circuit, &samples, Noise::Off).expect("the circuit runs");
        for (image, result) in images.chunks(SIDE * SIDE).zip(&results) {
            let exact = paf_ir::tensor::evaluate(&graph, &[image.to_vec()]).expect("an image fits");
            for (exact, got) in exact[0].iter().zip(&result.results[0]) {
                assert!((exact - got).abs() < ERROR, "{:?}: {got} instead of {exact}", circuit.model.pafs);
            }
        }
    }
}
