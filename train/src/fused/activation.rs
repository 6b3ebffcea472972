//! ReLU, exact or as a PAF, as one pass over the elements.

use std::ops::Range;

use paf_ir::lanes::{NullaryFnOnce, vectorized};
use paf_passes::approximate::Scaling;
use paf_passes::paf::{Form, Paf, Rectifier, Symmetry};
use rayon::prelude::*;

use super::{Kernel, Real, each_pair, each_sample, sum_over_samples};

/// Elements worked on side by side.
const LANES: usize = 32;

type Lane = [f64; LANES];

/// `max(x, 0)` of each element.
pub(crate) struct ExactRectifier {
    pub(crate) width: usize,
}

impl Kernel for ExactRectifier {
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

/// How the coefficients of a PAF make its value, one after the other in one list.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    /// `(x + x·p(x/S))/2`, p a composite of odd polynomials: so many odd coefficients of each component, first to last.
    Sign(Vec<usize>),
    /// `S·r(x/S)` with one series, or one for each channel.
    Series(Series),
}

/// Series in the Chebyshev basis, all of one length, channel by channel: `r(u) = Σ c_k·T_k(u)`, or of an even polynomial
/// `u/2 + Σ c_k·T_k(2u² − 1)`, whose other terms are not trained.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    symmetry: Symmetry,
    /// Coefficients of one series.
    length: usize,
    /// How many series there are.
    channels: usize,
}

impl Shape {
    /// The shape of a PAF and its coefficients.
    pub(crate) fn of(paf: &Paf) -> (Shape, Vec<f64>) {
        match &paf.form {
            Form::Sign(sign) => {
                let components = sign.components.iter().map(|component| component.odd_coefficients.as_slice());
                let lengths = components.clone().map(<[f64]>::len).collect();
                (Shape::Sign(lengths), components.flatten().copied().collect())
            }
            Form::Rectifier(rectifier) => {
                let Rectifier { symmetry, series, .. } = rectifier;
                let trained = series.iter().map(|series| Series::trained(*symmetry, series));
                let coefficients: Vec<f64> = trained.flatten().collect();
                let (channels, length) = (series.len(), coefficients.len() / series.len());
                (Shape::Series(Series { symmetry: *symmetry, length, channels }), coefficients)
            }
        }
    }

    /// The components of a composite with these coefficients, or the whole series of each channel.
    pub(crate) fn parts(&self, coefficients: &[f64]) -> Vec<Vec<f64>> {
        match self {
            Shape::Sign(lengths) => components(lengths, coefficients).into_iter().map(<[f64]>::to_vec).collect(),
            Shape::Series(series) => coefficients.chunks(series.length).map(|own| series.whole(own)).collect(),
        }
    }

    /// How many stretches of a sample have coefficients of their own.
    fn channels(&self) -> usize {
        match self {
            Shape::Sign(_) => 1,
            Shape::Series(series) => series.channels,
        }
    }

    /// How many lanes of values an evaluation keeps.
    fn scratch(&self) -> usize {
        match self {
            Shape::Sign(lengths) => lengths.len() + 1,
            Shape::Series(_) => 0,
        }
    }
}

impl Series {
    /// What is trained of a whole series.
    fn trained(symmetry: Symmetry, whole: &[f64]) -> Vec<f64> {
        match symmetry {
            Symmetry::General => whole.to_vec(),
            Symmetry::Even => whole.iter().step_by(2).copied().collect(),
        }
    }

    /// The whole series of coefficients that were trained.
    fn whole(&self, trained: &[f64]) -> Vec<f64> {
        if self.symmetry == Symmetry::General {
            return trained.to_vec();
        }
        let mut whole = vec![0.0; (2 * trained.len() - 1).max(2)];
        trained.iter().enumerate().for_each(|(k, c)| whole[2 * k] = *c);
        whole[1] = 0.5;
        whole
    }

    /// The variable of the Chebyshev polynomials, and its slope, at u.
    #[inline(always)]
    fn variable(&self, u: &Lane) -> (Lane, Lane) {
        let (mut variable, mut slope) = (*u, [1.0; LANES]);
        if self.symmetry == Symmetry::Even {
            for i in 0..LANES {
                variable[i] = 2.0 * u[i] * u[i] - 1.0;
                slope[i] = 4.0 * u[i];
            }
        }
        (variable, slope)
    }

    /// What the polynomial has beside its series: this times u.
    fn linear(&self) -> f64 {
        if self.symmetry == Symmetry::Even { 0.5 } else { 0.0 }
    }

