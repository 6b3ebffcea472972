//! One polynomial that approximates ReLU: from |x|, or ReLU itself.
//!
//! A composite approximates sign on all of \[-1,1\] and multiplies by x; but a ReLU needs |x| only, whose error near 0 is
//! forgiven. The best even polynomial of degree d for |x| has the error 0.28/d (Bernstein, Acta Math. 37, 1914) and takes
//! ⌈log2(d + 1)⌉ levels, or log2(d) for a power of two, as squares ([`Squares`]). Fitted by least squares to the values that a node sees, it is more accurate still where they are;
//! and where values of either sign are not alike, as after a batch normalization, a general polynomial for ReLU itself
//! spends its degree where the values lie. Every channel may have its own.

use std::sync::OnceLock;

use nalgebra::{Cholesky, DMatrix, DVector};
use rayon::prelude::*;

use super::chebyshev::{clenshaw, clenshaw_in_place, from_even_powers};
use super::high_precision::to_f64;
use super::squares::Squares;
use super::{NoSuchPaf, ceil_log2, remez};

/// Bins of arguments on [−1, 1], equally wide.
const BINS: usize = 2048;

/// Points on [0, 1] and on [−1, 0] at which errors are looked for.
const GRID: usize = 1024;

/// Parts of the weight that are spread evenly over [−1, 1], so that tails stay bounded where samples have shown nothing:
/// the first one with which the error stays below [`TAIL_ERROR`].
const SPREADS: [f64; 5] = [0.01, 0.03, 0.1, 0.3, 1.0];

/// How much larger the error of a fitted polynomial is than that of the best one, about.
const FITTED_OVERSHOOT: f64 = 2.0;

/// How much wider than its guard the scale of a pool is whose polynomial is still to be fitted: differences leave it steeply.
/// Of 1,500 MNIST images 14 were lost without, none with it, in a pool of four rounds of degree 30.
const ROOM_OF_POOLS: f64 = 1.15;

/// The part of the error of one polynomial that is left with one for each channel, at most, where those are taken: their
/// coefficients are plaintexts, not numbers.
const WORTH_CHANNELS: f64 = 0.9;

/// Largest error of a fitted polynomial on [−1, 1].
const TAIL_ERROR: f64 = 0.1;

/// Higher degrees are refused: those of `abs126`, seven levels.
const MAX_DEGREE: usize = 127;

/// What the first coefficient of a polynomial that is to be squares may be at least, in parts of that of the best one of its
/// degree: the first of them with which nothing cancels.
const FIRST_COEFFICIENTS: [f64; 5] = [0.03, 0.1, 0.3, 0.6, 1.0];

/// Added to the diagonal of the normal equations, in parts of its mean.
const RIDGE: f64 = 1e-12;

/// What a polynomial approximates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Symmetry {
    /// |u| by an even polynomial q: ReLU(u) ≈ (u + q(u))/2.
    Even,
    /// ReLU itself, for values that are not symmetric.
    General,
}

/// A polynomial r ≈ ReLU on \[-1,1\], or one for each channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Rectifier {
    /// What it approximates.
    pub symmetry: Symmetry,
    /// c_0, c_1, … with r(u) = Σ c_k·T_k(u): one polynomial, or one for each channel, all of one degree.
    pub series: Vec<Vec<f64>>,
    /// Whether these are the coefficients to use; otherwise a node's own are fitted to what it sees.
    pub settled: bool,
    max_error: f64,
    overshoot: f64,
}

/// Names and degrees of the polynomials there are.
pub(super) struct Family {
    pub(super) name: &'static str,
    symmetry: Symmetry,
    /// Of the even polynomial for |u|, or of the general one for ReLU.
    degree: usize,
}

const fn even(name: &'static str, degree: usize) -> Family {
    Family { name, symmetry: Symmetry::Even, degree }
}

const fn general(name: &'static str, degree: usize) -> Family {
    Family { name, symmetry: Symmetry::General, degree }
}

