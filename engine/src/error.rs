//! The one error enum of this crate: what an engine can say about keys, ciphertexts and operations.

use paf_ir::IrError;

/// The result of what an engine does.
pub type Result<T, E = EngineError> = std::result::Result<T, E>;

/// Why an engine did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The library behind an engine reported an error.
    #[error("{engine}, {operation}: {message}")]
    Library {
        /// The engine.
        engine: &'static str,
        /// What was being done.
        operation: String,
        /// The library's message.
        message: String,
    },
    /// A circuit's parameters are not what the engine makes of them.
    #[error("{engine} does not give the circuit's parameters: {message}")]
    ParameterMismatch {
        /// The engine.
        engine: &'static str,
        /// What is not the same.
        message: String,
    },
    /// Bytes do not hold a key or a ciphertext of these parameters.
    #[error("{0}")]
    Damaged(String),
    /// A ciphertext is one of another key pair.
    #[error("a ciphertext belongs to another key")]
    OtherKey,
    /// A ciphertext cannot be decrypted: its values or its noise exceed the modulus.
    #[error("a ciphertext cannot be decrypted: {0}")]
    Undecryptable(String),
    /// An operation needs a key that is not there, or one for lower levels only.
    #[error("the evaluation key for {0} is missing or for lower levels only")]
    MissingKey(String),
    /// A rotation is wider than the engine's integers.
    #[error("rotation by {steps} slots is too wide")]
    RotationTooLarge {
        /// Slots.
        steps: i64,
    },
    /// A circuit contains a bootstrap, and parameters without.
    #[error("the circuit contains a bootstrap, which its parameters do not provide for")]
    BootstrapUnsupported,
    /// An engine got a linear map of a program that it was not made for.
    #[error("the engine was made for another program")]
    OtherProgram,
    /// What a variable of the environment asks for cannot be used.
    #[error("{variable}: {message}")]
    Environment {
        /// The variable.
        variable: &'static str,
        /// Why not.
        message: String,
    },
    /// The process is a fork of one that had used the library: its threads exist there only.
    #[error(
        "this process was forked from process {parent}, which had used the library already: its threads do not exist here; start a new process instead, or fork before the first use"
    )]
    Forked {
        /// The process that used the library first.
        parent: u32,
    },
    /// An observer stopped the work.
    #[error("cancelled")]
    Cancelled,
    /// A layout or a program was used with values that do not fit it.
    #[error(transparent)]
    Ir(#[from] IrError),
}
