//! Quantized networks as the networks of numbers that they stand for.

use paf_ir::tensor::Op;
use testkit::onnx::{floats, integer, integers, list, model, node};
use tract_onnx::pb::{ModelProto, NodeProto, TensorProto};

use crate::support::{assert_result, import_model, unsupported_reason};

const UINT8: i32 = 2;
const INT8: i32 = 3;
const INT32: i32 = 6;

/// A weight of small integers.
fn small(name: &str, data_type: i32, dims: &[i64], values: &[i32]) -> TensorProto {
    TensorProto { data_type, int32_data: values.to_vec(), int64_data: vec![], dims: dims.to_vec(), ..list(name, &[]) }
}

fn quantize(operands: &str, output: &str) -> NodeProto {
    node("QuantizeLinear", operands, output, vec![])
}

fn dequantize(operands: &str, output: &str) -> NodeProto {
    node("DequantizeLinear", operands, output, vec![])
}

fn microsoft(operator: &str, operands: &str, output: &str) -> NodeProto {
    NodeProto { domain: "com.microsoft".into(), ..node(operator, operands, output, vec![]) }
}

fn count(model: &ModelProto, is_wanted: impl Fn(&Op) -> bool) -> usize {
    let imported = import_model(model).unwrap_or_else(|problem| panic!("{problem}"));
    imported.graph.nodes().filter(|(_, node)| is_wanted(&node.op)).count()
}

fn relus(model: &ModelProto) -> usize {
    count(model, |op| *op == Op::Relu)
}

#[test]
fn quantized_weights_are_numbers() {
    let product = |weights: Vec<TensorProto>, attributes| {
        let nodes = vec![node("DequantizeLinear", "q s z", "w", attributes), node("MatMul", "x w", "y", vec![])];
        model(21, &[1, 2], nodes, weights)
    };
    let q = || small("q", INT8, &[2, 2], &[10, -20, 30, 40]);
    let tensor = vec![q(), floats("s", &[], &[0.5]), small("z", INT8, &[], &[10])];
    assert_result(&product(tensor, vec![]), &[1.0, 2.0], &[1, 2], &[20.0, 15.0]);
    let columns = vec![q(), floats("s", &[2], &[0.5, 0.1]), small("z", INT8, &[2], &[0, 10])];
    assert_result(&product(columns, vec![integer("axis", -1)]), &[1.0, 2.0], &[1, 2], &[35.0, 3.0]);
    let rows = vec![q(), floats("s", &[2], &[0.5, 0.1]), small("z", INT8, &[2], &[0, 10])];
    assert_result(&product(rows, vec![integer("axis", 0)]), &[1.0, 2.0], &[1, 2], &[9.0, -4.0]);
    let blocks = vec![q(), floats("s", &[1, 2], &[0.5, 0.1]), small("z", INT8, &[1, 2], &[0, 10])];
    let by_blocks = vec![integer("axis", 0), integer("block_size", 2)];
    assert_result(&product(blocks, by_blocks), &[1.0, 2.0], &[1, 2], &[35.0, 3.0]);
}

#[test]
fn weights_that_are_quantized_in_the_graph_are_rounded() {
    let nodes = vec![quantize("w s z", "q"), dequantize("q s z", "r"), node("Mul", "x r", "y", vec![])];
    let weights =
        vec![floats("w", &[3], &[0.26, -9.0, 99.0]), floats("s", &[], &[0.5]), small("z", INT8, &[], &[-120])];
    assert_result(&model(13, &[1, 3], nodes, weights), &[1.0; 3], &[1, 3], &[0.5, -4.0, 99.0]);
}

fn around(zero: TensorProto, scale: f32, nodes: &[NodeProto]) -> ModelProto {
    let pair = vec![quantize("x s z", "qx"), dequantize("qx s z", "dx")];
    let last = vec![quantize("t s z", "qt"), dequantize("qt s z", "y")];
    model(
        13,
        &[1, 2],
        [&pair, nodes, &last].concat(),
        vec![floats("s", &[], &[scale]), zero, floats("w", &[2], &[2.0, -3.0])],
    )
}

