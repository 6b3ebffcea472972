//! Packing and scheduling compute what the tensor graph computes, whatever the layout.

use std::collections::BTreeSet;
use std::sync::Arc;

use paf_ir::linear::{Bias, Conv, LinearMap, Primitive, Window};
use paf_ir::program::InputScaling;
use paf_ir::slots::{self, SlotProgram};
use paf_ir::tensor::{BatchAxis, Graph, NodeId, Op, Output, Shape, Tensor, evaluate};
use paf_passes::approximate::{ApproximationOptions, Margin, approximate};
use paf_passes::fold::fold;
use paf_passes::optimize::optimize;
use paf_passes::pack::{PackOptions, Port, pack};
use paf_passes::paf::Paf;
use paf_passes::schedule::{Bootstraps, Magnitudes, ScheduleRequest, assign_levels, schedule};
use paf_scheme::EngineProfile;
use proptest::prelude::*;

fn values(count: usize, seed: usize, size: f64) -> Vec<f64> {
    (0..count).map(|i| (((i + 1) * 7919 + seed * 104_729) % 2001) as f64 / 1000.0 * size - size).collect()
}

fn constant(shape: &[usize], seed: usize, size: f64) -> Arc<Tensor> {
    let shape = Shape(shape.to_vec());
    let data = values(shape.size(), seed, size);
    Arc::new(Tensor::new(shape, data))
}

fn window(input: [usize; 3], kernel: usize, stride: usize, pad: usize) -> Window {
    let mut window = Window {
        input,
        kernel: [kernel, kernel],
        strides: [stride, stride],
        pads: [pad, 0, 0, pad],
        dilations: [1, 1],
        output: [0, 0],
        count_include_pad: false,
    };
    window.output = window.floor_output();
    window
}

fn shape_of(channels: usize, window: &Window) -> Shape {
    Shape(vec![1, channels, window.output[0], window.output[1]])
}

fn conv(graph: &mut Graph, x: NodeId, channels: usize, kernel: usize, stride: usize, groups: usize) -> NodeId {
    let input = graph.node(x).shape.0[1..].try_into().unwrap();
    let mut geometry = window(input, kernel, stride, 0);
    geometry.pads = [kernel / 2; 4];
    geometry.output = geometry.floor_output();
    let weight = constant(&[channels, input[0] / groups, kernel, kernel], channels + kernel, 0.4);
    let bias = Bias { values: constant(&[channels], kernel, 0.3), repeat: geometry.output.iter().product() };
    let shape = shape_of(channels, &geometry);
    let map = LinearMap::of(Primitive::Conv(Conv { weight, window: geometry, groups }), Some(bias));
    graph.linear("conv", map, x, shape).unwrap()
}

fn gemm(graph: &mut Graph, x: NodeId, outputs: usize) -> NodeId {
    let inputs = graph.node(x).shape.size();
    let weight = constant(&[outputs, inputs], 5, 0.2);
    let bias = Bias { values: constant(&[outputs], 6, 0.5), repeat: 1 };
    let map = LinearMap::of(Primitive::Dense { weight, left: 1, right: 1 }, Some(bias));
    graph.linear("gemm", map, x, Shape(vec![1, outputs])).unwrap()
}

fn pool(graph: &mut Graph, x: NodeId, kernel: usize, stride: usize, pad: usize) -> NodeId {
    let input = graph.node(x).shape.0[1..].try_into().unwrap();
    graph.add("pool", Op::MaxPool(window(input, kernel, stride, pad)), &[x]).unwrap()
}

fn finish(graph: &mut Graph, node: NodeId) {
    graph.outputs = vec![Output { name: "y".into(), node }];
}

/// A secure circuit of 14 bits in whatever memory.
fn without_bootstraps() -> ScheduleRequest {
    ScheduleRequest {
        precision: Some(14.0),
        bootstraps: Bootstraps::Never,
        ..ScheduleRequest::new(EngineProfile::openfhe())
    }
}

fn port(shape: Shape) -> Port {
    Port { name: "p".into(), shape }
}

