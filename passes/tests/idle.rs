//! Networks with ReLUs of certain sign in, depth out; and what they compute.

use std::sync::Arc;

use paf_ir::linear::{Bias, Conv, LinearMap, Primitive, Window};
use paf_ir::random::SplitMix64;
use paf_ir::tensor::{BatchAxis, BatchNorm, Constant, Graph, NodeId, Op, Output, Shape, Tensor, evaluate};
use paf_passes::approximate::{ApproximationOptions, Margin};
use paf_passes::decisions::{CalibrationSamples, Decisions};
use paf_passes::idle::without_idle_relus;
use paf_passes::lower::{LowerOptions, Lowering};
use paf_passes::paf::Paf;
use paf_scheme::EngineProfile;

const CHANNELS: usize = 3;
const SIDE: usize = 4;
const SIZE: usize = CHANNELS * SIDE * SIDE;
const SAMPLES: usize = 60;

/// Levels of a ReLU with the PAF of these tests.
const RELU: u32 = 7;

/// Largest error of results that are about 1.
const ERROR: f64 = 0.05;

fn shape() -> Shape {
    Shape(vec![1, CHANNELS, SIDE, SIDE])
}

fn vector(values: Vec<f64>) -> Constant {
    Arc::new(Tensor::new(Shape(vec![values.len()]), values))
}

/// Numbers between −1 and 1.
fn numbers(seed: u64, count: usize) -> Vec<f64> {
    let mut random = SplitMix64::new(seed);
    (0..count).map(|_| 2.0 * random.uniform() - 1.0).collect()
}

fn samples(count: usize) -> CalibrationSamples {
    (0..count).map(|seed| vec![numbers(1000 + seed as u64, SIZE)]).collect()
}

/// A convolution of 3×3 whose channels give values within `biases ± 1`.
fn conv(seed: u64, biases: [f64; CHANNELS]) -> LinearMap {
    let window = Window {
        input: [CHANNELS, SIDE, SIDE],
        kernel: [3, 3],
        strides: [1, 1],
        pads: [1; 4],
        dilations: [1, 1],
        output: [SIDE, SIDE],
        count_include_pad: false,
    };
    let weights = numbers(seed, CHANNELS * CHANNELS * 9).chunks(CHANNELS * 9).flat_map(normalized).collect();
    let weight = Arc::new(Tensor::new(Shape(vec![CHANNELS, CHANNELS, 3, 3]), weights));
    let bias = Bias { values: vector(biases.to_vec()), repeat: SIDE * SIDE };
    LinearMap::of(Primitive::Conv(Conv { weight, window, groups: 1 }), Some(bias))
}

fn normalized(weights: &[f64]) -> Vec<f64> {
    let sum: f64 = weights.iter().map(|weight| weight.abs()).sum();
    weights.iter().map(|weight| weight / sum).collect()
}

/// A normalization whose variance is 0 in the last channel.
fn norm() -> Op {
    let ones = vector(vec![1.0; CHANNELS]);
    let zeros = vector(vec![0.0; CHANNELS]);
    let (bias, variance) = (vector(vec![0.1, 0.2, 0.3]), vector(vec![0.5, 1.0, 0.0]));
    Op::BatchNorm(BatchNorm { scale: ones, bias, mean: zeros, variance, epsilon: 1e-4 })
}

/// A network from the input on; `build` adds what gives its result.
fn network(build: impl FnOnce(&mut Graph, NodeId) -> NodeId) -> Graph {
    let mut graph = Graph::default();
    let x = graph.input("x", shape(), BatchAxis::First);
    let node = build(&mut graph, x);
    graph.outputs = vec![Output { name: "y".into(), node }];
    graph
}

/// conv, ReLU, normalization, conv.
fn normalized_network(biases: [f64; CHANNELS]) -> Graph {
    network(|graph, x| {
        let a = graph.linear("a", conv(1, biases), x, shape()).unwrap();
        let r = graph.add("r", Op::Relu, &[a]).unwrap();
        let n = graph.add("n", norm(), &[r]).unwrap();
        graph.linear("b", conv(2, [0.0; CHANNELS]), n, shape()).unwrap()
    })
}

fn options(paf: &str) -> ApproximationOptions {
    ApproximationOptions::new(Paf::by_name(paf).unwrap())
}

/// The ReLUs that are left.
fn relus(graph: &Graph, samples: &CalibrationSamples, options: &ApproximationOptions) -> usize {
    let rest = without_idle_relus(graph, samples, options).unwrap();
    rest.verify().unwrap();
    rest.nodes().filter(|(_, node)| node.op == Op::Relu).count()
}

