//! Terms in, depth out; and both sides evaluate alike.

use std::collections::BTreeMap;

use paf_ir::linear::{Bias, LinearMap, Primitive, Window};
use paf_ir::tensor::{BatchAxis, FUNCTIONS, Graph, Op, Output, Shape, Tensor, evaluate};
use paf_passes::PassError;
use paf_passes::approximate::{ApproximationOptions, Margin, Reduction, Scaling, approximate, component};
use paf_passes::decisions::Decisions;
use paf_passes::lower::{LowerOptions, Lowering};
use paf_passes::optimize::{depth, optimize};
use paf_passes::paf::Paf;
use paf_scheme::EngineProfile;

const SIZE: usize = 4;

fn dense(seed: u64) -> LinearMap {
    dense_to(SIZE, SIZE, seed)
}

fn dense_to(outputs: usize, inputs: usize, seed: u64) -> LinearMap {
    let data =
        (0..outputs * inputs).map(|i| ((i as u64 * 2_654_435_761 + seed * 97) % 1000) as f64 / 1000.0 - 0.5).collect();
    let weight = std::sync::Arc::new(Tensor::new(Shape(vec![outputs, inputs]), data));
    LinearMap::of(Primitive::Dense { weight, left: 1, right: 1 }, None)
}

fn options(paf: &str) -> ApproximationOptions {
    ApproximationOptions { margin: Margin::Fixed(1.1), ..ApproximationOptions::new(Paf::by_name(paf).unwrap()) }
}

/// The polynomial form of a network of ReLUs.
fn approximated(network: &Graph, paf: &str) -> Graph {
    approximate(network, &options(paf), &vec![]).unwrap().graph
}

fn output(graph: &mut Graph, node: paf_ir::tensor::NodeId) {
    graph.outputs = vec![Output { name: "y".into(), node }];
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
    let x = graph.input("x", Shape(vec![SIZE]), BatchAxis::Absent);
    let a = graph.linear("a", dense(1), x, Shape(vec![SIZE])).unwrap();
    let r = graph.add("r", Op::Relu, &[a]).unwrap();
    let b = graph.linear("b", dense(2), r, Shape(vec![SIZE])).unwrap();
    output(&mut graph, b);
    graph
}

/// Every degree of the published composites by itself, of a variable in \[−1, 1\]: the least levels, and the
/// fewest products known for them (degree 7 in 4 products would need a root of a cubic in its coefficients).
#[test]
fn components_reach_their_least_depth() {
    let expected = [
        ("alpha6", 0, 3, 2, 2),
        ("alpha4", 0, 5, 3, 3),
        ("alpha7", 0, 7, 3, 5),
        ("alpha5", 0, 13, 4, 7),
        ("alpha10", 2, 13, 4, 7),
        ("alpha9", 0, 15, 4, 8),
        ("alpha9", 1, 15, 4, 8),
        ("alpha11", 2, 27, 5, 10),
        ("alpha12", 2, 27, 5, 10),
        ("alpha13", 2, 27, 5, 10),
        ("alpha14", 1, 27, 5, 10),
        ("alpha14", 2, 29, 5, 11),
    ];
    for (paf, index, degree, levels, fewest) in expected {
        let paf = Paf::by_name(paf).unwrap();
        let polynomial = &paf.components()[index];
        assert_eq!(polynomial.degree, degree);
        let mut graph = Graph::default();
        let t = graph.input("t", Shape(vec![SIZE]), BatchAxis::Absent);
        let x = graph.add("x", Op::Scale(polynomial.domain), &[t]).unwrap();
        let y = component(&mut graph, "p", polynomial, x).unwrap();
        output(&mut graph, y);
        let optimized = check(&graph, levels);
        let count = products(&optimized);
        assert!(count <= fewest, "{} {index}, degree {degree}: {count} products\n{}", paf.name, optimized.to_text());
    }
}

