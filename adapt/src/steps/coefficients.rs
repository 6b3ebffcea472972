//! `ct`: the coefficients of a composite, fitted to what its node sees.
//!
//! Minimized is the mean square error of the node's result over the histogram of its arguments at its static scale,
//! by Levenberg–Marquardt over the coefficients of all components together. A small part of the weight is spread evenly
//! over [0, 1 + tail_margin], where data may come that the samples have not shown. The tail constraint is that on
//! (0, 1 + tail_margin] the sign is right and not above `tail_bound`, and from [`SETTLED`] on at least [`FLOOR`]; it
//! enters as a penalty that grows until it holds on a fine grid. SmartPAF's own fit has no such constraint, and its
//! published coefficients reach p(1) = −5.5.

use levenberg_marquardt::{LeastSquaresProblem, LevenbergMarquardt};
use nalgebra::{DMatrix, DVector, Dyn, Owned};
use paf_passes::paf::Paf;

use super::histogram::Histogram;
use crate::config::CtConfig;

/// Share of the weight that is spread evenly.
const SPREAD: f64 = 0.01;
/// Points of the even spread and of the penalty; four times as many check the constraint.
const GRID: usize = 512;
/// From this part of the scale on, the sign must be at least [`FLOOR`].
const SETTLED: f64 = 0.3;
/// The least value of a settled sign.
const FLOOR: f64 = 0.5;
/// The penalty's factor starts here and is multiplied by [`STEEPER`] up to [`ATTEMPTS`] times.
const FIRST_PENALTY: f64 = 0.1;
const STEEPER: f64 = 10.0;
const ATTEMPTS: usize = 6;
/// Evaluations by parameter that one attempt may take; what converges takes far fewer.
const PATIENCE: usize = 30;

/// The PAF with coefficients that fit a histogram, under the name it has.
///
/// # Errors
/// A sentence that says why the PAF should stay as it is: no data, or no better coefficients within the constraint.
pub fn fit(paf: &Paf, histogram: &Histogram, config: &CtConfig) -> Result<Paf, String> {
    let points = points(histogram, config).ok_or("its input is zero on all samples")?;
    let start = Composite::of(paf);
    let mut penalty = FIRST_PENALTY;
    for _ in 0..ATTEMPTS {
        let problem = Problem { composite: start.clone(), points: &points, bounds: Bounds::new(config), penalty };
        let (solved, _) = LevenbergMarquardt::new().with_patience(PATIENCE).minimize(problem);
        if holds(&solved.composite, config) {
            let tuned =
                Paf::from_components(&paf.name, solved.composite.components).map_err(|error| error.to_string())?;
            // A steeper penalty only takes the fit further from the data.
            let error = |paf: &Paf| paf.composite().map_or(f64::INFINITY, |sign| histogram.error(sign));
            let better = error(&tuned) < error(paf);
            return if better { Ok(tuned) } else { Err("its own coefficients fit best".into()) };
        }
        penalty *= STEEPER;
    }
    Err("no better coefficients keep the sign right and bounded on the whole range".into())
}

/// Arguments and the square roots of their weights; weights sum to 1.
fn points(histogram: &Histogram, config: &CtConfig) -> Option<Vec<(f64, f64)>> {
    let seen = histogram.weighted_points();
    let total: f64 = seen.iter().map(|point| point.1).sum();
    if total <= 0.0 {
        return None;
    }
    let grid: Vec<f64> = grid(GRID, config).collect();
    let even: f64 = grid.iter().map(|u| u * u).sum();
    let seen = seen.into_iter().map(|(u, weight)| (u, ((1.0 - SPREAD) * weight / total).sqrt()));
    let spread = grid.iter().map(|&u| (u, (SPREAD * u * u / even).sqrt()));
    Some(seen.chain(spread).collect())
}

/// Points on (0, 1 + tail_margin].
fn grid(count: usize, config: &CtConfig) -> impl Iterator<Item = f64> {
    let end = 1.0 + config.tail_margin;
    (1..=count).map(move |k| end * k as f64 / count as f64)
}

/// Whether the tail constraint holds.
fn holds(composite: &Composite, config: &CtConfig) -> bool {
    let floor = |u: f64| if u >= SETTLED { FLOOR } else { 0.0 };
    grid(4 * GRID, config).all(|u| {
        let p = composite.eval(u);
        p > floor(u) && p <= config.tail_bound
    })
}

/// A composite as its coefficients.
#[derive(Debug, Clone)]
struct Composite {
    components: Vec<Vec<f64>>,
}

