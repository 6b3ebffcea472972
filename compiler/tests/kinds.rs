//! Kinds of models that people bring: tables in their own units, and functions behind the last layer.

use std::path::Path;

use paf_circuit::Circuit;
use paf_compiler::options::{Calibration, CompileOptions};
use paf_compiler::pipeline::compile;
use paf_ir::client::ResultKind;
use paf_ir::random::SplitMix64;
use paf_ir::tensor::{Shape, Tensor};
use paf_oracle::Oracle;
use paf_runtime::Samples;
use prost::Message;
use testkit::onnx::{floats, input, integer, list, model, model_of, node, real};
use testkit::parties::{assert_bits, clear_outputs, samples_of};
use tract_onnx::pb::{ModelProto, NodeProto, TensorProto};

const SAMPLES: usize = 64;
const FEATURES: usize = 6;
const CLASSES: usize = 4;

/// Rows whose columns are `mean + deviation · u`, with u uniform in [−1, 1].
fn rows(columns: &[(f64, f64)]) -> Vec<Vec<f64>> {
    let mut numbers = SplitMix64::new(11);
    let mut number = |&(mean, deviation): &(f64, f64)| {
        let value = mean + deviation * (2.0 * numbers.uniform() - 1.0);
        f64::from(value as f32)
    };
    (0..SAMPLES).map(|_| columns.iter().map(&mut number).collect()).collect()
}

fn weights(seed: u64, count: usize) -> Vec<f32> {
    let mut numbers = SplitMix64::new(seed);
    (0..count).map(|_| (2.0 * numbers.uniform() - 1.0) as f32).collect()
}

/// A dense layer `x → h`, and what stands behind it.
fn layered(opset: i64, nodes: Vec<NodeProto>, more: Vec<TensorProto>, outputs: &[&str]) -> ModelProto {
    let layer = node("Gemm", "x w b", "h", vec![]);
    let layer_weights = vec![
        floats("w", &[FEATURES as i64, CLASSES as i64], &weights(1, FEATURES * CLASSES)),
        floats("b", &[4], &weights(2, CLASSES)),
    ];
    let nodes = [vec![layer], nodes].concat();
    model_of(opset, vec![input("x", &[1, FEATURES as i64])], nodes, [layer_weights, more].concat(), outputs)
}

struct Compiled {
    circuit: Circuit,
    samples: Samples,
}

fn compiled(model: &ModelProto, folder: &Path, rows: &[Vec<f64>]) -> Compiled {
    let file = folder.join("model.onnx");
    std::fs::write(&file, model.encode_to_vec()).expect("the temporary folder is writable");
    let calibration = Calibration::Samples(rows.iter().map(|row| vec![row.clone()]).collect());
    let options = CompileOptions { calibration, ..CompileOptions::for_model(file) };
    let circuit = compile(&options).unwrap_or_else(|problem| panic!("{problem}")).circuit;
    let samples = samples_of(&circuit, Tensor::new(Shape(vec![rows.len(), rows[0].len()]), rows.concat()));
    Compiled { circuit, samples }
}

/// The results of tract, output by output.
fn original(folder: &Path, row: &[f64]) -> Vec<Vec<f64>> {
    let oracle = Oracle::load(&folder.join("model.onnx")).expect("tract reads the model");
    let row: Vec<f32> = row.iter().map(|&x| x as f32).collect();
    let results = oracle.run(&row).expect("tract runs the model");
    results.into_iter().map(|values| values.into_iter().map(f64::from).collect()).collect()
}

fn assert_close(got: &[f64], expected: &[f64], what: &str) {
    let largest = expected.iter().fold(1.0f64, |largest, value| largest.max(value.abs()));
    let worst = got.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(got.len() == expected.len() && worst <= 2e-6 * largest, "{what}: off by {worst}: {got:?}, {expected:?}");
}

/// A scaler in the graph, then a layer.
fn scaled_table(means: &[f32], deviations: &[f32]) -> ModelProto {
    let count = means.len() as i64;
    let nodes = vec![
        node("Sub", "x means", "centred", vec![]),
        node("Div", "centred deviations", "z", vec![]),
        node("MatMul", "z w", "y", vec![]),
    ];
    let weights = vec![
        floats("means", &[1, count], means),
        floats("deviations", &[1, count], deviations),
        floats("w", &[count, 2], &weights(3, 2 * means.len())),
    ];
    model(13, &[1, count], nodes, weights)
}

