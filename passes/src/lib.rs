//! The transformations from a network to a circuit: plain functions from graph to graph, one file or folder each.
//!
//! Order and names are those of the pipeline: [`fold`], [`mod@approximate`], [`optimize`], [`pack`], [`schedule`]. Nothing here
//! does I/O or knows ONNX or OpenFHE.

pub mod approximate;
pub mod choose;
mod error;
pub mod fold;
pub mod optimize;
pub mod pack;
pub mod paf;
pub mod recover;
pub mod schedule;

pub use error::PassError;
