//! The transforms on four words a register.

use std::arch::asm;
use std::arch::x86_64::*;

use super::passes::{self, Lanes};
use super::{Roots, Scale, avx2_doubles};
use crate::modulus::Modulus;

/// The least length of a transform: a level above the nodes of four registers.
pub(super) const LEAST_LENGTH: usize = 32;

/// The forward transform.
#[target_feature(enable = "avx2")]
pub(super) fn forward(values: &mut [u64], modulus: Modulus, roots: Roots<'_>) {
    if avx2_doubles::can_do(modulus) {
        // SAFETY: the processor has AVX2, and FMA was found.
        return unsafe { avx2_doubles::forward(values, modulus, roots) };
    }
    passes::forward(Words::new(modulus.value()), values, roots);
}

/// The inverse transform.
#[target_feature(enable = "avx2")]
pub(super) fn inverse(values: &mut [u64], modulus: Modulus, roots: Roots<'_>, scale: Scale) {
    if avx2_doubles::can_do(modulus) {
        // SAFETY: the processor has AVX2, and FMA was found.
        return unsafe { avx2_doubles::inverse(values, modulus, roots, scale) };
    }
    passes::inverse(Words::new(modulus.value()), values, roots, scale);
}

/// Four words of 64 bits, q < 2^60: forward values below 16q, inverse ones below 4q.
///
/// A value of this type exists only in functions with AVX2.
#[derive(Clone, Copy)]
struct Words {
    q: __m256i,
    q_high: __m256i,
    double_q: __m256i,
    quadruple_q: __m256i,
    octuple_q: __m256i,
}

/// A twiddle for each of four lanes, with `floor(root · 2^64 / q)`, and the upper halves of both.
#[derive(Clone, Copy)]
struct Twiddle {
    root: __m256i,
    root_high: __m256i,
    shoup: __m256i,
    shoup_high: __m256i,
}

impl Words {
    #[target_feature(enable = "avx2")]
    fn new(q: u64) -> Self {
        Words {
            q: opaque(splat(q)),
            q_high: opaque(splat(q >> 32)),
            double_q: splat(2 * q),
            quadruple_q: splat(4 * q),
            octuple_q: splat(8 * q),
        }
    }

    /// `[0, 2·by)` to `[0, by)`, for `by` at most 2^63.
    ///
    /// The difference is negative as a signed word exactly if the value is below `by`.
    #[inline(always)]
    fn reduce(self, value: __m256i, by: __m256i) -> __m256i {
        // SAFETY: a `Words` exists only in functions with AVX2.
        unsafe {
            let reduced = _mm256_sub_epi64(value, by);
            let sign = _mm256_castsi256_pd(reduced);
            _mm256_castpd_si256(_mm256_blendv_pd(sign, _mm256_castsi256_pd(value), sign))
        }
    }

    /// A value of any size times a twiddle, to `[0, 4q)`.
    ///
    /// With 32-bit halves, `value·shoup / 2^64 = hh + hl/2^32 + lh/2^32 + ll/2^64`. The quotient leaves out `ll` and
    /// the fractions of `hl/2^32` and `lh/2^32`, which are less than 3 together; so the remainder is less than 3q
    /// plus the less than q that it is with the exact `value·shoup / 2^64`.
    #[inline(always)]
    fn product(self, value: __m256i, twiddle: Twiddle) -> __m256i {
        // SAFETY: a `Words` exists only in functions with AVX2.
        unsafe {
            let high = _mm256_srli_epi64::<32>(value);
            let high_high = _mm256_mul_epu32(high, twiddle.shoup_high);
            let high_low = _mm256_srli_epi64::<32>(_mm256_mul_epu32(high, twiddle.shoup));
            let low_high = _mm256_srli_epi64::<32>(_mm256_mul_epu32(value, twiddle.shoup_high));
            let quotient = _mm256_add_epi64(high_high, _mm256_add_epi64(high_low, low_high));
            self.remainder(value, high, twiddle, quotient)
        }
    }

