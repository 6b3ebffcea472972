//! Every kind of layer: values against the evaluators, gradients against central differences, in double precision.

use std::collections::BTreeSet;
use std::sync::Arc;

use candle_core::{DType, Device, Var};
use paf_adapt::evaluate::node_values;
use paf_adapt::network::Network;
use paf_ir::linear::{Bias, Conv, LinearMap, Primitive, Window, ZERO};
use paf_ir::tensor::{BatchNorm, FUNCTIONS, Graph, NodeId, Op, evaluate};
use paf_ir::{Shape, linear};
use paf_passes::approximate::{Scaling, Values};
use paf_passes::paf::Paf;

use super::{graph_of, random, weights, with_paf};
use crate::batches::generator;
use crate::model::{Normalizing, Pass, TapeModel};
use crate::model_of;
use crate::parameters::ParameterId;

const BATCH: usize = 3;

/// Small enough for the steep composites, whose third derivatives reach a million.
const STEP: f64 = 3e-7;

/// Relative difference of a gradient from its finite difference, both about as large as 1 here.
const GRADIENT: f64 = 1e-6;

/// Relative difference of values that two orders of summation give.
const ROUNDING: f64 = 1e-12;

/// Checks values and gradients of a network that is not more than some layers.
fn check(name: &str, network: &Network, normalizing: Normalizing) {
    let mut model = model_of(network, DType::F64).unwrap();
    model.activate(&network.pafs.keys().copied().collect::<Vec<_>>());
    let width = network.graph.node(network.graph.inputs[0].0).shape.size();
    let x = random(BATCH * width, &mut generator(5, 1));
    if normalizing == Normalizing::Running {
        check_values(name, network, &model, &x);
    }
    check_gradients(name, &model, &x, normalizing);
}

fn forward(
    model: &TapeModel,
    x: &Var,
    trained: &BTreeSet<ParameterId>,
    normalizing: Normalizing,
) -> candle_core::Tensor {
    model.forward(x.as_tensor(), &Pass { trained, normalizing }).unwrap()
}

fn input(x: &[f64]) -> Var {
    Var::from_vec(x.to_vec(), (BATCH, x.len() / BATCH), &Device::Cpu).unwrap()
}

fn check_values(name: &str, network: &Network, model: &TapeModel, x: &[f64]) {
    let found: Vec<Vec<f64>> = forward(model, &input(x), &BTreeSet::new(), Normalizing::Running).to_vec2().unwrap();
    for (sample, found) in x.chunks(x.len() / BATCH).zip(found) {
        let expected = expected(network, sample);
        assert_eq!(expected.len(), found.len(), "{name}");
        for (a, b) in expected.iter().zip(&found) {
            assert!((a - b).abs() <= ROUNDING * (1.0 + a.abs()), "{name}: {a} and {b}");
        }
    }
}

fn expected(network: &Network, sample: &[f64]) -> Vec<f64> {
    if network.pafs.is_empty() {
        return evaluate(&network.graph, &[sample.to_vec()]).unwrap().remove(0);
    }
    let mut values = vec![Values::of_samples(&[sample])];
    for (id, node) in network.graph.nodes().skip(1) {
        let operands: Vec<&Values> = node.inputs.iter().map(|input| &values[input.index()]).collect();
        let value = node_values(network, id, &operands);
        values.push(value);
    }
    values[network.graph.outputs[0].node.index()].samples()[0].clone()
}

fn check_gradients(name: &str, model: &TapeModel, x: &[f64], normalizing: Normalizing) {
    let (x, all) = (input(x), model.parameters.ids().collect::<BTreeSet<_>>());
    let outputs = forward(model, &x, &all, normalizing);
    let mix = random(outputs.elem_count(), &mut generator(5, 2));
    let mix = candle_core::Tensor::from_vec(mix, outputs.dims(), &Device::Cpu).unwrap();
    let mixed =
        |trained: &BTreeSet<ParameterId>| (forward(model, &x, trained, normalizing) * &mix).unwrap().sum_all().unwrap();
    let gradients = mixed(&all).backward().unwrap();
    let value = || mixed(&BTreeSet::new()).to_scalar::<f64>().unwrap();
    compare(&format!("{name}, input"), &x, gradients.get(x.as_tensor()), &value);
    for id in model.parameters.ids() {
        let parameter = model.parameters.get(id);
        let is_unused = normalizing == Normalizing::Batch && !parameter.role.is_weight();
        if !is_unused {
            let name = format!("{name}, {:?}", parameter.role);
            compare(&name, &parameter.variable, gradients.get(parameter.variable.as_tensor()), &value);
        }
    }
}