    /// `S·r(x/S)`, by Clenshaw's recurrence.
    #[inline(always)]
    fn value(&self, coefficients: &[f64], scale: f64, x: &Lane) -> Lane {
        let u = divided(x, scale);
        let (variable, linear) = (self.variable(&u).0, self.linear());
        let (mut current, mut next) = ([0.0; LANES], [0.0; LANES]);
        for coefficient in coefficients[1..].iter().rev() {
            for i in 0..LANES {
                let new = coefficient + 2.0 * variable[i] * current[i] - next[i];
                (next[i], current[i]) = (current[i], new);
            }
        }
        let mut result = [0.0; LANES];
        for i in 0..LANES {
            result[i] = scale * (linear * u[i] + coefficients[0] + variable[i] * current[i] - next[i]);
        }
        result
    }

    /// Gradients of a lane by T_{k+1} = 2v·T_k − T_{k−1}, and the derivative of that: adds to those of the coefficients and
    /// gives those of the elements.
    #[inline(always)]
    fn pull_back(&self, coefficients: &[f64], scale: f64, x: &Lane, gradient: &Lane, sums: &mut [Lane]) -> Lane {
        let u = divided(x, scale);
        let (variable, slope) = self.variable(&u);
        let (mut before, mut current) = (variable, [1.0; LANES]);
        let (mut derivative_before, mut derivative) = ([1.0; LANES], [0.0; LANES]);
        let mut by_variable = [0.0; LANES];
        for (coefficient, sum) in coefficients.iter().zip(sums) {
            for i in 0..LANES {
                sum[i] += gradient[i] * scale * current[i];
                by_variable[i] += coefficient * derivative[i];
                let after = 2.0 * variable[i] * current[i] - before[i];
                let derivative_after = 2.0 * (current[i] + variable[i] * derivative[i]) - derivative_before[i];
                (before[i], current[i]) = (current[i], after);
                (derivative_before[i], derivative[i]) = (derivative[i], derivative_after);
            }
        }
        let mut result = [0.0; LANES];
        for i in 0..LANES {
            result[i] = gradient[i] * (self.linear() + slope[i] * by_variable[i]);
        }
        result
    }
}

#[inline(always)]
fn divided(x: &Lane, scale: f64) -> Lane {
    let mut u = [0.0; LANES];
    for i in 0..LANES {
        u[i] = x[i] / scale;
    }
    u
}

/// The coefficients of a composite by component.
fn components<'c>(lengths: &[usize], coefficients: &'c [f64]) -> Vec<&'c [f64]> {
    let mut rest = coefficients;
    let mut take = |length: &usize| {
        let (component, after) = rest.split_at(*length);
        rest = after;
        component
    };
    lengths.iter().map(&mut take).collect()
}

/// A PAF of each element. Operands: x, and the coefficients as the shape has them. Computes in f64 whatever the elements
/// are.
pub(crate) struct PafRectifier {
    /// Elements of a sample.
    pub(crate) width: usize,
    /// The scale S.
    pub(crate) scale: Scaling,
    /// How coefficients make values.
    pub(crate) shape: Shape,
}

/// A part of a sample that shares a scale and coefficients.
struct Stretch {
    scale: f64,
    coefficients: Range<usize>,
    elements: Range<usize>,
}

impl PafRectifier {
    /// The stretches of a sample, whose PAF has so many coefficients.
    fn stretches(&self, coefficients: usize) -> impl Iterator<Item = Stretch> + '_ {
        let (scales, channels) = (self.scale.parts(self.width).0, self.shape.channels());
        let parts = scales.len().max(channels);
        let (elements, own) = (self.width / parts, coefficients / channels);
        (0..parts).map(move |part| {
            let channel = part % channels;
            Stretch {
                scale: scales[part % scales.len()],
                coefficients: channel * own..(channel + 1) * own,
                elements: part * elements..(part + 1) * elements,
            }
        })
    }
}

/// The input of every component of a composite and the sign at last.
#[inline(always)]
fn trace(components: &[&[f64]], scale: f64, x: &Lane, values: &mut [Lane]) {
    values[0] = divided(x, scale);
    for (index, component) in components.iter().enumerate() {
        let (before, after) = values.split_at_mut(index + 1);
        odd_polynomial(component, &before[index], &mut after[0]);
    }
}

