//! How often a node's sign sees which argument, and how much an error there weighs.

use std::cell::RefCell;

use paf_ir::tensor::Op;
use paf_passes::approximate::{Reduction, Scaling, Values};
use paf_passes::paf::Composite;

/// Bins of |u| on [0, 1], equally wide.
const BINS: usize = 2048;

/// The largest magnitude dictates the scale if it is this many times the 99.99th percentile.
const OUTLIER: f64 = 2.0;

/// Arguments u of a sign, both signs together since every PAF is odd. The error of a ReLU (or maximum) at u is
/// `S·u·(1 − p(u))/2`, so a bin weighs the sum of (S·u)² of its arguments.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    counts: Vec<u64>,
    /// Sum of (S·u)² in each bin.
    weights: Vec<f64>,
    /// Sum of (S·u)²·|u| in each bin.
    moments: Vec<f64>,
    largest: f64,
}

impl Histogram {
    /// The arguments that the sign of a node sees: its operand for a ReLU, all differences that a MaxPool compares
    /// in this way.
    pub fn of(op: &Op, operand: &Values, scale: &Scaling, reduction: Reduction) -> Self {
        let mut histogram = Histogram::empty();
        match op {
            Op::MaxPool(window) => {
                let shared = RefCell::new(histogram);
                operand.pool(window, reduction, &|a, b| {
                    shared.borrow_mut().add_all(&a.zip(b, |a, b| a - b), scale);
                    a.zip(b, f64::max)
                });
                shared.into_inner()
            }
            _ => {
                histogram.add_all(operand, scale);
                histogram
            }
        }
    }

    fn empty() -> Self {
        Histogram { counts: vec![0; BINS], weights: vec![0.0; BINS], moments: vec![0.0; BINS], largest: 0.0 }
    }

    fn add_all(&mut self, values: &Values, scale: &Scaling) {
        let blocks = values.summaries(|samples| {
            let mut block = Histogram::empty();
            samples.iter().for_each(|sample| block.add_sample(sample, scale));
            block
        });
        blocks.iter().for_each(|block| self.merge(block));
    }

    fn add_sample(&mut self, sample: &[f64], scale: &Scaling) {
        let (scales, repeat) = scale.parts(sample.len());
        for (part, &scale) in sample.chunks(repeat).zip(scales.iter().cycle()) {
            part.iter().for_each(|&x| self.add(x.abs() / scale, x * x));
        }
    }

    fn merge(&mut self, other: &Histogram) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(own, other)| *own += other);
        self.weights.iter_mut().zip(&other.weights).for_each(|(own, other)| *own += other);
        self.moments.iter_mut().zip(&other.moments).for_each(|(own, other)| *own += other);
        self.largest = self.largest.max(other.largest);
    }

    fn add(&mut self, u: f64, weight: f64) {
        let bin = ((u * BINS as f64) as usize).min(BINS - 1);
        self.counts[bin] += 1;
        self.weights[bin] += weight;
        self.moments[bin] += weight * u;
        self.largest = self.largest.max(u);
    }

    /// Number of arguments.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The largest |u|.
    pub fn largest(&self) -> f64 {
        self.largest
    }

    /// Occupied bins: the weighted mean of |u| in each, and its weight.
    pub fn weighted_points(&self) -> Vec<(f64, f64)> {
        let bins = self.weights.iter().zip(&self.moments);
        bins.filter(|(weight, _)| **weight > 0.0).map(|(weight, moment)| (moment / weight, *weight)).collect()
    }

    /// Share of arguments in each of `bins` equal parts of [0, 1].
    pub fn shares(&self, bins: usize) -> Vec<f64> {
        let all = self.count().max(1) as f64;
        let width = BINS.div_ceil(bins.max(1));
        self.counts.chunks(width).map(|part| part.iter().sum::<u64>() as f64 / all).collect()
    }

    /// The |u| below which a share of the arguments lies, to a bin's width.
    pub fn percentile(&self, share: f64) -> f64 {
        let wanted = (share * self.count() as f64).ceil() as u64;
        let mut seen = 0;
        for (bin, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return ((bin + 1) as f64 / BINS as f64).min(self.largest);
            }
        }
        self.largest
    }

    /// Root of the mean square error of a node with this sign.
    pub fn error(&self, sign: &Composite) -> f64 {
        let squares =
            self.weighted_points().iter().map(|&(u, weight)| weight * (1.0 - sign.eval(u)).powi(2) / 4.0).sum::<f64>();
        (squares / self.count().max(1) as f64).sqrt()
    }

    /// Whether a few outliers dictate the scale.
    pub(super) fn warnings(&self) -> Vec<String> {
        let usual = self.percentile(0.9999);
        if self.count() == 0 || usual * OUTLIER > self.largest {
            return vec![];
        }
        let times = self.largest / usual;
        vec![format!("its largest value is {times:.1} times the 99.99th percentile: few outliers dictate the scale")]
    }
}
