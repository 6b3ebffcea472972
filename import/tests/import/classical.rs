//! Operators of classical machine learning, against onnxruntime's results.

use paf_import::{ImportError, ImportOptions, Imported, import_with};
use paf_ir::client::ResultKind;
use prost::Message;
use testkit::client_part::outputs;
use testkit::onnx::{floats, input, integer, integers, model_of, node, reals, text, texts};
use tract_onnx::pb::{AttributeProto, ModelProto, NodeProto, OperatorSetIdProto};

use crate::support::{TemporaryFile, Tolerance, difference, import_model, unsupported_reason};

/// Two samples.
const X: [[f64; 2]; 2] = [[1.0, -2.0], [-0.5, 0.25]];

/// The support vectors, a row each.
const VECTORS: [f32; 6] = [1.0, 0.0, 0.0, 1.0, -1.0, -0.5];

fn classical(operator: &str, operands: &str, outputs: &str, attributes: Vec<AttributeProto>) -> NodeProto {
    NodeProto { domain: "ai.onnx.ml".into(), ..node(operator, operands, outputs, attributes) }
}

fn model_with(nodes: Vec<NodeProto>, wanted: &[&str]) -> ModelProto {
    model_of(13, vec![input("x", &[1, 2])], nodes, vec![], wanted)
}

/// Imports a model and checks its outputs on the samples.
fn check(model: &ModelProto, expected: &[[&[f64]; 2]]) -> Imported {
    let imported = import_model(model).unwrap_or_else(|problem| panic!("{problem}"));
    for (sample, x) in X.iter().enumerate() {
        let results = outputs(&imported.graph, x.to_vec());
        assert_eq!(results.len(), expected.len());
        for (result, expected) in results.iter().zip(expected) {
            let same = difference(&result.data, expected[sample], Tolerance::SingleOperator);
            same.unwrap_or_else(|problem| panic!("{problem}: {result:?}, not {:?}", expected[sample]));
        }
    }
    imported
}

fn check_regressor(operator: &str, attributes: Vec<AttributeProto>, expected: [&[f64]; 2]) {
    check(&model_with(vec![classical(operator, "x", "y", attributes)], &["y"]), &[expected]);
}

/// Labels, here places in the list of texts where labels are texts, and scores.
fn check_classifier(
    operator: &str,
    attributes: Vec<AttributeProto>,
    labels: [f64; 2],
    scores: [&[f64]; 2],
) -> Imported {
    let model = model_with(vec![classical(operator, "x", "label scores", attributes)], &["label", "scores"]);
    check(&model, &[[&labels[..1], &labels[1..]], scores])
}

#[test]
fn scalers() {
    let attributes = vec![reals("offset", &[0.5, -1.0]), reals("scale", &[2.0, 3.0])];
    check_regressor("Scaler", attributes, [&[1.0, -3.0], &[-2.0, 3.75]]);
    check_regressor("Scaler", vec![reals("scale", &[2.0])], [&[2.0, -4.0], &[-1.0, 0.5]]);
}

#[test]
fn linear_regressors() {
    let two = |transform: &str| {
        vec![
            integer("targets", 2),
            reals("coefficients", &[1.0, 2.0, -1.0, 0.5]),
            reals("intercepts", &[0.5, -0.25]),
            text("post_transform", transform),
        ]
    };
    check_regressor("LinearRegressor", two("NONE"), [&[-2.5, -2.25], &[0.5, 0.375]]);
    check_regressor("LinearRegressor", two("SOFTMAX"), [&[0.437_823_5, 0.562_176_5], &[0.531_209_4, 0.468_790_6]]);
    let one = vec![reals("coefficients", &[1.0, 2.0]), reals("intercepts", &[0.5]), text("post_transform", "LOGISTIC")];
    check_regressor("LinearRegressor", one, [&[-2.5], &[0.5]]);
}

fn three_classes(transform: &str) -> Vec<AttributeProto> {
    vec![
        integers("classlabels_ints", &[3, 5, 9]),
        reals("coefficients", &[1.0, 2.0, -1.0, 0.5, 0.0, 0.0]),
        reals("intercepts", &[0.5, -0.25, 0.0]),
        text("post_transform", transform),
    ]
}

