//! Minimax composite approximations of sign, `alpha4` … `alpha15`, computed rather than stored.
//!
//! By symmetry the best odd polynomial for sign on \[-b,-a\] ∪ \[a,b\] is the best approximation of the constant 1 on
//! \[a,b\] from span{x, x³, …, x^d}. That span has n = (d+1)/2 elements and is a Haar system, so the error
//! alternates on n+1 points, and one Remez step has exactly n+1 extrema: a, b, and one between each two
//! neighbouring zeros of the error. No candidate ever has to be dropped.
//!
//! The best even polynomial for |x| on \[-1,1\] is the best approximation of x on \[0,1\] from span{1, x², …, x^d}, which is
//! as Haar (in x²); the same exchange finds it. Its error is 0.28/d (Bernstein, Acta Math. 37, 1914).
//!
//! The chain of components and its parameters are those of Lee, Lee, No, Kim: "Minimax approximation of sign
//! function by composite polynomial for homomorphic comparison" (ePrint 2020/834) and arXiv:2105.10879, whose tables end at
//! α = 14. The one after it is made likewise: the degrees of least error at 15 levels, and the first interval that makes the
//! errors of ReLU near 0 and at 1 alike.

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

pub(super) const RECIPES: [Recipe; 12] = [
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
    Recipe { name: "alpha15", alpha: 15, degrees: &[31, 31, 31], zeta: 14 },
];

/// The best odd polynomial of its degree for sign on ±\[lower, upper\].
#[derive(Debug, Clone)]
pub struct MinimaxPolynomial {
    /// a1, a3, … in 115-digit arithmetic.
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

/// The best even polynomial of `degree` (even, at most 126) for |x| on \[-1,1\]: a0, a2, … of the power basis.
pub(super) fn best_even_polynomial(degree: usize) -> Result<Vec<Real>, NoSuchPaf> {
    let unknowns = degree / 2 + 1;
    let angle = |i: usize| std::f64::consts::FRAC_PI_2 * i as f64 / unknowns as f64;
    let nodes = (0..=unknowns).map(|i| real(angle(i).sin())).collect();
    Ok(exchange(&Target::Magnitude, degree, nodes)?.0)
}

fn remez(degree: usize, lower: Real, upper: Real) -> Result<MinimaxPolynomial, NoSuchPaf> {
    let nodes = start_nodes(degree.div_ceil(2), &lower, &upper);
    let (exact, error) = exchange(&Target::Sign, degree, nodes)?;
    Ok(MinimaxPolynomial { exact, lower, upper, error: magnitude(&error) })
}

/// The coefficients whose errors are level at the extrema, and that error, from first nodes that include both ends.
fn exchange(target: &Target, degree: usize, mut nodes: Vec<Real>) -> Result<(Vec<Real>, Real), NoSuchPaf> {
    let (lower, upper) = (to_f64(&nodes[0]), to_f64(&nodes[nodes.len() - 1]));
    for _ in 0..MAX_REMEZ_STEPS {
        let Some((exact, error)) = levelled_polynomial(target, &nodes) else {
            break;
        };
        nodes = extrema(target, &exact, &nodes);
        if is_levelled(target, &exact, &nodes) {
            return Ok((exact, error));
        }
    }
    Err(NoSuchPaf::NoConvergence { degree, lower, upper, steps: MAX_REMEZ_STEPS })
}

/// What is approximated on the positive side.
enum Target {
    /// 1, by odd polynomials.
    Sign,
    /// x, by even polynomials.
    Magnitude,
}

impl Target {
    /// The target, and the first power of the polynomials.
    fn at(&self, x: &Real) -> (Real, Real) {
        match self {
            Target::Sign => (real(1.0), x.clone()),
            Target::Magnitude => (x.clone(), real(1.0)),
        }
    }

    /// The error, target − p, and its derivative.
    fn error(&self, coefficients: &[Real], x: &Real) -> (Real, Real) {
        match self {
            Target::Sign => {
                let (value, slope) = odd_polynomial_with_slope(coefficients, x);
                (real(1.0) - value, real(0.0) - slope)
            }
            Target::Magnitude => {
                let (value, slope) = polynomial_with_slope(coefficients, &(x * x));
                (x - value, real(1.0) - real(2.0) * x * slope)
            }
        }
    }

    /// Where the error is extreme between two of its zeros.
    fn extremum(&self, coefficients: &[Real], zeros: &[Real]) -> Real {
        match self {
            Target::Sign => {
                let slope = odd_derivative_in_square(coefficients);
                let evaluate = |y: &Real| polynomial_with_slope(&slope, y);
                let square = |x: &Real| x * x;
                find_root(evaluate, square(&zeros[0]), square(&zeros[1]), LEVELLING_BITS).sqrt()
            }
            Target::Magnitude => {
                // 1 − 2x·p'(x²), with the derivative of p by its argument.
                let derivative: Vec<Real> =
                    (1..coefficients.len()).map(|k| &coefficients[k] * real(k as f64)).collect();
                let evaluate = |x: &Real| {
                    let square = x * x;
                    let (value, slope) = polynomial_with_slope(&derivative, &square);
                    let change = real(0.0) - real(2.0) * &value - real(4.0) * square * slope;
                    (real(1.0) - real(2.0) * x * value, change)
                };
                find_root(evaluate, zeros[0].clone(), zeros[1].clone(), LEVELLING_BITS)
            }
        }
    }
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

/// Solves p(x_i) + (−1)^i·E = target at the nodes: the coefficients, and E.
fn levelled_polynomial(target: &Target, nodes: &[Real]) -> Option<(Vec<Real>, Real)> {
    let rows = nodes.iter().enumerate().map(|(i, x)| {
        let square = x * x;
        let (wanted, first) = target.at(x);
        let mut row = vec![first];
        for j in 1..nodes.len() - 1 {
            row.push(&row[j - 1] * &square);
        }
        row.push(real(if i % 2 == 0 { 1.0 } else { -1.0 }));
        row.push(wanted);
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

/// The n+1 extrema of the error: the two ends, and the one extremum between each two neighbouring zeros. The error has
/// opposite signs at neighbouring `nodes`, so each pair of nodes encloses one zero.
fn extrema(target: &Target, coefficients: &[Real], nodes: &[Real]) -> Vec<Real> {
    let error = |x: &Real| target.error(coefficients, x);
    // A zero only has to separate two extrema.
    let zero = |pair: &[Real]| find_root(error, pair[0].clone(), pair[1].clone(), 24);
    let zeros: Vec<Real> = nodes.windows(2).map(zero).collect();
    let between = zeros.windows(2).map(|pair| target.extremum(coefficients, pair));
    let ends = (nodes[0].clone(), nodes[nodes.len() - 1].clone());
    std::iter::once(ends.0).chain(between).chain(std::iter::once(ends.1)).collect()
}

/// Whether the errors at the extrema agree in magnitude to 2^-[`LEVELLING_BITS`].
fn is_levelled(target: &Target, coefficients: &[Real], extrema: &[Real]) -> bool {
    let errors: Vec<Real> = extrema.iter().map(|x| magnitude(&target.error(coefficients, x).0)).collect();
    match (errors.iter().min(), errors.iter().max()) {
        (Some(least), Some(greatest)) => greatest - least <= greatest * power_of_two(-LEVELLING_BITS),
        _ => false,
    }
}