#[test]
fn pairs_around_data_are_nothing() {
    let model = around(small("z", UINT8, &[], &[128]), 0.1, &[node("Mul", "dx w", "t", vec![])]);
    assert_result(&model, &[1.0, 2.0], &[1, 2], &[2.0, -6.0]);
    assert_eq!(relus(&model), 0);
}

#[test]
fn a_range_from_zero_is_a_relu() {
    let product = || node("Mul", "dx w", "t", vec![]);
    for zero in [small("z", UINT8, &[], &[0]), small("z", INT8, &[], &[-128])] {
        let model = around(zero, 0.1, &[product()]);
        assert_result(&model, &[1.0, 2.0], &[1, 2], &[2.0, 0.0]);
        assert_eq!(relus(&model), 1);
    }
    let product = || node("Mul", "dx w", "p", vec![]);
    let written = [product(), node("Relu", "p", "r", vec![]), node("Reshape", "r shape", "t", vec![])];
    let mut model = around(small("z", UINT8, &[], &[0]), 0.1, &written);
    model.graph.as_mut().unwrap().initializer.push(list("shape", &[1, 2]));
    assert_result(&model, &[1.0, 2.0], &[1, 2], &[2.0, 0.0]);
    assert_eq!(relus(&model), 1);
}

#[test]
fn a_range_from_zero_to_six_is_a_relu6() {
    let model = around(small("z", UINT8, &[], &[0]), 6.0 / 255.0, &[node("Mul", "dx w", "t", vec![])]);
    assert_result(&model, &[1.0, 2.0], &[1, 2], &[2.0, 0.0]);
    assert_result(&model, &[4.0, -1.0], &[1, 2], &[6.0, 3.0]);
}

#[test]
fn integers_that_are_computed_with_are_named() {
    let weights = || vec![floats("s", &[], &[0.5]), floats("other", &[], &[0.25])];
    let nodes = vec![quantize("x s", "q"), node("Relu", "q", "r", vec![]), dequantize("r s", "y")];
    let (operator, reason) = unsupported_reason(&model(13, &[1, 2], nodes, weights()));
    assert_eq!((operator.as_str(), reason.as_str()), ("QuantizeLinear", "`r` (Relu) computes with its integers"));
    let nodes = vec![quantize("x s", "q"), dequantize("q other", "y")];
    let (operator, reason) = unsupported_reason(&model(13, &[1, 2], nodes, weights()));
    assert_eq!(operator, "QuantizeLinear");
    assert_eq!(reason, "`y` reads it with another scale or zero point");
    let nodes = vec![quantize("x s", "q"), node("Flatten", "q", "y", vec![])];
    let (_, reason) = unsupported_reason(&model(13, &[1, 2], nodes, weights()));
    assert_eq!(reason, "its integers are the output `y` of the model");
}

#[test]
fn integers_that_are_an_output_are_those_of_the_client() {
    let nodes = vec![node("Mul", "x w", "t", vec![]), quantize("t s z", "y")];
    let weights = vec![floats("w", &[3], &[2.0, -3.0, 9.0]), floats("s", &[], &[0.5]), small("z", UINT8, &[], &[128])];
    let model = model(13, &[1, 3], nodes, weights);
    assert_result(&model, &[1.1, 2.0, 30.0], &[1, 3], &[132.0, 116.0, 255.0]);
    assert_eq!(relus(&model), 0);
}

#[test]
fn operators_on_integers_are_those_on_numbers() {
    let nodes = vec![
        quantize("x xs xz", "qx"),
        node("QLinearConv", "qx xs xz w ws wz cs cz b", "qc", vec![]),
        node("MaxPool", "qc", "qp", vec![integers("kernel_shape", &[1, 2])]),
        microsoft("QLinearAdd", "qp cs cz k ks kz as az", "qa"),
        dequantize("qa as az", "y"),
    ];
    let weights = vec![
        floats("xs", &[], &[0.01]),
        small("xz", UINT8, &[], &[128]),
        small("w", INT8, &[2, 1, 1, 1], &[10, -20]),
        floats("ws", &[2], &[0.1, 0.05]),
        small("wz", INT8, &[2], &[0, 0]),
        small("b", INT32, &[2], &[500, -1000]),
        floats("cs", &[], &[0.02]),
        small("cz", UINT8, &[], &[0]),
        small("k", INT8, &[1, 2, 1, 1], &[1, 2]),
        floats("ks", &[], &[0.5]),
        small("kz", INT8, &[], &[0]),
        floats("as", &[], &[0.03]),
        small("az", INT8, &[], &[-128]),
    ];
    let model = model(13, &[1, 1, 1, 2], nodes, weights);
    // The first channel is x + ½, the second −x − ½.
    assert_result(&model, &[0.25, 0.75], &[1, 2, 1, 1], &[1.75, 1.0]);
    assert_result(&model, &[-0.75, -1.0], &[1, 2, 1, 1], &[0.5, 1.5]);
    assert_eq!(relus(&model), 2, "behind the convolution, and behind the sum with a constant");
}

