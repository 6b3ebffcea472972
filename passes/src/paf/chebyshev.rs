//! Odd polynomials in the Chebyshev basis: the only stable form at degree 13 and above.

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
