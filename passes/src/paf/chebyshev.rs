//! Polynomials in the Chebyshev basis: the only stable form at degree 13 and above.

use paf_ir::lanes::{NullaryFnOnce, vectorized};

use super::LANES;
use super::high_precision::{Real, power_of_two, real};

/// Coefficients c1, c3, … of p(bound·t) = Σ c_k·T_k(t) for p = Σ power\[j\]·x^(2j+1).
///
/// t^n = 2^(1-n)·Σ C(n, k)·T_(n-2k), k = 0 … (n-1)/2.
pub(super) fn from_power_basis(power: &[Real], bound: &Real) -> Vec<Real> {
    let mut chebyshev = vec![real(0.0); power.len()];
    let mut bound_power = bound.clone();
    for (j, coefficient) in power.iter().enumerate() {
        let n = 2 * j + 1;
        let mut weight = coefficient * &bound_power * power_of_two(1 - n as isize);
        for k in 0..=j {
            chebyshev[j - k] += &weight;
            weight = weight * real((n - k) as f64) / real((k + 1) as f64);
        }
        bound_power = bound_power * bound * bound;
    }
    chebyshev
}

/// Replaces each x by the polynomial at x/domain; the same as [`evaluate`], several values at a time.
pub(super) fn evaluate_in_place(odd: &[f64], domain: f64, values: &mut [f64]) {
    vectorized(Odd { odd, domain, values });
}

struct Odd<'v> {
    odd: &'v [f64],
    domain: f64,
    values: &'v mut [f64],
}

impl NullaryFnOnce for Odd<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for lane in self.values.chunks_mut(LANES) {
            let mut double_steps = [0.0; LANES];
            for (x, double_step) in lane.iter_mut().zip(&mut double_steps) {
                *x /= self.domain;
                *double_step = 2.0 * (2.0 * *x * *x - 1.0);
            }
            let (current, next) = recurrence(self.odd, &double_steps);
            lane.iter_mut().zip(current.iter().zip(&next)).for_each(|(x, (current, next))| *x *= current - next);
        }
    }
}

/// The last two terms of Clenshaw's recurrence.
#[inline(always)]
fn recurrence(coefficients: &[f64], factors: &[f64; LANES]) -> ([f64; LANES], [f64; LANES]) {
    let (mut current, mut next) = ([0.0; LANES], [0.0; LANES]);
    for coefficient in coefficients.iter().rev() {
        for k in 0..LANES {
            let new = coefficient + factors[k] * current[k] - next[k];
            (next[k], current[k]) = (current[k], new);
        }
    }
    (current, next)
}

/// Σ odd\[k\]·T_(2k+1)(t) by Clenshaw's recurrence in T_2(t).
pub(super) fn evaluate(odd: &[f64], t: f64) -> f64 {
    let double_step = 2.0 * (2.0 * t * t - 1.0);
    let (mut current, mut next) = (0.0, 0.0);
    for coefficient in odd.iter().rev() {
        let new = coefficient + double_step * current - next;
        (next, current) = (current, new);
    }
    t * (current - next)
}

/// Coefficients c0, c2, … of Σ c_k·T_k(t) for Σ power\[j\]·t^(2j).
///
/// t^n = 2^(1-n)·Σ C(n, k)·T_(n-2k), k = 0 … n/2, the last term halved.
pub(super) fn from_even_powers(power: &[Real]) -> Vec<Real> {
    let mut chebyshev = vec![real(0.0); power.len()];
    chebyshev[0] += &power[0];
    for (j, coefficient) in power.iter().enumerate().skip(1) {
        let n = 2 * j;
        let mut weight = coefficient * power_of_two(1 - n as isize);
        for k in 0..=j {
            let share = if k == j { &weight / real(2.0) } else { weight.clone() };
            chebyshev[j - k] += share;
            weight = weight * real((n - k) as f64) / real((k + 1) as f64);
        }
    }
    chebyshev
}

/// Σ series\[k\]·T_k(t) by Clenshaw's recurrence.
pub(crate) fn clenshaw(series: &[f64], t: f64) -> f64 {
    let (mut current, mut next) = (0.0, 0.0);
    for coefficient in series[1..].iter().rev() {
        (current, next) = (coefficient + 2.0 * t * current - next, current);
    }
    series[0] + t * current - next
}

/// Replaces each t by the series at t; the same as [`clenshaw`], several values at a time.
pub(super) fn clenshaw_in_place(series: &[f64], values: &mut [f64]) {
    vectorized(General { series, values });
}

struct General<'v> {
    series: &'v [f64],
    values: &'v mut [f64],
}

impl NullaryFnOnce for General<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for lane in self.values.chunks_mut(LANES) {
            let mut doubled = [0.0; LANES];
            doubled.iter_mut().zip(lane.iter()).for_each(|(doubled, t)| *doubled = 2.0 * t);
            let (current, next) = recurrence(&self.series[1..], &doubled);
            let parts = current.iter().zip(&next);
            lane.iter_mut().zip(parts).for_each(|(t, (current, next))| *t = self.series[0] + *t * current - next);
        }
    }
}
