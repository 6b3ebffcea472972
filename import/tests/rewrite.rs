//! Models with other weights: tract runs what was written, and it does what the changed graph does.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use paf_import::{ImportError, ModelSource, import, with_weights};
use paf_ir::linear::{Bias, Conv, Primitive};
use paf_ir::tensor::{BatchNorm, Constant, Graph, NodeId, Op, evaluate};
use paf_ir::{LinearMap, Shape};
use paf_oracle::Oracle;
use prost::Message;
use testkit::client_part::outputs;
use testkit::networks::TrainedNetwork;
use testkit::onnx::{floats, model, node, text};
use testkit::{digits, testdata};
use tract_onnx::pb::{FunctionProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto};

fn own_networks() -> Vec<PathBuf> {
    digits::NETWORKS.map(|network| network.model()).to_vec()
}

fn trained_networks() -> Vec<PathBuf> {
    let names = ["germanov_lenet5_mnist", "cntk_mnist_opset8", "mlperf_tiny_resnet8_bn_cifar10", "netkit_mnist_cnn"];
    names.map(|name| TrainedNetwork::named(name).file()).to_vec()
}

fn source(path: &Path) -> ModelSource {
    ModelSource::read(path).unwrap()
}

/// Every value moved a little, each by another amount.
fn moved(constant: &Constant) -> Constant {
    let mut moved = (**constant).clone();
    moved.data.iter_mut().enumerate().for_each(|(index, value)| *value *= 1.0 + 0.01 * (index % 7) as f64);
    Arc::new(moved)
}

fn moved_op(op: &Op) -> Option<Op> {
    match op {
        Op::BatchNorm(norm) => Some(Op::BatchNorm(BatchNorm {
            scale: moved(&norm.scale),
            bias: moved(&norm.bias),
            mean: moved(&norm.mean),
            variance: moved(&norm.variance),
            epsilon: norm.epsilon,
        })),
        Op::Linear(map) => {
            let factors = map.factors.iter().map(|factor| match factor {
                Primitive::Conv(conv) => Some(Primitive::Conv(Conv { weight: moved(&conv.weight), ..conv.clone() })),
                Primitive::Dense { weight, left, right } => {
                    Some(Primitive::Dense { weight: moved(weight), left: *left, right: *right })
                }
                _ => None,
            });
            let factors = factors.collect::<Option<Vec<_>>>()?;
            let bias = map.bias.as_ref().map(|bias| Bias { values: moved(&bias.values), repeat: bias.repeat });
            (!factors.is_empty() || bias.is_some())
                .then(|| Op::Linear(Arc::new(LinearMap { factors, bias, ..(**map).clone() })))
        }
        _ => None,
    }
}

/// The graph with all its weights moved, and how many nodes that were.
fn with_moved_weights(graph: &Graph) -> (Graph, usize) {
    let mut changed = graph.clone();
    let moved: Vec<(NodeId, Op)> = graph.nodes().filter_map(|(id, node)| Some((id, moved_op(&node.op)?))).collect();
    let count = moved.len();
    moved.into_iter().for_each(|(id, op)| changed.replace_weights(id, op).unwrap());
    (changed, count)
}

fn input_of(graph: &Graph) -> Vec<f64> {
    let size = graph.node(graph.inputs[0].0).shape.size();
    (0..size).map(|index| f64::from((index * 37 % 101) as u32) / 101.0).collect()
}

#[test]
fn tract_runs_the_new_weights() {
    own_networks().iter().for_each(|path| check_new_weights(path));
}

#[test]
#[ignore = "needs PAF_SHARED"]
fn tract_runs_the_new_weights_of_trained_networks() {
    trained_networks().iter().for_each(|path| check_new_weights(path));
}

/// A model of a fused operator, a function and quantized weights: the plain network is what gets other weights.
#[test]
fn tract_runs_the_new_weights_of_models_that_were_prepared() {
    let set = |domain: &str, version| OperatorSetIdProto { domain: domain.into(), version };
    let of_domain = |domain: &str, node: NodeProto| NodeProto { domain: domain.into(), ..node };
    let names = |list: &[&str]| list.iter().map(|&name| name.to_owned()).collect();
    let dense = FunctionProto {
        name: Some("Dense".into()),
        domain: Some("mine".into()),
        input: names(&["x", "w", "b"]),
        output: names(&["y"]),
        node: vec![node("MatMul", "x w", "t", vec![]), node("Add", "t b", "y", vec![])],
        opset_import: vec![set("", 17)],
        ..Default::default()
    };
    let conv = of_domain("com.microsoft", node("FusedConv", "x k c", "a", vec![text("activation", "Relu")]));
    let nodes = vec![
        conv,
        node("Flatten", "a", "f", vec![]),
        of_domain("mine", node("Dense", "f w b", "d", vec![])),
        node("DequantizeLinear", "q s", "v", vec![]),
        node("MatMul", "d v", "y", vec![]),
    ];
    let small = |values: &[i32]| TensorProto { data_type: 3, int32_data: values.to_vec(), ..floats("q", &[2, 2], &[]) };
    let weights = vec![
        floats("k", &[2, 1, 1, 1], &[0.5, -1.0]),
        floats("c", &[2], &[0.25, 0.75]),
        floats("w", &[8, 2], &(0..16).map(|index| index as f32 / 8.0 - 0.9).collect::<Vec<_>>()),
        floats("b", &[2], &[0.1, -0.2]),
        small(&[10, -20, 30, 40]),
        floats("s", &[], &[0.05]),
    ];
    let built = model(17, &[1, 1, 2, 2], nodes, weights);
    let opset_import = vec![set("", 17), set("mine", 1), set("com.microsoft", 1)];
    let built = ModelProto { opset_import, functions: vec![dense], ..built };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, built.encode_to_vec()).unwrap();
    check_new_weights(&path);
}

