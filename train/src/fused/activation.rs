//! ReLU, exact or with the sign of a PAF, as one pass over the elements.

use std::ops::Range;

use paf_passes::approximate::Scaling;
use pulp::NullaryFnOnce;
use rayon::prelude::*;

use super::{Kernel, Real, each_pair, each_sample, sum_over_samples, vectorized};

/// Elements worked on side by side.
const LANES: usize = 32;

type Lane = [f64; LANES];

/// `max(x, 0)` of each element.
pub(crate) struct Rectifier {
    pub(crate) width: usize,
}

impl Kernel for Rectifier {
    const NAME: &'static str = "relu";

    fn widths(&self) -> (usize, usize) {
        (self.width, self.width)
    }

    fn forward<T: Real>(&self, operands: &[&[T]]) -> Vec<T> {
        let zero = T::from_f64(0.0);
        each_sample(operands[0], self.widths(), |x, y| {
            y.iter_mut().zip(x).for_each(|(y, x)| *y = if *x < zero { zero } else { *x });
        })
    }

    fn backward<T: Real>(&self, operands: &[&[T]], gradient: &[T], wanted: &[bool]) -> Vec<Option<Vec<T>>> {
        let zero = T::from_f64(0.0);
        let masked = |x: &[T], g: &[T], result: &mut [T]| {
            let pairs = x.iter().zip(g);
            result.iter_mut().zip(pairs).for_each(|(to, (x, g))| *to = if *x > zero { *g } else { zero });
        };
        vec![wanted[0].then(|| each_pair((operands[0], self.width), (gradient, self.width), self.width, masked))]
    }
}

/// `(x + x·p(x/S))/2` of each element, p a composite of odd polynomials. Operands: x, and the odd coefficients of all
/// components one after the other. Computes in f64 whatever the elements are.
pub(crate) struct PafRectifier {
    /// Elements of a sample.
    pub(crate) width: usize,
    /// The scale S.
    pub(crate) scale: Scaling,
    /// Number of odd coefficients of each component, first to last.
    pub(crate) lengths: Vec<usize>,
}

impl PafRectifier {
    fn components<'c>(&self, coefficients: &'c [f64]) -> Vec<&'c [f64]> {
        let mut rest = coefficients;
        let mut take = |length: &usize| {
            let (component, after) = rest.split_at(*length);
            rest = after;
            component
        };
        self.lengths.iter().map(&mut take).collect()
    }

    /// Stretches of a sample that share a scale: the scale, and where the stretch begins and ends.
    fn stretches(&self) -> impl Iterator<Item = (f64, Range<usize>)> + '_ {
        let (scales, length) = self.scale.parts(self.width);
        scales.iter().enumerate().map(move |(part, scale)| (*scale, part * length..(part + 1) * length))
    }

    /// The input of every component and the sign at last.
    #[inline(always)]
    fn trace(components: &[&[f64]], scale: f64, x: &Lane, values: &mut [Lane]) {
        values[0].iter_mut().zip(x).for_each(|(value, x)| *value = x / scale);
        for (index, component) in components.iter().enumerate() {
            let (before, after) = values.split_at_mut(index + 1);
            odd_polynomial(component, &before[index], &mut after[0]);
        }
    }

    /// Gradients of a lane: adds to those of the coefficients and gives those of the elements.
    #[inline(always)]
    fn pull_back(components: &[&[f64]], scale: f64, x: &Lane, gradient: &Lane, scratch: &mut Scratch) -> Lane {
        Self::trace(components, scale, x, &mut scratch.values);
        let signs = scratch.values[components.len()];
        let mut adjoint = [0.0; LANES];
        for i in 0..LANES {
            adjoint[i] = 0.5 * gradient[i] * x[i];
        }
        let mut end = scratch.coefficients.len();
        for (index, component) in components.iter().enumerate().rev() {
            let sums = &mut scratch.coefficients[end - component.len()..end];
            pull_back_polynomial(component, &scratch.values[index], &mut adjoint, sums);
            end -= component.len();
        }
        let mut result = [0.0; LANES];
        for i in 0..LANES {
            result[i] = 0.5 * gradient[i] * (1.0 + signs[i]) + adjoint[i] / scale;
        }
        result
    }

    fn scratch(&self) -> Scratch {
        let coefficients = vec![[0.0; LANES]; self.lengths.iter().sum()];
        Scratch { values: vec![[0.0; LANES]; self.lengths.len() + 1], coefficients }
    }
}

struct Scratch {
    values: Vec<Lane>,
    coefficients: Vec<Lane>,
}

#[inline(always)]
fn odd_polynomial(coefficients: &[f64], x: &Lane, y: &mut Lane) {
    let mut squares = [0.0; LANES];
    let mut sums = [0.0; LANES];
    for i in 0..LANES {
        squares[i] = x[i] * x[i];
    }
    for coefficient in coefficients.iter().rev() {
        for i in 0..LANES {
            sums[i] = sums[i] * squares[i] + coefficient;
        }
    }
    for i in 0..LANES {
        y[i] = x[i] * sums[i];
    }
}