#[test]
fn products_of_integers_are_those_of_numbers() {
    let weights = || {
        vec![
            floats("xs", &[], &[0.01]),
            small("xz", UINT8, &[], &[128]),
            small("w", INT8, &[2, 2], &[10, -20, 30, 40]),
            floats("ws", &[2], &[0.1, 0.05]),
            small("wz", INT8, &[2], &[0, 10]),
            small("b", INT32, &[2], &[500, -1000]),
            floats("ys", &[], &[0.02]),
            small("yz", UINT8, &[], &[100]),
        ]
    };
    let product = node("QLinearMatMul", "qx xs xz w ws wz ys yz", "q", vec![]);
    let model_of = |product, last| {
        let nodes = vec![quantize("x xs xz", "qx"), product, last];
        model(13, &[1, 2], nodes, weights())
    };
    let quantized = model_of(product, dequantize("q ys yz", "y"));
    assert_result(&quantized, &[1.0, 2.0], &[1, 2], &[7.0, 1.5]);
    let gemm = microsoft("QGemm", "qx xs xz w ws wz b", "r");
    assert_result(&model_of(gemm, node("Neg", "r", "y", vec![])), &[1.0, 2.0], &[1, 2], &[-7.5, -1.0]);
    let wrong = node("QLinearMatMul", "qx ys xz w ws wz ys yz", "q", vec![]);
    let problem = import_model(&model_of(wrong, dequantize("q ys yz", "y"))).unwrap_err().to_string();
    assert!(problem.contains("`q` (QLinearMatMul) computes with its integers"), "{problem}");
    assert!(problem.contains("not quantized with the constant scales and zero points that it names"), "{problem}");
}

#[test]
fn dynamically_quantized_products_are_those_of_numbers() {
    let weights = || {
        vec![
            small("w", INT8, &[2, 2], &[10, -20, 30, 40]),
            floats("ws", &[2], &[0.1, 0.05]),
            small("wz", INT8, &[2], &[0, 10]),
        ]
    };
    let first = || node("DynamicQuantizeLinear", "x", "q s z", vec![]);
    let product = || node("MatMulInteger", "q w z wz", "i", vec![]);
    let cast = || node("Cast", "i", "f", vec![integer("to", 1)]);
    let scale = || node("Mul", "s ws", "k", vec![]);
    let standard = vec![first(), product(), cast(), scale(), node("Mul", "f k", "y", vec![])];
    assert_result(&model(13, &[1, 2], standard, weights()), &[1.0, 2.0], &[1, 2], &[7.0, 1.5]);
    let fused = vec![first(), microsoft("MatMulIntegerToFloat", "q w s ws z wz", "y")];
    assert_result(&model(13, &[1, 2], fused, weights()), &[1.0, 2.0], &[1, 2], &[7.0, 1.5]);
    let whole = vec![microsoft("DynamicQuantizeMatMul", "x w ws wz", "y")];
    assert_result(&model(13, &[1, 2], whole, weights()), &[1.0, 2.0], &[1, 2], &[7.0, 1.5]);
    let unscaled = vec![first(), product(), node("Cast", "i", "y", vec![integer("to", 1)])];
    let problem = import_model(&model(13, &[1, 2], unscaled, weights())).unwrap_err().to_string();
    assert!(problem.contains("(DynamicQuantizeLinear)"), "{problem}");
}
