//! The transforms on eight words a register.

use std::arch::x86_64::*;

use super::passes::{self, Lanes};
use super::{Roots, Scale};
use crate::modulus::Modulus;

/// The least length of a transform: a level above the nodes of four registers.
pub(super) const LEAST_LENGTH: usize = 64;

/// The forward transform.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
pub(super) fn forward(values: &mut [u64], modulus: Modulus, roots: Roots<'_>) {
    let q = modulus.value();
    match u64::BITS - q.leading_zeros() {
        ..=49 => passes::forward(Words52::<49>::new(q), values, roots),
        50 => passes::forward(Words52::<50>::new(q), values, roots),
        51 => passes::forward(Words52::<51>::new(q), values, roots),
        _ => passes::forward(Words64::new(q), values, roots),
    }
}

/// The inverse transform.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
pub(super) fn inverse(values: &mut [u64], modulus: Modulus, roots: Roots<'_>, scale: Scale) {
    let q = modulus.value();
    match u64::BITS - q.leading_zeros() {
        ..=50 => passes::inverse(Words52::<50>::new(q), values, roots, scale),
        51 => passes::inverse(Words52::<51>::new(q), values, roots, scale),
        _ => passes::inverse(Words64::new(q), values, roots, scale),
    }
}

/// Eight words of 52 bits in 64, q < 2^BITS <= 2^51: forward values below 8q where that is at most 2^52, else 4q,
/// inverse ones below 2q.
#[derive(Clone, Copy)]
struct Words52<const BITS: u32> {
    q: __m512i,
    double_q: __m512i,
    quadruple_q: __m512i,
    minus_q: __m512i,
    mask: __m512i,
}

impl<const BITS: u32> Words52<BITS> {
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    fn new(q: u64) -> Self {
        Words52 {
            q: splat(q),
            double_q: splat(2 * q),
            quadruple_q: splat(4 * q),
            minus_q: splat((1 << 52) - q),
            mask: splat((1 << 52) - 1),
        }
    }

    /// `[0, 2·by)` to `[0, by)`.
    #[inline(always)]
    fn reduce(self, value: __m512i, by: __m512i) -> __m512i {
        // SAFETY: a `Words52` exists only in functions with these instructions.
        unsafe { _mm512_min_epu64(value, _mm512_sub_epi64(value, by)) }
    }

    /// A value below 2^52 times a twiddle, to `[0, 2q)`.
    ///
    /// The two low halves are added with 2^52 - q in place of -q, so that only multiples of 2^52 have to go.
    #[inline(always)]
    fn product(self, value: __m512i, twiddle: Twiddle52) -> __m512i {
        // SAFETY: a `Words52` exists only in functions with these instructions.
        unsafe {
            let zero = _mm512_setzero_si512();
            let quotient = _mm512_madd52hi_epu64(zero, value, twiddle.shoup);
            let low = _mm512_madd52lo_epu64(zero, value, twiddle.root);
            _mm512_and_si512(_mm512_madd52lo_epu64(low, quotient, self.minus_q), self.mask)
        }
    }

    /// `x + y` and `x - y + 2q` from values below 2q, both below 2^52.
    #[inline(always)]
    fn sum_and_difference(self, x: __m512i, y: __m512i) -> [__m512i; 2] {
        // SAFETY: a `Words52` exists only in functions with these instructions.
        let (sum, difference) =
            unsafe { (_mm512_add_epi64(x, y), _mm512_sub_epi64(_mm512_add_epi64(x, self.double_q), y)) };
        match BITS {
            ..=50 => [sum, difference],
            _ => [self.reduce(sum, self.double_q), self.reduce(difference, self.double_q)],
        }
    }
}

/// A twiddle for each of eight lanes, with `floor(root · 2^52 / q)`.
#[derive(Clone, Copy)]
struct Twiddle52 {
    root: __m512i,
    shoup: __m512i,
}

impl<const BITS: u32> Lanes<8> for Words52<BITS> {
    type Vector = __m512i;
    type Twiddle = Twiddle52;
    const RADIX_8: bool = true;

    #[inline(always)]
    fn load(self, chunk: &[u64; 8]) -> __m512i {
        load(self, chunk)
    }

    #[inline(always)]
    fn store(self, chunk: &mut [u64; 8], values: __m512i) {
        store(self, chunk, values);
    }

