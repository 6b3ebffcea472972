//! `paf-compile`: from an ONNX file to a CKKS circuit.
//!
//! ```no_run
//! use paf_compiler::options::Options;
//! use paf_compiler::pipeline::compile;
//!
//! let options = Options { calibration: Some("images.npy".into()), ..Options::for_model("model.onnx") };
//! let compiled = compile(&options)?;
//! println!("{} levels", compiled.circuit.counts().levels);
//! # Ok::<(), paf_compiler::error::CompileError>(())
//! ```

pub mod calibration;
pub mod cli;
pub mod emit;
pub mod error;
pub mod options;
mod pafs;
pub mod pipeline;
mod recovery;
pub mod report;

pub use paf_import as import;
