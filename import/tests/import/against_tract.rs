//! Operators that ONNX's backend tests leave out: tract runs the same file, and the polynomial of each must stay within
//! the error that it states.

use paf_import::{ImportOptions, TrailingFunctions, import, import_with};
use paf_ir::tensor::{Graph, GraphEvaluator};
use paf_oracle::Oracle;
use paf_passes::approximate::{ApproximationOptions, Margin, approximate};
use paf_passes::fold::fold;
use paf_passes::paf::Paf;
use prost::Message;
use testkit::client_part::outputs;
use testkit::onnx::{floats, integer, integers, list, model, node, real, text};
use testkit::random::random_values;
use tract_onnx::pb::{AttributeProto, ModelProto, NodeProto, TensorProto};

use crate::support::{TemporaryFile, Tolerance, difference};

/// A model of one input, and the range of its values.
struct Case {
    name: &'static str,
    model: ModelProto,
    /// Values in [−1, 1) times the first number, plus the second.
    input: [f32; 2],
    /// How much errors of approximated values may grow on the way to the output.
    growth: f64,
}

fn case(name: &'static str, operator: &str, shape: &[i64], attributes: Vec<AttributeProto>) -> Case {
    let model = model(13, shape, vec![node(operator, "x", "y", attributes)], vec![]);
    Case { name, model, input: [4.0, 0.5], growth: 1.0 }
}

fn in_operator_set(version: i64, mut case: Case) -> Case {
    case.model.opset_import[0].version = version;
    case
}

fn with_weights(
    name: &'static str,
    operator: &str,
    shape: &[i64],
    attributes: Vec<AttributeProto>,
    weights: Vec<TensorProto>,
) -> Case {
    let operands = std::iter::once("x").chain(weights.iter().map(|weight| weight.name.as_str()));
    let operands = operands.collect::<Vec<_>>().join(" ");
    let model = model(13, shape, vec![node(operator, &operands, "y", attributes)], weights);
    Case { name, model, input: [4.0, 0.5], growth: 1.0 }
}

fn kernel(shape: &[i64]) -> TensorProto {
    let count = shape.iter().product::<i64>() as usize;
    floats("w", shape, &random_values(7, count))
}

fn einsum(name: &'static str, equation: &str, shape: &[i64], weights: &[&[i64]]) -> Case {
    let names = ["u", "v"].iter().zip(weights).zip(3..);
    let constant = |((name, shape), seed): ((&&str, &&[i64]), u64)| {
        floats(name, shape, &random_values(seed, shape.iter().product::<i64>() as usize))
    };
    with_weights(name, "Einsum", shape, vec![text("equation", equation)], names.map(constant).collect())
}

const PLANES: [i64; 4] = [1, 4, 5, 6];

fn piecewise() -> Vec<Case> {
    let shape = [1, 3, 4];
    let slopes = || floats("slope", &[3, 1], &[0.1, -0.5, 1.5]);
    vec![
        case("leaky_relu", "LeakyRelu", &shape, vec![real("alpha", 0.2)]),
        with_weights("prelu", "PRelu", &shape, vec![], vec![slopes()]),
        with_weights("clip", "Clip", &shape, vec![], vec![floats("low", &[], &[-1.0]), floats("high", &[], &[2.5])]),
        case("hard_sigmoid", "HardSigmoid", &shape, vec![real("alpha", 0.3)]),
        Case { growth: 5.0, ..case("hard_swish", "HardSwish", &shape, vec![]) },
        case("shrink", "Shrink", &shape, vec![real("lambd", 0.75), real("bias", 0.75)]),
        Case { growth: 2.0, ..case("abs", "Abs", &shape, vec![]) },
        with_weights("max", "Max", &shape, vec![], vec![floats("c", &[3, 1], &[0.5, -1.0, 2.0])]),
        with_weights("min", "Min", &shape, vec![], vec![floats("c", &[3, 1], &[0.5, -1.0, 2.0])]),
        Case { growth: 2.0, ..case("selu", "Selu", &shape, vec![]) },
        case("elu_steeper_than_one", "Elu", &shape, vec![real("alpha", 1.5)]),
        case("reduce_max", "ReduceMax", &[1, 3, 2, 4], vec![integers("axes", &[1, 3]), integer("keepdims", 0)]),
        case("reduce_min", "ReduceMin", &[1, 3, 2, 4], vec![integers("axes", &[2])]),
    ]
}

