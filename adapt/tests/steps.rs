//! The steps without gradients, on small trained networks: each must improve what it is there for.

mod common;

use common::{calibration, configured, digits_network, distance, held_back, walked};
use paf_adapt::config::StepName::{Bn, Calibrate, Ct};
use paf_adapt::evaluate::{Accuracy, logits};
use paf_adapt::steps::direct;
use paf_passes::paf::Paf;

const COARSE_PAFS: [&str; 4] = ["f1_g2.smartpaf", "f2_g2.cheon", "f2_g3.smartpaf", "f1sq_g1sq.smartpaf"];

#[test]
fn every_step_brings_results_nearer_to_the_original_network() {
    for model in ["digits_resnet_tiny.onnx", "digits_cnn.onnx"] {
        let (original, unseen) = (digits_network(model), held_back());
        for paf in COARSE_PAFS {
            let steps: [&[_]; 3] = [&[Calibrate], &[Calibrate, Bn], &[Calibrate, Bn, Ct]];
            let networks = steps.map(|steps| walked(&original, paf, &configured(steps)).network);
            let errors = networks.map(|network| distance(&original, &network, &unseen));
            assert!(errors[1] < 0.95 * errors[0], "bn, {model}, {paf}: {errors:?}");
            assert!(errors[2] < 0.95 * errors[1], "ct, {model}, {paf}: {errors:?}");
        }
    }
}

#[test]
fn scales_hold_what_the_network_with_pafs_shows() {
    let original = digits_network("digits_resnet_tiny.onnx");
    let walked = walked(&original, "f1_g2.cheon", &configured(&[Calibrate]));
    for node in &walked.nodes {
        let largest = node.histogram.largest();
        assert!((largest - 1.0 / 1.5).abs() < 1e-9, "{}: {largest}", node.node);
        assert!(node.histogram.percentile(0.5) <= node.histogram.percentile(0.99));
        assert!(node.histogram.percentile(0.99) <= largest);
    }
}

#[test]
fn tuned_coefficients_fit_better_and_keep_the_sign() {
    let original = digits_network("digits_cnn.onnx");
    let config = configured(&[Calibrate, Bn, Ct]);
    for name in COARSE_PAFS.into_iter().chain(["alpha7", "alpha10"]) {
        let walked = walked(&original, name, &config);
        for (report, chosen) in walked.nodes.iter().zip(walked.network.pafs.values()) {
            let (before, after) = report.error;
            assert!(after <= before, "{name}, {}: {before} to {after}", report.node);
            if report.kept.is_some() {
                assert_eq!(chosen.paf, Paf::by_name(name).unwrap());
                continue;
            }
            let end = 1.0 + config.ct.tail_margin;
            for u in (1..=10_000).map(|k| end * f64::from(k) / 10_000.0) {
                let p = chosen.paf.composite().unwrap().eval(u);
                assert!(p > 0.0 && p <= config.ct.tail_bound, "{name}, {}: p({u}) = {p}", report.node);
            }
        }
    }
}

#[test]
fn recovery_keeps_accuracy_that_direct_replacement_loses() {
    let (original, unseen) = (digits_network("digits_resnet_tiny.onnx"), held_back());
    let paf = Paf::by_name("f1_g2.smartpaf").unwrap();
    let plain = direct(&original, &|_| paf.clone(), &calibration()).unwrap();
    let recovered = walked(&original, "f1_g2.smartpaf", &configured(&[Calibrate, Bn, Ct])).network;
    let labels = unseen.y.as_deref().unwrap();
    let percent = |network| Accuracy::of(&logits(network, &unseen).unwrap(), labels).percent();
    let (exact, plain, recovered) = (percent(&original), percent(&plain), percent(&recovered));
    assert!(plain < exact - 3.0, "{plain} of {exact}");
    assert!(recovered > exact - 2.0 && recovered > plain, "{recovered} of {exact}, {plain} without");
}

#[test]
fn the_same_seed_gives_the_same_network() {
    let original = digits_network("digits_resnet_tiny.onnx");
    let config = configured(&[Calibrate, Bn, Ct]);
    let (a, b) = (walked(&original, "f2_g2.cheon", &config), walked(&original, "f2_g2.cheon", &config));
    assert_eq!(a.network.pafs, b.network.pafs);
    assert_eq!(a.network.graph, b.network.graph);
}
