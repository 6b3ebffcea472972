//! Polynomials of ReLU whose degree is a power of two, as tensor operations: squares, and what is added to each.

use std::collections::BTreeMap;

use paf_ir::tensor::{BatchAxis, Graph, NodeId, Op, Shape};

use super::series::{Basis, Coefficient, Part, add_offset, combined, times};
use crate::error::PassError;
use crate::paf::Squares;

/// Most bits of the products that serve all quotients. More than one such product would be a factor of several terms of a
/// quotient, which the optimizer then takes out of them.
const MOST_SHARED: usize = 3;
const MOST_SHARED_PRODUCTS: usize = 1;

/// Builds polynomials; `w` is the variable times the factors that they ask for.
pub(super) fn build(graph: &mut Graph, name: &str, squares: &Squares, w: NodeId) -> Result<NodeId, PassError> {
    let products = |&shared: &usize| products(squares, shared).unwrap_or(usize::MAX);
    let shared = (1..=MOST_SHARED).min_by_key(products).expect("there is one at least");
    Ok(Building::of(graph, name, squares, w, shared)?.0)
}

/// Products that so many bits of shared ones lead to; too many where they share more than they may.
fn products(squares: &Squares, shared: usize) -> Result<usize, PassError> {
    let of_one = Squares {
        factors: vec![squares.factors[0]],
        offsets: vec![squares.offsets[0]],
        rests: squares.rests.iter().map(|channels| vec![channels[0].clone()]).collect(),
        ..*squares
    };
    let mut graph = Graph::default();
    let w = graph.input("w", Shape(vec![1]), BatchAxis::Absent);
    let (_, shared) = Building::of(&mut graph, "count", &of_one, w, shared)?;
    let all = graph.nodes().filter(|(_, node)| node.op == Op::Mul).count();
    Ok(if shared > MOST_SHARED_PRODUCTS { usize::MAX } else { all })
}

struct Building<'g> {
    graph: &'g mut Graph,
    name: &'g str,
    /// Sums of 2 to this many terms are made of shared products.
    shared: usize,
    /// v_0, v_1, … as far as they are built.
    values: Vec<NodeId>,
    /// B_j by j, each built once.
    products: BTreeMap<usize, NodeId>,
}

impl Basis for Building<'_> {
    fn graph(&mut self) -> (&mut Graph, &str) {
        (self.graph, self.name)
    }

    /// B_j: the product of the v_i whose bit is set in j.
    fn element(&mut self, j: usize) -> Result<NodeId, PassError> {
        let highest = j.ilog2() as usize;
        let rest = j - (1 << highest);
        if rest == 0 {
            return Ok(self.values[highest]);
        }
        if let Some(&known) = self.products.get(&j) {
            return Ok(known);
        }
        let rest = self.element(rest)?;
        let node = self.graph.add(self.name, Op::Mul, &[rest, self.values[highest]])?;
        self.products.insert(j, node);
        Ok(node)
    }
}

impl<'g> Building<'g> {
    /// The result, and how many products serve all quotients.
    fn of(
        graph: &'g mut Graph,
        name: &'g str,
        squares: &Squares,
        w: NodeId,
        shared: usize,
    ) -> Result<(NodeId, usize), PassError> {
        let first = add_offset(graph, name, w, &Coefficient::of_channels(squares.offsets.clone()))?;
        let mut building = Building { graph, name, shared, values: vec![first], products: BTreeMap::new() };
        let mut value = first;
        for (stage, rest) in squares.rests.iter().enumerate() {
            let coefficient = |j: usize| Coefficient::of_channels(rest.iter().map(|channel| channel[j]).collect());
            let coefficients: Vec<Coefficient> = (0..1 << stage).map(coefficient).collect();
            let square = building.graph.add(name, Op::Mul, &[value, value])?;
            let rest = building.sum(&coefficients)?;
            let is_subtracted = squares.is_subtracted && stage + 1 == squares.rests.len();
            let sum = match rest.node {
                Some(node) if is_subtracted => building.graph.add(name, Op::Sub, &[node, square])?,
                Some(node) => building.graph.add(name, Op::Add, &[square, node])?,
                None if is_subtracted => building.graph.add(name, Op::Scale(-1.0), &[square])?,
                None => square,
            };
            value = add_offset(building.graph, name, sum, &rest.offset)?;
            building.values.push(value);
        }
        Ok((value, building.products.len()))
    }

    /// `Σ b_j·B_j`.
    fn sum(&mut self, coefficients: &[Coefficient]) -> Result<Part, PassError> {
        let bits = coefficients.len().trailing_zeros() as usize;
        if bits <= self.shared {
            return combined(self, coefficients);
        }
        let (low, high) = coefficients.split_at(coefficients.len() / 2);
        let (rest, quotient) = (self.sum(low)?, self.sum(high)?);
        let value = self.values[bits - 1];
        let product = match quotient.node {
            None => times(self.graph, self.name, value, &quotient.offset)?,
            Some(node) => {
                let factor = add_offset(self.graph, self.name, node, &quotient.offset)?;
                self.graph.add(self.name, Op::Mul, &[factor, value])?
            }
        };
        let node = match rest.node {
            Some(node) => self.graph.add(self.name, Op::Add, &[product, node])?,
            None => product,
        };
        Ok(Part { node: Some(node), offset: rest.offset })
    }
}