fn smooth() -> Vec<Case> {
    let shape = [1, 3, 4];
    let positive = |case: Case| Case { input: [2.0, 2.5], ..case };
    let plain = |name, operator| case(name, operator, &shape, vec![]);
    vec![
        plain("sigmoid", "Sigmoid"),
        plain("tanh", "Tanh"),
        plain("erf", "Erf"),
        plain("exp", "Exp"),
        plain("softplus", "Softplus"),
        plain("softsign", "Softsign"),
        plain("elu", "Elu"),
        in_operator_set(20, plain("gelu", "Gelu")),
        in_operator_set(20, case("gelu_tanh", "Gelu", &shape, vec![text("approximate", "tanh")])),
        in_operator_set(24, plain("swish", "Swish")),
        positive(plain("log", "Log")),
        positive(plain("sqrt", "Sqrt")),
        positive(plain("reciprocal", "Reciprocal")),
        with_weights("cube", "Pow", &shape, vec![], vec![floats("e", &[], &[3.0])]),
        with_weights("square", "Pow", &shape, vec![], vec![floats("e", &[], &[2.0])]),
        positive(with_weights("root", "Pow", &shape, vec![], vec![floats("e", &[], &[0.5])])),
        positive(with_weights("inverse_square", "Pow", &shape, vec![], vec![floats("e", &[], &[-2.0])])),
    ]
    .into_iter()
    .map(|case| if case.name == "inverse_square" { Case { growth: 5.0, ..case } } else { case })
    .collect()
}

/// Exporters write these as several nodes.
fn patterns() -> Vec<Case> {
    let shape = [1, 3, 4];
    let built =
        |name, nodes, weights| Case { name, model: model(13, &shape, nodes, weights), input: [4.0, 0.5], growth: 1.0 };
    let silu = vec![node("Sigmoid", "x", "s", vec![]), node("Mul", "x s", "y", vec![])];
    let gelu = vec![
        node("Div", "x root", "a", vec![]),
        node("Erf", "a", "b", vec![]),
        node("Add", "b one", "c", vec![]),
        node("Mul", "x c", "d", vec![]),
        node("Mul", "d half", "y", vec![]),
    ];
    let gelu_weights =
        vec![floats("root", &[], &[std::f32::consts::SQRT_2]), floats("one", &[], &[1.0]), floats("half", &[], &[0.5])];
    let mish =
        vec![node("Softplus", "x", "a", vec![]), node("Tanh", "a", "b", vec![]), node("Mul", "b x", "y", vec![])];
    let gelu_halves = vec![
        node("Mul", "x inverse_root", "a", vec![]),
        node("Erf", "a", "b", vec![]),
        node("Mul", "b half", "c", vec![]),
        node("Add", "c half", "d", vec![]),
        node("Mul", "x d", "y", vec![]),
    ];
    let halves_weights =
        vec![floats("inverse_root", &[], &[std::f32::consts::FRAC_1_SQRT_2]), floats("half", &[], &[0.5])];
    vec![
        built("silu", silu, vec![]),
        built("gelu", gelu, gelu_weights),
        built("gelu_of_halves", gelu_halves, halves_weights),
        built("gelu_tanh_by_pow", gelu_tanh_by_pow(), gelu_tanh_weights()),
        built("gelu_tanh_factored", gelu_tanh_factored(), gelu_tanh_weights()),
        built("mish", mish, vec![]),
    ]
}

/// `½·x · (1 + tanh(√(2/π)·(x + 0.044715·x³)))` as PyTorch's exporter writes it.
fn gelu_tanh_by_pow() -> Vec<NodeProto> {
    vec![
        node("Pow", "x three", "a", vec![]),
        node("Mul", "a cubic", "b", vec![]),
        node("Add", "x b", "c", vec![]),
        node("Mul", "c slope", "d", vec![]),
        node("Tanh", "d", "e", vec![]),
        node("Add", "e one", "f", vec![]),
        node("Mul", "x half", "g", vec![]),
        node("Mul", "g f", "y", vec![]),
    ]
}

/// The same as `½ · (x · (1 + tanh(x·√(2/π)·(1 + 0.044715·x·x))))`.
fn gelu_tanh_factored() -> Vec<NodeProto> {
    vec![
        node("Mul", "x slope", "a", vec![]),
        node("Mul", "x cubic", "b", vec![]),
        node("Mul", "b x", "c", vec![]),
        node("Add", "c one", "d", vec![]),
        node("Mul", "a d", "e", vec![]),
        node("Tanh", "e", "f", vec![]),
        node("Add", "one f", "g", vec![]),
        node("Mul", "g x", "h", vec![]),
        node("Mul", "h half", "y", vec![]),
    ]
}

fn gelu_tanh_weights() -> Vec<TensorProto> {
    [("three", 3.0), ("cubic", 0.044715), ("slope", 0.797_884_6), ("one", 1.0), ("half", 0.5)]
        .map(|(name, value)| floats(name, &[], &[value]))
        .to_vec()
}

