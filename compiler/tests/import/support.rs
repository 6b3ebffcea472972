//! What the tests share: folders, tensors, tolerances, the client's post-processing.

use std::fs;
use std::path::{Path, PathBuf};

use ndarray::ArrayD;
use ndarray_npy::read_npy;
use paf_import::UnsupportedNode;
use paf_ir::Shape;
use paf_ir::tensor::{Evaluator, Graph, PostProcess};

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

pub(crate) fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata")
}

/// Networks that are not part of the repository; `PAF_SHARED` names the folder, by default beside the workspace.
pub(crate) fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("PAF_SHARED").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"));
    if folder.join("data").is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: `{}` holds no data; set PAF_SHARED", folder.display());
    None
}

/// The entries of a folder in order.
pub(crate) fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|problem| panic!("{}: {problem}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a directory entry").path()).collect();
    paths.sort();
    paths
}

pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().expect("a file name").to_string_lossy().into_owned()
}

/// The shape and values of an `.npy` file of f32 or i64.
pub(crate) fn read_array(path: &Path) -> (Shape, Vec<f64>) {
    let array: ArrayD<f64> = match read_npy::<_, ArrayD<f32>>(path) {
        Ok(array) => array.mapv(f64::from),
        Err(_) => read_npy::<_, ArrayD<i64>>(path).expect("an array of f32 or i64").mapv(|value| value as f64),
    };
    (Shape(array.shape().to_vec()), array.into_iter().collect())
}

/// The outputs of an imported model on one sample, with their shapes, after the client's part.
pub(crate) fn evaluate(graph: &Graph, input: Vec<f64>) -> Vec<(Shape, Vec<f64>)> {
    let values = Evaluator::new(graph).run(&[input]).expect("the input fits");
    let outputs = graph.outputs.iter();
    outputs
        .map(|output| post_process(output.post, &graph.node(output.node).shape, &values[output.node.index()]))
        .collect()
}

/// What the client computes from the decrypted values.
pub(crate) fn post_process(post: PostProcess, shape: &Shape, values: &[f64]) -> (Shape, Vec<f64>) {
    match post {
        PostProcess::None => (shape.clone(), values.to_vec()),
        PostProcess::Softmax { axis } => (shape.clone(), along(shape, axis, values, softmax)),
        PostProcess::LogSoftmax { axis } => {
            let logarithms = |line: &[f64]| softmax(line).into_iter().map(f64::ln).collect();
            (shape.clone(), along(shape, axis, values, logarithms))
        }
        PostProcess::ArgMax { axis, keep_axis } => {
            let mut result = shape.clone();
            if keep_axis {
                result.0[axis] = 1;
            } else {
                result.0.remove(axis);
            }
            (result, along(shape, axis, values, |line| vec![arg_max(line)]))
        }
    }
}

/// Replaces each line along an axis by what `f` gives for it.
fn along(shape: &Shape, axis: usize, values: &[f64], f: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
    let (length, inner) = (shape.0[axis], shape.0[axis + 1..].iter().product::<usize>());
    let mut result = vec![];
    for block in values.chunks(length * inner) {
        let line = |offset: usize| block.iter().skip(offset).step_by(inner).copied().collect::<Vec<f64>>();
        let lines: Vec<Vec<f64>> = (0..inner).map(|offset| f(&line(offset))).collect();
        let depth = lines[0].len();
        result.extend((0..depth).flat_map(|place| lines.iter().map(move |line| line[place])));
    }
    result
}

fn softmax(line: &[f64]) -> Vec<f64> {
    let largest = line.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = line.iter().map(|value| (value - largest).exp()).collect();
    let total: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / total).collect()
}

fn arg_max(line: &[f64]) -> f64 {
    let first_largest = (0..line.len()).rev().max_by(|&a, &b| line[a].total_cmp(&line[b]));
    first_largest.expect("a line has elements") as f64
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

/// Values in [−1, 1) from a seed (splitmix64).
pub(crate) fn random_values(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    (0..count).map(|_| (next() >> 40) as f32 / (1 << 23) as f32 - 1.0).collect()
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
