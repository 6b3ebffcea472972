//! Smooth functions as Chebyshev series on their calibrated range.
//!
//! The series is evaluated as `p = Q·T_s + R`, s a power of two, by `T_{m+n} = 2·T_m·T_n − T_{|m−n|}`, in the least
//! depth of its degree d, ⌈log2(d+1)⌉ levels with the coefficients. Near-minimax: no polynomial of the same degree
//! has an error smaller by more than a factor 2 + 4/π²·ln d (Trefethen, Approximation Theory and Approximation
//! Practice, theorem 16.1; here at most 4).

use std::collections::BTreeMap;
use std::f64::consts::PI;

use paf_ir::tensor::{BatchAxis, Function, Graph, NodeId, Op, Shape};

use super::polynomial::{Chebyshev, basis_depth, sum_in_pairs};
use super::scaling::diagonal;
use crate::error::PassError;
use crate::paf::{ceil_log2, clenshaw};

/// Highest degree tried: seven levels.
pub(super) const MAX_DEGREE: usize = 127;

/// Points at which a function is sampled for its coefficients.
const NODES: usize = 1024;

/// Points at which an error is measured; between neighbours a polynomial of degree 127 hardly moves.
const GRID: usize = 2000;

/// Coefficients below this part of the largest value are rounding.
const NEGLIGIBLE: f64 = 1e-14;

/// A function's polynomial on a range.
#[derive(Debug, Clone)]
pub(super) struct Series {
    pub(super) function: Function,
    /// Coefficients of T_0, T_1, … for a result divided by `scale`.
    coefficients: Vec<f64>,
    middle: f64,
    half_width: f64,
    /// Largest magnitude of the function on the range.
    scale: f64,
    /// Largest absolute error on the range.
    pub(super) error: f64,
}

/// The range on which a function is approximated: margin times as wide, or, for a function with a domain of its own,
/// margin times as far to either side by ratio; that of a kernel, Exp of what is never positive, half as far again on the
/// side where it has died away. `None` if the function is not defined there.
pub(super) fn widened(function: Function, low: f64, high: f64, margin: f64) -> Option<(f64, f64)> {
    const LEAST_HALF_WIDTH: f64 = 1e-3;
    if !function.is_defined_on(low, high) {
        return None;
    }
    if !function.is_defined_on(-1.0, 1.0) {
        return Some(match (low > 0.0 || high > 0.0, low == high) {
            (true, false) => (low / margin, high * margin),
            (false, false) => (low * margin, high / margin),
            (_, true) if low == 0.0 => (0.0, 1.0),
            (_, true) => (low - low.abs() / 2.0, low + low.abs() / 2.0),
        });
    }
    let (middle, half) = ((low + high) / 2.0, (high - low) / 2.0);
    let half = margin * half.max(LEAST_HALF_WIDTH * middle.abs().max(1.0));
    // What is never positive is a distance, whose kernel dies away: further samples are further from all that is known, and
    // the polynomial hardly grows.
    let is_kernel = function == Function::Exp && high <= ROUNDING * (high - low) && half >= DIED_AWAY;
    let tail = if is_kernel { half } else { 0.0 };
    Some((middle - half - tail, middle + half))
}

/// What is above zero by less, in parts of a range, is rounding.
const ROUNDING: f64 = 1e-3;

/// Half the width of a range at whose lower end Exp is less than 1 % of what it is at the upper one.
const DIED_AWAY: f64 = 2.31;

impl Series {
    /// The series of least degree whose error is within `wanted` times the function's largest magnitude; else the
    /// least such part that is reached.
    pub(super) fn fit(function: Function, low: f64, high: f64, wanted: f64) -> Result<Self, f64> {
        let (middle, half_width) = ((low + high) / 2.0, (high - low) / 2.0);
        let value = |t: f64| function.eval(middle + half_width * t);
        let (least, greatest) = function.range_on(low, high);
        let scale = least.abs().max(greatest.abs()).max(f64::MIN_POSITIVE);
        let all = interpolate(|t| value(t) / scale);
        let grid: Vec<f64> = (0..=GRID).map(|step| (PI * step as f64 / GRID as f64).cos()).collect();
        let exact: Vec<f64> = grid.iter().map(|&t| value(t) / scale).collect();
        let mut best = f64::INFINITY;
        for degree in 1..=MAX_DEGREE {
            let error = grid.iter().zip(&exact).map(|(&t, y)| (clenshaw(&all[..=degree], t) - y).abs());
            let error = error.fold(0.0, f64::max);
            best = best.min(error);
            if error <= wanted {
                let coefficients = all[..=degree].to_vec();
                return Ok(Series { function, coefficients, middle, half_width, scale, error: error * scale });
            }
        }
        Err(best)
    }