#[test]
fn columns_of_different_size_keep_their_precision() {
    let columns = [(650.0, 96.0), (38.0, 10.0), (5.0, 2.9), (72_000.0, 60_000.0), (0.5, 0.5), (2017.0, 3.0)];
    let (means, deviations): (Vec<f32>, Vec<f32>) = columns.iter().map(|&(m, d)| (m as f32, d as f32)).unzip();
    let (folder, rows) = (tempfile::tempdir().expect("a temporary folder"), rows(&columns));
    let compiled = compiled(&scaled_table(&means, &deviations), folder.path(), &rows);
    assert_eq!(compiled.circuit.program.top_level().0, 1, "scales of columns take no level");
    assert_eq!(compiled.circuit.program.inputs[0].scaling.own.columns.len(), 5);
    for (row, output) in rows.iter().zip(clear_outputs(&compiled.circuit, &compiled.samples)).take(5) {
        // tract subtracts in float32 what is as large as 72,000.
        let expected = original(folder.path(), row).remove(0);
        let worst = output.results[0].iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(worst < 1e-4, "off by {worst}");
    }
    assert!(compiled.circuit.prediction.precision_bits > 20.0);
    assert_bits(&compiled.circuit, &compiled.samples, 6, "columns of different size");
}

#[test]
fn a_constant_column_drowns_nothing() {
    let columns = [(0.3, 1.0), (-1.0, 2.0), (1.0, 0.0), (0.0, 1.5)];
    let (folder, rows) = (tempfile::tempdir().expect("a temporary folder"), rows(&columns));
    let compiled = compiled(&scaled_table(&[0.3, -1.0, 1.0, 0.0], &[1.0, 2.0, 1e-7, 1.5]), folder.path(), &rows);
    let own = &compiled.circuit.program.inputs[0].scaling.own.columns;
    assert_eq!(own.iter().map(|own| (own.column, own.scale)).collect::<Vec<_>>(), [(2, 0.0)]);
    for (row, output) in rows.iter().zip(clear_outputs(&compiled.circuit, &compiled.samples)).take(5) {
        assert_close(&output.results[0], &original(folder.path(), row)[0], "a constant column");
    }
    assert!(compiled.circuit.prediction.precision_bits > 20.0);
    assert_bits(&compiled.circuit, &compiled.samples, 6, "a constant column");
}

