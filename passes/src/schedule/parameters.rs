//! Choice of ring dimension, scale and digits: the fastest set that is secure and precise enough.

use paf_ir::ckks::{CkksProgram, Level, Parameters, SPECIAL_PRIME_BITS, Secret, log_qp_limit_128};

use super::cost::CostModel;

/// Bits of the first prime above the scale: room for values at level 0 beyond their calibrated magnitude of 1.
const HEADROOM_BITS: u32 = 8;
/// Largest scale: beyond, precision exceeds that of the PAFs by far.
const MOST_SCALE_BITS: u32 = 50;
/// Largest prime OpenFHE takes.
const MOST_PRIME_BITS: u32 = 60;

/// Ring dimensions in ascending order.
const RING_DIMENSIONS: [usize; 4] = [1 << 13, 1 << 14, 1 << 15, 1 << 16];

/// Bits of a result that noise takes: a fresh ciphertext's, and what each level adds.
///
/// Fitted to the networks of the benchmark: about 16 bits lost over 9 levels at N = 2^14, 21 over 17 levels at 2^15,
/// 25 over 37 levels at 2^16. The worst of ten images came out up to 1.4 bits below what this expects.
fn noise_bits(ring_dimension: usize, levels: Level) -> f64 {
    (ring_dimension as f64).log2() + 3.0 + 0.18 * f64::from(levels.0)
}

/// Which parameters to consider.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Request {
    /// Bits of precision wanted in the result, relative to its largest value.
    pub precision_bits: f64,
    /// Bytes that may be used at the peak, if limited.
    pub memory: Option<u64>,
    /// Test parameters: the smallest ring that holds the slots, no security.
    pub insecure: bool,
}

/// Precision expected of the result, in bits relative to its largest value.
pub(super) fn expected_precision(ring_dimension: usize, levels: Level, scale_bits: u32) -> f64 {
    f64::from(scale_bits) - noise_bits(ring_dimension, levels)
}

/// The fastest parameters for a program that fit the memory.
pub(super) fn choose(program: &CkksProgram, model: &CostModel<'_>, request: &Request) -> Option<Parameters> {
    let all = candidates(program, request);
    let fits = |p: &&Parameters| request.memory.is_none_or(|limit| model.peak_bytes(p) <= limit);
    let fastest =
        |list: Vec<&Parameters>| list.into_iter().min_by(|a, b| model.seconds(a).total_cmp(&model.seconds(b))).cloned();
    fastest(all.iter().filter(fits).collect())
}

/// Whether any ring dimension has levels enough for a program.
pub(super) fn exist(program: &CkksProgram, request: &Request) -> bool {
    !candidates(program, request).is_empty()
}

/// The smallest predicted peak memory of any parameters, in bytes.
pub(super) fn smallest_peak(program: &CkksProgram, model: &CostModel<'_>, request: &Request) -> u64 {
    candidates(program, request).iter().map(|p| model.peak_bytes(p)).min().unwrap_or(0)
}

/// Every secure and precise set for a program.
fn candidates(program: &CkksProgram, request: &Request) -> Vec<Parameters> {
    let levels = program.top_level();
    let slots = program.slots;
    if request.insecure {
        let ring_dimension = (2 * slots).max(1 << 11);
        return (1..=levels.0 + 1).filter_map(|digits| with(ring_dimension, slots, levels, digits, 50, true)).collect();
    }
    let rings = RING_DIMENSIONS.into_iter().filter(|n| n / 2 >= slots);
    let pairs = rings.flat_map(|n| (1..=levels.0 + 1).map(move |digits| (n, digits)));
    pairs.filter_map(|(n, digits)| largest_scale(n, slots, levels, digits, request.precision_bits)).collect()
}

/// The set with the largest scale for a ring dimension and a number of digits.
fn largest_scale(n: usize, slots: usize, levels: Level, digits: u32, precision: f64) -> Option<Parameters> {
    let precise = |bits: &u32| expected_precision(n, levels, *bits) >= precision;
    let mut scales = (20..=MOST_SCALE_BITS).rev().take_while(precise);
    scales.find_map(|scale_bits| with(n, slots, levels, digits, scale_bits, false))
}

/// The parameters of these sizes if they are well formed and, unless insecure, within the 128-bit limit.
fn with(
    ring_dimension: usize,
    slots: usize,
    levels: Level,
    digits: u32,
    scale_bits: u32,
    insecure: bool,
) -> Option<Parameters> {
    let limbs = levels.0 + 1;
    // OpenFHE fills digits in order; a number that leaves the last one empty is refused.
    if limbs.div_ceil(limbs.div_ceil(digits)) != digits {
        return None;
    }
    let first_modulus_bits = (scale_bits + HEADROOM_BITS).min(MOST_PRIME_BITS);
    let special_primes = Parameters::special_primes_for(levels, scale_bits, first_modulus_bits, digits);
    // Primes lie on both sides of their power of two, so OpenFHE counts one bit more; where that bit alone would ask
    // for another special prime, the count depends on the primes found, and the size is passed over.
    let digit_bits = Parameters::largest_digit_bits(levels, scale_bits, first_modulus_bits, digits);
    if digit_bits != SPECIAL_PRIME_BITS && digit_bits.is_multiple_of(SPECIAL_PRIME_BITS) {
        return None;
    }
    let log_qp = first_modulus_bits + levels.0 * scale_bits + special_primes * SPECIAL_PRIME_BITS;
    let secure = log_qp < log_qp_limit_128(ring_dimension);
    (secure || insecure).then_some(Parameters {
        ring_dimension,
        slots,
        levels,
        scale_bits,
        first_modulus_bits,
        digits,
        special_primes,
        secret: Secret::UniformTernary,
        bootstrap: None,
        log_qp,
        security_bits: if insecure { 0 } else { 128 },
    })
}

/// The most levels that any secure and precise set has for a number of slots.
pub(super) fn most_levels(slots: usize, precision: f64) -> u32 {
    let n = *RING_DIMENSIONS.last().expect("the list is not empty");
    let fits = |levels: &u32| {
        (1..=levels + 1).any(|digits| largest_scale(n, slots, Level(*levels), digits, precision).is_some())
    };
    (1..=100).take_while(fits).last().unwrap_or(0)
}
