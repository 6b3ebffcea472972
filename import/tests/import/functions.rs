//! Models with functions of their own.

use testkit::onnx::{floats, integer, model, node, real, text};
use tract_onnx::pb::{AttributeProto, FunctionProto, ModelProto, NodeProto, OperatorSetIdProto};

use crate::support::{assert_result, import_model, unsupported_reason};

const DOMAIN: &str = "mine";

fn sets(version: i64) -> Vec<OperatorSetIdProto> {
    let set = |domain: &str, version| OperatorSetIdProto { domain: domain.into(), version };
    vec![set("", version), set(DOMAIN, 1)]
}

fn function(name: &str, inputs: &str, outputs: &str, nodes: Vec<NodeProto>) -> FunctionProto {
    let names = |list: &str| list.split(' ').map(str::to_owned).collect();
    FunctionProto {
        name: Some(name.into()),
        domain: Some(DOMAIN.into()),
        input: names(inputs),
        output: names(outputs),
        node: nodes,
        opset_import: sets(17),
        ..Default::default()
    }
}

fn call(function: &str, operands: &str, outputs: &str, attributes: Vec<AttributeProto>) -> NodeProto {
    NodeProto { domain: DOMAIN.into(), name: outputs.into(), ..node(function, operands, outputs, attributes) }
}

/// An attribute that is what the call says.
fn referring(attribute: AttributeProto, to: &str) -> AttributeProto {
    AttributeProto { ref_attr_name: to.into(), ..attribute }
}

fn with_functions(nodes: Vec<NodeProto>, functions: Vec<FunctionProto>) -> ModelProto {
    ModelProto { opset_import: sets(17), functions, ..model(17, &[1, 2], nodes, vec![floats("w", &[2], &[2.0, -3.0])]) }
}

#[test]
fn calls_become_the_nodes_of_functions() {
    let inner = function("Scaled", "a b", "c", vec![node("Mul", "a b", "t", vec![]), node("Neg", "t", "c", vec![])]);
    let outer =
        function("Twice", "x w", "y", vec![call("Scaled", "x w", "t", vec![]), call("Scaled", "t w", "y", vec![])]);
    let nodes = vec![call("Twice", "x w", "t", vec![]), call("Twice", "t w", "y", vec![])];
    let model = with_functions(nodes, vec![inner, outer]);
    assert_result(&model, &[1.0, -2.0], &[1, 2], &[16.0, -162.0]);
    let imported = import_model(&model).unwrap();
    let names: Vec<&str> = imported.graph.nodes().map(|(_, node)| node.name.as_str()).collect();
    assert_eq!(names[1], "t/t/t");
}

#[test]
fn attributes_are_those_of_the_call_or_defaults() {
    let leaky = node("LeakyRelu", "x", "y", vec![referring(real("alpha", 0.0), "slope")]);
    let leaky = function("Leaky", "x", "y", vec![leaky]);
    let nodes = vec![call("Leaky", "x", "t", vec![real("slope", 0.5)]), call("Leaky", "t", "y", vec![])];
    let model = with_functions(nodes, vec![leaky]);
    assert_result(&model, &[-4.0, 1.0], &[1, 2], &[-0.02, 1.0]);
}

#[test]
fn operands_can_be_left_out_and_outputs_can_be_operands() {
    let clip = function("Bounded", "x low high", "y same", vec![node("Clip", "x low high", "y", vec![])]);
    let mut passed = function("Passed", "x", "x", vec![]);
    passed.output = vec!["x".into()];
    let nodes = vec![call("Passed", "x", "t", vec![]), call("Bounded", "t  w0", "y", vec![])];
    let mut model = with_functions(nodes, vec![clip, passed]);
    model.graph.as_mut().unwrap().initializer.push(floats("w0", &[], &[0.5]));
    assert_result(&model, &[-4.0, 1.0], &[1, 2], &[-4.0, 0.5]);
}

#[test]
fn recursion_is_refused() {
    let a = function("A", "x", "y", vec![call("B", "x", "y", vec![])]);
    let b = function("B", "x", "y", vec![call("A", "x", "y", vec![])]);
    let model = with_functions(vec![call("A", "x", "y", vec![])], vec![a, b]);
    let problem = import_model(&model).expect_err("no end").to_string();
    assert!(problem.contains("the function `A` calls itself"), "{problem}");
}

#[test]
fn functions_that_multiply_without_end_are_refused() {
    let twice = |step: usize| {
        let inner = format!("F{}", step + 1);
        let body = vec![call(&inner, "x", "t", vec![]), call(&inner, "t", "y", vec![])];
        function(&format!("F{step}"), "x", "y", body)
    };
    let mut functions: Vec<FunctionProto> = (0..40).map(twice).collect();
    functions.push(function("F40", "x", "y", vec![node("Neg", "x", "y", vec![])]));
    let model = with_functions(vec![call("F0", "x", "y", vec![])], functions);
    let problem = import_model(&model).expect_err("too long").to_string();
    assert!(problem.contains("more than 1048576 nodes in all"), "{problem}");
}

#[test]
fn operators_that_changed_between_the_operator_sets_are_named() {
    let softmax = node("Softmax", "x", "t", vec![integer("axis", 1)]);
    let mut old = function("Old", "x", "y", vec![softmax, node("Neg", "t", "y", vec![])]);
    old.opset_import = sets(11);
    let model = with_functions(vec![call("Old", "x", "y", vec![])], vec![old]);
    let (operator, reason) = unsupported_reason(&model);
    assert_eq!(operator, "Softmax");
    assert!(reason.contains("operator set 11 and the model has 17"), "{reason}");
}

#[test]
fn a_model_may_leave_the_standard_operators_to_its_functions() {
    let gelu = function("Soft", "x", "y", vec![node("Neg", "x", "y", vec![text("unused", "")])]);
    let mut model = with_functions(vec![call("Soft", "x", "y", vec![])], vec![gelu]);
    model.opset_import.remove(0);
    assert_result(&model, &[1.0, -2.0], &[1, 2], &[-1.0, 2.0]);
}
