//! What a client computes from decrypted values, after the definitions of ONNX.

use paf_ir::Shape;
use paf_ir::tensor::{Graph, GraphEvaluator, Tensor};

/// The outputs of a graph for one sample, after the client's part.
///
/// # Panics
/// If the input does not fit.
pub fn outputs(graph: &Graph, input: Vec<f64>) -> Vec<Tensor> {
    let values = GraphEvaluator::new(graph).run(&[input]).expect("the input fits");
    let ports: Vec<Vec<f64>> = graph.outputs.iter().map(|output| values[output.node.index()].clone()).collect();
    let shapes: Vec<Shape> = match graph.client.is_empty() {
        true => graph.outputs.iter().map(|output| graph.node(output.node).shape.clone()).collect(),
        false => graph
            .client
            .results
            .iter()
            .map(|result| graph.client.shape(result.value).cloned().expect("a value"))
            .collect(),
    };
    shapes.into_iter().zip(graph.client.evaluate(&ports)).map(|(shape, data)| Tensor::new(shape, data)).collect()
}

/// The first of the largest values.
///
/// # Panics
/// If there are none.
pub fn top1(values: &[f64]) -> usize {
    let first_largest = (0..values.len()).rev().max_by(|&a, &b| values[a].total_cmp(&values[b]));
    first_largest.expect("there are values")
}
