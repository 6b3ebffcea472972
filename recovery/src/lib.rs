//! Accuracy recovery: what makes low-degree PAFs usable in a trained network.
//!
//! A [`Network`] is an imported graph together with what stands for each ReLU and MaxPool: a PAF and its static scale.
//! Every step takes a network and gives back a better one: PAFs with other coefficients, scales, or weights. At the
//! end the weights go into a copy of the ONNX file, and the rest into `model.paf.json` ([`paf_file`]).

pub mod cli;
pub mod command;
pub mod compare;
pub mod config;
mod convolve;
pub mod data;
pub mod error;
pub mod evaluate;
mod live;
pub mod network;
pub mod paf_file;
mod progress;
pub mod recover;
pub mod report;
pub mod search;
pub mod steps;
pub mod train;

pub use config::Config;
pub use data::Data;
pub use error::RecoveryError;
pub use network::{Network, NodePaf};
