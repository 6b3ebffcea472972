//! The element-wise kernels with AVX2.

use std::arch::x86_64::*;

use super::vector256::{Factor, VectorPrime, broadcast, load, load_tail, store, store_tail};
use crate::Modulus;

#[target_feature(enable = "avx2")]
pub(super) fn add_assign(values: &mut [u64], other: &[u64], q: Modulus) {
    let prime = VectorPrime::new(q);
    zip_assign(values, other, |left, right| prime.add(left, right));
}

#[target_feature(enable = "avx2")]
pub(super) fn sub_assign(values: &mut [u64], other: &[u64], q: Modulus) {
    let prime = VectorPrime::new(q);
    zip_assign(values, other, |left, right| prime.sub(left, right));
}

#[target_feature(enable = "avx2")]
pub(super) fn mul_assign(values: &mut [u64], other: &[u64], q: Modulus) {
    let prime = VectorPrime::new(q);
    zip_assign(values, other, |left, right| prime.multiply(left, right));
}

#[target_feature(enable = "avx2")]
pub(super) fn negate(values: &mut [u64], q: Modulus) {
    let prime = VectorPrime::new(q);
    map_assign(values, |value| prime.sub(_mm256_setzero_si256(), value));
}

#[target_feature(enable = "avx2")]
pub(super) fn multiply_accumulate(sum: &mut [u64], left: &[u64], right: &[u64], q: Modulus) {
    let prime = VectorPrime::new(q);
    zip_two_assign(sum, left, right, |sum, left, right| prime.add(prime.multiply(left, right), sum));
}

#[target_feature(enable = "avx2")]
pub(super) fn mul_scalar_assign(values: &mut [u64], scalar: u64, q: Modulus) {
    let (prime, factor) = (VectorPrime::new(q), Factor::new(q, scalar));
    map_assign(values, |value| prime.multiply_factor(value, factor));
}

#[target_feature(enable = "avx2")]
pub(super) fn mul_scalar_add_assign(values: &mut [u64], scalar: u64, addend: &[u64], q: Modulus) {
    let (prime, factor) = (VectorPrime::new(q), Factor::new(q, scalar));
    zip_assign(values, addend, |value, addend| prime.add(prime.multiply_factor(value, factor), addend));
}

#[target_feature(enable = "avx2")]
pub(super) fn sub_mul_scalar_assign(values: &mut [u64], other: &[u64], scalar: u64, q: Modulus) {
    let (prime, factor) = (VectorPrime::new(q), Factor::new(q, scalar));
    zip_assign(values, other, |left, right| prime.multiply_factor(prime.sub(left, right), factor));
}

#[target_feature(enable = "avx2")]
pub(super) fn add_scalar_assign(values: &mut [u64], scalar: u64, q: Modulus) {
    let (prime, scalar) = (VectorPrime::new(q), broadcast(scalar));
    map_assign(values, |value| prime.add(value, scalar));
}

#[target_feature(enable = "avx2")]
pub(super) fn switch_modulus_mul_scalar(out: &mut [u64], values: &[u64], scalar: u64, from: Modulus, to: Modulus) {
    let (switch, factor) = (Switch::new(from, to), Factor::new(to, scalar));
    if to.value() >= from.value() {
        map(out, values, |value| switch.to.multiply_factor(switch.up(value), factor));
    } else {
        map(out, values, |value| switch.to.multiply_factor(switch.down(value), factor));
    }
}

/// Residues of one prime to residues of another through the centred representative: what exceeds half the first prime
/// stands for a negative number.
#[derive(Clone, Copy)]
struct Switch {
    to: VectorPrime,
    half: __m256i,
    difference: __m256i,
}

impl Switch {
    #[target_feature(enable = "avx2")]
    fn new(from: Modulus, to: Modulus) -> Self {
        let (from, q) = (from.value(), to.value());
        let difference = if q >= from { q - from } else { (from - q) % q };
        Switch { to: VectorPrime::new(to), half: broadcast(from >> 1), difference: broadcast(difference) }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn up(self, value: __m256i) -> __m256i {
        _mm256_add_epi64(value, self.correction(value))
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn down(self, value: __m256i) -> __m256i {
        self.to.sub(self.to.reduce_word(value), self.correction(value))
    }

    /// The difference of the primes where the value is negative.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn correction(self, value: __m256i) -> __m256i {
        _mm256_and_si256(_mm256_cmpgt_epi64(value, self.half), self.difference)
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn map(out: &mut [u64], values: &[u64], lanes: impl Fn(__m256i) -> __m256i) {
    let (out_blocks, out_tail) = out.as_chunks_mut::<4>();
    let (blocks, tail) = values.as_chunks::<4>();
    for (out, values) in out_blocks.iter_mut().zip(blocks) {
        store(out, lanes(load(values)));
    }
    store_tail(out_tail, lanes(load_tail(tail)));
}

#[target_feature(enable = "avx2")]
#[inline]
fn map_assign(values: &mut [u64], lanes: impl Fn(__m256i) -> __m256i) {
    let (blocks, tail) = values.as_chunks_mut::<4>();
    for values in blocks {
        store(values, lanes(load(values)));
    }
    store_tail(tail, lanes(load_tail(tail)));
}

#[target_feature(enable = "avx2")]
#[inline]
fn zip_assign(values: &mut [u64], other: &[u64], lanes: impl Fn(__m256i, __m256i) -> __m256i) {
    let (blocks, tail) = values.as_chunks_mut::<4>();
    let (other_blocks, other_tail) = other.as_chunks::<4>();
    for (values, other) in blocks.iter_mut().zip(other_blocks) {
        store(values, lanes(load(values), load(other)));
    }
    store_tail(tail, lanes(load_tail(tail), load_tail(other_tail)));
}

#[target_feature(enable = "avx2")]
#[inline]
fn zip_two_assign(
    values: &mut [u64],
    left: &[u64],
    right: &[u64],
    lanes: impl Fn(__m256i, __m256i, __m256i) -> __m256i,
) {
    let (blocks, tail) = values.as_chunks_mut::<4>();
    let (left_blocks, left_tail) = left.as_chunks::<4>();
    let (right_blocks, right_tail) = right.as_chunks::<4>();
    for ((values, left), right) in blocks.iter_mut().zip(left_blocks).zip(right_blocks) {
        store(values, lanes(load(values), load(left), load(right)));
    }
    store_tail(tail, lanes(load_tail(tail), load_tail(left_tail), load_tail(right_tail)));
}