pub(super) const FAMILIES: [Family; 19] = [
    even("abs2", 2),
    even("abs4", 4),
    even("abs6", 6),
    even("abs8", 8),
    even("abs14", 14),
    even("abs16", 16),
    even("abs30", 30),
    even("abs32", 32),
    even("abs62", 62),
    even("abs126", 126),
    general("relu2", 2),
    general("relu4", 4),
    general("relu7", 7),
    general("relu8", 8),
    general("relu15", 15),
    general("relu16", 16),
    general("relu31", 31),
    general("relu32", 32),
    general("relu63", 63),
];

impl Family {
    /// The polynomial of least largest error: that of |u| is even, and the best one for ReLU has the even part of |u|'s.
    pub(super) fn minimax(&self) -> Result<Rectifier, NoSuchPaf> {
        Ok(Rectifier::of(self.symmetry, vec![minimax(self.degree)?], false))
    }
}

fn minimax(degree: usize) -> Result<Vec<f64>, NoSuchPaf> {
    let magnitude = remez::best_even_polynomial(degree - degree % 2)?;
    let even: Vec<f64> = from_even_powers(&magnitude).iter().map(|c| to_f64(c) / 2.0).collect();
    let mut series = vec![0.0; degree + 1];
    even.iter().enumerate().for_each(|(k, c)| series[2 * k] = *c);
    series[1] = 0.5;
    Ok(series)
}

impl Rectifier {
    /// Polynomials by their coefficients, as they were fitted: c_0, c_1, … in the Chebyshev basis, one polynomial or one for
    /// each channel; `name` is what errors call them. Those that are u/2 and even terms are even polynomials of |u|.
    ///
    /// # Errors
    /// [`NoSuchPaf::NotFinite`], [`NoSuchPaf::ZeroComponent`], [`NoSuchPaf::DegreeTooHigh`], [`NoSuchPaf::NoComponents`].
    pub fn from_series(name: &str, series: Vec<Vec<f64>>) -> Result<Self, NoSuchPaf> {
        let name = || name.to_string();
        let length = series.first().map_or(0, Vec::len);
        if length < 2 || series.iter().any(|channel| channel.len() != length) {
            return Err(NoSuchPaf::NoComponents { name: name() });
        }
        if let Some(channel) = series.iter().position(|channel| channel.iter().any(|c| !c.is_finite())) {
            return Err(NoSuchPaf::NotFinite { name: name(), component: channel + 1 });
        }
        if length > MAX_DEGREE + 1 {
            return Err(NoSuchPaf::DegreeTooHigh { name: name(), component: 1, degree: length - 1 });
        }
        let is_even =
            |channel: &Vec<f64>| channel[1] == 0.5 && channel.iter().skip(3).step_by(2).all(|odd| *odd == 0.0);
        let symmetry = if series.iter().all(is_even) { Symmetry::Even } else { Symmetry::General };
        Ok(Rectifier::of(symmetry, series, true))
    }

    fn of(symmetry: Symmetry, series: Vec<Vec<f64>>, settled: bool) -> Self {
        let (mut max_error, mut overshoot) = (0.0f64, 0.0f64);
        for channel in &series {
            let points: Vec<f64> = (0..=2 * GRID).map(|k| k as f64 / GRID as f64 - 1.0).collect();
            let mut values = points.clone();
            clenshaw_in_place(channel, &mut values);
            for (u, value) in points.iter().zip(&values) {
                let error = value - u.max(0.0);
                max_error = max_error.max(error.abs());
                // A maximum b + r(a − b) leaves the range of a and b where r(u) leaves that of 0 and u.
                overshoot = overshoot.max(value - u.max(0.0)).max(u.min(0.0) - value);
            }
        }
        Rectifier { symmetry, series, settled, max_error, overshoot }
    }

    /// The degree of the polynomials.
    pub fn degree(&self) -> usize {
        self.series[0].len() - 1
    }

