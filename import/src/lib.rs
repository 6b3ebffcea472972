//! From an ONNX file to the tensor graph.
//!
//! The messages (`onnx.rs`), attributes, shapes and shape arithmetic are ours, so that every error can name the node and
//! the attribute, and no framework has to be built to read a file. Each operator has one
//! function, listed in `operators.rs`. Constants are folded on the way: weights that pass through Identity or
//! Transpose, and the chains of Shape, Gather, Concat and Reshape that exporters write. Nodes on which no output
//! depends are left out.
//!
//! Before that the message is prepared (`prepare`): functions, fused and quantizing operators and the like become the plain
//! operators that they stand for.
//!
//! The model is imported for one sample: a first axis of the input that is 1 or symbolic is the batch axis and
//! stays with size 1. Functions behind the last layer become the client's work, see [`paf_ir::client`].

mod activation;
mod attributes;
mod blocks;
mod broadcast;
mod constants;
mod conv;
mod dense;
mod einsum;
mod elementwise;
mod error;
mod evaluation;
mod extremum;
mod indexed;
mod inputs;
mod logic;
mod model;
mod names;
mod norm;
mod normalize;
pub mod onnx;
mod operators;
mod pattern;
mod pool;
mod prepare;
mod quantized;
mod reduce;
mod resize;
mod rewrite;
mod sampling;
mod select;
mod shape;
mod site;
mod source;
mod tail;
mod transposed;
mod walk;
mod window;

use std::collections::BTreeMap;
use std::path::Path;

use paf_ir::tensor::{Graph, Tensor};

use model::Model;
use prepare::Conditions;

pub use error::{ImportError, UnsupportedNode};
pub use evaluation::{Evaluate, Evaluated};
pub use rewrite::with_weights;
pub use source::{ModelSource, WeightFolder};

/// A model as a tensor graph.
#[derive(Debug)]
pub struct Imported {
    /// The verified graph.
    pub graph: Graph,
    /// What the user should know, one sentence each.
    pub warnings: Vec<String>,
}

/// How to import.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// Graph inputs that hold constants, by name: weights of a model that takes them as inputs.
    pub constants: BTreeMap<String, Tensor>,
    /// The outputs that are computed, of those that the model has; all of them if none is named.
    pub outputs: Vec<String>,
    /// Who computes functions behind the last layer.
    pub trailing: TrailingFunctions,
    /// Sizes of axes of the inputs that have a name in the place of a size.
    pub sizes: BTreeMap<String, usize>,
    /// The shapes of arrays of samples, one for each input that is used, in order; none where there are no samples. They
    /// say the sizes that are left open, and whether samples stand in the place of a fixed batch.
    pub input_shapes: Vec<Vec<usize>>,
    /// Who computes constants by operators that are not imported.
    pub evaluate: Option<Evaluate>,
}

/// Who computes a function that stands behind the last layer, such as Sigmoid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TrailingFunctions {
    /// The client, exactly, from the value before it, which it decrypts.
    #[default]
    Client,
    /// The circuit, by a polynomial, where one can: the client sees no more than the outputs.
    Circuit,
}

/// Imports an ONNX file.
///
/// # Errors
/// [`ImportError`] names what in the file is missing, damaged or unsupported; all unsupported nodes come together.
pub fn import(path: &Path) -> Result<Imported, ImportError> {
    import_with(path, &ImportOptions::default())
}

/// Imports an ONNX file with options.
///
/// # Errors
/// As [`import`].
pub fn import_with(path: &Path, options: &ImportOptions) -> Result<Imported, ImportError> {
    import_source_with(&ModelSource::read(path)?, options)
}

/// Imports a model from its bytes.
///
/// # Errors
/// As [`import`].
pub fn import_source(source: &ModelSource) -> Result<Imported, ImportError> {
    import_source_with(source, &ImportOptions::default())
}

/// Imports a model from its bytes with options.
///
/// # Errors
/// As [`import`].
pub fn import_source_with(source: &ModelSource, options: &ImportOptions) -> Result<Imported, ImportError> {
    settled(source, options).map(|(_, imported)| imported)
}

/// A model with what is imported from it: once more as often as the walk meets branches whose conditions turn out to be
/// constant.
fn settled(source: &ModelSource, options: &ImportOptions) -> Result<(Model, Imported), ImportError> {
    let mut conditions = Conditions::new();
    loop {
        let model = model::decoded(source, options, &conditions)?;
        let known = conditions.len();
        let outcome = walk::import_model(&model, options, &mut conditions);
        match outcome {
            _ if conditions.len() > known => {}
            Err(problem @ ImportError::Invalid { .. }) => {
                return Err(match &model.notes.unbatched {
                    Some(unbatched) => unbatched.refused(problem.to_string()),
                    None => problem,
                });
            }
            outcome => return outcome.map(|imported| (model, imported)),
        }
    }
}