fn linear() -> Vec<Case> {
    let strides = || integers("strides", &[2, 3]);
    let w = || kernel(&[4, 2, 3, 2]);
    let grouped = || vec![integer("group", 2), strides(), integers("pads", &[1, 0, 2, 1])];
    let dilated = vec![integers("dilations", &[2, 1]), strides(), integers("output_padding", &[1, 0])];
    let upsampled = vec![
        text("mode", "nearest"),
        text("coordinate_transformation_mode", "asymmetric"),
        text("nearest_mode", "floor"),
    ];
    let corners = vec![
        text("mode", "cubic"),
        text("coordinate_transformation_mode", "align_corners"),
        real("cubic_coeff_a", -0.5),
        integer("exclude_outside", 1),
    ];
    let doubled = |name, attributes| {
        let scales = floats("scales", &[4], &[1.0, 1.0, 2.0, 3.0]);
        let model = model(13, &PLANES, vec![node("Resize", "x  scales", "y", attributes)], vec![scales]);
        Case { name, model, input: [4.0, 0.5], growth: 1.0 }
    };
    let split =
        |name, nodes, weights| Case { name, model: model(13, &PLANES, nodes, weights), input: [4.0, 0.5], growth: 1.0 };
    let halves = vec![node("Split", "x", "a b", vec![integer("axis", 1)]), node("Sub", "a b", "y", vec![])];
    let uneven = vec![
        node("Split", "x sizes", "a b c", vec![integer("axis", 3)]),
        node("Concat", "c a b", "y", vec![integer("axis", 3)]),
    ];
    vec![
        with_weights("transposed", "ConvTranspose", &PLANES, vec![], vec![w()]),
        with_weights(
            "transposed_strided_grouped",
            "ConvTranspose",
            &PLANES,
            grouped(),
            vec![w(), floats("b", &[4], &[1.0, 2.0, 3.0, 4.0])],
        ),
        with_weights("transposed_dilated", "ConvTranspose", &PLANES, dilated, vec![w()]),
        with_weights(
            "transposed_line",
            "ConvTranspose",
            &[1, 4, 7],
            vec![integers("strides", &[2])],
            vec![kernel(&[4, 3, 3])],
        ),
        doubled("resize_nearest", upsampled),
        einsum("einsum_of_matrices", "bij,jk->bik", &[1, 3, 4], &[&[4, 5]]),
        einsum("einsum_of_heads", "bhi,hio->boh", &[1, 2, 3], &[&[2, 3, 4]]),
        einsum("einsum_with_two_constants", "bij,jk,k->ib", &[1, 3, 4], &[&[4, 5], &[5]]),
        einsum("einsum_of_a_diagonal", "bijj->ji", &[1, 2, 3, 3], &[]),
        einsum("einsum_with_an_ellipsis", "...cd,ce->...ed", &[1, 2, 3, 4], &[&[3, 5]]),
        einsum("einsum_of_a_trace", "bjj", &[1, 3, 3], &[]),
        einsum("einsum_of_elements", "bij,ij->bji", &[1, 3, 4], &[&[3, 4]]),
        einsum("einsum_of_three_factors", "bi,ir,ro->bo", &[1, 4], &[&[4, 2], &[2, 5]]),
        einsum("einsum_without_a_result", "bij,ji", &[1, 3, 4], &[&[4, 3]]),
        doubled("resize_linear", vec![text("mode", "linear")]),
        doubled("resize_cubic", vec![text("mode", "cubic")]),
        doubled("resize_cubic_of_corners", corners),
        split("split_halves", halves, vec![]),
        split("split_uneven", uneven, vec![list("sizes", &[1, 3, 2])]),
    ]
}

fn all_cases() -> Vec<Case> {
    [piecewise(), smooth(), patterns(), linear()].into_iter().flatten().collect()
}

/// The case's graph with every function in the circuit, its input, and what tract gives for it.
fn run_both(case: &Case) -> Result<(Graph, Vec<f64>, Vec<f64>), String> {
    run_both_with(case, TrailingFunctions::Circuit)
}

fn run_both_with(case: &Case, trailing: TrailingFunctions) -> Result<(Graph, Vec<f64>, Vec<f64>), String> {
    let file = TemporaryFile::new(&case.model.encode_to_vec());
    let options = ImportOptions { trailing, ..ImportOptions::default() };
    let graph = import_with(&file.path(), &options).map_err(|problem| problem.to_string())?.graph;
    let count = graph.node(graph.inputs[0].0).shape.size();
    let input: Vec<f32> = random_values(11, count).iter().map(|x| x * case.input[0] + case.input[1]).collect();
    let expected =
        Oracle::load(&file.path()).and_then(|oracle| oracle.run(&input)).map_err(|error| error.to_string())?.remove(0);
    Ok((graph, input.into_iter().map(f64::from).collect(), expected.into_iter().map(f64::from).collect()))
}

