//! Parameters of the scheme, and what must fit them.

use std::collections::BTreeMap;

use paf_ir::ckks::Level;
use paf_scheme::{Bootstrap, EngineProfile, Parameters, Secret, encapsulation_problem, log_qp_limit_128};

use super::{Result, malformed, size};
use crate::{ClientPart, limits, schema};

/// Parameters that are consistent, keep the rules of an engine that is known, and the security they record.
pub(super) fn parameters(message: &schema::Parameters) -> Result<Parameters> {
    let parameters = Parameters {
        ring_dimension: power_of_two(message.ring_dimension, limits::RING_DIMENSION, "the ring dimension")?,
        slots: power_of_two(message.slots, message.ring_dimension / 2, "the number of slots")?,
        levels: Level(message.levels),
        scale_bits: message.scale_bits,
        first_modulus_bits: message.first_modulus_bits,
        digits: message.digits,
        special_primes: message.special_primes,
        secret: secret(message)?,
        bootstrap: message.bootstrap.as_ref().map(bootstrap),
        log_qp: message.log_qp,
        security_bits: message.security_bits,
    };
    check_chain(&parameters)?;
    check_bootstrap(&parameters)?;
    let profile = EngineProfile::of_parameters(&parameters).map_err(malformed)?;
    check_security(&parameters, profile)?;
    Ok(parameters)
}

fn secret(message: &schema::Parameters) -> Result<Secret> {
    match schema::Secret::try_from(message.secret) {
        Ok(schema::Secret::UniformTernary) => Ok(Secret::UniformTernary),
        Ok(schema::Secret::UniformTernaryEncapsulated) => Ok(Secret::UniformTernaryEncapsulated),
        _ => Err(malformed(format!("unknown distribution {} of the secret", message.secret))),
    }
}

fn bootstrap(message: &schema::Bootstrap) -> Bootstrap {
    Bootstrap {
        level_budget: [message.encoding_levels, message.decoding_levels],
        depth: message.depth,
        refinement_bits: message.refinement_bits,
    }
}

/// Checks that a bootstrap has budgets that exist, levels to give back, and its secret.
fn check_bootstrap(parameters: &Parameters) -> Result<()> {
    let encapsulated = parameters.secret == Secret::UniformTernaryEncapsulated;
    let Some(bootstrap) = parameters.bootstrap else {
        return if encapsulated { Err(malformed("an encapsulated secret without bootstraps")) } else { Ok(()) };
    };
    let budget = bootstrap.level_budget;
    if !encapsulated {
        return Err(malformed("bootstraps without an encapsulated secret"));
    }
    if !budget.iter().all(|levels| (1..=limits::BOOTSTRAP_BUDGET).contains(levels)) {
        return Err(malformed(format!("a bootstrap with {} and {} levels for its transforms", budget[0], budget[1])));
    }
    if bootstrap.refinement_bits > limits::REFINEMENT_BITS {
        return Err(malformed(format!("a bootstrap that refines {} bits", bootstrap.refinement_bits)));
    }
    if bootstrap.depth >= parameters.levels.0 {
        return Err(malformed(format!("{} levels for a bootstrap of depth {}", parameters.levels, bootstrap.depth)));
    }
    Ok(())
}

fn power_of_two(value: u64, limit: u64, what: &str) -> Result<usize> {
    let value = size(value, limit, what)?;
    if value.is_power_of_two() { Ok(value) } else { Err(malformed(format!("{what} {value} is no power of two"))) }
}

/// Checks how many primes and digits there are; afterwards no sum over primes of an engine's sizes overflows.
fn check_chain(parameters: &Parameters) -> Result<()> {
    let &Parameters { levels, digits, special_primes, .. } = parameters;
    if levels.0 > limits::LEVELS {
        return Err(malformed(format!("{levels} levels, at most {} are possible", limits::LEVELS)));
    }
    if digits == 0 || digits > levels.0 + 1 {
        return Err(malformed(format!("{digits} digits for {} primes", levels.0 + 1)));
    }
    if special_primes > limits::LEVELS + 1 {
        return Err(malformed(format!("{special_primes} special primes, at most {} are possible", limits::LEVELS + 1)));
    }
    Ok(())
}

fn check_security(parameters: &Parameters, profile: &EngineProfile) -> Result<()> {
    let (log_qp, limit) = (parameters.log_qp, log_qp_limit_128(parameters.ring_dimension));
    match parameters.security_bits {
        0 => Ok(()),
        128 if log_qp <= limit => check_encapsulation(parameters, profile),
        128 => Err(malformed(format!("log2(QP) is {log_qp}, 128-bit security allows {limit}"))),
        other => Err(malformed(format!("unknown security level of {other} bits"))),
    }
}

/// Checks the key under the sparse secret of bootstraps, where there are any.
fn check_encapsulation(parameters: &Parameters, profile: &EngineProfile) -> Result<()> {
    let log_qp = parameters.first_modulus_bits + profile.chain.log_p(1);
    let sparse = parameters.secret == Secret::UniformTernaryEncapsulated;
    let problem = sparse.then(|| encapsulation_problem(parameters.ring_dimension, f64::from(log_qp))).flatten();
    problem.map_or(Ok(()), |problem| Err(malformed(problem)))
}

/// Rotations that ascend, are not empty, shorter than the slots, and used at levels that there are.
pub(super) fn rotations(messages: &[schema::Rotation], parameters: &Parameters) -> Result<BTreeMap<i64, Level>> {
    let (slots, levels) = (parameters.slots, parameters.levels);
    let fits = |rotation: &schema::Rotation| rotation.steps != 0 && rotation.steps.unsigned_abs() < slots as u64;
    if !messages.is_sorted_by(|a, b| a.steps < b.steps) || !messages.iter().all(fits) {
        return Err(malformed(format!("the rotations are not ascending, non-zero and below {slots} slots")));
    }
    if let Some(high) = messages.iter().find(|rotation| rotation.level > levels.0) {
        return Err(malformed(format!("rotation {} at level {} of {levels}", high.steps, high.level)));
    }
    Ok(messages.iter().map(|rotation| (rotation.steps, Level(rotation.level))).collect())
}

/// Slot counts of bootstraps that ascend and are powers of two up to the slots; none without bootstraps.
pub(super) fn bootstrap_slots(messages: &[u64], parameters: &Parameters) -> Result<Vec<usize>> {
    let slots = parameters.slots as u64;
    let fits = |count: &u64| count.is_power_of_two() && *count <= slots;
    if !messages.is_sorted_by(|a, b| a < b) || !messages.iter().all(fits) {
        return Err(malformed(format!("bootstraps of {messages:?} slots: not ascending powers of two up to {slots}")));
    }
    if messages.is_empty() == parameters.bootstrap.is_some() {
        return Err(malformed("bootstraps, or their parameters, are missing"));
    }
    Ok(messages.iter().map(|&count| count as usize).collect())
}

/// Checks that a client's levels are those of its ports and of its parameters.
pub(super) fn check_levels(client: &ClientPart) -> Result<()> {
    if client.input_levels.len() != client.inputs.len() {
        return Err(malformed(format!("{} levels for {} inputs", client.input_levels.len(), client.inputs.len())));
    }
    let ports = client.input_levels.iter().copied().chain(client.outputs.iter().map(|port| port.value));
    match ports.chain(client.relinearization).max() {
        Some(level) if level > client.parameters.levels => {
            Err(malformed(format!("level {level} of {}", client.parameters.levels)))
        }
        _ => Ok(()),
    }
}
