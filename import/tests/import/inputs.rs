//! Inputs of other element types, and with sizes that the file leaves open.

use std::collections::BTreeMap;

use paf_import::{ImportError, ImportOptions, Imported, ModelSource, import_source_with};
use paf_ir::tensor::BatchAxis;
use prost::Message;
use testkit::client_part::outputs;
use testkit::onnx::{INT64, floats, input, integer, list, model_of, node};
use tract_onnx::pb::tensor_shape_proto::dimension::Value as Size;
use tract_onnx::pb::{ModelProto, NodeProto, TensorProto, ValueInfoProto, type_proto};

use crate::support::{assert_result, unsupported_reason};

const UINT8: i32 = 2;

fn tensor_type(input: &mut ValueInfoProto) -> &mut type_proto::Tensor {
    match input.r#type.as_mut().and_then(|it| it.value.as_mut()) {
        Some(type_proto::Value::TensorType(tensor)) => tensor,
        _ => panic!("no tensor"),
    }
}

/// An input of another element type.
fn typed(element_type: i32, mut input: ValueInfoProto) -> ValueInfoProto {
    tensor_type(&mut input).elem_type = element_type;
    input
}

/// An input whose negative sizes are names: a for −1, b for −2 and so on.
fn named(name: &str, shape: &[i64]) -> ValueInfoProto {
    let mut input = input(name, shape);
    for axis in &mut tensor_type(&mut input).shape.as_mut().unwrap().dim {
        if let Some(Size::DimValue(size @ ..0)) = axis.value {
            axis.value = Some(Size::DimParam(char::from(b'a' - 1 + size.unsigned_abs() as u8).into()));
        }
    }
    input
}

fn model_with(input: ValueInfoProto, nodes: Vec<NodeProto>, weights: Vec<TensorProto>) -> ModelProto {
    model_of(13, vec![input], nodes, weights, &["y"])
}

fn import_with(model: &ModelProto, options: &ImportOptions) -> Result<Imported, ImportError> {
    import_source_with(&ModelSource::from_bytes("model", model.encode_to_vec()), options)
}

/// Imports for an array of samples, and gives the shape of the input and whether samples are counted along its first axis.
fn with_samples(model: &ModelProto, shape: &[usize]) -> Result<(Vec<usize>, BatchAxis), ImportError> {
    let imported = import_with(model, &ImportOptions { input_shapes: vec![shape.to_vec()], ..Default::default() })?;
    let (input, batch) = imported.graph.inputs[0];
    Ok((imported.graph.node(input).shape.0.clone(), batch))
}

fn negated(shape: &[i64]) -> ModelProto {
    model_with(named("x", shape), vec![node("Neg", "x", "y", vec![])], vec![])
}

#[test]
fn integers_are_numbers() {
    let pixels = || typed(UINT8, input("x", &[1, 2]));
    let cast = |operand: &str, to: i32| node("Cast", operand, "f", vec![integer("to", to.into())]);
    let scaled = vec![cast("x", 1), node("Div", "f k", "y", vec![])];
    let k = floats("k", &[], &[255.0]);
    assert_result(&model_with(pixels(), scaled, vec![k.clone()]), &[51.0, 255.0], &[1, 2], &[0.2, 1.0]);
    let wide = vec![
        cast("x", INT64),
        node("Sub", "f one", "s", vec![]),
        node("Cast", "s", "t", vec![integer("to", 1)]),
        node("Neg", "t", "y", vec![]),
    ];
    assert_result(&model_with(pixels(), wide, vec![list("one", &[1])]), &[51.0, 255.0], &[1, 2], &[-50.0, -254.0]);
    let zero =
        TensorProto { data_type: UINT8, int32_data: vec![128], int64_data: vec![], dims: vec![], ..list("z", &[]) };
    let dequantized = vec![node("DequantizeLinear", "x s z", "y", vec![])];
    let model = model_with(pixels(), dequantized, vec![floats("s", &[], &[0.5]), zero]);
    assert_result(&model, &[128.0, 255.0], &[1, 2], &[0.0, 63.5]);
}

#[test]
fn what_needs_the_integers_themselves_is_refused() {
    let ids = || typed(INT64, input("x", &[1, 2]));
    let rows = vec![node("Gather", "table x", "y", vec![])];
    let (operator, reason) = unsupported_reason(&model_with(ids(), rows, vec![floats("table", &[2, 1], &[1.0, 2.0])]));
    assert_eq!(operator, "Gather");
    assert!(reason.contains("encrypted numbers cannot choose the rows of a table"), "{reason}");
    let halves = vec![node("Div", "x two", "y", vec![])];
    let (_, reason) = unsupported_reason(&model_with(ids(), halves, vec![list("two", &[2])]));
    assert!(reason.contains("drops the remainder"), "{reason}");
    let rounded = vec![node("Cast", "x", "y", vec![integer("to", INT64.into())])];
    let (operator, _) = unsupported_reason(&model_with(input("x", &[1, 2]), rounded, vec![]));
    assert_eq!(operator, "Cast");
}

