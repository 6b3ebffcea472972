//! The transforms on four double-precision numbers a register, for primes below 2^50.
//!
//! AVX2 multiplies 32-bit words only, and a product modulo a 60-bit prime takes 21 instructions. Modulo a prime of at
//! most 50 bits it takes 6 on doubles with fused multiply-adds, and is exact (van der Hoeven, Lecerf and Quintin,
//! "Modular SIMD arithmetic in Mathemagix", 2016, section 3). The values are signed integers of at most 4q < 2^52 in
//! absolute value, so that sums and differences of two are exact.
//!
//! With u = 2^-53, `1/q`, its product with w and that product times y are each rounded by a relative u. So the quotient
//! `k = round(y·w/q)` is within `1/2 + 3u·|y|` of the true `y·w/q`, and for `|y| <= b·q` and q < 2^50 the remainder
//! `y·w - k·q` is at most `r(b) = 1/2 + 3b/8` in units of q. The product is `y·w = h + l`, rounded product and rounding
//! error; the first fused multiply-add gives l exactly. As |h| < 2^102, l is at most 2^48, and `h - k·q`, which is the
//! remainder less l, is an integer below 2^53: the second fused multiply-add gives it exactly. Its sum with l is the
//! remainder.
//!
//! Bounds in units of q, each with less than 2^-48 to spare for the rounding in reductions to 1/2:
//!
//! | level | x and y | results |
//! |---|---|---|
//! | forward, reducing x to 1/2 | 3.9 | 1/2 + r(3.9) < 2.47 |
//! | forward, not reducing | 2.47 | 2.47 + r(2.47) < 3.9 |
//! | inverse | 2 | sum reduced to 1/2, product of the difference r(4) = 2 |
//!
//! Rounding is to nearest: Rust takes that mode for granted, and the canonical result would be wrong in another.

use std::arch::x86_64::*;

use super::passes::{self, Lanes};
use super::{Roots, Scale};
use crate::modulus::Modulus;

/// 2^52, whose unit in the last place is 1.
const TWO_52: f64 = (1u64 << 52) as f64;
/// 3·2^51, whose unit in the last place is 1 on both sides up to 2^51 away.
const MIDDLE: f64 = (3u64 << 51) as f64;

/// Whether the prime and the processor allow this arithmetic.
pub(super) fn can_do(modulus: Modulus) -> bool {
    modulus.value() >> 50 == 0 && std::is_x86_feature_detected!("fma")
}

/// The forward transform.
#[target_feature(enable = "avx2,fma")]
pub(super) fn forward(values: &mut [u64], modulus: Modulus, roots: Roots<'_>) {
    let lanes = Doubles::new(modulus.value());
    let (chunks, _) = values.as_chunks_mut::<4>();
    for chunk in chunks {
        let words = lanes.load(chunk);
        lanes.store(chunk, lanes.doubles(words));
    }
    passes::forward(lanes, values, roots);
}

/// The inverse transform.
#[target_feature(enable = "avx2,fma")]
pub(super) fn inverse(values: &mut [u64], modulus: Modulus, roots: Roots<'_>, scale: Scale) {
    passes::inverse(Doubles::new(modulus.value()), values, roots, scale);
}

/// Four doubles, q < 2^50; outside of the transform the same registers hold words.
///
/// A value of this type exists only in functions with AVX2 and FMA.
#[derive(Clone, Copy)]
struct Doubles {
    q: __m256d,
    q_inverse: __m256d,
}

/// A twiddle for each of four lanes, and the twiddle divided by q.
#[derive(Clone, Copy)]
struct Twiddle {
    root: __m256d,
    quotient: __m256d,
}

impl Doubles {
    #[target_feature(enable = "avx2,fma")]
    fn new(q: u64) -> Self {
        Doubles { q: _mm256_set1_pd(q as f64), q_inverse: _mm256_set1_pd(1.0 / q as f64) }
    }

    /// Words below 2^52 as doubles.
    #[inline(always)]
    fn doubles(self, words: __m256d) -> __m256d {
        // SAFETY: a `Doubles` exists only in functions with these instructions.
        unsafe {
            let two_52 = _mm256_set1_pd(TWO_52);
            _mm256_sub_pd(_mm256_or_pd(words, two_52), two_52)
        }
    }

    /// Doubles of at most 4q in absolute value as words in `[0, q)`.
    ///
    /// Words and not doubles tell whether the remainder is negative, as a double can be -0.
    #[inline(always)]
    fn canonical_words(self, value: __m256d) -> __m256d {
        let remainder = self.reduce(value);
        // SAFETY: a `Doubles` exists only in functions with these instructions.
        unsafe {
            let middle = _mm256_set1_pd(MIDDLE);
            let shifted = _mm256_castpd_si256(_mm256_add_pd(remainder, middle));
            let word = _mm256_castsi256_pd(_mm256_sub_epi64(shifted, _mm256_castpd_si256(middle)));
            let shifted = _mm256_castpd_si256(_mm256_add_pd(remainder, _mm256_add_pd(self.q, middle)));
            let word_plus_q = _mm256_castsi256_pd(_mm256_sub_epi64(shifted, _mm256_castpd_si256(middle)));
            _mm256_blendv_pd(word, word_plus_q, word)
        }
    }

    /// To about q/2 in absolute value.
    #[inline(always)]
    fn reduce(self, value: __m256d) -> __m256d {
        // SAFETY: a `Doubles` exists only in functions with these instructions.
        unsafe {
            let quotient = _mm256_round_pd::<NEAREST>(_mm256_mul_pd(value, self.q_inverse));
            _mm256_fnmadd_pd(quotient, self.q, value)
        }
    }

