//! What is known of a tensor while its network is approximated: its values on samples, or bounds.

use std::convert::Infallible;
use std::sync::Arc;

use paf_ir::linear::{LinearMap, Operator, Window};
use paf_ir::sparse::Matrix as _;
use paf_ir::tensor::Op;

use super::batch::{Batch, Extremes};
use super::comparing::{Comparing, reduced};
use super::pool::{self, Reduction};
use super::scaling::Scaling;
use super::series::Series;
use crate::paf::Paf;

/// Values of one tensor.
#[derive(Debug, Clone)]
pub enum Values {
    /// Its values on all samples.
    Samples(Arc<Batch>),
    /// Lower and upper bound of each element, valid for every input in range (interval arithmetic).
    Bounds(Vec<(f64, f64)>),
}

impl Values {
    /// Values on samples of one size, flat.
    pub fn of_samples<S: AsRef<[f64]> + Sync>(samples: &[S]) -> Self {
        Values::Samples(Arc::new(Batch::new(samples)))
    }

    /// One flat tensor a sample; none where only bounds are known.
    pub fn samples(&self) -> Vec<Vec<f64>> {
        match self {
            Values::Samples(batch) => batch.samples(),
            Values::Bounds(_) => vec![],
        }
    }

    /// One result for each few samples, on all cores; none where only bounds are known.
    pub fn summaries<T: Send>(&self, f: impl Fn(&[Vec<f64>]) -> T + Sync) -> Vec<T> {
        if let Values::Samples(batch) = self { batch.summaries(f) } else { vec![] }
    }

    /// A map of samples that the caller computes, a few at once, on all cores.
    pub fn rewritten(&self, f: impl Fn(&[Vec<f64>]) -> Vec<Vec<f64>> + Sync) -> Values {
        match self {
            Values::Samples(batch) => Values::Samples(Arc::new(batch.rewritten(f))),
            Values::Bounds(_) => unreachable!("a map of samples says nothing of bounds"),
        }
    }

    /// `factor·x + offset` of each channel.
    pub fn affine(&self, channels: &[(f64, f64)]) -> Values {
        let at = |index: usize, size: usize| channels[index * channels.len() / size];
        match self {
            Values::Samples(batch) => {
                let repeat = (batch.size() / channels.len()).max(1);
                Values::Samples(Arc::new(batch.map(|block| {
                    let parts = block.chunks(repeat).zip(channels);
                    let part = |(part, &(factor, offset)): (&[[f64; _]], &(f64, f64))| {
                        part.iter().map(|element| element.map(|x| factor * x + offset)).collect::<Vec<_>>()
                    };
                    parts.flat_map(part).collect()
                })))
            }
            Values::Bounds(bounds) => {
                let bound = |(index, &(low, high)): (usize, &(f64, f64))| {
                    let (factor, offset) = at(index, bounds.len());
                    let (a, b) = (factor * low + offset, factor * high + offset);
                    (a.min(b), a.max(b))
                };
                Values::Bounds(bounds.iter().enumerate().map(bound).collect())
            }
        }
    }

    /// Number of samples; 0 where only bounds are known.
    pub(super) fn sample_count(&self) -> usize {
        if let Values::Samples(batch) = self { batch.count() } else { 0 }
    }

    /// An operation that is not approximated.
    pub fn exact(op: &Op, operands: &[&Values]) -> Values {
        let x = operands[0];
        match op {
            Op::Linear(map) => x.linear(map),
            Op::Add => x.zip(operands[1], |a, b| a + b),
            Op::Sub => x.zip(operands[1], |a, b| a - b),
            Op::Mul if std::ptr::eq(x, operands[1]) => x.squared(),
            Op::Mul => x.zip(operands[1], |a, b| a * b),
            Op::Scale(c) => x.map(|x| c * x),
            Op::AddConstant(c) => x.map(|x| x + c),
            Op::Relu => x.map(|x| x.max(0.0)),
            Op::Function(function) => x.map(|x| function.eval(x)),
            Op::MaxPool(window) => x.pool(window, Reduction::Separable, &|a, b| a.zip(b, f64::max)),
            Op::Input | Op::Reshape | Op::BatchNorm(_) => x.clone(),
        }
    }

    /// The squares, which are not negative.
    fn squared(&self) -> Values {
        match self {
            Values::Samples(_) => self.map(|x| x * x),
            Values::Bounds(bounds) => {
                let square = |&(low, high): &(f64, f64)| {
                    let least = if low <= 0.0 && high >= 0.0 { 0.0 } else { low.abs().min(high.abs()) };
                    (least * least, (low * low).max(high * high))
                };
                Values::Bounds(bounds.iter().map(square).collect())
            }
        }
    }

    /// A MaxPool with a maximum of two tensors.
    pub fn pool(&self, window: &Window, reduction: Reduction, max: &dyn Fn(&Values, &Values) -> Values) -> Values {
        let Ok(result) = reduced(&mut Maxima(max), &pool::rounds(window, reduction), self.clone());
        result
    }

