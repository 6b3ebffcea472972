//! Parameters of the scheme, and what must fit them.

use paf_ir::ckks::{Level, Parameters, SPECIAL_PRIME_BITS, Secret, log_qp_limit_128};

use super::{Result, malformed, size};
use crate::{Client, limits, schema};

/// Bits that a prime may have.
const PRIME_BITS: std::ops::RangeInclusive<u32> = 1..=60;

/// Parameters that are consistent and keep the security they record.
pub(super) fn parameters(message: &schema::Parameters) -> Result<Parameters> {
    let schema::Secret::UniformTernary = message.secret() else {
        return Err(malformed(format!("unknown distribution {} of the secret", message.secret)));
    };
    let parameters = Parameters {
        ring_dimension: power_of_two(message.ring_dimension, limits::RING_DIMENSION, "the ring dimension")?,
        slots: power_of_two(message.slots, message.ring_dimension / 2, "the number of slots")?,
        levels: Level(message.levels),
        scale_bits: message.scale_bits,
        first_modulus_bits: message.first_modulus_bits,
        digits: message.digits,
        special_primes: message.special_primes,
        secret: Secret::UniformTernary,
        log_qp: message.log_qp,
        security_bits: message.security_bits,
    };
    check_chain(&parameters)?;
    check_security(&parameters)?;
    Ok(parameters)
}

fn power_of_two(value: u64, limit: u64, what: &str) -> Result<usize> {
    let value = size(value, limit, what)?;
    if value.is_power_of_two() { Ok(value) } else { Err(malformed(format!("{what} {value} is no power of two"))) }
}

/// Checks the primes' sizes and counts; afterwards no sum over them overflows.
fn check_chain(parameters: &Parameters) -> Result<()> {
    let &Parameters { levels, scale_bits, first_modulus_bits, digits, special_primes, .. } = parameters;
    if levels.0 > limits::LEVELS {
        return Err(malformed(format!("{levels} levels, at most {} are possible", limits::LEVELS)));
    }
    if !PRIME_BITS.contains(&scale_bits) || !PRIME_BITS.contains(&first_modulus_bits) {
        return Err(malformed(format!("primes of {first_modulus_bits} and {scale_bits} bits")));
    }
    if digits == 0 || digits > levels.0 + 1 {
        return Err(malformed(format!("{digits} digits for {} primes", levels.0 + 1)));
    }
    let needed = Parameters::special_primes_for(levels, scale_bits, first_modulus_bits, digits);
    if special_primes < needed || special_primes > limits::LEVELS + 1 {
        return Err(malformed(format!("{special_primes} special primes where {needed} are needed")));
    }
    Ok(())
}

fn check_security(parameters: &Parameters) -> Result<()> {
    let log_qp = parameters.log_q() + parameters.special_primes * SPECIAL_PRIME_BITS;
    if parameters.log_qp != log_qp {
        return Err(malformed(format!("log2(QP) is {log_qp}, recorded is {}", parameters.log_qp)));
    }
    let limit = log_qp_limit_128(parameters.ring_dimension);
    match parameters.security_bits {
        0 => Ok(()),
        128 if log_qp <= limit => Ok(()),
        128 => Err(malformed(format!("log2(QP) is {log_qp}, 128-bit security allows {limit}"))),
        other => Err(malformed(format!("unknown security level of {other} bits"))),
    }
}

/// Checks that rotations ascend, none is empty, and all are shorter than the slots.
pub(super) fn check_rotations(rotations: &[i64], slots: usize) -> Result<()> {
    let fits = |&steps: &i64| steps != 0 && steps.unsigned_abs() < slots as u64;
    if rotations.is_sorted_by(|a, b| a < b) && rotations.iter().all(fits) {
        return Ok(());
    }
    Err(malformed(format!("the rotations are not ascending, non-zero and below {slots} slots")))
}

/// Checks that a client's levels are those of its ports and of its parameters.
pub(super) fn check_levels(client: &Client) -> Result<()> {
    if client.input_levels.len() != client.inputs.len() {
        return Err(malformed(format!("{} levels for {} inputs", client.input_levels.len(), client.inputs.len())));
    }
    let levels = client.input_levels.iter().copied().chain(client.outputs.iter().map(|port| port.value));
    match levels.max() {
        Some(level) if level > client.parameters.levels => {
            Err(malformed(format!("level {level} of {}", client.parameters.levels)))
        }
        _ => Ok(()),
    }
}