/// Lowers a network: its depth, and that it computes the same on inputs that it was not calibrated with.
fn check(graph: &Graph, paf: &str, calibration: CalibrationSamples, expected_depth: u32) {
    let options = LowerOptions {
        approximation: options(paf),
        ..LowerOptions::new(Paf::by_name(paf).unwrap(), EngineProfile::openfhe())
    };
    let mut lowering = Lowering::new(graph.clone(), calibration, options);
    let optimized = lowering.optimize().unwrap().clone();
    assert_eq!(optimized.report.levels_after, expected_depth, "{paf}: {}", optimized.graph.to_text());
    let approximated = &lowering.polynomial.as_ref().unwrap().approximated;
    for seed in 0..8 {
        let x = numbers(seed, SIZE);
        let scaled: Vec<f64> = x.iter().map(|x| x * approximated.inputs[0].scale).collect();
        let (exact, got) = (evaluate(graph, &[x]).unwrap(), evaluate(&optimized.graph, &[scaled]).unwrap());
        for (exact, got) in exact[0].iter().zip(&got[0]) {
            let got = got * approximated.output_scales[0];
            assert!((got - exact).abs() < ERROR, "{paf}: {got} instead of {exact}");
        }
    }
}

#[test]
fn a_channel_that_never_fires_is_zero_behind_any_paf() {
    let graph = normalized_network([0.0, 0.0, -1.5]);
    for paf in ["alpha7", "alpha10", "abs30", "relu31"] {
        let levels = Paf::by_name(paf).unwrap().depth() as u32;
        check(&graph, paf, samples(SAMPLES), 2 + levels);
        check(&graph, paf, vec![], 2 + levels);
    }
}

#[test]
fn layers_beside_a_silent_channel_have_no_weights_for_it() {
    let graph = normalized_network([0.0, 0.0, -1.5]);
    let silent = without_idle_relus(&graph, &samples(SAMPLES), &options("alpha7")).unwrap();
    let op = |name: &str| silent.nodes().find(|(_, node)| node.name == name).unwrap().1.op.clone();
    let (Op::Linear(a), Op::BatchNorm(n)) = (op("a"), op("n")) else { panic!("the kinds of nodes stay") };
    let [Primitive::Conv(conv)] = &a.factors[..] else { panic!("a convolution stays one") };
    assert!(conv.weight.data[2 * CHANNELS * 9..].iter().all(|weight| *weight == 0.0));
    assert!(conv.weight.data[..2 * CHANNELS * 9].iter().all(|weight| *weight != 0.0));
    assert_eq!(a.bias, Some(Bias { values: vector(vec![0.0; CHANNELS]), repeat: SIDE * SIDE }));
    assert_eq!((n.scale.data[2], n.bias.data[2]), (0.0, 0.3));
    let again = without_idle_relus(&silent, &samples(SAMPLES), &options("alpha7")).unwrap();
    assert_eq!(again, silent, "nothing is left to do");
}

/// What a ReLU reads between two convolutions, and the levels of the network.
#[test]
fn a_relu_that_does_nothing_takes_no_level() {
    for (biases, levels) in [
        // The identity: the convolutions melt.
        ([1.5, 1.5, 1.5], 1),
        // 0 or the identity by channel.
        ([1.5, -1.5, 1.5], 1),
        // One channel of either sign.
        ([1.5, -1.5, 0.0], 2 + RELU),
    ] {
        let graph = network(|graph, x| {
            let a = graph.linear("a", conv(1, biases), x, shape()).unwrap();
            let r = graph.add("r", Op::Relu, &[a]).unwrap();
            graph.linear("b", conv(2, [0.0; CHANNELS]), r, shape()).unwrap()
        });
        for calibration in [samples(SAMPLES), vec![]] {
            check(&graph, "alpha7", calibration, levels);
        }
    }
}

/// A clip that values never reach is a ReLU, and a leaky ReLU of one sign a factor; a factor of 1 lets convolutions melt.
#[test]
fn what_is_built_of_relus_loses_those_that_do_nothing() {
    let clip = network(|graph, x| {
        let a = graph.linear("a", conv(1, [0.0; CHANNELS]), x, shape()).unwrap();
        let low = graph.add("low", Op::Relu, &[a]).unwrap();
        let shifted = graph.add("shift", Op::AddConstant(-6.0), &[a]).unwrap();
        let high = graph.add("high", Op::Relu, &[shifted]).unwrap();
        let clip = graph.add("clip", Op::Sub, &[low, high]).unwrap();
        graph.linear("b", conv(2, [0.0; CHANNELS]), clip, shape()).unwrap()
    });
    let leaky = |bias: f64| {
        network(|graph, x| {
            let a = graph.linear("a", conv(1, [bias; CHANNELS]), x, shape()).unwrap();
            let slope = graph.add("slope", Op::Scale(0.1), &[a]).unwrap();
            let r = graph.add("r", Op::Relu, &[a]).unwrap();
            let rest = graph.add("rest", Op::Scale(0.9), &[r]).unwrap();
            let sum = graph.add("sum", Op::Add, &[slope, rest]).unwrap();
            graph.linear("b", conv(2, [0.0; CHANNELS]), sum, shape()).unwrap()
        })
    };
    for calibration in [samples(SAMPLES), vec![]] {
        check(&clip, "alpha7", calibration.clone(), 2 + RELU);
        check(&leaky(-1.5), "alpha7", calibration.clone(), 2);
        check(&leaky(1.5), "alpha7", calibration, 1);
    }
}

