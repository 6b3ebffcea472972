//! Normalizations and pools by powers of their elements, against their definition.

use testkit::onnx::{integer, integers, model, node, real};
use tract_onnx::pb::AttributeProto;

use crate::support::{assert_result, unsupported_reason};

/// LRN by the formula of ONNX's schema on one pixel.
fn normalized(x: &[f64], size: usize, [alpha, beta, bias]: [f64; 3]) -> Vec<f64> {
    let window = |c: usize| c.saturating_sub((size - 1) / 2)..=(c + size / 2).min(x.len() - 1);
    let sum = |c: usize| window(c).map(|d| x[d] * x[d]).sum::<f64>();
    (0..x.len()).map(|c| x[c] / (bias + alpha / size as f64 * sum(c)).powf(beta)).collect()
}

#[test]
fn local_response_normalization() {
    let x = [1.0, -2.0, 3.0, -4.0, 5.0];
    for (size, parameters) in
        [(3, [0.5, 0.75, 1.0]), (2, [0.5, 0.5, 2.0]), (5, [1.0, 1.0, 1.0]), (4, [0.5, 0.625, 1.0])]
    {
        let [alpha, beta, bias] = parameters.map(|value| value as f32);
        let attributes = vec![integer("size", size), real("alpha", alpha), real("beta", beta), real("bias", bias)];
        let model = model(13, &[1, 5, 1, 1], vec![node("LRN", "x", "y", attributes)], vec![]);
        assert_result(&model, &x, &[1, 5, 1, 1], &normalized(&x, size as usize, parameters));
    }
}

fn pooled(operator: &str, attributes: Vec<AttributeProto>, shape: &[usize], expected: &[f64]) {
    let model = model(13, &[1, 1, 2, 3], vec![node(operator, "x", "y", attributes)], vec![]);
    assert_result(&model, &[3.0, -4.0, 0.0, 0.0, 12.0, 5.0], shape, expected);
}

#[test]
fn pools_of_norms() {
    let window = || integers("kernel_shape", &[2, 2]);
    pooled("LpPool", vec![window()], &[1, 1, 1, 2], &[13.0, 185f64.sqrt()]);
    pooled("LpPool", vec![window(), integer("p", 1)], &[1, 1, 1, 2], &[19.0, 21.0]);
    let padded = vec![window(), integers("pads", &[1, 0, 0, 0]), integer("p", 1)];
    pooled("LpPool", padded, &[1, 1, 2, 2], &[7.0, 4.0, 19.0, 21.0]);
    pooled("GlobalLpPool", vec![], &[1, 1, 1, 1], &[194f64.sqrt()]);
    pooled("GlobalLpPool", vec![integer("p", 1)], &[1, 1, 1, 1], &[24.0]);
    let cubes = model(13, &[1, 1, 2, 2], vec![node("GlobalLpPool", "x", "y", vec![integer("p", 3)])], vec![]);
    assert_eq!(unsupported_reason(&cubes), ("GlobalLpPool".into(), "p is 3".into()));
}
