//! Four residues at a time, with AVX2 and its products of 32-bit halves (`vpmuludq`).

use std::arch::x86_64::*;

use crate::Modulus;

/// Bits of a digit of [`Digits`].
const DIGIT_BITS: i32 = 30;

const DIGIT_MASK: i64 = (1 << DIGIT_BITS) - 1;

/// Products that [`Digits`] take between carries: each adds at most `2 * 2^60` to a word, and a carry leaves at most
/// `2^30 + 2^34`, so `7 * 2^61 + 2^35 < 2^64`.
pub(crate) const CARRY_GROUP: usize = 7;

/// A word and its upper half, as the two operands of products of halves.
#[derive(Clone, Copy)]
struct Halves {
    word: __m256i,
    upper: __m256i,
}

/// A fixed factor f with Shoup's constant for values below 2^61, `floor(f * 2^62 / q)`.
#[derive(Clone, Copy)]
pub(crate) struct Factor {
    factor: Halves,
    quotient: Halves,
}

/// A number in base 2^30, where each word may exceed a digit until it is carried.
#[derive(Clone, Copy)]
pub(crate) struct Digits([__m256i; 5]);

/// A prime q below 2^60, of n bits, with the constants of its reductions.
///
/// Ranges:
/// - [`Self::multiply`] is Barrett's reduction as in `ScalarPrime`, below `1.75 q`.
/// - [`Self::multiply_lazily`] is Shoup's product of a value `x < 2^61` and a factor f: the estimate
///   `floor(4x * floor(f 2^62 / q) / 2^64)` misses `x f / q` by less than `1 + x / 2^62`, so the remainder is below
///   `q(1 + x / 2^62)`.
/// - [`Self::reduce`] adds three such products of values below 2^60: below `3.75 q < 2^62`.
///
/// Every word that is compared is below 2^63, so the sign of a difference tells which is larger.
#[derive(Clone, Copy)]
pub(crate) struct VectorPrime {
    q: Halves,
    twice: __m256i,
    ratio: Halves,
    right_shift: __m128i,
    left_shift: __m128i,
    weights: [Factor; 3],
}

impl Halves {
    #[target_feature(enable = "avx2")]
    #[inline]
    fn new(word: __m256i) -> Self {
        Halves { word, upper: _mm256_srli_epi64::<32>(word) }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn broadcast(word: u64) -> Self {
        Halves::new(broadcast(word))
    }

    /// The sum of the products of lower with upper halves, modulo 2^64.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn middle(self, other: Halves) -> __m256i {
        _mm256_add_epi64(_mm256_mul_epu32(self.word, other.upper), _mm256_mul_epu32(self.upper, other.word))
    }

    /// The lower word of the product.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn low_product(self, other: Halves) -> __m256i {
        let low = _mm256_mul_epu32(self.word, other.word);
        _mm256_add_epi64(low, _mm256_slli_epi64::<32>(self.middle(other)))
    }

    /// The upper word of the product of a number below 2^63 and one below 2^62: the middle products and the carry of
    /// the lower one are below `2^63 + 2^62 + 2^32`.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn high_product(self, other: Halves) -> __m256i {
        self.wide_product(other).1
    }

    /// The lower and the upper word of the product, for factors as for [`Self::high_product`].
    #[target_feature(enable = "avx2")]
    #[inline]
    fn wide_product(self, other: Halves) -> (__m256i, __m256i) {
        let low = _mm256_mul_epu32(self.word, other.word);
        let middle = self.middle(other);
        let carried = _mm256_add_epi64(middle, _mm256_srli_epi64::<32>(low));
        let high = _mm256_add_epi64(_mm256_mul_epu32(self.upper, other.upper), _mm256_srli_epi64::<32>(carried));
        (_mm256_add_epi64(low, _mm256_slli_epi64::<32>(middle)), high)
    }
}