    #[inline(always)]
    fn twiddle(self, root: u64, shoup: u64) -> Twiddle52 {
        // SAFETY: a `Words52` exists only in functions with these instructions.
        unsafe { Twiddle52 { root: splat(root), shoup: splat(shoup >> 12) } }
    }

    #[inline(always)]
    fn forward<const REDUCE: bool>(self, x: __m512i, y: __m512i, twiddle: Twiddle52) -> [__m512i; 2] {
        let (x, y) = match BITS {
            ..=49 if REDUCE => (self.reduce(x, self.quadruple_q), y),
            ..=49 => (x, y),
            50 => (self.reduce(x, self.double_q), y),
            _ => (self.reduce(x, self.double_q), self.reduce(y, self.double_q)),
        };
        let t = self.product(y, twiddle);
        // SAFETY: a `Words52` exists only in functions with these instructions.
        unsafe { [_mm512_add_epi64(x, t), _mm512_sub_epi64(_mm512_add_epi64(x, self.double_q), t)] }
    }

    #[inline(always)]
    fn forward_tail<const P: usize>(
        self,
        pairs: [[__m512i; 2]; P],
        roots: Roots<'_>,
        node: usize,
    ) -> [[__m512i; 2]; P] {
        forward_tail(self, pairs, roots, node)
    }

    #[inline(always)]
    fn inverse(self, x: __m512i, y: __m512i, twiddle: Twiddle52) -> [__m512i; 2] {
        let [sum, difference] = self.sum_and_difference(x, y);
        let sum = if BITS <= 50 { self.reduce(sum, self.double_q) } else { sum };
        [sum, self.product(difference, twiddle)]
    }

    #[inline(always)]
    fn inverse_scaled(self, x: __m512i, y: __m512i, n_inverse: Twiddle52, root: Twiddle52) -> [__m512i; 2] {
        let [sum, difference] = self.sum_and_difference(x, y);
        [self.reduce(self.product(sum, n_inverse), self.q), self.reduce(self.product(difference, root), self.q)]
    }

    #[inline(always)]
    fn inverse_tail<const P: usize>(
        self,
        pairs: [[__m512i; 2]; P],
        roots: Roots<'_>,
        node: usize,
    ) -> [[__m512i; 2]; P] {
        inverse_tail(self, pairs, roots, node)
    }
}

impl<const BITS: u32> Eight for Words52<BITS> {
    #[inline(always)]
    fn twiddles(self, root: __m512i, shoup: __m512i) -> Twiddle52 {
        // SAFETY: a `Words52` exists only in functions with these instructions.
        unsafe { Twiddle52 { root, shoup: _mm512_srli_epi64::<12>(shoup) } }
    }

    #[inline(always)]
    fn forward_canonical(self, value: __m512i) -> __m512i {
        let value = if BITS <= 49 { self.reduce(value, self.quadruple_q) } else { value };
        self.reduce(self.reduce(value, self.double_q), self.q)
    }
}

/// Eight words of 64 bits, q < 2^60: forward values below 16q, inverse ones below 4q.
#[derive(Clone, Copy)]
struct Words64 {
    q: __m512i,
    double_q: __m512i,
    quadruple_q: __m512i,
    octuple_q: __m512i,
}

/// A twiddle for each of eight lanes, with `floor(root · 2^64 / q)` and its upper half.
#[derive(Clone, Copy)]
struct Twiddle64 {
    root: __m512i,
    shoup: __m512i,
    shoup_high: __m512i,
}

impl Words64 {
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512ifma")]
    fn new(q: u64) -> Self {
        Words64 { q: splat(q), double_q: splat(2 * q), quadruple_q: splat(4 * q), octuple_q: splat(8 * q) }
    }

    /// `[0, 2·by)` to `[0, by)`.
    #[inline(always)]
    fn reduce(self, value: __m512i, by: __m512i) -> __m512i {
        // SAFETY: a `Words64` exists only in functions with these instructions.
        unsafe { _mm512_min_epu64(value, _mm512_sub_epi64(value, by)) }
    }