    /// The low word of `value·root - quotient·q`; the upper halves of the four cross products are not needed.
    #[inline(always)]
    fn remainder(self, value: __m256i, high: __m256i, twiddle: Twiddle, quotient: __m256i) -> __m256i {
        // SAFETY: a `Words` exists only in functions with AVX2.
        unsafe {
            let quotient_high = _mm256_srli_epi64::<32>(quotient);
            let low = _mm256_sub_epi64(_mm256_mul_epu32(value, twiddle.root), _mm256_mul_epu32(quotient, self.q));
            let plus =
                _mm256_add_epi64(_mm256_mul_epu32(high, twiddle.root), _mm256_mul_epu32(value, twiddle.root_high));
            let minus =
                _mm256_add_epi64(_mm256_mul_epu32(quotient_high, self.q), _mm256_mul_epu32(quotient, self.q_high));
            _mm256_add_epi64(low, _mm256_slli_epi64::<32>(_mm256_sub_epi64(plus, minus)))
        }
    }

    /// `x + y` and `x - y + 4q`, from values below 4q.
    #[inline(always)]
    fn sum_and_difference(self, x: __m256i, y: __m256i) -> [__m256i; 2] {
        // SAFETY: a `Words` exists only in functions with AVX2.
        unsafe { [_mm256_add_epi64(x, y), _mm256_sub_epi64(_mm256_add_epi64(x, self.quadruple_q), y)] }
    }

    /// `[0, 4q)` to `[0, q)`.
    #[inline(always)]
    fn canonical(self, value: __m256i) -> __m256i {
        self.reduce(self.reduce(value, self.double_q), self.q)
    }

    /// Forward values to `[0, q)`.
    #[inline(always)]
    fn forward_canonical(self, value: __m256i) -> __m256i {
        self.canonical(self.reduce(self.reduce(value, self.octuple_q), self.quadruple_q))
    }

    #[inline(always)]
    fn twiddles(self, root: __m256i, shoup: __m256i) -> Twiddle {
        // SAFETY: a `Words` exists only in functions with AVX2.
        unsafe {
            let root_high = opaque(_mm256_srli_epi64::<32>(root));
            let shoup_high = opaque(_mm256_srli_epi64::<32>(shoup));
            Twiddle { root, root_high, shoup, shoup_high }
        }
    }

    /// Two twiddles in the order 0 0 1 1.
    #[inline(always)]
    fn twiddles_of_2(self, roots: Roots<'_>, node: usize) -> Twiddle {
        let (root, shoup) = roots.run::<2>(node);
        // SAFETY: a `Words` exists only in functions with AVX2; each load reads two words of a run of two.
        unsafe {
            let root = _mm256_castsi128_si256(_mm_loadu_si128(root.as_ptr().cast()));
            let shoup = _mm256_castsi128_si256(_mm_loadu_si128(shoup.as_ptr().cast()));
            self.twiddles(_mm256_permute4x64_epi64::<0x50>(root), _mm256_permute4x64_epi64::<0x50>(shoup))
        }
    }

    /// Four twiddles in order.
    #[inline(always)]
    fn twiddles_of_4(self, roots: Roots<'_>, node: usize) -> Twiddle {
        let (root, shoup) = roots.run::<4>(node);
        self.twiddles(self.load(root), self.load(shoup))
    }
}

impl Lanes<4> for Words {
    type Vector = __m256i;
    type Twiddle = Twiddle;
    const RADIX_8: bool = false;

