//! The transformations from a network to a circuit: plain functions from graph to graph, one file or folder each.
//!
//! Order and names are those of the pipeline: [`fold`], [`mod@approximate`], [`optimize`], [`pack`], [`schedule`];
//! [`lower`] is all of them. Nothing here does I/O or knows ONNX; the engine that a circuit is for is a value, [`EngineProfile`](paf_scheme::EngineProfile).

pub mod approximate;
pub mod choose;
mod coefficients;
pub mod decisions;
mod error;
pub mod fold;
mod frontier;
pub mod idle;
pub mod lower;
pub mod memory;
pub mod optimize;
pub mod pack;
pub mod paf;
mod quadratics;
pub mod schedule;
mod units;

pub use error::PassError;