#[test]
fn samples_say_sizes_that_are_left_open() {
    let whole = BatchAxis::Absent;
    assert_eq!(with_samples(&negated(&[-1, 3, -2, -3]), &[9, 3, 4, 5]).unwrap(), (vec![1, 3, 4, 5], BatchAxis::First));
    assert_eq!(with_samples(&negated(&[-1, 8]), &[9, 5, 8]).unwrap(), (vec![5, 8], whole));
    assert_eq!(with_samples(&negated(&[1, -1]), &[9, 5]).unwrap(), (vec![1, 5], BatchAxis::First));
    assert_eq!(with_samples(&negated(&[4, -1]), &[9, 4, 5]).unwrap(), (vec![4, 5], whole));
    let problem = with_samples(&negated(&[-1, 3, -2, -3]), &[9, 4, 4, 5]).unwrap_err().to_string();
    let expected = "input `x` is declared as [`a`, 3, `b`, `c`], and samples of shape [9, 4, 4, 5] are given";
    assert!(problem.starts_with(expected), "{problem}");
    let problem = with_samples(&negated(&[-1, -2, -2]), &[9, 4, 5]).unwrap_err();
    assert!(matches!(problem, ImportError::SampleShape { .. }), "{problem}");
}

#[test]
fn options_say_sizes_by_name() {
    let sized = |model: &ModelProto, sizes: &[(&str, usize)]| {
        let sizes: BTreeMap<String, usize> = sizes.iter().map(|&(name, size)| (name.to_owned(), size)).collect();
        let imported = import_with(model, &ImportOptions { sizes, ..Default::default() })?;
        Ok::<_, ImportError>(imported.graph.node(imported.graph.inputs[0].0).shape.0.clone())
    };
    assert_eq!(sized(&negated(&[-1, 3, -2, -2]), &[("b", 4)]).unwrap(), [1, 3, 4, 4]);
    assert_eq!(sized(&negated(&[-1, 3]), &[("a", 4)]).unwrap(), [4, 3]);
    let problem = sized(&negated(&[-1, 3, -2, -2]), &[("c", 4)]).unwrap_err().to_string();
    assert_eq!(problem, "no axis of an input is called `c`; the names are a, b");
    let problem = sized(&negated(&[-1, 3, -2, -2]), &[]).unwrap_err();
    assert!(matches!(problem, ImportError::DynamicAxis { axis: 2, .. }), "{problem}");
}

#[test]
fn one_number_a_sample() {
    assert_eq!(with_samples(&negated(&[-1]), &[9]).unwrap(), (vec![1], BatchAxis::First));
    assert_eq!(with_samples(&negated(&[-1]), &[9, 1]).unwrap(), (vec![1], BatchAxis::Absent));
    assert_eq!(with_samples(&negated(&[-1]), &[9, 5]).unwrap(), (vec![5], BatchAxis::Absent));
    assert_eq!(with_samples(&negated(&[1]), &[9]).unwrap(), (vec![1], BatchAxis::Absent));
    assert_eq!(with_samples(&negated(&[]), &[9]).unwrap(), (vec![], BatchAxis::Absent));
    assert_result(&negated(&[-1]), &[2.0], &[1], &[-2.0]);
}

#[test]
fn samples_can_take_the_place_of_a_fixed_batch() {
    assert_eq!(with_samples(&negated(&[32, 2]), &[9, 2]).unwrap(), (vec![1, 2], BatchAxis::First));
    assert_eq!(with_samples(&negated(&[32, 2]), &[9, 32, 2]).unwrap(), (vec![32, 2], BatchAxis::Absent));
    assert_eq!(with_samples(&negated(&[32]), &[32]).unwrap(), (vec![32], BatchAxis::Absent));
    let reshaped = vec![node("Reshape", "x shape", "y", vec![])];
    let model = model_with(input("x", &[32, 2]), reshaped, vec![list("shape", &[32, 1, 2])]);
    let problem = with_samples(&model, &[9, 2]).unwrap_err().to_string();
    assert!(problem.contains("`y` reshapes to a batch of 32; give batches, [k, 32, 2]"), "{problem}");
    let summed = vec![node("Add", "x rows", "y", vec![]), node("MatMul", "left y", "z", vec![])];
    let weights = vec![floats("rows", &[32, 2], &[1.0; 64]), floats("left", &[1, 32], &[1.0; 32])];
    let model = model_of(13, vec![input("x", &[32, 2])], summed, weights, &["z"]);
    assert!(with_samples(&model, &[9, 2]).is_ok(), "a batch of 1 broadcasts against weights of the batch");
    let split = vec![node("Slice", "x from to", "s", vec![]), node("Flatten", "s", "y", vec![integer("axis", 5)])];
    let model = model_of(13, vec![input("x", &[32, 2])], split, vec![list("from", &[0]), list("to", &[1])], &["y"]);
    let problem = with_samples(&model, &[9, 2]).unwrap_err();
    assert!(matches!(problem, ImportError::FixedBatch { .. }), "{problem}");
}

#[test]
fn sizes_reach_what_is_computed_from_shapes() {
    let nodes = vec![
        node("Shape", "x", "s", vec![]),
        node("Gather", "s two", "h", vec![]),
        node("Concat", "one h", "target", vec![integer("axis", 0)]),
        node("Reshape", "x target", "y", vec![]),
    ];
    let weights = vec![list("two", &[2]), list("one", &[-1])];
    let model = model_with(named("x", &[-1, 2, -2]), nodes, weights);
    let options = ImportOptions { input_shapes: vec![vec![7, 2, 3]], ..Default::default() };
    let imported = import_with(&model, &options).unwrap();
    let x: Vec<f64> = (0..6).map(f64::from).collect();
    assert_eq!(outputs(&imported.graph, x)[0].shape.0, [2, 3]);
}
