//! Networks that are refreshed on the way: the clear engine computes the same with and without bootstraps.

mod common;

use common::{compiled, compiled_for};
use paf_circuit::Circuit;
use paf_compiler::options::{Bootstraps, CompileOptions, PafChoice};
use paf_compiler::pipeline::Compiled;
use paf_runtime::{Noise, agreement_bits, simulate};
use testkit::arrays::batch;
use testkit::digits;
use testkit::networks::TrainedNetwork;
use testkit::parties::{clear_outputs, samples_of};

fn digits_resnet(bootstraps: Bootstraps) -> Compiled {
    refined_digits_resnet(bootstraps, 1)
}

fn refined_digits_resnet(bootstraps: Bootstraps, bootstrap_iterations: u32) -> Compiled {
    compiled(&CompileOptions {
        calibration: digits::calibration_file().into(),
        pafs: vec![PafChoice { node: None, paf: "alpha7".into() }],
        insecure: true,
        bootstraps,
        bootstrap_iterations: Some(bootstrap_iterations),
        ..CompileOptions::for_model(digits::RESNET.model())
    })
}

#[test]
fn refreshed_values_are_the_same() {
    let (plain, refreshed) = (digits_resnet(Bootstraps::Never).circuit, digits_resnet(Bootstraps::UpTo(9)).circuit);
    assert_eq!(plain.counts().bootstraps, 0);
    assert_eq!((refreshed.counts().bootstraps, refreshed.program.top_level().0), (3, 9));
    let images = digits::images();
    let expected = clear_outputs(&plain, &samples_of(&plain, images.clone()));
    let outputs = clear_outputs(&refreshed, &samples_of(&refreshed, images));
    for (output, expected) in outputs.iter().zip(&expected) {
        let bits = agreement_bits(&output.ports[0], &expected.ports[0]);
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
    let samples = samples_of(circuit, digits::images());
    let exact = simulate(circuit, &samples, Noise::Off).expect("the circuit runs");
    let noisy = simulate(circuit, &samples, Noise::Seed(1)).expect("the circuit runs");
    let bits = noisy.iter().zip(&exact).map(|(noisy, exact)| agreement_bits(&noisy.ports[0], &exact.ports[0]));
    let worst = bits.fold(f64::INFINITY, f64::min);
    let predicted = circuit.prediction.precision_bits;
    assert!((predicted - 2.5..predicted + 4.0).contains(&worst), "{worst:.1} bits, predicted {predicted:.1}");
}

/// Images of 100 that the default PAF may lose in these networks; alpha7 predicts as the original does for nine images of ten.
const LOST_TO_THE_PAF: usize = 8;

/// ResNet-20 of two sources with the default PAF, which they are not trained for. What they cost is in
/// `testdata/costs.tsv`.
#[test]
#[ignore = "needs PAF_SHARED"]
fn resnet20_with_bootstraps_still_sees() {
    for (name, right_of_model) in [("ace_resnet20_cifar10", 89), ("onnc_resnet20_bn_cifar10", 93)] {
        let network = TrainedNetwork::named(name);
        let circuit =
            compiled_for(&network, CompileOptions { memory: Some(16 << 30), ..CompileOptions::for_model("") }).circuit;
        assert!(circuit.counts().bootstraps > 0, "{name}");
        let test = network.test(100);
        let samples = samples_of(&circuit, batch(&circuit.program.inputs[0].shape, &test.images));
        let outputs = clear_outputs(&circuit, &samples);
        let right = outputs.iter().zip(&test.labels).filter(|(output, label)| output.top1() == **label).count();
        println!("{name}: {right} of 100 right, the model {right_of_model}");
        assert!(right + LOST_TO_THE_PAF >= right_of_model, "{name}: {right} of 100 right, the model {right_of_model}");
    }
}
