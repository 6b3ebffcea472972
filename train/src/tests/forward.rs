//! Whole networks: single precision against tract and against the other evaluator.

use paf_adapt::Data;
use paf_adapt::evaluate::logits;
use paf_adapt::network::Network;
use paf_oracle::Oracle;
use paf_passes::paf::Paf;

use super::{calibrated, digits, model_graph, test_file};
use crate::quick_logits;

/// Rounding of single precision over a small network, for results of about 10.
const SINGLE: f64 = 1e-4;

const NETWORKS: [&str; 3] = ["digits_cnn.onnx", "digits_resnet_tiny.onnx", "digits_mlp.onnx"];

fn results_of(network: &Network, data: &Data) -> Vec<Vec<f32>> {
    quick_logits(network, data, 4).unwrap()
}

#[test]
fn exact_networks_agree_with_tract() {
    let data = digits("digits_images.npy", None);
    for name in NETWORKS {
        let network = Network::exact(model_graph(name)).unwrap();
        for (sample, found) in results_of(&network, &data).iter().enumerate() {
            let mut found: Vec<f64> = found.iter().map(|&value| f64::from(value)).collect();
            if !network.graph.client.is_empty() {
                let total: f64 = found.iter().map(|value| value.exp()).sum();
                found.iter_mut().for_each(|value| *value = value.exp() / total);
            }
            let expected = Oracle::load(&test_file(name)).unwrap().run(data.sample(sample)).unwrap().remove(0);
            for (a, b) in expected.iter().zip(&found) {
                assert!((f64::from(*a) - b).abs() < SINGLE, "{name}: {a} and {b}");
            }
        }
    }
}

#[test]
fn networks_with_pafs_agree_with_the_evaluator_in_double_precision() {
    let data = digits("digits_images.npy", None);
    for name in NETWORKS {
        for paf in ["f1sq_g1sq.smartpaf", "alpha7", "alpha10"] {
            let network = calibrated(&model_graph(name), &Paf::by_name(paf).unwrap(), &data);
            let expected = logits(&network, &data).unwrap();
            for (expected, found) in expected.iter().flatten().zip(results_of(&network, &data).iter().flatten()) {
                let error = (expected - f64::from(*found)).abs();
                assert!(error < SINGLE * (1.0 + expected.abs()), "{name} {paf}: {expected} and {found}");
            }
        }
    }
}