    /// A value of any size times a twiddle, to `[0, 4q)`.
    ///
    /// With 32-bit halves, `value·shoup / 2^64 = hh + hl/2^32 + lh/2^32 + ll/2^64`. The quotient leaves out `ll` and
    /// the fractions of `hl/2^32` and `lh/2^32`, which are less than 3 together; so the remainder is less than 3q
    /// plus the less than q that it is with the exact `value·shoup / 2^64`.
    #[inline(always)]
    fn product(self, value: __m512i, twiddle: Twiddle64) -> __m512i {
        // SAFETY: a `Words64` exists only in functions with these instructions.
        unsafe {
            let high = _mm512_srli_epi64::<32>(value);
            let high_high = _mm512_mul_epu32(high, twiddle.shoup_high);
            let high_low = _mm512_srli_epi64::<32>(_mm512_mul_epu32(high, twiddle.shoup));
            let low_high = _mm512_srli_epi64::<32>(_mm512_mul_epu32(value, twiddle.shoup_high));
            let quotient = _mm512_add_epi64(high_high, _mm512_add_epi64(high_low, low_high));
            _mm512_sub_epi64(_mm512_mullo_epi64(value, twiddle.root), _mm512_mullo_epi64(quotient, self.q))
        }
    }

    /// `x + y` and `x - y + 4q`, from values below 4q.
    #[inline(always)]
    fn sum_and_difference(self, x: __m512i, y: __m512i) -> [__m512i; 2] {
        // SAFETY: a `Words64` exists only in functions with these instructions.
        unsafe { [_mm512_add_epi64(x, y), _mm512_sub_epi64(_mm512_add_epi64(x, self.quadruple_q), y)] }
    }

    /// `[0, 4q)` to `[0, q)`.
    #[inline(always)]
    fn canonical(self, value: __m512i) -> __m512i {
        self.reduce(self.reduce(value, self.double_q), self.q)
    }
}

impl Lanes<8> for Words64 {
    type Vector = __m512i;
    type Twiddle = Twiddle64;
    const RADIX_8: bool = true;

    #[inline(always)]
    fn load(self, chunk: &[u64; 8]) -> __m512i {
        load(self, chunk)
    }

    #[inline(always)]
    fn store(self, chunk: &mut [u64; 8], values: __m512i) {
        store(self, chunk, values);
    }

    #[inline(always)]
    fn twiddle(self, root: u64, shoup: u64) -> Twiddle64 {
        // SAFETY: a `Words64` exists only in functions with these instructions.
        unsafe { Twiddle64 { root: splat(root), shoup: splat(shoup), shoup_high: splat(shoup >> 32) } }
    }

    #[inline(always)]
    fn forward<const REDUCE: bool>(self, x: __m512i, y: __m512i, twiddle: Twiddle64) -> [__m512i; 2] {
        let x = if REDUCE { self.reduce(x, self.octuple_q) } else { x };
        let t = self.product(y, twiddle);
        // SAFETY: a `Words64` exists only in functions with these instructions.
        unsafe { [_mm512_add_epi64(x, t), _mm512_sub_epi64(_mm512_add_epi64(x, self.quadruple_q), t)] }
    }

    #[inline(always)]
    fn forward_tail<const P: usize>(
        self,
        pairs: [[__m512i; 2]; P],
        roots: Roots<'_>,
        node: usize,
    ) -> [[__m512i; 2]; P] {
        forward_tail(self, pairs, roots, node)
    }

    #[inline(always)]
    fn inverse(self, x: __m512i, y: __m512i, twiddle: Twiddle64) -> [__m512i; 2] {
        let [sum, difference] = self.sum_and_difference(x, y);
        [self.reduce(sum, self.quadruple_q), self.product(difference, twiddle)]
    }

    #[inline(always)]
    fn inverse_scaled(self, x: __m512i, y: __m512i, n_inverse: Twiddle64, root: Twiddle64) -> [__m512i; 2] {
        let [sum, difference] = self.sum_and_difference(x, y);
        [self.canonical(self.product(sum, n_inverse)), self.canonical(self.product(difference, root))]
    }

    #[inline(always)]
    fn inverse_tail<const P: usize>(
        self,
        pairs: [[__m512i; 2]; P],
        roots: Roots<'_>,
        node: usize,
    ) -> [[__m512i; 2]; P] {
        inverse_tail(self, pairs, roots, node)
    }
}

impl Eight for Words64 {
    #[inline(always)]
    fn twiddles(self, root: __m512i, shoup: __m512i) -> Twiddle64 {
        // SAFETY: a `Words64` exists only in functions with these instructions.
        unsafe { Twiddle64 { root, shoup, shoup_high: _mm512_srli_epi64::<32>(shoup) } }
    }

