//! Networks whose activations are polynomials of degree 2: every writing of a function becomes one circuit, the best one.

#[path = "quadratics/network.rs"]
mod network;

use std::path::Path;

use network::{CLASSES, FORMS, Form, Size, network};
use paf_circuit::Circuit;
use paf_compiler::options::{Bootstraps, Calibration, CompileOptions};
use paf_compiler::pipeline::{Compiled, compile};
use paf_ir::tensor::{Shape, Tensor};
use paf_runtime::{Noise, simulate};
use testkit::arrays::write_array;
use testkit::parties::samples_of_ports;
use testkit::random::random_values;

const SMALL: Size = Size { blocks: 3, channels: 8, side: 8 };
const SEED: u64 = 41;
const SAMPLES: usize = 4;

/// Images between −`reach` and `reach`.
fn images(size: Size, reach: f64) -> Vec<f64> {
    let values = random_values(SEED, SAMPLES * 3 * size.side * size.side);
    values.into_iter().map(|value| reach * f64::from(value)).collect()
}

fn compiled(folder: &Path, form: Form, size: Size, reach: f64, options: CompileOptions) -> Compiled {
    let (model, calibration) = (folder.join(format!("{form:?}.onnx")), folder.join("x.npy"));
    std::fs::write(&model, network(form, size, SEED)).expect("the temporary folder is writable");
    write_array(&calibration, &[SAMPLES, 3, size.side, size.side], images(size, reach));
    let calibration = Calibration::Files(vec![calibration]);
    compile(&CompileOptions { calibration, model: CompileOptions::for_model(model).model, ..options })
        .expect("a valid model")
}

/// Results of all samples, one after another.
fn results(circuit: &Circuit, size: Size, reach: f64) -> Vec<f64> {
    let array = Tensor::new(Shape(vec![SAMPLES, 3, size.side, size.side]), images(size, reach));
    let samples = samples_of_ports(&circuit.program.inputs, vec![array]);
    let outputs = simulate(circuit, &samples, Noise::Off).expect("the circuit runs");
    outputs.into_iter().flat_map(|mut outputs| outputs.remove(0).values).collect()
}

#[test]
fn every_writing_of_a_function_becomes_the_best_circuit() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut seen: Vec<(Form, Compiled)> = vec![];
    for form in FORMS {
        let options = CompileOptions::for_model(folder.path().join("model.onnx"));
        let compiled = compiled(folder.path(), form, SMALL, 1.0, options);
        println!("{form:?}: {} levels, {:?}", compiled.optimized.levels_after, compiled.circuit.prediction);
        seen.push((form, compiled));
    }
    let (_, first) = &seen[0];
    let expected = results(&first.circuit, SMALL, 1.0);
    assert_eq!(expected.len(), SAMPLES * CLASSES);
    for (form, compiled) in &seen {
        // A convolution and a square each, and the last layer.
        let least = 2 * (1 + 2 * SMALL.blocks as u32) + 1;
        assert_eq!(compiled.optimized.levels_after, least, "{form:?}");
        let (a, b) = (&compiled.circuit.prediction, &first.circuit.prediction);
        assert!((a.seconds / b.seconds - 1.0).abs() < 0.02, "{form:?}: {} and {} s", a.seconds, b.seconds);
        for (a, b) in results(&compiled.circuit, SMALL, 1.0).iter().zip(&expected) {
            assert!((a - b).abs() < 1e-4, "{form:?}: {a} and {b}");
        }
    }
}

/// As many bootstraps for large inputs as for small ones.
#[test]
fn large_values_are_refreshed_as_small_ones_are() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let bootstraps = |reach: f64| {
        let mut options = CompileOptions::for_model(folder.path().join("model.onnx"));
        options.bootstraps = Bootstraps::UpTo(5);
        let compiled = compiled(folder.path(), Form::Exported, SMALL, reach, options);
        println!("{reach}: {:?}", compiled.circuit.prediction);
        compiled.circuit.prediction.clone()
    };
    let (small, large) = (bootstraps(0.2), bootstraps(3.0));
    assert!((large.seconds / small.seconds - 1.0).abs() < 0.05, "{small:?}, {large:?}");
}

#[test]
fn dump() {
    let Some(folder) = std::env::var_os("PAF_DUMP") else { return };
    for (name, size) in [
        ("small", SMALL),
        ("face", Size { blocks: 5, channels: 16, side: 32 }),
        ("deep", Size { blocks: 12, channels: 8, side: 8 }),
    ] {
        for form in FORMS {
            std::fs::write(Path::new(&folder).join(format!("{name}_{form:?}.onnx")), network(form, size, SEED))
                .unwrap();
        }
        for reach in [0.2, 1.0, 3.0] {
            write_array(
                &Path::new(&folder).join(format!("{name}_{reach}.npy")),
                &[SAMPLES, 3, size.side, size.side],
                images(size, reach),
            );
        }
    }
}
