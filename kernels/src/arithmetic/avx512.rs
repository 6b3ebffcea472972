//! The element-wise kernels with AVX-512, and the permutation.

use std::arch::x86_64::*;

use super::vector512::{
    DIGIT_BITS, Factor, VectorPrime, broadcast, is_barely_wide, is_narrow, load, load_tail, store, store_tail,
};
use crate::Modulus;

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn add_assign(values: &mut [u64], other: &[u64], q: Modulus) {
    let prime = VectorPrime::new(q);
    zip_assign(values, other, |left, right| prime.add(left, right));
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn sub_assign(values: &mut [u64], other: &[u64], q: Modulus) {
    let prime = VectorPrime::new(q);
    zip_assign(values, other, |left, right| prime.sub(left, right));
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn negate(values: &mut [u64], q: Modulus) {
    let prime = VectorPrime::new(q);
    map_assign(values, |value| prime.sub(_mm512_setzero_si512(), value));
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn mul_assign(values: &mut [u64], other: &[u64], q: Modulus) {
    let prime = VectorPrime::new(q);
    if is_narrow(q) {
        zip_assign(values, other, |left, right| prime.multiply_narrow(left, right));
    } else if is_barely_wide(q) {
        zip_assign(values, other, |left, right| prime.multiply_add_wide(left, right, _mm512_setzero_si512()));
    } else {
        zip_assign(values, other, |left, right| prime.multiply_wide(left, right));
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn multiply_accumulate(sum: &mut [u64], left: &[u64], right: &[u64], q: Modulus) {
    let prime = VectorPrime::new(q);
    if is_narrow(q) {
        zip_two_assign(sum, left, right, |sum, left, right| prime.multiply_add_narrow(left, right, sum));
    } else {
        zip_two_assign(sum, left, right, |sum, left, right| prime.multiply_add_wide(left, right, sum));
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn mul_scalar_assign(values: &mut [u64], scalar: u64, q: Modulus) {
    let scale = Scale::new(q, scalar);
    if is_narrow(q) {
        map_assign(values, |value| scale.narrow(value));
    } else {
        map_assign(values, |value| scale.wide(value));
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn mul_scalar_add_assign(values: &mut [u64], scalar: u64, addend: &[u64], q: Modulus) {
    let scale = Scale::new(q, scalar);
    if is_narrow(q) {
        zip_assign(values, addend, |value, addend| scale.prime.add(scale.narrow(value), addend));
    } else {
        zip_assign(values, addend, |value, addend| scale.prime.add(scale.wide(value), addend));
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn sub_mul_scalar_assign(values: &mut [u64], other: &[u64], scalar: u64, q: Modulus) {
    let scale = Scale::new(q, scalar);
    if is_narrow(q) {
        zip_assign(values, other, |left, right| scale.narrow(scale.prime.sub(left, right)));
    } else {
        zip_assign(values, other, |left, right| scale.wide(scale.prime.sub(left, right)));
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn add_scalar_assign(values: &mut [u64], scalar: u64, q: Modulus) {
    let (prime, scalar) = (VectorPrime::new(q), broadcast(scalar));
    map_assign(values, |value| prime.add(value, scalar));
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn switch_modulus_mul_scalar(out: &mut [u64], values: &[u64], scalar: u64, from: Modulus, to: Modulus) {
    let (switch, scale) = (Switch::new(from, to), Scale::new(to, scalar));
    match (to.value() >= from.value(), is_narrow(from), is_narrow(to)) {
        (true, _, true) => map(out, values, |value| scale.narrow(switch.up(value))),
        (true, _, false) => map(out, values, |value| scale.wide(switch.up(value))),
        (false, true, _) => map(out, values, |value| scale.narrow(switch.down_from_narrow(value))),
        (false, false, true) => map(out, values, |value| scale.narrow(switch.down_from_wide(value))),
        (false, false, false) => map(out, values, |value| scale.wide(switch.down_from_wide(value))),
    }
}

/// A fixed factor, and the same times 2^52 for the upper digit of wide residues.
#[derive(Clone, Copy)]
struct Scale {
    prime: VectorPrime,
    factor: Factor,
    shifted: Factor,
}

impl Scale {
    #[target_feature(enable = "avx512f")]
    fn new(q: Modulus, scalar: u64) -> Self {
        Scale {
            prime: VectorPrime::new(q),
            factor: Factor::new(q, scalar),
            shifted: Factor::shifted(q, scalar, DIGIT_BITS),
        }
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    fn narrow(self, value: __m512i) -> __m512i {
        self.prime.multiply_factor_narrow(value, self.factor)
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    fn wide(self, value: __m512i) -> __m512i {
        self.prime.multiply_factor_wide(value, self.factor, self.shifted)
    }
}

/// Residues of one prime to residues of another through the centred representative: what exceeds half the first prime
/// stands for a negative number.
#[derive(Clone, Copy)]
struct Switch {
    to: VectorPrime,
    half: __m512i,
    difference: __m512i,
}

impl Switch {
    #[target_feature(enable = "avx512f")]
    fn new(from: Modulus, to: Modulus) -> Self {
        let (from, q) = (from.value(), to.value());
        let difference = if q >= from { q - from } else { (from - q) % q };
        Switch { to: VectorPrime::new(to), half: broadcast(from >> 1), difference: broadcast(difference) }
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    fn up(self, value: __m512i) -> __m512i {
        let negative = _mm512_cmpgt_epu64_mask(value, self.half);
        _mm512_mask_add_epi64(value, negative, value, self.difference)
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    fn down_from_narrow(self, value: __m512i) -> __m512i {
        self.down(value, self.to.reduce_digit(value))
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    fn down_from_wide(self, value: __m512i) -> __m512i {
        self.down(value, self.to.reduce_word(value))
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    fn down(self, value: __m512i, residue: __m512i) -> __m512i {
        let negative = _mm512_cmpgt_epu64_mask(value, self.half);
        self.to.sub(residue, _mm512_maskz_mov_epi64(negative, self.difference))
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn reduce_signed(out: &mut [u64], numbers: &[i64], q: Modulus) {
    let prime = VectorPrime::new(q);
    let (out_blocks, out_tail) = out.as_chunks_mut::<8>();
    let (blocks, tail) = numbers.as_chunks::<8>();
    for (out, numbers) in out_blocks.iter_mut().zip(blocks) {
        let magnitudes = load(&numbers.map(i64::unsigned_abs));
        let residues = prime.reduce_word(magnitudes);
        let negative = _mm512_movepi64_mask(load(&numbers.map(|number| number as u64)));
        store(out, _mm512_mask_mov_epi64(residues, negative, prime.sub(_mm512_setzero_si512(), residues)));
    }
    super::portable::reduce_signed(out_tail, tail, q);
}

/// Gathers by index. Automorphisms in bit-reversed evaluation form take every aligned group of eight outputs from one
/// aligned group of eight inputs (the top three bits of the exponent permute among themselves); such a group is one
/// load and one permutation of lanes, and any other is gathered word by word. The indices are public.
#[target_feature(enable = "avx512f")]
pub(super) fn permute(out: &mut [u64], input: &[u64], indices: &[u32]) {
    let (out_blocks, out_tail) = out.as_chunks_mut::<8>();
    let (index_blocks, index_tail) = indices.as_chunks::<8>();
    let (input_blocks, _) = input.as_chunks::<8>();
    for (out, indices) in out_blocks.iter_mut().zip(index_blocks) {
        let lanes = _mm512_set_epi64(
            i64::from(indices[7]),
            i64::from(indices[6]),
            i64::from(indices[5]),
            i64::from(indices[4]),
            i64::from(indices[3]),
            i64::from(indices[2]),
            i64::from(indices[1]),
            i64::from(indices[0]),
        );
        let groups = _mm512_srli_epi64::<3>(lanes);
        let first = indices[0] as usize / 8;
        let scattered = _mm512_cmpneq_epi64_mask(groups, broadcast(first as u64));
        match input_blocks.get(first) {
            Some(block) if scattered == 0 => store(out, _mm512_permutexvar_epi64(lanes, load(block))),
            _ => *out = indices.map(|index| input[index as usize]),
        }
    }
    for (out, &index) in out_tail.iter_mut().zip(index_tail) {
        *out = input[index as usize];
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn map(out: &mut [u64], values: &[u64], lanes: impl Fn(__m512i) -> __m512i) {
    let (out_blocks, out_tail) = out.as_chunks_mut::<8>();
    let (blocks, tail) = values.as_chunks::<8>();
    for (out, values) in out_blocks.iter_mut().zip(blocks) {
        store(out, lanes(load(values)));
    }
    store_tail(out_tail, lanes(load_tail(tail)));
}

#[target_feature(enable = "avx512f")]
#[inline]
fn map_assign(values: &mut [u64], lanes: impl Fn(__m512i) -> __m512i) {
    let (blocks, tail) = values.as_chunks_mut::<8>();
    for values in blocks {
        store(values, lanes(load(values)));
    }
    store_tail(tail, lanes(load_tail(tail)));
}

#[target_feature(enable = "avx512f")]
#[inline]
fn zip_assign(values: &mut [u64], other: &[u64], lanes: impl Fn(__m512i, __m512i) -> __m512i) {
    let (blocks, tail) = values.as_chunks_mut::<8>();
    let (other_blocks, other_tail) = other.as_chunks::<8>();
    for (values, other) in blocks.iter_mut().zip(other_blocks) {
        store(values, lanes(load(values), load(other)));
    }
    store_tail(tail, lanes(load_tail(tail), load_tail(other_tail)));
}

#[target_feature(enable = "avx512f")]
#[inline]
fn zip_two_assign(
    values: &mut [u64],
    left: &[u64],
    right: &[u64],
    lanes: impl Fn(__m512i, __m512i, __m512i) -> __m512i,
) {
    let (blocks, tail) = values.as_chunks_mut::<8>();
    let (left_blocks, left_tail) = left.as_chunks::<8>();
    let (right_blocks, right_tail) = right.as_chunks::<8>();
    for ((values, left), right) in blocks.iter_mut().zip(left_blocks).zip(right_blocks) {
        store(values, lanes(load(values), load(left), load(right)));
    }
    store_tail(tail, lanes(load_tail(tail), load_tail(left_tail), load_tail(right_tail)));
}
