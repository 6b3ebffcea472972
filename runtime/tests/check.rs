//! Encrypted against clear, layer by layer.

mod common;

use std::sync::Arc;

use common::{Case, exclusive, network_case, refreshing_case};
use paf_circuit::Circuit;
use paf_engine::suite::cases::dense;
use paf_engine_openfhe::OpenFheEngine;
use paf_ir::ckks::CkksProgram;
use paf_ir::tensor::Shape;
use paf_runtime::npy::Array;
use paf_runtime::{
    Client, Expectations, InsecureTestParameters, LayerAgreement, LocalKeys, Samples, Server, Sides, check_layers,
};

const SEEDS: u64 = 4;

fn samples(case: &Case) -> Samples {
    let mut shape = vec![case.samples.len()];
    shape.extend(&case.circuit.program.inputs[0].shape.0);
    let array = Array { shape: Shape(shape), data: case.samples.concat() };
    Samples::new(&case.circuit.program.inputs, vec![array], None).unwrap()
}

/// Runs `evaluated` encrypted and compares with what the case's own circuit computes.
fn agreements(case: &Case, evaluated: &Circuit, sample: usize) -> Vec<LayerAgreement> {
    let client = Client::<OpenFheEngine>::new(evaluated.client(), InsecureTestParameters::Allow).unwrap();
    let server = Server::with_engine(Arc::new(evaluated.clone()), Arc::clone(client.engine())).unwrap();
    let keys = LocalKeys::make(&client, &server, 0, &mut |_, _| {}).unwrap();
    let samples = samples(case);
    let inputs = client.encrypt(&keys.public, &samples, sample).unwrap();
    let expectations = Expectations::new(&case.circuit, &samples, sample, SEEDS).unwrap();
    let sides = Sides { client: &client, secret: &keys.secret, server: &server, keys: &keys.evaluation };
    check_layers(&sides, inputs, &expectations, &mut |_| {}).unwrap()
}

fn print(layers: &[LayerAgreement]) {
    for layer in layers {
        let (worst, mean) = ((layer.bits, layer.expected_bits), (layer.mean_bits, layer.expected_mean_bits));
        println!("{}: {:.1} bits, expected {:.1}; mean {:.1}, {:.1}", layer.layer, worst.0, worst.1, mean.0, mean.1);
    }
}

#[test]
fn layers_are_as_precise_as_the_noise_model_says() {
    let _turn = exclusive();
    let case = network_case();
    for sample in 0..2 {
        let layers = agreements(&case, &case.circuit, sample);
        print(&layers);
        let names: Vec<&str> = layers.iter().map(|layer| layer.layer.as_str()).collect();
        assert_eq!(names, ["x", "conv", "relu", "dense"]);
        let levels: Vec<u32> = layers.iter().map(|layer| layer.level.0).collect();
        assert_eq!(levels, [5, 4, 1, 0]);
        // The last layer has folds, and repeats after 16 of 1024 slots: of what a division by P leaves in the slots of low
        // frequencies, and of the secret's size by slot, the noise model knows too little there.
        for (layer, tolerance) in layers.iter().zip([2.0, 2.5, 2.5, 5.0]) {
            assert!((layer.bits - layer.expected_bits).abs() < tolerance, "{layer:?}");
            assert!((layer.mean_bits - layer.expected_mean_bits).abs() < 0.5 * tolerance, "{layer:?}");
        }
    }
}

#[test]
fn layers_between_bootstraps_are_compared() {
    let _turn = exclusive();
    let case = refreshing_case();
    let layers = agreements(&case, &case.circuit, 0);
    print(&layers);
    let names: Vec<&str> = layers.iter().map(|layer| layer.layer.as_str()).collect();
    assert_eq!(names, ["x", "bootstrap", "relu", "dense", "second bootstrap", "scale"]);
    assert!(layers.iter().all(|layer| layer.bits > 8.0));
    assert!(layers[0].bits > layers[1].bits + 5.0, "a bootstrap is what costs precision");
}

/// A server that computes one layer with other weights agrees up to that layer, and not from there on.
#[test]
fn the_first_layer_that_goes_wrong_is_found() {
    let _turn = exclusive();
    let case = network_case();
    let mut program = CkksProgram::clone(&case.circuit.program);
    program.maps[1].map = Arc::new(dense(10, 128, 31));
    let wrong = Circuit { program: program.verify().unwrap(), ..case.circuit.clone() };
    let layers = agreements(&case, &wrong, 0);
    print(&layers);
    let first = layers.iter().find(|layer| layer.bits < layer.expected_bits - 2.0).unwrap();
    assert_eq!(first.layer, "dense");
    assert!(first.bits < 3.0);
}
