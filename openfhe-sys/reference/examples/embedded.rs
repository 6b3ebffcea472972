//! A shared library with OpenFHE and its overrides inside, for programs of any language: says what does the arithmetic.

#![allow(unsafe_code, reason = "it exports C functions")]

use std::ffi::{CString, c_char};

use openfhe_sys as fhe;
use openfhe_sys::kernels;

/// The code in use, a colon, and why it is this one. The text is never freed.
#[unsafe(no_mangle)]
pub extern "C" fn selection() -> *const c_char {
    let text = match kernels::select_from_environment() {
        Ok(selection) => format!("{}: {}", selection.code, selection.reason),
        Err(error) => format!("error: {error}"),
    };
    CString::new(text).unwrap_or_default().into_raw()
}

/// Limbs of a key that was asked for with one limb, in a context of three; 0 if an operation fails.
#[unsafe(no_mangle)]
pub extern "C" fn limbs_of_a_key_for_one() -> u32 {
    made_key().unwrap_or(0)
}

/// Why such a key is refused; empty where it is not. The text is never freed.
#[unsafe(no_mangle)]
pub extern "C" fn refusal_of_a_key() -> *const c_char {
    let text = made_key().err().map_or_else(String::new, |error| error.to_string());
    CString::new(text).unwrap_or_default().into_raw()
}

fn made_key() -> Result<u32, fhe::Exception> {
    let context = fhe::create_context(&fhe::ContextParameters {
        ring_dimension: 1 << 10,
        slots: 1 << 9,
        multiplicative_depth: 2,
        scaling_mod_bits: 40,
        first_mod_bits: 50,
        digits: 3,
        scaling_technique: fhe::ScalingTechnique::FlexibleAuto,
        secret_key_distribution: fhe::SecretKeyDistribution::UniformTernary,
        security_level: fhe::SecurityLevel::NotSet,
    })?;
    let keys = fhe::generate_key_pair(&context)?;
    Ok(fhe::generate_evaluation_key(&keys.secret_key, fhe::MULTIPLICATION_KEY, 1)?.limbs())
}
