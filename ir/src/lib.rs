//! The three intermediate representations of the compiler, from a network to an encrypted circuit.
//!
//! * [`tensor`]: a graph of tensors; ReLU and MaxPool, later only polynomials.
//! * [`slots`]: the same values laid out in slot vectors; linear maps are diagonals, slices are rotations.
//! * [`ckks`]: one ciphertext program; levels, scales, relinearizations and rescales are explicit.
//!
//! Each level has a type inference that every node passes through, a verifier, a text form that prints and
//! parses back, and a cleartext evaluation that defines what the operations mean. The crate does no I/O and
//! knows neither ONNX nor OpenFHE nor the file format.

pub mod ckks;
pub mod diagonals;
mod error;
pub mod lanes;
pub mod layout;
pub mod linear;
pub mod program;
pub mod slots;
pub mod sparse;
pub mod tensor;
pub mod text;

pub use error::IrError;
pub use layout::Layout;
pub use linear::{Bias, LinearMap, Primitive};
pub use sparse::Sparse;
pub use tensor::{Constant, Shape};