#[test]
fn linear_classifiers_of_three_classes() {
    let expected: [(&str, [&[f64]; 2]); 4] = [
        ("NONE", [&[-2.5, -2.25, 0.0], &[0.5, 0.375, 0.0]]),
        ("LOGISTIC", [&[0.075_858_18, 0.095_349_43, 0.5], &[0.622_459_3, 0.592_666_6, 0.5]]),
        ("SOFTMAX", [&[0.069_125_12, 0.088_758_42, 0.842_116_4], &[0.401_763_3, 0.354_554_9, 0.243_681_8]]),
        ("SOFTMAX_ZERO", [&[0.437_823_5, 0.562_176_5, 0.0], &[0.531_209_4, 0.468_790_7, 0.0]]),
    ];
    for (transform, scores) in expected {
        check_classifier("LinearClassifier", three_classes(transform), [9.0, 3.0], scores);
    }
}

#[test]
fn linear_classifiers_of_two_classes() {
    let one_row = |transform: &str| {
        vec![
            integers("classlabels_ints", &[3, 5]),
            reals("coefficients", &[1.0, 2.0]),
            reals("intercepts", &[0.5]),
            text("post_transform", transform),
        ]
    };
    let logistic: [&[f64]; 2] = [&[0.924_141_8, 0.075_858_2], &[0.377_540_7, 0.622_459_3]];
    check_classifier("LinearClassifier", one_row("NONE"), [3.0, 5.0], [&[3.5, -2.5], &[0.5, 0.5]]);
    check_classifier("LinearClassifier", one_row("LOGISTIC"), [3.0, 5.0], logistic);
    check_classifier("LinearClassifier", one_row("SOFTMAX"), [3.0, 5.0], [&[3.5, -2.5], &[0.5, 0.5]]);
    let with_texts = vec![
        texts("classlabels_strings", &["no", "yes"]),
        reals("coefficients", &[-1.0, -2.0, 1.0, 2.0]),
        reals("intercepts", &[-0.5, 0.5]),
        text("post_transform", "LOGISTIC"),
    ];
    let imported = check_classifier("LinearClassifier", with_texts, [0.0, 1.0], logistic);
    assert_eq!(imported.graph.outputs.len(), 1, "both outputs are made of the same scores");
    let ResultKind::Text(names) = &imported.graph.client.results[0].kind else { panic!("labels are texts") };
    assert_eq!(names[..], ["no", "yes"]);
}

#[test]
fn what_skl2onnx_writes_behind_a_classifier() {
    let nodes = vec![
        classical("Scaler", "x", "scaled", vec![reals("offset", &[0.0, 0.0]), reals("scale", &[1.0, 1.0])]),
        classical("LinearClassifier", "scaled", "class scores", three_classes("SOFTMAX")),
        node("Cast", "class", "label", vec![integer("to", 7)]),
        classical("Normalizer", "scores", "normal", vec![text("norm", "L1")]),
        classical("ZipMap", "normal", "probabilities", vec![integers("classlabels_int64s", &[3, 5, 9])]),
    ];
    let scores: [&[f64]; 2] = [&[0.069_125_12, 0.088_758_42, 0.842_116_4], &[0.401_763_3, 0.354_554_9, 0.243_681_8]];
    let imported = check(&model_with(nodes, &["label", "probabilities"]), &[[&[9.0], &[3.0]], scores]);
    assert_eq!(imported.graph.outputs.len(), 1);
}

fn support_vectors(kernel: &str, attributes: Vec<AttributeProto>) -> Vec<AttributeProto> {
    let own =
        vec![text("kernel_type", kernel), reals("kernel_params", &[0.5, 0.1, 2.0]), reals("support_vectors", &VECTORS)];
    [own, attributes].concat()
}

#[test]
fn support_vector_regressors() {
    let expected: [(&str, [&[f64]; 2]); 4] = [
        ("LINEAR", [&[5.25], &[-0.5625]]),
        ("POLY", [&[-1.005], &[0.212_578_1]]),
        ("RBF", [&[0.393_827_9], &[-0.434_551_4]]),
        ("SIGMOID", [&[2.269_479_3], &[-0.201_525_8]]),
    ];
    let attributes = |kernel: &str| {
        let own = vec![integer("n_supports", 3), reals("coefficients", &[1.0, -2.0, 0.5]), reals("rho", &[0.25])];
        support_vectors(kernel, own)
    };
    for (kernel, results) in expected {
        check_regressor("SVMRegressor", attributes(kernel), results);
    }
    let one_class = [attributes("RBF"), vec![integer("one_class", 1)]].concat();
    check_regressor("SVMRegressor", one_class, [&[1.0], &[-1.0]]);
    let linear = vec![integer("n_supports", 0), reals("coefficients", &[1.0, -2.0]), reals("rho", &[0.25])];
    check_regressor("SVMRegressor", linear, [&[5.25], &[-0.75]]);
}