    /// Levels of a ReLU at minimum depth, coefficients included: ⌈log2(degree + 1)⌉, or log2(degree) as squares.
    pub(super) fn depth(&self) -> usize {
        match self.squares(&[1.0]) {
            Some(squares) => squares.rests.len(),
            None => ceil_log2(self.degree() + 1),
        }
    }

    /// Levels of a comparison.
    pub(super) fn depth_of_comparison(&self) -> usize {
        ceil_log2(if self.settled { self.degree() } else { self.comparing(Symmetry::Even) } + 1)
    }

    /// `factor·r(u)` as squares, with a factor for each channel or one for all, where that takes a level less.
    pub(crate) fn squares(&self, factors: &[f64]) -> Option<Squares> {
        let channels = factors.len().max(self.series.len());
        let of_channel = |channel: usize| {
            let factor = factors[channel % factors.len()];
            self.of_channel(channel % self.series.len()).iter().map(|c| factor * c).collect()
        };
        Squares::of(&(0..channels).map(of_channel).collect::<Vec<_>>())
    }

    pub(super) fn max_error(&self) -> f64 {
        self.max_error
    }

    /// The factor on the guard of a pool.
    pub(super) fn room(&self) -> f64 {
        if self.settled { 1.0 } else { ROOM_OF_POOLS }
    }

    /// How far b + r(a − b) leaves the range of a and b, for |a − b| ≤ 1.
    ///
    /// A polynomial that is still to be fitted will have up to [`FITTED_OVERSHOOT`] times that of the best one.
    pub(super) fn overshoot(&self) -> f64 {
        if self.settled { self.overshoot } else { FITTED_OVERSHOOT * self.overshoot }
    }

    /// The coefficients of a channel.
    pub fn of_channel(&self, channel: usize) -> &[f64] {
        self.series.get(channel).unwrap_or(&self.series[0])
    }

    /// r(u) in a channel.
    pub fn eval(&self, channel: usize, u: f64) -> f64 {
        clenshaw(self.of_channel(channel), u)
    }

    pub(super) fn eval_in_place(&self, channel: usize, values: &mut [f64]) {
        clenshaw_in_place(self.of_channel(channel), values);
    }

    /// The degree that a comparison takes: a power of two is no square there, as it would ask for other units in each round.
    fn comparing(&self, symmetry: Symmetry) -> usize {
        let degree = self.degree();
        let most = if degree > 2 && degree.is_power_of_two() { degree - 1 } else { degree };
        if symmetry == Symmetry::Even { most - most % 2 } else { most }
    }

    /// The best polynomial of what is still to be fitted, of the degree that a comparison takes.
    pub(crate) fn for_comparisons(&self) -> Rectifier {
        let degree = self.comparing(self.symmetry);
        match minimax(degree) {
            Ok(series) if !self.settled && degree < self.degree() => Rectifier::of(self.symmetry, vec![series], false),
            _ => self.clone(),
        }
    }

    /// Least squares on what a ReLU sees: one polynomial for all channels, or a general one for each of those that the
    /// arguments tell apart where that is worth the plaintexts.
    pub fn fitted_to(&self, seen: &Arguments) -> Rectifier {
        let degree = self.degree() - if self.symmetry == Symmetry::Even { self.degree() % 2 } else { 0 };
        let basis = Basis::of(degree);
        let fit = |counts: &Vec<f64>| self.fitted_as_squares(basis, counts);
        let of_node = Rectifier::of(self.symmetry, vec![fit(&seen.together())], true);
        if self.symmetry == Symmetry::Even || seen.counts.len() == 1 {
            return of_node;
        }
        let series = seen.counts.par_iter().map(fit).collect();
        let of_channels = Rectifier::of(self.symmetry, series, true);
        let is_worth_it = seen.error(&of_channels) < WORTH_CHANNELS * seen.error(&of_node);
        if is_worth_it { of_channels } else { of_node }
    }