impl Composite {
    fn of(paf: &Paf) -> Self {
        Composite { components: paf.components().iter().map(|component| component.odd_coefficients.clone()).collect() }
    }

    fn eval(&self, u: f64) -> f64 {
        self.components.iter().fold(u, |x, coefficients| value_and_slope(coefficients, x).0)
    }

    fn parameters(&self) -> DVector<f64> {
        DVector::from_iterator(self.components.iter().map(Vec::len).sum(), self.components.iter().flatten().copied())
    }

    fn set(&mut self, parameters: &DVector<f64>) {
        self.components.iter_mut().flatten().zip(parameters.iter()).for_each(|(coefficient, new)| *coefficient = *new);
    }

    /// The value at `u`, and its derivative by each coefficient.
    fn gradient(&self, u: f64, gradient: &mut Vec<f64>) -> f64 {
        gradient.clear();
        let mut x = u;
        for coefficients in &self.components {
            let (value, slope) = value_and_slope(coefficients, x);
            gradient.iter_mut().for_each(|derivative| *derivative *= slope);
            let mut power = x;
            for _ in coefficients {
                gradient.push(power);
                power *= x * x;
            }
            x = value;
        }
        x
    }
}

/// An odd polynomial and its derivative at `x`.
fn value_and_slope(odd_coefficients: &[f64], x: f64) -> (f64, f64) {
    let square = x * x;
    let (mut sum, mut slope) = (0.0, 0.0);
    for (index, a) in odd_coefficients.iter().enumerate().rev() {
        sum = sum * square + a;
        slope = slope * square + a * (2 * index + 1) as f64;
    }
    (x * sum, slope)
}

/// The tail constraint on the points of the grid.
#[derive(Debug, Clone)]
struct Bounds {
    /// Argument, least and largest value.
    points: Vec<(f64, f64, f64)>,
}

/// The penalty starts this far inside the bounds, so that the solution ends within them.
const INSIDE: f64 = 0.02;

impl Bounds {
    fn new(config: &CtConfig) -> Self {
        let bounds = |u: f64| {
            let floor = if u >= SETTLED - INSIDE { FLOOR + INSIDE } else { (u * INSIDE).min(INSIDE) };
            (u, floor, config.tail_bound - INSIDE)
        };
        Bounds { points: grid(GRID, config).map(bounds).collect() }
    }
}

/// By how far a value is out of bounds, signed; 0 within.
fn excess(value: f64, low: f64, high: f64) -> f64 {
    (value - high).max(0.0) + (value - low).min(0.0)
}

struct Problem<'p> {
    composite: Composite,
    points: &'p [(f64, f64)],
    bounds: Bounds,
    penalty: f64,
}

impl LeastSquaresProblem<f64, Dyn, Dyn> for Problem<'_> {
    type ResidualStorage = Owned<f64, Dyn>;
    type JacobianStorage = Owned<f64, Dyn, Dyn>;
    type ParameterStorage = Owned<f64, Dyn>;

    fn set_params(&mut self, parameters: &DVector<f64>) {
        self.composite.set(parameters);
    }

    fn params(&self) -> DVector<f64> {
        self.composite.parameters()
    }

    fn residuals(&self) -> Option<DVector<f64>> {
        let errors = self.points.iter().map(|&(u, root)| root * (1.0 - self.composite.eval(u)) / 2.0);
        let outside =
            self.bounds.points.iter().map(|&(u, low, high)| self.penalty * excess(self.composite.eval(u), low, high));
        let residuals: Vec<f64> = errors.chain(outside).collect();
        residuals.iter().all(|residual| residual.is_finite()).then(|| DVector::from_vec(residuals))
    }

    fn jacobian(&self) -> Option<DMatrix<f64>> {
        let columns = self.composite.components.iter().map(Vec::len).sum();
        let mut jacobian = DMatrix::zeros(self.points.len() + self.bounds.points.len(), columns);
        let mut gradient = Vec::with_capacity(columns);
        for (row, &(u, root)) in self.points.iter().enumerate() {
            self.composite.gradient(u, &mut gradient);
            gradient.iter().enumerate().for_each(|(column, d)| jacobian[(row, column)] = -root * d / 2.0);
        }
        for (row, &(u, low, high)) in self.bounds.points.iter().enumerate() {
            let value = self.composite.gradient(u, &mut gradient);
            if excess(value, low, high) != 0.0 {
                let row = self.points.len() + row;
                gradient.iter().enumerate().for_each(|(column, d)| jacobian[(row, column)] = self.penalty * d);
            }
        }
        jacobian.iter().all(|entry| entry.is_finite()).then_some(jacobian)
    }
}