/// Functions behind a layer: one level, and the values of the original.
#[test]
fn trailing_functions_take_no_level() {
    let half = || floats("half", &[], &[0.5]);
    let cases: Vec<(&str, i64, Vec<NodeProto>, Vec<TensorProto>)> = vec![
        ("sigmoid", 13, vec![node("Sigmoid", "h", "y", vec![])], vec![]),
        (
            "actions within their bounds",
            13,
            vec![node("Tanh", "h", "t", vec![]), node("Mul", "t high", "m", vec![]), node("Add", "m low", "y", vec![])],
            vec![floats("high", &[1, 4], &[1.0, 20.0, 300.0, 4.0]), floats("low", &[4], &[0.0, 1.0, -2.0, 3.0])],
        ),
        ("softmax", 13, vec![node("Softmax", "h", "y", vec![integer("axis", -1)])], vec![]),
        (
            "softmax of planes, before operator set 13",
            11,
            vec![node("Reshape", "h planes", "r", vec![]), node("Softmax", "r", "y", vec![integer("axis", 1)])],
            vec![list("planes", &[1, 2, 2])],
        ),
        ("direction", 13, vec![node("LpNormalization", "h", "y", vec![integer("p", 2)])], vec![]),
        (
            "direction as torch writes it",
            13,
            vec![
                node("ReduceL2", "h", "n", vec![testkit::onnx::integers("axes", &[1]), integer("keepdims", 1)]),
                node("Clip", "n least", "c", vec![]),
                node("Shape", "h", "s", vec![]),
                node("Expand", "c s", "e", vec![]),
                node("Div", "h e", "y", vec![]),
            ],
            vec![floats("least", &[], &[1e-12])],
        ),
        (
            "both probabilities of a binary classifier",
            13,
            vec![
                node("Sigmoid", "h", "p", vec![]),
                node("Sub", "one p", "q", vec![]),
                node("Concat", "q p", "y", vec![integer("axis", 1)]),
            ],
            vec![floats("one", &[], &[1.0])],
        ),
        (
            "whether a probability is above a threshold",
            13,
            vec![
                node("Sigmoid", "h", "p", vec![]),
                node("Greater", "p half", "g", vec![]),
                node("Cast", "g", "y", vec![integer("to", 1)]),
            ],
            vec![half()],
        ),
        (
            "exponential of a clipped value",
            13,
            vec![node("Exp", "h", "e", vec![]), node("Min", "e half", "y", vec![])],
            vec![half()],
        ),
        ("leaky", 13, vec![node("LeakyRelu", "h", "y", vec![real("alpha", 0.1)])], vec![]),
        (
            "an identifier of the class",
            13,
            vec![
                node("ArgMax", "h", "a", vec![integer("axis", 1), integer("keepdims", 0)]),
                node("Gather", "table a", "y", vec![integer("axis", 0)]),
            ],
            vec![list("table", &[17, -4, 1000, 5])],
        ),
    ];
    let rows = rows(&[(0.0, 1.0); FEATURES]);
    for (name, opset, nodes, more) in cases {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let compiled = compiled(&layered(opset, nodes, more, &["y"]), folder.path(), &rows);
        assert_eq!(compiled.circuit.program.top_level().0, 1, "{name}: levels");
        assert!(compiled.circuit.model.pafs.is_empty(), "{name}: nothing is approximated");
        for (row, output) in rows.iter().zip(clear_outputs(&compiled.circuit, &compiled.samples)).take(5) {
            assert_close(&output.results[0], &original(folder.path(), row)[0], name);
        }
    }
}

/// Label, score and place of the best class, from logits that are decrypted once.
#[test]
fn several_results_of_one_tensor() {
    let nodes = vec![
        node("Softmax", "h", "scores", vec![integer("axis", 1)]),
        node("ArgMax", "h", "place", vec![integer("axis", 1), integer("keepdims", 0)]),
        node("TopK", "scores two", "best places", vec![integer("axis", 1)]),
    ];
    let model = layered(13, nodes, vec![list("two", &[2])], &["scores", "place", "best", "places"]);
    let (folder, rows) = (tempfile::tempdir().expect("a temporary folder"), rows(&[(0.0, 1.0); FEATURES]));
    let compiled = compiled(&model, folder.path(), &rows);
    assert_eq!(compiled.circuit.program.outputs.len(), 1);
    let kinds: Vec<ResultKind> =
        compiled.circuit.program.client.results.iter().map(|result| result.kind.clone()).collect();
    assert_eq!(kinds, [ResultKind::Real, ResultKind::Integer, ResultKind::Real, ResultKind::Integer]);
    for (row, output) in rows.iter().zip(clear_outputs(&compiled.circuit, &compiled.samples)).take(5) {
        let expected = original(folder.path(), row);
        for (got, expected) in output.results.iter().zip(&expected) {
            assert_close(got, expected, "several results");
        }
    }
    assert_bits(&compiled.circuit, &compiled.samples, 4, "several results of one tensor");
}

/// Where two tensors meet that the outputs would hide, and where a layer's weights would go to the client, the circuit
/// computes what it can.
#[test]
fn what_outputs_hide_stays_encrypted() {
    let gate =
        vec![node("Gemm", "x w2", "k", vec![]), node("Sigmoid", "h", "p", vec![]), node("Mul", "p k", "y", vec![])];
    let more = vec![floats("w2", &[FEATURES as i64, CLASSES as i64], &weights(5, FEATURES * CLASSES))];
    let scaled = vec![node("Exp", "h", "e", vec![]), node("Mul", "e factors", "y", vec![])];
    let factors = vec![floats("factors", &[1, 4], &[1.0, 2.0, 3.0, 4.0])];
    let rows = rows(&[(0.0, 1.0); FEATURES]);
    for (nodes, more) in [(gate, more), (scaled, factors)] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let compiled = compiled(&layered(13, nodes, more, &["y"]), folder.path(), &rows);
        assert!(compiled.circuit.program.client.is_empty());
        assert_eq!(compiled.circuit.model.pafs.len(), 1);
    }
}

