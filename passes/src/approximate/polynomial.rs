//! Composite PAFs as tensor operations.
//!
//! Components of degree up to 7 are written naively in the power basis; the e-graph balances their products and moves
//! constants. Higher degrees would lose all precision there, whose coefficients grow like 2^d, so they get a schedule in the
//! Chebyshev basis of least depth ⌈log2(d+1)⌉, coefficients included, with the fewest products known (baby and giant
//! steps of odd polynomials, Lee, Lee, Lee, Kim, Kim, No, ePrint 2020/552):
//! `p = Q·T_{2^k} + R` by `T_{m+n} = 2·T_m·T_n − T_{|m−n|}`, odd babies `T_3, T_5, T_7` shared where a leaf has a
//! level to spare for its constants.

use std::collections::BTreeMap;

use paf_ir::tensor::{Graph, NodeId, Op};

use crate::error::PassError;
use crate::paf::{Component, Composite, ceil_log2};

/// Highest degree that is written in the power basis.
const POWER_BASIS_DEGREE: usize = 7;

/// Builds `½ + ½·sign(u)` for `u` in [−1, 1].
pub(super) fn step(graph: &mut Graph, name: &str, sign: &Composite, u: NodeId) -> Result<NodeId, PassError> {
    let mut value = u;
    for polynomial in &sign.components {
        value = component(graph, name, polynomial, value)?;
    }
    let half = graph.add(name, Op::Scale(0.5), &[value])?;
    Ok(graph.add(name, Op::AddConstant(0.5), &[half])?)
}

/// Builds one odd polynomial of `x` in its domain.
///
/// # Errors
/// [`PassError::Ir`] only for a node that is not of the graph.
pub fn component(graph: &mut Graph, name: &str, component: &Component, x: NodeId) -> Result<NodeId, PassError> {
    if component.degree <= POWER_BASIS_DEGREE {
        power_basis(graph, name, &component.odd_coefficients, x)
    } else {
        chebyshev_basis(graph, name, component, x)
    }
}

/// `Σ a_k·x^k` over odd k, powers as chains of products, terms added in neighbouring pairs.
fn power_basis(graph: &mut Graph, name: &str, odd: &[f64], x: NodeId) -> Result<NodeId, PassError> {
    let mut power = x;
    let mut terms = Vec::new();
    for (index, &coefficient) in odd.iter().enumerate() {
        if index > 0 {
            let even = graph.add(name, Op::Mul, &[x, power])?;
            power = graph.add(name, Op::Mul, &[x, even])?;
        }
        if coefficient != 0.0 {
            terms.push(graph.add(name, Op::Scale(coefficient), &[power])?);
        }
    }
    sum_in_pairs(graph, name, terms)
}

/// Neighbours are added in pairs from the last one on, so that the highest powers stand together and share a factor.
pub(super) fn sum_in_pairs(graph: &mut Graph, name: &str, mut terms: Vec<NodeId>) -> Result<NodeId, PassError> {
    while terms.len() > 1 {
        let mut sums = Vec::with_capacity(terms.len().div_ceil(2));
        for pair in terms.rchunks(2) {
            sums.push(if pair.len() == 2 { graph.add(name, Op::Add, pair)? } else { pair[0] });
        }
        sums.reverse();
        terms = sums;
    }
    Ok(terms[0])
}

fn chebyshev_basis(graph: &mut Graph, name: &str, component: &Component, x: NodeId) -> Result<NodeId, PassError> {
    let t1 = graph.add(name, Op::Scale(1.0 / component.domain), &[x])?;
    let budget = ceil_log2(component.degree + 1);
    let coefficients = &component.chebyshev_odd;
    let baby_limit = [1, 3, 7, 15]
        .into_iter()
        .min_by_key(|&limit| product_count(coefficients.len(), budget, limit))
        .expect("the list of limits is not empty");
    let mut schedule = Chebyshev { graph, name, baby_limit, basis: BTreeMap::from([(1, t1)]) };
    schedule.evaluate(coefficients, budget)
}

/// Depth of T_k.
pub(super) fn basis_depth(k: usize) -> usize {
    ceil_log2(k)
}

/// Whether an odd polynomial of this degree is a linear combination of babies within the budget of levels.
fn is_leaf(degree: usize, budget: usize, baby_limit: usize) -> bool {
    degree == 1 || (degree <= baby_limit && basis_depth(degree) < budget)
}

/// Largest power of two below the number of coefficients' degree, the split point of a polynomial.
fn split_point(degree: usize) -> usize {
    degree.next_power_of_two() / 2
}

/// Ciphertext products of the whole schedule: recursion plus the basis it uses.
fn product_count(coefficients: usize, budget: usize, baby_limit: usize) -> usize {
    let mut used = std::collections::BTreeSet::new();
    let products = count_recursive(2 * coefficients - 1, budget, baby_limit, &mut used);
    let mut basis = std::collections::BTreeSet::new();
    used.iter().for_each(|&k| close_basis(k, &mut basis));
    products + basis.len()
}

fn count_recursive(
    degree: usize,
    budget: usize,
    baby_limit: usize,
    used: &mut std::collections::BTreeSet<usize>,
) -> usize {
    if is_leaf(degree, budget, baby_limit) {
        used.extend((1..=degree).step_by(2));
        return 0;
    }
    let split = split_point(degree);
    used.insert(split);
    let quotient = count_recursive(degree - split, budget - 1, baby_limit, used);
    quotient + 1 + count_recursive(split - 1, budget, baby_limit, used)
}

