//! The transforms on plain 64-bit words.

use super::passes::{self, Lanes};
use super::{Roots, Scale};
use crate::modulus::Modulus;

/// Words of 64 bits, q < 2^60: forward values below 8q < 2^63, inverse ones below 2q.
#[derive(Clone, Copy)]
struct Words {
    q: u64,
}

pub(super) fn forward(values: &mut [u64], modulus: Modulus, roots: Roots<'_>) {
    passes::forward(Words { q: modulus.value() }, values, roots);
}

pub(super) fn inverse(values: &mut [u64], modulus: Modulus, roots: Roots<'_>, scale: Scale) {
    passes::inverse(Words { q: modulus.value() }, values, roots, scale);
}

impl Words {
    /// `[0, 2·by)` to `[0, by)`.
    #[inline(always)]
    fn reduce(self, value: u64, by: u64) -> u64 {
        value.min(value.wrapping_sub(by))
    }

    /// A value of any size times a twiddle, to `[0, 2q)`.
    #[inline(always)]
    fn product(self, value: u64, (root, shoup): (u64, u64)) -> u64 {
        let quotient = ((u128::from(value) * u128::from(shoup)) >> 64) as u64;
        value.wrapping_mul(root).wrapping_sub(quotient.wrapping_mul(self.q))
    }

    /// Forward values to `[0, q)`.
    #[inline(always)]
    fn forward_canonical(self, value: u64) -> u64 {
        let value = self.reduce(value, 4 * self.q);
        self.reduce(self.reduce(value, 2 * self.q), self.q)
    }
}

impl Lanes<1> for Words {
    type Vector = u64;
    type Twiddle = (u64, u64);
    const RADIX_8: bool = false;

    #[inline(always)]
    fn load(self, chunk: &[u64; 1]) -> u64 {
        chunk[0]
    }

    #[inline(always)]
    fn store(self, chunk: &mut [u64; 1], values: u64) {
        chunk[0] = values;
    }

    #[inline(always)]
    fn twiddle(self, root: u64, shoup: u64) -> (u64, u64) {
        (root, shoup)
    }

    #[inline(always)]
    fn forward<const REDUCE: bool>(self, x: u64, y: u64, twiddle: (u64, u64)) -> [u64; 2] {
        let x = if REDUCE { self.reduce(x, 4 * self.q) } else { x };
        let t = self.product(y, twiddle);
        [x + t, x + 2 * self.q - t]
    }

    #[inline(always)]
    fn forward_tail<const P: usize>(self, pairs: [[u64; 2]; P], _roots: Roots<'_>, _node: usize) -> [[u64; 2]; P] {
        pairs.map(|pair| pair.map(|value| self.forward_canonical(value)))
    }

    #[inline(always)]
    fn inverse(self, x: u64, y: u64, twiddle: (u64, u64)) -> [u64; 2] {
        [self.reduce(x + y, 2 * self.q), self.product(x + 2 * self.q - y, twiddle)]
    }

    #[inline(always)]
    fn inverse_scaled(self, x: u64, y: u64, n_inverse: (u64, u64), root: (u64, u64)) -> [u64; 2] {
        let sum = self.product(x + y, n_inverse);
        let difference = self.product(x + 2 * self.q - y, root);
        [self.reduce(sum, self.q), self.reduce(difference, self.q)]
    }

    #[inline(always)]
    fn inverse_tail<const P: usize>(self, pairs: [[u64; 2]; P], _roots: Roots<'_>, _node: usize) -> [[u64; 2]; P] {
        pairs
    }
}
