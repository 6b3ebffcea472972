//! Parts of a model that do not depend on its input.

use paf_import::{Evaluated, ImportError, ImportOptions, Imported, ModelSource, import_source_with};
use prost::Message;
use testkit::client_part::outputs;
use testkit::onnx::{floats, integer, integers, list, model, node};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto, ValueInfoProto,
};

use crate::support::{Tolerance, assert_result, difference, import_model, names_and_operators};

const BOOL: i32 = 9;

fn truth(name: &str, value: bool) -> TensorProto {
    let int32_data = vec![i32::from(value)];
    TensorProto { data_type: BOOL, int32_data, int64_data: vec![], dims: vec![], ..list(name, &[]) }
}

fn graph(nodes: Vec<NodeProto>, weights: Vec<TensorProto>, output: &str) -> AttributeProto {
    let output = ValueInfoProto { name: output.into(), ..Default::default() };
    let g = GraphProto { node: nodes, initializer: weights, output: vec![output], ..Default::default() };
    AttributeProto { r#type: 5, g: Some(g), ..Default::default() }
}

fn choice(condition: &str, output: &str, then: AttributeProto, otherwise: AttributeProto) -> NodeProto {
    let named = |name: &str, attribute| AttributeProto { name: name.into(), ..attribute };
    node("If", condition, output, vec![named("then_branch", then), named("else_branch", otherwise)])
}

fn evaluating() -> ImportOptions {
    let evaluate = |model: &[u8]| {
        let results = paf_oracle::constants(model)?.into_iter();
        let evaluated =
            |it: paf_oracle::Computed| Evaluated { shape: it.shape, values: it.values, element_type: it.element_type };
        Ok(results.map(evaluated).collect())
    };
    ImportOptions { evaluate: Some(evaluate), ..Default::default() }
}

fn import_evaluating(model: &ModelProto) -> Result<Imported, ImportError> {
    import_source_with(&ModelSource::from_bytes("model", model.encode_to_vec()), &evaluating())
}

#[test]
fn a_branch_with_a_known_condition_is_taken() {
    for (value, expected) in [(true, [5.0, 2.0]), (false, [0.5, -2.0])] {
        let then = graph(
            vec![node("Relu", "x", "r", vec![]), node("Add", "r w", "o", vec![])],
            vec![floats("w", &[], &[2.0])],
            "o",
        );
        let otherwise = graph(vec![node("LeakyRelu", "x", "r", vec![])], vec![], "r");
        let nodes = vec![choice("c", "t", then, otherwise), node("Add", "t w", "y", vec![])];
        let weights = vec![truth("c", value), floats("w", &[2], &[0.0, 0.0])];
        let model = model(13, &[1, 2], nodes, weights);
        let expected = if value { expected } else { [3.0, -0.02] };
        assert_result(&model, &[3.0, -2.0], &[1, 2], &expected);
    }
}

#[test]
fn conditions_can_follow_from_shapes_and_branches_nest() {
    let inner = |sign: &str| {
        choice("c", "i", graph(vec![node(sign, "x", "o", vec![])], vec![], "o"), graph(vec![], vec![], "x"))
    };
    let then = graph(vec![node("Not", "c", "d", vec![]), inner("Neg")], vec![], "i");
    let nodes = vec![
        node("Shape", "x", "s", vec![]),
        node("Gather", "s one", "columns", vec![]),
        node("Equal", "columns two", "c", vec![]),
        choice("c", "y", then, graph(vec![], vec![floats("k", &[1, 2], &[0.0, 0.0])], "k")),
    ];
    let weights = vec![list("one", &[1]), list("two", &[2])];
    assert_result(&model(13, &[1, 2], nodes, weights), &[3.0, -2.0], &[1, 2], &[-3.0, 2.0]);
}

#[test]
fn sparse_weights_are_read() {
    let sparse = |indices: TensorProto| SparseTensorProto {
        values: Some(floats("w", &[2], &[2.0, -3.0])),
        indices: Some(indices),
        dims: vec![2, 2],
    };
    let product = || node("MatMul", "x w", "y", vec![]);
    for indices in [list("", &[1, 2]), TensorProto { dims: vec![2, 2], ..list("", &[0, 1, 1, 0]) }] {
        let mut weights = model(13, &[1, 2], vec![product()], vec![]);
        weights.graph.as_mut().unwrap().sparse_initializer.push(sparse(indices.clone()));
        assert_result(&weights, &[1.0, 10.0], &[1, 2], &[-30.0, 2.0]);
        let sparse_value = Some(sparse(indices));
        let value = AttributeProto {
            name: "sparse_value".into(),
            r#type: 11,
            sparse_tensor: sparse_value,
            ..Default::default()
        };
        let constant = NodeProto { input: vec![], ..node("Constant", "", "w", vec![value]) };
        assert_result(&model(13, &[1, 2], vec![constant, product()], vec![]), &[1.0, 10.0], &[1, 2], &[-30.0, 2.0]);
    }
    let mut outside = model(13, &[1, 2], vec![product()], vec![]);
    outside.graph.as_mut().unwrap().sparse_initializer.push(sparse(list("", &[1, 4])));
    let problem = import_model(&outside).unwrap_err().to_string();
    assert_eq!(problem, "weight `w`: an index lies outside the shape [2, 2]");
}

#[test]
fn operators_that_are_not_imported_are_evaluated_on_constants() {
    let nodes = vec![
        node("ReduceL2", "v", "l", vec![integers("axes", &[1]), integer("keepdims", 1)]),
        node("Div", "g l", "k", vec![]),
        node("Mul", "v k", "w", vec![]),
        node("MatMul", "x w", "m", vec![]),
        node("Floor", "u", "f", vec![]),
        node("Add", "m f", "y", vec![]),
    ];
    let weights = vec![
        floats("v", &[2, 2], &[3.0, 4.0, 6.0, 8.0]),
        floats("g", &[2, 1], &[5.0, 1.0]),
        floats("u", &[2], &[1.5, -1.5]),
    ];
    let model = model(13, &[1, 2], nodes, weights);
    let imported = import_evaluating(&model).unwrap();
    let got = outputs(&imported.graph, vec![1.0, 10.0]);
    difference(&got[0].data, &[10.0, 10.0], Tolerance::SingleOperator).unwrap();
    let Err(ImportError::Unsupported(nodes)) = import_model(&model) else { panic!() };
    assert_eq!(names_and_operators(&nodes), [("l", "ReduceL2"), ("f", "Floor")]);
}

#[test]
fn operators_without_a_determined_result_are_not_evaluated() {
    let nodes = vec![node("RandomNormalLike", "w", "n", vec![]), node("Add", "x n", "y", vec![])];
    let model = model(13, &[1, 2], nodes, vec![floats("w", &[2], &[0.0, 0.0])]);
    assert!(matches!(import_evaluating(&model), Err(ImportError::Unsupported(_))));
}
