//! Runs the circuits that `paf-compile` makes: clear, or encrypted through OpenFHE.
//!
//! * [`simulate()`] runs a circuit on plain numbers, exactly or with the noise that CKKS would add.
//! * [`Client`] makes keys, encrypts and decrypts; it needs the client's part of a circuit and sees no weights.
//! * [`Server`] evaluates a circuit on ciphertexts; it holds evaluation keys and sees no input, result or secret key.
//! * [`Checkpoints`] let an evaluation that was killed go on where it was.
//! * [`check_layers`] compares an encrypted evaluation with the clear one, layer by layer.
//! * [`Engine`] is what both kinds of evaluation implement; [`executor::run`] drives it through a program.
//!
//! OpenFHE keeps evaluation keys in process-wide maps, so clients and servers of one process share them; each removes
//! its own. Call [`machine::set_up`] first in `main`.

mod calibrate;
mod check;
mod checkpoints;
pub mod ciphertexts;
mod clear;
mod client;
#[cfg(test)]
#[path = "../tests/common/mod.rs"]
mod common;
mod engine;
mod error;
pub mod executor;
mod keys;
mod local_keys;
pub mod machine;
pub mod npy;
mod openfhe;
pub mod samples;
mod server;
mod simulate;
mod staged_keys;

pub use calibrate::calibrate;
pub use check::{Expectations, LayerAgreement, check_layers};
pub use checkpoints::{Checkpoints, Evaluated};
pub use clear::{ClearEngine, ClearMaps, NoiseModel};
pub use client::Client;
pub use engine::{Engine, LinearStep, Result};
pub use error::{EXIT_DATA, EXIT_ENVIRONMENT, RuntimeError};
pub use keys::{EvaluationKeys, KeyList, PublicKey, SecretKey};
pub use local_keys::LocalKeys;
pub use openfhe::{Ciphertext, OpenFheEngine, Scheme};
pub use samples::{Output, Samples, agreement_bits};
pub use server::{DEFAULT_PREPARE_BUDGET, Server};
pub use simulate::{Noise, simulate};
