//! Networks whose activations are polynomials of degree 2: every writing of a function becomes one circuit, the best one.

#[path = "quadratics/network.rs"]
mod network;

use network::{CLASSES, FORMS, Form, Size, network};
use paf_circuit::Circuit;
use paf_compiler::error::CompileError;
use paf_compiler::options::{Bootstraps, Calibration, CompileOptions};
use paf_compiler::pipeline::{Compiled, compile};
use paf_ir::tensor::{Shape, Tensor};
use paf_runtime::{Noise, simulate};
use testkit::arrays::write_array;
use testkit::parties::{assert_bits, samples_of_ports};
use testkit::random::random_values;

const SMALL: Size = Size { blocks: 3, channels: 8, side: 8 };
const SEED: u64 = 41;
const SAMPLES: usize = 4;

/// How far results of two writings may be apart: their weights are rounded to float32.
const FLOAT32: f64 = 1e-4;

/// Images between −`reach` and `reach`.
fn images(size: Size, reach: f64) -> Vec<f64> {
    let values = random_values(SEED, SAMPLES * 3 * size.side * size.side);
    values.into_iter().map(|value| reach * f64::from(value)).collect()
}

fn compiled(form: Form, size: Size, reach: f64, bootstraps: Bootstraps) -> Result<Compiled, CompileError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (model, calibration) = (folder.path().join("model.onnx"), folder.path().join("x.npy"));
    std::fs::write(&model, network(form, size, SEED)).expect("the temporary folder is writable");
    write_array(&calibration, &[SAMPLES, 3, size.side, size.side], images(size, reach));
    let calibration = Calibration::Files(vec![calibration]);
    compile(&CompileOptions { calibration, bootstraps, ..CompileOptions::for_model(model) })
}

/// Results of all samples, one after another.
fn results(circuit: &Circuit, size: Size, reach: f64) -> Vec<f64> {
    let array = Tensor::new(Shape(vec![SAMPLES, 3, size.side, size.side]), images(size, reach));
    let samples = samples_of_ports(&circuit.program.inputs, vec![array]);
    let outputs = simulate(circuit, &samples, Noise::Off).expect("the circuit runs");
    outputs.into_iter().flat_map(|mut output| output.results.remove(0)).collect()
}

#[test]
fn every_writing_of_a_function_becomes_the_best_circuit() {
    let circuits = FORMS.map(|form| (form, compiled(form, SMALL, 1.0, Bootstraps::default()).expect("a valid model")));
    let (_, first) = &circuits[0];
    let expected = results(&first.circuit, SMALL, 1.0);
    assert_eq!(expected.len(), SAMPLES * CLASSES);
    for (form, compiled) in &circuits {
        // A convolution and a square each, and the last layer.
        assert_eq!(compiled.optimized.levels_after, 2 * (1 + 2 * SMALL.blocks as u32) + 1, "{form:?}");
        let counts = compiled.circuit.counts();
        assert_eq!(counts, first.circuit.counts(), "{form:?}");
        assert_eq!(counts.ciphertext_products, 1 + 2 * SMALL.blocks, "{form:?}");
        for (a, b) in results(&compiled.circuit, SMALL, 1.0).iter().zip(&expected) {
            assert!((a - b).abs() < FLOAT32, "{form:?}: {a} and {b}");
        }
    }
}

/// Encrypted, squares of residual networks are as precise as predicted.
#[test]
fn encrypted_squares_are_as_precise_as_predicted() {
    let circuit = compiled(Form::Exported, SMALL, 1.0, Bootstraps::default()).expect("a valid model").circuit;
    let array = Tensor::new(Shape(vec![SAMPLES, 3, SMALL.side, SMALL.side]), images(SMALL, 1.0));
    assert_bits(&circuit, &samples_of_ports(&circuit.program.inputs, vec![array]), 2, "a network of squares");
}

/// As many bootstraps for large inputs as for small ones.
#[test]
fn large_values_are_refreshed_as_small_ones_are() {
    let [small, large] = [0.2, 3.0].map(|reach| {
        compiled(Form::Exported, SMALL, reach, Bootstraps::UpTo(5)).expect("a valid model").circuit.counts()
    });
    assert!(small.bootstraps > 0 && small == large, "{small:?}, {large:?}");
}

/// A network without ReLU is told what its levels are for.
#[test]
fn a_refusal_names_what_is_there() {
    let deep = Size { blocks: 12, ..SMALL };
    let error = compiled(Form::Exported, deep, 0.2, Bootstraps::Never).map(drop).expect_err("51 levels").to_string();
    assert!(error.contains("26 linear layers and 25 products"), "{error}");
    assert!(error.contains("no ReLU or MaxPool"), "{error}");
}
