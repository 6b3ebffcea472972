//! One polynomial that approximates ReLU: from |x|, or ReLU itself.
//!
//! A composite approximates sign on all of \[-1,1\] and multiplies by x; but a ReLU needs |x| only, whose error near 0 is
//! forgiven. The best even polynomial of degree d for |x| has the error 0.28/d (Bernstein, Acta Math. 37, 1914) and takes
//! ⌈log2(d + 1)⌉ levels. Fitted by least squares to the values that a node sees, it is more accurate still where they are;
//! and where values of either sign are not alike, as after a batch normalization, a general polynomial for ReLU itself
//! spends its degree where the values lie. Every channel may have its own.

use nalgebra::{Cholesky, DMatrix, DVector};

use super::chebyshev::{clenshaw, clenshaw_in_place, from_even_powers};
use super::high_precision::to_f64;
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

pub(super) const FAMILIES: [Family; 9] = [
    even("abs6", 6),
    even("abs14", 14),
    even("abs30", 30),
    even("abs62", 62),
    even("abs126", 126),
    general("relu7", 7),
    general("relu15", 15),
    general("relu31", 31),
    general("relu63", 63),
];

impl Family {
    /// The polynomial of least largest error: that of |u| is even, and the best one for ReLU has the even part of |u|'s.
    pub(super) fn minimax(&self) -> Result<Rectifier, NoSuchPaf> {
        let magnitude = remez::best_even_polynomial(self.degree - self.degree % 2)?;
        let even: Vec<f64> = from_even_powers(&magnitude).iter().map(|c| to_f64(c) / 2.0).collect();
        let mut series = vec![0.0; self.degree + 1];
        even.iter().enumerate().for_each(|(k, c)| series[2 * k] = *c);
        series[1] = 0.5;
        Ok(Rectifier::of(self.symmetry, vec![series], false))
    }
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

    /// Levels at minimum depth, coefficients included: ⌈log2(degree + 1)⌉.
    pub(super) fn depth(&self) -> usize {
        ceil_log2(self.degree() + 1)
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

    /// The polynomial of the same degree that compares: that of |a − b|, whose even part this one shares.
    fn comparing(&self) -> (Symmetry, usize) {
        (Symmetry::Even, self.degree() - self.degree() % 2)
    }

    /// Least squares on what a ReLU sees: one polynomial for all channels, or a general one for each of those that the
    /// arguments tell apart where that is worth the plaintexts.
    pub fn fitted_to(&self, seen: &Arguments) -> Rectifier {
        let degree = self.degree() - if self.symmetry == Symmetry::Even { self.degree() % 2 } else { 0 };
        let basis = Basis::new(degree);
        let of_node = Rectifier::of(self.symmetry, vec![basis.fit(self.symmetry, &seen.together())], true);
        if self.symmetry == Symmetry::Even || seen.counts.len() == 1 {
            return of_node;
        }
        let series = seen.counts.iter().map(|counts| basis.fit(self.symmetry, counts)).collect();
        let of_channels = Rectifier::of(self.symmetry, series, true);
        let is_worth_it = seen.error(&of_channels) < WORTH_CHANNELS * seen.error(&of_node);
        if is_worth_it { of_channels } else { of_node }
    }

    /// Least squares on the differences that a pool compares: an even polynomial for all channels.
    pub fn fitted_to_comparisons(&self, seen: &Arguments) -> Rectifier {
        let (symmetry, degree) = self.comparing();
        Rectifier::of(symmetry, vec![Basis::new(degree).fit(symmetry, &seen.together())], true)
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
    fn new(degree: usize) -> Self {
        let row = |bin: usize| {
            let angle = middle(bin).acos();
            (0..=2 * degree).map(|k| (k as f64 * angle).cos()).collect()
        };
        Basis { degree, values: (0..BINS).map(row).collect() }
    }

    /// The series of least weighted square error, spread over \[-1,1\] as far as its tails need it.
    fn fit(&self, symmetry: Symmetry, counts: &[f64]) -> Vec<f64> {
        let total: f64 = counts.iter().sum();
        let weights = |spread: f64| -> Vec<f64> {
            counts.iter().map(|count| spread + count / total.max(1.0) * BINS as f64).collect()
        };
        let mut series = self.solved(symmetry, &weights(SPREADS[0]));
        for &spread in &SPREADS[1..] {
            if largest_error(&series) <= TAIL_ERROR {
                break;
            }
            series = self.solved(symmetry, &weights(spread));
        }
        series
    }

    /// Normal equations; products of Chebyshev polynomials are sums of two, T_i·T_j = (T_{i+j} + T_{|i−j|})/2.
    fn solved(&self, symmetry: Symmetry, weights: &[f64]) -> Vec<f64> {
        let (mut moments, mut wanted) = (vec![0.0; 2 * self.degree + 1], vec![0.0; self.degree + 1]);
        for (bin, (values, weight)) in self.values.iter().zip(weights).enumerate() {
            moments.iter_mut().zip(values).for_each(|(moment, value)| *moment += weight * value);
            // What is left of ReLU(u) − u/2 for even polynomials is |u|/2.
            let target =
                weight * if symmetry == Symmetry::Even { middle(bin).abs() / 2.0 } else { middle(bin).max(0.0) };
            wanted.iter_mut().zip(values).for_each(|(wanted, value)| *wanted += target * value);
        }
        let step = if symmetry == Symmetry::Even { 2 } else { 1 };
        let powers: Vec<usize> = (0..=self.degree).step_by(step).collect();
        let size = powers.len();
        let gram = |i: usize, j: usize| (moments[powers[i] + powers[j]] + moments[powers[i].abs_diff(powers[j])]) / 2.0;
        let mut matrix = DMatrix::from_fn(size, size, gram);
        let ridge = RIDGE * matrix.trace() / size as f64;
        (0..size).for_each(|i| matrix[(i, i)] += ridge);
        let right = DVector::from_iterator(size, powers.iter().map(|&k| wanted[k]));
        let solution = Cholesky::new(matrix).expect("weights are positive everywhere").solve(&right);
        let mut series = vec![0.0; self.degree + 1];
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
