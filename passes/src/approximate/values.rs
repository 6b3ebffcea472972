//! What is known of a tensor while its network is approximated: its values on samples, or bounds.

use paf_ir::linear::{LinearMap, Window};
use paf_ir::sparse::Sparse;
use paf_ir::tensor::Op;
use rayon::prelude::*;

use super::pool::{self, Round};
use super::scaling::Scaling;
use super::series::Series;
use crate::paf::Paf;

/// Samples that a linear map takes together.
const SIDE_BY_SIDE: usize = 16;

/// Values of one tensor.
#[derive(Debug, Clone)]
pub enum Values {
    /// One flat tensor a sample.
    Samples(Vec<Vec<f64>>),
    /// Lower and upper bound of each element, valid for every input in range (interval arithmetic).
    Bounds(Vec<(f64, f64)>),
}

impl Values {
    /// One flat tensor a sample; none where only bounds are known.
    pub fn samples(&self) -> &[Vec<f64>] {
        match self {
            Values::Samples(samples) => samples,
            Values::Bounds(_) => &[],
        }
    }

    /// An operation that is not approximated.
    pub fn exact(op: &Op, operands: &[&Values]) -> Values {
        let x = operands[0];
        match op {
            Op::Linear(map) => x.linear(map, &map.matrix()),
            Op::Add => x.zip(operands[1], |a, b| a + b),
            Op::Sub => x.zip(operands[1], |a, b| a - b),
            Op::Mul => x.zip(operands[1], |a, b| a * b),
            Op::Scale(c) => x.map(|x| c * x),
            Op::AddConstant(c) => x.map(|x| x + c),
            Op::Relu => x.map(|x| x.max(0.0)),
            Op::Function(function) => x.map(|x| function.eval(x)),
            Op::MaxPool(window) => x.pool(window, &|a, b| a.zip(b, f64::max)),
            Op::Input | Op::Reshape | Op::BatchNorm(_) => x.clone(),
        }
    }

    /// A MaxPool with a maximum of two tensors.
    pub fn pool(&self, window: &Window, max: &dyn Fn(&Values, &Values) -> Values) -> Values {
        let select = |x: &Values, map: &LinearMap| x.linear(map, &map.matrix());
        pool::rounds(window).iter().fold(self.clone(), |x, round| match round {
            Round::Select(map) => select(&x, map),
            Round::Max(a, b) => max(&select(&x, a), &select(&x, b)),
            Round::MaxWithZero { .. } => unreachable!("a pool without a ReLU has no such round"),
            Round::Tree(taps) => maximum_of_all(taps.iter().map(|tap| select(&x, tap)).collect(), max),
        })
    }

    /// Smallest and largest value; `None` if one is not finite.
    pub fn range(&self) -> Option<(f64, f64)> {
        let widen = |(low, high): (f64, f64), (a, b): (f64, f64)| (low.min(a), high.max(b));
        let start = (f64::INFINITY, f64::NEG_INFINITY);
        let (finite, range) = match self {
            Values::Samples(samples) => {
                let all = || samples.iter().flatten();
                (all().all(|x| x.is_finite()), all().fold(start, |range, &x| widen(range, (x, x))))
            }
            Values::Bounds(bounds) => (
                bounds.iter().all(|(low, high)| low.is_finite() && high.is_finite()),
                bounds.iter().fold(start, |range, &bound| widen(range, bound)),
            ),
        };
        (finite && range.0 <= range.1).then_some(range)
    }

    /// Through a linear map, expanded by the caller.
    pub fn linear(&self, map: &LinearMap, matrix: &Sparse) -> Values {
        match self {
            Values::Samples(samples) => {
                let apply = |samples: &[Vec<f64>]| {
                    let samples: Vec<&[f64]> = samples.iter().map(Vec::as_slice).collect();
                    let mut results = matrix.apply_all(&samples);
                    results.iter_mut().for_each(|y| map.add_bias(y));
                    results
                };
                Values::Samples(samples.par_chunks(SIDE_BY_SIDE).flat_map(apply).collect())
            }
            Values::Bounds(bounds) => {
                let row_bounds = |row: usize| {
                    let offset = map.bias.as_ref().map_or(0.0, |bias| bias.at(row));
                    matrix.row(row).fold((offset, offset), |(low, high), (column, weight)| {
                        let (a, b) = (weight * bounds[column].0, weight * bounds[column].1);
                        (low + a.min(b), high + a.max(b))
                    })
                };
                Values::Bounds((0..matrix.rows()).map(row_bounds).collect())
            }
        }
    }

