//! Minimax composite approximations of sign, `alpha4` … `alpha14`, computed rather than stored.
//!
//! By symmetry the best odd polynomial for sign on \[-b,-a\] ∪ \[a,b\] is the best approximation of the constant 1 on
//! \[a,b\] from span{x, x³, …, x^d}. That span has n = (d+1)/2 elements and is a Haar system, so the error
//! alternates on n+1 points, and one Remez step has exactly n+1 extrema: a, b, and one between each two
//! neighbouring zeros of the error. No candidate ever has to be dropped.
//!
//! The chain of components and its parameters are those of Lee, Lee, No, Kim: "Minimax approximation of sign
//! function by composite polynomial for homomorphic comparison" (ePrint 2020/834) and arXiv:2105.10879.

use super::high_precision::{
    Real, find_root, magnitude, odd_derivative_in_square, odd_polynomial_with_slope, polynomial_with_slope,
    power_of_two, real, to_decimal, to_f64,
};
use super::{MAX_DEGREE, NoSuchPaf};

/// Remez converges quadratically; the published components need fewer than 20 steps.
const MAX_REMEZ_STEPS: usize = 100;

/// Stop when the errors at the extrema agree to 2^-100, about 1e-30.
const LEVELLING_BITS: isize = 100;

/// Widening of every interval after the first: 2^-22, the value behind the published coefficients.
const MARGIN_EXPONENT: isize = -22;

/// One line of the table of published composites.
pub(super) struct Recipe {
    pub(super) name: &'static str,
    /// The ReLU error on \[-1,1\] stays below 2^-alpha.
    pub(super) alpha: u32,
    /// Degrees of the components, first to last.
    degrees: &'static [usize],
    /// The first component approximates sign for |x| ≥ zeta·2^-alpha.
    zeta: u32,
}

pub(super) const RECIPES: [Recipe; 11] = [
    Recipe { name: "alpha4", alpha: 4, degrees: &[5], zeta: 5 },
    Recipe { name: "alpha5", alpha: 5, degrees: &[13], zeta: 5 },
    Recipe { name: "alpha6", alpha: 6, degrees: &[3, 7], zeta: 10 },
    Recipe { name: "alpha7", alpha: 7, degrees: &[7, 7], zeta: 11 },
    Recipe { name: "alpha8", alpha: 8, degrees: &[7, 15], zeta: 12 },
    Recipe { name: "alpha9", alpha: 9, degrees: &[15, 15], zeta: 13 },
    Recipe { name: "alpha10", alpha: 10, degrees: &[7, 7, 13], zeta: 13 },
    Recipe { name: "alpha11", alpha: 11, degrees: &[7, 7, 27], zeta: 15 },
    Recipe { name: "alpha12", alpha: 12, degrees: &[7, 15, 27], zeta: 15 },
    Recipe { name: "alpha13", alpha: 13, degrees: &[15, 15, 27], zeta: 16 },
    Recipe { name: "alpha14", alpha: 14, degrees: &[15, 27, 29], zeta: 17 },
];

/// The best odd polynomial of its degree for sign on ±\[lower, upper\].
#[derive(Debug, Clone)]
pub struct MinimaxPolynomial {
    /// a1, a3, … in 77-digit arithmetic.
    pub(super) exact: Vec<Real>,
    pub(super) lower: Real,
    pub(super) upper: Real,
    pub(super) error: Real,
}

impl MinimaxPolynomial {
    /// Coefficients a1, a3, … of the power basis, rounded to `f64`.
    pub fn odd_coefficients(&self) -> Vec<f64> {
        self.exact.iter().map(to_f64).collect()
    }

    /// The same coefficients with 40 decimal digits.
    pub fn decimal_coefficients(&self) -> Vec<String> {
        self.exact.iter().map(to_decimal).collect()
    }

    /// The interval \[lower, upper\] of |x| on which it is optimal.
    pub fn interval(&self) -> (f64, f64) {
        (to_f64(&self.lower), to_f64(&self.upper))
    }

    /// max |sign − p| on the interval.
    pub fn minimax_error(&self) -> f64 {
        to_f64(&self.error)
    }
}

/// The best odd polynomial of `degree` (odd, at most 63) for sign on ±\[lower, upper\], 0 < lower < upper.
pub fn best_odd_polynomial(degree: usize, lower: f64, upper: f64) -> Result<MinimaxPolynomial, NoSuchPaf> {
    let ordered = lower.is_finite() && upper.is_finite() && 0.0 < lower && lower < upper;
    if !ordered || degree.is_multiple_of(2) || degree > MAX_DEGREE {
        return Err(NoSuchPaf::BadMinimaxRequest { degree, lower, upper });
    }
    remez(degree, real(lower), real(upper))
}

/// The components of `alpha{alpha}`, first to last.
///
/// Each component after the first is optimal on \[1−τ−η, 1+τ+η\] with τ the error of the one before and η = 2^-22.
/// All are for inputs in \[-1,1\]. (The files of snu-ccl/approxCNN hold α = 4 and 5 for \[-2,2\] instead.)
pub fn alpha_components(alpha: u32) -> Result<Vec<MinimaxPolynomial>, NoSuchPaf> {
    match RECIPES.iter().find(|recipe| recipe.alpha == alpha) {
        Some(recipe) => recipe.components(),
        None => Err(NoSuchPaf::unknown_name(&format!("alpha{alpha}"))),
    }
}

impl Recipe {
    pub(super) fn components(&self) -> Result<Vec<MinimaxPolynomial>, NoSuchPaf> {
        let mut lower = real(f64::from(self.zeta)) * power_of_two(-(self.alpha as isize));
        let mut upper = real(1.0);
        let mut components = Vec::new();
        for &degree in self.degrees {
            let component = remez(degree, lower, upper)?;
            let radius = &component.error + power_of_two(MARGIN_EXPONENT);
            lower = real(1.0) - &radius;
            upper = real(1.0) + &radius;
            components.push(component);
        }
        Ok(components)
    }
}