    #[inline(always)]
    fn load(self, chunk: &[u64; 4]) -> __m256i {
        // SAFETY: the chunk has 32 bytes, and a `Words` exists only in functions with AVX2.
        unsafe { _mm256_loadu_si256(chunk.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(self, chunk: &mut [u64; 4], values: __m256i) {
        // SAFETY: the chunk has 32 bytes, and a `Words` exists only in functions with AVX2.
        unsafe { _mm256_storeu_si256(chunk.as_mut_ptr().cast(), values) }
    }

    #[inline(always)]
    fn twiddle(self, root: u64, shoup: u64) -> Twiddle {
        // SAFETY: a `Words` exists only in functions with AVX2.
        unsafe { self.twiddles(splat(root), splat(shoup)) }
    }

    #[inline(always)]
    fn forward<const REDUCE: bool>(self, x: __m256i, y: __m256i, twiddle: Twiddle) -> [__m256i; 2] {
        let x = if REDUCE { self.reduce(x, self.octuple_q) } else { x };
        let t = self.product(y, twiddle);
        // SAFETY: a `Words` exists only in functions with AVX2.
        unsafe { [_mm256_add_epi64(x, t), _mm256_sub_epi64(_mm256_add_epi64(x, self.quadruple_q), t)] }
    }

    #[inline(always)]
    fn forward_tail<const P: usize>(
        self,
        mut pairs: [[__m256i; 2]; P],
        roots: Roots<'_>,
        node: usize,
    ) -> [[__m256i; 2]; P] {
        for (pair, node) in pairs.iter_mut().zip(node..) {
            // a0 a1 b0 b1 and a2 a3 b2 b3
            let [x, y] = halves(self, *pair);
            let [x, y] = self.forward::<true>(x, y, self.twiddles_of_2(roots, 2 * node));
            // a0 a2 b0 b2 and a1 a3 b1 b3
            let [x, y] = alternate(self, [x, y]);
            let [x, y] = self.forward::<false>(x, y, self.twiddles_of_4(roots, 4 * node));
            *pair = halves(self, alternate(self, [self.forward_canonical(x), self.forward_canonical(y)]));
        }
        pairs
    }

    #[inline(always)]
    fn inverse(self, x: __m256i, y: __m256i, twiddle: Twiddle) -> [__m256i; 2] {
        let [sum, difference] = self.sum_and_difference(x, y);
        [self.reduce(sum, self.quadruple_q), self.product(difference, twiddle)]
    }

    #[inline(always)]
    fn inverse_scaled(self, x: __m256i, y: __m256i, n_inverse: Twiddle, root: Twiddle) -> [__m256i; 2] {
        let [sum, difference] = self.sum_and_difference(x, y);
        [self.canonical(self.product(sum, n_inverse)), self.canonical(self.product(difference, root))]
    }

    #[inline(always)]
    fn inverse_tail<const P: usize>(
        self,
        mut pairs: [[__m256i; 2]; P],
        roots: Roots<'_>,
        node: usize,
    ) -> [[__m256i; 2]; P] {
        for (pair, node) in pairs.iter_mut().zip(node..) {
            // a0 a2 b0 b2 and a1 a3 b1 b3
            let [x, y] = alternate(self, halves(self, *pair));
            let [x, y] = self.inverse(x, y, self.twiddles_of_4(roots, 4 * node));
            // a0 a1 b0 b1 and a2 a3 b2 b3
            let [x, y] = alternate(self, [x, y]);
            *pair = halves(self, self.inverse(x, y, self.twiddles_of_2(roots, 2 * node)));
        }
        pairs
    }
}

/// The lower halves of both registers and the upper halves.
#[inline(always)]
fn halves(_: Words, [x, y]: [__m256i; 2]) -> [__m256i; 2] {
    // SAFETY: a `Words` exists only in functions with AVX2.
    unsafe { [_mm256_permute2x128_si256::<0x20>(x, y), _mm256_permute2x128_si256::<0x31>(x, y)] }
}

/// The even lanes of both registers in turn and the odd lanes.
#[inline(always)]
fn alternate(_: Words, [x, y]: [__m256i; 2]) -> [__m256i; 2] {
    // SAFETY: a `Words` exists only in functions with AVX2.
    unsafe { [_mm256_unpacklo_epi64(x, y), _mm256_unpackhi_epi64(x, y)] }
}

/// The same words, of which the compiler knows nothing: where it sees that two factors are the halves of one word, it
/// makes 64-bit products of the 32-bit ones and splits them again in more instructions.
#[inline]
#[target_feature(enable = "avx2")]
fn opaque(mut words: __m256i) -> __m256i {
    // SAFETY: there is no instruction.
    unsafe { asm!("/* {} */", inout(ymm_reg) words, options(pure, nomem, nostack, preserves_flags)) };
    words
}

#[inline]
#[target_feature(enable = "avx2")]
fn splat(word: u64) -> __m256i {
    _mm256_set1_epi64x(word.cast_signed())
}