    pub(super) fn degree(&self) -> usize {
        self.coefficients.len() - 1
    }

    /// Levels of the polynomial.
    pub(super) fn levels(&self) -> u32 {
        ceil_log2(self.degree() + 1) as u32
    }

    /// The polynomial's value.
    pub(super) fn eval(&self, x: f64) -> f64 {
        self.scale * clenshaw(&self.coefficients, (x - self.middle) / self.half_width)
    }

    /// Adds the polynomial of `x` to a graph.
    pub(super) fn build(&self, graph: &mut Graph, name: &str, x: NodeId) -> Result<NodeId, PassError> {
        let scaled = graph.add(name, Op::Scale(1.0 / self.half_width), &[x])?;
        let t1 = graph.add(name, Op::AddConstant(-self.middle / self.half_width), &[scaled])?;
        let coefficients: Vec<Coefficient> = self.coefficients.iter().map(|&c| Coefficient::of_all(c)).collect();
        let result = build_series(graph, name, t1, &coefficients)?;
        Ok(graph.add(name, Op::Scale(self.scale), &[result])?)
    }
}

/// Adds `Σ c_k·T_k(t1)` to a graph, at the least depth of its degree and with the fewest products found.
pub(super) fn build_series(
    graph: &mut Graph,
    name: &str,
    t1: NodeId,
    coefficients: &[Coefficient],
) -> Result<NodeId, PassError> {
    let limits = [1, 3, 7, 15, 31].into_iter();
    let products = |&limit: &usize| products(coefficients, limit).unwrap_or(usize::MAX);
    let baby_limit = limits.min_by_key(products).expect("the list of limits is not empty");
    evaluate(graph, name, t1, coefficients, baby_limit)
}

/// Products that a limit leads to.
fn products(coefficients: &[Coefficient], baby_limit: usize) -> Result<usize, PassError> {
    let mut graph = Graph::default();
    let t1 = graph.input("t", Shape(vec![1]), BatchAxis::Absent);
    let of_one: Vec<Coefficient> = coefficients.iter().map(Coefficient::largest).collect();
    evaluate(&mut graph, "count", t1, &of_one, baby_limit)?;
    Ok(graph.nodes().filter(|(_, node)| node.op == Op::Mul).count())
}

fn evaluate(
    graph: &mut Graph,
    name: &str,
    t1: NodeId,
    coefficients: &[Coefficient],
    baby_limit: usize,
) -> Result<NodeId, PassError> {
    let mut schedule = Chebyshev { graph, name, baby_limit, basis: BTreeMap::from([(1, t1)]) };
    let value = schedule.series(coefficients, ceil_log2(coefficients.len()))?;
    let node = match value.node {
        Some(node) => node,
        None => graph.add(name, Op::Scale(0.0), &[t1])?,
    };
    add_offset(graph, name, node, &value.offset)
}

/// A coefficient of a series: a number, or one for each channel.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Coefficient(Vec<f64>);

impl Coefficient {
    pub(super) fn of_all(value: f64) -> Self {
        Coefficient(vec![value])
    }

    /// One for each channel; a number where all have the same.
    pub(super) fn of_channels(values: Vec<f64>) -> Self {
        if values.iter().all(|value| *value == values[0]) { Coefficient(vec![values[0]]) } else { Coefficient(values) }
    }

    /// The number, where all channels have the same.
    fn number(&self) -> Option<f64> {
        if let [value] = self.0[..] { Some(value) } else { None }
    }

    fn is_negligible(&self) -> bool {
        self.0.iter().all(|c| c.abs() <= NEGLIGIBLE)
    }

    /// That of the channel with the largest one.
    fn largest(&self) -> Self {
        Coefficient::of_all(self.0.iter().fold(0.0f64, |most, &c| if c.abs() > most.abs() { c } else { most }))
    }

    fn doubled(&self) -> Self {
        Coefficient(self.0.iter().map(|c| 2.0 * c).collect())
    }

    fn minus(&self, other: &Coefficient) -> Self {
        let channels = self.0.len().max(other.0.len());
        let at = |coefficient: &Coefficient, channel: usize| coefficient.0[channel % coefficient.0.len()];
        Coefficient((0..channels).map(|channel| at(self, channel) - at(other, channel)).collect())
    }
}

