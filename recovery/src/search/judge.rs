//! How good a network is on samples that no step has looked at.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::config::Goal;
use super::cost::Cost;
use crate::data::Data;
use crate::error::RecoveryError;
use crate::evaluate::{Accuracy, top1};
use crate::network::Network;
use crate::train::quick_logits;

/// Samples that go through a network together.
const BATCH: usize = 100;

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
        let original = results(original, data)?;
        let predicted = || original.iter().map(|result| top1(result) as u32).collect();
        let classes = data.y.clone().unwrap_or_else(predicted);
        Ok(Judge { data, classes, original })
    }

    /// How well the original network does.
    pub(super) fn original(&self) -> Accuracy {
        Accuracy::of(&self.original, &self.classes)
    }

    pub(super) fn judge(&self, network: &Network) -> Result<Judged, RecoveryError> {
        let results = results(network, self.data)?;
        let accuracy = Accuracy::of(&results, &self.classes);
        let is_right = |result: &[f64], class: &u32| top1(result) == *class as usize;
        let pairs = self.original.iter().zip(&results).zip(&self.classes);
        let differ = pairs.filter(|((a, b), class)| is_right(a, class) != is_right(b, class)).count();
        let count = self.classes.len() as f64;
        let lost = self.original().correct as f64 - accuracy.correct as f64;
        Ok(Judged {
            accuracy,
            lost: 100.0 * lost / count,
            standard_error: 100.0 * (differ as f64 - lost * lost / count).max(0.0).sqrt() / count,
            divergence: divergence(&self.original, &results),
        })
    }
}

fn results(network: &Network, data: &Data) -> Result<Vec<Vec<f64>>, RecoveryError> {
    let logits = quick_logits(network, data, BATCH)?;
    Ok(logits.into_iter().map(|sample| sample.into_iter().map(f64::from).collect()).collect())
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

impl Goal {
    /// Whether a mix keeps the bounds.
    pub(super) fn is_met(&self, cost: Cost, judged: &Judged) -> bool {
        let keeps = |(points, certainty): (f64, f64)| judged.lost + certainty * judged.standard_error <= points;
        self.allows(cost) && self.max_lost.is_none_or(keeps)
    }

    /// Whether a cost keeps the bounds.
    pub(super) fn allows(&self, cost: Cost) -> bool {
        cost.levels <= self.max_levels && cost.bootstraps <= self.max_bootstraps && cost.bootstraps < u32::MAX
    }

    /// `Less` for the better one. Of mixes that keep the bounds the cheaper one is better if a bound on the loss asks for
    /// that; then the more accurate one, the one that diverges less, the cheaper one, the one of fewer levels.
    pub(super) fn order(&self, (a_cost, a): (Cost, &Judged), (b_cost, b): (Cost, &Judged)) -> Ordering {
        let is_met = [self.is_met(a_cost, a), self.is_met(b_cost, b)];
        let cheapest_first = self.max_lost.is_some() && is_met == [true, true];
        let by_price = a_cost.price().cmp(&b_cost.price());
        is_met[1]
            .cmp(&is_met[0])
            .then(self.allows(b_cost).cmp(&self.allows(a_cost)))
            .then(if cheapest_first { by_price } else { Ordering::Equal })
            .then(b.accuracy.correct.cmp(&a.accuracy.correct))
            .then(a.divergence.total_cmp(&b.divergence))
            .then(by_price)
            .then(a_cost.levels.cmp(&b_cost.levels))
    }
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
