//! One small model for each operator, form and attribute.

use std::fs;
use std::path::Path;

use paf_compiler::import::{ImportError, ImportOptions, UnsupportedNode, import, import_with};
use paf_ir::Shape;
use paf_ir::tensor::Tensor;
use prost::Message;
use tract_onnx::pb::{ModelProto, TensorProto};

use crate::support::{Tolerance, difference, entries, evaluate, file_name, read_array, shared, testdata};

#[test]
fn testdata_cases_give_the_reference_results() {
    let cases = entries(&testdata().join("ops"));
    assert!(cases.len() >= 70, "{} cases", cases.len());
    let failures: Vec<String> = cases.iter().filter_map(|case| check_case(case).err()).collect();
    assert!(failures.is_empty(), "{} of {} fail:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

fn check_case(folder: &Path) -> Result<(), String> {
    let name = file_name(folder);
    let imported = import(&folder.join("model.onnx")).map_err(|problem| format!("{name}: {problem}"))?;
    let (_, input) = read_array(&folder.join("input.npy"));
    let (shape, expected) = read_array(&folder.join("output.npy"));
    let outputs = evaluate(&imported.graph, input);
    let (got_shape, got) = &outputs[0];
    if *got_shape != shape || !imported.warnings.is_empty() {
        return Err(format!("{name}: shape {got_shape}, expected {shape}; warnings {:?}", imported.warnings));
    }
    difference(got, &expected, Tolerance::SingleOperator).map_err(|problem| format!("{name}: {problem}"))
}

/// What the ONNX backend tests use that cannot be imported: operator and a part of the reason.
const UNSUPPORTED: [(&str, &str); 7] = [
    ("Clip", "the operator is not supported"),
    ("LeakyRelu", "the operator is not supported"),
    ("Pow", "the operator is not supported"),
    ("Sigmoid", "the operator is not supported"),
    ("Tanh", "the operator is not supported"),
    ("Conv", "has a batch of 2"),
    ("MatMul", "is a batch of matrices"),
];

fn is_unsupported(node: &UnsupportedNode) -> bool {
    UNSUPPORTED.iter().any(|(operator, reason)| node.operator == *operator && node.reason.contains(reason))
}

#[test]
fn onnx_backend_tests_give_the_stored_results() {
    let Some(shared) = shared() else { return };
    let mut failures = vec![];
    let mut imported = 0;
    for set in entries(&shared.join("data/node")).iter().filter(|set| set.is_dir()) {
        for case in entries(set) {
            match check_backend_case(&case) {
                Ok(Outcome::Imported) => imported += 1,
                Ok(Outcome::Refused) => {}
                Err(problem) => failures.push(format!("{}/{}: {problem}", file_name(set), file_name(&case))),
            }
        }
    }
    assert!(failures.is_empty(), "{} fail:\n{}", failures.len(), failures.join("\n"));
    assert!(imported >= 175, "{imported} imported");
}

enum Outcome {
    Imported,
    Refused,
}

/// Binds all inputs but the first as constants, as a compiler with constant weights has to.
fn check_backend_case(folder: &Path) -> Result<Outcome, String> {
    let (path, data) = (folder.join("model.onnx"), folder.join("test_data_set_0"));
    let mut names = free_inputs(&path).into_iter().enumerate();
    let first = names.next();
    let bound = names.map(|(index, name)| (name, read_tensor(&data.join(format!("input_{index}.pb")))));
    let options = ImportOptions { constants: bound.collect() };
    let imported = match import_with(&path, &options) {
        Ok(imported) => imported,
        Err(ImportError::Unsupported(nodes)) if nodes.iter().all(is_unsupported) => return Ok(Outcome::Refused),
        // A model of a Constant alone, and an Embedding of integers.
        Err(ImportError::NoInput) if first.is_none() => return Ok(Outcome::Refused),
        Err(ImportError::InputType { element_type, .. }) if element_type == "INT64" => return Ok(Outcome::Refused),
        Err(problem) => return Err(problem.to_string()),
    };
    let expected = read_tensor(&data.join("output_0.pb"));
    let input = read_tensor(&data.join("input_0.pb"));
    let (shape, got) = evaluate(&imported.graph, input.data).remove(0);
    if shape != expected.shape {
        return Err(format!("shape {shape}, expected {}", expected.shape));
    }
    let has_four_digits = file_name(folder) == "test_averagepool_2d_ceil_last_window_starts_on_pad";
    let tolerance = if has_four_digits { Tolerance::FourDigits } else { Tolerance::SingleOperator };
    difference(&got, &expected.data, tolerance).map(|()| Outcome::Imported)
}

/// The graph inputs without an initializer.
fn free_inputs(path: &Path) -> Vec<String> {
    let graph = ModelProto::decode(&*fs::read(path).expect("a model")).expect("a model").graph.expect("a graph");
    let weights: Vec<String> = graph.initializer.into_iter().map(|weight| weight.name).collect();
    graph.input.into_iter().map(|input| input.name).filter(|name| !weights.contains(name)).collect()
}

fn read_tensor(path: &Path) -> Tensor {
    let proto = TensorProto::decode(&*fs::read(path).expect("a tensor")).expect("a tensor");
    let shape = Shape(proto.dims.iter().map(|&size| size as usize).collect());
    let mut data: Vec<f64> = proto.float_data.iter().copied().map(f64::from).collect();
    data.extend(proto.int64_data.iter().map(|&value| value as f64));
    data.extend(proto.int32_data.iter().map(|&value| f64::from(value)));
    if !proto.raw_data.is_empty() {
        data = raw_values(&proto);
    }
    Tensor::new(shape, data)
}

fn raw_values(proto: &TensorProto) -> Vec<f64> {
    const FLOAT: i32 = 1;
    const INT64: i32 = 7;
    const BOOL: i32 = 9;
    match proto.data_type {
        FLOAT => proto.raw_data.as_chunks().0.iter().map(|&raw| f64::from(f32::from_le_bytes(raw))).collect(),
        INT64 => proto.raw_data.as_chunks().0.iter().map(|&raw| i64::from_le_bytes(raw) as f64).collect(),
        BOOL => proto.raw_data.iter().map(|&byte| f64::from(byte)).collect(),
        other => panic!("element type {other}"),
    }
}