    /// The fit to these counts; where this polynomial is squares, one that is squares with the same sign.
    fn fitted_as_squares(&self, basis: &Basis, counts: &[f64]) -> Vec<f64> {
        let (best, free) = (&self.series[0], basis.fit(self.symmetry, counts, None));
        let Some(own) = Squares::of(&self.series) else { return free };
        let is_squares = |series: &Vec<f64>| {
            Squares::of(std::slice::from_ref(series)).is_some_and(|squares| squares.is_subtracted == own.is_subtracted)
        };
        let first = best[self.degree()];
        let bound = |part: &f64| basis.fit(self.symmetry, counts, Some(part * first));
        let fits = std::iter::once(free).chain(FIRST_COEFFICIENTS.iter().map(bound));
        fits.into_iter().find(is_squares).unwrap_or_else(|| best.clone())
    }

    /// Least squares on the differences that a pool compares: an even polynomial for all channels.
    pub fn fitted_to_comparisons(&self, seen: &Arguments) -> Rectifier {
        let basis = Basis::of(self.comparing(Symmetry::Even));
        Rectifier::of(Symmetry::Even, vec![basis.fit(Symmetry::Even, &seen.together(), None)], true)
    }
}

/// How often the polynomials of a node see which argument u = x/S, channel by channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Arguments {
    /// For each channel the number of arguments in each bin.
    counts: Vec<Vec<f64>>,
    /// S of each channel.
    scales: Vec<f64>,
}

impl Arguments {
    /// None yet, of channels with these scales.
    pub fn none(scales: &[f64]) -> Self {
        Arguments { counts: vec![vec![0.0; BINS]; scales.len()], scales: scales.to_vec() }
    }

    /// Adds values of a channel.
    pub fn add(&mut self, channel: usize, values: &[f64]) {
        let (counts, half) = (&mut self.counts[channel], BINS as f64 / 2.0);
        let factor = half / self.scales[channel];
        for x in values {
            let bin = (x * factor + half).clamp(0.0, (BINS - 1) as f64);
            counts[bin as usize] += 1.0;
        }
    }

    /// Adds all arguments of others with the same scales.
    pub fn merge(&mut self, others: &Arguments) {
        for (own, others) in self.counts.iter_mut().zip(&others.counts) {
            own.iter_mut().zip(others).for_each(|(own, other)| *own += other);
        }
    }

    /// All channels as one, so that a fit tells none of them apart.
    #[must_use]
    pub fn of_node(&self) -> Self {
        let largest = self.scales.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        Arguments { counts: vec![self.together()], scales: vec![largest] }
    }

    /// The arguments of all channels, those of a channel weighted by the square of its scale as its errors are.
    fn together(&self) -> Vec<f64> {
        let mut all = vec![0.0; BINS];
        let largest = self.scales.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        for (counts, scale) in self.counts.iter().zip(&self.scales) {
            let weight = (scale / largest).powi(2);
            all.iter_mut().zip(counts).for_each(|(all, count)| *all += weight * count);
        }
        all
    }

    /// Root of the mean square error of ReLUs with these polynomials, in units of the values.
    pub fn error(&self, rectifier: &Rectifier) -> f64 {
        let (mut squares, mut count) = (0.0, 0.0);
        for (channel, (counts, scale)) in self.counts.iter().zip(&self.scales).enumerate() {
            let mut values: Vec<f64> = (0..BINS).map(middle).collect();
            rectifier.eval_in_place(channel, &mut values);
            for (bin, (&number, value)) in counts.iter().zip(values).enumerate() {
                squares += number * (scale * (value - middle(bin).max(0.0))).powi(2);
                count += number;
            }
        }
        (squares / f64::max(count, 1.0)).sqrt()
    }
}

/// The middle of a bin.
fn middle(bin: usize) -> f64 {
    (2 * bin + 1) as f64 / BINS as f64 - 1.0
}

