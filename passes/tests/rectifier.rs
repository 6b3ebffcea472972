//! Polynomials of |x| and of ReLU: minimax, fitted, and as circuits of least depth.

use std::sync::Arc;

use paf_ir::LinearMap;
use paf_ir::linear::{Bias, Primitive};
use paf_ir::random::SplitMix64;
use paf_ir::tensor::{BatchAxis, Graph, Op, Output, Shape, Tensor, evaluate};
use paf_passes::approximate::{Approximated, ApproximationOptions, Margin, approximate};
use paf_passes::fold::fold;
use paf_passes::optimize::optimize;
use paf_passes::paf::{Arguments, NoSuchPaf, Paf, Rectifier, Symmetry};

/// Name, degree of the even polynomial, and levels.
const FAMILIES: [(&str, usize, usize); 19] = [
    ("abs2", 2, 1),
    ("abs4", 4, 2),
    ("abs6", 6, 3),
    ("abs8", 8, 3),
    ("abs14", 14, 4),
    ("abs16", 16, 4),
    ("abs30", 30, 5),
    ("abs32", 32, 5),
    ("abs62", 62, 6),
    ("abs126", 126, 7),
    ("relu2", 2, 1),
    ("relu4", 4, 2),
    ("relu7", 6, 3),
    ("relu8", 8, 3),
    ("relu15", 14, 4),
    ("relu16", 16, 4),
    ("relu31", 30, 5),
    ("relu32", 32, 5),
    ("relu63", 62, 6),
];

fn rectifier(name: &str) -> Rectifier {
    Paf::by_name(name).unwrap().rectifier().unwrap_or_else(|| panic!("{name} is no polynomial of ReLU")).clone()
}

/// Chebyshev's theorem: an even polynomial with d/2 + 1 coefficients is best where the error alternates on d/2 + 2 points of
/// [0, 1]; and Bernstein's constant for |x|.
#[test]
fn minimax_errors_alternate_and_are_bernsteins() {
    for (name, degree, _) in FAMILIES {
        let polynomial = rectifier(name);
        let error = |u: f64| polynomial.eval(0, u) - u.max(0.0);
        let largest = Paf::by_name(name).unwrap().max_relu_error();
        let product = 2.0 * largest * degree as f64;
        assert!((product / 0.2801694990 - 1.0).abs() < 0.12, "{name}: {product}");
        let (mut extremes, mut sign) = (0, 0.0);
        for k in 0..=200_000 {
            let e = error(f64::from(k) / 200_000.0);
            if e.abs() > 0.9995 * largest && e.signum() != sign {
                (extremes, sign) = (extremes + 1, e.signum());
            }
        }
        assert_eq!(extremes, degree / 2 + 2, "{name}");
        assert!(
            (0..=100).all(|k| (error(f64::from(k) / 100.0) - error(-f64::from(k) / 100.0)).abs() < 1e-12),
            "{name}"
        );
    }
}

/// Values of two channels: one about zero, one mostly above it.
fn arguments() -> Arguments {
    let mut random = SplitMix64::new(5);
    let mut arguments = Arguments::none(&[2.0, 1.0]);
    for (channel, middle) in [(0, 0.0), (1, 0.4)] {
        let values: Vec<f64> =
            (0..20_000).map(|_| middle + 0.8 * (random.uniform() + random.uniform() - 1.0)).collect();
        arguments.add(channel, &values);
    }
    arguments
}

#[test]
fn fitted_polynomials_serve_what_was_seen_and_keep_their_tails() {
    let seen = arguments();
    for (name, _, levels) in FAMILIES {
        let best = rectifier(name);
        let fitted = best.fitted_to(&seen);
        let gain = if levels < 3 { 1.0 } else { 0.9 };
        assert!(seen.error(&fitted) < gain * seen.error(&best), "{name}");
        assert_eq!(fitted.degree(), best.degree(), "{name}");
        let paf = Paf::from_series(name, fitted.series.clone()).unwrap();
        assert!(paf.max_relu_error() < 0.1, "{name}: {}", paf.max_relu_error());
        assert_eq!(paf.rectifier().unwrap().symmetry, best.symmetry, "{name} reads back as what it is");
        let pool = best.fitted_to_comparisons(&seen);
        assert_eq!((pool.symmetry, pool.series.len()), (Symmetry::Even, 1), "{name}");
        let (paf, levels) = (Paf::by_name(name).unwrap(), if levels == 1 { 2 } else { levels });
        let settled = Paf::from_series(name, pool.series).unwrap();
        assert_eq!((paf.depth_of_comparison(), settled.depth_of_comparison()), (levels, levels), "{name}");
    }
}

/// The least squares solution: no change of a coefficient makes the error smaller.
#[test]
fn fits_are_stationary() {
    let seen = arguments();
    let fitted = rectifier("relu7").fitted_to(&seen);
    let error = |series: Vec<Vec<f64>>| seen.error(Paf::from_series("p", series).unwrap().rectifier().unwrap());
    let least = error(fitted.series.clone());
    for k in 0..=7 {
        for change in [-0.01, 0.01] {
            let mut series = fitted.series.clone();
            series.iter_mut().for_each(|channel| channel[k] += change);
            assert!(error(series) > least, "c_{k} {change}");
        }
    }
}

#[test]
fn series_are_checked() {
    let reject = |series: Vec<Vec<f64>>| Paf::from_series("p", series).unwrap_err();
    assert!(matches!(reject(vec![]), NoSuchPaf::NoComponents { .. }));
    assert!(matches!(reject(vec![vec![0.0, 0.5], vec![0.0, 0.5, 1.0]]), NoSuchPaf::NoComponents { .. }));
    assert!(matches!(reject(vec![vec![0.0, f64::NAN]]), NoSuchPaf::NotFinite { .. }));
    assert!(matches!(reject(vec![vec![0.0; 129]]), NoSuchPaf::DegreeTooHigh { degree: 128, .. }));
}

