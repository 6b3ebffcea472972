//! The contract of an engine: keys, ciphertexts, their bytes, and the operations of a circuit.
//!
//! * [`Engine`] is one set of parameters on one kind of ciphertexts. The client makes keys, encrypts and decrypts with it,
//!   the server loads programs and keys into it.
//! * [`KeySet`] holds the evaluation keys of one client as long as they are in use.
//! * [`Evaluator`] is a loaded program with a key set: the operations of the ckks IR.
//! * [`KeyList`] says which keys a circuit needs, under the engine's own ids.
//! * The module `suite`, a feature, is what every engine must pass.
//!
//! Whoever runs circuits (`paf-runtime`) knows these traits and no engine. An engine knows neither files nor the order
//! of operations: it turns keys and ciphertexts into bytes and back, and says which keys an operation needs.

mod contract;
mod error;
mod evaluator;
mod keys;
mod process;
#[cfg(feature = "suite")]
pub mod suite;
mod watch;

pub use contract::{Engine, KeySet};
pub use error::{EngineError, Result};
pub use evaluator::{Evaluator, LinearStep};
pub use keys::{EvaluationKeyId, KeyList, KeyNeeds};
pub use process::check_process;
pub use watch::{Answer, Watch, unwatched};
