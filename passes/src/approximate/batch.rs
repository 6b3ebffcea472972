//! One tensor of all samples, several samples side by side.

use paf_ir::lanes::{LANES, apart, side_by_side};
use rayon::prelude::*;

/// One element of the samples of a block.
type Element = [f64; LANES];

/// A tensor of many samples in blocks of [`LANES`]; lanes left over in the last block repeat its last sample.
#[derive(Debug, Clone)]
pub struct Batch {
    count: usize,
    blocks: Vec<Vec<Element>>,
}

/// Lowest and highest value of each channel on each sample.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Extremes {
    /// For each sample, `(lowest, highest)` of each channel; NaN where a value is not finite.
    pub(super) samples: Vec<Vec<(f64, f64)>>,
}

impl Batch {
    /// Samples of one size.
    pub(super) fn new<S: AsRef<[f64]> + Sync>(samples: &[S]) -> Self {
        let block = |samples: &[S]| side_by_side(&samples.iter().map(S::as_ref).collect::<Vec<_>>());
        Batch { count: samples.len(), blocks: samples.par_chunks(LANES).map(block).collect() }
    }

    /// Number of samples.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Elements of one sample.
    pub(super) fn size(&self) -> usize {
        self.blocks.first().map_or(0, Vec::len)
    }

    /// One flat tensor a sample.
    pub(super) fn samples(&self) -> Vec<Vec<f64>> {
        self.summaries(<[_]>::to_vec).concat()
    }

    /// One result a block, from its samples.
    pub(super) fn summaries<T: Send>(&self, f: impl Fn(&[Vec<f64>]) -> T + Sync) -> Vec<T> {
        let blocks = self.blocks.par_iter().enumerate();
        blocks.map(|(index, block)| f(&apart(block, self.count - index * LANES))).collect()
    }

    /// Other samples from those of each block.
    pub(super) fn rewritten(&self, f: impl Fn(&[Vec<f64>]) -> Vec<Vec<f64>> + Sync) -> Batch {
        let block = |samples: &[Vec<f64>]| side_by_side(&f(samples).iter().map(Vec::as_slice).collect::<Vec<_>>());
        Batch { count: self.count, blocks: self.summaries(block) }
    }

    /// Block by block, on all cores.
    pub(super) fn map(&self, f: impl Fn(&[Element]) -> Vec<Element> + Sync) -> Batch {
        Batch { count: self.count, blocks: self.blocks.par_iter().map(|block| f(block)).collect() }
    }

    /// Block by block with another tensor of the same samples, which changes the first.
    pub(super) fn zip(&self, other: &Batch, f: impl Fn(&mut [Element], &[Element]) + Sync) -> Batch {
        let zipped = |(a, b): (&Vec<Element>, &Vec<Element>)| {
            let mut result = a.clone();
            f(&mut result, b);
            result
        };
        Batch { count: self.count, blocks: self.blocks.par_iter().zip(&other.blocks).map(zipped).collect() }
    }

    /// Extremes of each of some channels, which are equal parts of the tensor.
    pub(super) fn extremes(&self, channels: usize) -> Extremes {
        let repeat = (self.size() / channels).max(1);
        let of_block = |(index, block): (usize, &Vec<Element>)| {
            let channels: Vec<[(f64, f64); LANES]> = block.chunks(repeat).map(extremes).collect();
            let lanes = 0..LANES.min(self.count - index * LANES);
            lanes.map(|lane| channels.iter().map(|channel| channel[lane]).collect()).collect::<Vec<_>>()
        };
        Extremes { samples: self.blocks.par_iter().enumerate().flat_map_iter(of_block).collect() }
    }
}

impl Extremes {
    /// Lowest and highest value of each channel on all samples.
    pub(super) fn ranges(&self) -> Vec<(f64, f64)> {
        let channels = self.samples.first().map_or(0, Vec::len);
        let start = vec![(f64::INFINITY, f64::NEG_INFINITY); channels];
        self.samples.iter().fold(start, |mut ranges, sample| {
            ranges.iter_mut().zip(sample).for_each(|(range, &(low, high))| *range = widened(*range, low, high));
            ranges
        })
    }
}

/// The range with two more values in it, NaN if one of them is.
fn widened(range: (f64, f64), low: f64, high: f64) -> (f64, f64) {
    if low.is_nan() || range.0.is_nan() { (f64::NAN, f64::NAN) } else { (range.0.min(low), range.1.max(high)) }
}

fn extremes(elements: &[Element]) -> [(f64, f64); LANES] {
    let (mut low, mut high, mut zero) = ([f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES], [0.0; LANES]);
    for element in elements {
        for (lane, &x) in element.iter().enumerate() {
            low[lane] = if x < low[lane] { x } else { low[lane] };
            high[lane] = if x > high[lane] { x } else { high[lane] };
            // NaN from the first value on that is not finite.
            zero[lane] += x * 0.0;
        }
    }
    std::array::from_fn(|lane| (low[lane] + zero[lane], high[lane] + zero[lane]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(count: usize) -> (Vec<Vec<f64>>, Batch) {
        let sample = |seed: usize| (0..6).map(|i| ((i * 31 + seed * 17) % 23) as f64 - 11.0).collect();
        let samples: Vec<Vec<f64>> = (0..count).map(sample).collect();
        let batch = Batch::new(&samples.iter().map(Vec::as_slice).collect::<Vec<_>>());
        (samples, batch)
    }

    #[test]
    fn samples_come_back() {
        for count in [1, 7, 8, 9, 16, 21] {
            let (samples, batch) = batch(count);
            assert_eq!(batch.samples(), samples);
            assert_eq!((batch.count(), batch.size()), (count, 6));
        }
    }

    #[test]
    fn extremes_of_each_channel() {
        let (samples, batch) = batch(11);
        let extremes = batch.extremes(2);
        assert_eq!(extremes.samples.len(), 11);
        for (sample, found) in samples.iter().zip(&extremes.samples) {
            for (channel, &(low, high)) in sample.chunks(3).zip(found) {
                assert!(channel.contains(&low) && channel.contains(&high));
                assert!(channel.iter().all(|x| (low..=high).contains(x)));
            }
        }
        let whole = batch.extremes(1).ranges()[0];
        assert_eq!(extremes.ranges().iter().fold(whole, |all, range| (all.0.min(range.0), all.1.max(range.1))), whole);
    }

    #[test]
    fn what_is_not_finite_shows() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let samples = [vec![1.0, 2.0], vec![bad, 3.0], vec![4.0, 5.0]];
            let batch = Batch::new(&samples.each_ref().map(Vec::as_slice));
            let ranges = batch.extremes(2).ranges();
            assert!(ranges[0].0.is_nan() && ranges[0].1.is_nan());
            assert_eq!(ranges[1], (2.0, 5.0));
        }
    }
}
