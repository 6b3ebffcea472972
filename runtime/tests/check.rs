//! `paf-run check`: encrypted against clear, layer by layer.

mod bench;
mod common;

use std::sync::Arc;

use bench::Bench;
use common::{Case, dense, exclusive, network_case, refreshing_case};
use paf_circuit::Circuit;
use paf_ir::ckks::CkksProgram;
use paf_ir::tensor::Shape;
use paf_runtime::npy::Array;
use paf_runtime::{Client, EvaluationKeys, Expectations, LayerAgreement, Samples, Server, check_layers};
use serde_json::Value;

const SEEDS: u64 = 4;

fn samples(case: &Case) -> Samples {
    let mut shape = vec![case.samples.len()];
    shape.extend(&case.circuit.program.inputs[0].shape.0);
    let array = Array { shape: Shape(shape), data: case.samples.concat() };
    Samples::new(&case.circuit.program.inputs, vec![array], None).unwrap()
}

/// Runs `evaluated` encrypted and compares with what the case's own circuit computes.
fn agreements(case: &Case, evaluated: &Circuit, sample: usize) -> Vec<LayerAgreement> {
    let client = Client::new(evaluated.client()).unwrap();
    let (secret, public) = client.generate_pair().unwrap();
    let keys = EvaluationKeys::generate(&secret, &client.key_list().unwrap(), &mut |_, _| {}).unwrap();
    let server = Server::new(Arc::new(evaluated.clone()), Arc::clone(client.scheme()), keys).unwrap();
    let samples = samples(case);
    let inputs = client.encrypt(&public, &samples, sample).unwrap();
    let expectations = Expectations::new(&case.circuit, &samples, sample, SEEDS).unwrap();
    check_layers(&server, &client, &secret, inputs, &expectations, &mut |_| {}).unwrap()
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

#[test]
fn the_command_reports_layers_and_refuses_what_is_less_precise_than_asked() {
    let bench = Bench::new(&network_case());
    let facts = bench.json("check circuit.bin --input x.npy --sample 2");
    let layers = facts["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 4);
    for layer in layers {
        assert!(layer["agreement_bits"].as_f64().unwrap() > 20.0 && layer["expected_bits"].as_f64().unwrap() > 20.0);
        let (bits, expected) = (layer["mean_bits"].as_f64().unwrap(), layer["expected_mean_bits"].as_f64().unwrap());
        assert_eq!(layer["under_expectation"], bits < expected - facts["margin_bits"].as_f64().unwrap());
    }
    let under = layers.iter().find(|layer| layer["under_expectation"] == true);
    assert_eq!(facts["first_under_expectation"], under.map_or(Value::Null, |layer| layer["layer"].clone()));

    let lines = bench.succeeds("check circuit.bin --input x.npy --least-bits 20");
    assert!(lines.contains("2 bits") && lines.contains("the noise model"), "{lines}");
    assert!(lines.lines().any(|line| line.starts_with("dense ") && line.contains("level  0")), "{lines}");
    bench.fails("check circuit.bin --input x.npy --least-bits 45", 1, "layer x agrees with the clear run to");
    bench.fails("check circuit.bin --input x.npy --sample 3", 1, "there is no sample 3, the inputs hold 3");
    assert_eq!(bench.run("check circuit.bin --input x.npy --least-bits many").status.code(), Some(2));
}