/// A perceptron that tells a class and how probable each class is, as scikit-learn's: both are the model's. Without the class
/// the one that is most probable is kept, which takes fewer levels.
#[test]
fn probabilities_beside_a_class_are_kept() {
    let rows = rows(&[(0.0, 1.0); FEATURES]);
    let levels = |activation: &str, results: &[&str]| {
        let hidden = CLASSES as i64;
        let nodes = vec![
            node(activation, "h", "a", vec![]),
            node("Gemm", "a w2 c", "s", vec![]),
            node("Softmax", "s", "p", vec![integer("axis", 1)]),
            node("ArgMax", "p", "class", vec![integer("axis", 1), integer("keepdims", 0)]),
            node("Gather", "table class", "label", vec![integer("axis", 0)]),
        ];
        let used = if results.len() > 1 { nodes } else { nodes[..3].to_vec() };
        let more = vec![
            floats("w2", &[hidden, 3], &weights(7, 3 * CLASSES).iter().map(|w| 6.0 * w).collect::<Vec<_>>()),
            floats("c", &[3], &[1.0, -1.5, 0.5]),
            list("table", &[7, 8, 9]),
        ];
        let folder = tempfile::tempdir().expect("a temporary folder");
        let compiled = compiled(&layered(13, used, more, results), folder.path(), &rows);
        for (row, output) in rows.iter().zip(clear_outputs(&compiled.circuit, &compiled.samples)) {
            let expected = original(folder.path(), row);
            let off = output.results[0].iter().zip(&expected[0]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            if results.len() > 1 {
                assert!(off <= 1.0 / 1024.0, "{activation}: a probability is off by {off}");
                let mut shares = expected[0].clone();
                shares.sort_by(f64::total_cmp);
                let is_close = shares[2] - shares[1] <= 2.0 / 1024.0;
                assert!(is_close || output.results[1] == expected[1], "{activation}: the label of {row:?}");
            }
        }
        if results.len() > 1 {
            assert_bits(&compiled.circuit, &compiled.samples, 6, activation);
        }
        compiled.circuit.program.top_level().0
    };
    for activation in ["Relu", "Tanh"] {
        let (alone, both) = (levels(activation, &["p"]), levels(activation, &["p", "label"]));
        println!("{activation}: {alone} levels for the probabilities alone, {both} with the class beside them");
        assert!(both >= alone);
    }
}

/// A ReLU that does nothing goes; what the client computes stays.
#[test]
fn the_client_keeps_its_part_where_a_relu_goes() {
    let nodes = vec![
        node("Relu", "h", "a", vec![]),
        node("Add", "a one", "more", vec![]),
        node("Relu", "more", "c", vec![]),
        node("Gemm", "c w2", "s", vec![]),
        node("Softmax", "s", "p", vec![integer("axis", 1)]),
        node("ArgMax", "p", "class", vec![integer("axis", 1), integer("keepdims", 0)]),
    ];
    let more = vec![floats("w2", &[CLASSES as i64, 3], &weights(7, 3 * CLASSES)), floats("one", &[], &[1.0])];
    let (folder, rows) = (tempfile::tempdir().expect("a temporary folder"), rows(&[(0.0, 1.0); FEATURES]));
    let compiled = compiled(&layered(13, nodes, more, &["p", "class"]), folder.path(), &rows);
    assert_eq!(compiled.circuit.model.pafs.len(), 1, "one ReLU is needed");
    for (row, output) in rows.iter().zip(clear_outputs(&compiled.circuit, &compiled.samples)).take(5) {
        let expected = original(folder.path(), row);
        assert_eq!(output.results.len(), 2);
        let off = output.results[0].iter().zip(&expected[0]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(off <= 1.0 / 1024.0, "a probability is off by {off}");
    }
}
