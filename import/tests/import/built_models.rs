//! Rare forms of operators, in models that each test builds as protobuf messages.

use std::fs;

use paf_import::{ImportError, import};
use paf_ir::tensor::Op;
use prost::Message;
use testkit::client_part::outputs;
use testkit::onnx::{FLOAT, floats, integer, integers, list, model, node};
use tract_onnx::pb::{AttributeProto, ModelProto, NodeProto, StringStringEntryProto, TensorProto, type_proto};

use crate::support::{TemporaryFile, assert_result, import_model, unsupported_reason};

const FLOAT16: i32 = 10;
const DOUBLE: i32 = 11;
const BFLOAT16: i32 = 16;

#[test]
fn every_weight_type_is_read() {
    let expected = [1.5, -2.0];
    let mut weights = vec![floats("w", &[2], &[1.5, -2.0])];
    let raw = |data_type: i32, raw_data: Vec<u8>| TensorProto { data_type, raw_data, ..list("w", &[0, 0]) };
    weights.push(raw(FLOAT, [1.5f32, -2.0].iter().flat_map(|value| value.to_le_bytes()).collect()));
    weights.push(raw(DOUBLE, [1.5f64, -2.0].iter().flat_map(|value| value.to_le_bytes()).collect()));
    weights.push(raw(FLOAT16, [0x3e00u16, 0xc000].iter().flat_map(|bits| bits.to_le_bytes()).collect()));
    weights.push(raw(BFLOAT16, [0x3fc0u16, 0xc000].iter().flat_map(|bits| bits.to_le_bytes()).collect()));
    let fields = |data_type: i32, int32_data: Vec<i32>| TensorProto {
        data_type,
        int32_data,
        int64_data: vec![],
        ..list("w", &[0, 0])
    };
    weights.push(fields(FLOAT16, vec![0x3e00, 0xc000]));
    weights.push(fields(BFLOAT16, vec![0x3fc0, 0xc000]));
    for weight in weights {
        let model = model(13, &[1, 2], vec![node("Mul", "x w", "y", vec![])], vec![weight]);
        assert_result(&model, &[1.0, 1.0], &[1, 2], &expected);
    }
}