/// Gradients of a lane by a composite: adds to those of the coefficients and gives those of the elements.
#[inline(always)]
fn pull_back(
    components: &[&[f64]],
    scale: f64,
    x: &Lane,
    gradient: &Lane,
    values: &mut [Lane],
    sums: &mut [Lane],
) -> Lane {
    trace(components, scale, x, values);
    let signs = values[components.len()];
    let mut adjoint = [0.0; LANES];
    for i in 0..LANES {
        adjoint[i] = 0.5 * gradient[i] * x[i];
    }
    let mut end = sums.len();
    for (index, component) in components.iter().enumerate().rev() {
        pull_back_polynomial(component, &values[index], &mut adjoint, &mut sums[end - component.len()..end]);
        end -= component.len();
    }
    let mut result = [0.0; LANES];
    for i in 0..LANES {
        result[i] = 0.5 * gradient[i] * (1.0 + signs[i]) + adjoint[i] / scale;
    }
    result
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
        each_sample(operands[0], self.widths(), |x, y| {
            vectorized(SampleValues { kernel: self, coefficients: &coefficients, x, y });
        })
    }

    fn backward<T: Real>(&self, operands: &[&[T]], gradient: &[T], wanted: &[bool]) -> Vec<Option<Vec<T>>> {
        let coefficients: Vec<f64> = operands[1].iter().map(|value| value.to_f64()).collect();
        let mut elements = vec![T::from_f64(0.0); operands[0].len()];
        let samples = operands[0].par_chunks(self.width).zip(gradient.par_chunks(self.width));
        let by_sample: Vec<Vec<f64>> = elements
            .par_chunks_mut(self.width)
            .zip(samples)
            .map(|(result, (x, gradient))| {
                vectorized(SampleGradients { kernel: self, coefficients: &coefficients, x, gradient, result })
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
    coefficients: &'s [f64],
    x: &'s [T],
    y: &'s mut [T],
}

impl<T: Real> NullaryFnOnce for SampleValues<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let SampleValues { kernel, coefficients, x, y } = self;
        let mut values = vec![[0.0; LANES]; kernel.shape.scratch()];
        for Stretch { scale, coefficients: own, elements } in kernel.stretches(coefficients.len()) {
            let own = &coefficients[own];
            let lanes = x[elements.clone()].chunks(LANES).zip(y[elements].chunks_mut(LANES));
            match &kernel.shape {
                Shape::Sign(lengths) => {
                    let components = components(lengths, own);
                    for (x, y) in lanes {
                        let mut lane = load(x);
                        trace(&components, scale, &lane, &mut values);
                        let signs = &values[components.len()];
                        for i in 0..LANES {
                            lane[i] = 0.5 * (lane[i] + lane[i] * signs[i]);
                        }
                        store(&lane, y);
                    }
                }
                Shape::Series(series) => lanes.for_each(|(x, y)| store(&series.value(own, scale, &load(x)), y)),
            }
        }
    }
}

/// Fills in the gradient of a sample's elements and gives that of the coefficients.
struct SampleGradients<'s, T> {
    kernel: &'s PafRectifier,
    coefficients: &'s [f64],
    x: &'s [T],
    gradient: &'s [T],
    result: &'s mut [T],
}

impl<T: Real> NullaryFnOnce for SampleGradients<'_, T> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn call(self) -> Vec<f64> {
        let SampleGradients { kernel, coefficients, x, gradient, result } = self;
        let mut values = vec![[0.0; LANES]; kernel.shape.scratch()];
        let mut sums = vec![[0.0; LANES]; coefficients.len()];
        for Stretch { scale, coefficients: own, elements } in kernel.stretches(coefficients.len()) {
            let (sums, own) = (&mut sums[own.clone()], &coefficients[own]);
            let lanes = x[elements.clone()].chunks(LANES).zip(gradient[elements.clone()].chunks(LANES));
            let lanes = result[elements].chunks_mut(LANES).zip(lanes);
            match &kernel.shape {
                Shape::Sign(lengths) => {
                    let components = components(lengths, own);
                    for (result, (x, gradient)) in lanes {
                        let (x, gradient) = (load(x), load(gradient));
                        store(&pull_back(&components, scale, &x, &gradient, &mut values, sums), result);
                    }
                }
                Shape::Series(series) => {
                    for (result, (x, gradient)) in lanes {
                        store(&series.pull_back(own, scale, &load(x), &load(gradient), sums), result);
                    }
                }
            }
        }
        sums.iter().map(|lane| lane.iter().sum()).collect()
    }
}
