//! What tests and benchmarks compare with, and nothing else needs: OpenFHE's key generation and series, rotations step by
//! step, and arithmetic below the level of ciphertexts. A crate of its own, because a feature that only dev-dependencies
//! turn on would have cargo build `openfhe-sys` and everything above it twice.
//!
//! It holds all of `openfhe-sys` too, so that a test needs one name: `use openfhe_reference as fhe`.

mod bridge;
mod operations;

pub use bridge::ffi::{
    Conversion, Digits, Polynomial, bootstrap_rotation_steps, conversion_from, convert_polynomial,
    evaluate_chebyshev_series, evaluate_polynomial, generate_bootstrap_keys, generate_multiplication_key,
    generate_rotation_keys, multiply_accumulate_polynomial, multiply_plain_in_place, multiply_polynomial_in_place,
    precompute_digits, reduce_extended, rotate_hoisted, transform_polynomial, uniform_polynomial,
};
pub use openfhe_sys::*;
pub use operations::*;
