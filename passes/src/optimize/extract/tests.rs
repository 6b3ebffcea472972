//! Extraction against egg's own, which prices a shared term at each of its uses.

use std::time::Duration;

use egg::{CostFunction, Extractor, RecExpr, Runner, SimpleScheduler};
use paf_ir::linear::{LinearMap, Primitive};
use paf_ir::tensor::{self, BatchAxis, Op, Output, Shape, Tensor};

use super::*;
use crate::optimize::{Constants, Encoder, ROUND_LIMIT, TERM_LIMIT, rules};

/// The same costs, summed over the tree. Arithmetic on constants is never extracted.
struct TreeCost;

impl CostFunction<Term> for TreeCost {
    type Cost = (u32, u64);

    fn cost<C: FnMut(Id) -> Self::Cost>(&mut self, term: &Term, mut costs: C) -> Self::Cost {
        let folded = if parts(term).is_none() { u64::MAX / 2 } else { 0 };
        let below: Vec<Self::Cost> = term.children().iter().map(|child| costs(*child)).collect();
        let depth = below.iter().map(|cost| cost.0).max().unwrap_or(0) + levels(term);
        let weight = below.iter().fold(folded + own_weight(term), |sum, cost| sum.saturating_add(cost.1));
        (depth, weight)
    }
}

/// The weight of a term of graphs whose constants are numbers.
fn own_weight(term: &Term) -> u64 {
    weight(term, |_| false)
}

fn saturated(graph: &tensor::Graph) -> (Graph, Id) {
    let mut encoder = Encoder::new(graph);
    let root = encoder.encode().unwrap();
    let runner = Runner::<_, _, ()>::new(Constants::default())
        .with_egraph(encoder.egraph)
        .with_scheduler(SimpleScheduler)
        .with_node_limit(TERM_LIMIT)
        .with_iter_limit(ROUND_LIMIT)
        .with_time_limit(Duration::MAX)
        .run(&rules::rules());
    (runner.egraph, root)
}

/// Depth and weight of an extracted graph, every term once.
fn cost_of(expression: &RecExpr<Term>) -> Cost {
    let terms: &[Term] = expression.as_ref();
    let mut depths: Vec<u32> = Vec::with_capacity(terms.len());
    for term in terms {
        let operands = term.children().iter().map(|child| depths[usize::from(*child)]).max().unwrap_or(0);
        depths.push(operands + levels(term));
    }
    Cost { depth: depths[terms.len() - 1], weight: terms.iter().map(own_weight).sum() }
}

fn ours(egraph: &Graph, root: Id) -> Cost {
    let extraction = Extraction::new(egraph, root).unwrap();
    let mut depths: BTreeMap<Id, u32> = BTreeMap::new();
    let mut total = 0;
    for &id in extraction.order() {
        let term = extraction.term(id);
        let operands = term.children().iter().filter_map(|child| depths.get(&egraph.find(*child))).max();
        depths.insert(id, operands.copied().unwrap_or(0) + levels(term));
        total += own_weight(term);
    }
    Cost { depth: depths[&egraph.find(root)], weight: total }
}

/// `x·z`, `y·z` and `x·z + y·z`, all three needed. The sum's own tree is cheapest as `(x + y)·z`, one product instead of
/// two; but both products are there, and the sum of them costs nothing.
fn products_and_their_sum() -> tensor::Graph {
    let mut graph = tensor::Graph::default();
    let shape = Shape(vec![2]);
    let [x, y, z] = ["x", "y", "z"].map(|name| graph.input(name, shape.clone(), BatchAxis::Absent));
    let a = graph.add("a", Op::Mul, &[x, z]).unwrap();
    let b = graph.add("b", Op::Mul, &[y, z]).unwrap();
    let sum = graph.add("sum", Op::Add, &[a, b]).unwrap();
    let output = |node| Output { name: "out".into(), node };
    graph.outputs = [a, b, sum].map(output).to_vec();
    graph
}

/// Two maps that read a value and half of it: their trees are cheapest with one scale each, one scale serves both.
fn maps_of_one_value() -> tensor::Graph {
    let mut graph = tensor::Graph::default();
    let shape = Shape(vec![2]);
    let map = |seed: f64| {
        let weight = std::sync::Arc::new(Tensor::new(Shape(vec![2, 2]), vec![seed, 0.5, -1.0, 0.25]));
        LinearMap::of(Primitive::Dense { weight, left: 1, right: 1 }, None)
    };
    let x = graph.input("x", shape.clone(), BatchAxis::Absent);
    let y = graph.linear("m", map(2.0), x, shape.clone()).unwrap();
    let half = graph.add("half", Op::Scale(0.5), &[y]).unwrap();
    let square = graph.add("square", Op::Mul, &[half, half]).unwrap();
    let read = graph.linear("n", map(3.0), y, shape).unwrap();
    let output = |node| Output { name: "out".into(), node };
    graph.outputs = [square, read].map(output).to_vec();
    graph
}

#[test]
fn a_tree_cost_computes_what_is_shared_anew() {
    let products = |terms: &[Term]| terms.iter().filter(|term| matches!(term, Term::Mul(_))).count();
    let (egraph, root) = saturated(&products_and_their_sum());
    let (_, expression) = Extractor::new(&egraph, TreeCost).find_best(root);
    assert_eq!(products(expression.as_ref()), 3, "{expression}");
    let extraction = Extraction::new(&egraph, root).unwrap();
    let chosen: Vec<Term> = extraction.order().iter().map(|id| extraction.term(*id).clone()).collect();
    assert_eq!(products(&chosen), 2, "{chosen:?}");
    let (tree, ours) = (cost_of(&expression), ours(&egraph, root));
    assert_eq!(tree.depth, ours.depth);
    assert!(ours.weight < tree.weight, "{ours:?}, by a tree cost {tree:?}");
}

#[test]
fn readers_of_one_value_agree_on_one_scale() {
    let (egraph, root) = saturated(&maps_of_one_value());
    let (_, expression) = Extractor::new(&egraph, TreeCost).find_best(root);
    let (tree, ours) = (cost_of(&expression), ours(&egraph, root));
    assert!(ours < tree, "{ours:?}, by a tree cost {tree:?}\n{expression}");
}