    /// Lowest and highest value of each channel, if every channel has at least `least` values on the samples.
    pub fn channel_ranges(&self, channels: usize, least: usize) -> Option<Vec<(f64, f64)>> {
        let Values::Samples(samples) = self else { return None };
        let size = samples.first()?.len();
        let repeat = size.checked_div(channels)?;
        if repeat * channels != size || repeat * samples.len() < least {
            return None;
        }
        let mut ranges = vec![(f64::INFINITY, f64::NEG_INFINITY); channels];
        for sample in samples {
            for (range, channel) in ranges.iter_mut().zip(sample.chunks(repeat)) {
                *range = channel.iter().fold(*range, |(low, high), &x| (low.min(x), high.max(x)));
            }
        }
        Some(ranges)
    }

    /// The approximated ReLU.
    pub fn relu(&self, paf: &Paf, scaling: &Scaling) -> Values {
        match self {
            Values::Samples(samples) => {
                let relu = |x: &Vec<f64>| {
                    let (scales, repeat) = scaling.parts(x.len());
                    x.chunks(repeat).zip(scales).flat_map(|(part, &scale)| paf.relu_all(part, scale)).collect()
                };
                Values::Samples(samples.par_iter().map(relu).collect())
            }
            Values::Bounds(bounds) => {
                let error = scaling.largest() * paf.max_relu_error();
                let reached = scaling.largest();
                let relu =
                    |&(low, high): &(f64, f64)| (low.clamp(0.0, reached) - error, high.clamp(0.0, reached) + error);
                Values::Bounds(bounds.iter().map(relu).collect())
            }
        }
    }

    /// The approximated maximum, element by element.
    pub fn max(&self, other: &Values, paf: &Paf, scaling: &Scaling) -> Values {
        match (self, other) {
            (Values::Samples(a), Values::Samples(b)) => {
                let max = |(a, b): (&Vec<f64>, &Vec<f64>)| {
                    let (scales, repeat) = scaling.parts(a.len());
                    let parts = a.chunks(repeat).zip(b.chunks(repeat)).zip(scales);
                    parts.flat_map(|((a, b), &scale)| paf.max_all(a, b, scale)).collect()
                };
                Values::Samples(a.par_iter().zip(b).map(max).collect())
            }
            (Values::Bounds(a), Values::Bounds(b)) => {
                let error = scaling.largest() * paf.max_relu_error();
                let max = |(a, b): (&(f64, f64), &(f64, f64))| (a.0.max(b.0) - error, a.1.max(b.1) + error);
                Values::Bounds(a.iter().zip(b).map(max).collect())
            }
            _ => unreachable!("a network is followed either by samples or by bounds"),
        }
    }

    /// The approximated function of each element.
    pub(super) fn function(&self, series: &Series) -> Values {
        match self {
            Values::Samples(samples) => {
                let all = |x: &Vec<f64>| x.iter().map(|&x| series.eval(x)).collect();
                Values::Samples(samples.par_iter().map(all).collect())
            }
            Values::Bounds(bounds) => {
                let bound = |&(low, high): &(f64, f64)| {
                    let (least, greatest) = series.function.range_on(low, high);
                    (least - series.error, greatest + series.error)
                };
                Values::Bounds(bounds.iter().map(bound).collect())
            }
        }
    }

    /// Element by element on one tensor; `f` must be monotone for bounds.
    pub fn map(&self, f: impl Fn(f64) -> f64 + Sync) -> Values {
        match self {
            Values::Samples(samples) => {
                Values::Samples(samples.par_iter().map(|x| x.iter().map(|&x| f(x)).collect()).collect())
            }
            Values::Bounds(bounds) => {
                let ends = |&(low, high): &(f64, f64)| (f(low).min(f(high)), f(low).max(f(high)));
                Values::Bounds(bounds.iter().map(ends).collect())
            }
        }
    }

    /// Element by element on two tensors; bounds take the extremes of the four corner values.
    pub fn zip(&self, other: &Values, f: impl Fn(f64, f64) -> f64 + Sync) -> Values {
        match (self, other) {
            (Values::Samples(a), Values::Samples(b)) => {
                let each = |(a, b): (&Vec<f64>, &Vec<f64>)| a.iter().zip(b).map(|(&a, &b)| f(a, b)).collect();
                Values::Samples(a.par_iter().zip(b).map(each).collect())
            }
            (Values::Bounds(a), Values::Bounds(b)) => {
                let corners = |(a, b): (&(f64, f64), &(f64, f64))| {
                    let values = [f(a.0, b.0), f(a.0, b.1), f(a.1, b.0), f(a.1, b.1)];
                    (
                        values.iter().copied().fold(f64::INFINITY, f64::min),
                        values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                    )
                };
                Values::Bounds(a.iter().zip(b).map(corners).collect())
            }
            _ => unreachable!("a network is followed either by samples or by bounds"),
        }
    }
}

/// The maxima of both halves, and theirs.
fn maximum_of_all(mut taps: Vec<Values>, max: &dyn Fn(&Values, &Values) -> Values) -> Values {
    if taps.len() == 1 {
        return taps.remove(0);
    }
    let second = taps.split_off(taps.len() / 2);
    max(&maximum_of_all(taps, max), &maximum_of_all(second, max))
}
