//! How much wider a static scale is than what calibration shows.
//!
//! A polynomial means nothing outside of its scale, so the scale has to hold what images reach that were not calibrated
//! with. By how much those exceed the calibrated extremes differs from node to node: hardly where values saturate, by
//! half where a few channels see rare features. The samples tell: each is compared with the extremes of all others, and
//! the upper tail of these ratios is extrapolated to the chance that is to be left. Ratios above a high threshold `u` are
//! taken to exceed it by an exponentially distributed amount, the peaks-over-threshold method with the tail of a
//! Gumbel domain (Coles, An Introduction to Statistical Modeling of Extreme Values, 2001, section 4.3): the ratio that
//! is exceeded with probability `p` is `u + e·ln(k / (n·p))` where `k` of `n` ratios lie above `u`, by `e` on average.

use paf_ir::tensor::{Graph, Op};

use super::batch::Extremes;
use super::scaling::SMALLEST_PART;
use crate::paf::Paf;

/// A static scale is this times the largest value seen in calibration.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Margin {
    /// For each node what its values on the samples ask for, where its PAF is precise; [`OF_COARSE_PAFS`] where it is not.
    #[default]
    Automatic,
    /// The same for every node.
    Fixed(f64),
}

/// The chance left that an image leaves any scale of the network, if it is one like the samples. Test images lie a little
/// further out than training images: of 200 to 700 that two residual networks for CIFAR-10 had not seen, up to one in a
/// hundred left the scales that a chance of 1/500 gives, and up to one in two hundred those of 1/5000.
const CHANCE: f64 = 1.0 / 5000.0;

/// The part of the samples that make up the tail, and how many they are at least.
const TAIL: (f64, usize) = (0.1, 10);

/// Smallest automatic margin: what encryption and the polynomials before add to values.
const LEAST: f64 = 1.02;

/// With fewer samples than two such tails nothing is known of the tail, and the margin is at least this.
const FEW_SAMPLES: f64 = 1.5;

/// Largest automatic margin; a node that asks for more has values without a scale.
const MOST: f64 = 4.0;

/// Interval bounds hold for every input already.
const OF_BOUNDS: f64 = 1.1;

/// Margin of composites with an error above [`COARSE`]: there a wide scale costs every image more than it saves the few that
/// leave a narrow one. A residual network of 20 layers for CIFAR-10 with `alpha7` (7.6e-3), calibrated on 256 images,
/// has 10 points less on 300 images with the margins that `alpha10` (9e-4) needs.
const OF_COARSE_PAFS: f64 = 1.1;
/// Largest error of ReLU on [−1, 1] of a PAF that takes margins from the samples.
const COARSE: f64 = 5e-3;

/// Margins of one network.
#[derive(Debug, Clone, Copy)]
pub(super) struct Margins {
    margin: Margin,
    /// Chance that an image leaves one scale.
    chance: f64,
}

impl Margins {
    /// The chance is shared evenly by all scales of the network.
    pub(super) fn new(margin: Margin, graph: &Graph) -> Self {
        let has_scale = |op: &Op| matches!(op, Op::Relu | Op::MaxPool(_) | Op::Function(_));
        let scales = graph.nodes().filter(|(_, node)| has_scale(&node.op)).count() + graph.outputs.len();
        Margins { margin, chance: CHANCE / scales as f64 }
    }

    /// The margins of a node with this PAF.
    pub(super) fn beside(self, paf: &Paf) -> Self {
        match self.margin {
            Margin::Automatic if paf.rectifier().is_none() && paf.max_relu_error() > COARSE => {
                Margins { margin: Margin::Fixed(OF_COARSE_PAFS), ..self }
            }
            _ => self,
        }
    }

    /// The margin of values with these extremes, or bounds, where `reach` is what the range of a channel comes to.
    pub(super) fn of(&self, extremes: Option<&Extremes>, reach: impl Fn(f64, f64) -> f64) -> f64 {
        match (self.margin, extremes) {
            (Margin::Fixed(margin), _) => margin,
            (Margin::Automatic, None) => OF_BOUNDS,
            (Margin::Automatic, Some(extremes)) => {
                let reach_of = |sample: &Vec<(f64, f64)>| sample.iter().map(|&(low, high)| reach(low, high)).collect();
                let reaches: Vec<Vec<f64>> = extremes.samples.iter().map(reach_of).collect();
                extrapolated(ratios_to_others(&reaches), self.chance)
            }
        }
    }

