//! The one error enum of this crate.

/// Why an IR could not be built, verified, parsed or evaluated.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum IrError {
    /// An operation got operands of shapes or types it is not defined for.
    #[error("{op}: {message}")]
    Type {
        /// The operation's name in the text form.
        op: String,
        /// What was expected and what came.
        message: String,
    },
    /// The verifier found broken invariants; each line names a node and a reason.
    #[error("the IR is not valid:\n{}", .0.join("\n"))]
    Invalid(Vec<String>),
    /// A text form could not be read back.
    #[error("line {line}: {message}")]
    Parse {
        /// One-based line number.
        line: usize,
        /// What was expected there.
        message: String,
    },
    /// Evaluation got inputs that do not fit the graph.
    #[error("evaluation: {0}")]
    Eval(String),
}

impl IrError {
    pub(crate) fn ty(op: &str, message: impl Into<String>) -> Self {
        IrError::Type { op: op.to_owned(), message: message.into() }
    }
}