impl Factor {
    /// `factor mod q`.
    #[target_feature(enable = "avx2")]
    pub(crate) fn new(modulus: Modulus, factor: u64) -> Self {
        let factor = factor % modulus.value();
        // floor(floor(f 2^64 / q) / 4) is floor(f 2^62 / q).
        Factor { factor: Halves::broadcast(factor), quotient: Halves::broadcast(modulus.shoup(factor) >> 2) }
    }
}

impl Digits {
    /// The digits of numbers below 2^60.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(crate) fn new(value: __m256i) -> Self {
        let zero = _mm256_setzero_si256();
        Digits([low_digit(value), _mm256_srli_epi64::<DIGIT_BITS>(value), zero, zero, zero])
    }

    /// Adds a product of packed numbers, see [`pack`].
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(crate) fn multiply_add(&mut self, left: __m256i, right: __m256i) {
        let (left, right) = (Halves::new(left), Halves::new(right));
        self.0[0] = _mm256_add_epi64(self.0[0], _mm256_mul_epu32(left.word, right.word));
        self.0[1] = _mm256_add_epi64(self.0[1], left.middle(right));
        self.0[2] = _mm256_add_epi64(self.0[2], _mm256_mul_epu32(left.upper, right.upper));
    }

    /// Moves what exceeds a digit from each word but the last to the next.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(crate) fn carry(self) -> Self {
        let mut digits = self.0;
        for index in 0..4 {
            digits[index + 1] = _mm256_add_epi64(digits[index + 1], _mm256_srli_epi64::<DIGIT_BITS>(digits[index]));
            digits[index] = low_digit(digits[index]);
        }
        Digits(digits)
    }
}

/// A number below 2^60 with its two digits in the two halves of its word.
#[target_feature(enable = "avx2")]
#[inline]
pub(crate) fn pack(value: __m256i) -> __m256i {
    let upper = _mm256_slli_epi64::<32>(_mm256_srli_epi64::<DIGIT_BITS>(value));
    _mm256_or_si256(low_digit(value), upper)
}

/// [`pack`] for one number.
pub(crate) fn pack_word(value: u64) -> u64 {
    (value & DIGIT_MASK as u64) | (value >> DIGIT_BITS << 32)
}

