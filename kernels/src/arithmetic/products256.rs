//! Sums of products with AVX2. A register has no room for sums of 120-bit products: digits of 30 bits would, but
//! splitting the operands and reducing four digits cost more than they save below some ten terms. So each product is
//! reduced, and the sum stays in a register.

use std::arch::x86_64::*;

use super::products::Term;
use super::vector256::{VectorPrime, load, load_tail, store, store_tail};
use crate::Modulus;

#[target_feature(enable = "avx2")]
pub(super) fn sum<const OUTPUTS: usize>(
    mut outputs: [&mut [u64]; OUTPUTS],
    terms: &[Term<OUTPUTS>],
    log_repeats: u32,
    q: Modulus,
) {
    let prime = VectorPrime::new(q);
    for start in (0..outputs[0].len()).step_by(4) {
        sum_vector(&mut outputs, terms, start, log_repeats, prime);
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn sum_vector<const OUTPUTS: usize>(
    outputs: &mut [&mut [u64]; OUTPUTS],
    terms: &[Term<OUTPUTS>],
    start: usize,
    log_repeats: u32,
    prime: VectorPrime,
) {
    let mut sums = [_mm256_setzero_si256(); OUTPUTS];
    for term in terms {
        let digit = load_repeated(term.digit, start, log_repeats);
        for (sum, key) in sums.iter_mut().zip(term.keys) {
            *sum = prime.add(*sum, prime.multiply(digit, load_at(key, start)));
        }
    }
    for (sum, output) in sums.iter().zip(outputs.iter_mut()) {
        store_at(output, start, *sum);
    }
}

/// Four words where each of the slice stands for `2^log_repeats` adjacent ones.
#[target_feature(enable = "avx2")]
#[inline]
fn load_repeated(values: &[u64], start: usize, log_repeats: u32) -> __m256i {
    let value = |place: usize| values[((start + place) >> log_repeats).min(values.len() - 1)];
    match log_repeats {
        0 => load_at(values, start),
        _ => load(&[value(0), value(1), value(2), value(3)]),
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn load_at(values: &[u64], start: usize) -> __m256i {
    match values[start..].first_chunk() {
        Some(values) => load(values),
        None => load_tail(&values[start..]),
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn store_at(values: &mut [u64], start: usize, lanes: __m256i) {
    match values[start..].first_chunk_mut() {
        Some(values) => store(values, lanes),
        None => store_tail(&mut values[start..], lanes),
    }
}
