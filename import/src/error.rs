//! Why a model could not be imported.

use std::fmt;
use std::path::PathBuf;

use super::constants::MAX_COMPUTED;

/// Why an ONNX file could not become a tensor graph. Every variant names the thing in the user's file.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file is missing or cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The bytes are not an ONNX model.
    #[error("`{}` is not an ONNX model: {reason}", path.display())]
    NotOnnx {
        /// The file.
        path: PathBuf,
        /// What is wrong with the bytes.
        reason: String,
    },
    /// The file starts like an ONNX model and ends too early.
    #[error("`{}` is cut short: it ends after {length} bytes, inside a field", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Bytes present.
        length: usize,
    },
    /// The model imports no version of the standard operator set.
    #[error("the model imports no standard ONNX operator set, only the domains {domains:?}")]
    UnknownOpset {
        /// The domains that it imports.
        domains: Vec<String>,
    },
    /// The graph has no input that is not a weight.
    #[error("the model has no input")]
    NoInput,
    /// An input is no tensor of numbers.
    #[error("input `{name}` has elements of type {element_type}; numbers are needed")]
    InputType {
        /// The input.
        name: String,
        /// Its element type as ONNX spells it.
        element_type: String,
    },
    /// An input declares no shape.
    #[error("input `{name}` declares no shape; run ONNX shape inference on the model or export it with fixed sizes")]
    InputShape {
        /// The input.
        name: String,
    },
    /// An axis other than the batch axis has no fixed size.
    #[error(
        "axis {axis} of input `{input}` has no fixed size ({size}); samples of one size, or a size for its name, would fix \
             it, and so would a model exported with fixed sizes"
    )]
    DynamicAxis {
        /// The input.
        input: String,
        /// The axis, counted from 0.
        axis: usize,
        /// What stands in place of the size: a symbol, a number below 1, or nothing.
        size: String,
    },
    /// The options name a size that no input has.
    #[error("no axis of an input is called `{name}`; {}", names_in_words(.known))]
    NoSuchSize {
        /// The name in the options.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// Samples do not fit the shape of an input that leaves sizes open.
    #[error(
        "input `{input}` is declared as {declared}, and samples of shape {given:?} are given; the first axis of samples counts \
             them, and the others are those of the input, or those after its first one"
    )]
    SampleShape {
        /// The input.
        input: String,
        /// Its declared axes.
        declared: String,
        /// The shape of the array of samples.
        given: Vec<usize>,
    },
    /// Samples stand in the place of a fixed batch, and the model needs the batch.
    #[error("input `{input}` is declared as {declared:?}, a batch of {}, and samples of shape {given:?} are given, single ones; the \
             model cannot be read for a batch of 1: {problem}; give batches, [k, {}], or export the model with a batch of 1",
        .declared.first().copied().unwrap_or(1), list_of(.declared))]
    FixedBatch {
        /// The input.
        input: String,
        /// Its declared shape.
        declared: Vec<usize>,
        /// The shape of the array of samples.
        given: Vec<usize>,
        /// What needs the batch.
        problem: String,
    },
    /// An input has more elements than any circuit.
    #[error(
        "input `{name}` is too large: {shape:?} are more than the {MAX_COMPUTED} elements that any circuit has room for"
    )]
    InputSize {
        /// The input.
        name: String,
        /// Its declared sizes.
        shape: Vec<usize>,
    },
    /// The graph declares no output.
    #[error("the model has no output")]
    NoOutput,
    /// The options name an output that the model does not have.
    #[error("the model has no output `{name}`; its outputs are {}", .known.join(", "))]
    NoSuchOutput {
        /// The name in the options.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// An output does not depend on the input.
    #[error("output `{name}` is a constant: it does not depend on the input")]
    ConstantOutput {
        /// The output.
        name: String,
    },
    /// An output that no node, input or weight defines.
    #[error("output `{name}` is not computed by any node")]
    UndefinedOutput {
        /// The output.
        name: String,
    },
    /// The options bind a graph input that the model does not have.
    #[error("the model has no input `{name}`")]
    NoSuchInput {
        /// The name in the options.
        name: String,
    },
    /// Weights that cannot be read.
    #[error("weight `{name}`: {problem}")]
    Weight {
        /// The initializer, or the node that holds the tensor.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A weight is NaN or infinite.
    #[error("weight `{name}` is not finite: element {index} is {value}")]
    NotFinite {
        /// The initializer, or the node that holds the tensor.
        name: String,
        /// Row-major number of the first such element.
        index: usize,
        /// Its value.
        value: f64,
    },
    /// Nodes that no circuit can hold, all of them.
    #[error("{} cannot be compiled:{}", nodes_in_words(.0.len()), list(.0))]
    Unsupported(Vec<UnsupportedNode>),
    /// A node that breaks ONNX's own rules: operands missing or of wrong shapes, attributes of a wrong type.
    #[error("node `{node}` ({operator}) is not valid: {problem}")]
    Invalid {
        /// The node.
        node: String,
        /// Its operator.
        operator: String,
        /// The broken rule.
        problem: String,
    },
    /// The imported graph breaks an invariant of the tensor IR, for example by a weight that overflowed.
    #[error("the imported graph is not valid")]
    Graph(#[from] paf_ir::IrError),
}

/// A node that no circuit can hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsupportedNode {
    /// The node's name, or its first output's.
    pub name: String,
    /// Its operator.
    pub operator: String,
    /// The attribute, or another reason.
    pub reason: String,
    /// What would work; empty where no more can be said than which operators do.
    pub hint: String,
}

impl fmt::Display for UnsupportedNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({}): {}", self.name, self.operator, self.reason)?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, "; {}", self.hint) }
    }
}

fn nodes_in_words(count: usize) -> String {
    if count == 1 { "1 node".into() } else { format!("{count} nodes") }
}

fn list(nodes: &[UnsupportedNode]) -> String {
    let mut text: String = nodes.iter().map(|node| format!("\n  {node}")).collect();
    if nodes.iter().any(|node| node.hint.is_empty()) {
        text += &format!("\nthese operators work: {}", super::operators::all_names());
    }
    text
}

fn names_in_words(names: &[String]) -> String {
    match names {
        [] => "none has a name in the place of a size".into(),
        _ => format!("the names are {}", names.join(", ")),
    }
}

fn list_of(sizes: &[usize]) -> String {
    sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
}
