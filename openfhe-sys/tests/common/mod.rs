//! Small contexts, inputs and one comparison for the integration tests.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::sync::{Mutex, MutexGuard, PoisonError};

use openfhe_reference as fhe;

/// N of all tests: insecure, fast, and large enough for typical noise.
pub(crate) const RING_DIMENSION: u32 = 1 << 12;

/// log2 of the scale of all tests but bootstrapping.
pub(crate) const SCALE_BITS: u32 = 40;

/// Digits of key switching of all tests but bootstrapping.
pub(crate) const DIGITS: u32 = 2;

/// How far a decrypted value may be from the clear one, for values of magnitude about one at a scale of 40 bits.
#[derive(Clone, Copy)]
pub(crate) enum Tolerance {
    /// Encryption noise, and sums of a few such terms.
    Noise,
    /// Noise of key switching, of products, or of many terms.
    Operation,
    /// A bootstrap, in bits.
    Bits(i32),
}

impl Tolerance {
    pub(crate) fn bound(self) -> f64 {
        match self {
            Tolerance::Noise => 2f64.powi(-23),
            Tolerance::Operation => 2f64.powi(-20),
            Tolerance::Bits(bits) => 2f64.powi(-bits),
        }
    }
}

/// Key generation and context creation change process-wide maps: tests that share a process take turns.
pub(crate) fn take_turns() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn parameters(depth: u32, technique: fhe::ScalingTechnique) -> fhe::ContextParameters {
    fhe::ContextParameters {
        ring_dimension: RING_DIMENSION,
        slots: RING_DIMENSION / 2,
        multiplicative_depth: depth,
        scaling_mod_bits: SCALE_BITS,
        first_mod_bits: 52,
        digits: DIGITS,
        scaling_technique: technique,
        secret_key_distribution: fhe::SecretKeyDistribution::UniformTernary,
        security_level: fhe::SecurityLevel::NotSet,
    }
}

/// A context with a key pair and a multiplication key.
pub(crate) struct Party {
    pub(crate) context: fhe::UniquePtr<fhe::Context>,
    pub(crate) keys: fhe::KeyPair,
    pub(crate) scales: Vec<f64>,
    pub(crate) slots: u32,
}

impl Party {
    pub(crate) fn new(depth: u32, technique: fhe::ScalingTechnique) -> Party {
        let parameters = parameters(depth, technique);
        let slots = parameters.slots;
        let context = fhe::create_context(&parameters).expect("the parameters are valid");
        let keys = fhe::generate_key_pair(&context).expect("key generation");
        fhe::generate_multiplication_key(&keys.secret_key).expect("key generation");
        let scales = context.scaling_factors().unwrap();
        Party { context, keys, scales, slots }
    }

    /// The prime that a rescale at this level drops.
    pub(crate) fn dropped_prime(&self, level: u32) -> f64 {
        self.context.moduli_q().unwrap()[(self.context.limb_count() - 1 - level) as usize] as f64
    }

    pub(crate) fn scale(&self, level: u32) -> f64 {
        self.scales[level as usize]
    }

    pub(crate) fn encode(&self, values: &[f64], level: u32, scale: f64) -> fhe::UniquePtr<fhe::Plaintext> {
        fhe::encode(&self.context, values, self.slots, level, scale).expect("encode")
    }

    /// Encrypts at level 0 and the scale at rest.
    pub(crate) fn encrypt(&self, values: &[f64]) -> fhe::UniquePtr<fhe::Ciphertext> {
        fhe::encrypt(&self.keys.public_key, &self.encode(values, 0, self.scale(0))).expect("encrypt")
    }

    pub(crate) fn decrypt(&self, ciphertext: &fhe::Ciphertext, scale: f64) -> Vec<f64> {
        fhe::decrypt(&self.keys.secret_key, ciphertext, scale).expect("decrypt")
    }

    pub(crate) fn check(&self, ciphertext: &fhe::Ciphertext, scale: f64, expected: &[f64], tolerance: Tolerance) {
        check(&self.decrypt(ciphertext, scale), expected, tolerance);
    }
}

/// Values in [-1, 1] that differ from slot to slot and from seed to seed.
pub(crate) fn values(seed: u64, count: u32) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

pub(crate) fn map(values: &[f64], function: impl Fn(f64) -> f64) -> Vec<f64> {
    values.iter().map(|&x| function(x)).collect()
}

pub(crate) fn zip(left: &[f64], right: &[f64], function: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    left.iter().zip(right).map(|(&x, &y)| function(x, y)).collect()
}

pub(crate) fn rotated(values: &[f64], step: i32) -> Vec<f64> {
    let mut result = values.to_vec();
    result.rotate_left(step.rem_euclid(values.len() as i32) as usize);
    result
}

pub(crate) fn largest_error(actual: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(actual.len(), expected.len(), "slot counts differ");
    actual.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[track_caller]
pub(crate) fn check(actual: &[f64], expected: &[f64], tolerance: Tolerance) {
    let error = largest_error(actual, expected);
    assert!(
        error < tolerance.bound(),
        "largest error is 2^{:.1}, allowed is 2^{:.1}",
        error.log2(),
        tolerance.bound().log2()
    );
}