#[test]
fn relu_reaches_its_least_depth_with_scales_folded() {
    // Levels: those of the components of least depth, ⌈log2(d+1)⌉ each, and one. Products: one more than the sum over the components.
    let expected = BTreeMap::from([
        ("alpha4", (4, None)),
        ("alpha5", (5, Some(8))),
        ("alpha6", (6, None)),
        ("alpha7", (7, Some(11))),
        ("alpha8", (8, None)),
        ("alpha10", (11, Some(18))),
        ("alpha13", (14, Some(27))),
        ("alpha14", (15, Some(30))),
        ("alpha15", (16, Some(37))),
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

/// Disjoint square windows of a plane.
fn windows(plane: usize, side: usize) -> Window {
    let mut window = Window {
        input: [1, plane, plane],
        kernel: [side, side],
        strides: [side, side],
        pads: [0; 4],
        dilations: [1, 1],
        output: [0, 0],
        count_include_pad: false,
    };
    window.output = window.floor_output();
    window
}

/// linear, then ReLUs (`r`) and pools (`p`) of a square window over a plane of 6×6, then linear.
fn rectified_pool(operations: &str, side: usize) -> Graph {
    let window = windows(6, side);
    let mut graph = Graph::default();
    let x = graph.input("x", Shape(vec![SIZE]), BatchAxis::Absent);
    let mut node = graph.linear("a", dense_to(36, SIZE, 1), x, Shape(vec![1, 6, 6])).unwrap();
    for operation in operations.chars() {
        let op = if operation == 'r' { Op::Relu } else { Op::MaxPool(window.clone()) };
        node = graph.add(operation.to_string(), op, &[node]).unwrap();
    }
    let pooled = window.output[0] * window.output[1];
    let y = graph.linear("b", dense_to(SIZE, pooled, 2), node, Shape(vec![SIZE])).unwrap();
    output(&mut graph, y);
    graph
}

/// Levels of a ReLU with alpha7, and its products.
const RELU: (u32, usize) = (7, 11);

#[test]
fn a_pool_round_costs_a_relu_each() {
    for (side, rounds) in [(2, 2), (3, 4)] {
        let optimized = check(&approximated(&rectified_pool("p", side), "alpha7"), 2 + rounds * RELU.0);
        assert_eq!(products(&optimized), rounds as usize * RELU.1, "{side}");
    }
}

/// All values of a window in one tree: eight comparisons of nine values instead of four, no deeper, and with a ReLU one more.
#[test]
fn a_tree_takes_as_many_rounds_as_its_window_needs() {
    let tree = |network: &Graph| {
        let options = ApproximationOptions { reduction: Reduction::Tree, ..options("alpha7") };
        approximate(network, &options, &vec![]).unwrap().graph
    };
    for (operations, side, depth, comparisons) in
        [("p", 2, 2, 3), ("p", 3, 4, 8), ("pr", 3, 4, 9), ("rp", 3, 4, 9), ("p", 5, 5, 24)]
    {
        let optimized = check(&tree(&rectified_pool(operations, side)), 2 + depth * RELU.0);
        assert_eq!(products(&optimized), comparisons * RELU.1, "{operations} {side}");
    }
    check(&approximated(&rectified_pool("p", 5), "alpha7"), 2 + 6 * RELU.0);
}

/// The inputs of a pool are within the scale, but the result of its first comparison is not: the PAF overshoots.
#[test]
fn a_given_scale_must_hold_the_comparisons_of_a_pool_too() {
    let mut graph = Graph::default();
    let x = graph.input("x", Shape(vec![1, 2, 2]), BatchAxis::Absent);
    let pool = graph.add("p", Op::MaxPool(windows(2, 2)), &[x]).unwrap();
    output(&mut graph, pool);
    let with_scale = |scale: f64, reduction: Reduction| {
        let mut per_node = Decisions::default();
        per_node.scales.insert("p".into(), Scaling::Uniform(scale));
        let default_paf = Paf::from_components("mine", vec![vec![1.2]]).unwrap();
        let options = ApproximationOptions { default_paf, per_node, reduction, ..options("alpha7") };
        approximate(&graph, &options, &vec![vec![vec![0.94, 0.0, 0.0, 0.0]]]).map(|_| ())
    };
    for reduction in [Reduction::Separable, Reduction::Tree] {
        let narrow = with_scale(1.0, reduction);
        assert!(matches!(&narrow, Err(PassError::OutOfRange { node, .. }) if node == "p"), "{narrow:?}");
        with_scale(1.05, reduction).unwrap();
    }
}

/// The two orders are one function and become one circuit: that of the cheaper form.
#[test]
fn relu_and_pool_take_the_cheaper_form_in_either_order() {
    // Comparisons in sequence, and all of them. Three taps leave room for the zero in two rounds, two taps do not.
    for (side, depth, comparisons) in [(2, 3, 3), (3, 4, 5)] {
        let [first, last] = ["rp", "pr"].map(|order| approximated(&rectified_pool(order, side), "alpha7"));
        assert_eq!(first.to_text(), last.to_text(), "{side}");
        let optimized = check(&first, 2 + depth * RELU.0);
        assert_eq!(products(&optimized), comparisons * RELU.1, "{side}");
    }
}

#[test]
fn relu_and_pool_stay_within_their_error() {
    let x: Vec<f64> = (0..SIZE).map(|i| 0.9 - 0.6 * i as f64).collect();
    let (rows, tree) = (Reduction::Separable, Reduction::Tree);
    for (operations, side, reduction) in
        [("rp", 2, rows), ("pr", 2, rows), ("rp", 3, rows), ("pr", 3, rows), ("pr", 2, tree), ("rp", 3, tree)]
    {
        let network = rectified_pool(operations, side);
        let options = ApproximationOptions { reduction, ..options("alpha10") };
        let approximated = approximate(&network, &options, &vec![]).unwrap();
        let expected = evaluate(&network, std::slice::from_ref(&x)).unwrap().remove(0);
        let got =
            evaluate(&approximated.graph, &[x.iter().map(|x| x * approximated.inputs[0].scale).collect()]).unwrap();
        let Op::Linear(map) = &network.node(network.outputs[0].node).op else { panic!("the output is linear") };
        let error: f64 = approximated.replaced.iter().map(|replaced| replaced.max_error).sum();
        for (row, (got, expected)) in got[0].iter().zip(&expected).enumerate() {
            let growth: f64 = map.matrix().row(row).map(|(_, weight)| weight.abs()).sum();
            let difference = (got * approximated.output_scales[0] - expected).abs();
            assert!(difference <= growth * error, "{operations} {side}: {got} instead of {expected}");
        }
    }
}

/// A ReLU, blocks of two ReLUs with a shortcut, and a last map.
fn residual_network(blocks: u64) -> Graph {
    let mut graph = Graph::default();
    let shape = Shape(vec![SIZE]);
    let x = graph.input("x", shape.clone(), BatchAxis::Absent);
    let a = graph.linear("a", dense(1), x, shape.clone()).unwrap();
    let mut r = graph.add("r0", Op::Relu, &[a]).unwrap();
    for block in 0..blocks {
        let b = graph.linear(format!("b{block}"), dense(2 + block), r, shape.clone()).unwrap();
        let q = graph.add(format!("q{block}"), Op::Relu, &[b]).unwrap();
        let c = graph.linear(format!("c{block}"), dense(7 + block), q, shape.clone()).unwrap();
        let sum = graph.add(format!("sum{block}"), Op::Add, &[c, r]).unwrap();
        r = graph.add(format!("r{}", block + 1), Op::Relu, &[sum]).unwrap();
    }
    let d = graph.linear("d", dense(11), r, shape).unwrap();
    output(&mut graph, d);
    graph
}

#[test]
fn residual_branches_meet_at_one_scale_for_free() {
    let optimized = check(&approximated(&residual_network(3), "alpha7"), 1 + 7 + 3 * (1 + 7 + 1 + 7) + 1);
    assert_eq!(products(&optimized), 7 * 11, "every ReLU is computed once, at one scale");
}

/// What a compilation takes without a clock: terms grow with the network and no faster, and saturation ends by itself.
#[test]
fn terms_grow_in_proportion_to_the_network() {
    let report = |blocks: u64| optimize(&approximated(&residual_network(blocks), "alpha10")).unwrap().1;
    // The ReLUs of ResNet-20 and ResNet-44.
    let (small, large) = (report(9), report(21));
    println!("{} and {} terms", small.terms, large.terms);
    assert_eq!((small.stopped.as_str(), large.stopped.as_str()), ("Saturated", "Saturated"));
    assert!(large.terms * 19 <= small.terms * 43 * 11 / 10, "{} and {} terms", small.terms, large.terms);
    assert!(large.terms < 50_000, "{} terms", large.terms);
}

/// linear, function, linear: range and scale fold into the maps, and a series of degree d costs ⌈log2(d+1)⌉.
#[test]
fn functions_reach_the_least_depth_of_their_degree() {
    for function in FUNCTIONS {
        let positive = !function.is_defined_on(-1.0, 1.0);
        let mut graph = Graph::default();
        let x = graph.input("x", Shape(vec![SIZE]), BatchAxis::Absent);
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

/// A factor for each element, and a bias.
fn by_element(factors: Option<[f64; SIZE]>, bias: Option<[f64; SIZE]>) -> LinearMap {
    let tensor = |values: [f64; SIZE]| std::sync::Arc::new(Tensor::new(Shape(vec![SIZE]), values.to_vec()));
    let diagonal = factors.map(|factors| Primitive::Diagonal { values: tensor(factors), repeat: 1, size: SIZE });
    let bias = bias.map(|bias| Bias { values: tensor(bias), repeat: 1 });
    LinearMap { factors: diagonal.into_iter().collect(), bias, ..LinearMap::identity(SIZE) }
}

const FACTORS: [f64; SIZE] = [0.5, -2.0, 1.5, 0.75];
const BIAS: [f64; SIZE] = [0.25, -0.5, 0.125, 1.0];

/// A network of maps, sums and products: `build` adds them to its input.
fn network(build: impl FnOnce(&mut Builder) -> paf_ir::tensor::NodeId) -> Graph {
    let mut builder = Builder { graph: Graph::default(), maps: 0 };
    builder.graph.input("x", Shape(vec![SIZE]), BatchAxis::Absent);
    let result = build(&mut builder);
    output(&mut builder.graph, result);
    builder.graph
}

struct Builder {
    graph: Graph,
    maps: u64,
}

type Node = paf_ir::tensor::NodeId;

impl Builder {
    const INPUT: Node = paf_ir::tensor::NodeId(0);

    fn layer(&mut self, x: Node) -> Node {
        self.maps += 1;
        self.graph.linear(format!("layer {}", self.maps), dense(self.maps), x, Shape(vec![SIZE])).unwrap()
    }

    fn affine(&mut self, factors: Option<[f64; SIZE]>, bias: Option<[f64; SIZE]>, x: Node) -> Node {
        self.graph.linear("affine", by_element(factors, bias), x, Shape(vec![SIZE])).unwrap()
    }

    fn pair(&mut self, op: Op, a: Node, b: Node) -> Node {
        self.graph.add(op.name(), op, &[a, b]).unwrap()
    }

    fn square(&mut self, x: Node) -> Node {
        self.pair(Op::Mul, x, x)
    }

    /// `a·x² + b·x + c`, as an exporter writes it.
    fn quadratic(&mut self, a: [f64; SIZE], b: [f64; SIZE], c: [f64; SIZE], x: Node) -> Node {
        let square = self.square(x);
        let (square, linear) = (self.affine(Some(a), None, square), self.affine(Some(b), None, x));
        let sum = self.pair(Op::Add, square, linear);
        self.affine(None, Some(c), sum)
    }
}

/// Factors and biases after sums, and how deep each network must be.
#[test]
fn constants_by_element_cost_no_level() {
    let (factors, bias) = (Some(FACTORS), Some(BIAS));
    for (factors, bias) in [(factors, None), (None, bias), (factors, bias)] {
        for op in [Op::Add, Op::Sub] {
            // Two layers and their sum: a layer, a square, a layer.
            let two_layers = network(|net| {
                let (a, b) = (net.layer(Builder::INPUT), net.layer(Builder::INPUT));
                let sum = net.pair(op.clone(), a, b);
                let x = net.affine(factors, bias, sum);
                let square = net.square(x);
                net.layer(square)
            });
            check(&two_layers, 3);
            // A layer beside a shortcut that has a level to spare.
            let shortcut = network(|net| {
                let x = net.layer(Builder::INPUT);
                let inner = net.square(x);
                let (y, x) = (net.layer(inner), net.square(x));
                let sum = net.pair(op.clone(), x, y);
                let x = net.affine(factors, bias, sum);
                let square = net.square(x);
                net.layer(square)
            });
            check(&shortcut, 5);
        }
    }
    // Nothing but products takes the bias: it is a plaintext.
    let products = network(|net| {
        let [a, b, c] = [(); 3].map(|()| net.layer(Builder::INPUT));
        let (ab, bc) = (net.pair(Op::Mul, a, b), net.pair(Op::Mul, b, c));
        let sum = net.pair(Op::Add, ab, bc);
        let x = net.affine(None, Some(BIAS), sum);
        let square = net.square(x);
        net.layer(square)
    });
    check(&products, 4);
}

/// Add, BatchNormalization, ReLU: no deeper than with the constants in the layers before the sum.
#[test]
fn a_normalized_sum_before_a_relu_costs_no_level() {
    let graph = network(|net| {
        let (a, b) = (net.layer(Builder::INPUT), net.layer(Builder::INPUT));
        let sum = net.pair(Op::Add, a, b);
        let x = net.affine(Some(FACTORS), Some(BIAS), sum);
        let relu = net.graph.add("relu", Op::Relu, &[x]).unwrap();
        net.layer(relu)
    });
    check(&approximated(&graph, "alpha7"), 2 + RELU.0);
}

/// A network on its way down, with these samples.
fn lowered(graph: &Graph, samples: Vec<Vec<Vec<f64>>>) -> Lowering {
    Lowering::new(graph.clone(), samples, LowerOptions::new(Paf::by_name("alpha7").unwrap(), EngineProfile::openfhe()))
}

const A: [f64; SIZE] = [0.5, -0.75, 0.25, -1.0];
const B: [f64; SIZE] = [1.0, 0.5, -0.25, 0.75];

/// Levels of the optimized network, which must compute what the given one does.
fn levels(graph: &Graph) -> u32 {
    let x: Vec<f64> = (0..SIZE).map(|i| i as f64 / SIZE as f64 - 0.4).collect();
    let mut lowering = lowered(graph, vec![vec![x.clone()]]);
    let levels = lowering.optimize().unwrap().report.levels_after;
    let (optimized, polynomial) = (&lowering.optimized.as_ref().unwrap().graph, lowering.polynomial.as_ref().unwrap());
    let scale = polynomial.approximated.inputs[0].scale;
    let expected = evaluate(graph, std::slice::from_ref(&x)).unwrap();
    let got = evaluate(optimized, &[x.iter().map(|x| x * scale).collect()]).unwrap();
    let largest = expected[0].iter().fold(0.0f64, |largest, value| value.abs().max(largest));
    for (expected, got) in expected[0].iter().zip(&got[0]) {
        let got = got * polynomial.approximated.output_scales[0];
        assert!((expected - got).abs() < 1e-9 * largest, "{got} instead of {expected}\n{}", optimized.to_text());
    }
    assert_eq!(depth(optimized), levels);
    levels
}

/// Chains and residual blocks of quadratic polynomials: a level for each layer and each polynomial.
#[test]
fn a_quadratic_polynomial_is_one_square() {
    let chain = network(|net| {
        let mut x = net.layer(Builder::INPUT);
        for _ in 0..3 {
            x = net.quadratic(A, B, BIAS, x);
            x = net.layer(x);
        }
        x
    });
    assert_eq!(levels(&chain), 1 + 3 * 2);
    let after_sums = network(|net| {
        let first = net.layer(Builder::INPUT);
        let mut y = net.quadratic(A, B, BIAS, first);
        for _ in 0..3 {
            let x = net.layer(y);
            let sum = net.pair(Op::Add, x, y);
            y = net.quadratic(A, B, BIAS, sum);
        }
        net.layer(y)
    });
    assert_eq!(levels(&after_sums), 2 + 3 * 2 + 1);
    // The sum goes on beside the polynomial.
    let before_sums = network(|net| {
        let mut x = net.layer(Builder::INPUT);
        for _ in 0..3 {
            let y = net.quadratic(A, B, BIAS, x);
            let y = net.layer(y);
            x = net.pair(Op::Add, x, y);
        }
        net.layer(x)
    });
    assert_eq!(levels(&before_sums), 1 + 3 * 2 + 1);
}

/// Squares, Horner's rule, factors taken out: whatever is written, one square comes out.
#[test]
fn writings_of_a_polynomial_take_the_same_levels() {
    let with = |polynomial: fn(&mut Builder, Node) -> Node| {
        network(|net| {
            let (a, b) = (net.layer(Builder::INPUT), net.layer(Builder::INPUT));
            let sum = net.pair(Op::Add, a, b);
            let y = polynomial(net, sum);
            net.layer(y)
        })
    };
    let writings: [fn(&mut Builder, Node) -> Node; 4] = [
        |net, x| net.quadratic(A, B, BIAS, x),
        |net, x| {
            let inner = net.affine(Some(A), Some(B), x);
            let product = net.pair(Op::Mul, inner, x);
            net.affine(None, Some(BIAS), product)
        },
        |net, x| {
            let y = net.quadratic([1.0; SIZE], B, BIAS, x);
            net.affine(Some(A), None, y)
        },
        |net, x| {
            let base = net.affine(Some(A), Some(B), x);
            let square = net.square(base);
            net.pair(Op::Sub, x, square)
        },
    ];
    for polynomial in writings {
        let graph = with(polynomial);
        assert_eq!(levels(&graph), 3);
        let mut lowering = lowered(&graph, vec![]);
        assert_eq!(products(&lowering.optimize().unwrap().graph), 1);
    }
}

/// Where a coefficient is tiny, the square would be far larger than the polynomial.
#[test]
fn a_square_that_would_cancel_is_left_as_it_is() {
    let with = |smallest: f64| {
        network(|net| {
            let x = net.layer(Builder::INPUT);
            let y = net.quadratic([1.0, smallest, -1.0, 0.5], B, BIAS, x);
            net.layer(y)
        })
    };
    assert_eq!(levels(&with(0.1)), 3);
    for smallest in [1e-6, 0.0] {
        assert!(levels(&with(smallest)) > 3);
    }
}
