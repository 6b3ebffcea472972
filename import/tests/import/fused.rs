//! Operators that onnxruntime writes, against what its documents say of them.

use testkit::onnx::{floats, input, integer, integers, model, model_of, node, real, reals, text};
use tract_onnx::pb::{AttributeProto, ModelProto, NodeProto, TensorProto};

use crate::support::{assert_result, unsupported_reason};

fn fused(operator: &str, operands: &str, outputs: &str, attributes: Vec<AttributeProto>) -> NodeProto {
    NodeProto { domain: "com.microsoft".into(), ..node(operator, operands, outputs, attributes) }
}

fn one_node(shape: &[i64], node: NodeProto, weights: Vec<TensorProto>) -> ModelProto {
    model(17, shape, vec![node], weights)
}

#[test]
fn convolutions_with_a_sum_and_a_function() {
    let weights = || vec![floats("w", &[1, 1, 1, 1], &[2.0]), floats("b", &[1], &[0.5])];
    let conv =
        |operands: &str, attributes| one_node(&[1, 1, 1, 2], fused("FusedConv", operands, "y", attributes), weights());
    let x = [1.0, -2.0];
    assert_result(&conv("x w b", vec![text("activation", "Relu")]), &x, &[1, 1, 1, 2], &[2.5, 0.0]);
    assert_result(&conv("x w b x", vec![text("activation", "Relu")]), &x, &[1, 1, 1, 2], &[3.5, 0.0]);
    let leaky = vec![text("activation", "LeakyRelu"), reals("activation_params", &[0.5])];
    assert_result(&conv("x w", leaky), &x, &[1, 1, 1, 2], &[2.0, -2.0]);
    let clip = vec![text("activation", "Clip"), reals("activation_params", &[-1.0, 1.0])];
    assert_result(&conv("x w", clip), &x, &[1, 1, 1, 2], &[1.0, -1.0]);
    let (operator, reason) = unsupported_reason(&conv("x w", vec![text("activation", "Odd")]));
    assert_eq!((operator.as_str(), reason.as_str()), ("FusedConv", "its activation is `Odd`"));
}

#[test]
fn products_with_multiples_and_transposed_factors() {
    let weights = || vec![floats("w", &[1, 2], &[3.0, 5.0]), floats("b", &[1], &[1.0])];
    let product = |attributes| one_node(&[1, 2], fused("FusedMatMul", "x w", "y", attributes), weights());
    let x = [1.0, -2.0];
    assert_result(&product(vec![integer("transB", 1), real("alpha", 0.5)]), &x, &[1, 1], &[-3.5]);
    assert_result(&product(vec![integer("transA", 1)]), &x, &[2, 2], &[3.0, 5.0, -6.0, -10.0]);
    let (_, reason) = unsupported_reason(&product(vec![integer("transBatchA", 1)]));
    assert_eq!(reason, "transBatchA is 1");
    let leaky = vec![integer("transB", 1), text("activation", "LeakyRelu"), real("activation_alpha", 0.5)];
    let gemm = one_node(&[1, 2], fused("FusedGemm", "x w b", "y", leaky), weights());
    assert_result(&gemm, &x, &[1, 1], &[-3.0]);
}

/// The exact Gelu and the one with tanh at 1.
const GELU: [f64; 2] = [0.841_344_746, 0.841_191_990];

#[test]
fn gelus() {
    let half = || vec![floats("b", &[1], &[0.5])];
    let gelu = |operator: &str, operands: &str| one_node(&[1, 1], fused(operator, operands, "y", vec![]), half());
    assert_result(&gelu("Gelu", "x"), &[1.0], &[1, 1], &GELU[..1]);
    assert_result(&gelu("BiasGelu", "x b"), &[0.5], &[1, 1], &GELU[..1]);
    assert_result(&gelu("FastGelu", "x"), &[1.0], &[1, 1], &GELU[1..]);
    assert_result(&gelu("FastGelu", "x b"), &[0.5], &[1, 1], &GELU[1..]);
    assert_result(&gelu("QuickGelu", "x"), &[1.0], &[1, 1], &[1.0 / (1.0 + (-1.702f64).exp())]);
}

#[test]
fn normalizations_of_sums() {
    let weights = || vec![floats("g", &[2], &[1.0, 2.0]), floats("b", &[2], &[0.5, 0.5])];
    let inputs = || vec![input("x", &[1, 2])];
    let normalization = |operator: &str, operands: &str, outputs: &str, wanted: &str| {
        model_of(17, inputs(), vec![fused(operator, operands, outputs, vec![])], weights(), &[wanted])
    };
    let x = [3.0, 1.0];
    let model = normalization("SkipLayerNormalization", "x x g b", "y", "y");
    assert_result(&model, &x, &[1, 2], &[1.5, -1.5]);
    let sum = normalization("SkipLayerNormalization", "x x g b b", "y   s", "s");
    assert_result(&sum, &x, &[1, 2], &[6.5, 2.5]);
    let root = 5f64.sqrt();
    let simplified = normalization("SkipSimplifiedLayerNormalization", "x x g", "y", "y");
    assert_result(&simplified, &x, &[1, 2], &[3.0 / root, 2.0 / root]);
    let own = NodeProto {
        domain: String::new(),
        ..fused("SimplifiedLayerNormalization", "x g", "y", vec![real("epsilon", 0.0)])
    };
    assert_result(&model_of(17, inputs(), vec![own], weights(), &["y"]), &x, &[1, 2], &[3.0 / root, 2.0 / root]);
}

#[test]
fn other_operators_of_onnxruntime_are_named() {
    let attention = one_node(&[1, 2], fused("Attention", "x", "y", vec![integers("unused", &[])]), vec![]);
    let (operator, reason) = unsupported_reason(&attention);
    assert_eq!((operator.as_str(), reason.as_str()), ("Attention", "it is an operator of onnxruntime alone"));
}
