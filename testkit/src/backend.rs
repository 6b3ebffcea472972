//! ONNX's own tests of operators (`data/node` and `data/node2` of the shared data): each a model, its inputs and its result.

use std::fs;
use std::path::{Path, PathBuf};

use paf_ir::Shape;
use paf_ir::tensor::Tensor;
use prost::Message;
use tract_onnx::pb::{ModelProto, TensorProto};

use crate::onnx::{FLOAT, INT64};
use crate::{entries, file_name, shared};

/// Tests that no circuit can hold, each with what the test is about.
pub const NO_CIRCUIT: [(&str, &str); 5] = [
    ("connxr/test_constant", "a model of a Constant alone: there is no input to encrypt"),
    ("libonnx/test_constant", "a model of a Constant alone: there is no input to encrypt"),
    ("pytorch-converted/test_Embedding", "its input is a list of integers, which index a table"),
    ("connxr/test_pow", "60 elements to 60 different powers that are not whole, of zero too"),
    ("libonnx/test_pow", "60 elements to 60 different powers that are not whole, of zero too"),
];

/// A test whose result is stored with four digits.
const FOUR_DIGITS: &str = "test_averagepool_2d_ceil_last_window_starts_on_pad";

/// One test.
#[derive(Debug, Clone)]
pub struct BackendTest {
    /// Its set and its name.
    pub name: String,
    folder: PathBuf,
}

/// All of them.
///
/// # Panics
/// Without the shared data, or if they are not 219.
pub fn backend_tests() -> Vec<BackendTest> {
    let tests = tests_in("data/node");
    assert_eq!(tests.len(), 219, "tests of ONNX's backend suite");
    tests
}

/// Further ones (`data/node2`), of newer operators and versions.
///
/// # Panics
/// Without the shared data.
pub fn more_backend_tests() -> Vec<BackendTest> {
    tests_in("data/node2")
}

fn tests_in(folder: &str) -> Vec<BackendTest> {
    let sets = entries(&shared(folder)).into_iter().filter(|set| set.is_dir());
    let folders = sets.flat_map(|set| entries(&set).into_iter().map(move |folder| (file_name(&set), folder)));
    let test = |(set, folder): (String, PathBuf)| BackendTest { name: format!("{set}/{}", file_name(&folder)), folder };
    folders.map(test).collect()
}

impl BackendTest {
    /// Whether a circuit can hold it.
    pub fn has_circuit(&self) -> bool {
        NO_CIRCUIT.iter().all(|(name, _)| *name != self.name)
    }

    /// The model's file.
    pub fn model(&self) -> PathBuf {
        self.folder.join("model.onnx")
    }

    /// What the model is run on: the first of its inputs.
    ///
    /// # Panics
    /// If the file is damaged, as all that read one.
    pub fn input(&self) -> Tensor {
        read_tensor(&self.data("input_0.pb"))
    }

    /// The stored result.
    ///
    /// # Panics
    /// If the file is damaged.
    pub fn output(&self) -> Tensor {
        read_tensor(&self.data("output_0.pb"))
    }

    /// All inputs but the first, which a compiler with constant weights takes as weights.
    ///
    /// # Panics
    /// If a file is damaged.
    pub fn weights(&self) -> Vec<(String, Tensor)> {
        let names = self.free_inputs().into_iter().enumerate().skip(1);
        names.map(|(index, name)| (name, read_tensor(&self.data(&format!("input_{index}.pb"))))).collect()
    }

    /// The model with all inputs but the first as weights.
    ///
    /// # Panics
    /// If a file is damaged.
    pub fn model_with_weights(&self) -> ModelProto {
        let mut model: ModelProto = read(&self.model());
        let graph = model.graph.as_mut().expect("a graph");
        for (index, name) in self.free_inputs().into_iter().enumerate().skip(1) {
            let weight: TensorProto = read(&self.data(&format!("input_{index}.pb")));
            graph.initializer.push(TensorProto { name, ..weight });
        }
        model
    }

    /// Whether the stored result is written with four digits; the others have those of float32.
    pub fn has_four_digits(&self) -> bool {
        file_name(&self.folder) == FOUR_DIGITS
    }

    fn data(&self, name: &str) -> PathBuf {
        self.folder.join("test_data_set_0").join(name)
    }

    /// The graph inputs without an initializer.
    fn free_inputs(&self) -> Vec<String> {
        let graph = read::<ModelProto>(&self.model()).graph.expect("a graph");
        let weights: Vec<String> = graph.initializer.into_iter().map(|weight| weight.name).collect();
        graph.input.into_iter().map(|input| input.name).filter(|name| !weights.contains(name)).collect()
    }
}

fn read<M: Message + Default>(path: &Path) -> M {
    let bytes = fs::read(path).unwrap_or_else(|problem| panic!("{}: {problem}", path.display()));
    M::decode(&bytes[..]).unwrap_or_else(|problem| panic!("{}: {problem}", path.display()))
}

fn read_tensor(path: &Path) -> Tensor {
    let proto: TensorProto = read(path);
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
    const BOOL: i32 = 9;
    match proto.data_type {
        FLOAT => proto.raw_data.as_chunks().0.iter().map(|&raw| f64::from(f32::from_le_bytes(raw))).collect(),
        INT64 => proto.raw_data.as_chunks().0.iter().map(|&raw| i64::from_le_bytes(raw) as f64).collect(),
        BOOL => proto.raw_data.iter().map(|&byte| f64::from(byte)).collect(),
        other => panic!("element type {other}"),
    }
}