    #[inline(always)]
    fn forward_canonical(self, value: __m512i) -> __m512i {
        self.canonical(self.reduce(self.reduce(value, self.octuple_q), self.quadruple_q))
    }
}

/// Arithmetic on eight lanes; a value of such a type exists only in functions with the instructions of this module.
trait Eight: Lanes<8, Vector = __m512i> {
    /// Twiddles from eight roots and their 64-bit Shoup constants.
    fn twiddles(self, root: __m512i, shoup: __m512i) -> Self::Twiddle;
    /// Forward values to `[0, q)`.
    fn forward_canonical(self, value: __m512i) -> __m512i;
}

#[inline]
#[target_feature(enable = "avx512f")]
fn splat(word: u64) -> __m512i {
    _mm512_set1_epi64(word.cast_signed())
}

#[inline(always)]
fn load<A: Eight>(_lanes: A, chunk: &[u64; 8]) -> __m512i {
    // SAFETY: the chunk has 64 bytes, and an `Eight` exists only in functions with these instructions.
    unsafe { _mm512_loadu_si512(chunk.as_ptr().cast()) }
}

#[inline(always)]
fn store<A: Eight>(_lanes: A, chunk: &mut [u64; 8], values: __m512i) {
    // SAFETY: the chunk has 64 bytes, and an `Eight` exists only in functions with these instructions.
    unsafe { _mm512_storeu_si512(chunk.as_mut_ptr().cast(), values) }
}

/// The last three levels on pairs of a and b, the children of `node` and of the nodes that follow it.
///
/// Level by level, so that instructions that wait for each other are apart.
#[inline(always)]
fn forward_tail<const P: usize, A: Eight>(
    lanes: A,
    mut pairs: [[__m512i; 2]; P],
    roots: Roots<'_>,
    node: usize,
) -> [[__m512i; 2]; P] {
    // SAFETY: an `Eight` exists only in functions with these instructions.
    unsafe {
        for (pair, node) in pairs.iter_mut().zip(node..) {
            let [a, b] = *pair;
            // a0..a3 b0..b3 and a4..a7 b4..b7
            let [x, y] = [_mm512_shuffle_i64x2::<0x44>(a, b), _mm512_shuffle_i64x2::<0xEE>(a, b)];
            *pair = lanes.forward::<true>(x, y, twiddles_of_2(lanes, roots, 2 * node));
        }
        for (pair, node) in pairs.iter_mut().zip(node..) {
            let [x, y] = *pair;
            // a0 a1 b0 b1 a4 a5 b4 b5 and a2 a3 b2 b3 a6 a7 b6 b7
            let [x, y] = [_mm512_shuffle_i64x2::<0x88>(x, y), _mm512_shuffle_i64x2::<0xDD>(x, y)];
            *pair = lanes.forward::<false>(x, y, twiddles_of_4(lanes, roots, 4 * node));
        }
        for (pair, node) in pairs.iter_mut().zip(node..) {
            let [x, y] = *pair;
            // a0 a2 b0 b2 a4 a6 b4 b6 and a1 a3 b1 b3 a5 a7 b5 b7
            let [x, y] = [_mm512_unpacklo_epi64(x, y), _mm512_unpackhi_epi64(x, y)];
            *pair = lanes.forward::<true>(x, y, twiddles_of_8(lanes, roots, 8 * node));
        }
        for pair in &mut pairs {
            let [x, y] = *pair;
            let [x, y] = [lanes.forward_canonical(x), lanes.forward_canonical(y)];
            let [x, y] = [_mm512_unpacklo_epi64(x, y), _mm512_unpackhi_epi64(x, y)];
            *pair = [_mm512_permutex2var_epi64(x, low_quarters(), y), _mm512_permutex2var_epi64(x, high_quarters(), y)];
        }
    }
    pairs
}

