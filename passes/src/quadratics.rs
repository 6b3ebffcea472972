//! `quadratics`: polynomials of degree 2 become squares, which take one level.
//!
//! Needs: a folded graph. Then holds: the graph computes the same function; a sum of x·x, x and 1 with constants, one for all
//! elements or by channel, is one square where that keeps its precision.
//!
//! ```text
//! a·x² + b·x + c    becomes    a·(x + b/2a)² + (c − b²/4a)
//! after layers that take a factor          ±(√|a|·x ± b/2√|a|)² + (c − b²/4a)
//! ```
//!
//! What stands behind the square goes into the layers behind, what stands before it into those before; the optimizer moves it
//! there. With √|a| all channels are in the units of the result, so the second form loses nothing where a differs between
//! channels; the first one asks nothing of the layers before, and is taken where something else reads x.

use std::collections::{BTreeMap, BTreeSet};

use paf_ir::tensor::{Graph, GraphEvaluator, Node, NodeId, Op};

use crate::coefficients::{Coefficients, affine};
use crate::error::PassError;
use crate::fold::fold;

/// How many times larger than the result a square may be: so much of the precision is lost when its constant is taken off
/// again, four bits.
const MOST_CANCELLED: f64 = 16.0;

/// Folds an imported network: linear operations melt into each other, and quadratic polynomials become squares unless those
/// cancel too much on the samples.
///
/// # Errors
/// [`PassError::Ir`] for a graph that was not verified, or a sample that does not fit it.
pub(crate) fn folded(graph: &Graph, samples: impl FnOnce() -> Vec<Vec<Vec<f64>>>) -> Result<Graph, PassError> {
    complete_squares(&fold(graph)?, samples)
}

fn complete_squares(graph: &Graph, samples: impl FnOnce() -> Vec<Vec<Vec<f64>>>) -> Result<Graph, PassError> {
    let mut squares = squares(graph);
    if squares.is_empty() {
        return Ok(graph.clone());
    }
    let completed = Completed::new(graph, &squares)?;
    let reach = GraphEvaluator::new(&completed.graph).largest_magnitudes(&samples())?;
    squares.retain(|root, square| {
        let (of_square, of_result) = completed.places[root];
        let (of_square, of_result) = (reach[of_square.index()], reach[of_result.index()]);
        square.largest_factor() * of_square <= MOST_CANCELLED * of_result
    });
    fold(&Completed::new(graph, &squares)?.graph)
}

/// A polynomial of a node's elements, terms by ascending degree: two of them, or three.
#[derive(Debug, Clone)]
struct Polynomial {
    variable: NodeId,
    terms: Vec<Coefficients>,
}

impl Polynomial {
    fn variable(variable: NodeId) -> Self {
        Polynomial { variable, terms: vec![Coefficients::uniform(0.0), Coefficients::uniform(1.0)] }
    }

    fn degree(&self) -> usize {
        self.terms.len() - 1
    }

    /// `factors · p + offsets`.
    fn affine(&self, factors: &Coefficients, offsets: &Coefficients) -> Self {
        let mut terms: Vec<Coefficients> = self.terms.iter().map(|term| term.times(factors)).collect();
        terms[0] = terms[0].plus(offsets);
        Polynomial { terms, ..*self }
    }

    /// `p + sign · q`.
    fn plus(&self, other: &Self, sign: f64) -> Self {
        let zero = Coefficients::uniform(0.0);
        let of = |terms: &[Coefficients], degree: usize| terms.get(degree).unwrap_or(&zero).clone();
        let term = |degree| of(&self.terms, degree).plus(&of(&other.terms, degree).map(|term| sign * term));
        Polynomial { terms: (0..self.terms.len().max(other.terms.len())).map(term).collect(), ..*self }
    }

    /// `p · q`; `None` for a degree above 2.
    fn times(&self, other: &Self) -> Option<Self> {
        let ([a0, a1], [b0, b1]) = (&self.terms[..], &other.terms[..]) else { return None };
        let middle = a0.times(b1).plus(&a1.times(b0));
        Some(Polynomial { terms: vec![a0.times(b0), middle, a1.times(b1)], ..*self })
    }
}

/// Every node as a polynomial of an earlier one, where it is one.
struct Polynomials {
    readers: Vec<usize>,
    known: Vec<Option<Polynomial>>,
}

impl Polynomials {
    fn new(graph: &Graph) -> Self {
        let readers = readers(graph, |id| graph.node(id).inputs.clone());
        let mut polynomials = Polynomials { readers, known: Vec::with_capacity(graph.len()) };
        for (_, node) in graph.nodes() {
            let polynomial = polynomials.of(node);
            polynomials.known.push(polynomial);
        }
        polynomials
    }

