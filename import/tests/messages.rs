//! The messages written by hand are those of ONNX: whatever tract's generated schema reads from the models of `testdata`,
//! ours keeps.

use std::fs;
use std::path::{Path, PathBuf};

use paf_import::onnx::{DataType, ModelProto};
use prost::Message;
use tract_onnx::pb;

fn models(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            models(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "onnx") {
            found.push(entry);
        }
    }
}

#[test]
fn nothing_that_the_generated_schema_knows_is_lost() {
    let mut files = Vec::new();
    models(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata"), &mut files);
    let mut read = 0;
    for path in &files {
        let bytes = fs::read(path).expect("a model");
        let Ok(expected) = pb::ModelProto::decode(&bytes[..]) else { continue };
        let ours = ModelProto::decode(&bytes[..]).expect("tract reads it");
        let through_ours = pb::ModelProto::decode(&ours.encode_to_vec()[..]).expect("what we wrote");
        assert!(through_ours == expected, "{}: something is lost", path.display());
        read += 1;
    }
    assert!(read > 50, "{read} of {} models were read", files.len());
}

/// Every message and field of the schema that tract has, filled: the models of `testdata` use few of them.
#[test]
fn every_field_has_its_number_and_type() {
    let entry = || vec![pb::StringStringEntryProto { key: "key".into(), value: "value".into() }];
    let tensor = || pb::TensorProto {
        dims: vec![1, 2],
        data_type: pb::tensor_proto::DataType::Float16 as i32,
        segment: Some(pb::tensor_proto::Segment { begin: 3, end: 4 }),
        float_data: vec![0.5],
        int32_data: vec![-5],
        string_data: vec![b"text".to_vec()],
        int64_data: vec![-6],
        name: "tensor".into(),
        doc_string: "words".into(),
        raw_data: vec![7],
        double_data: vec![0.25],
        uint64_data: vec![8],
        data_location: Some(pb::tensor_proto::DataLocation::External as i32),
        external_data: entry(),
    };
    let sparse = || pb::SparseTensorProto { values: Some(tensor()), indices: Some(tensor()), dims: vec![9, 10] };
    let dimension = |value| pb::tensor_shape_proto::Dimension { denotation: "axis".into(), value: Some(value) };
    let shape = pb::TensorShapeProto {
        dim: vec![
            dimension(pb::tensor_shape_proto::dimension::Value::DimValue(11)),
            dimension(pb::tensor_shape_proto::dimension::Value::DimParam("batch".into())),
        ],
    };
    let r#type = pb::TypeProto {
        denotation: "image".into(),
        value: Some(pb::type_proto::Value::TensorType(pb::type_proto::Tensor { elem_type: 1, shape: Some(shape) })),
    };
    let value = pb::ValueInfoProto { name: "x".into(), r#type: Some(r#type.clone()), doc_string: "value".into() };
    let attribute = pb::AttributeProto {
        name: "attribute".into(),
        ref_attr_name: "other".into(),
        doc_string: "words".into(),
        r#type: pb::attribute_proto::AttributeType::SparseTensors as i32,
        f: 0.5,
        i: -12,
        s: b"bytes".to_vec(),
        t: Some(tensor()),
        g: Some(pb::GraphProto { name: "inner".into(), ..Default::default() }),
        sparse_tensor: Some(sparse()),
        floats: vec![1.5],
        ints: vec![13],
        strings: vec![b"a".to_vec()],
        tensors: vec![tensor()],
        graphs: vec![pb::GraphProto::default()],
        sparse_tensors: vec![sparse()],
        type_protos: vec![r#type],
    };
    let node = pb::NodeProto {
        input: vec!["x".into()],
        output: vec!["y".into()],
        name: "node".into(),
        op_type: "Relu".into(),
        domain: "ai.onnx".into(),
        attribute: vec![attribute],
        doc_string: "words".into(),
    };
    let graph = pb::GraphProto {
        node: vec![node.clone()],
        name: "graph".into(),
        initializer: vec![tensor()],
        sparse_initializer: vec![sparse()],
        doc_string: "words".into(),
        input: vec![value.clone()],
        output: vec![value.clone()],
        value_info: vec![value],
        quantization_annotation: vec![pb::TensorAnnotation {
            tensor_name: Some("x".into()),
            quant_parameter_tensor_names: entry(),
        }],
    };
    let opset = || vec![pb::OperatorSetIdProto { domain: "ai.onnx".into(), version: 18 }];
    let model = pb::ModelProto {
        ir_version: 10,
        opset_import: opset(),
        producer_name: "producer".into(),
        producer_version: "1".into(),
        domain: "domain".into(),
        model_version: 2,
        doc_string: "words".into(),
        graph: Some(graph.clone()),
        metadata_props: entry(),
        training_info: vec![pb::TrainingInfoProto {
            initialization: Some(graph.clone()),
            algorithm: Some(graph),
            initialization_binding: entry(),
            update_binding: entry(),
        }],
        functions: vec![pb::FunctionProto {
            name: Some("function".into()),
            input: vec!["a".into()],
            output: vec!["b".into()],
            attribute: vec!["c".into()],
            node: vec![node],
            doc_string: Some("words".into()),
            opset_import: opset(),
            domain: Some("domain".into()),
        }],
    };
    let bytes = model.encode_to_vec();
    let ours = ModelProto::decode(&bytes[..]).expect("the same schema");
    assert_eq!(ours.encode_to_vec().len(), bytes.len());
    assert_eq!(pb::ModelProto::decode(&ours.encode_to_vec()[..]).expect("the same schema"), model);
    for code in 0..24 {
        let name = pb::tensor_proto::DataType::try_from(code).expect("a type").as_str_name();
        assert_eq!(DataType::try_from(code).expect("a type").name(), name);
    }
}