    #[inline(always)]
    fn product(self, value: __m256d, twiddle: Twiddle) -> __m256d {
        // SAFETY: a `Doubles` exists only in functions with these instructions.
        unsafe {
            let high = _mm256_mul_pd(value, twiddle.root);
            let low = _mm256_fmsub_pd(value, twiddle.root, high);
            let quotient = _mm256_round_pd::<NEAREST>(_mm256_mul_pd(value, twiddle.quotient));
            _mm256_add_pd(_mm256_fnmadd_pd(quotient, self.q, high), low)
        }
    }

    #[inline(always)]
    fn twiddles(self, roots: __m256d) -> Twiddle {
        let root = self.doubles(roots);
        // SAFETY: a `Doubles` exists only in functions with these instructions.
        unsafe { Twiddle { root, quotient: _mm256_mul_pd(root, self.q_inverse) } }
    }

    /// Two twiddles in the order 0 0 1 1.
    #[inline(always)]
    fn twiddles_of_2(self, roots: Roots<'_>, node: usize) -> Twiddle {
        let (&[first, second], _) = roots.run::<2>(node);
        self.twiddles(self.load(&[first, first, second, second]))
    }

    /// Four twiddles in order.
    #[inline(always)]
    fn twiddles_of_4(self, roots: Roots<'_>, node: usize) -> Twiddle {
        let (run, _) = roots.run::<4>(node);
        self.twiddles(self.load(run))
    }
}

const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

impl Lanes<4> for Doubles {
    type Vector = __m256d;
    type Twiddle = Twiddle;
    const RADIX_8: bool = false;

    #[inline(always)]
    fn load(self, chunk: &[u64; 4]) -> __m256d {
        // SAFETY: the chunk has 32 bytes, and a `Doubles` exists only in functions with these instructions.
        unsafe { _mm256_loadu_pd(chunk.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(self, chunk: &mut [u64; 4], values: __m256d) {
        // SAFETY: the chunk has 32 bytes, and a `Doubles` exists only in functions with these instructions.
        unsafe { _mm256_storeu_pd(chunk.as_mut_ptr().cast(), values) }
    }

    #[inline(always)]
    fn twiddle(self, root: u64, _shoup: u64) -> Twiddle {
        self.twiddles(self.load(&[root; 4]))
    }

    #[inline(always)]
    fn forward<const REDUCE: bool>(self, x: __m256d, y: __m256d, twiddle: Twiddle) -> [__m256d; 2] {
        let x = if REDUCE { self.reduce(x) } else { x };
        let t = self.product(y, twiddle);
        // SAFETY: a `Doubles` exists only in functions with these instructions.
        unsafe { [_mm256_add_pd(x, t), _mm256_sub_pd(x, t)] }
    }

    #[inline(always)]
    fn forward_tail<const P: usize>(
        self,
        mut pairs: [[__m256d; 2]; P],
        roots: Roots<'_>,
        node: usize,
    ) -> [[__m256d; 2]; P] {
        for (pair, node) in pairs.iter_mut().zip(node..) {
            // a0 a1 b0 b1 and a2 a3 b2 b3
            let [x, y] = halves(self, *pair);
            let [x, y] = self.forward::<true>(x, y, self.twiddles_of_2(roots, 2 * node));
            // a0 a2 b0 b2 and a1 a3 b1 b3
            let [x, y] = alternate(self, [x, y]);
            let [x, y] = self.forward::<false>(x, y, self.twiddles_of_4(roots, 4 * node));
            let words = [self.canonical_words(x), self.canonical_words(y)];
            *pair = halves(self, alternate(self, words));
        }
        pairs
    }

    #[inline(always)]
    fn inverse(self, x: __m256d, y: __m256d, twiddle: Twiddle) -> [__m256d; 2] {
        // SAFETY: a `Doubles` exists only in functions with these instructions.
        let (sum, difference) = unsafe { (_mm256_add_pd(x, y), _mm256_sub_pd(x, y)) };
        [self.reduce(sum), self.product(difference, twiddle)]
    }

    #[inline(always)]
    fn inverse_scaled(self, x: __m256d, y: __m256d, n_inverse: Twiddle, root: Twiddle) -> [__m256d; 2] {
        // SAFETY: a `Doubles` exists only in functions with these instructions.
        let (sum, difference) = unsafe { (_mm256_add_pd(x, y), _mm256_sub_pd(x, y)) };
        [self.canonical_words(self.product(sum, n_inverse)), self.canonical_words(self.product(difference, root))]
    }

    #[inline(always)]
    fn inverse_tail<const P: usize>(
        self,
        mut pairs: [[__m256d; 2]; P],
        roots: Roots<'_>,
        node: usize,
    ) -> [[__m256d; 2]; P] {
        for (pair, node) in pairs.iter_mut().zip(node..) {
            // a0 a2 b0 b2 and a1 a3 b1 b3
            let [x, y] = alternate(self, halves(self, *pair));
            let [x, y] = [self.doubles(x), self.doubles(y)];
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
fn halves(_: Doubles, [x, y]: [__m256d; 2]) -> [__m256d; 2] {
    // SAFETY: a `Doubles` exists only in functions with these instructions.
    unsafe { [_mm256_permute2f128_pd::<0x20>(x, y), _mm256_permute2f128_pd::<0x31>(x, y)] }
}

/// The even lanes of both registers in turn and the odd lanes.
#[inline(always)]
fn alternate(_: Doubles, [x, y]: [__m256d; 2]) -> [__m256d; 2] {
    // SAFETY: a `Doubles` exists only in functions with these instructions.
    unsafe { [_mm256_unpacklo_pd(x, y), _mm256_unpackhi_pd(x, y)] }
}