#[test]
fn external_weights_are_read_from_the_folder_of_the_model() {
    let entry = |key: &str, value: &str| StringStringEntryProto { key: key.into(), value: value.into() };
    let external = |location: &str| TensorProto {
        data_location: Some(1),
        external_data: vec![entry("location", location), entry("offset", "4"), entry("length", "8")],
        ..floats("w", &[2], &[])
    };
    let with = |location| model(13, &[1, 2], vec![node("Mul", "x w", "y", vec![])], vec![external(location)]);
    let file = TemporaryFile::new(&with("weights.bin").encode_to_vec());
    let problem = import(&file.path()).expect_err("no weights yet").to_string();
    assert!(problem.starts_with("weight `w`: its external data `weights.bin` cannot be read"), "{problem}");
    let bytes: Vec<u8> = [9.0f32, 2.0, 3.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    fs::write(file.beside("weights.bin"), &bytes).expect("the temporary folder is writable");
    let imported = import(&file.path()).expect("a valid model");
    assert_eq!(outputs(&imported.graph, vec![1.0, 1.0])[0].data, [2.0, 3.0]);
    fs::write(file.beside("weights.bin"), &bytes[..8]).expect("the temporary folder is writable");
    assert!(matches!(import(&file.path()), Err(ImportError::Weight { .. })));
    file.write(&with("../weights.bin").encode_to_vec());
    let problem = import(&file.path()).expect_err("outside").to_string();
    assert!(problem.contains("outside the model's folder"), "{problem}");
}

#[test]
fn damaged_weights_are_named() {
    let too_few = floats("w", &[3], &[1.0, 2.0]);
    let negative = floats("w", &[-2], &[1.0, 2.0]);
    let huge = floats("w", &[i64::MAX, 8], &[]);
    let unknown = TensorProto { data_type: 77, ..too_few.clone() };
    let text = TensorProto { data_type: 8, ..too_few.clone() };
    for weight in [too_few, negative, huge, unknown, text] {
        let model = model(13, &[1, 2], vec![node("Mul", "x w", "y", vec![])], vec![weight]);
        assert!(matches!(import_model(&model), Err(ImportError::Weight { name, .. }) if name == "w"));
    }
}

#[test]
fn convolution_of_one_dimension() {
    let attributes = vec![integers("strides", &[2]), integers("pads", &[1, 0])];
    let weights = vec![floats("w", &[1, 1, 2], &[1.0, 10.0]), floats("b", &[1], &[0.5])];
    let model = model(13, &[1, 1, 5], vec![node("Conv", "x w b", "y", attributes)], weights);
    assert_result(&model, &[1.0, 2.0, 3.0, 4.0, 5.0], &[1, 1, 3], &[10.5, 32.5, 54.5]);
}

#[test]
fn pools_of_one_dimension() {
    let attributes = || vec![integers("kernel_shape", &[2]), integers("strides", &[2])];
    let x = [1.0, 4.0, -3.0, -5.0];
    let maximum = model(13, &[1, 1, 4], vec![node("MaxPool", "x", "y", attributes())], vec![]);
    assert_result(&maximum, &x, &[1, 1, 2], &[4.0, -3.0]);
    let average = model(13, &[1, 1, 4], vec![node("AveragePool", "x", "y", attributes())], vec![]);
    assert_result(&average, &x, &[1, 1, 2], &[2.5, -4.0]);
}

#[test]
fn convolution_over_a_fixed_batch() {
    let weights = vec![floats("w", &[2, 1, 1, 1], &[1.0, 10.0]), floats("b", &[2], &[0.5, 0.25])];
    let model = model(13, &[3, 1, 1, 1], vec![node("Conv", "x w b", "y", vec![])], weights);
    assert_result(&model, &[1.0, 2.0, 3.0], &[3, 2, 1, 1], &[1.5, 10.25, 2.5, 20.25, 3.5, 30.25]);
}

#[test]
fn a_used_second_output_is_unsupported() {
    let pool = node("MaxPool", "x", "pooled indices", vec![integers("kernel_shape", &[1, 1])]);
    let model = model(13, &[1, 1, 2, 2], vec![pool, node("Add", "pooled indices", "y", vec![])], vec![]);
    let Err(problem) = import_model(&model) else { panic!("imported") };
    assert!(problem.to_string().contains("`indices`"), "{problem}");
}

#[test]
fn a_window_in_the_padding_alone_is_refused() {
    let attributes = vec![integers("kernel_shape", &[2, 2]), integers("pads", &[2, 2, 2, 2])];
    for operator in ["MaxPool", "AveragePool"] {
        let model = model(13, &[1, 1, 2, 2], vec![node(operator, "x", "y", attributes.clone())], vec![]);
        assert!(matches!(import_model(&model), Err(ImportError::Invalid { .. })));
    }
}

#[test]
fn window_parameters_out_of_range_are_refused() {
    for name in ["strides", "dilations", "kernel_shape", "pads"] {
        for value in [-1, (1 << 20) + 1, 1 << 40, i64::MAX, i64::MIN] {
            let mut attributes = vec![integers(name, &vec![value; if name == "pads" { 4 } else { 2 }])];
            if name != "kernel_shape" {
                attributes.push(integers("kernel_shape", &[2, 2]));
            }
            let model = model(13, &[1, 1, 4, 4], vec![node("MaxPool", "x", "y", attributes)], vec![]);
            assert!(import_model(&model).is_err(), "{name} {value}");
        }
    }
}

#[test]
fn products_with_a_constant_on_either_side() {
    let w = || vec![floats("w", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])];
    let right = model(13, &[1, 2, 2], vec![node("MatMul", "x w", "y", vec![])], w());
    assert_result(&right, &[1.0, 0.0, 1.0, 1.0], &[1, 2, 3], &[1.0, 2.0, 3.0, 5.0, 7.0, 9.0]);
    let left = model(13, &[1, 3, 2], vec![node("MatMul", "w x", "y", vec![])], w());
    assert_result(&left, &[1.0, 0.0, 0.0, 1.0, 0.0, 0.0], &[1, 2, 2], &[1.0, 2.0, 4.0, 5.0]);
    let vector = vec![floats("v", &[2], &[10.0, 1.0])];
    let vector = model(13, &[1, 2], vec![node("MatMul", "x v", "y", vec![])], vector);
    assert_result(&vector, &[3.0, 4.0], &[1], &[34.0]);
}