    /// The range that inputs to come keep of a channel which shows these ranges on the samples: the chance that one leaves it
    /// is shared by so many channels. `None` where the samples say nothing of its tail, or that it has no scale.
    pub(super) fn expected_range(&self, ranges: &[(f64, f64)], channels: usize) -> Option<(f64, f64)> {
        let (low, high) = ranges.iter().copied().reduce(|all, range| (all.0.min(range.0), all.1.max(range.1)))?;
        let is_known = ranges.len() >= 2 * TAIL.1 && ranges.iter().all(|(low, high)| (high - low).is_finite());
        let (middle, half) = (f64::midpoint(low, high), (high - low) / 2.0);
        let reach = |&(low, high): &(f64, f64)| vec![(low - middle).abs().max((high - middle).abs())];
        let ratios = ratios_to_others(&ranges.iter().map(reach).collect::<Vec<_>>());
        let margin = extrapolated(ratios, self.chance / channels as f64);
        let margin = if let Margin::Fixed(fixed) = self.margin { margin.max(fixed) } else { margin };
        (is_known && margin < MOST).then_some((middle - margin * half, middle + margin * half))
    }
}

/// For each sample the largest ratio, over the channels, of what it reaches to what all other samples reach.
fn ratios_to_others(reaches: &[Vec<f64>]) -> Vec<f64> {
    let channels = reaches.first().map_or(0, Vec::len);
    let largest: Vec<[f64; 2]> = (0..channels).map(|channel| two_largest(reaches, channel)).collect();
    let floor = SMALLEST_PART * largest.iter().fold(0.0f64, |most, two| most.max(two[0]));
    let ratio = |(&reach, &[first, second]): (&f64, &[f64; 2])| {
        let others = if reach == first { second } else { first };
        reach / others.max(floor).max(f64::MIN_POSITIVE)
    };
    reaches.iter().map(|sample| sample.iter().zip(&largest).map(ratio).fold(0.0, f64::max)).collect()
}

fn two_largest(reaches: &[Vec<f64>], channel: usize) -> [f64; 2] {
    reaches.iter().map(|sample| sample[channel]).fold([0.0; 2], |[first, second], reach| {
        if reach > first { [reach, first] } else { [first, second.max(reach)] }
    })
}

/// What is exceeded with a chance, by the tail of these ratios.
fn extrapolated(mut ratios: Vec<f64>, chance: f64) -> f64 {
    ratios.sort_by(|a, b| b.total_cmp(a));
    let (part, least) = TAIL;
    let tail = ((ratios.len() as f64 * part) as usize).max(least);
    if ratios.len() < 2 * tail {
        let seen = ratios.first().map_or(FEW_SAMPLES, |&most| most.max(FEW_SAMPLES));
        return seen.min(MOST);
    }
    let threshold = ratios[tail];
    let excess = ratios[..tail].iter().sum::<f64>() / tail as f64 - threshold;
    let expected = threshold + excess * (tail as f64 / (ratios.len() as f64 * chance)).ln();
    expected.max(ratios[0]).clamp(LEAST, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Quantiles of an exponential distribution above 1, in another order.
    fn exponential(count: usize) -> Vec<f64> {
        let quantile = |i: usize| 1.0 - 0.05 * (1.0 - (i as f64 + 0.5) / count as f64).ln();
        (0..count).map(|i| quantile(i * 7919 % count)).collect()
    }

    #[test]
    fn the_tail_of_an_exponential_distribution_is_found() {
        for (count, chance) in [(200, 1e-4), (1000, 1e-4), (1000, 1e-6)] {
            let (found, exact) = (extrapolated(exponential(count), chance), 1.0 - 0.05 * f64::ln(chance));
            assert!((found / exact - 1.0).abs() < 0.02, "{count} samples, {chance}: {found} instead of {exact}");
        }
    }

    #[test]
    fn values_that_saturate_need_no_margin_and_few_samples_a_large_one() {
        assert_eq!(extrapolated(vec![1.0; 200], 1e-4), LEAST);
        assert_eq!(extrapolated(vec![1.0; 19], 1e-4), FEW_SAMPLES);
        assert_eq!(extrapolated(vec![], 1e-4), FEW_SAMPLES);
        assert_eq!(extrapolated(vec![1e9; 3], 1e-4), MOST);
    }

    #[test]
    fn each_sample_is_compared_with_the_others() {
        let reaches = [vec![4.0, 1.0], vec![3.0, 2.0], vec![1.0, 2.0], vec![2.0, 0.0]];
        assert_eq!(ratios_to_others(&reaches), [4.0 / 3.0, 1.0, 1.0, 0.5]);
    }
}
