//! Arithmetic on RNS limbs: polynomials of `Z_q[X]/(X^N + 1)` for one word-sized prime q, as slices of canonical residues.
//!
//! Every function gives the residues in `[0, q)` that exact arithmetic gives, so all [`Variant`]s agree bit for bit. The
//! one thing done on doubles, from slot values to coefficients ([`Embedding`]), is the same operations in every variant.

// The SIMD variants load and store through pointers; each such block says why it stays inside its slices.
#![allow(unsafe_code)]

mod arithmetic;
mod convert;
mod embedding;
mod modulus;
mod ntt;
mod variant;

pub use embedding::Embedding;
pub use modulus::Modulus;
pub use ntt::{NttTables, Roots, ntt_prime};
pub use variant::{Kernels, Variant};