/// `x · coefficient`.
pub(super) fn times(graph: &mut Graph, name: &str, x: NodeId, coefficient: &Coefficient) -> Result<NodeId, PassError> {
    match coefficient.number() {
        Some(number) => Ok(graph.add(name, Op::Scale(number), &[x])?),
        None => diagonal(graph, name, x, coefficient.0.clone(), None),
    }
}

/// `x + offset`, x itself for none.
pub(super) fn add_offset(graph: &mut Graph, name: &str, x: NodeId, offset: &Coefficient) -> Result<NodeId, PassError> {
    match offset.number() {
        Some(0.0) => Ok(x),
        Some(number) => Ok(graph.add(name, Op::AddConstant(number), &[x])?),
        None => diagonal(graph, name, x, vec![1.0; offset.0.len()], Some(offset.0.clone())),
    }
}

/// A part of a series: what depends on the variable, and a constant that is not yet added.
pub(super) struct Part {
    pub(super) node: Option<NodeId>,
    pub(super) offset: Coefficient,
}

impl Chebyshev<'_> {
    /// `Σ c_k·T_k` within `budget` levels above T_1.
    fn series(&mut self, coefficients: &[Coefficient], budget: usize) -> Result<Part, PassError> {
        let degree = coefficients.iter().rposition(|c| !c.is_negligible()).unwrap_or(0);
        let coefficients = &coefficients[..=degree];
        if degree <= 1 || (degree <= self.baby_limit && basis_depth(degree) < budget) {
            return combined(self, coefficients);
        }
        let split = (degree + 1).next_power_of_two() / 2;
        let (quotient, remainder) = divide(coefficients, split);
        let quotient = self.series(&quotient, budget.saturating_sub(1))?;
        let giant = self.chebyshev(split)?;
        let product = match quotient.node {
            None => times(self.graph, self.name, giant, &quotient.offset)?,
            Some(node) => {
                let factor = match quotient.offset.is_negligible() {
                    true => node,
                    false => add_offset(self.graph, self.name, node, &quotient.offset)?,
                };
                self.graph.add(self.name, Op::Mul, &[factor, giant])?
            }
        };
        let remainder = self.series(&remainder, budget)?;
        let node = match remainder.node {
            Some(node) => self.graph.add(self.name, Op::Add, &[product, node])?,
            None => product,
        };
        Ok(Part { node: Some(node), offset: remainder.offset })
    }
}

/// Polynomials that are added up with coefficients.
pub(super) trait Basis {
    fn graph(&mut self) -> (&mut Graph, &str);

    /// The k-th polynomial, k ≥ 1; that of 0 is 1.
    fn element(&mut self, k: usize) -> Result<NodeId, PassError>;
}

impl Basis for Chebyshev<'_> {
    fn graph(&mut self) -> (&mut Graph, &str) {
        (self.graph, self.name)
    }

    fn element(&mut self, k: usize) -> Result<NodeId, PassError> {
        self.chebyshev(k)
    }
}

/// A sum of terms. A constant by channel is the bias of the first term that is a map, which costs nothing; a number is left to
/// whoever adds it.
pub(super) fn combined(basis: &mut impl Basis, coefficients: &[Coefficient]) -> Result<Part, PassError> {
    let mut terms = Vec::with_capacity(coefficients.len());
    let mut offset = coefficients[0].clone();
    for (k, coefficient) in coefficients.iter().enumerate().skip(1) {
        if coefficient.is_negligible() {
            continue;
        }
        let element = basis.element(k)?;
        let (graph, name) = basis.graph();
        let is_map = |coefficient: &Coefficient| coefficient.number().is_none();
        terms.push(if is_map(&offset) && is_map(coefficient) {
            let bias = std::mem::replace(&mut offset, Coefficient::of_all(0.0));
            diagonal(graph, name, element, coefficient.0.clone(), Some(bias.0))?
        } else {
            times(graph, name, element, coefficient)?
        });
    }
    let (graph, name) = basis.graph();
    let node = if terms.is_empty() { None } else { Some(sum_in_pairs(graph, name, terms)?) };
    Ok(Part { node, offset })
}

/// Quotient and remainder by T_split, where split ≤ degree < 2·split: `c·T_{s+j} = 2c·T_j·T_s − c·T_{s−j}`.
fn divide(coefficients: &[Coefficient], split: usize) -> (Vec<Coefficient>, Vec<Coefficient>) {
    let mut remainder = coefficients[..split].to_vec();
    let mut quotient = vec![coefficients[split].clone()];
    for (j, coefficient) in coefficients[split + 1..].iter().enumerate() {
        quotient.push(coefficient.doubled());
        remainder[split - 1 - j] = remainder[split - 1 - j].minus(coefficient);
    }
    (quotient, remainder)
}

