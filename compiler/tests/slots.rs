//! No slot of a circuit holds more than a ciphertext can, whether or not an element of a tensor lies there.

mod common;

use common::compiled;
use paf_circuit::Circuit;
use paf_compiler::options::{CompileOptions, PafChoice};
use paf_engine_clear::{ClearEvaluator, ClearMaps};
use paf_ir::Shape;
use paf_ir::ckks::Level;
use paf_runtime::executor::{Evaluation, Onlooker, Step};
use paf_runtime::{Noise, agreement_bits, simulate};
use prost::Message as _;
use testkit::arrays::{batch, write_floats};
use testkit::onnx::{floats, integers, model, node};
use testkit::parties::samples_of;
use testkit::random::random_values;
use tract_onnx::pb::{ModelProto, NodeProto};

/// Values of polynomials and their powers; the first prime leaves 2^8 at least.
const MOST: f64 = 64.0;

const SIDE: usize = 16;
const CHANNELS: usize = 4;

/// A convolution, what is between, a pool of two rounds each way, and a dense layer.
fn network(weights: &[f32; CHANNELS], biases: &[f32; CHANNELS], between: &[&str]) -> ModelProto {
    let mut kernels = random_values(3, CHANNELS * 4);
    kernels.iter_mut().enumerate().for_each(|(place, kernel)| *kernel *= weights[place / 4]);
    let convolution = vec![integers("kernel_shape", &[2, 2]), integers("pads", &[0, 0, 1, 1])];
    let mut nodes = vec![node("Conv", "x w b", "t0", convolution)];
    let chain = between
        .iter()
        .map(|operator| (*operator, vec![]))
        .chain([("MaxPool", vec![integers("kernel_shape", &[4, 4]), integers("strides", &[4, 4])])]);
    for (place, (operator, attributes)) in chain.enumerate() {
        nodes.push(named(node(operator, &format!("t{place}"), &format!("t{}", place + 1), attributes), operator));
    }
    nodes.push(node("Flatten", &format!("t{}", between.len() + 1), "f", vec![]));
    nodes.push(node("Gemm", "f d e", "y", vec![]));
    let size = CHANNELS * 16;
    let weights = vec![
        floats("w", &[CHANNELS as i64, 1, 2, 2], &kernels),
        floats("b", &[CHANNELS as i64], biases),
        floats("d", &[size as i64, 3], &random_values(4, size * 3)),
        floats("e", &[3], &[0.1, 0.2, -0.3]),
    ];
    model(13, &[1, 1, SIDE as i64, SIDE as i64], nodes, weights)
}

fn named(node: NodeProto, name: &str) -> NodeProto {
    NodeProto { name: name.into(), ..node }
}

fn circuit(model: &ModelProto, pafs: &[&str]) -> (Circuit, Vec<Vec<f64>>) {
    let folder = tempfile::tempdir().unwrap();
    let (path, data) = (folder.path().join("m.onnx"), folder.path().join("x.npy"));
    std::fs::write(&path, model.encode_to_vec()).unwrap();
    let image = |seed: u64| random_values(seed, SIDE * SIDE).into_iter().map(f64::from).collect::<Vec<f64>>();
    let images: Vec<Vec<f64>> = (0..200).map(|seed| image(100 + seed)).collect();
    write_floats(&data, &batch(&Shape(vec![1, SIDE, SIDE]), &images));
    let choice = |paf: &&str| match paf.split_once('=') {
        Some((node, paf)) => PafChoice { node: Some(node.to_owned()), paf: paf.to_owned() },
        None => PafChoice { node: None, paf: (*paf).to_owned() },
    };
    let options = CompileOptions {
        calibration: data.into(),
        pafs: pafs.iter().map(choice).collect(),
        ..CompileOptions::for_model(path)
    };
    (compiled(&options).circuit, images)
}

/// Looks at every slot of every value.
struct Largest(f64, String);