fn pair(transform: &str) -> Vec<AttributeProto> {
    let own = vec![
        integers("vectors_per_class", &[1, 2]),
        reals("coefficients", &[1.0, -2.0, 0.5]),
        reals("rho", &[0.25]),
        integers("classlabels_ints", &[4, 7]),
        text("post_transform", transform),
    ];
    support_vectors("RBF", own)
}

fn pairs_of_three() -> Vec<AttributeProto> {
    let own = vec![
        integers("vectors_per_class", &[1, 1, 1]),
        reals("coefficients", &[1.0, -2.0, 0.5, 0.75, -1.0, -0.5]),
        reals("rho", &[0.25, -0.5, 0.125]),
        integers("classlabels_ints", &[4, 7, 8]),
    ];
    support_vectors("RBF", own)
}

#[test]
fn support_vector_classifiers_of_pairs() {
    let expected: [(&str, [&[f64]; 2]); 3] = [
        ("NONE", [&[-0.393_827_9, 0.393_827_9], &[0.434_551_4, -0.434_551_4]]),
        ("LOGISTIC", [&[0.402_796_1, 0.597_203_9], &[0.606_96, 0.393_04]]),
        ("SOFTMAX", [&[0.606_172_1, 0.393_827_9], &[1.434_551_4, -0.434_551_4]]),
    ];
    for (transform, scores) in expected {
        check_classifier("SVMClassifier", pair(transform), [4.0, 7.0], scores);
    }
    let scores: [&[f64]; 2] = [&[0.371_859_4, -0.376_530_1, 0.096_293_6], &[-0.767_623_2, 0.069_069_8, -0.874_215_4]];
    check_classifier("SVMClassifier", pairs_of_three(), [4.0, 4.0], scores);
}

#[test]
fn support_vector_classifiers_with_probabilities() {
    let probability = |a: &[f32], b: &[f32]| vec![reals("prob_a", a), reals("prob_b", b)];
    let three = [pairs_of_three(), probability(&[-1.5, -2.0, -1.0], &[0.1, -0.2, 0.3])].concat();
    let scores: [&[f64]; 2] = [&[0.304_410_7, 0.269_636, 0.425_953_5], &[0.272_805_3, 0.287_949_4, 0.439_245_4]];
    check_classifier("SVMClassifier", three, [4.0, 4.0], scores);
    let two = [pair("NONE"), probability(&[-1.5], &[0.1])].concat();
    let scores: [&[f64]; 2] = [&[0.619_166_2, 0.380_833_8], &[0.320_423_3, 0.679_576_8]];
    check_classifier("SVMClassifier", two, [4.0, 7.0], scores);
}

#[test]
fn support_vector_classifiers_without_vectors() {
    let linear = |coefficients: &[f32]| {
        vec![reals("coefficients", coefficients), reals("rho", &[0.25]), integers("classlabels_ints", &[4, 7])]
    };
    let mixed = linear(&[1.0, -2.0, 0.5, 0.75]);
    check_classifier("SVMClassifier", mixed, [7.0, 7.0], [&[5.25, -0.75], &[-0.75, 0.1875]]);
    let positive = linear(&[1.0, 2.0, 0.5, 0.75]);
    check_classifier("SVMClassifier", positive, [7.0, 4.0], [&[-2.75, -0.75], &[0.25, 0.1875]]);
}

/// What the client combines comes from the scores: the sums of scores, on their way to the votes, are its own as well.
#[test]
fn decisions_that_are_joined_with_votes() {
    let nodes = vec![
        classical("SVMClassifier", "x", "class scores", pairs_of_three()),
        node("Less", "scores zero", "negative", vec![]),
        node("Cast", "negative", "vote", vec![integer("to", 1)]),
        node("Neg", "scores", "opposite", vec![]),
        classical("ArrayFeatureExtractor", "opposite place", "second", vec![]),
        node("Add", "vote second", "joined", vec![]),
    ];
    let weights = vec![floats("zero", &[], &[0.0]), testkit::onnx::list("place", &[1])];
    let model = model_of(13, vec![input("x", &[1, 2])], nodes, weights, &["joined"]);
    let imported =
        check(&model, &[[&[0.376_530_1, 1.376_530_1, 0.376_530_1], &[0.930_930_2, -0.069_069_8, 0.930_930_2]]]);
    assert_eq!(imported.graph.outputs.len(), 1);
}