/// Compiles a network to slots and compares with the approximated tensor graph on one input.
fn check(network: &Graph, max_slots: usize) -> SlotProgram {
    let size = network.node(network.inputs[0].0).shape.size();
    let samples: Vec<_> = (0..4).map(|seed| vec![values(size, seed, 1.0)]).collect();
    let options = ApproximationOptions {
        margin: Margin::Fixed(1.2),
        ..ApproximationOptions::new(Paf::by_name("alpha7").unwrap())
    };
    let polynomial = approximate(&fold(network).unwrap(), &options, &samples).unwrap();
    let (optimized, _) = optimize(&polynomial.graph).unwrap();
    let output = Shape(vec![optimized.node(optimized.outputs[0].node).shape.size()]);
    let ports = PackOptions {
        max_slots,
        inputs: vec![(port(Shape(vec![size])), polynomial.inputs[0].clone())],
        outputs: vec![(port(output), polynomial.output_scales[0])],
        client: Default::default(),
        refreshed: false,
        prices: EngineProfile::openfhe().packing,
        sanitize: false,
    };
    let program = pack(&optimized, &ports).unwrap().program;
    let x: Vec<f64> = samples[0][0].iter().map(|x| x * polynomial.inputs[0].scale).collect();
    let expected = evaluate(&polynomial.graph, std::slice::from_ref(&x)).unwrap().remove(0);
    check_maps(&program);
    program.maps.iter().for_each(|map| map.check_complete().unwrap());
    let packed = program.inputs[0].layout.pack(&x);
    let result = slots::evaluate(&program, &[packed]).unwrap().remove(0);
    let got = program.outputs[0].layout.unpack(&result);
    for (index, (expected, got)) in expected.iter().zip(&got).enumerate() {
        assert!((expected - got).abs() < 1e-9, "element {index}: {got} instead of {expected}");
    }
    let text = program.to_text();
    assert_eq!(SlotProgram::from_text(&text).unwrap(), program, "the text form reads back");
    assign_levels(&program).unwrap().verify().unwrap();
    program
}

/// Every packed map alone equals its map on elements.
fn check_maps(program: &SlotProgram) {
    for map in &program.maps {
        let x = values(map.map.inputs, 3, 1.0);
        let vectors = slots::repeat(&map.input.pack(&x), program.slots).unwrap();
        let (expected, got) = (map.map.apply(&x), map.output.unpack(&map.apply(&vectors, program.slots)));
        for (expected, got) in expected.iter().zip(&got) {
            assert!((expected - got).abs() < 1e-9, "map `{}`: {got} instead of {expected}, {:?}", map.name, map.plan);
        }
    }
}

fn image(channels: usize, size: usize) -> (Graph, NodeId) {
    let mut graph = Graph::default();
    let x = graph.input("x", Shape(vec![1, channels, size, size]), BatchAxis::First);
    (graph, x)
}

#[test]
fn strided_convolutions_and_pools_keep_their_values() {
    let (mut graph, x) = image(1, 12);
    let a = conv(&mut graph, x, 4, 3, 2, 1);
    let a = graph.add("relu", Op::Relu, &[a]).unwrap();
    let b = conv(&mut graph, a, 8, 3, 1, 2);
    let b = pool(&mut graph, b, 2, 2, 0);
    let c = gemm(&mut graph, b, 5);
    finish(&mut graph, c);
    check(&graph, 1 << 13);
}

#[test]
fn slices_of_a_pool_are_rotations() {
    let (mut graph, x) = image(2, 9);
    let a = conv(&mut graph, x, 3, 2, 1, 1);
    let a = graph.add("relu", Op::Relu, &[a]).unwrap();
    let a = pool(&mut graph, a, 3, 3, 0);
    let b = gemm(&mut graph, a, 4);
    finish(&mut graph, b);
    let program = check(&graph, 1 << 13);
    assert_eq!(program.maps.len(), 2, "only the convolution and the gemm are maps");
    let rotations = program.values().filter(|(_, value)| matches!(value.op, slots::Op::Rotate { .. })).count();
    assert_eq!(rotations, 4, "one rotation a round");
}

#[test]
fn slices_of_several_ciphertexts_are_rotations_too() {
    let (mut graph, x) = image(2, 8);
    let a = conv(&mut graph, x, 4, 3, 1, 1);
    let a = pool(&mut graph, a, 2, 2, 0);
    let a = graph.add("relu", Op::Relu, &[a]).unwrap();
    let b = gemm(&mut graph, a, 4);
    finish(&mut graph, b);
    let program = check(&graph, 128);
    assert!(program.values().any(|(_, value)| value.ty.ciphertexts > 1));
    assert_eq!(program.maps.len(), 2, "only the convolution and the gemm are maps");
}

#[test]
fn padded_pools_of_negative_values_ignore_the_padding() {
    let (mut graph, x) = image(2, 8);
    let a = conv(&mut graph, x, 2, 3, 1, 1);
    let a = graph.add("down", Op::AddConstant(-6.0), &[a]).unwrap();
    let a = pool(&mut graph, a, 3, 2, 1);
    finish(&mut graph, a);
    check(&graph, 1 << 13);
}

#[test]
fn residual_blocks_share_one_layout() {
    let (mut graph, x) = image(3, 8);
    let a = conv(&mut graph, x, 4, 3, 1, 1);
    let a = graph.add("r0", Op::Relu, &[a]).unwrap();
    let b = conv(&mut graph, a, 8, 3, 2, 1);
    let b = graph.add("r1", Op::Relu, &[b]).unwrap();
    let b = conv(&mut graph, b, 8, 3, 1, 1);
    let shortcut = conv(&mut graph, a, 8, 1, 2, 1);
    let sum = graph.add("sum", Op::Add, &[b, shortcut]).unwrap();
    let sum = graph.add("r2", Op::Relu, &[sum]).unwrap();
    let y = gemm(&mut graph, sum, 10);
    finish(&mut graph, y);
    check(&graph, 1 << 13);
}