fn compare(name: &str, variable: &Var, gradient: Option<&candle_core::Tensor>, value: &dyn Fn() -> f64) {
    let gradient: Vec<f64> =
        gradient.unwrap_or_else(|| panic!("{name}: no gradient")).flatten_all().unwrap().to_vec1().unwrap();
    let before = variable.as_tensor().copy().unwrap();
    let elements: Vec<f64> = before.flatten_all().unwrap().to_vec1().unwrap();
    for place in (0..elements.len()).step_by(elements.len() / 20 + 1) {
        let at = |offset: f64| {
            let mut moved = elements.clone();
            moved[place] += offset;
            variable.set(&candle_core::Tensor::from_vec(moved, before.dims(), &Device::Cpu).unwrap()).unwrap();
            value()
        };
        let difference = (at(STEP) - at(-STEP)) / (2.0 * STEP);
        let error = (difference - gradient[place]).abs();
        assert!(error <= GRADIENT * (1.0 + difference.abs()), "{name} {place}: {} and {difference}", gradient[place]);
    }
    variable.set(&before).unwrap();
}

fn check_exact(name: &str, graph: Graph) {
    check(name, &Network::exact(graph).unwrap(), Normalizing::Running);
}

fn window(
    input: [usize; 3],
    kernel: [usize; 2],
    strides: [usize; 2],
    pads: [usize; 4],
    dilations: [usize; 2],
) -> Window {
    let mut window = Window { input, kernel, strides, pads, dilations, output: [1, 1], count_include_pad: false };
    window.output = window.floor_output();
    window
}

fn linear_graph(factors: Vec<Primitive>, scale: f64, bias: Option<Bias>) -> Graph {
    let (first, last) = (&factors[0], &factors[factors.len() - 1]);
    let (inputs, outputs) = (first.input_size(), last.output_size());
    let map = LinearMap { factors, scale, bias, inputs, outputs };
    graph_of(&[inputs], |graph, x| graph.linear("linear", map, x, Shape(vec![outputs])).unwrap())
}

#[test]
fn convolutions_of_every_geometry() {
    for (name, window, groups, outputs) in [
        ("3x3", window([2, 5, 6], [3, 3], [1, 1], [1, 1, 1, 1], [1, 1]), 1, 3),
        ("strides and uneven pads", window([2, 6, 7], [3, 2], [2, 3], [0, 1, 2, 0], [1, 1]), 1, 4),
        ("groups and dilations", window([4, 7, 7], [3, 3], [1, 2], [2, 1, 0, 3], [2, 2]), 2, 6),
        ("depthwise", window([3, 4, 4], [2, 2], [2, 2], [0, 0, 0, 0], [1, 1]), 3, 3),
        ("1x1", window([3, 4, 4], [1, 1], [1, 1], [0, 0, 0, 0], [1, 1]), 1, 2),
        ("taps that lie in the padding only", window([1, 2, 2], [3, 3], [1, 1], [2, 2, 2, 2], [2, 2]), 1, 2),
    ] {
        let shape = [outputs, window.input[0] / groups, window.kernel[0], window.kernel[1]];
        let conv = Primitive::Conv(Conv { weight: weights(&shape, 1), window: window.clone(), groups });
        let bias = Bias { values: weights(&[outputs], 2), repeat: window.output.iter().product() };
        check_exact(name, linear_graph(vec![conv], 0.7, Some(bias)));
    }
}

#[test]
fn dense_maps_and_diagonals() {
    for (left, right) in [(1, 1), (3, 1), (2, 3)] {
        let dense = Primitive::Dense { weight: weights(&[4, 5], 3), left, right };
        let bias = Bias { values: weights(&[4], 4), repeat: right };
        check_exact(&format!("dense {left} {right}"), linear_graph(vec![dense], 1.0, Some(bias)));
    }
    let diagonal = Primitive::Diagonal { values: weights(&[3], 5), repeat: 4, size: 24 };
    check_exact("diagonal", linear_graph(vec![diagonal], -1.5, None));
}

#[test]
fn constant_maps_and_chains() {
    let average = window([2, 5, 5], [3, 2], [2, 1], [1, 0, 1, 1], [1, 1]);
    let including = Window { count_include_pad: true, ..average.clone() };
    let select = Primitive::Select { input: Shape(vec![2, 3]), indices: vec![vec![1, 0], vec![ZERO, 2, 2, 0]] };
    let permute = Primitive::Permute { input: Shape(vec![2, 3, 4]), permutation: vec![2, 0, 1] };
    check_exact("average", linear_graph(vec![Primitive::AveragePool(average)], 1.0, None));
    check_exact("average with pads", linear_graph(vec![Primitive::AveragePool(including)], 1.0, None));
    check_exact("select", linear_graph(vec![select], 2.0, None));
    let dense = Primitive::Dense { weight: weights(&[2, 24], 6), left: 1, right: 1 };
    check_exact("permute and dense", linear_graph(vec![permute, dense], 1.0, None));
}