#[test]
fn gemm_transposes_either_factor() {
    // [1 2; 3 4; 5 6] as the input, and a constant of two rows.
    let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    let transposed = |names: &[&str]| names.iter().map(|name| integer(name, 1)).collect::<Vec<_>>();
    let w = vec![floats("w", &[2, 3], &[1.0, 0.0, 1.0, 0.0, 1.0, 0.0])];
    let both = model(13, &[3, 2], vec![node("Gemm", "x w", "y", transposed(&["transA", "transB"]))], w.clone());
    assert_result(&both, &x, &[2, 2], &[6.0, 3.0, 8.0, 4.0]);
    let constant_first = model(13, &[3, 2], vec![node("Gemm", "w x", "y", vec![])], w.clone());
    assert_result(&constant_first, &x, &[2, 2], &[6.0, 8.0, 3.0, 4.0]);
    let constant_transposed = model(13, &[3, 2], vec![node("Gemm", "w x", "y", transposed(&["transA", "transB"]))], w);
    assert_result(&constant_transposed, &x, &[3, 3], &[1.0, 3.0, 5.0, 2.0, 4.0, 6.0, 1.0, 3.0, 5.0]);
}

#[test]
fn constants_can_repeat_the_tensor() {
    let column = vec![floats("c", &[1, 2, 1], &[1.0, 2.0])];
    let product = model(13, &[1, 1, 2], vec![node("Mul", "x c", "y", vec![])], column.clone());
    assert_result(&product, &[3.0, 5.0], &[1, 2, 2], &[3.0, 5.0, 6.0, 10.0]);
    let difference = model(13, &[1, 1, 2], vec![node("Sub", "c x", "y", vec![])], column);
    assert_result(&difference, &[3.0, 5.0], &[1, 2, 2], &[-2.0, -4.0, -1.0, -3.0]);
}

#[test]
fn constants_that_vary_along_axes_that_are_no_neighbours() {
    let c = vec![floats("c", &[2, 1, 2], &[1.0, 2.0, 3.0, 4.0])];
    let model = model(13, &[2, 2, 2], vec![node("Add", "x c", "y", vec![])], c);
    assert_result(&model, &[0.0; 8], &[2, 2, 2], &[1.0, 2.0, 1.0, 2.0, 3.0, 4.0, 3.0, 4.0]);
}

#[test]
fn tensors_broadcast_against_each_other() {
    let pool = node("ReduceMean", "x", "mean", vec![integers("axes", &[2])]);
    for (operator, expected) in [("Sub", [-1.0, 1.0, -2.0, 2.0]), ("Mul", [2.0, 6.0, 24.0, 48.0])] {
        let nodes = vec![pool.clone(), node(operator, "x mean", "y", vec![])];
        let model = model(11, &[1, 2, 2], nodes, vec![]);
        let x = if operator == "Sub" { [1.0, 3.0, 2.0, 6.0] } else { [1.0, 3.0, 4.0, 8.0] };
        assert_result(&model, &x, &[1, 2, 2], &expected);
    }
}

#[test]
fn division_by_zero_or_by_the_input() {
    let zero = model(13, &[1, 2], vec![node("Div", "x c", "y", vec![])], vec![floats("c", &[2], &[1.0, 0.0])]);
    assert!(matches!(import_model(&zero), Err(ImportError::Invalid { .. })));
    let by_input = model(13, &[1, 2], vec![node("Div", "c x", "y", vec![])], vec![floats("c", &[2], &[1.0, 2.0])]);
    assert_result(&by_input, &[2.0, -4.0], &[1, 2], &[0.5, -0.5]);
}

#[test]
fn means_over_axes_that_are_no_neighbours() {
    let mean = node("ReduceMean", "x", "y", vec![integers("axes", &[0, 2]), integer("keepdims", 0)]);
    let model = model(13, &[2, 2, 2], vec![mean], vec![]);
    assert_result(&model, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], &[2], &[3.5, 5.5]);
}

