//! Runs the circuits that `paf-compile` makes, on any engine.
//!
//! * [`Client`] makes keys, encrypts and decrypts; it needs the client's part of a circuit and sees no weights.
//! * [`Server`] evaluates a circuit on ciphertexts; it takes evaluation keys and sees no input, result or secret key.
//! * [`Checkpoints`] let an evaluation that was killed go on where it was.
//! * [`simulate()`] runs a circuit on plain numbers, exactly or with the noise that CKKS would add.
//! * [`check_layers`] compares an encrypted evaluation with the clear one, layer by layer.
//! * [`executor`] drives any evaluator through a program.
//!
//! What an engine is stands in `paf-engine`, and nothing here knows one of them, but for the clear engine, which
//! simulation and checks compare with. Keys and ciphertexts are files or streams; observers may stop all that takes long;
//! nothing is printed, and nothing of the process is set.

mod check;
mod checkpoints;
pub mod ciphertexts;
mod client;
#[cfg(test)]
#[path = "../tests/common/mod.rs"]
mod common;
mod error;
pub mod executor;
mod keys;
mod local_keys;
mod memory;
pub mod npy;
mod precision;
mod protected;
pub mod samples;
mod security;
mod server;
mod sharing;
mod simulate;
mod staged_keys;
mod tally;

pub use check::{Expectations, LayerAgreement, Sides, check_layers};
pub use checkpoints::{Checkpoints, Evaluated};
pub use client::{Client, Decrypted, inputs_content};
pub use error::{EXIT_DATA, EXIT_ENVIRONMENT, Result, RuntimeError};
pub use keys::{EncryptionKey, EvaluationKeys, PublicKey, SecretKey, read_server_key_header};
pub use local_keys::LocalKeys;
pub use memory::peak_bytes;
pub use paf_scheme::InsecureTestParameters;
pub use precision::expected_bits;
pub use protected::Passphrase;
pub use samples::{ClientOutput, Samples, agreement_bits, result_bits};
pub use security::check_security;
pub use server::Server;
pub use sharing::{flooded, flooding_bits, most_shared_bits, rounded};
pub use simulate::{Noise, simulate};
pub use tally::OperationSeconds;