/// Chebyshev coefficients by interpolation at [`NODES`] points, as many as are ever used.
fn interpolate(f: impl Fn(f64) -> f64) -> Vec<f64> {
    let angle = |node: usize| PI * (node as f64 + 0.5) / NODES as f64;
    let values: Vec<f64> = (0..NODES).map(|node| f(angle(node).cos())).collect();
    let coefficient = |k: usize| {
        let sum: f64 = values.iter().enumerate().map(|(node, y)| y * (k as f64 * angle(node)).cos()).sum();
        sum * if k == 0 { 1.0 } else { 2.0 } / NODES as f64
    };
    (0..=MAX_DEGREE).map(coefficient).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use paf_ir::tensor::{FUNCTIONS, Output, evaluate};

    fn built(series: &Series, xs: &[f64]) -> (Vec<f64>, Graph) {
        let mut graph = Graph::default();
        let x = graph.input("x", Shape(vec![xs.len()]), BatchAxis::Absent);
        let node = series.build(&mut graph, "f", x).unwrap();
        graph.outputs = vec![Output { name: "y".into(), node }];
        (evaluate(&graph, &[xs.to_vec()]).unwrap().remove(0), graph)
    }

    fn range(function: Function) -> (f64, f64) {
        if function.is_defined_on(-4.0, 5.0) { (-4.0, 5.0) } else { (0.5, 6.0) }
    }

    #[test]
    fn series_stay_within_the_error_asked_for() {
        for function in FUNCTIONS {
            let (low, high) = range(function);
            for wanted in [1e-2, 1e-3] {
                let series = Series::fit(function, low, high, wanted).unwrap();
                let xs: Vec<f64> = (0..=997).map(|step| low + (high - low) * f64::from(step) / 997.0).collect();
                let largest = xs.iter().map(|&x| function.eval(x).abs()).fold(0.0, f64::max);
                for (x, y) in xs.iter().zip(built(&series, &xs).0) {
                    let error = (y - function.eval(*x)).abs();
                    assert!(error <= 1.001 * wanted * largest, "{function:?} at {x}: {error}");
                    assert!((y - series.eval(*x)).abs() <= 1e-11 * largest, "{function:?} at {x}");
                }
            }
        }
    }

    #[test]
    fn polynomials_of_a_polynomial_are_exact() {
        let cubic = [0.25, -0.5, 0.0, 1.0];
        for t in [-1.0, -0.3, 0.0, 0.6, 1.0] {
            let expected = 0.25 - 0.5 * t + (4.0 * t * t * t - 3.0 * t);
            assert!((clenshaw(&cubic, t) - expected).abs() < 1e-15);
        }
        let numbers = |numbers: &[f64]| numbers.iter().map(|&c| Coefficient::of_all(c)).collect::<Vec<_>>();
        let (quotient, remainder) = divide(&numbers(&cubic), 2);
        assert_eq!((quotient, remainder), (numbers(&[0.0, 2.0]), numbers(&[0.25, -1.5])));
    }

    #[test]
    fn a_larger_error_never_needs_a_higher_degree() {
        for function in FUNCTIONS {
            let (low, high) = range(function);
            let degree = |wanted| Series::fit(function, low, high, wanted).unwrap().degree();
            assert!(degree(1e-1) <= degree(1e-2) && degree(1e-2) <= degree(1e-3), "{function:?}");
        }
    }

    #[test]
    fn the_least_error_is_reported_where_none_suffices() {
        let reached = Series::fit(Function::Sigmoid, -1000.0, 1000.0, 1e-3).unwrap_err();
        assert!(reached > 1e-3 && reached < 0.5, "{reached}");
    }

    #[test]
    fn ranges_widen_within_the_domain() {
        assert_eq!(widened(Function::Sqrt, 1.0, 4.0, 2.0), Some((0.5, 8.0)));
        assert_eq!(widened(Function::Reciprocal, -4.0, -1.0, 2.0), Some((-8.0, -0.5)));
        assert_eq!(widened(Function::Reciprocal, -1.0, 1.0, 2.0), None);
        assert_eq!(widened(Function::Tanh, -1.0, 3.0, 2.0), Some((-3.0, 5.0)));
    }
}
