//! From an ONNX model to a CKKS circuit: the library behind `paf-compile`.
//!
//! ```no_run
//! use paf_compiler::options::CompileOptions;
//! use paf_compiler::pipeline::compile;
//!
//! let calibration = std::path::PathBuf::from("images.npy").into();
//! let compiled = compile(&CompileOptions { calibration, ..CompileOptions::for_model("model.onnx") })?;
//! println!("{} levels", compiled.circuit.counts().levels);
//! # Ok::<(), paf_compiler::error::CompileError>(())
//! ```

pub mod calibration;
pub mod emit;
pub mod error;
pub mod fidelity;
mod importing;
mod lowering;
mod memory;
pub mod options;
pub mod pipeline;
mod precision;
mod recovery;
pub mod report;
