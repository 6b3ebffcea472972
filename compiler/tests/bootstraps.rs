//! Networks that are refreshed on the way: the clear engine computes the same with and without bootstraps.

mod common;

use std::fs;
use std::path::Path;

use common::{clear_outputs, compiled, read_array, samples_of, shared_data, testdata};
use paf_circuit::Circuit;
use paf_compiler::options::{Bootstraps, CompileOptions};
use paf_compiler::pipeline::Compiled;
use paf_ir::tensor::Shape;
use paf_runtime::npy::Array;
use paf_runtime::{Noise, agreement_bits, simulate};

fn digits_resnet(bootstraps: Bootstraps) -> Compiled {
    refined_digits_resnet(bootstraps, 1)
}

fn refined_digits_resnet(bootstraps: Bootstraps, bootstrap_iterations: u32) -> Compiled {
    let calibration = testdata("digits_calibration.npy").into();
    let model = testdata("digits_resnet_tiny.onnx");
    compiled(&CompileOptions {
        calibration,
        insecure: true,
        bootstraps,
        bootstrap_iterations: Some(bootstrap_iterations),
        ..CompileOptions::for_model(model)
    })
}

#[test]
fn refreshed_values_are_the_same() {
    let (plain, refreshed) = (digits_resnet(Bootstraps::Never).circuit, digits_resnet(Bootstraps::UpTo(9)).circuit);
    assert_eq!(plain.counts().bootstraps, 0);
    assert!(refreshed.counts().bootstraps >= 3, "{:?}", refreshed.counts());
    assert!(refreshed.program.top_level().0 <= 9, "{}", refreshed.program.top_level());
    let images = read_array(&testdata("digits_images.npy"));
    let expected = clear_outputs(&plain, &samples_of(&plain, images.clone()));
    let outputs = clear_outputs(&refreshed, &samples_of(&refreshed, images));
    for (output, expected) in outputs.iter().zip(&expected) {
        let bits = agreement_bits(&output.raw, &expected.raw);
        assert!(bits > 36.0, "{bits:.1} bits");
    }
}

#[test]
fn simulated_noise_is_what_is_predicted() {
    check_simulated_noise(&digits_resnet(Bootstraps::UpTo(9)).circuit);
}

#[test]
fn simulated_noise_is_what_is_predicted_with_two_iterations() {
    let once = digits_resnet(Bootstraps::UpTo(9)).circuit.prediction.precision_bits;
    let circuit = refined_digits_resnet(Bootstraps::UpTo(9), 2).circuit;
    assert!(circuit.prediction.precision_bits > once + 2.0, "{} bits", circuit.prediction.precision_bits);
    check_simulated_noise(&circuit);
}

fn check_simulated_noise(circuit: &Circuit) {
    let samples = samples_of(circuit, read_array(&testdata("digits_images.npy")));
    let exact = simulate(circuit, &samples, Noise::Off).expect("the circuit runs");
    let noisy = simulate(circuit, &samples, Noise::Seed(1)).expect("the circuit runs");
    let bits = noisy.iter().zip(&exact).map(|(noisy, exact)| agreement_bits(&noisy[0].raw, &exact[0].raw));
    let worst = bits.fold(f64::INFINITY, f64::min);
    let predicted = circuit.prediction.precision_bits;
    assert!((predicted - 2.5..predicted + 4.0).contains(&worst), "{worst:.1} bits, predicted {predicted:.1}");
}

/// Images of CIFAR-10's binary format, normalized channel by channel.
fn cifar(file: &Path, count: usize, mean: [f64; 3], deviation: [f64; 3]) -> Array {
    let bytes = fs::read(file).expect("a file of the shared data");
    let pixels = bytes.chunks_exact(3073).take(count).flat_map(|record| record[1..].iter().enumerate());
    let normalize = |(index, &pixel): (usize, &u8)| {
        let channel = index / 1024;
        (f64::from(pixel) / 255.0 - mean[channel]) / deviation[channel]
    };
    Array { shape: Shape(vec![count, 3, 32, 32]), data: pixels.map(normalize).collect() }
}

fn labels(file: &Path, count: usize) -> Vec<usize> {
    let bytes = fs::read(file).expect("a file of the shared data");
    bytes.chunks_exact(3073).take(count).map(|record| usize::from(record[0])).collect()
}

/// Images of 100 that a network with the default PAF, not trained for it, may lose.
const LOST_TO_THE_PAF: usize = 12;

/// ResNet-20 of two sources with the default PAF. Their top-1 on these images is 89 and 93 % (`data/README.md`).
#[test]
fn resnet20_takes_few_bootstraps_and_still_sees() {
    let Some(data) = shared_data() else { return };
    let networks = [
        ("ace_resnet20_cifar10", [0.485, 0.456, 0.406], [0.229, 0.224, 0.225], 89),
        ("onnc_resnet20_bn_cifar10", [0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616], 93),
    ];
    let folder = tempfile::tempdir().expect("a folder");
    for (name, mean, deviation, right_of_model) in networks {
        let images = cifar(&data.join("cifar10/test_first100.bin"), 100, mean, deviation);
        let calibration = folder.path().join(name).with_extension("npy");
        let seen = cifar(&data.join("cifar10/train_extra90.bin"), 32, mean, deviation);
        common::write_array(&calibration, &seen.shape.0, seen.data);
        let model = data.join("onnx").join(name).with_extension("onnx");
        let options = CompileOptions {
            calibration: calibration.into(),
            memory: Some(20 << 30),
            ..CompileOptions::for_model(model)
        };
        let circuit = compiled(&options).circuit;
        let counts = circuit.counts();
        assert!(counts.bootstraps <= 19 && counts.rotations <= 868, "{name}: {counts:?}");
        assert!(circuit.parameters.log_qp < 1747 && circuit.prediction.peak_bytes <= 20 << 30);
        let outputs = clear_outputs(&circuit, &samples_of(&circuit, images));
        let expected = labels(&data.join("cifar10/test_first100.bin"), 100);
        let right = outputs.iter().zip(&expected).filter(|(output, label)| output.top1() == **label).count();
        assert!(right + LOST_TO_THE_PAF >= right_of_model, "{name}: {right} of 100 right, the model {right_of_model}");
    }
}