    /// Smallest and largest value; `None` if one is not finite.
    pub fn range(&self) -> Option<(f64, f64)> {
        let widen = |(low, high): (f64, f64), (a, b): (f64, f64)| (low.min(a), high.max(b));
        let range = match self {
            Values::Samples(batch) => *batch.extremes(1).ranges().first()?,
            Values::Bounds(bounds) => {
                let finite = bounds.iter().all(|(low, high)| low.is_finite() && high.is_finite());
                let start = (f64::INFINITY, f64::NEG_INFINITY);
                finite.then(|| bounds.iter().fold(start, |range, &bound| widen(range, bound)))?
            }
        };
        (range.0 <= range.1).then_some(range)
    }

    /// Through a linear map.
    pub fn linear(&self, map: &LinearMap) -> Values {
        match self {
            Values::Samples(_) => self.through(&Operator::new(map)),
            Values::Bounds(bounds) => {
                let mut results = Vec::with_capacity(map.outputs);
                map.rows().each_row(&mut |row, columns, weights| {
                    let offset = map.bias.as_ref().map_or(0.0, |bias| bias.at(row));
                    let entries = columns.iter().zip(weights);
                    results.push(entries.fold((offset, offset), |(low, high), (&column, weight)| {
                        let (least, most) = bounds[column as usize];
                        let (a, b) = (weight * least, weight * most);
                        (low + a.min(b), high + a.max(b))
                    }));
                });
                Values::Bounds(results)
            }
        }
    }

    /// Samples through a linear map that the caller has prepared.
    pub fn through(&self, operator: &Operator) -> Values {
        match self {
            Values::Samples(batch) => Values::Samples(Arc::new(batch.map(|block| operator.apply(block)))),
            Values::Bounds(_) => unreachable!("bounds go through the map's matrix"),
        }
    }

    /// Lowest and highest value on each sample; `None` where only bounds are known.
    pub(super) fn extremes(&self) -> Option<Extremes> {
        if let Values::Samples(batch) = self { Some(batch.extremes(1)) } else { None }
    }

    /// Lowest and highest value of each channel on each sample, if every channel has at least `least` values in all.
    pub(super) fn channel_extremes(&self, channels: usize, least: usize) -> Option<Extremes> {
        let Values::Samples(batch) = self else { return None };
        let repeat = batch.size().checked_div(channels)?;
        let enough = repeat * channels == batch.size() && repeat * batch.count() >= least;
        enough.then(|| batch.extremes(channels))
    }

    /// The approximated ReLU.
    pub fn relu(&self, paf: &Paf, scaling: &Scaling) -> Values {
        match self {
            Values::Samples(batch) => {
                let (scales, repeat) = scaling.parts(batch.size());
                let polynomials = paf.rectifier().map_or(1, |rectifier| rectifier.series.len());
                let repeat = if scales.len() < polynomials { (batch.size() / polynomials).max(1) } else { repeat };
                Values::Samples(Arc::new(batch.map(|block| {
                    let mut result = Vec::with_capacity(block.len());
                    for (channel, (part, &scale)) in block.chunks(repeat).zip(scales.iter().cycle()).enumerate() {
                        result.extend_from_slice(paf.relu_all(channel, part.as_flattened(), scale).as_chunks().0);
                    }
                    result
                })))
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
                let (scales, repeat) = scaling.parts(a.size());
                Values::Samples(Arc::new(a.zip(b, |a, b| {
                    for ((a, b), &scale) in a.chunks_mut(repeat).zip(b.chunks(repeat)).zip(scales) {
                        let maxima = paf.max_all(a.as_flattened(), b.as_flattened(), scale);
                        a.as_flattened_mut().copy_from_slice(&maxima);
                    }
                })))
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
            Values::Samples(_) => self.map(|x| series.eval(x)),
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
            Values::Samples(batch) => {
                let each = |element: &[f64; _]| element.map(&f);
                Values::Samples(Arc::new(batch.map(|block| block.iter().map(each).collect())))
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
            (Values::Samples(a), Values::Samples(b)) => Values::Samples(Arc::new(a.zip(b, |a, b| {
                a.as_flattened_mut().iter_mut().zip(b.as_flattened()).for_each(|(a, b)| *a = f(*a, *b));
            }))),
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

/// A maximum of two tensors, for the rounds of a pool.
struct Maxima<'f>(&'f dyn Fn(&Values, &Values) -> Values);

impl Comparing for Maxima<'_> {
    type Tensor = Values;
    type Error = Infallible;

    fn select(&mut self, selection: &LinearMap, x: &Values) -> Result<Values, Infallible> {
        Ok(x.linear(selection))
    }

    fn max(&mut self, a: Values, b: Values) -> Result<Values, Infallible> {
        Ok((self.0)(&a, &b))
    }

    fn rectified(&mut self, x: Values) -> Result<Values, Infallible> {
        Ok((self.0)(&x, &x.map(|_| 0.0)))
    }
}