impl VectorPrime {
    #[target_feature(enable = "avx2")]
    pub(crate) fn new(modulus: Modulus) -> Self {
        let q = modulus.value();
        let bits = u64::BITS - q.leading_zeros();
        let power = |exponent: u32| ((1u128 << exponent) % u128::from(q)) as u64;
        VectorPrime {
            q: Halves::broadcast(q),
            twice: broadcast(2 * q),
            ratio: Halves::broadcast((modulus.ratio() >> (66 - bits)) as u64),
            right_shift: _mm_cvtsi32_si128(bits as i32 - 2),
            left_shift: _mm_cvtsi32_si128(66 - bits as i32),
            weights: [Factor::new(modulus, 1), Factor::new(modulus, power(60)), Factor::new(modulus, power(120))],
        }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    pub(crate) fn add(self, left: __m256i, right: __m256i) -> __m256i {
        subtract_once(_mm256_add_epi64(left, right), self.q.word)
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    pub(crate) fn sub(self, left: __m256i, right: __m256i) -> __m256i {
        let difference = _mm256_sub_epi64(left, right);
        select_by_sign(difference, _mm256_add_epi64(difference, self.q.word), difference)
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    pub(crate) fn multiply(self, left: __m256i, right: __m256i) -> __m256i {
        let (low, high) = Halves::new(left).wide_product(Halves::new(right));
        let upper = _mm256_sll_epi64(high, self.left_shift);
        let leading = _mm256_or_si256(upper, _mm256_srl_epi64(low, self.right_shift));
        let estimate = Halves::new(leading).high_product(self.ratio);
        subtract_once(_mm256_sub_epi64(low, Halves::new(estimate).low_product(self.q)), self.q.word)
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    pub(crate) fn multiply_factor(self, value: __m256i, factor: Factor) -> __m256i {
        subtract_once(self.multiply_lazily(value, factor), self.q.word)
    }

    /// The residue of a number below 2^61.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(crate) fn reduce_word(self, value: __m256i) -> __m256i {
        self.multiply_factor(value, self.weights[0])
    }

    /// The residue of digits that stand for a number below 2^150.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(crate) fn reduce(self, digits: Digits) -> __m256i {
        let [digit0, digit1, digit2, digit3, digit4] = digits.carry().0;
        let low = _mm256_or_si256(digit0, _mm256_slli_epi64::<DIGIT_BITS>(digit1));
        let middle = _mm256_or_si256(digit2, _mm256_slli_epi64::<DIGIT_BITS>(digit3));
        let low = self.multiply_lazily(low, self.weights[0]);
        let middle = self.multiply_lazily(middle, self.weights[1]);
        let sum = _mm256_add_epi64(_mm256_add_epi64(low, middle), self.multiply_lazily(digit4, self.weights[2]));
        subtract_once(subtract_once(sum, self.twice), self.q.word)
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn multiply_lazily(self, value: __m256i, factor: Factor) -> __m256i {
        let estimate = Halves::new(_mm256_slli_epi64::<2>(value)).high_product(factor.quotient);
        let product = Halves::new(value).low_product(factor.factor);
        _mm256_sub_epi64(product, Halves::new(estimate).low_product(self.q))
    }
}

/// `value - multiple` unless that is negative, for values below `2 * multiple`, or below `multiple + 2^63`.
#[target_feature(enable = "avx2")]
#[inline]
fn subtract_once(value: __m256i, multiple: __m256i) -> __m256i {
    let difference = _mm256_sub_epi64(value, multiple);
    select_by_sign(difference, value, difference)
}

/// `negative` where the sign is set, `other` elsewhere.
#[target_feature(enable = "avx2")]
#[inline]
fn select_by_sign(sign: __m256i, negative: __m256i, other: __m256i) -> __m256i {
    let [sign, negative, other] = [sign, negative, other].map(|words| _mm256_castsi256_pd(words));
    _mm256_castpd_si256(_mm256_blendv_pd(other, negative, sign))
}

#[target_feature(enable = "avx2")]
#[inline]
fn low_digit(value: __m256i) -> __m256i {
    _mm256_and_si256(value, _mm256_set1_epi64x(DIGIT_MASK))
}

/// The same word in every lane.
#[target_feature(enable = "avx2")]
#[inline]
pub(crate) fn broadcast(value: u64) -> __m256i {
    _mm256_set1_epi64x(value as i64)
}

/// Four words.
#[target_feature(enable = "avx2")]
#[inline]
pub(crate) fn load(values: &[u64; 4]) -> __m256i {
    // SAFETY: the array has the 32 bytes that are read, and the instruction needs no alignment.
    unsafe { _mm256_loadu_si256(values.as_ptr().cast()) }
}

/// Stores four words.
#[target_feature(enable = "avx2")]
#[inline]
pub(crate) fn store(values: &mut [u64; 4], lanes: __m256i) {
    // SAFETY: the array has the 32 bytes that are written, and the instruction needs no alignment.
    unsafe { _mm256_storeu_si256(values.as_mut_ptr().cast(), lanes) }
}

/// A slice of fewer than four words, and zeros.
#[target_feature(enable = "avx2")]
#[inline]
pub(crate) fn load_tail(values: &[u64]) -> __m256i {
    let mut padded = [0; 4];
    padded[..values.len()].copy_from_slice(values);
    load(&padded)
}

/// Stores the first lanes to a slice of fewer than four words.
#[target_feature(enable = "avx2")]
#[inline]
pub(crate) fn store_tail(values: &mut [u64], lanes: __m256i) {
    let mut padded = [0; 4];
    store(&mut padded, lanes);
    values.copy_from_slice(&padded[..values.len()]);
}
