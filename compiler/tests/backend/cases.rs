//! The ONNX backend tests: which of them no circuit can hold, and how their files are read.

use std::fs;
use std::path::Path;

use paf_ir::Shape;
use paf_ir::tensor::Tensor;
use prost::Message;
use tract_onnx::pb::{ModelProto, TensorProto};

/// The ONNX backend tests that no circuit can hold, each with what the test is about.
pub(crate) const NO_CIRCUIT: [(&str, &str); 5] = [
    ("connxr/test_constant", "a model of a Constant alone: there is no input to encrypt"),
    ("libonnx/test_constant", "a model of a Constant alone: there is no input to encrypt"),
    ("pytorch-converted/test_Embedding", "its input is a list of integers, which index a table"),
    ("connxr/test_pow", "60 elements to 60 different powers that are not whole, of zero too"),
    ("libonnx/test_pow", "60 elements to 60 different powers that are not whole, of zero too"),
];

/// The graph inputs without an initializer.
pub(crate) fn free_inputs(path: &Path) -> Vec<String> {
    let graph = ModelProto::decode(&*fs::read(path).expect("a model")).expect("a model").graph.expect("a graph");
    let weights: Vec<String> = graph.initializer.into_iter().map(|weight| weight.name).collect();
    graph.input.into_iter().map(|input| input.name).filter(|name| !weights.contains(name)).collect()
}

pub(crate) fn read_tensor(path: &Path) -> Tensor {
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
