//! Why a model could not be imported.

use std::fmt;
use std::path::PathBuf;

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
    /// An input is no floating-point tensor.
    #[error("input `{name}` has elements of type {element_type}; a floating-point type is needed")]
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
    #[error("axis {axis} of input `{input}` has no fixed size ({size}); export the model with fixed sizes")]
    DynamicAxis {
        /// The input.
        input: String,
        /// The axis, counted from 0.
        axis: usize,
        /// What stands in place of the size: a symbol, a number below 1, or nothing.
        size: String,
    },
    /// An input has more elements than any circuit.
    #[error("input `{name}` is too large: {shape:?}")]
    InputSize {
        /// The input.
        name: String,
        /// Its declared sizes.
        shape: Vec<usize>,
    },
    /// The graph declares no output.
    #[error("the model has no output")]
    NoOutput,
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
    /// What would work.
    pub hint: String,
}

impl fmt::Display for UnsupportedNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({}): {}; {}", self.name, self.operator, self.reason, self.hint)
    }
}

fn nodes_in_words(count: usize) -> String {
    if count == 1 { "1 node".into() } else { format!("{count} nodes") }
}

fn list(nodes: &[UnsupportedNode]) -> String {
    nodes.iter().map(|node| format!("\n  {node}")).collect()
}