/// Chebyshev polynomials at the middles of the bins, for fits of one degree.
struct Basis {
    degree: usize,
    /// T_0 … T_2d of each bin.
    values: Vec<Vec<f64>>,
}

impl Basis {
    /// The basis for a degree, computed once.
    fn of(degree: usize) -> &'static Self {
        static KNOWN: [OnceLock<Basis>; MAX_DEGREE + 1] = [const { OnceLock::new() }; MAX_DEGREE + 1];
        KNOWN[degree].get_or_init(|| Basis::new(degree))
    }

    fn new(degree: usize) -> Self {
        let row = |bin: usize| {
            let angle = middle(bin).acos();
            (0..=2 * degree).map(|k| (k as f64 * angle).cos()).collect()
        };
        Basis { degree, values: (0..BINS).map(row).collect() }
    }

    /// The series of least weighted square error, spread over \[-1,1\] as far as its tails need it; its first coefficient may
    /// be given.
    fn fit(&self, symmetry: Symmetry, counts: &[f64], first: Option<f64>) -> Vec<f64> {
        let total: f64 = counts.iter().sum();
        let weights = |spread: f64| -> Vec<f64> {
            counts.iter().map(|count| spread + count / total.max(1.0) * BINS as f64).collect()
        };
        let mut series = self.solved(symmetry, &weights(SPREADS[0]), first);
        for &spread in &SPREADS[1..] {
            if largest_error(&series) <= TAIL_ERROR {
                break;
            }
            series = self.solved(symmetry, &weights(spread), first);
        }
        series
    }

    /// Normal equations; products of Chebyshev polynomials are sums of two, T_i·T_j = (T_{i+j} + T_{|i−j|})/2.
    fn solved(&self, symmetry: Symmetry, weights: &[f64], first: Option<f64>) -> Vec<f64> {
        let (mut moments, mut wanted) = (vec![0.0; 2 * self.degree + 1], vec![0.0; self.degree + 1]);
        for (bin, (values, weight)) in self.values.iter().zip(weights).enumerate() {
            moments.iter_mut().zip(values).for_each(|(moment, value)| *moment += weight * value);
            // What is left of ReLU(u) − u/2 for even polynomials is |u|/2.
            let target =
                weight * if symmetry == Symmetry::Even { middle(bin).abs() / 2.0 } else { middle(bin).max(0.0) };
            wanted.iter_mut().zip(values).for_each(|(wanted, value)| *wanted += target * value);
        }
        let step = if symmetry == Symmetry::Even { 2 } else { 1 };
        let free = self.degree + 1 - usize::from(first.is_some());
        let powers: Vec<usize> = (0..free).step_by(step).collect();
        let size = powers.len();
        let gram = |i: usize, j: usize| (moments[i + j] + moments[i.abs_diff(j)]) / 2.0;
        let mut matrix = DMatrix::from_fn(size, size, |i, j| gram(powers[i], powers[j]));
        let ridge = RIDGE * matrix.trace() / size as f64;
        (0..size).for_each(|i| matrix[(i, i)] += ridge);
        let given = first.unwrap_or(0.0);
        let right = DVector::from_iterator(size, powers.iter().map(|&k| wanted[k] - given * gram(k, self.degree)));
        let solution = Cholesky::new(matrix).expect("weights are positive everywhere").solve(&right);
        let mut series = vec![0.0; self.degree + 1];
        series[self.degree] = given;
        powers.iter().zip(solution.iter()).for_each(|(&k, c)| series[k] = *c);
        if symmetry == Symmetry::Even {
            series[1] = 0.5;
        }
        series
    }
}

fn largest_error(series: &[f64]) -> f64 {
    let error = |u: f64| (clenshaw(series, u) - u.max(0.0)).abs();
    (0..=2 * GRID).map(|k| error(k as f64 / GRID as f64 - 1.0)).fold(0.0, f64::max)
}
