//! The bridge to the calls that [`reference.h`](https://cxx.rs) declares, on the types of `openfhe-sys`.

// cxx generates the unsafe glue; its own checks of the C++ signatures are what makes the functions safe to call.
#![allow(unsafe_code, reason = "the bridge is where this crate meets C++")]
#![allow(unreachable_pub, reason = "cxx makes the types that it borrows from openfhe-sys public")]

/// The bridge module.
#[cxx::bridge(namespace = "openfhe_shim")]
#[allow(missing_docs, reason = "cxx expands items whose documentation it drops")]
pub(crate) mod ffi {
    unsafe extern "C++" {
        include!("openfhe-reference/src/shim/reference.h");

        type Context = openfhe_sys::Context;
        type SecretKey = openfhe_sys::SecretKey;
        type Plaintext = openfhe_sys::Plaintext;
        type Ciphertext = openfhe_sys::Ciphertext;
        type ExtendedCiphertext = openfhe_sys::ExtendedCiphertext;

        /// The digit decomposition of a ciphertext, shared by its hoisted rotations.
        type Digits;
        /// One polynomial over RNS primes.
        type Polynomial;
        /// The factors of a conversion between two bases.
        type Conversion;

        /// Makes the key that relinearizes by OpenFHE's `EvalMultKeyGen`, unless the process has it.
        fn generate_multiplication_key(key: &SecretKey) -> Result<()>;
        /// Makes the keys for some rotations by OpenFHE's `EvalAtIndexKeyGen`, replacing those that the process has.
        fn generate_rotation_keys(key: &SecretKey, steps: &[i32]) -> Result<()>;
        /// Makes all keys of a bootstrap but the multiplication key by OpenFHE's `EvalBootstrapKeyGen`.
        fn generate_bootstrap_keys(key: &SecretKey, slots: u32) -> Result<()>;
        /// The rotations whose keys a bootstrap needs, after its setup; the conjugation key comes on top.
        fn bootstrap_rotation_steps(context: &Context, slots: u32) -> Result<Vec<i32>>;

        /// Decomposes the second part once for many rotations of this ciphertext.
        fn precompute_digits(ciphertext: &Ciphertext) -> Result<UniquePtr<Digits>>;
        /// Rotates left with the ciphertext's own digits.
        fn rotate_hoisted(ciphertext: &Ciphertext, step: i32, digits: &Digits) -> Result<UniquePtr<Ciphertext>>;
        /// Divides by P, back to Q (OpenFHE's `KeySwitchDown`).
        fn reduce_extended(ciphertext: &ExtendedCiphertext) -> Result<UniquePtr<Ciphertext>>;
        /// Multiplies by a plaintext; the scales multiply.
        fn multiply_plain_in_place(ciphertext: Pin<&mut Ciphertext>, plaintext: &Plaintext) -> Result<()>;

        /// `Σ c_k·x^k` by OpenFHE's `EvalPoly`, which adjusts levels and scales itself.
        fn evaluate_polynomial(x: &Ciphertext, coefficients: &[f64]) -> Result<UniquePtr<Ciphertext>>;
        /// `c_0/2 + Σ c_k·T_k(x)` on \[−1, 1\] by OpenFHE's `EvalChebyshevSeries`, which adjusts levels and scales
        /// itself.
        fn evaluate_chebyshev_series(x: &Ciphertext, coefficients: &[f64]) -> Result<UniquePtr<Ciphertext>>;

        /// A uniform polynomial over the largest primes of so many bits, in evaluation format.
        fn uniform_polynomial(ring_dimension: u32, bits: u32, limbs: u32) -> Result<UniquePtr<Polynomial>>;
        /// The approximate conversion of polynomials over the same basis to other primes.
        fn conversion_from(polynomial: &Polynomial, bits: u32, limbs: u32) -> Result<UniquePtr<Conversion>>;
        /// Converts and drops the result.
        fn convert_polynomial(polynomial: &Polynomial, conversion: &Conversion) -> Result<()>;
        /// Evaluation format to coefficient format, or back.
        fn transform_polynomial(polynomial: Pin<&mut Polynomial>) -> Result<()>;
        /// left *= right.
        fn multiply_polynomial_in_place(left: Pin<&mut Polynomial>, right: &Polynomial) -> Result<()>;
        /// sum += left * right.
        fn multiply_accumulate_polynomial(
            sum: Pin<&mut Polynomial>,
            left: &Polynomial,
            right: &Polynomial,
        ) -> Result<()>;
    }
}