#[test]
fn normalizers_in_front_of_layers() {
    let normalized = |norm: &str| {
        let attributes = vec![reals("coefficients", &[1.0, 2.0]), reals("intercepts", &[0.0])];
        let nodes = vec![
            classical("Normalizer", "x", "normal", vec![text("norm", norm)]),
            classical("LinearRegressor", "normal", "y", attributes),
        ];
        model_with(nodes, &["y"])
    };
    check(&normalized("L1"), &[[&[-1.0], &[0.0]]]);
    check(&normalized("L2"), &[[&[-1.341_640_8], &[0.0]]]);
    check(&normalized("MAX"), &[[&[-3.0], &[0.0]]]);
}

#[test]
fn columns_and_missing_values() {
    let nan = AttributeProto { name: "replaced_value_float".into(), r#type: 1, f: f32::NAN, ..Default::default() };
    let nodes = vec![
        classical("Imputer", "x", "whole", vec![reals("imputed_value_floats", &[0.0, 0.0]), nan]),
        classical("FeatureVectorizer", "whole x", "y", vec![integers("inputdimensions", &[2, 2])]),
    ];
    let imported = check(&model_with(nodes, &["y"]), &[[&[1.0, -2.0, 1.0, -2.0], &[-0.5, 0.25, -0.5, 0.25]]]);
    assert!(imported.warnings.iter().any(|warning| warning.contains("missing values")), "{:?}", imported.warnings);
    let zeros = classical("Imputer", "x", "y", vec![reals("imputed_value_floats", &[1.0, 1.0])]);
    let (_, reason) = unsupported_reason(&model_with(vec![zeros], &["y"]));
    assert!(reason.contains("replaces the value 0"), "{reason}");
}

#[test]
fn what_needs_comparisons_is_refused_by_name() {
    for operator in ["TreeEnsembleRegressor", "OneHotEncoder"] {
        let mut model = model_with(vec![classical(operator, "x", "y", vec![])], &["y"]);
        model.opset_import = vec![OperatorSetIdProto { domain: "ai.onnx.ml".into(), version: 1 }];
        let (named, reason) = unsupported_reason(&model);
        assert_eq!(named, operator);
        assert!(reason.contains("cannot do yet"), "{reason}");
    }
    let probit = classical("LinearClassifier", "x", "label scores", three_classes("PROBIT"));
    let (_, reason) = unsupported_reason(&model_with(vec![probit], &["label"]));
    assert_eq!(reason, "post_transform is PROBIT");
}

#[test]
fn damaged_attributes_are_named() {
    let problems: [(&str, Vec<AttributeProto>, &str); 5] = [
        ("LinearRegressor", vec![reals("coefficients", &[1.0, 2.0, 3.0]), integer("targets", 2)], "3 coefficients"),
        ("LinearRegressor", vec![integer("targets", -1)], "targets is -1"),
        ("LinearClassifier", vec![reals("coefficients", &[1.0, 2.0]), reals("intercepts", &[1.0])], "0 classes"),
        (
            "SVMRegressor",
            support_vectors("RBF", vec![integer("n_supports", 4), reals("rho", &[1.0])]),
            "0 coefficients",
        ),
        (
            "SVMClassifier",
            vec![integers("classlabels_ints", &[1, 2]), integers("vectors_per_class", &[-1, 2])],
            "negative",
        ),
    ];
    for (operator, attributes, expected) in problems {
        let model = model_with(vec![classical(operator, "x", "y s", attributes)], &["y"]);
        let problem = import_model(&model).expect_err(operator).to_string();
        assert!(problem.contains(operator) && problem.contains(expected), "{problem}");
    }
}

#[test]
fn outputs_are_chosen_by_name() {
    let model = model_with(
        vec![classical("LinearClassifier", "x", "label scores", three_classes("NONE"))],
        &["label", "scores"],
    );
    let file = TemporaryFile::new(&model.encode_to_vec());
    let chosen = |names: &[&str]| {
        let outputs = names.iter().map(|&name| name.to_owned()).collect();
        import_with(&file.path(), &ImportOptions { outputs, ..ImportOptions::default() })
    };
    let imported = chosen(&["scores"]).expect("the model has such an output");
    assert_eq!(imported.graph.outputs.iter().map(|output| output.name.as_str()).collect::<Vec<_>>(), ["scores"]);
    assert!(imported.graph.client.is_empty());
    let problem = chosen(&["score"]).expect_err("there is no such output");
    assert!(matches!(&problem, ImportError::NoSuchOutput { known, .. } if known == &["label", "scores"]), "{problem}");
}
