//! Parameters that unit tests share.

use paf_ir::ckks::Level;

use crate::{EngineProfile, Parameters, Secret};

/// Parameters with bootstraps of 2^12 slots at N = 2^16.
pub(crate) fn parameters(levels: u32, digits: u32) -> Parameters {
    let profile = EngineProfile::openfhe();
    let (scale_bits, first_modulus_bits) = (50, 57);
    let special_primes = profile.chain.special_primes(Level(levels), scale_bits, first_modulus_bits, digits);
    Parameters {
        ring_dimension: 1 << 16,
        slots: 1 << 12,
        levels: Level(levels),
        scale_bits,
        first_modulus_bits,
        digits,
        special_primes,
        secret: Secret::UniformTernaryEncapsulated,
        bootstrap: Some(profile.bootstrap.with_budget([3, 3])),
        log_qp: first_modulus_bits + levels * scale_bits + profile.chain.log_p(special_primes),
        security_bits: 128,
    }
}
