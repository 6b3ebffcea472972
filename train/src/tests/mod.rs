//! Gradients against finite differences, values against the IR's evaluator and tract, and training for real.

mod forward;
mod gradients;
mod training;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::ArrayD;
use ndarray_npy::ReadNpyExt;
use paf_adapt::Data;
use paf_adapt::evaluate::{input_values, node_values};
use paf_adapt::network::{Network, NodePaf, Origin};
use paf_import::import;
use paf_ir::Shape;
use paf_ir::tensor::{BatchAxis, Constant, Graph, Node, NodeId, Output, Tensor};
use paf_passes::approximate::{ApproximationOptions, Margin, Scaling, static_scale};
use paf_passes::paf::Paf;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::batches::generator;

const MARGIN: f64 = 1.3;

fn test_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata").join(name)
}

fn read_array(name: &str) -> ArrayD<f32> {
    ArrayD::<f32>::read_npy(std::fs::File::open(test_file(name)).unwrap()).unwrap()
}

/// Images of digits, with labels if a file of them is named.
fn digits(images: &str, labels: Option<&str>) -> Data {
    let x = read_array(images);
    let labels = labels.map(|name| {
        let file = std::fs::File::open(test_file(name)).unwrap();
        ArrayD::<i64>::read_npy(file).unwrap().iter().map(|&label| label as u32).collect()
    });
    Data { shape: Shape(x.shape()[1..].to_vec()), x: x.iter().copied().collect(), y: labels }
}

fn model_graph(name: &str) -> Graph {
    import(&test_file(name)).unwrap().graph
}

/// The network with one PAF everywhere, each scale from the values that come through the PAFs before.
fn calibrated(graph: &Graph, paf: &Paf, data: &Data) -> Network {
    let mut network = Network::exact(graph.clone()).unwrap();
    let options = ApproximationOptions {
        margin: Margin::Fixed(MARGIN),
        input_range: (0.0, 1.0),
        ..ApproximationOptions::new(paf.clone())
    };
    let mut values = vec![input_values(data, 0..data.len())];
    for (id, node) in graph.nodes().skip(1) {
        let operands: Vec<_> = node.inputs.iter().map(|input| &values[input.index()]).collect();
        if is_nonlinear(node) {
            let scale = static_scale(graph, id, paf, operands[0], &options).unwrap();
            network.pafs.insert(id, node_paf(paf, scale));
        }
        let value = node_values(&network, id, &operands);
        values.push(value);
    }
    network
}

fn is_nonlinear(node: &Node) -> bool {
    matches!(node.op, paf_ir::tensor::Op::Relu | paf_ir::tensor::Op::MaxPool(_))
}

fn node_paf(paf: &Paf, scale: Scaling) -> NodePaf {
    NodePaf { paf: paf.clone(), scale, margin: MARGIN, coefficients_from: Origin::Named, scale_from: Origin::Calibrate }
}

/// A graph of one input and whatever `build` puts after it.
fn graph_of(input: &[usize], build: impl FnOnce(&mut Graph, NodeId) -> NodeId) -> Graph {
    let mut graph = Graph::default();
    let x = graph.input("x", Shape(input.to_vec()), BatchAxis::Absent);
    let node = build(&mut graph, x);
    graph.outputs = vec![Output { name: "y".into(), node }];
    graph
}

/// The network of a graph with one PAF and scale at every ReLU and MaxPool.
fn with_paf(graph: Graph, paf: &Paf, scale: &Scaling) -> Network {
    let nonlinear: Vec<NodeId> = graph.nodes().filter(|(_, node)| is_nonlinear(node)).map(|(id, _)| id).collect();
    let pafs: BTreeMap<_, _> = nonlinear.into_iter().map(|id| (id, node_paf(paf, scale.clone()))).collect();
    Network { pafs, ..Network::exact(graph).unwrap() }
}

fn random(count: usize, generator: &mut ChaCha8Rng) -> Vec<f64> {
    (0..count).map(|_| generator.random_range(-1.0..1.0)).collect()
}

fn weights(shape: &[usize], seed: u64) -> Constant {
    let shape = Shape(shape.to_vec());
    let data = random(shape.size(), &mut generator(seed, 9));
    Arc::new(Tensor::new(shape, data))
}