    /// What an operand is: a polynomial if nothing else reads it, and the variable of one in any case.
    fn forms(&self, operand: NodeId) -> Vec<Polynomial> {
        let known = self.known[operand.index()].clone().filter(|_| self.readers[operand.index()] == 1);
        known.into_iter().chain([Polynomial::variable(operand)]).collect()
    }

    fn of(&self, node: &Node) -> Option<Polynomial> {
        let (zero, one) = (Coefficients::uniform(0.0), Coefficients::uniform(1.0));
        let operand = || self.forms(node.inputs[0]).swap_remove(0);
        match &node.op {
            Op::Reshape => Some(operand()),
            Op::Scale(c) => Some(operand().affine(&Coefficients::uniform(*c), &zero)),
            Op::AddConstant(c) => Some(operand().affine(&one, &Coefficients::uniform(*c))),
            Op::Linear(map) => Some(operand().affine(&Coefficients::of_diagonals(map)?, &Coefficients::of_bias(map))),
            Op::Add => self.of_pair(node, |a, b| Some(a.plus(b, 1.0))),
            Op::Sub => self.of_pair(node, |a, b| Some(a.plus(b, -1.0))),
            Op::Mul => self.of_pair(node, Polynomial::times),
            _ => None,
        }
    }

    /// The first combination of what both operands are that is a polynomial of one variable.
    fn of_pair(
        &self,
        node: &Node,
        combine: impl Fn(&Polynomial, &Polynomial) -> Option<Polynomial>,
    ) -> Option<Polynomial> {
        let [left, right] = [0, 1].map(|operand| self.forms(node.inputs[operand]));
        let pairs = left.iter().flat_map(|a| right.iter().map(move |b| (a, b)));
        pairs.filter(|(a, b)| a.variable == b.variable).find_map(|(a, b)| combine(a, b))
    }

    /// The polynomial of degree 2 that a node is, if it has a square to complete.
    fn quadratic(&self, id: NodeId) -> Option<&Polynomial> {
        let polynomial = self.known[id.index()].as_ref().filter(|polynomial| polynomial.degree() == 2)?;
        let [_, b, a] = &polynomial.terms[..] else { return None };
        (b.as_uniform() != Some(0.0) && !a.values().contains(&0.0)).then_some(polynomial)
    }

    /// Whether a node is part of a larger polynomial.
    fn is_part(&self, id: NodeId, consumers: &[Vec<NodeId>]) -> bool {
        let variable = self.known[id.index()].as_ref().map(|polynomial| polynomial.variable);
        let is_larger = |&reader: &NodeId| self.quadratic(reader).map(|polynomial| polynomial.variable) == variable;
        self.readers[id.index()] == 1 && consumers[id.index()].iter().all(is_larger)
    }
}

/// How many nodes and outputs read each node, of those that reach an output; `operands` says what a node reads.
fn readers(graph: &Graph, operands: impl Fn(NodeId) -> Vec<NodeId>) -> Vec<usize> {
    let mut readers = vec![0; graph.len()];
    graph.outputs.iter().for_each(|output| readers[output.node.index()] += 1);
    for id in (0..graph.len() as u32).rev().map(NodeId) {
        if readers[id.index()] > 0 {
            let operands: BTreeSet<NodeId> = operands(id).into_iter().collect();
            operands.into_iter().for_each(|operand| readers[operand.index()] += 1);
        }
    }
    readers
}

/// A square to complete.
#[derive(Debug, Clone)]
struct Square {
    variable: NodeId,
    /// Before the square: factors and offsets of the variable.
    before: [Coefficients; 2],
    /// Behind it.
    behind: [Coefficients; 2],
}

impl Square {
    fn new(polynomial: &Polynomial, balanced: bool) -> Self {
        let [c, b, a] = &polynomial.terms[..] else { unreachable!("a quadratic has three terms") };
        let middle = b.zip(a, |b, a| b / (2.0 * a));
        let rest = c.plus(&b.zip(a, |b, a| -b * b / (4.0 * a)));
        let factors = if balanced { a.map(|a| a.abs().sqrt()) } else { Coefficients::uniform(1.0) };
        let left = if balanced { a.map(f64::signum) } else { a.clone() };
        let offsets = middle.times(&factors);
        Square { variable: polynomial.variable, before: [factors, offsets], behind: [left, rest] }
    }

    fn largest_factor(&self) -> f64 {
        self.behind[0].values().iter().fold(0.0, |largest, factor| factor.abs().max(largest))
    }
}

