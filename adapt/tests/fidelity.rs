//! The choice of PAFs by which a network predicts as the original does.

mod common;

use common::{calibration, digits_network, held_back, testdata};
use paf_adapt::config::ScaleMargin;
use paf_adapt::evaluate::{logits, top1};
use paf_adapt::events::unheard;
use paf_adapt::fidelity::{Choices, Request, Wanted, faithful};
use paf_adapt::{Config, Data, Network, Target};
use paf_scheme::EngineProfile;

fn choices(original: &Network, data: &Data, wanted: Wanted, most: usize) -> Choices {
    let target = Target::new(&Config::default(), data, EngineProfile::openfhe()).unwrap();
    let margin = ScaleMargin::AUTOMATIC;
    let request = Request { original, data, wanted, margin, most, probabilities: true, target: &target };
    faithful(&request, &mut unheard).unwrap()
}

fn fitted(choices: &Choices, original: &Network) -> Network {
    choices.fitted(original, &choices.best_first[0], &mut unheard).unwrap()
}

/// The share of test samples that two networks predict the same.
fn same(original: &Network, other: &Network) -> f64 {
    let data = held_back();
    let (a, b) = (logits(original, &data).unwrap(), logits(other, &data).unwrap());
    a.iter().zip(&b).filter(|(a, b)| top1(a) == top1(b)).count() as f64 / a.len() as f64
}

#[test]
fn what_is_expected_holds_on_samples_that_nobody_saw() {
    for model in ["digits_cnn.onnx", "digits_resnet_tiny.onnx", "digits_mlp.onnx"] {
        let original = digits_network(model);
        let choices = choices(&original, &calibration(), Wanted::Same(0.98), usize::MAX);
        let best = choices.best_first[0].fidelity;
        assert!(best.kept && best.expected >= 0.98, "{model}: {best:?}");
        let network = fitted(&choices, &original);
        assert_eq!(network.pafs.len(), original.nonlinear().count());
        let same = same(&original, &network);
        assert!(same >= 0.97, "{model}: {same}, expected {best:?}");
        assert!(network.total_depth() < 7 * network.pafs.len().max(1) * 4, "{model}: {}", network.total_depth());
    }
}

#[test]
fn more_fidelity_takes_more_levels_and_the_same_samples_the_same_choice() {
    let original = digits_network("digits_resnet_tiny.onnx");
    let network = |wanted| fitted(&choices(&original, &calibration(), wanted, usize::MAX), &original);
    let (coarse, fine) = (network(Wanted::Same(0.8)), network(Wanted::Same(0.9995)));
    assert!(coarse.total_depth() < fine.total_depth(), "{} {}", coarse.total_depth(), fine.total_depth());
    let again = network(Wanted::Same(0.8));
    assert_eq!((again.pafs, again.graph), (coarse.pafs, coarse.graph));
}

#[test]
fn what_no_choice_keeps_is_said() {
    let original = digits_network("digits_resnet_tiny.onnx");
    let choices = choices(&original, &calibration(), Wanted::Same(0.9999), 1);
    let best = choices.best_first[0].fidelity;
    assert!(!best.kept && best.expected < 0.9999 && best.samples > 0, "{best:?}");
}

#[test]
fn labels_keep_accuracy_with_fewer_levels() {
    let original = digits_network("digits_resnet_tiny.onnx");
    let test = Data::read(&testdata("digits_test.npy"), Some(&testdata("digits_test_labels.npy"))).unwrap();
    let choices = choices(&original, &test, Wanted::Accuracy, usize::MAX);
    let best = choices.best_first[0].fidelity;
    let (before, after) = best.accuracy.expect("there are labels");
    assert!(best.kept && after > before - 3.0, "{best:?}");
    let network = fitted(&choices, &original);
    let of_predictions = fitted(&self::choices(&original, &test, Wanted::Same(0.9995), usize::MAX), &original);
    assert!(network.total_depth() < 5 * network.pafs.len(), "fewer levels than the degree that is looked at first");
    assert!(network.total_depth() < of_predictions.total_depth());
}
