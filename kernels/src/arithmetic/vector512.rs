//! Eight residues at a time, with AVX-512 and its 52-bit products.
//!
//! `vpmadd52luq` and `vpmadd52huq` multiply the low 52 bits of their operands and add the low or the high 52 bits of
//! the product to a 64-bit word. Sums of products are therefore kept as [`Digits`] in base 2^52 whose words have 12
//! bits to spare, and reduced once at the end. Primes below 2^52 are called narrow: their residues are one digit.

use std::arch::x86_64::*;

use crate::Modulus;

/// Bits of a digit.
pub(crate) const DIGIT_BITS: u32 = 52;

const DIGIT_MASK: i64 = (1 << DIGIT_BITS) - 1;

/// Whether residues are one digit of 52 bits.
pub(crate) fn is_narrow(modulus: Modulus) -> bool {
    modulus.value() >> DIGIT_BITS == 0
}

/// Whether a wide prime is below 2^53, too small for the bounds of [`VectorPrime::multiply_wide`].
pub(crate) fn is_barely_wide(modulus: Modulus) -> bool {
    !is_narrow(modulus) && modulus.value() >> (DIGIT_BITS + 1) == 0
}

/// A fixed factor with Shoup's constant for 52-bit products, `floor(factor * 2^52 / q)`.
#[derive(Clone, Copy)]
pub(crate) struct Factor {
    factor: __m512i,
    quotient: __m512i,
}

/// A number as `low + middle * 2^52 + high * 2^104`, where each word may exceed a digit until it is carried.
#[derive(Clone, Copy)]
pub(crate) struct Digits {
    pub(crate) low: __m512i,
    pub(crate) middle: __m512i,
    pub(crate) high: __m512i,
}

/// A prime q below 2^60 with the constants of its reductions.
///
/// Ranges: every reduction is a sum of Shoup products `d * f` of a digit `d < 2^52` and a fixed factor `f < q`, with the
/// estimate `floor(d * floor(f 2^52 / q) / 2^52)`, which misses `d f / q` by less than `1 + d / 2^52`; each remainder is
/// in `[0, q(1 + d / 2^52))`, below `2q`, whatever the size of q (Harvey 2014, section 2, with 2^52 as the word as in
/// Intel HEXL, Boemer et al. 2021). Remainders are taken in 64-bit words, exact as `2q < 2^61`.
#[derive(Clone, Copy)]
pub(crate) struct VectorPrime {
    q: __m512i,
    twice: __m512i,
    four_times: __m512i,
    unit_quotient: __m512i,
    middle_weight: Factor,
    high_weight: Factor,
}

impl Factor {
    /// `factor mod q` for products with digits.
    #[target_feature(enable = "avx512f")]
    pub(crate) fn new(modulus: Modulus, factor: u64) -> Self {
        let factor = factor % modulus.value();
        // floor(floor(f 2^64 / q) / 2^12) is floor(f 2^52 / q).
        Factor { factor: broadcast(factor), quotient: broadcast(modulus.shoup(factor) >> 12) }
    }

    /// `2^bits * factor mod q` for products with digits.
    #[target_feature(enable = "avx512f")]
    pub(crate) fn shifted(modulus: Modulus, factor: u64, bits: u32) -> Self {
        Factor::new(modulus, shifted_residue(modulus, factor, bits))
    }
}

/// `2^bits * factor mod q`, for up to 128 bits.
pub(crate) fn shifted_residue(modulus: Modulus, factor: u64, bits: u32) -> u64 {
    let q = u128::from(modulus.value());
    let factor = u128::from(factor) % q;
    let half = (1u128 << (bits / 2)) % q;
    let rest = (1u128 << (bits - bits / 2)) % q;
    (factor * half % q * rest % q) as u64
}

impl Digits {
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(crate) fn new(value: __m512i) -> Self {
        Digits { low: value, middle: _mm512_setzero_si512(), high: _mm512_setzero_si512() }
    }

    /// Adds a product of two digits: at most `2^52 - 1` to each of two words. Bits above a digit are ignored.
    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    pub(crate) fn multiply_add_narrow(&mut self, left: __m512i, right: __m512i) {
        self.low = _mm512_madd52lo_epu64(self.low, left, right);
        self.middle = _mm512_madd52hi_epu64(self.middle, left, right);
    }

    /// Adds a product of a digit with a number of two digits.
    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    pub(crate) fn multiply_add_mixed(&mut self, left: __m512i, right: __m512i, right_high: __m512i) {
        self.multiply_add_narrow(left, right);
        self.middle = _mm512_madd52lo_epu64(self.middle, left, right_high);
        self.high = _mm512_madd52hi_epu64(self.high, left, right_high);
    }

    /// Adds a product of two numbers below 2^60: at most 3 digits to the middle word and `2^17` to the high one.
    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    pub(crate) fn multiply_add_wide(&mut self, left: __m512i, left_high: __m512i, right: __m512i, right_high: __m512i) {
        self.multiply_add_mixed(left, right, right_high);
        self.middle = _mm512_madd52lo_epu64(self.middle, left_high, right);
        self.high = _mm512_madd52hi_epu64(self.high, left_high, right);
        self.high = _mm512_madd52lo_epu64(self.high, left_high, right_high);
    }