/// The squares to complete, by the node that each becomes.
fn squares(graph: &Graph) -> BTreeMap<NodeId, Square> {
    let (polynomials, consumers) = (Polynomials::new(graph), graph.consumers());
    let is_root = |&(id, _): &(NodeId, &Node)| !polynomials.is_part(id, &consumers);
    let roots: BTreeMap<NodeId, &Polynomial> =
        graph.nodes().filter(is_root).filter_map(|(id, _)| Some((id, polynomials.quadratic(id)?))).collect();
    let before = Before::new(graph, &roots);
    let square = |(&id, polynomial): (&NodeId, &&Polynomial)| {
        (id, Square::new(polynomial, before.is_single(polynomial.variable) && before.takes_factor(polynomial.variable)))
    };
    roots.iter().map(square).collect()
}

/// The layers before the squares.
struct Before<'g> {
    graph: &'g Graph,
    readers: Vec<usize>,
    depths: Vec<u32>,
}

impl<'g> Before<'g> {
    fn new(graph: &'g Graph, roots: &BTreeMap<NodeId, &Polynomial>) -> Self {
        let operands = |id: NodeId| match roots.get(&id) {
            Some(polynomial) => vec![polynomial.variable],
            None => graph.node(id).inputs.clone(),
        };
        let mut depths: Vec<u32> = Vec::with_capacity(graph.len());
        for (id, node) in graph.nodes() {
            let deepest = operands(id).iter().map(|operand| depths[operand.index()]).max().unwrap_or(0);
            depths.push(deepest + u32::from(roots.contains_key(&id) || takes_level(node)));
        }
        let readers = readers(graph, operands);
        Before { graph, readers, depths }
    }

    fn is_single(&self, id: NodeId) -> bool {
        self.readers[id.index()] == 1
    }

    /// Whether a factor of a value that nothing else reads costs no level: it goes into the weights of a layer, and other
    /// addends have a level to spare.
    fn takes_factor(&self, id: NodeId) -> bool {
        let node = self.graph.node(id);
        let of_operand = |operand: usize| {
            let operand = node.inputs[operand];
            self.is_single(operand) && self.takes_factor(operand)
        };
        match &node.op {
            Op::Linear(map) => map.as_view().is_none(),
            Op::Scale(_) => true,
            Op::AddConstant(_) | Op::Reshape => of_operand(0),
            Op::Add | Op::Sub => {
                let spares = |operand: usize| self.depths[node.inputs[operand].index()] < self.depths[id.index()];
                (of_operand(0) && (of_operand(1) || spares(1))) || (of_operand(1) && spares(0))
            }
            _ => false,
        }
    }
}

/// Whether a node of a folded graph takes a level at least.
fn takes_level(node: &Node) -> bool {
    match &node.op {
        Op::Linear(map) => map.as_view().is_none() && Coefficients::of_diagonals(map).is_none(),
        Op::Mul | Op::Relu | Op::MaxPool(_) | Op::Function(_) => true,
        _ => false,
    }
}

/// A graph with squares in the place of polynomials.
struct Completed {
    graph: Graph,
    /// The square and the result for each node that became one.
    places: BTreeMap<NodeId, (NodeId, NodeId)>,
}

impl Completed {
    fn new(source: &Graph, squares: &BTreeMap<NodeId, Square>) -> Result<Self, PassError> {
        let (mut images, mut places) = (Vec::with_capacity(source.len()), BTreeMap::new());
        let graph = source.rebuilt(|result, id, node, inputs| {
            let image = match squares.get(&id) {
                Some(square) => {
                    let variable = images[square.variable.index()];
                    let place = completed(result, node, square, variable)?;
                    places.insert(id, place);
                    place.1
                }
                None => result.copy(source, id, inputs)?,
            };
            images.push(image);
            Ok::<_, PassError>(image)
        })?;
        Ok(Completed { graph, places })
    }
}

/// Adds the square and the result in the place of a node.
fn completed(graph: &mut Graph, node: &Node, square: &Square, variable: NodeId) -> Result<(NodeId, NodeId), PassError> {
    let base = add_affine(graph, &node.name, &square.before, variable)?;
    let squared = graph.add(node.name.clone(), Op::Mul, &[base, base])?;
    let result = add_affine(graph, &node.name, &square.behind, squared)?;
    if graph.node(result).shape == node.shape {
        return Ok((squared, result));
    }
    Ok((squared, graph.reshape(node.name.clone(), result, node.shape.clone())?))
}

/// `factors · x + offsets`.
fn add_affine(
    graph: &mut Graph,
    name: &str,
    [factors, offsets]: &[Coefficients; 2],
    x: NodeId,
) -> Result<NodeId, PassError> {
    let (Some(factor), Some(offset)) = (factors.as_uniform(), offsets.as_uniform()) else {
        let shape = graph.node(x).shape.clone();
        return Ok(graph.linear(name, affine(factors, offsets, shape.size()), x, shape)?);
    };
    let scaled = if factor == 1.0 { x } else { graph.add(name, Op::Scale(factor), &[x])? };
    Ok(if offset == 0.0 { scaled } else { graph.add(name, Op::AddConstant(offset), &[scaled])? })
}