impl<'m> Onlooker<ClearEvaluator<'m>> for Largest {
    fn before(&mut self, _: &Evaluation<'_, ClearEvaluator<'m>>, _: Step<'_>) -> paf_runtime::Result<()> {
        Ok(())
    }

    fn after(&mut self, evaluation: &Evaluation<'_, ClearEvaluator<'m>>, step: Step<'_>) -> paf_runtime::Result<()> {
        for value in evaluation.get(step.id).into_iter().flatten().flat_map(|ciphertext| &ciphertext.values) {
            if value.is_nan() || value.abs() > self.0 {
                *self = Largest(value.abs(), format!("value {:?} of `{}`", step.id, step.layer));
            }
        }
        Ok(())
    }
}

fn largest(circuit: &Circuit, image: &[f64]) -> Largest {
    let maps = ClearMaps::new(&circuit.program);
    let evaluator = ClearEvaluator::new(&maps);
    let samples = samples_of(circuit, batch(&Shape(vec![1, SIDE, SIDE]), &[image.to_vec()]));
    let ports = samples.packed(&circuit.program.inputs, 0).into_iter().zip(circuit.input_levels());
    let encrypted = |vectors: Vec<Vec<f64>>, level: Level| -> Vec<_> {
        vectors.into_iter().map(|vector| evaluator.encrypt(vector, level)).collect()
    };
    let inputs = ports.map(|(vectors, level)| encrypted(vectors, level)).collect();
    let mut largest = Largest(0.0, String::new());
    Evaluation::new(&evaluator, &circuit.program, inputs).unwrap().finish(&mut largest).unwrap();
    largest
}

fn check(model: &ModelProto, pafs: &[&str]) {
    let (circuit, images) = circuit(model, pafs);
    for image in &images[..5] {
        let Largest(value, place) = largest(&circuit, image);
        assert!(value <= MOST, "{pafs:?}: {place} reaches {value}");
    }
}

/// A ReLU that must hold large negative values, of channels that hardly rise above zero, in front of a pool.
#[test]
fn channels_of_small_results_do_not_fill_a_pool() {
    let network = network(&[4.0, 4.0, 1.0, 0.5], &[0.0, -9.0, -2.5, 1.0], &["Relu"]);
    for pafs in [
        &["alpha7"][..],
        &["abs30"],
        &["relu15"],
        &["relu31"],
        &["relu31", "MaxPool=alpha7"],
        &["alpha7", "MaxPool=relu31"],
    ] {
        check(&network, pafs);
    }
}

/// A channel of positive values beside one of negative ones: slots beyond the edge of a channel compare the two.
#[test]
fn channels_of_opposite_signs_may_be_compared() {
    let network = network(&[1.0; CHANNELS], &[3.0, -3.0, 3.0, -3.0], &[]);
    for paf in ["alpha7", "abs30", "relu31"] {
        check(&network, &[paf]);
    }
}

/// Where a ReLU gives small results in a pool's units, the noise of its polynomial is multiplied too.
#[test]
fn noise_that_a_pool_magnifies_is_predicted() {
    let network = network(&[4.0, 4.0, 1.0, 0.5], &[0.0, -9.0, -2.5, 1.0], &["Relu"]);
    for paf in ["relu15", "relu31"] {
        let (circuit, images) = circuit(&network, &[paf]);
        let samples = samples_of(&circuit, batch(&Shape(vec![1, SIDE, SIDE]), &images[..5]));
        let with = |noise| simulate(&circuit, &samples, noise).unwrap().into_iter();
        let (noisy, clear) = (with(Noise::Seed(3)), with(Noise::Off));
        let bits = noisy
            .zip(clear)
            .map(|(noisy, clear)| agreement_bits(&noisy.ports[0], &clear.ports[0]))
            .fold(f64::MAX, f64::min);
        let predicted = circuit.prediction.precision_bits;
        assert!(bits > predicted - 1.0 && predicted >= 13.0, "{paf}: {bits} bits, predicted {predicted}");
    }
}