const SHAPE: [usize; 4] = [1, 2, 8, 8];

fn map(factors: [f64; 2], bias: [f64; 2]) -> LinearMap {
    let vector = |values: [f64; 2]| Arc::new(Tensor::new(Shape(vec![2]), values.to_vec()));
    let diagonal = Primitive::Diagonal { values: vector(factors), repeat: 64, size: 128 };
    LinearMap::of(diagonal, Some(Bias { values: vector(bias), repeat: 64 }))
}

/// A map, ReLU, a map; with a branch around them if it is residual, and a ReLU and a map after their sum.
fn network(residual: bool) -> Graph {
    let mut graph = Graph::default();
    let shape = || Shape(SHAPE.to_vec());
    let x = graph.input("x", shape(), BatchAxis::Absent);
    let a = graph.linear("a", map([1.0, 0.3], [0.1, 0.25]), x, shape()).unwrap();
    let r = graph.add("r", Op::Relu, &[a]).unwrap();
    let mut node = graph.linear("b", map([0.7, -1.1], [0.0, 0.3]), r, shape()).unwrap();
    if residual {
        let sum = graph.add("sum", Op::Add, &[node, r]).unwrap();
        let s = graph.add("s", Op::Relu, &[sum]).unwrap();
        node = graph.linear("c", map([0.5, 2.0], [0.2, 0.0]), s, shape()).unwrap();
    }
    graph.outputs = vec![Output { name: "y".into(), node }];
    graph
}

fn samples() -> Vec<Vec<Vec<f64>>> {
    let mut random = SplitMix64::new(7);
    (0..160).map(|_| vec![(0..128).map(|_| 2.0 * random.uniform() - 1.0).collect()]).collect()
}

fn approximated(graph: &Graph, paf: &str) -> Approximated {
    let options =
        ApproximationOptions { margin: Margin::Fixed(1.2), ..ApproximationOptions::new(Paf::by_name(paf).unwrap()) };
    approximate(&fold(graph).unwrap(), &options, &samples()).unwrap()
}

/// The largest difference between the circuit's results and the network's, on the samples.
fn largest_difference(graph: &Graph, polynomial: &Graph, approximated: &Approximated) -> f64 {
    let difference = |sample: &Vec<Vec<f64>>| {
        let exact = evaluate(graph, sample).unwrap().remove(0);
        let scaled = sample[0].iter().map(|x| x * approximated.inputs[0].scale).collect();
        let found = evaluate(polynomial, &[scaled]).unwrap().remove(0);
        let pairs = exact.iter().zip(&found);
        pairs.map(|(a, b)| (a - b * approximated.output_scales[0]).abs()).fold(0.0, f64::max)
    };
    samples().iter().map(difference).fold(0.0, f64::max)
}

/// Map, ReLU, map take the levels of the polynomial and two more: coefficients, scales by channel and both branches of a sum
/// take none of their own.
#[test]
fn circuits_have_the_least_depth() {
    for (name, _, levels) in FAMILIES {
        for residual in [false, true] {
            let graph = network(residual);
            let approximated = approximated(&graph, name);
            let (optimized, report) = optimize(&approximated.graph).unwrap();
            let relus = if residual { 2 } else { 1 };
            assert_eq!(report.levels_after as usize, relus * (levels + 1) + 1, "{name}, residual {residual}");
            let error = largest_difference(&graph, &optimized, &approximated);
            assert!(error < 0.6 / levels as f64, "{name}: {error}");
            // What was followed on samples is what the circuit computes.
            let results = &approximated.outputs[0];
            let scaled: Vec<f64> = samples()[3][0].iter().map(|x| x * approximated.inputs[0].scale).collect();
            let found = evaluate(&optimized, &[scaled]).unwrap().remove(0);
            let scale = approximated.output_scales[0];
            assert!(found.iter().zip(&results[3]).all(|(a, b)| (a * scale - b).abs() < 1e-9), "{name}");
        }
    }
}

/// A power of two takes no more levels than the degrees before it, and fewer products.
#[test]
fn squares_take_few_products() {
    let products = |name: &str| {
        let graph = approximated(&network(false), name).graph;
        let (optimized, _) = optimize(&graph).unwrap();
        optimized.nodes().filter(|(_, node)| node.op == Op::Mul).count()
    };
    for (name, fewest) in [
        ("abs2", 1),
        ("relu2", 1),
        ("abs4", 2),
        ("relu4", 2),
        ("abs6", 3),
        ("abs8", 3),
        ("relu7", 5),
        ("relu8", 4),
        ("abs14", 6),
        ("abs16", 5),
        ("relu15", 8),
        ("relu16", 6),
        ("abs30", 9),
        ("abs32", 7),
        ("relu31", 13),
        ("relu32", 10),
    ] {
        assert_eq!(products(name), fewest, "{name}");
    }
}

/// Where channels differ a general polynomial has coefficients by channel, and they serve better than those of a node.
#[test]
fn channels_get_their_own_coefficients() {
    let graph = network(false);
    let error = |name: &str| {
        let approximated = approximated(&graph, name);
        largest_difference(&graph, &approximated.graph, &approximated)
    };
    for (general, even) in [("relu15", "abs14"), ("relu31", "abs30")] {
        assert!(error(general) < error(even), "{general}");
    }
}