    /// Moves what exceeds a digit from the low word to the middle one.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(crate) fn carry_low(self) -> Self {
        Digits { low: low_digit(self.low), middle: _mm512_add_epi64(self.middle, high_digit(self.low)), ..self }
    }

    /// Moves what exceeds a digit from the low and middle words upwards.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(crate) fn carry(self) -> Self {
        self.carry_low().carry_middle()
    }

    /// Moves what exceeds a digit from the middle word to the high one.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(crate) fn carry_middle(self) -> Self {
        Digits { middle: low_digit(self.middle), high: _mm512_add_epi64(self.high, high_digit(self.middle)), ..self }
    }
}

impl VectorPrime {
    #[target_feature(enable = "avx512f")]
    pub(crate) fn new(modulus: Modulus) -> Self {
        let q = modulus.value();
        VectorPrime {
            q: broadcast(q),
            twice: broadcast(2 * q),
            four_times: broadcast(4 * q),
            unit_quotient: broadcast(modulus.shoup(1) >> 12),
            middle_weight: Factor::shifted(modulus, 1, DIGIT_BITS),
            high_weight: Factor::shifted(modulus, 1, 2 * DIGIT_BITS),
        }
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(crate) fn add(self, left: __m512i, right: __m512i) -> __m512i {
        subtract_once(_mm512_add_epi64(left, right), self.q)
    }

    /// `left - right`: where it is negative it wraps to a large word, and the smaller of the two candidates is right.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(crate) fn sub(self, left: __m512i, right: __m512i) -> __m512i {
        let difference = _mm512_sub_epi64(left, right);
        _mm512_min_epu64(difference, _mm512_add_epi64(difference, self.q))
    }

    /// The product of narrow residues.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn multiply_narrow(self, left: __m512i, right: __m512i) -> __m512i {
        self.below_four_times(self.reduce_two_lazily(narrow_product(left, right)))
    }

    /// The product of narrow residues plus a residue: below `5q`.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn multiply_add_narrow(self, left: __m512i, right: __m512i, addend: __m512i) -> __m512i {
        let product = self.reduce_two_lazily(narrow_product(left, right));
        self.below_eight_times(_mm512_add_epi64(product, addend))
    }

    /// The product of residues of a prime above 2^53: below `4q`, as the low digit is below `q / 2`, the middle one's
    /// remainder below `2q` and that of the high word, below 2^17, hardly above q.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn multiply_wide(self, left: __m512i, right: __m512i) -> __m512i {
        self.below_four_times(self.reduce_wide_lazily(wide_product(left, right)))
    }

    /// The product of wide residues plus a residue: below `6q`.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn multiply_add_wide(self, left: __m512i, right: __m512i, addend: __m512i) -> __m512i {
        let product = self.reduce_wide_lazily(wide_product(left, right));
        self.below_eight_times(_mm512_add_epi64(product, addend))
    }

    /// A digit times a fixed factor.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn multiply_factor_narrow(self, value: __m512i, factor: Factor) -> __m512i {
        subtract_once(self.multiply_lazily(value, factor), self.q)
    }

    /// A number below 2^60 times a fixed factor, given also times 2^52: below `4q`.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn multiply_factor_wide(self, value: __m512i, factor: Factor, shifted: Factor) -> __m512i {
        let low = self.multiply_lazily(low_digit(value), factor);
        let high = self.multiply_lazily(high_digit(value), shifted);
        self.below_four_times(_mm512_add_epi64(low, high))
    }

    /// The residue of a digit.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn reduce_digit(self, value: __m512i) -> __m512i {
        subtract_once(self.reduce_digit_lazily(value), self.q)
    }

    /// The residue of any word: below `4q`.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn reduce_word(self, value: __m512i) -> __m512i {
        self.below_four_times(self.reduce_two_lazily(Digits::new(value).carry_low()))
    }

    /// The residue of digits that stand for a number below 2^104.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn reduce_two(self, digits: Digits) -> __m512i {
        self.below_four_times(self.reduce_two_lazily(digits.carry_low()))
    }

    /// The residue of digits that stand for a number below 2^156: below `6q`.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn reduce_three(self, digits: Digits) -> __m512i {
        let carried = digits.carry();
        let high = self.multiply_lazily(carried.high, self.high_weight);
        self.below_eight_times(_mm512_add_epi64(self.reduce_two_lazily(carried), high))
    }

    /// The residue, for a wide prime, of digits that stand for a number below 2^156.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    pub(crate) fn reduce_wide(self, digits: Digits) -> __m512i {
        self.below_eight_times(self.reduce_wide_lazily(digits.carry()))
    }

    /// Below `5q` for a wide prime and carried digits, as the low digit is below `2^52 < q`. The two estimates are summed before they are
    /// multiplied by q, which changes no word of the result.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    fn reduce_wide_lazily(self, digits: Digits) -> __m512i {
        let estimate = _mm512_madd52hi_epu64(_mm512_setzero_si512(), digits.middle, self.middle_weight.quotient);
        let estimate = _mm512_madd52hi_epu64(estimate, digits.high, self.high_weight.quotient);
        let middle = _mm512_mullo_epi64(digits.middle, self.middle_weight.factor);
        let high = _mm512_mullo_epi64(digits.high, self.high_weight.factor);
        let sum = _mm512_add_epi64(_mm512_add_epi64(digits.low, middle), high);
        _mm512_sub_epi64(sum, _mm512_mullo_epi64(estimate, self.q))
    }

    /// `low + middle * 2^52` of two digits: below `4q`.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    fn reduce_two_lazily(self, digits: Digits) -> __m512i {
        let middle = self.multiply_lazily(digits.middle, self.middle_weight);
        _mm512_add_epi64(self.reduce_digit_lazily(digits.low), middle)
    }

    /// A digit times a fixed factor: below `2q`.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    fn multiply_lazily(self, value: __m512i, factor: Factor) -> __m512i {
        let estimate = _mm512_madd52hi_epu64(_mm512_setzero_si512(), value, factor.quotient);
        _mm512_sub_epi64(_mm512_mullo_epi64(value, factor.factor), _mm512_mullo_epi64(estimate, self.q))
    }

    /// A digit times one: below `2q`.
    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
    #[inline]
    fn reduce_digit_lazily(self, value: __m512i) -> __m512i {
        let estimate = _mm512_madd52hi_epu64(_mm512_setzero_si512(), value, self.unit_quotient);
        _mm512_sub_epi64(value, _mm512_mullo_epi64(estimate, self.q))
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    fn below_four_times(self, value: __m512i) -> __m512i {
        subtract_once(subtract_once(value, self.twice), self.q)
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    fn below_eight_times(self, value: __m512i) -> __m512i {
        self.below_four_times(subtract_once(value, self.four_times))
    }
}

#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn narrow_product(left: __m512i, right: __m512i) -> Digits {
    let mut digits = Digits::new(_mm512_setzero_si512());
    digits.multiply_add_narrow(left, right);
    digits
}