fn check_new_weights(path: &Path) {
    let graph = import(path).unwrap().graph;
    let (changed, count) = with_moved_weights(&graph);
    assert!(count >= 2, "{}", path.display());
    let folder = tempfile::tempdir().unwrap();
    let written = folder.path().join("written.onnx");
    std::fs::write(&written, with_weights(&source(path), &graph, &changed).unwrap()).unwrap();
    let input = input_of(&graph);
    let expected = evaluate(&import(&written).unwrap().graph, std::slice::from_ref(&input)).unwrap();
    let of_graph = evaluate(&changed, std::slice::from_ref(&input)).unwrap();
    assert_close(&of_graph[0], &expected[0], path);
    let as_floats: Vec<f32> = input.iter().map(|&x| x as f32).collect();
    let of_tract = Oracle::load(&written).unwrap().run(&as_floats).unwrap();
    let of_tract: Vec<f64> = of_tract[0].iter().map(|&y| f64::from(y)).collect();
    assert_close(&outputs(&changed, input.clone())[0].data, &of_tract, path);
    let before = evaluate(&graph, &[input]).unwrap();
    assert!(distance(&before[0], &expected[0]) > 1e-3, "{}: nothing changed", path.display());
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    let largest = b.iter().fold(1e-3, |largest: f64, x| largest.max(x.abs()));
    a.iter().zip(b).map(|(a, b)| (a - b).abs() / largest).fold(0.0, f64::max)
}

fn assert_close(a: &[f64], b: &[f64], path: &Path) {
    assert_eq!(a.len(), b.len());
    assert!(distance(a, b) < 1e-4, "{}: {a:?} and {b:?}", path.display());
}

#[test]
fn unchanged_weights_leave_the_message_as_it_was() {
    own_networks().iter().for_each(|path| check_unchanged_weights(path));
}

#[test]
#[ignore = "needs PAF_SHARED"]
fn unchanged_weights_leave_the_message_of_trained_networks_as_it_was() {
    trained_networks().iter().for_each(|path| check_unchanged_weights(path));
}

fn check_unchanged_weights(path: &Path) {
    let graph = import(path).unwrap().graph;
    let before = ModelProto::decode(&std::fs::read(path).unwrap()[..]).unwrap();
    let after = ModelProto::decode(&with_weights(&source(path), &graph, &graph).unwrap()[..]).unwrap();
    assert_eq!(before.graph, after.graph, "{}", path.display());
    assert_eq!(before.opset_import, after.opset_import);
}

#[test]
fn only_the_changed_weight_changes() {
    let path = testdata("digits_cnn.onnx");
    let graph = import(&path).unwrap().graph;
    let (id, node) = graph.nodes().find(|(_, node)| node.name == "batch_norm").unwrap();
    let Op::BatchNorm(norm) = &node.op else { panic!("a BatchNormalization") };
    let mut changed = graph.clone();
    changed.replace_weights(id, Op::BatchNorm(BatchNorm { mean: moved(&norm.mean), ..norm.clone() })).unwrap();
    let before = ModelProto::decode(&std::fs::read(&path).unwrap()[..]).unwrap().graph.unwrap();
    let after =
        ModelProto::decode(&with_weights(&source(&path), &graph, &changed).unwrap()[..]).unwrap().graph.unwrap();
    assert_eq!(before.node, after.node);
    let pairs = before.initializer.iter().zip(&after.initializer);
    assert_eq!(pairs.filter(|(before, after)| before != after).count(), 1);
}

#[test]
#[ignore = "needs PAF_SHARED"]
fn a_layer_without_bias_gets_one() {
    let path = TrainedNetwork::named("cntk_mnist_opset8").file();
    let graph = import(&path).unwrap().graph;
    let (id, node) = graph.nodes().find(|(_, node)| node.name == "Convolution28").unwrap();
    let Op::Linear(map) = &node.op else { panic!("a Conv") };
    let values = Arc::new(paf_ir::tensor::Tensor::new(Shape(vec![8]), (0..8).map(f64::from).collect()));
    let bias = Some(Bias { values, repeat: map.outputs / 8 });
    let mut changed = graph.clone();
    changed.replace_weights(id, Op::Linear(Arc::new(LinearMap { bias, ..(**map).clone() }))).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let written = folder.path().join("written.onnx");
    std::fs::write(&written, with_weights(&source(&path), &graph, &changed).unwrap()).unwrap();
    let input = input_of(&graph);
    let back = evaluate(&import(&written).unwrap().graph, std::slice::from_ref(&input)).unwrap();
    assert_close(&evaluate(&changed, &[input]).unwrap()[0], &back[0], &path);
}

#[test]
fn weights_without_a_place_are_refused_by_name() {
    let path = testdata("digits_mlp.onnx");
    let graph = import(&path).unwrap().graph;
    let (id, node) = graph.nodes().find(|(_, node)| node.name == "gemm_0").unwrap();
    let Op::Linear(map) = &node.op else { panic!("a Gemm") };
    let mut changed = graph.clone();
    changed.replace_weights(id, Op::Linear(Arc::new(LinearMap { scale: 2.0, ..(**map).clone() }))).unwrap();
    match with_weights(&source(&path), &graph, &changed) {
        Err(ImportError::Weight { name, .. }) => assert_eq!(name, "gemm_0"),
        other => panic!("{:?}", other.map(|bytes| bytes.len())),
    }
}