/// The first three levels of the inverse: [`forward_tail`] backwards.
#[inline(always)]
fn inverse_tail<const P: usize, A: Eight>(
    lanes: A,
    mut pairs: [[__m512i; 2]; P],
    roots: Roots<'_>,
    node: usize,
) -> [[__m512i; 2]; P] {
    // SAFETY: an `Eight` exists only in functions with these instructions.
    unsafe {
        for (pair, node) in pairs.iter_mut().zip(node..) {
            let [a, b] = *pair;
            let x = _mm512_permutex2var_epi64(a, low_quarters(), b);
            let y = _mm512_permutex2var_epi64(a, high_quarters(), b);
            // a0 a2 b0 b2 a4 a6 b4 b6 and a1 a3 b1 b3 a5 a7 b5 b7
            let [x, y] = [_mm512_unpacklo_epi64(x, y), _mm512_unpackhi_epi64(x, y)];
            *pair = lanes.inverse(x, y, twiddles_of_8(lanes, roots, 8 * node));
        }
        for (pair, node) in pairs.iter_mut().zip(node..) {
            let [x, y] = *pair;
            // a0 a1 b0 b1 a4 a5 b4 b5 and a2 a3 b2 b3 a6 a7 b6 b7
            let [x, y] = [_mm512_unpacklo_epi64(x, y), _mm512_unpackhi_epi64(x, y)];
            *pair = lanes.inverse(x, y, twiddles_of_4(lanes, roots, 4 * node));
        }
        for (pair, node) in pairs.iter_mut().zip(node..) {
            let [x, y] = *pair;
            // a0..a3 b0..b3 and a4..a7 b4..b7
            let low = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
            let high = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
            let [x, y] = [_mm512_permutex2var_epi64(x, low, y), _mm512_permutex2var_epi64(x, high, y)];
            let [x, y] = lanes.inverse(x, y, twiddles_of_2(lanes, roots, 2 * node));
            *pair = [_mm512_shuffle_i64x2::<0x44>(x, y), _mm512_shuffle_i64x2::<0xEE>(x, y)];
        }
    }
    pairs
}

/// Quarters 0 and 2 of the first register, each followed by that of the second.
#[inline]
#[target_feature(enable = "avx512f")]
fn low_quarters() -> __m512i {
    _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13)
}

/// Quarters 1 and 3 of the first register, each followed by that of the second.
#[inline]
#[target_feature(enable = "avx512f")]
fn high_quarters() -> __m512i {
    _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15)
}

/// Two twiddles in the order 0 0 0 0 1 1 1 1.
#[inline(always)]
fn twiddles_of_2<A: Eight>(lanes: A, roots: Roots<'_>, node: usize) -> A::Twiddle {
    let (root, shoup) = roots.run::<2>(node);
    // SAFETY: an `Eight` exists only in functions with these instructions; each load reads two words of a run of two.
    unsafe {
        let order = _mm512_setr_epi64(0, 0, 0, 0, 1, 1, 1, 1);
        let root = _mm512_castsi128_si512(_mm_loadu_si128(root.as_ptr().cast()));
        let shoup = _mm512_castsi128_si512(_mm_loadu_si128(shoup.as_ptr().cast()));
        lanes.twiddles(_mm512_permutexvar_epi64(order, root), _mm512_permutexvar_epi64(order, shoup))
    }
}

/// Four twiddles in the order 0 0 2 2 1 1 3 3.
#[inline(always)]
fn twiddles_of_4<A: Eight>(lanes: A, roots: Roots<'_>, node: usize) -> A::Twiddle {
    let (root, shoup) = roots.run::<4>(node);
    // SAFETY: an `Eight` exists only in functions with these instructions; each load reads four words of a run of four.
    unsafe {
        let order = _mm512_setr_epi64(0, 0, 2, 2, 1, 1, 3, 3);
        let root = _mm512_castsi256_si512(_mm256_loadu_si256(root.as_ptr().cast()));
        let shoup = _mm512_castsi256_si512(_mm256_loadu_si256(shoup.as_ptr().cast()));
        lanes.twiddles(_mm512_permutexvar_epi64(order, root), _mm512_permutexvar_epi64(order, shoup))
    }
}

/// Eight twiddles in the order 0 1 4 5 2 3 6 7.
#[inline(always)]
fn twiddles_of_8<A: Eight>(lanes: A, roots: Roots<'_>, node: usize) -> A::Twiddle {
    let (root, shoup) = roots.run::<8>(node);
    let (root, shoup) = (load(lanes, root), load(lanes, shoup));
    // SAFETY: an `Eight` exists only in functions with these instructions.
    unsafe { lanes.twiddles(_mm512_shuffle_i64x2::<0xD8>(root, root), _mm512_shuffle_i64x2::<0xD8>(shoup, shoup)) }
}
