//! The engine on OpenFHE's ciphertexts: circuits of CKKS through OpenFHE 1.4.2.
//!
//! * [`OpenFheEngine`] is the contract of an engine: keys, encryption, bytes, and programs with their plaintexts.
//! * [`machine::set_up`] sets allocator, threads and kernels of a process. Programs call it; a library need not.
//! * [`calibrate`] measures how fast this machine is.
//!
//! OpenFHE keeps contexts, evaluation keys and the tables of its transforms in static maps. Whatever works with them takes
//! turns with what changes them, here and nowhere else (`turns.rs`), so engines, keys and evaluations of several clients
//! can be used from several threads.

mod calibrate;
mod contract;
mod evaluator;
mod keys;
mod linear;
pub mod machine;
mod plaintexts;
mod program;
mod public_key;
mod scheme;
mod turns;

pub use calibrate::calibrate;
pub use evaluator::OpenFheEvaluator;
pub use keys::OpenFheKeys;
pub use program::OpenFheProgram;
pub use scheme::OpenFheEngine;

use openfhe_sys as fhe;
use paf_engine::EngineError;

/// The engine's name in messages.
const NAME: &str = "OpenFHE";

/// One ciphertext of OpenFHE.
pub type Ciphertext = fhe::UniquePtr<fhe::Ciphertext>;

/// Turns an exception of OpenFHE into an error that says what was being done.
fn failed(operation: &str) -> impl Fn(fhe::Exception) -> EngineError + use<> {
    let operation = operation.to_owned();
    move |exception| EngineError::Library { engine: NAME, operation: operation.clone(), message: message(&exception) }
}

/// An exception that says what is wrong with bytes.
fn damaged(exception: fhe::Exception) -> EngineError {
    EngineError::Damaged(message(&exception))
}

/// OpenFHE's text without the source file, line and function that it begins with.
fn message(exception: &fhe::Exception) -> String {
    let text = exception.to_string();
    text.split_once("(): ").map_or(text.as_str(), |(_, message)| message).to_owned()
}

/// A rotation in the width that OpenFHE takes.
fn rotation(steps: i64) -> paf_engine::Result<i32> {
    i32::try_from(steps).map_err(|_| EngineError::RotationTooLarge { steps })
}