#[test]
fn tensors_larger_than_a_ciphertext_are_blocks() {
    let (mut graph, x) = image(3, 8);
    let a = conv(&mut graph, x, 8, 3, 1, 1);
    let a = graph.add("r0", Op::Relu, &[a]).unwrap();
    let a = conv(&mut graph, a, 4, 3, 2, 1);
    let a = graph.add("r1", Op::Relu, &[a]).unwrap();
    let y = gemm(&mut graph, a, 10);
    finish(&mut graph, y);
    let program = check(&graph, 128);
    assert!(program.values().any(|(_, value)| value.ty.ciphertexts > 1));
}

/// Convolutions between 32x32, 16x16 and 8x8 in one ciphertext, as in ResNet-20: techniques of single-shot multiplexed
/// packing take 24, 44 and 63 rotations for them, and about 80 keys with a plan for each layer alone.
#[test]
fn convolutions_share_rotation_keys() {
    let (mut graph, x) = image(16, 32);
    let mut x = conv(&mut graph, x, 16, 3, 1, 1);
    for channels in [32, 64] {
        x = conv(&mut graph, x, channels, 3, 2, 1);
        x = conv(&mut graph, x, channels, 3, 1, 1);
    }
    finish(&mut graph, x);
    let input = graph.node(graph.inputs[0].0).shape.clone();
    let output = graph.node(x).shape.clone();
    let options = PackOptions {
        max_slots: 1 << 15,
        inputs: vec![(port(input), InputScaling::shared(1.0, (-1.0, 1.0)))],
        outputs: vec![(port(output), 1.0)],
        client: Default::default(),
        refreshed: true,
        prices: EngineProfile::openfhe().packing,
        sanitize: false,
    };
    let maps = pack(&graph, &options).unwrap().program.maps;
    let rotations: Vec<usize> = maps.iter().map(|map| map.plan.rotation_count(1, 1)).collect();
    let keys: BTreeSet<i64> = maps.iter().flat_map(|map| map.plan.rotations()).collect();
    let alone: usize = maps.iter().map(|map| map.plan.rotations().len()).sum();
    assert!(keys.len() <= 70 && 2 * alone > 3 * keys.len(), "{} keys, {alone} with none shared", keys.len());
    let most = [24, 24, 44, 39, 63];
    assert!(rotations.iter().zip(most).all(|(&rotations, most)| rotations <= most), "{rotations:?}");
}

#[test]
fn too_deep_says_what_it_needs_and_what_fits() {
    let (mut graph, x) = image(1, 8);
    let mut a = conv(&mut graph, x, 2, 3, 1, 1);
    for _ in 0..8 {
        a = graph.add("relu", Op::Relu, &[a]).unwrap();
        a = conv(&mut graph, a, 2, 3, 1, 1);
    }
    finish(&mut graph, a);
    let program = check(&graph, 1 << 13);
    let request = without_bootstraps();
    match schedule(&program, &Magnitudes::unknown(), &request) {
        Err(paf_passes::PassError::TooDeep { needed: 65, available, .. }) => assert!((35..65).contains(&available)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn parameters_keep_the_security_limit_and_the_memory() {
    let (mut graph, x) = image(1, 12);
    let a = conv(&mut graph, x, 4, 3, 2, 1);
    let a = graph.add("relu", Op::Relu, &[a]).unwrap();
    let y = gemm(&mut graph, a, 10);
    finish(&mut graph, y);
    let program = check(&graph, 1 << 13);
    let request = without_bootstraps();
    let free = schedule(&program, &Magnitudes::unknown(), &request).unwrap();
    assert!(free.parameters.log_qp <= paf_scheme::log_qp_limit_128(free.parameters.ring_dimension));
    assert!(free.precision_bits >= 14.0);
    let tight = ScheduleRequest { memory: Some(1 << 20), ..request };
    match schedule(&program, &Magnitudes::unknown(), &tight) {
        Err(paf_passes::PassError::TooBig { needed, limit }) => assert!(needed > limit),
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_small_network_keeps_its_values(
        (size, channels, kernel) in (5usize..10, 1usize..4, 1usize..4),
        (outputs, stride) in (1usize..6, 1usize..4),
        (pool_kernel, pool_stride, pool_pad) in (2usize..4, 1usize..3, 0usize..2),
        max_slots in prop::sample::select(vec![128usize, 1024, 8192]),
    ) {
        let (mut graph, x) = image(channels, size);
        let a = conv(&mut graph, x, outputs, kernel, stride, 1);
        let plane = &graph.node(a).shape.0[2..];
        let fits = plane.iter().all(|&length| length >= pool_kernel);
        let a = graph.add("relu", Op::Relu, &[a]).unwrap();
        let a = if fits { pool(&mut graph, a, pool_kernel, pool_stride, pool_pad) } else { a };
        let y = gemm(&mut graph, a, 3);
        finish(&mut graph, y);
        check(&graph, max_slots);
    }
}