/// From the adjoint of `p(x)` to that of `x`, with `∂p/∂c_k = x^(2k+1)` added to the sums.
#[inline(always)]
fn pull_back_polynomial(coefficients: &[f64], x: &Lane, adjoint: &mut Lane, sums: &mut [Lane]) {
    let mut squares = [0.0; LANES];
    let mut powers = [0.0; LANES];
    for i in 0..LANES {
        squares[i] = x[i] * x[i];
        powers[i] = adjoint[i] * x[i];
    }
    for sum in sums {
        for i in 0..LANES {
            sum[i] += powers[i];
            powers[i] *= squares[i];
        }
    }
    let mut derivative = [0.0; LANES];
    for (index, coefficient) in coefficients.iter().enumerate().rev() {
        let factor = (2 * index + 1) as f64 * coefficient;
        for i in 0..LANES {
            derivative[i] = derivative[i] * squares[i] + factor;
        }
    }
    for i in 0..LANES {
        adjoint[i] *= derivative[i];
    }
}

#[inline(always)]
fn load<T: Real>(values: &[T]) -> Lane {
    let mut lane = [0.0; LANES];
    lane.iter_mut().zip(values).for_each(|(to, from)| *to = from.to_f64());
    lane
}

#[inline(always)]
fn store<T: Real>(lane: &Lane, values: &mut [T]) {
    values.iter_mut().zip(lane).for_each(|(to, from)| *to = T::from_f64(*from));
}

impl Kernel for PafRectifier {
    const NAME: &'static str = "paf relu";

    fn widths(&self) -> (usize, usize) {
        (self.width, self.width)
    }

    fn forward<T: Real>(&self, operands: &[&[T]]) -> Vec<T> {
        let coefficients: Vec<f64> = operands[1].iter().map(|value| value.to_f64()).collect();
        let components = self.components(&coefficients);
        each_sample(operands[0], self.widths(), |x, y| {
            vectorized(SampleValues { kernel: self, components: &components, x, y });
        })
    }

    fn backward<T: Real>(&self, operands: &[&[T]], gradient: &[T], wanted: &[bool]) -> Vec<Option<Vec<T>>> {
        let coefficients: Vec<f64> = operands[1].iter().map(|value| value.to_f64()).collect();
        let components = self.components(&coefficients);
        let mut elements = vec![T::from_f64(0.0); operands[0].len()];
        let samples = operands[0].par_chunks(self.width).zip(gradient.par_chunks(self.width));
        let by_sample: Vec<Vec<f64>> = elements
            .par_chunks_mut(self.width)
            .zip(samples)
            .map(|(result, (x, gradient))| {
                vectorized(SampleGradients { kernel: self, components: &components, x, gradient, result })
            })
            .collect();
        let add = |sample: usize, sum: &mut [f64]| {
            sum.iter_mut().zip(&by_sample[sample]).for_each(|(to, from)| *to += from);
        };
        let total = wanted[1].then(|| {
            let sums = sum_over_samples(by_sample.len(), &vec![0.0; coefficients.len()], add);
            sums.into_iter().map(T::from_f64).collect()
        });
        vec![wanted[0].then_some(elements), total]
    }
}

/// Fills in a sample of the result.
struct SampleValues<'s, T> {
    kernel: &'s PafRectifier,
    components: &'s [&'s [f64]],
    x: &'s [T],
    y: &'s mut [T],
}

impl<T: Real> NullaryFnOnce for SampleValues<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let SampleValues { kernel, components, x, y } = self;
        let mut values = vec![[0.0; LANES]; components.len() + 1];
        for (scale, stretch) in kernel.stretches() {
            for (x, y) in x[stretch.clone()].chunks(LANES).zip(y[stretch].chunks_mut(LANES)) {
                let mut lane = load(x);
                PafRectifier::trace(components, scale, &lane, &mut values);
                let signs = &values[components.len()];
                for i in 0..LANES {
                    lane[i] = 0.5 * (lane[i] + lane[i] * signs[i]);
                }
                store(&lane, y);
            }
        }
    }
}

/// Fills in the gradient of a sample's elements and gives that of the coefficients.
struct SampleGradients<'s, T> {
    kernel: &'s PafRectifier,
    components: &'s [&'s [f64]],
    x: &'s [T],
    gradient: &'s [T],
    result: &'s mut [T],
}

impl<T: Real> NullaryFnOnce for SampleGradients<'_, T> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn call(self) -> Vec<f64> {
        let SampleGradients { kernel, components, x, gradient, result } = self;
        let mut scratch = kernel.scratch();
        for (scale, stretch) in kernel.stretches() {
            let lanes = x[stretch.clone()].chunks(LANES).zip(gradient[stretch.clone()].chunks(LANES));
            for (result, (x, gradient)) in result[stretch].chunks_mut(LANES).zip(lanes) {
                let lane = PafRectifier::pull_back(components, scale, &load(x), &load(gradient), &mut scratch);
                store(&lane, result);
            }
        }
        scratch.coefficients.iter().map(|lane| lane.iter().sum()).collect()
    }
}