#[test]
fn pads_with_a_constant_and_by_reflection() {
    let pads = || list("pads", &[0, 2, 0, 1]);
    let nodes = vec![node("Pad", "x pads fill", "y", vec![])];
    let constant = model(13, &[1, 3], nodes, vec![pads(), floats("fill", &[], &[7.0])]);
    assert_result(&constant, &[1.0, 2.0, 3.0], &[1, 6], &[7.0, 7.0, 1.0, 2.0, 3.0, 7.0]);
    let mode = AttributeProto { name: "mode".into(), r#type: 3, s: b"reflect".to_vec(), ..Default::default() };
    let reflected = model(13, &[1, 3], vec![node("Pad", "x pads", "y", vec![mode])], vec![pads()]);
    assert_result(&reflected, &[1.0, 2.0, 3.0], &[1, 6], &[3.0, 2.0, 1.0, 2.0, 3.0, 2.0]);
    for damaged in [[0, i64::MAX, 0, i64::MAX], [0, i64::MIN, 0, 0], [0, -2, 0, -1], [0, 1 << 27, 0, 1 << 27]] {
        let weights = vec![list("pads", &damaged)];
        let model = model(13, &[1, 3], vec![node("Pad", "x pads", "y", vec![])], weights);
        assert!(matches!(import_model(&model), Err(ImportError::Invalid { .. })), "{damaged:?}");
    }
}

#[test]
fn slices_and_joins() {
    let bounds = vec![list("starts", &[-1]), list("ends", &[i64::MIN]), list("axes", &[1]), list("steps", &[-1])];
    let reversed = node("Slice", "x starts ends axes steps", "reversed", vec![]);
    let joined = node("Concat", "reversed x c", "y", vec![integer("axis", 1)]);
    let weights = bounds.into_iter().chain([floats("c", &[1, 1], &[9.0])]).collect();
    let model = model(13, &[1, 3], vec![reversed, joined], weights);
    assert_result(&model, &[1.0, 2.0, 3.0], &[1, 7], &[3.0, 2.0, 1.0, 1.0, 2.0, 3.0, 9.0]);
}

#[test]
fn weights_pass_through_operators_on_constants() {
    let nodes = vec![
        node("Transpose", "w", "turned", vec![integers("perm", &[1, 0])]),
        node("Sqrt", "v", "deviation", vec![]),
        node("Div", "turned deviation", "scaled", vec![]),
        node("MatMul", "x scaled", "y", vec![]),
    ];
    let weights = vec![floats("w", &[2, 2], &[1.0, 2.0, 3.0, 4.0]), floats("v", &[2], &[4.0, 16.0])];
    let model = model(13, &[1, 2], nodes, weights);
    assert_result(&model, &[1.0, 1.0], &[1, 2], &[1.5, 1.75]);
    let imported = import_model(&model).expect("a valid model");
    assert_eq!(imported.graph.len(), 2);
}

#[test]
fn final_softmax_survives_a_reshape() {
    let nodes =
        vec![node("Softmax", "x", "chances", vec![integer("axis", 1)]), node("Squeeze", "chances axes", "y", vec![])];
    let model = model(13, &[1, 2, 1, 1], nodes, vec![list("axes", &[2, 3])]);
    assert_result(&model, &[0.0, 3f64.ln()], &[1, 2], &[0.25, 0.75]);
    let imported = import_model(&model).expect("a valid model");
    let steps: Vec<&str> = imported.graph.client.steps.iter().map(|step| step.op.name()).collect();
    assert_eq!((imported.graph.len(), steps), (1, vec!["softmax", "reshape"]));
}

#[test]
fn arg_max_of_a_softmax_is_that_of_the_logits() {
    let nodes = vec![
        node("Softmax", "x", "chances", vec![integer("axis", -1)]),
        node("ArgMax", "chances", "label", vec![integer("axis", 1)]),
        node("Squeeze", "label", "scalar", vec![]),
        node("Cast", "scalar", "y", vec![integer("to", 6)]),
    ];
    let model = model(13, &[1, 3], nodes, vec![]);
    assert_result(&model, &[0.5, 2.0, 1.0], &[], &[1.0]);
    let imported = import_model(&model).expect("a valid model");
    assert!(imported.graph.nodes().all(|(_, node)| matches!(node.op, Op::Input | Op::Reshape)));
}

#[test]
fn old_softmax_takes_several_axes_as_one() {
    let model = model(11, &[1, 2, 2], vec![node("Softmax", "x", "y", vec![])], vec![]);
    assert_result(&model, &[0.0, 0.0, 0.0, 3f64.ln()], &[1, 2, 2], &[1.0 / 6.0, 1.0 / 6.0, 1.0 / 6.0, 0.5]);
    let flat = self::model(11, &[1, 4, 1], vec![node("Softmax", "x", "y", vec![])], vec![]);
    assert_result(&flat, &[0.0; 4], &[1, 4, 1], &[0.25; 4]);
}

#[test]
fn nodes_without_an_effect_are_left_out() {
    let nodes = vec![node("Relu", "x", "y", vec![]), node("NonMaxSuppression", "x", "boxes", vec![])];
    assert_result(&model(13, &[1, 2], nodes, vec![]), &[-1.0, 1.0], &[1, 2], &[0.0, 1.0]);
}

#[test]
fn operators_of_other_domains_are_unsupported() {
    let distance = NodeProto { domain: "com.microsoft".into(), ..node("CDist", "x x", "y", vec![]) };
    let (operator, reason) = unsupported_reason(&model(13, &[1, 2], vec![distance], vec![]));
    assert_eq!((operator.as_str(), reason.contains("`com.microsoft`")), ("CDist", true));
}

#[test]
fn broken_graphs_are_named() {
    let valid = model(13, &[1, 2], vec![node("Relu", "x", "y", vec![])], vec![]);
    let changed = |change: fn(&mut ModelProto)| {
        let mut model = valid.clone();
        change(&mut model);
        import_model(&model).expect_err("a broken graph")
    };
    assert!(matches!(changed(|model| model.graph = None), ImportError::NotOnnx { .. }));
    let foreign = |model: &mut ModelProto| model.opset_import[0].domain = "ai.onnx.ml".into();
    assert!(matches!(changed(foreign), ImportError::UnknownOpset { domains } if domains == ["ai.onnx.ml"]));
    let no_output = |model: &mut ModelProto| model.graph.as_mut().expect("a graph").output.clear();
    assert!(matches!(changed(no_output), ImportError::NoOutput));
    let no_input = |model: &mut ModelProto| model.graph.as_mut().expect("a graph").input.clear();
    assert!(matches!(changed(no_input), ImportError::NoInput));
    let no_shape = |model: &mut ModelProto| {
        let r#type = model.graph.as_mut().expect("a graph").input[0].r#type.as_mut().expect("a type");
        let Some(type_proto::Value::TensorType(tensor)) = &mut r#type.value else { panic!() };
        tensor.shape = None;
    };
    assert!(matches!(changed(no_shape), ImportError::InputShape { name } if name == "x"));
    let circular = |model: &mut ModelProto| model.graph.as_mut().expect("a graph").node[0].input[0] = "y".into();
    assert!(matches!(changed(circular), ImportError::Invalid { node, .. } if node == "y"));
    let no_operand = |model: &mut ModelProto| model.graph.as_mut().expect("a graph").node[0].input.clear();
    assert!(matches!(changed(no_operand), ImportError::Invalid { node, .. } if node == "y"));
    let elsewhere = |model: &mut ModelProto| model.graph.as_mut().expect("a graph").output[0].name = "z".into();
    assert!(matches!(changed(elsewhere), ImportError::UndefinedOutput { name } if name == "z"));
}

#[test]
fn huge_inputs_are_refused() {
    for shape in [&[1, i64::MAX][..], &[1, 1 << 31, 1 << 31], &[1, 1 << 28]] {
        let model = model(13, shape, vec![node("Relu", "x", "y", vec![])], vec![]);
        assert!(matches!(import_model(&model), Err(ImportError::InputSize { name, .. }) if name == "x"));
    }
}

#[test]
fn attributes_of_a_wrong_type_are_named() {
    let flatten = node("Flatten", "x", "y", vec![integers("axis", &[1])]);
    let problem = import_model(&model(13, &[1, 2], vec![flatten], vec![])).expect_err("a list").to_string();
    assert_eq!(problem, "node `y` (Flatten) is not valid: attribute `axis` is not of type INT");
}

/// ONNX's own example of Upsample; tract has no Upsample.
#[test]
fn upsample_repeats_elements() {
    let scales = vec![floats("scales", &[4], &[1.0, 1.0, 2.0, 3.0])];
    let model = model(9, &[1, 1, 2, 2], vec![node("Upsample", "x scales", "y", vec![])], scales);
    let (one_two, three_four) = ([1.0, 1.0, 1.0, 2.0, 2.0, 2.0], [3.0, 3.0, 3.0, 4.0, 4.0, 4.0]);
    let expected = [one_two, one_two, three_four, three_four].concat();
    assert_result(&model, &[1.0, 2.0, 3.0, 4.0], &[1, 1, 4, 6], &expected);
}

/// Powers of exponents that differ by element, and of a constant base.
#[test]
fn powers() {
    let exponents = vec![floats("e", &[3], &[4.0, 5.0, 0.0])];
    let by_element = model(13, &[3], vec![node("Pow", "x e", "y", vec![])], exponents);
    assert_result(&by_element, &[1.5, -2.0, 7.0], &[3], &[5.0625, -32.0, 1.0]);
    let base = vec![floats("b", &[], &[2.0])];
    let of_two = model(13, &[2], vec![node("Pow", "b x", "y", vec![])], base);
    assert_result(&of_two, &[3.0, -1.0], &[2], &[8.0, 0.5]);
    let fraction = vec![floats("e", &[], &[1.3])];
    let refused = model(13, &[2], vec![node("Pow", "x e", "y", vec![])], fraction);
    assert_eq!(unsupported_reason(&refused).0, "Pow");
}
