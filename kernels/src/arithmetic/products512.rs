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

/// How digits are read: whole, or with each word repeated over adjacent lanes.
#[derive(Clone, Copy)]
struct Repeats {
    log: u32,
    /// Words of a digit that eight lanes take.
    words: usize,
    /// Which of them each lane takes.
    lanes: __m512i,
}

impl Repeats {
    #[target_feature(enable = "avx512f")]
    fn new(log: u32) -> Self {
        let lane = |lane: i64| lane.checked_shr(log).unwrap_or(0);
        let lanes = _mm512_set_epi64(lane(7), lane(6), lane(5), lane(4), lane(3), lane(2), lane(1), lane(0));
        Repeats { log, words: 8usize.checked_shr(log).unwrap_or(0).max(1), lanes }
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn sum<const OUTPUTS: usize>(
    mut outputs: [&mut [u64]; OUTPUTS],
    terms: &[Term<OUTPUTS>],
    log_repeats: u32,
    q: Modulus,
) {
    let (prime, repeats) = (VectorPrime::new(q), Repeats::new(log_repeats));
    let outputs = &mut outputs;
    match (is_narrow(q), log_repeats) {
        (true, 0) => sum_limb::<OUTPUTS, false, false, NARROW_VECTORS>(outputs, terms, repeats, prime, narrow_group(q)),
        (true, _) => {
            sum_limb::<OUTPUTS, true, false, NARROW_VECTORS>(outputs, terms, repeats, prime, narrow_group(q));
        }
        (false, 0) => {
            sum_limb::<OUTPUTS, false, true, WIDE_VECTORS>(outputs, terms, repeats, prime, WIDE_GROUP);
        }
        (false, _) => sum_limb::<OUTPUTS, true, true, WIDE_VECTORS>(outputs, terms, repeats, prime, WIDE_GROUP),
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
fn sum_limb<const OUTPUTS: usize, const REPEATED: bool, const WIDE: bool, const VECTORS: usize>(
    outputs: &mut [&mut [u64]; OUTPUTS],
    terms: &[Term<OUTPUTS>],
    repeats: Repeats,
    prime: VectorPrime,
    group: usize,
) {
    let length = outputs[0].len();
    let mut start = 0;
    while start + 8 * VECTORS <= length {
        sum_block::<OUTPUTS, REPEATED, WIDE, VECTORS, WHOLE>(outputs, terms, repeats, start, prime, group);
        start += 8 * VECTORS;
    }
    while start + 8 <= length {
        sum_block::<OUTPUTS, REPEATED, WIDE, 1, WHOLE>(outputs, terms, repeats, start, prime, group);
        start += 8;
    }
    if start < length {
        sum_block::<OUTPUTS, REPEATED, WIDE, 1, TAIL>(outputs, terms, repeats, start, prime, group);
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
#[inline]
fn sum_block<const OUTPUTS: usize, const REPEATED: bool, const WIDE: bool, const VECTORS: usize, const PART: bool>(
    outputs: &mut [&mut [u64]; OUTPUTS],
    terms: &[Term<OUTPUTS>],
    repeats: Repeats,
    start: usize,
    prime: VectorPrime,
    group: usize,
) {
    let mut sums = [[Digits::new(_mm512_setzero_si512()); VECTORS]; OUTPUTS];
    for group in terms.chunks(group) {
        for term in group {
            add_term::<OUTPUTS, REPEATED, WIDE, VECTORS, PART>(&mut sums, term, repeats, start);
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
fn add_term<const OUTPUTS: usize, const REPEATED: bool, const WIDE: bool, const VECTORS: usize, const PART: bool>(
    sums: &mut [[Digits; VECTORS]; OUTPUTS],
    term: &Term<OUTPUTS>,
    repeats: Repeats,
    start: usize,
) {
    for vector in 0..VECTORS {
        let place = start + 8 * vector;
        let digit =
            if REPEATED { load_repeated(term.digit, place, repeats) } else { load_at::<PART>(term.digit, place) };
        for (sums, key) in sums.iter_mut().zip(term.keys) {
            let key = load_at::<PART>(key, place);
            if WIDE {
                sums[vector].multiply_add_wide(digit, high_digit(digit), key, high_digit(key));
            } else {
                sums[vector].multiply_add_narrow(digit, key);
            }
        }
    }
}

/// The lanes from `start` on, a multiple of eight, of a digit whose words are repeated.
#[target_feature(enable = "avx512f")]
#[inline]
fn load_repeated(values: &[u64], start: usize, repeats: Repeats) -> __m512i {
    let values = &values[start >> repeats.log..];
    _mm512_permutexvar_epi64(repeats.lanes, load_tail(&values[..repeats.words.min(values.len())]))
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