/// Bounds prove what no margin would allow: zero is reached.
#[test]
fn a_second_relu_is_the_identity() {
    let twice = network(|graph, x| {
        let a = graph.linear("a", conv(1, [0.0; CHANNELS]), x, shape()).unwrap();
        let r = graph.add("r", Op::Relu, &[a]).unwrap();
        graph.add("s", Op::Relu, &[r]).unwrap()
    });
    for calibration in [samples(SAMPLES), vec![]] {
        assert_eq!(relus(&twice, &calibration, &options("alpha7")), 1);
    }
}

/// A silent channel beside others that is added, and one that is an output.
#[test]
fn silent_channels_are_right_where_they_are_added_or_given_out() {
    let biases = [0.0, 0.0, -1.5];
    let added = network(|graph, x| {
        let a = graph.linear("a", conv(1, biases), x, shape()).unwrap();
        let r = graph.add("r", Op::Relu, &[a]).unwrap();
        graph.add("sum", Op::Add, &[r, x]).unwrap()
    });
    let given_out = network(|graph, x| {
        let a = graph.linear("a", conv(1, biases), x, shape()).unwrap();
        graph.add("r", Op::Relu, &[a]).unwrap()
    });
    let zero = network(|graph, x| {
        let a = graph.linear("a", conv(1, [-1.5; CHANNELS]), x, shape()).unwrap();
        let r = graph.add("r", Op::Relu, &[a]).unwrap();
        graph.add("sum", Op::Add, &[r, x]).unwrap()
    });
    let depth = |paf: &str| 1 + Paf::by_name(paf).unwrap().depth() as u32;
    for paf in ["alpha7", "relu31"] {
        check(&added, paf, samples(SAMPLES), depth(paf));
        check(&given_out, paf, samples(SAMPLES), depth(paf));
    }
    // The scale of the output.
    check(&zero, "alpha7", samples(SAMPLES), 1);
}

#[test]
fn nothing_is_certain_of_few_samples_or_of_values_near_zero() {
    let relus = |bias: f64, count: usize, margin: Margin| {
        let graph = normalized_network([bias; CHANNELS]);
        let options = ApproximationOptions { margin, input_range: (-9.0, 9.0), ..options("alpha7") };
        relus(&graph, &samples(count), &options)
    };
    // Bounds prove it where there are none.
    assert_eq!(relus(2.0, 0, Margin::Automatic), 1, "the range of the inputs is wide");
    // The channels give values within about ±0.6 of their bias, and ±1 bounds them for inputs as the samples.
    for count in [1, 10] {
        assert_eq!(relus(0.9, count, Margin::Automatic), 1, "{count} samples");
    }
    assert_eq!(relus(0.9, SAMPLES, Margin::Automatic), 0);
    assert_eq!(relus(0.7, SAMPLES, Margin::Fixed(4.0)), 1, "a margin that is asked for counts where it is wider");
    assert_eq!(relus(0.4, SAMPLES, Margin::Fixed(1.0)), 1, "a narrower one does not");
}

/// Whoever decides on a scale has fitted what stands behind the ReLU.
#[test]
fn relus_with_a_scale_of_their_own_stay() {
    let graph = normalized_network([1.5; CHANNELS]);
    let mut per_node = Decisions::default();
    per_node.scales.insert("r".into(), paf_passes::approximate::Scaling::Uniform(3.0));
    let options = ApproximationOptions { per_node, ..options("alpha7") };
    assert_eq!(without_idle_relus(&graph, &samples(SAMPLES), &options).unwrap(), graph);
}

/// A PAF that is named for a ReLU which is gone is none too many.
#[test]
fn names_of_relus_that_are_gone_are_known() {
    let graph = normalized_network([1.5; CHANNELS]);
    let mut options = LowerOptions::new(Paf::by_name("alpha7").unwrap(), EngineProfile::openfhe());
    options.approximation.per_node.pafs.insert("r".into(), Paf::by_name("alpha5").unwrap());
    Lowering::new(graph.clone(), samples(SAMPLES), options.clone()).optimize().unwrap();
    options.approximation.per_node.pafs.insert("q".into(), Paf::by_name("alpha5").unwrap());
    Lowering::new(graph, samples(SAMPLES), options).optimize().unwrap_err();
}