/// T_k and all that its recurrence needs, T_1 excepted.
fn close_basis(k: usize, basis: &mut std::collections::BTreeSet<usize>) {
    if k > 1 && basis.insert(k) {
        let high = split_basis(k);
        close_basis(high, basis);
        close_basis(k - high, basis);
        close_basis(high.abs_diff(k - high), basis);
    }
}

/// The larger index of the product that makes T_k: half of a power of two, else the power of two below.
fn split_basis(k: usize) -> usize {
    if k.is_power_of_two() { k / 2 } else { k.next_power_of_two() / 2 }
}

/// A polynomial under construction: Chebyshev polynomials of one value, each built once.
pub(super) struct Chebyshev<'g> {
    pub(super) graph: &'g mut Graph,
    pub(super) name: &'g str,
    /// Highest degree of a linear combination of basis polynomials.
    pub(super) baby_limit: usize,
    /// T_k by k; T_1 must be there.
    pub(super) basis: BTreeMap<usize, NodeId>,
}

impl Chebyshev<'_> {
    /// `Σ c_j·T_{2j+1}` within `budget` levels above T_1.
    fn evaluate(&mut self, odd: &[f64], budget: usize) -> Result<NodeId, PassError> {
        let degree = 2 * odd.len() - 1;
        if is_leaf(degree, budget, self.baby_limit) {
            return self.leaf(odd);
        }
        let split = split_point(degree);
        let (quotient, remainder) = divide(odd, split);
        let quotient = self.evaluate(&quotient, budget - 1)?;
        let giant = self.chebyshev(split)?;
        let product = self.graph.add(self.name, Op::Mul, &[quotient, giant])?;
        let remainder = self.evaluate(&remainder, budget)?;
        Ok(self.graph.add(self.name, Op::Add, &[product, remainder])?)
    }

    fn leaf(&mut self, odd: &[f64]) -> Result<NodeId, PassError> {
        let mut terms = Vec::with_capacity(odd.len());
        for (index, &coefficient) in odd.iter().enumerate() {
            let t = self.chebyshev(2 * index + 1)?;
            terms.push(self.graph.add(self.name, Op::Scale(coefficient), &[t])?);
        }
        sum_in_pairs(self.graph, self.name, terms)
    }

    /// T_k, built once.
    pub(super) fn chebyshev(&mut self, k: usize) -> Result<NodeId, PassError> {
        if let Some(&known) = self.basis.get(&k) {
            return Ok(known);
        }
        let high = split_basis(k);
        let (a, b) = (self.chebyshev(high)?, self.chebyshev(k - high)?);
        let product = self.graph.add(self.name, Op::Mul, &[a, b])?;
        let doubled = self.graph.add(self.name, Op::Add, &[product, product])?;
        let node = match high.abs_diff(k - high) {
            0 => self.graph.add(self.name, Op::AddConstant(-1.0), &[doubled])?,
            difference => {
                let subtrahend = self.chebyshev(difference)?;
                self.graph.add(self.name, Op::Sub, &[doubled, subtrahend])?
            }
        };
        self.basis.insert(k, node);
        Ok(node)
    }
}

/// Quotient and remainder of `Σ c_j·T_{2j+1}` by `T_split`, a power of two: `c·T_{s+j} = 2c·T_j·T_s − c·T_{s−j}`.
fn divide(odd: &[f64], split: usize) -> (Vec<f64>, Vec<f64>) {
    let half = split / 2;
    let mut remainder = odd[..half].to_vec();
    let mut quotient = Vec::with_capacity(odd.len() - half);
    for (index, &coefficient) in odd[half..].iter().enumerate() {
        quotient.push(2.0 * coefficient);
        remainder[half - 1 - index] -= coefficient;
    }
    (quotient, remainder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paf::Paf;
    use paf_ir::tensor::{BatchAxis, Output, Shape, evaluate};

    /// Degree and fewest products known at least depth.
    const FEWEST_PRODUCTS: [(usize, usize); 5] = [(13, 7), (15, 8), (27, 10), (29, 11), (31, 12)];

    #[test]
    fn chebyshev_schedules_use_the_fewest_products_known() {
        for (degree, fewest) in FEWEST_PRODUCTS {
            let budget = ceil_log2(degree + 1);
            let count = [1, 3, 7, 15].map(|limit| product_count(degree.div_ceil(2), budget, limit));
            assert_eq!(count.iter().min(), Some(&fewest), "degree {degree}: {count:?}");
        }
    }

    #[test]
    fn steps_equal_the_paf() {
        for name in ["alpha4", "alpha5", "alpha7", "alpha10", "alpha13", "alpha14", "alpha15", "f1sq_g1sq.cheon"] {
            let paf = Paf::by_name(name).unwrap();
            let sign = paf.composite().unwrap();
            let xs: Vec<f64> = (-50..=50).map(|k| f64::from(k) / 50.0).collect();
            let mut graph = Graph::default();
            let x = graph.input("x", Shape(vec![xs.len()]), BatchAxis::Absent);
            let node = step(&mut graph, "s", sign, x).unwrap();
            graph.outputs = vec![Output { name: "y".into(), node }];
            let y = evaluate(&graph, std::slice::from_ref(&xs)).unwrap();
            for (x, y) in xs.iter().zip(&y[0]) {
                let expected = 0.5 + 0.5 * sign.eval(*x);
                assert!((y - expected).abs() < 1e-10, "{name} at {x}: {y} instead of {expected}");
            }
        }
    }
}
