//! What a client computes from decrypted values, after the definitions of ONNX.

use paf_ir::Shape;
use paf_ir::tensor::{Graph, GraphEvaluator, PostProcess, Tensor};

/// The outputs of a graph for one sample, after the client's part.
///
/// # Panics
/// If the input does not fit.
pub fn outputs(graph: &Graph, input: Vec<f64>) -> Vec<Tensor> {
    let values = GraphEvaluator::new(graph).run(&[input]).expect("the input fits");
    let outputs = graph.outputs.iter();
    outputs
        .map(|output| post_process(output.post, &graph.node(output.node).shape, &values[output.node.index()]))
        .collect()
}

/// What the client computes from decrypted values.
pub fn post_process(post: PostProcess, shape: &Shape, values: &[f64]) -> Tensor {
    let of_shape = |data| Tensor::new(shape.clone(), data);
    match post {
        PostProcess::None => of_shape(values.to_vec()),
        PostProcess::Softmax { axis } => of_shape(along(shape, axis, values, softmax)),
        PostProcess::LogSoftmax { axis } => of_shape(along(shape, axis, values, log_softmax)),
        PostProcess::ArgMax { axis, keep_axis } => {
            let mut result = shape.clone();
            if keep_axis {
                result.0[axis] = 1;
            } else {
                result.0.remove(axis);
            }
            Tensor::new(result, along(shape, axis, values, |line| vec![top1(line) as f64]))
        }
    }
}

/// The first of the largest values.
///
/// # Panics
/// If there are none.
pub fn top1(values: &[f64]) -> usize {
    let first_largest = (0..values.len()).rev().max_by(|&a, &b| values[a].total_cmp(&values[b]));
    first_largest.expect("there are values")
}

/// Replaces each line along an axis by what `f` gives for it.
fn along(shape: &Shape, axis: usize, values: &[f64], f: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
    let (length, inner) = (shape.0[axis], shape.0[axis + 1..].iter().product::<usize>());
    let mut result = vec![];
    for block in values.chunks(length * inner) {
        let line = |offset: usize| block.iter().skip(offset).step_by(inner).copied().collect::<Vec<f64>>();
        let lines: Vec<Vec<f64>> = (0..inner).map(|offset| f(&line(offset))).collect();
        let depth = lines[0].len();
        result.extend((0..depth).flat_map(|place| lines.iter().map(move |line| line[place])));
    }
    result
}

fn softmax(line: &[f64]) -> Vec<f64> {
    let largest = line.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = line.iter().map(|value| (value - largest).exp()).collect();
    let total: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / total).collect()
}

fn log_softmax(line: &[f64]) -> Vec<f64> {
    let largest = line.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = line.iter().map(|value| (value - largest).exp()).sum();
    line.iter().map(|value| value - largest - total.ln()).collect()
}
