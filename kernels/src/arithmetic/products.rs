//! Sums of products with one reduction an output: the inner product of a key switch.

use super::scalar::ScalarPrime;
use crate::{Kernels, Modulus, Variant};

/// One digit of a decomposition and the key limbs that it multiplies.
#[derive(Clone, Copy)]
pub(super) struct Term<'a, const OUTPUTS: usize> {
    /// Each word may stand for several adjacent ones.
    pub(super) digit: &'a [u64],
    pub(super) keys: [&'a [u64]; OUTPUTS],
}

impl Kernels {
    /// `out[k] = sum over terms of left[k] * right[k]`, modulo q; zero without terms. Every operand is read once.
    ///
    /// Sums are reduced once, or once for as many terms as fit their accumulators: 255 with 64-bit words, and with AVX-512
    /// `floor((2^104 - 2^52) / (q-1)^2)` for primes below 2^52 (16 at 50 bits, 15 just above 2^50) and 1024 for others.
    ///
    /// # Panics
    /// If lengths differ.
    pub fn sum_of_products(self, out: &mut [u64], terms: &[(&[u64], &[u64])], q: Modulus) {
        self.sum_terms([out], &single_terms(terms), 0, q);
    }

    /// For terms `(digit, first, second)`: `first_out` is the sum of `digit * first`, `second_out` that of
    /// `digit * second`, as by [`Self::sum_of_products`] but with each digit read once for both.
    ///
    /// # Panics
    /// If lengths differ.
    pub fn sum_of_products_pair(
        self,
        first_out: &mut [u64],
        second_out: &mut [u64],
        terms: &[(&[u64], &[u64], &[u64])],
        q: Modulus,
    ) {
        self.sum_terms([first_out, second_out], &pair_terms(terms), 0, q);
    }

    /// As [`Self::sum_of_products_pair`], where each word of a digit stands for `2^log_repeats` adjacent ones: a polynomial
    /// in a power of X has such values.
    ///
    /// # Panics
    /// If a digit is not that much shorter than the outputs, or other lengths differ.
    pub fn sum_of_repeated_products_pair(
        self,
        first_out: &mut [u64],
        second_out: &mut [u64],
        terms: &[(&[u64], &[u64], &[u64])],
        log_repeats: u32,
        q: Modulus,
    ) {
        self.sum_terms([first_out, second_out], &pair_terms(terms), log_repeats, q);
    }

    fn sum_terms<const OUTPUTS: usize>(
        self,
        outputs: [&mut [u64]; OUTPUTS],
        terms: &[Term<OUTPUTS>],
        log_repeats: u32,
        q: Modulus,
    ) {
        let length = outputs[0].len();
        assert!(outputs.iter().all(|output| output.len() == length), "outputs differ in length");
        let fits = |term: &Term<OUTPUTS>| {
            term.digit.len() << log_repeats == length && term.keys.iter().all(|key| key.len() == length)
        };
        assert!(terms.iter().all(fits), "terms differ in length from the output");
        match self.variant() {
            Variant::Portable => sum_portable(outputs, terms, log_repeats, q),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `Kernels` exists only on a processor that has the instructions of its variant.
            Variant::Avx2 => unsafe { super::products256::sum(outputs, terms, log_repeats, q) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Variant::Avx512 => unsafe { super::products512::sum(outputs, terms, log_repeats, q) },
            #[cfg(not(target_arch = "x86_64"))]
            Variant::Avx2 | Variant::Avx512 => unreachable!("a variant of another processor"),
        }
    }
}

fn single_terms<'a>(terms: &[(&'a [u64], &'a [u64])]) -> Vec<Term<'a, 1>> {
    terms.iter().map(|&(digit, key)| Term { digit, keys: [key] }).collect()
}

fn pair_terms<'a>(terms: &[(&'a [u64], &'a [u64], &'a [u64])]) -> Vec<Term<'a, 2>> {
    terms.iter().map(|&(digit, first, second)| Term { digit, keys: [first, second] }).collect()
}

/// Terms whose sum fits two words with a residue to start from: `255 * (2^60 - 1)^2 + 2^60 < 2^128`.
const PORTABLE_GROUP: usize = 255;

/// Coefficients whose sums are kept at a time.
const PORTABLE_BLOCK: usize = 32;

fn sum_portable<const OUTPUTS: usize>(
    outputs: [&mut [u64]; OUTPUTS],
    terms: &[Term<OUTPUTS>],
    log_repeats: u32,
    q: Modulus,
) {
    let prime = ScalarPrime::new(q);
    for (index, output) in outputs.into_iter().enumerate() {
        output.fill(0);
        for (block, output) in output.chunks_mut(PORTABLE_BLOCK).enumerate() {
            let start = block * PORTABLE_BLOCK;
            for group in terms.chunks(PORTABLE_GROUP) {
                if log_repeats == 0 {
                    sum_block(output, group, index, start, prime);
                } else {
                    sum_repeated_block(output, group, index, start, log_repeats, prime);
                }
            }
        }
    }
}

#[inline(always)]
fn sum_block<const OUTPUTS: usize>(
    output: &mut [u64],
    terms: &[Term<OUTPUTS>],
    index: usize,
    start: usize,
    prime: ScalarPrime,
) {
    let mut sums = start_sums(output);
    for term in terms {
        let end = start + output.len();
        for ((sum, &digit), &key) in sums.iter_mut().zip(&term.digit[start..end]).zip(&term.keys[index][start..end]) {
            *sum += u128::from(digit) * u128::from(key);
        }
    }
    end_sums(output, &sums, prime);
}

fn sum_repeated_block<const OUTPUTS: usize>(
    output: &mut [u64],
    terms: &[Term<OUTPUTS>],
    index: usize,
    start: usize,
    log_repeats: u32,
    prime: ScalarPrime,
) {
    let mut sums = start_sums(output);
    for term in terms {
        let places = start..start + output.len();
        for ((sum, place), &key) in sums.iter_mut().zip(places.clone()).zip(&term.keys[index][places]) {
            *sum += u128::from(term.digit[place >> log_repeats]) * u128::from(key);
        }
    }
    end_sums(output, &sums, prime);
}

#[inline(always)]
fn start_sums(output: &[u64]) -> [u128; PORTABLE_BLOCK] {
    let mut sums = [0u128; PORTABLE_BLOCK];
    for (sum, &value) in sums.iter_mut().zip(output) {
        *sum = u128::from(value);
    }
    sums
}

#[inline(always)]
fn end_sums(output: &mut [u64], sums: &[u128; PORTABLE_BLOCK], prime: ScalarPrime) {
    for (value, &sum) in output.iter_mut().zip(sums) {
        *value = prime.reduce(sum);
    }
}
