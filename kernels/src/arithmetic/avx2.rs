//! The element-wise kernels with AVX2: the portable loops compiled with its instructions, which the compiler uses where
//! no 128-bit product is needed. Those products stay on the scalar multiplier, which is no slower than the four 32-bit
//! products and their carries.

use super::portable;
use super::products::{Term, sum_portable};
use crate::Modulus;

#[target_feature(enable = "avx2")]
pub(super) fn add(out: &mut [u64], left: &[u64], right: &[u64], q: Modulus) {
    portable::add(out, left, right, q);
}

#[target_feature(enable = "avx2")]
pub(super) fn add_assign(values: &mut [u64], other: &[u64], q: Modulus) {
    portable::add_assign(values, other, q);
}

#[target_feature(enable = "avx2")]
pub(super) fn sub(out: &mut [u64], left: &[u64], right: &[u64], q: Modulus) {
    portable::sub(out, left, right, q);
}

#[target_feature(enable = "avx2")]
pub(super) fn sub_assign(values: &mut [u64], other: &[u64], q: Modulus) {
    portable::sub_assign(values, other, q);
}

#[target_feature(enable = "avx2")]
pub(super) fn negate(values: &mut [u64], q: Modulus) {
    portable::negate(values, q);
}

#[target_feature(enable = "avx2")]
pub(super) fn mul(out: &mut [u64], left: &[u64], right: &[u64], q: Modulus) {
    portable::mul(out, left, right, q);
}

#[target_feature(enable = "avx2")]
pub(super) fn mul_assign(values: &mut [u64], other: &[u64], q: Modulus) {
    portable::mul_assign(values, other, q);
}

#[target_feature(enable = "avx2")]
pub(super) fn multiply_accumulate(sum: &mut [u64], left: &[u64], right: &[u64], q: Modulus) {
    portable::multiply_accumulate(sum, left, right, q);
}

#[target_feature(enable = "avx2")]
pub(super) fn mul_scalar(out: &mut [u64], values: &[u64], scalar: u64, q: Modulus) {
    portable::mul_scalar(out, values, scalar, q);
}

#[target_feature(enable = "avx2")]
pub(super) fn mul_scalar_assign(values: &mut [u64], scalar: u64, q: Modulus) {
    portable::mul_scalar_assign(values, scalar, q);
}

#[target_feature(enable = "avx2")]
pub(super) fn mul_scalar_add_assign(values: &mut [u64], scalar: u64, addend: &[u64], q: Modulus) {
    portable::mul_scalar_add_assign(values, scalar, addend, q);
}

#[target_feature(enable = "avx2")]
pub(super) fn sub_mul_scalar(out: &mut [u64], left: &[u64], right: &[u64], scalar: u64, q: Modulus) {
    portable::sub_mul_scalar(out, left, right, scalar, q);
}

#[target_feature(enable = "avx2")]
pub(super) fn sub_mul_scalar_assign(values: &mut [u64], other: &[u64], scalar: u64, q: Modulus) {
    portable::sub_mul_scalar_assign(values, other, scalar, q);
}

#[target_feature(enable = "avx2")]
pub(super) fn add_scalar_assign(values: &mut [u64], scalar: u64, q: Modulus) {
    portable::add_scalar_assign(values, scalar, q);
}

#[target_feature(enable = "avx2")]
pub(super) fn switch_modulus(out: &mut [u64], values: &[u64], from: Modulus, to: Modulus) {
    portable::switch_modulus(out, values, from, to);
}

#[target_feature(enable = "avx2")]
pub(super) fn switch_modulus_mul_scalar(out: &mut [u64], values: &[u64], scalar: u64, from: Modulus, to: Modulus) {
    portable::switch_modulus_mul_scalar(out, values, scalar, from, to);
}

#[target_feature(enable = "avx2")]
pub(super) fn permute(out: &mut [u64], input: &[u64], indices: &[u32]) {
    portable::permute(out, input, indices);
}

#[target_feature(enable = "avx2")]
pub(super) fn sum<const OUTPUTS: usize, const KEEP: bool>(
    outputs: [&mut [u64]; OUTPUTS],
    terms: &[Term<OUTPUTS>],
    q: Modulus,
) {
    sum_portable::<OUTPUTS, KEEP>(outputs, terms, q);
}