fn assert_all(check: impl Fn(&Case) -> Result<(), String>) {
    let failed = |case: &Case| check(case).err().map(|problem| format!("{}: {problem}", case.name));
    let failures: Vec<String> = all_cases().iter().filter_map(failed).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn operators_agree_with_tract() {
    assert_all(|case| {
        for trailing in [TrailingFunctions::Client, TrailingFunctions::Circuit] {
            let (graph, input, expected) = run_both_with(case, trailing)?;
            difference(&outputs(&graph, input).remove(0).data, &expected, Tolerance::SingleOperator)?;
        }
        Ok(())
    });
}

#[test]
fn polynomials_stay_within_the_error_they_state() {
    let paf = Paf::by_name("alpha10").expect("a name");
    assert_all(|case| {
        let (graph, input, expected) = run_both(case)?;
        let folded = fold(&graph).map_err(|problem| problem.to_string())?;
        let options = ApproximationOptions { margin: Margin::Fixed(1.1), ..ApproximationOptions::new(paf.clone()) };
        let samples = vec![vec![input.clone()]];
        let approximated = approximate(&folded, &options, &samples).map_err(|problem| problem.to_string())?;
        let scaled = input.iter().map(|value| value * approximated.inputs[0].scale).collect();
        let values = GraphEvaluator::new(&approximated.graph).run(&[scaled]).map_err(|problem| problem.to_string())?;
        let output = approximated.graph.outputs[0].node.index();
        let stated: f64 = approximated.replaced.iter().map(|replaced| replaced.max_error).sum();
        let largest = expected.iter().fold(1.0f64, |largest, value| largest.max(value.abs()));
        let allowed = case.growth * stated + 1e-5 * largest;
        let got = values[output].iter().map(|value| value * approximated.output_scales[0]);
        let worst = got.zip(&expected).map(|(got, expected)| (got - expected).abs()).fold(0.0, f64::max);
        if worst <= allowed { Ok(()) } else { Err(format!("off by {worst:e}, {allowed:e} allowed")) }
    });
}

#[test]
fn exported_patterns_are_one_function() {
    for case in patterns() {
        let (graph, ..) = run_both(&case).unwrap_or_else(|problem| panic!("{}: {problem}", case.name));
        let folded = fold(&graph).expect("a valid graph");
        let functions = folded.nodes().filter(|(_, node)| matches!(node.op, paf_ir::tensor::Op::Function(_))).count();
        assert_eq!(functions, 1, "{}\n{}", case.name, folded.to_listing());
    }
}

/// Operators that tract computes wrongly, as the body that ONNX gives them: it forgets Celu's last factor and Swish's alpha.
#[test]
fn operators_agree_with_their_definition() {
    let shape = [1, 3, 4];
    let number = |name: &str, value: f32| floats(name, &[], &[value]);
    let celu_body = vec![
        node("Div", "x alpha", "a", vec![]),
        node("Exp", "a", "b", vec![]),
        node("Sub", "b one", "c", vec![]),
        node("Mul", "c alpha", "d", vec![]),
        node("Min", "d zero", "e", vec![]),
        node("Relu", "x", "f", vec![]),
        node("Add", "e f", "y", vec![]),
    ];
    let swish_body =
        vec![node("Mul", "x alpha", "a", vec![]), node("Sigmoid", "a", "b", vec![]), node("Mul", "x b", "y", vec![])];
    let weights = vec![number("alpha", 1.75), number("one", 1.0), number("zero", 0.0)];
    for (operator, version, body) in [("Celu", 12, celu_body), ("Swish", 24, swish_body)] {
        let ours = model(version, &shape, vec![node(operator, "x", "y", vec![real("alpha", 1.75)])], vec![]);
        let definition = TemporaryFile::new(&model(13, &shape, body, weights.clone()).encode_to_vec());
        let graph = import(&TemporaryFile::new(&ours.encode_to_vec()).path()).expect("a supported operator").graph;
        let input: Vec<f32> = random_values(11, 12).iter().map(|x| 4.0 * x).collect();
        let expected = Oracle::load(&definition.path()).and_then(|oracle| oracle.run(&input)).expect("tract runs it");
        let expected: Vec<f64> = expected[0].iter().copied().map(f64::from).collect();
        let got = outputs(&graph, input.into_iter().map(f64::from).collect()).remove(0).data;
        difference(&got, &expected, Tolerance::SingleOperator)
            .unwrap_or_else(|problem| panic!("{operator}: {problem}"));
    }
}
