//! How good a network is on samples that no step has looked at.

use serde::{Deserialize, Serialize};

use crate::data::Data;
use crate::error::RecoveryError;
use crate::evaluate::{Accuracy, Lost, logits, top1};
use crate::network::Network;

/// Divergence of a sample that is lost altogether, as where a value leaves the range of its PAF: what it is beyond that
/// says nothing about the other samples.
const LOST: f64 = 10.0;

/// A network's results beside those of the original one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// Samples whose largest result is at their class; without labels, at the original network's.
    pub accuracy: Accuracy,
    /// Points of accuracy lost against the original network; negative if some were won.
    pub lost: f64,
    /// Standard error of `lost`, from the samples on which the two differ.
    pub standard_error: f64,
    /// Mean Kullback-Leibler divergence of the class probabilities from the original network's; a sample counts at most 10.
    pub divergence: f64,
}

/// The samples that judge, and what the original network makes of them.
pub(super) struct Judge<'a> {
    data: &'a Data,
    classes: Vec<u32>,
    original: Vec<Vec<f64>>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(original: &Network, data: &'a Data) -> Result<Self, RecoveryError> {
        let original = logits(original, data)?;
        let predicted = || original.iter().map(|result| top1(result) as u32).collect();
        let classes = data.y.clone().unwrap_or_else(predicted);
        Ok(Judge { data, classes, original })
    }

    /// How well the original network does.
    pub(super) fn original(&self) -> Accuracy {
        Accuracy::of(&self.original, &self.classes)
    }

    pub(super) fn judge(&self, network: &Network) -> Result<Judged, RecoveryError> {
        let results = logits(network, self.data)?;
        let Lost { points, standard_error } = Lost::between(&self.right(&self.original), &self.right(&results));
        Ok(Judged {
            accuracy: Accuracy::of(&results, &self.classes),
            lost: points,
            standard_error,
            divergence: divergence(&self.original, &results),
        })
    }

    fn right(&self, results: &[Vec<f64>]) -> Vec<bool> {
        results.iter().zip(&self.classes).map(|(result, class)| top1(result) == *class as usize).collect()
    }
}

/// Mean Kullback-Leibler divergence of class probabilities from those of the original network, at most [`LOST`] a sample.
pub(super) fn divergence(original: &[Vec<f64>], results: &[Vec<f64>]) -> f64 {
    let of_sample = |(original, result): (&Vec<f64>, &Vec<f64>)| {
        let (p, q) = (log_softmax(original), log_softmax(result));
        let divergence: f64 = p.iter().zip(&q).map(|(p, q)| p.exp() * (p - q)).sum();
        // NaN counts as lost too.
        if divergence < LOST { divergence.max(0.0) } else { LOST }
    };
    let sum: f64 = original.iter().zip(results).map(of_sample).sum();
    sum / original.len().max(1) as f64
}

fn log_softmax(logits: &[f64]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|logit| (logit - largest).exp()).sum();
    logits.iter().map(|logit| logit - largest - sum.ln()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_lost_sample_does_not_hide_the_others() {
        let original = vec![vec![2.0, 0.0]; 4];
        assert_eq!(divergence(&original, &original), 0.0);
        for lost in [f64::NAN, f64::INFINITY, 1e30] {
            let mut results = original.clone();
            results[1] = vec![-lost, lost];
            assert_eq!(divergence(&original, &results), LOST / 4.0);
        }
        // KL of Bernoulli(σ(2)) from Bernoulli(½): ln 2 minus the entropy of the first.
        let p = 1.0 / (1.0 + (-2f64).exp());
        let expected = 2f64.ln() + p * p.ln() + (1.0 - p) * (1.0 - p).ln();
        assert!((divergence(&original, &vec![vec![0.0, 0.0]; 4]) - expected).abs() < 1e-12);
    }
}
