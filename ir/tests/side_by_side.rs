//! Many vectors at a time give the bits that one at a time gives.

use std::sync::Arc;

use paf_ir::linear::{LinearMap, Primitive};
use paf_ir::sparse::Sparse;
use paf_ir::tensor::{Evaluator, Graph, Op, Output, PostProcess, Shape, Tensor};

/// Values with many different bits.
fn values(count: usize, seed: usize) -> Vec<f64> {
    (0..count).map(|i| ((i * 7919 + seed * 104_729) % 1009) as f64 / 1009.0 - 0.4).collect()
}

#[test]
fn a_matrix_times_many_vectors() {
    let matrix = Sparse::from_rows(7, 5, |row, entries| {
        entries.extend(
            (0..5u32)
                .filter(|column| !(row as u32 + column).is_multiple_of(3))
                .map(|column| (column, values(35, 1)[row * 5 + column as usize])),
        );
    });
    for count in [0, 1, 2, 15, 16, 17, 33] {
        let vectors: Vec<Vec<f64>> = (0..count).map(|seed| values(5, seed)).collect();
        let expected: Vec<Vec<f64>> = vectors.iter().map(|x| matrix.apply(x)).collect();
        assert_eq!(matrix.apply_all(&vectors.iter().map(Vec::as_slice).collect::<Vec<_>>()), expected, "{count}");
    }
}

/// A residual block, with the block itself as a second output.
#[test]
fn a_graph_on_many_samples() {
    let weight = Arc::new(Tensor::new(Shape(vec![6, 6]), values(36, 3)));
    let map = LinearMap::of(Primitive::Dense { weight, left: 1, right: 1 }, None);
    let mut graph = Graph::default();
    let x = graph.input("x", Shape(vec![6]), false);
    let block = graph.linear("map", map, x, Shape(vec![6])).unwrap();
    let block = graph.add("relu", Op::Relu, &[block]).unwrap();
    let sum = graph.add("sum", Op::Add, &[x, block]).unwrap();
    let output = |name: &str, node| Output { name: name.into(), node, post: PostProcess::None };
    graph.outputs = vec![output("sum", sum), output("block", block)];
    let samples: Vec<Vec<Vec<f64>>> = (0..20).map(|seed| vec![values(6, seed)]).collect();
    let evaluator = Evaluator::new(&graph);
    for (sample, outputs) in samples.iter().zip(evaluator.outputs_of_all(&samples).unwrap()) {
        let all = evaluator.run(sample).unwrap();
        assert_eq!(outputs, [all[sum.index()].clone(), all[block.index()].clone()]);
    }
    assert!(evaluator.outputs_of_all(&[vec![values(5, 0)]]).is_err());
}
