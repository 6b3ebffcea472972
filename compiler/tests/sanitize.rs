//! `--sanitize`: results hold nothing of the network but the outputs.

mod common;

use std::sync::Arc;

use common::compiled;
use paf_circuit::Circuit;
use paf_compiler::options::{CompileOptions, PafChoice};
use paf_engine::Engine as _;
use paf_ir::ckks::{Kind, Level, Type};
use paf_ir::random::SplitMix64;
use paf_ir::tensor::{Shape, Tensor};
use prost::Message;
use testkit::onnx::{floats, model, node};
use testkit::parties::{Parties, clear_outputs, exclusive, samples_of};

const INPUTS: usize = 6;

/// A layer and a ReLU: the polynomial of what stands in no element's slot is not zero.
fn circuit(sanitize: bool) -> Circuit {
    let mut numbers = SplitMix64::new(5);
    let weights: Vec<f32> = (0..INPUTS * 3).map(|_| (2.0 * numbers.uniform() - 1.0) as f32).collect();
    let nodes = vec![node("MatMul", "x w", "h", vec![]), node("Relu", "h", "y", vec![])];
    let model = model(13, &[1, INPUTS as i64], nodes, vec![floats("w", &[INPUTS as i64, 3], &weights)]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("model.onnx");
    std::fs::write(&file, model.encode_to_vec()).expect("the temporary folder is writable");
    let pafs = vec![PafChoice { node: None, paf: "relu4".into() }];
    compiled(&CompileOptions { insecure: true, sanitize, pafs, ..CompileOptions::for_model(file) }).circuit
}

/// The largest value in slots without an element, and the largest difference of elements from the clear run.
fn beside_and_off(circuit: &Circuit) -> (f64, f64) {
    let _turn = exclusive();
    let mut parties = Parties::new(&Arc::new(circuit.clone()));
    if circuit.program.output_with_leftovers().is_none() {
        parties.server.sanitize().expect("results without leftovers");
    }
    let input = Tensor::new(Shape(vec![1, INPUTS]), (0..INPUTS).map(|i| 0.3 * i as f64 - 0.8).collect());
    let samples = samples_of(circuit, input);
    let inputs = parties.client.encrypt(&parties.keys.public, &samples, 0).expect("encryption");
    let results = parties.server.evaluate(&parties.keys.evaluation, inputs, &mut |_| {}).expect("evaluation");
    let output = &circuit.program.outputs[0];
    let ty = Type { ciphertexts: 1, level: level_of(circuit), parts: 2, kind: Kind::Rest };
    let engine = parties.client.engine();
    let slots = parties.keys.secret.with(|key| engine.decrypt(key, &results[0][0], ty)).expect("decryption");
    let elements: Vec<usize> = output.layout.table().iter().map(|&slot| slot as usize).collect();
    let gaps = (0..output.layout.period).filter(|slot| !elements.contains(slot));
    let beside = gaps.map(|slot| slots[slot].abs()).fold(0.0, f64::max);
    let clear = &clear_outputs(circuit, &samples)[0].ports[0];
    let off = elements.iter().zip(clear).map(|(&slot, clear)| (slots[slot] * output.scale - clear).abs());
    (beside, off.fold(0.0, f64::max))
}

fn level_of(circuit: &Circuit) -> Level {
    circuit.program.value(circuit.program.outputs[0].value).ty.level
}

#[test]
fn slots_beside_the_outputs_hold_nothing() {
    let (plain, sanitized) = (circuit(false), circuit(true));
    assert_eq!(plain.program.output_with_leftovers(), Some("y"));
    assert_eq!(sanitized.program.output_with_leftovers(), None);
    assert_eq!(sanitized.program.top_level().0, plain.program.top_level().0 + 1);
    let (leftover, _) = beside_and_off(&plain);
    let (beside, off) = beside_and_off(&sanitized);
    println!("beside the outputs: {leftover:.1e}, sanitized {beside:.1e}, off by {off:.1e}");
    assert!(leftover > 1e-3 && beside < 1e-6 && off < 1e-3, "{leftover}, {beside}, {off}");
}
