//! What the tests share: tolerances and models in temporary files.

use std::fs;
use std::path::PathBuf;

use paf_import::{ImportError, Imported, UnsupportedNode, import};
use paf_ir::tensor::Tensor;
use prost::Message;
use testkit::client_part::outputs;
use tract_onnx::pb::ModelProto;

/// How far a result may be from its reference, relative to the largest absolute value of the reference (at least 1).
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tolerance {
    /// Our f64 against a single operator in f32.
    SingleOperator,
    /// A reference that was stored with four digits.
    FourDigits,
    /// Our f64 against a whole network in f32.
    WholeNetwork,
}

impl Tolerance {
    fn relative(self) -> f64 {
        match self {
            Tolerance::SingleOperator => 1e-5,
            Tolerance::FourDigits | Tolerance::WholeNetwork => 1e-4,
        }
    }
}

/// The difference from the reference relative to its largest value, if it is too large.
pub(crate) fn difference(got: &[f64], reference: &[f64], tolerance: Tolerance) -> Result<(), String> {
    if got.len() != reference.len() {
        return Err(format!("{} values, {} expected", got.len(), reference.len()));
    }
    let largest = reference.iter().fold(1.0f64, |largest, value| largest.max(value.abs()));
    let apart = |(a, b): (&f64, &f64)| (a - b).abs() / largest;
    let worst =
        got.iter().zip(reference).map(apart).fold(0.0, |worst: f64, value| if value <= worst { worst } else { value });
    if worst <= tolerance.relative() { Ok(()) } else { Err(format!("off by {worst:e}")) }
}

/// A file in a folder of its own that goes away with the value.
pub(crate) struct TemporaryFile {
    folder: tempfile::TempDir,
}

impl TemporaryFile {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let file = TemporaryFile { folder: tempfile::tempdir().expect("a temporary folder") };
        file.write(bytes);
        file
    }

    pub(crate) fn write(&self, bytes: &[u8]) {
        fs::write(self.path(), bytes).expect("the temporary folder is writable");
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.beside("model.onnx")
    }

    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

pub(crate) fn names_and_operators(nodes: &[UnsupportedNode]) -> Vec<(&str, &str)> {
    nodes.iter().map(|node| (node.name.as_str(), node.operator.as_str())).collect()
}

/// Imports a model.
pub(crate) fn import_model(model: &ModelProto) -> Result<Imported, ImportError> {
    import(&TemporaryFile::new(&model.encode_to_vec()).path())
}

/// Imports a model that must be valid and evaluates its output.
pub(crate) fn result(model: &ModelProto, input: &[f64]) -> Tensor {
    let imported = import_model(model).unwrap_or_else(|problem| panic!("{problem}"));
    outputs(&imported.graph, input.to_vec()).remove(0)
}

/// Imports a model that must be valid and checks its output.
pub(crate) fn assert_result(model: &ModelProto, input: &[f64], shape: &[usize], expected: &[f64]) {
    let got = result(model, input);
    assert_eq!(got.shape.0, shape);
    difference(&got.data, expected, Tolerance::SingleOperator).unwrap_or_else(|problem| panic!("{problem}: {got:?}"));
}

/// The only unsupported node's operator and reason.
pub(crate) fn unsupported_reason(model: &ModelProto) -> (String, String) {
    let Err(ImportError::Unsupported(mut nodes)) = import_model(model) else { panic!("no unsupported node") };
    assert_eq!(nodes.len(), 1, "{nodes:?}");
    let node = nodes.remove(0);
    (node.operator, node.reason)
}
