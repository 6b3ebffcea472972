//! Many vectors at a time give the bits that one at a time gives.

use std::sync::Arc;

use paf_ir::lanes::{LANES, apart, side_by_side};
use paf_ir::linear::{Bias, Conv, LinearMap, Operator, Primitive, Window};
use paf_ir::sparse::{Matrix as _, Sparse};
use paf_ir::tensor::{BatchAxis, Graph, GraphEvaluator, Op, Output, Shape, Tensor};

/// Values with many different bits.
fn values(count: usize, seed: usize) -> Vec<f64> {
    (0..count).map(|i| ((i * 7919 + seed * 104_729) % 1009) as f64 / 1009.0 - 0.4).collect()
}

fn together(vectors: &[Vec<f64>]) -> Vec<[f64; LANES]> {
    side_by_side(&vectors.iter().map(Vec::as_slice).collect::<Vec<_>>())
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
    for count in [1, 2, 7, 8] {
        let vectors: Vec<Vec<f64>> = (0..count).map(|seed| values(5, seed)).collect();
        let expected: Vec<Vec<f64>> = vectors.iter().map(|x| matrix.apply(x)).collect();
        assert_eq!(apart(&matrix.apply_lanes(&together(&vectors)), count), expected, "{count}");
    }
}

/// A residual block, with the block itself as a second output.
#[test]
fn a_graph_on_many_samples() {
    let weight = Arc::new(Tensor::new(Shape(vec![6, 6]), values(36, 3)));
    let map = LinearMap::of(Primitive::Dense { weight, left: 1, right: 1 }, None);
    let mut graph = Graph::default();
    let x = graph.input("x", Shape(vec![6]), BatchAxis::Absent);
    let block = graph.linear("map", map, x, Shape(vec![6])).unwrap();
    let block = graph.add("relu", Op::Relu, &[block]).unwrap();
    let sum = graph.add("sum", Op::Add, &[x, block]).unwrap();
    let output = |name: &str, node| Output { name: name.into(), node };
    graph.outputs = vec![output("sum", sum), output("block", block)];
    let samples: Vec<Vec<Vec<f64>>> = (0..20).map(|seed| vec![values(6, seed)]).collect();
    let evaluator = GraphEvaluator::new(&graph);
    for (sample, outputs) in samples.iter().zip(evaluator.outputs_of_all(&samples).unwrap()) {
        let all = evaluator.run(sample).unwrap();
        assert_eq!(outputs, [all[sum.index()].clone(), all[block.index()].clone()]);
    }
    assert!(evaluator.outputs_of_all(&[vec![values(5, 0)]]).is_err());
}

/// Convolutions with strides, dilations, groups, odd channel counts and padding on some sides, between scales by channel.
#[test]
fn convolutions_from_their_weights() {
    for (channels, outputs, groups, stride, dilation, pads) in [
        (3, 5, 1, 1, 1, [1, 1, 1, 1]),
        (4, 6, 2, 2, 1, [0, 1, 2, 0]),
        (4, 4, 4, 1, 2, [2, 0, 0, 2]),
        (2, 9, 1, 2, 1, [0, 0, 0, 0]),
    ] {
        let mut window = Window {
            input: [channels, 9, 8],
            kernel: [3, 2],
            strides: [stride, stride],
            pads,
            dilations: [dilation, dilation],
            output: [0, 0],
            count_include_pad: false,
        };
        window.output = window.floor_output();
        let shape = Shape(vec![outputs, channels / groups, 3, 2]);
        let weight = Arc::new(Tensor::new(shape.clone(), values(shape.size(), channels)));
        let conv = Primitive::Conv(Conv { weight, window: window.clone(), groups });
        let scales = |channels: usize, plane: usize, seed| {
            let values = Arc::new(Tensor::new(Shape(vec![channels]), values(channels, seed)));
            LinearMap::of(Primitive::Diagonal { values, repeat: plane, size: channels * plane }, None)
        };
        let plane: usize = window.output.iter().product();
        let bias = Bias { values: Arc::new(Tensor::new(Shape(vec![outputs]), values(outputs, 8))), repeat: plane };
        let map = scales(channels, 72, 5).then(&LinearMap::of(conv, Some(bias))).then(&scales(outputs, plane, 6));
        let map = map.scaled(1.7, 0.3);
        let vectors: Vec<Vec<f64>> = (0..5).map(|seed| values(map.inputs, seed)).collect();
        let expected: Vec<Vec<f64>> = vectors.iter().map(|x| map.apply(x)).collect();
        let operator = Operator::new(&map);
        assert_eq!(apart(&operator.apply(&together(&vectors)), vectors.len()), expected, "{window:?}");
        let alone = operator.apply(&side_by_side::<1>(&[&vectors[0]]));
        assert_eq!(alone.as_flattened(), expected[0], "{window:?}");
        assert_eq!(operator.products(), map.matrix().entry_count());
    }
}
