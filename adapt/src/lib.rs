//! Networks and PAFs adapted to each other: what makes low-degree PAFs usable in a trained network.
//!
//! A [`Network`] is an imported graph together with what stands for each ReLU and MaxPool: a PAF and its static scale.
//! Every step takes a network and gives back a better one: PAFs with other coefficients, scales, or weights
//! ([`steps`]), a PAF of its own for each node ([`search`]), or what gradients make of it, by a [`Training`] that the
//! caller hands in. [`recover()`] does them all. At the end the weights go into a copy of the ONNX file, and the rest
//! into `model.paf.json` ([`paf_file`]).
//!
//! Nothing here prints: a [`Listener`] hears of the progress, and can stop the work.

pub mod command;
pub mod compare;
pub mod config;
pub mod convolve;
mod cost;
pub mod data;
pub mod error;
pub mod evaluate;
pub mod events;
pub mod fidelity;
mod live;
pub mod model_files;
pub mod network;
pub mod paf_file;
pub mod progress;
pub mod recovery;
pub mod search;
pub mod steps;
pub mod target;
pub mod training;

pub use config::Config;
pub use data::Data;
pub use error::RecoveryError;
pub use events::{Event, Listener, Undertaking};
pub use model_files::{ModelFiles, recover_files};
pub use network::{Network, NodePaf};
pub use recovery::recover;
pub use target::Target;
pub use training::Training;
