//! Trained MNIST networks that nobody here made: accuracy and agreement that a release must keep. What they cost is in
//! `testdata/costs.tsv`.

mod common;

use std::sync::{Arc, OnceLock};

use common::compiled_for;
use paf_circuit::{Circuit, encode_circuit};
use paf_compiler::options::CompileOptions;
use paf_runtime::agreement_bits;
use paf_scheme::log_qp_limit_128;
use testkit::arrays::batch;
use testkit::networks::TrainedNetwork;
use testkit::parties::{Parties, accuracy, clear_outputs, exclusive, samples_of};

/// A network, and top-1 on the 10,000 test images in percent that ONNX Runtime has (`data/README.md` beside it).
type Known = (&'static str, f64);

const MLP: Known = ("netkit_mnist_mlp", 97.90);
const MAX_POOL: Known = ("verivital_convnet_maxpool", 97.92);
const TINY_CNN: Known = ("zkml_mnist_cnn_tiny", 96.95);
const NETWORKS: [Known; 3] = [MLP, MAX_POOL, TINY_CNN];

/// Most points that top-1 may differ from the network's.
const ACCURACY_POINTS: f64 = 0.5;
/// Bits by which an encrypted result may agree less than was predicted.
const PREDICTION: f64 = 1.0;
/// Images of an encrypted run in the tests; the benchmark takes as many as it is told.
const ENCRYPTED_IMAGES: usize = 2;

fn compile(name: &str) -> Circuit {
    compiled_for(&TrainedNetwork::named(name), CompileOptions::for_model("")).circuit
}

/// Each network compiled once for all tests.
fn circuit(name: &str) -> &'static Arc<Circuit> {
    static CIRCUITS: OnceLock<Vec<Arc<Circuit>>> = OnceLock::new();
    let circuits = CIRCUITS.get_or_init(|| NETWORKS.iter().map(|(name, _)| Arc::new(compile(name))).collect());
    circuits.iter().find(|circuit| circuit.model.name == name).expect("a network of the list")
}

#[test]
#[ignore = "needs PAF_SHARED"]
fn networks_compile_to_the_same_bytes_twice() {
    for (name, _) in NETWORKS {
        assert!(encode_circuit(circuit(name)) == encode_circuit(&compile(name)), "{name}");
    }
}

#[test]
#[ignore = "needs PAF_SHARED"]
fn every_circuit_is_secure_and_free_of_bootstraps() {
    for (name, _) in NETWORKS {
        let parameters = &circuit(name).parameters;
        let limit = log_qp_limit_128(parameters.ring_dimension);
        assert!(parameters.security_bits >= 128 && parameters.log_qp <= limit, "{name}: {parameters:?}");
        assert_eq!(circuit(name).counts().bootstraps, 0, "{name}");
    }
}

#[test]
#[ignore = "needs PAF_SHARED"]
fn clear_accuracy_on_all_test_images_is_that_of_the_network() {
    for (name, expected) in NETWORKS {
        let circuit = circuit(name);
        let test = TrainedNetwork::named(name).test(10_000);
        let samples = samples_of(circuit, batch(&circuit.program.inputs[0].shape, &test.images));
        let got = accuracy(&clear_outputs(circuit, &samples), &test.labels);
        println!("{name}: {got:.2} %, ONNX Runtime {expected:.2} %");
        assert!((got - expected).abs() <= ACCURACY_POINTS, "{name}: {got:.2} %, not {expected:.2} %");
    }
}

/// The first test images encrypted at 128 bits: predictions as on the clear engine, and results as precise as predicted.
fn check_encrypted(name: &str) {
    let _turn = exclusive();
    let circuit = circuit(name);
    let images = TrainedNetwork::named(name).test(ENCRYPTED_IMAGES).images;
    let samples = samples_of(circuit, batch(&circuit.program.inputs[0].shape, &images));
    let clear = clear_outputs(circuit, &samples);
    let parties = Parties::new(circuit);
    let predicted = circuit.prediction.precision_bits;
    for (sample, expected) in clear.iter().enumerate() {
        let got = parties.infer(&samples, sample);
        let bits = agreement_bits(&got.ports[0], &expected.ports[0]);
        println!("{name}, image {sample}: {bits:.1} bits, predicted {predicted:.1}");
        assert_eq!(got.top1(), expected.top1(), "{name}, image {sample}");
        assert!(bits >= predicted - PREDICTION, "{name}, image {sample}: {bits:.1} bits, predicted {predicted:.1}");
    }
}

#[test]
#[ignore = "needs PAF_SHARED"]
fn the_mlp_agrees_encrypted() {
    check_encrypted(MLP.0);
}

#[test]
#[ignore = "needs PAF_SHARED"]
fn the_tiny_cnn_agrees_encrypted() {
    check_encrypted(TINY_CNN.0);
}

#[test]
#[ignore = "needs PAF_SHARED"]
fn the_max_pool_network_agrees_encrypted() {
    check_encrypted(MAX_POOL.0);
}