#[test]
fn arithmetic_and_functions() {
    let graph = graph_of(&[6], |graph, x| {
        let double = graph.add("scale", Op::Scale(2.0), &[x]).unwrap();
        let shifted = graph.add("shift", Op::AddConstant(0.5), &[double]).unwrap();
        let product = graph.add("mul", Op::Mul, &[shifted, x]).unwrap();
        let sum = graph.add("add", Op::Add, &[product, double]).unwrap();
        let reshaped = graph.reshape("reshape", sum, Shape(vec![2, 3])).unwrap();
        let x = graph.reshape("reshape", x, Shape(vec![2, 3])).unwrap();
        graph.add("sub", Op::Sub, &[reshaped, x]).unwrap()
    });
    check_exact("arithmetic", graph);
    for function in FUNCTIONS {
        // Into every domain: 1.5 to 3.5.
        let graph = graph_of(&[8], |graph, x| {
            let moved = graph.add("shift", Op::AddConstant(2.5), &[x]).unwrap();
            graph.add("function", Op::Function(function), &[moved]).unwrap()
        });
        check_exact(function.name(), graph);
    }
    for function in FUNCTIONS.into_iter().filter(|function| function.is_defined_on(-1.0, 1.0)) {
        let graph = graph_of(&[8], |graph, x| graph.add("function", Op::Function(function), &[x]).unwrap());
        check_exact(function.name(), graph);
    }
}

fn batch_norm() -> Graph {
    let positive = |seed: u64| Arc::new(weights(&[3], seed).map(|x| 1.5 + x));
    let norm = BatchNorm {
        scale: weights(&[3], 7),
        bias: weights(&[3], 8),
        mean: weights(&[3], 9),
        variance: positive(10),
        epsilon: 1e-3,
    };
    graph_of(&[1, 3, 2, 2], |graph, x| graph.add("norm", Op::BatchNorm(norm), &[x]).unwrap())
}

#[test]
fn batch_normalization_in_both_forms() {
    check_exact("running statistics", batch_norm());
    let network = Network::exact(batch_norm()).unwrap();
    check("statistics of the batch", &network, Normalizing::Batch);
}

fn rectifier(graph: &mut Graph, x: NodeId) -> NodeId {
    graph.add("relu", Op::Relu, &[x]).unwrap()
}

/// Enough elements that the last lane of each channel is not full.
const RECTIFIED: [usize; 4] = [1, 2, 5, 7];

#[test]
fn relu_exact_and_with_pafs() {
    check_exact("relu", graph_of(&RECTIFIED, rectifier));
    let general = |shift: f64| (0..=7).map(|k| (f64::from(k) + shift).sin() / f64::from(k + 1)).collect();
    let by_channel = Paf::from_series("channels", vec![general(0.2), general(0.7)]).unwrap();
    let names = ["f1_g2.cheon", "f1sq_g1sq.smartpaf", "alpha7", "alpha10", "abs6", "abs30", "relu2", "relu7", "relu31"];
    for paf in names.map(|name| Paf::by_name(name).unwrap()).into_iter().chain([by_channel]) {
        let name = &paf.name;
        for scale in [Scaling::Uniform(1.2), Scaling::Channels(vec![1.1, 1.7])] {
            check(name, &with_paf(graph_of(&RECTIFIED, rectifier), &paf, &scale), Normalizing::Running);
        }
    }
}

#[test]
fn pools_exact_and_with_pafs() {
    let pafs = ["alpha6", "abs14", "relu15"].map(|name| Paf::by_name(name).unwrap());
    for (name, window) in [
        ("2x2", window([2, 4, 6], [2, 2], [2, 2], [0; 4], [1, 1])),
        ("3x3 with pads", window([2, 5, 5], [3, 3], [2, 2], [1, 1, 1, 1], [1, 1])),
        ("dilated with pads", window([2, 5, 5], [2, 2], [1, 1], [1, 1, 0, 0], [2, 2])),
    ] {
        let build = |graph: &mut Graph, x| graph.add("pool", Op::MaxPool(window.clone()), &[x]).unwrap();
        let graph = || graph_of(&window.input, build);
        check_exact(name, graph());
        for scale in [Scaling::Uniform(2.4), Scaling::Channels(vec![2.3, 2.9])] {
            pafs.iter().for_each(|paf| check(name, &with_paf(graph(), paf, &scale), Normalizing::Running));
        }
    }
}

#[test]
fn shared_weights_are_one_parameter() {
    let weight = weights(&[4, 4], 11);
    let dense = || LinearMap::of(linear::Primitive::Dense { weight: weight.clone(), left: 1, right: 1 }, None);
    let graph = graph_of(&[4], |graph, x| {
        let first = graph.linear("first", dense(), x, Shape(vec![4])).unwrap();
        graph.linear("second", dense(), first, Shape(vec![4])).unwrap()
    });
    let network = Network::exact(graph).unwrap();
    assert_eq!(model_of(&network, DType::F64).unwrap().parameters.ids().count(), 1);
    check("shared", &network, Normalizing::Running);
}
