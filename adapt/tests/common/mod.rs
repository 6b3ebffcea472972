//! What the tests of recovery share.

#![allow(dead_code, reason = "each binary uses a part")]

use std::path::{Path, PathBuf};

use paf_adapt::config::{Config, ScaleMargin, StepName};
use paf_adapt::evaluate::logits;
use paf_adapt::events::unheard;
use paf_adapt::recovery::Outcome;
use paf_adapt::steps::{Walked, walk};
use paf_adapt::{Data, ModelFiles, Network, RecoveryError, recover_files};
use paf_passes::paf::Paf;
use paf_scheme::EngineProfile;

pub(crate) fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata").join(name)
}

/// One of the digit models, exact.
pub(crate) fn digits_network(name: &str) -> Network {
    Network::exact(paf_import::import(&testdata(name)).unwrap().graph).unwrap()
}

/// Images of the training part.
pub(crate) fn calibration() -> Data {
    Data::read(&testdata("digits_calibration.npy"), None).unwrap()
}

/// Images and labels that no step sees.
pub(crate) fn held_back() -> Data {
    Data::read(&testdata("digits_test.npy"), Some(&testdata("digits_test_labels.npy"))).unwrap()
}

pub(crate) fn configured(steps: &[StepName]) -> Config {
    Config { steps: steps.to_vec(), margin: ScaleMargin::Fixed(1.5), samples: 300, ..Config::default() }
}

/// Runs steps with one PAF for all nodes.
pub(crate) fn walked(original: &Network, paf: &str, config: &Config) -> Walked {
    let paf = Paf::by_name(paf).unwrap();
    let data = calibration().drawn(config.samples, config.seed);
    walk(original, &|_| paf.clone(), &data, config, &mut unheard).unwrap()
}

/// A model of the test data, and where its recovery goes.
pub(crate) fn files(folder: &Path, model: &str) -> ModelFiles {
    ModelFiles { model: testdata(model), output: folder.join("recovered.onnx"), paf_output: folder.join("p.json") }
}

/// Recovers on the images of the training part, without training and unheard.
pub(crate) fn recovered(files: &ModelFiles, config: &Config, test: Option<&Data>) -> Result<Outcome, RecoveryError> {
    recover_files(files, config, (&calibration(), test), None, EngineProfile::openfhe(), &mut unheard)
}

/// Root of the mean square by which results of two networks differ.
pub(crate) fn distance(a: &Network, b: &Network, data: &Data) -> f64 {
    let (a, b) = (logits(a, data).unwrap(), logits(b, data).unwrap());
    let squares: Vec<f64> = a.iter().flatten().zip(b.iter().flatten()).map(|(a, b)| (a - b).powi(2)).collect();
    (squares.iter().sum::<f64>() / squares.len() as f64).sqrt()
}
