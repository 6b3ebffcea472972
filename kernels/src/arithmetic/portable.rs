//! The element-wise kernels on 64-bit words.

use super::scalar::ScalarPrime;
use crate::Modulus;

pub(super) fn add_assign(values: &mut [u64], other: &[u64], q: Modulus) {
    let prime = ScalarPrime::new(q);
    zip_assign(values, other, |left, right| prime.add(left, right));
}

pub(super) fn sub_assign(values: &mut [u64], other: &[u64], q: Modulus) {
    let prime = ScalarPrime::new(q);
    zip_assign(values, other, |left, right| prime.sub(left, right));
}

pub(super) fn negate(values: &mut [u64], q: Modulus) {
    let prime = ScalarPrime::new(q);
    map_assign(values, |value| prime.sub(0, value));
}

pub(super) fn mul_assign(values: &mut [u64], other: &[u64], q: Modulus) {
    let prime = ScalarPrime::new(q);
    zip_assign(values, other, |left, right| prime.multiply(left, right));
}

pub(super) fn multiply_accumulate(sum: &mut [u64], left: &[u64], right: &[u64], q: Modulus) {
    let prime = ScalarPrime::new(q);
    for ((sum, &left), &right) in sum.iter_mut().zip(left).zip(right) {
        *sum = prime.multiply_add(left, right, *sum);
    }
}

pub(super) fn mul_scalar_assign(values: &mut [u64], scalar: u64, q: Modulus) {
    let (prime, factor) = (ScalarPrime::new(q), ScalarPrime::factor(q, scalar));
    map_assign(values, |value| prime.multiply_factor(value, factor));
}

pub(super) fn mul_scalar_add_assign(values: &mut [u64], scalar: u64, addend: &[u64], q: Modulus) {
    let (prime, factor) = (ScalarPrime::new(q), ScalarPrime::factor(q, scalar));
    zip_assign(values, addend, |value, addend| prime.add(prime.multiply_factor(value, factor), addend));
}

pub(super) fn sub_mul_scalar_assign(values: &mut [u64], other: &[u64], scalar: u64, q: Modulus) {
    let (prime, factor) = (ScalarPrime::new(q), ScalarPrime::factor(q, scalar));
    zip_assign(values, other, |left, right| prime.multiply_factor(prime.sub(left, right), factor));
}

pub(super) fn add_scalar_assign(values: &mut [u64], scalar: u64, q: Modulus) {
    let prime = ScalarPrime::new(q);
    map_assign(values, |value| prime.add(value, scalar));
}

pub(super) fn switch_modulus_mul_scalar(out: &mut [u64], values: &[u64], scalar: u64, from: Modulus, to: Modulus) {
    let (switch, factor) = (Switch::new(from, to), ScalarPrime::factor(to, scalar));
    if to.value() >= from.value() {
        map(out, values, |value| switch.to.multiply_factor(switch.up(value), factor));
    } else {
        map(out, values, |value| switch.to.multiply_factor(switch.down(value), factor));
    }
}

/// The mask is all ones where the number is negative.
pub(super) fn reduce_signed(out: &mut [u64], numbers: &[i64], q: Modulus) {
    let prime = ScalarPrime::new(q);
    for (out, &number) in out.iter_mut().zip(numbers) {
        let (residue, negative) = (prime.reduce_word(number.unsigned_abs()), (number >> 63) as u64);
        *out = (residue & !negative) | (prime.sub(0, residue) & negative);
    }
}

pub(super) fn permute(out: &mut [u64], input: &[u64], indices: &[u32]) {
    for (out, &index) in out.iter_mut().zip(indices) {
        *out = input[index as usize];
    }
}

/// Residues of one prime to residues of another through the centred representative: what exceeds half the first prime
/// stands for a negative number.
#[derive(Clone, Copy)]
struct Switch {
    to: ScalarPrime,
    half: u64,
    difference: u64,
}

impl Switch {
    fn new(from: Modulus, to: Modulus) -> Self {
        let (from, q) = (from.value(), to.value());
        let difference = if q >= from { q - from } else { (from - q) % q };
        Switch { to: ScalarPrime::new(to), half: from >> 1, difference }
    }

    #[inline(always)]
    fn up(self, value: u64) -> u64 {
        value + self.correction(value)
    }

    #[inline(always)]
    fn down(self, value: u64) -> u64 {
        self.to.sub(self.to.reduce_word(value), self.correction(value))
    }

    /// The difference of the primes where the value is negative: the mask is all ones when `half - value` is.
    #[inline(always)]
    fn correction(self, value: u64) -> u64 {
        self.difference & (((self.half.wrapping_sub(value)) as i64) >> 63) as u64
    }
}

#[inline(always)]
fn map(out: &mut [u64], values: &[u64], element: impl Fn(u64) -> u64) {
    for (out, &value) in out.iter_mut().zip(values) {
        *out = element(value);
    }
}

#[inline(always)]
fn map_assign(values: &mut [u64], element: impl Fn(u64) -> u64) {
    for value in values {
        *value = element(*value);
    }
}

#[inline(always)]
fn zip_assign(values: &mut [u64], other: &[u64], element: impl Fn(u64, u64) -> u64) {
    for (value, &other) in values.iter_mut().zip(other) {
        *value = element(*value, other);
    }
}
