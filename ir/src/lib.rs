//! The three intermediate representations of the compiler, from a network to an encrypted circuit.
//!
//! * [`tensor`]: a graph of tensors; ReLU and MaxPool, later only polynomials.
//! * [`slots`]: the same values laid out in slot vectors; linear maps are diagonals, slices are rotations.
//! * [`ckks`]: one ciphertext program; levels, scales, relinearizations and rescales are explicit.
//!
//! Each has a type inference that every node passes through, a verifier, and a text form that prints and parses back.
//! Tensors and slots have a cleartext evaluation that defines what their operations mean; a ckks program means what the
//! clear engine (`paf-engine-clear`) computes. The crate is data only: it does no I/O and knows neither ONNX, nor the file
//! format, nor any engine.

pub mod ckks;
pub mod client;
pub mod diagonals;
mod error;
pub mod lanes;
pub mod layout;
pub mod linear;
pub mod printable;
pub mod program;
pub mod random;
pub mod slots;
pub mod sparse;
pub mod tensor;
pub mod text;

pub use error::IrError;
pub use layout::Layout;
pub use linear::{Bias, LinearMap, Primitive};
pub use sparse::Sparse;
pub use tensor::{Constant, Shape};
