//! Terms in, depth out; and both sides evaluate alike.

use std::collections::BTreeMap;

use paf_ir::linear::{LinearMap, Primitive};
use paf_ir::tensor::{FUNCTIONS, Graph, Op, Output, PostProcess, Shape, Tensor, evaluate};
use paf_passes::approximate::{Options, approximate};
use paf_passes::optimize::{depth, optimize};
use paf_passes::paf::Paf;

const SIZE: usize = 4;

fn dense(seed: u64) -> LinearMap {
    let data =
        (0..SIZE * SIZE).map(|i| ((i as u64 * 2_654_435_761 + seed * 97) % 1000) as f64 / 1000.0 - 0.5).collect();
    let weight = std::sync::Arc::new(Tensor::new(Shape(vec![SIZE, SIZE]), data));
    LinearMap::of(Primitive::Dense { weight, left: 1, right: 1 }, None)
}

fn options(paf: &str) -> Options {
    Options {
        default_paf: Paf::by_name(paf).unwrap(),
        per_node: Default::default(),
        margin: 1.1,
        input_range: (-1.0, 1.0),
        function_error: 1e-3,
    }
}

/// The polynomial form of a network of ReLUs.
fn approximated(network: &Graph, paf: &str) -> Graph {
    approximate(network, &options(paf), &vec![]).unwrap().graph
}

fn output(graph: &mut Graph, node: paf_ir::tensor::NodeId) {
    graph.outputs = vec![Output { name: "y".into(), node, post: PostProcess::None }];
}

fn check(polynomial: &Graph, expected_depth: u32) -> Graph {
    let (optimized, report) = optimize(polynomial).unwrap();
    let x: Vec<f64> = (0..SIZE).map(|i| i as f64 / SIZE as f64 - 0.4).collect();
    let (before, after) =
        (evaluate(polynomial, std::slice::from_ref(&x)).unwrap(), evaluate(&optimized, &[x]).unwrap());
    for (a, b) in before[0].iter().zip(&after[0]) {
        assert!((a - b).abs() < 1e-9, "before {a}, after {b}");
    }
    assert_eq!(depth(&optimized), expected_depth, "{report:?}\n{}", optimized.to_text());
    optimized
}

fn products(graph: &Graph) -> usize {
    graph.nodes().filter(|(_, node)| node.op == Op::Mul).count()
}

/// linear, ReLU, linear: both scales fold, so the depth is that of the ReLU and the two maps.
fn one_relu() -> Graph {
    let mut graph = Graph::default();
    let x = graph.input("x", Shape(vec![SIZE]), false);
    let a = graph.linear("a", dense(1), x, Shape(vec![SIZE])).unwrap();
    let r = graph.add("r", Op::Relu, &[a]).unwrap();
    let b = graph.linear("b", dense(2), r, Shape(vec![SIZE])).unwrap();
    output(&mut graph, b);
    graph
}

#[test]
fn relu_reaches_its_least_depth_with_scales_folded() {
    // Levels of ReLU: smartpaf.md 1.4 and section 6; products: one more than the sum over the components.
    let expected = BTreeMap::from([
        ("alpha4", (4, None)),
        ("alpha5", (5, Some(8))),
        ("alpha6", (6, None)),
        ("alpha7", (7, Some(11))),
        ("alpha8", (8, None)),
        ("alpha10", (11, Some(18))),
        ("alpha13", (14, Some(27))),
        ("alpha14", (15, Some(30))),
        ("f1_g2.smartpaf", (6, None)),
        ("f2_g2.cheon", (7, None)),
        ("f2_g3.cheon", (7, None)),
        ("f1sq_g1sq.cheon", (9, Some(9))),
    ]);
    for (paf, (levels, product_count)) in expected {
        let optimized = check(&approximated(&one_relu(), paf), levels + 2);
        if let Some(count) = product_count {
            assert_eq!(products(&optimized), count, "{paf}: {}", optimized.to_text());
        }
    }
}

#[test]
fn a_pool_round_costs_a_relu_each() {
    let mut graph = Graph::default();
    let x = graph.input("x", Shape(vec![1, 2, 2]), false);
    let a = graph.linear("a", dense(1), x, Shape(vec![1, 2, 2])).unwrap();
    let mut window = paf_ir::linear::Window {
        input: [1, 2, 2],
        kernel: [2, 2],
        strides: [2, 2],
        pads: [0; 4],
        dilations: [1, 1],
        output: [1, 1],
        count_include_pad: false,
    };
    window.output = window.floor_output();
    let r = graph.add("r", Op::Relu, &[a]).unwrap();
    let p = graph.add("p", Op::MaxPool(window), &[r]).unwrap();
    output(&mut graph, p);
    let optimized = check(&approximated(&graph, "alpha7"), 1 + 7 + 14);
    assert_eq!(products(&optimized), 3 * 11);
}

#[test]
fn residual_branches_meet_at_one_scale_for_free() {
    let mut graph = Graph::default();
    let shape = Shape(vec![SIZE]);
    let x = graph.input("x", shape.clone(), false);
    let a = graph.linear("a", dense(1), x, shape.clone()).unwrap();
    let mut r = graph.add("r0", Op::Relu, &[a]).unwrap();
    for block in 0..3 {
        let b = graph.linear(format!("b{block}"), dense(2 + block), r, shape.clone()).unwrap();
        let q = graph.add(format!("q{block}"), Op::Relu, &[b]).unwrap();
        let c = graph.linear(format!("c{block}"), dense(7 + block), q, shape.clone()).unwrap();
        let sum = graph.add(format!("sum{block}"), Op::Add, &[c, r]).unwrap();
        r = graph.add(format!("r{}", block + 1), Op::Relu, &[sum]).unwrap();
    }
    let d = graph.linear("d", dense(11), r, shape).unwrap();
    output(&mut graph, d);
    let optimized = check(&approximated(&graph, "alpha7"), 1 + 7 + 3 * (1 + 7 + 1 + 7) + 1);
    assert_eq!(products(&optimized), 7 * 11, "every ReLU is computed once, at one scale");
}

/// linear, function, linear: range and scale fold into the maps, and a series of degree d costs ⌈log2(d+1)⌉.
#[test]
fn functions_reach_the_least_depth_of_their_degree() {
    for function in FUNCTIONS {
        let positive = !function.is_defined_on(-1.0, 1.0);
        let mut graph = Graph::default();
        let x = graph.input("x", Shape(vec![SIZE]), false);
        let mut a = graph.linear("a", dense(1), x, Shape(vec![SIZE])).unwrap();
        if positive {
            a = graph.add("a", Op::AddConstant(3.0), &[a]).unwrap();
        }
        let f = graph.add("f", Op::Function(function), &[a]).unwrap();
        let b = graph.linear("b", dense(2), f, Shape(vec![SIZE])).unwrap();
        output(&mut graph, b);
        let approximated = approximate(&graph, &options("alpha7"), &vec![]).unwrap();
        let degree: u32 = approximated.replaced[0].paf.strip_prefix("chebyshev").unwrap().parse().unwrap();
        check(&approximated.graph, 2 + (degree + 1).next_power_of_two().trailing_zeros());
    }
}
