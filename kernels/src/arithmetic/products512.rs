//! Sums of products with AVX-512: the words of [`Digits`] take the products of many terms.

use std::arch::x86_64::*;

use super::products::Term;
use super::vector512::{Digits, VectorPrime, high_digit, is_narrow, load, load_tail, store, store_tail};
use crate::Modulus;

/// Terms of a wide prime added before a reduction: at most `1024 * 3 * 2^52 + 2^60 < 2^64` in a word.
const WIDE_GROUP: usize = 1024;

/// Vectors summed side by side: four products a term keep the multiplier busy at its latency of four cycles, and the
/// accumulators fit the 32 registers.
const NARROW_VECTORS: usize = 4;
const WIDE_VECTORS: usize = 2;

/// A block of coefficients that is whole vectors, or the rest of a limb, shorter than one vector.
const WHOLE: bool = false;
const TAIL: bool = true;

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn sum<const OUTPUTS: usize, const KEEP: bool>(
    mut outputs: [&mut [u64]; OUTPUTS],
    terms: &[Term<OUTPUTS>],
    q: Modulus,
) {
    if is_narrow(q) {
        sum_limb::<OUTPUTS, KEEP, false, NARROW_VECTORS>(&mut outputs, terms, VectorPrime::new(q), narrow_group(q));
    } else {
        sum_limb::<OUTPUTS, KEEP, true, WIDE_VECTORS>(&mut outputs, terms, VectorPrime::new(q), WIDE_GROUP);
    }
}

/// Terms of a narrow prime whose sum, with a residue to start from, stays below 2^104; at least one, as
/// `(2^52 - 2)^2 + 2^52 < 2^104`. 4000 of them keep each word below `4001 * 2^52 < 2^64`.
fn narrow_group(q: Modulus) -> usize {
    let largest = u128::from(q.value() - 1);
    (((1u128 << 104) - (1 << 52)) / (largest * largest)).min(4000) as usize
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
#[inline]
fn sum_limb<const OUTPUTS: usize, const KEEP: bool, const WIDE: bool, const VECTORS: usize>(
    outputs: &mut [&mut [u64]; OUTPUTS],
    terms: &[Term<OUTPUTS>],
    prime: VectorPrime,
    group: usize,
) {
    let length = outputs[0].len();
    let mut start = 0;
    while start + 8 * VECTORS <= length {
        sum_block::<OUTPUTS, KEEP, WIDE, VECTORS, WHOLE>(outputs, terms, start, prime, group);
        start += 8 * VECTORS;
    }
    while start + 8 <= length {
        sum_block::<OUTPUTS, KEEP, WIDE, 1, WHOLE>(outputs, terms, start, prime, group);
        start += 8;
    }
    if start < length {
        sum_block::<OUTPUTS, KEEP, WIDE, 1, TAIL>(outputs, terms, start, prime, group);
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
#[inline]
fn sum_block<const OUTPUTS: usize, const KEEP: bool, const WIDE: bool, const VECTORS: usize, const PART: bool>(
    outputs: &mut [&mut [u64]; OUTPUTS],
    terms: &[Term<OUTPUTS>],
    start: usize,
    prime: VectorPrime,
    group: usize,
) {
    let mut sums = [[Digits::new(_mm512_setzero_si512()); VECTORS]; OUTPUTS];
    if KEEP {
        for (sums, output) in sums.iter_mut().zip(outputs.iter()) {
            for (vector, sum) in sums.iter_mut().enumerate() {
                sum.low = load_at::<PART>(output, start + 8 * vector);
            }
        }
    }
    for group in terms.chunks(group) {
        for term in group {
            add_term::<OUTPUTS, WIDE, VECTORS, PART>(&mut sums, term, start);
        }
        for sum in sums.as_flattened_mut() {
            *sum = Digits::new(if WIDE { prime.reduce_wide(*sum) } else { prime.reduce_two(*sum) });
        }
    }
    for (sums, output) in sums.iter().zip(outputs.iter_mut()) {
        for (vector, sum) in sums.iter().enumerate() {
            store_at::<PART>(output, start + 8 * vector, sum.low);
        }
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
#[inline]
fn add_term<const OUTPUTS: usize, const WIDE: bool, const VECTORS: usize, const PART: bool>(
    sums: &mut [[Digits; VECTORS]; OUTPUTS],
    term: &Term<OUTPUTS>,
    start: usize,
) {
    for vector in 0..VECTORS {
        let digit = load_at::<PART>(term.digit, start + 8 * vector);
        for (sums, key) in sums.iter_mut().zip(term.keys) {
            let key = load_at::<PART>(key, start + 8 * vector);
            if WIDE {
                sums[vector].multiply_add_wide(digit, high_digit(digit), key, high_digit(key));
            } else {
                sums[vector].multiply_add_narrow(digit, key);
            }
        }
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn load_at<const PART: bool>(values: &[u64], start: usize) -> __m512i {
    match values[start..].first_chunk() {
        Some(values) if PART == WHOLE => load(values),
        _ => load_tail(&values[start..]),
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn store_at<const PART: bool>(values: &mut [u64], start: usize, lanes: __m512i) {
    match values[start..].first_chunk_mut() {
        Some(values) if PART == WHOLE => store(values, lanes),
        _ => store_tail(&mut values[start..], lanes),
    }
}