/// Carried: the low word is one digit as it comes.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn wide_product(left: __m512i, right: __m512i) -> Digits {
    let mut digits = Digits::new(_mm512_setzero_si512());
    digits.multiply_add_wide(left, high_digit(left), right, high_digit(right));
    digits.carry_middle()
}

/// The lowest digit of each word.
#[target_feature(enable = "avx512f")]
#[inline]
pub(crate) fn low_digit(value: __m512i) -> __m512i {
    _mm512_and_si512(value, _mm512_set1_epi64(DIGIT_MASK))
}

/// The bits of each word above its lowest digit.
#[target_feature(enable = "avx512f")]
#[inline]
pub(crate) fn high_digit(value: __m512i) -> __m512i {
    _mm512_srli_epi64::<DIGIT_BITS>(value)
}

/// `value - multiple` unless that is negative, for values below `2 * multiple`.
#[target_feature(enable = "avx512f")]
#[inline]
fn subtract_once(value: __m512i, multiple: __m512i) -> __m512i {
    _mm512_min_epu64(value, _mm512_sub_epi64(value, multiple))
}

/// The same word in every lane.
#[target_feature(enable = "avx512f")]
#[inline]
pub(crate) fn broadcast(value: u64) -> __m512i {
    _mm512_set1_epi64(value as i64)
}

/// Eight words.
#[target_feature(enable = "avx512f")]
#[inline]
pub(crate) fn load(values: &[u64; 8]) -> __m512i {
    // SAFETY: the array has the 64 bytes that are read, and the instruction needs no alignment.
    unsafe { _mm512_loadu_si512(values.as_ptr().cast()) }
}

/// Stores eight words.
#[target_feature(enable = "avx512f")]
#[inline]
pub(crate) fn store(values: &mut [u64; 8], lanes: __m512i) {
    // SAFETY: the array has the 64 bytes that are written, and the instruction needs no alignment.
    unsafe { _mm512_storeu_si512(values.as_mut_ptr().cast(), lanes) }
}

/// The first words of a slice, at most eight, and zeros.
#[target_feature(enable = "avx512f")]
#[inline]
pub(crate) fn load_tail(values: &[u64]) -> __m512i {
    // SAFETY: the mask has one bit for each word of the slice, up to eight; others are not read.
    unsafe { _mm512_maskz_loadu_epi64(tail_mask(values.len()), values.as_ptr().cast()) }
}

/// Stores the first lanes to a slice, as many as it has words, at most eight.
#[target_feature(enable = "avx512f")]
#[inline]
pub(crate) fn store_tail(values: &mut [u64], lanes: __m512i) {
    // SAFETY: the mask has one bit for each word of the slice, up to eight; others are not written.
    unsafe { _mm512_mask_storeu_epi64(values.as_mut_ptr().cast(), tail_mask(values.len()), lanes) }
}

fn tail_mask(words: usize) -> __mmask8 {
    ((1u32 << words.min(8)) - 1) as __mmask8
}
