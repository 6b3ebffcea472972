//! Arithmetic with 384 significant bits (115 digits) for the parts of a PAF that `f64` cannot carry.

use dashu_float::FBig;
use dashu_float::ops::Abs;
use dashu_float::round::mode::HalfEven;

/// A number with [`PRECISION_BITS`] significant bits, rounded half to even.
pub(super) type Real = FBig<HalfEven, 2>;

/// Solving for a polynomial of degree 29 loses about 20 digits, for the even one of degree 126 about 50, and levelling asks
/// for 30 more; the rest is margin.
const PRECISION_BITS: usize = 384;

/// More steps than bisection alone needs to exhaust the precision.
const MAX_ROOT_STEPS: usize = 600;

/// The exact value of a finite `f64`; zero for any other.
pub(super) fn real(value: f64) -> Real {
    let exact = Real::try_from(value).unwrap_or(Real::ZERO);
    exact.with_precision(PRECISION_BITS).value()
}

/// The nearest `f64`, infinite when out of range.
pub(super) fn to_f64(value: &Real) -> f64 {
    value.to_f64().value()
}

/// 40 decimal digits.
pub(super) fn to_decimal(value: &Real) -> String {
    value.to_decimal().value().with_precision(40).value().to_string()
}

/// 2^exponent.
pub(super) fn power_of_two(exponent: isize) -> Real {
    real(1.0) << exponent
}

/// |value|.
pub(super) fn magnitude(value: &Real) -> Real {
    value.clone().abs()
}

/// Value and first derivative of Σ coefficients\[k\]·y^k.
pub(super) fn polynomial_with_slope(coefficients: &[Real], y: &Real) -> (Real, Real) {
    let (mut value, mut slope) = (real(0.0), real(0.0));
    for coefficient in coefficients.iter().rev() {
        slope = &slope * y + &value;
        value = &value * y + coefficient;
    }
    (value, slope)
}

/// Value and first derivative of the odd polynomial Σ coefficients\[k\]·x^(2k+1).
pub(super) fn odd_polynomial_with_slope(coefficients: &[Real], x: &Real) -> (Real, Real) {
    let square = x * x;
    let (value, slope) = polynomial_with_slope(coefficients, &square);
    let total_slope = &value + real(2.0) * square * slope;
    (value * x, total_slope)
}

/// The derivative of an odd polynomial in x, as a polynomial in y = x².
pub(super) fn odd_derivative_in_square(coefficients: &[Real]) -> Vec<Real> {
    let scaled = coefficients.iter().enumerate();
    scaled.map(|(k, a)| a * real((2 * k + 1) as f64)).collect()
}

/// A root of a function that changes its sign between `low` and `high`: Newton steps, kept inside the shrinking
/// bracket and replaced by bisection when they do not at least halve. `evaluate` gives value and slope; the root
/// is relative to 2^-`tolerance_bits`.
pub(super) fn find_root(
    evaluate: impl Fn(&Real) -> (Real, Real),
    mut low: Real,
    mut high: Real,
    tolerance_bits: isize,
) -> Real {
    let tolerance = power_of_two(-tolerance_bits);
    let low_is_negative = evaluate(&low).0 < Real::ZERO;
    let mut previous_step = &high - &low;
    let mut x = middle(&low, &high);
    for _ in 0..MAX_ROOT_STEPS {
        let (value, slope) = evaluate(&x);
        if value == Real::ZERO {
            break;
        }
        if (value < Real::ZERO) == low_is_negative {
            low = x.clone();
        } else {
            high = x.clone();
        }
        let next = newton_step(&x, value, slope, &previous_step)
            .filter(|next| *next > low && *next < high)
            .unwrap_or_else(|| middle(&low, &high));
        previous_step = magnitude(&(&next - &x));
        x = next;
        if previous_step <= magnitude(&x) * &tolerance {
            break;
        }
    }
    x
}

/// Newton's next point, unless the step is not at most half as long as the one before.
fn newton_step(x: &Real, value: Real, slope: Real, previous_step: &Real) -> Option<Real> {
    if slope == Real::ZERO {
        return None;
    }
    let step = value / slope;
    (magnitude(&step) * real(2.0) <= *previous_step).then(|| x - step)
}

fn middle(low: &Real, high: &Real) -> Real {
    (low + high) / real(2.0)
}

/// Where Σ coefficients\[k\]·y^k changes its sign on (0, upper), ascending; a root at which the sign stays may be
/// missing. Between neighbouring roots of its derivative a polynomial is monotone, hence the recursion.
pub(super) fn positive_roots(coefficients: &[Real], upper: &Real) -> Vec<Real> {
    if coefficients.len() < 2 {
        return Vec::new();
    }
    let derivative = (1..coefficients.len()).map(|k| &coefficients[k] * real(k as f64));
    let derivative: Vec<Real> = derivative.collect();
    let mut splits = vec![real(0.0)];
    splits.extend(positive_roots(&derivative, upper));
    splits.push(upper.clone());
    let value = |y: &Real| polynomial_with_slope(coefficients, y);
    let mut roots = Vec::new();
    for pair in splits.windows(2) {
        let (at_low, at_high) = (value(&pair[0]).0, value(&pair[1]).0);
        if at_low == Real::ZERO {
            roots.push(pair[0].clone());
        } else if at_high != Real::ZERO && (at_low < Real::ZERO) != (at_high < Real::ZERO) {
            roots.push(find_root(value, pair[0].clone(), pair[1].clone(), 80));
        }
    }
    roots
}

/// max |p| on \[-bound, bound\] for an odd polynomial p.
pub(super) fn largest_magnitude(odd_coefficients: &[Real], bound: &Real) -> Real {
    let derivative = odd_derivative_in_square(odd_coefficients);
    let critical = positive_roots(&derivative, &(bound * bound));
    let mut candidates: Vec<Real> = critical.iter().map(Real::sqrt).collect();
    candidates.push(bound.clone());
    let values = candidates.iter().map(|x| magnitude(&odd_polynomial_with_slope(odd_coefficients, x).0));
    values.fold(real(0.0), |largest, value| if value > largest { value } else { largest })
}