fn remez(degree: usize, lower: Real, upper: Real) -> Result<MinimaxPolynomial, NoSuchPaf> {
    let mut nodes = start_nodes(degree.div_ceil(2), &lower, &upper);
    for _ in 0..MAX_REMEZ_STEPS {
        let Some((exact, error)) = levelled_polynomial(&nodes) else {
            break;
        };
        nodes = extrema(&exact, &nodes);
        if is_levelled(&exact, &nodes) {
            return Ok(MinimaxPolynomial { exact, lower, upper, error: magnitude(&error) });
        }
    }
    Err(NoSuchPaf::NoConvergence { degree, lower: to_f64(&lower), upper: to_f64(&upper), steps: MAX_REMEZ_STEPS })
}

/// n+1 points from `lower` to `upper`: Chebyshev extremes, or geometric spacing on wide intervals. They decide the
/// number of steps only, so `f64` is enough and its rounding leaves no trace.
fn start_nodes(unknowns: usize, lower: &Real, upper: &Real) -> Vec<Real> {
    let (a, b) = (to_f64(lower), to_f64(upper));
    let node = |i: usize| {
        let fraction = i as f64 / unknowns as f64;
        if b / a > 20.0 {
            a * (b / a).powf(fraction)
        } else {
            (a + b) / 2.0 - (b - a) / 2.0 * (std::f64::consts::PI * fraction).cos()
        }
    };
    let mut nodes = vec![lower.clone()];
    nodes.extend((1..unknowns).map(|i| real(node(i))));
    nodes.push(upper.clone());
    nodes
}

/// Solves Σ c_j·x_i^(2j+1) + (−1)^i·E = 1 at the nodes: the coefficients, and E.
fn levelled_polynomial(nodes: &[Real]) -> Option<(Vec<Real>, Real)> {
    let rows = nodes.iter().enumerate().map(|(i, x)| {
        let square = x * x;
        let mut row = vec![x.clone()];
        for j in 1..nodes.len() - 1 {
            row.push(&row[j - 1] * &square);
        }
        row.push(real(if i % 2 == 0 { 1.0 } else { -1.0 }));
        row.push(real(1.0));
        row
    });
    let mut coefficients = solve(rows.collect())?;
    let error = coefficients.pop()?;
    Some((coefficients, error))
}

/// Gaussian elimination with partial pivoting; each row ends with its right-hand side. `None` if singular.
fn solve(mut rows: Vec<Vec<Real>>) -> Option<Vec<Real>> {
    let size = rows.len();
    for column in 0..size {
        let pivot = (column..size)
            .max_by(|&i, &j| magnitude(&rows[i][column]).cmp(&magnitude(&rows[j][column])))
            .filter(|&i| rows[i][column] != Real::ZERO)?;
        rows.swap(column, pivot);
        let (done, below) = rows.split_at_mut(column + 1);
        for row in below {
            eliminate(row, &done[column], column);
        }
    }
    Some(back_substitute(&rows))
}

fn eliminate(row: &mut [Real], pivot_row: &[Real], column: usize) {
    let factor = &row[column] / &pivot_row[column];
    for (entry, pivot_entry) in row.iter_mut().zip(pivot_row).skip(column) {
        *entry -= &factor * pivot_entry;
    }
}

fn back_substitute(rows: &[Vec<Real>]) -> Vec<Real> {
    let size = rows.len();
    let mut solution = vec![real(0.0); size];
    for i in (0..size).rev() {
        let known = (i + 1..size).map(|j| &rows[i][j] * &solution[j]);
        let rest = known.fold(rows[i][size].clone(), |rest, term| rest - term);
        solution[i] = rest / &rows[i][i];
    }
    solution
}

/// The n+1 extrema of the error 1 − p: the two ends, and the one root of p' between each two neighbouring zeros.
/// The error has opposite signs at neighbouring `nodes`, so each pair of nodes encloses one zero.
fn extrema(coefficients: &[Real], nodes: &[Real]) -> Vec<Real> {
    let slope = odd_derivative_in_square(coefficients);
    let squared_zeros: Vec<Real> = nodes.windows(2).map(|pair| squared_zero(coefficients, pair)).collect();
    let mut points = vec![nodes[0].clone()];
    for pair in squared_zeros.windows(2) {
        let evaluate = |y: &Real| polynomial_with_slope(&slope, y);
        let root = find_root(evaluate, pair[0].clone(), pair[1].clone(), LEVELLING_BITS);
        points.push(root.sqrt());
    }
    points.push(nodes[nodes.len() - 1].clone());
    points
}

/// The square of the zero of the error between two nodes; it only has to separate two extrema.
fn squared_zero(coefficients: &[Real], pair: &[Real]) -> Real {
    let error = |x: &Real| {
        let (value, slope) = odd_polynomial_with_slope(coefficients, x);
        (value - real(1.0), slope)
    };
    let zero = find_root(error, pair[0].clone(), pair[1].clone(), 24);
    &zero * &zero
}

/// Whether the errors at the extrema agree in magnitude to 2^-[`LEVELLING_BITS`].
fn is_levelled(coefficients: &[Real], extrema: &[Real]) -> bool {
    let errors = extrema.iter().map(|x| magnitude(&(real(1.0) - odd_polynomial_with_slope(coefficients, x).0)));
    let errors: Vec<Real> = errors.collect();
    match (errors.iter().min(), errors.iter().max()) {
        (Some(least), Some(greatest)) => greatest - least <= greatest * power_of_two(-LEVELLING_BITS),
        _ => false,
    }
}
