//! The negacyclic number-theoretic transform over one prime.
//!
//! # What is computed
//!
//! For a prime q = 1 mod 2N and a primitive 2N-th root of unity ψ, the forward transform takes the coefficients of
//! a polynomial a of `Z_q[X]/(X^N + 1)`, N = 2^k, to its values at the odd powers of ψ, in bit-reversed order:
//!
//! ```text
//! forward(a)[i] = a(ψ^(2·rev(i) + 1)) mod q        rev = the k bits of i in reverse
//! ```
//!
//! and the inverse transform takes them back. Both work in place. The tables hold the powers of ψ (forward) or of
//! ψ^-1 (inverse) in bit-reversed order, `roots[rev(i)] = ψ^i`, each beside Shoup's constant
//! `floor(root · 2^64 / q)`: the layout of OpenFHE's `ChineseRemainderTransformFTTNat`, and the results are those of
//! its `NumberTheoreticTransformNat`, residues in `[0, q)`.
//!
//! # How
//!
//! Splitting `X^(2t) - ψ^(2e)` into `(X^t - ψ^e)(X^t + ψ^e)`, k times, is a tree. Node p of it (the root is node 1, the
//! children of p are 2p and 2p + 1) has the twiddle `roots[p]` and turns the halves x, y of its stretch of values into
//! `x + w·y` and `x - w·y` (Cooley and Tukey 1965); the inverse goes from the leaves to the root with `x + y` and
//! `(x - y)·w^-1` (Gentleman and Sande 1966). The order of the tables is that of the nodes (Longa and Naehrig,
//! "Speeding up the number theoretic transform for faster ideal lattice-based cryptography", 2016, section 3.1).
//!
//! [`passes`] walks that tree: two or three levels in one pass over the values (radix 4 or 8), so that each value is
//! loaded and stored five to eight times for N = 2^16 and not sixteen times; depth first while a node is larger than
//! the first-level cache, breadth first below; the last two or three levels inside registers, where the lanes of two
//! registers are permuted instead of values being loaded. The inverse is the mirror image, and its last level
//! multiplies by 1/N as well, with `w/N` in place of w.
//!
//! # Ranges
//!
//! Values between the levels are not canonical: they are lazily reduced (Harvey, "Faster arithmetic for
//! number-theoretic transforms", 2014; for the 52-bit products Boemer, Kim, Seifu, de Souza and Gopal, "Intel HEXL",
//! 2021, section 4). With `c = floor(w · 2^s / q)` for words of s bits and any y < 2^s,
//!
//! ```text
//! t = y·w - floor(y·c / 2^s)·q  is  y·w mod q  or that plus q:
//! y·w/q - y·c/2^s = (y/2^s)·(w·2^s/q - c) lies in [0, 1), and flooring adds less than 1; so 0 <= t < 2q.
//! ```
//!
//! t needs only the low s bits of both products. A sum `x + t` and a difference `x + 2q - t` are then
//! less than 2q larger than x. "Reduced by r" below is `min(x, x - r)` on wrapping unsigned words: it takes
//! `[0, 2r)` to `[0, r)` without a branch, if 2r is at most the size of the word. Reductions are done on the x side
//! of every *or* every second forward level; which one is a constant argument of each pass, `REDUCE`. Passes start
//! with a level that reduces, so two levels in a row never do without.
//!
//! | arithmetic | words | q below | t | forward level that reduces | that does not | inverse, between levels |
//! |---|---|---|---|---|---|---|
//! | [`portable`] | 64 | 2^60 | 2q | x by 4q: 8q to 6q | 6q to 8q | 2q |
//! | [`avx2`], doubles | 53 | 2^50 | signed, see [`avx2_doubles`] | | | |
//! | [`avx2`], words | 64 | 2^60 | 4q | x by 8q: 16q to 12q | 12q to 16q | 4q |
//! | [`avx512`], 64-bit | 64 | 2^60 | 4q | x by 8q: 16q to 12q | 12q to 16q | 4q |
//! | [`avx512`], 52-bit | 52 | 2^49 | 2q | x by 4q: 8q to 6q | 6q to 8q | 2q |
//! | | | 2^50 | 2q | x by 2q: 4q to 4q | all reduce | 2q |
//! | | | 2^51 | 2q | x and y by 2q: 4q to 4q | all reduce | 2q |
//!
//! (Bounds are of values at the start and at the end of a level; each module says what holds inside.) The bounds do
//! not depend on the values, there are no branches on values and no memory accesses that depend on them.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx2_doubles;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod passes;
mod portable;
mod tables;

pub use tables::{NttTables, ntt_prime};

use crate::modulus::Modulus;
use crate::variant::{Kernels, Variant};

/// A table of twiddles: powers of a primitive 2N-th root of unity in bit-reversed order, with their Shoup constants.
#[derive(Debug, Clone, Copy)]
pub struct Roots<'a> {
    /// `roots[rev(i)]` is the i-th power; N of them.
    pub roots: &'a [u64],
    /// `floor(root * 2^64 / q)` of each.
    pub shoup: &'a [u64],
}

/// The factor 1/N of the inverse transform and what its last level multiplies by.
#[derive(Debug, Clone, Copy)]
struct Scale {
    n_inverse: (u64, u64),
    root: (u64, u64),
}

impl Scale {
    fn new(modulus: Modulus, roots: Roots<'_>, n_inverse: u64, n_inverse_shoup: u64) -> Self {
        let scaled = u128::from(roots.roots[1]) * u128::from(n_inverse) % u128::from(modulus.value());
        let root = scaled as u64;
        Scale { n_inverse: (n_inverse, n_inverse_shoup), root: (root, modulus.shoup(root)) }
    }
}

impl Kernels {
    /// The least ring dimension of a transform.
    pub const LEAST_RING_DIMENSION: usize = 8;

    /// The values of a polynomial at the odd powers of ψ, in bit-reversed order, from its coefficients, in place.
    ///
    /// `roots` are powers of ψ. Coefficients and values lie in `[0, q)`.
    ///
    /// # Panics
    /// If the length is not a power of two of at least 8, or the tables are not of that length.
    pub fn ntt_forward(self, values: &mut [u64], modulus: Modulus, roots: Roots<'_>) {
        check_lengths(values, roots);
        #[cfg(target_arch = "x86_64")]
        match self.variant() {
            Variant::Avx512 if values.len() >= avx512::LEAST_LENGTH => {
                // SAFETY: a `Kernels` exists only if the processor has its variant's instructions.
                return unsafe { avx512::forward(values, modulus, roots) };
            }
            Variant::Avx2 if values.len() >= avx2::LEAST_LENGTH => {
                // SAFETY: a `Kernels` exists only if the processor has its variant's instructions.
                return unsafe { avx2::forward(values, modulus, roots) };
            }
            _ => {}
        }
        portable::forward(values, modulus, roots);
    }

    /// The coefficients of a polynomial from its values at the odd powers of ψ in bit-reversed order, in place.
    ///
    /// `roots` are powers of ψ^-1, `n_inverse` is 1/N modulo q with its Shoup constant. Coefficients and values lie
    /// in `[0, q)`.
    ///
    /// # Panics
    /// If the length is not a power of two of at least 8, or the tables are not of that length.
    pub fn ntt_inverse(
        self,
        values: &mut [u64],
        modulus: Modulus,
        roots: Roots<'_>,
        n_inverse: u64,
        n_inverse_shoup: u64,
    ) {
        check_lengths(values, roots);
        let scale = Scale::new(modulus, roots, n_inverse, n_inverse_shoup);
        #[cfg(target_arch = "x86_64")]
        match self.variant() {
            Variant::Avx512 if values.len() >= avx512::LEAST_LENGTH => {
                // SAFETY: a `Kernels` exists only if the processor has its variant's instructions.
                return unsafe { avx512::inverse(values, modulus, roots, scale) };
            }
            Variant::Avx2 if values.len() >= avx2::LEAST_LENGTH => {
                // SAFETY: a `Kernels` exists only if the processor has its variant's instructions.
                return unsafe { avx2::inverse(values, modulus, roots, scale) };
            }
            _ => {}
        }
        portable::inverse(values, modulus, roots, scale);
    }
}

fn check_lengths(values: &[u64], roots: Roots<'_>) {
    let length = values.len();
    assert!(
        length.is_power_of_two() && length >= Kernels::LEAST_RING_DIMENSION,
        "a ring dimension of {length} is not a power of two of at least {}",
        Kernels::LEAST_RING_DIMENSION
    );
    assert!(
        roots.roots.len() == length && roots.shoup.len() == length,
        "{} roots and {} Shoup constants for a ring dimension of {length}",
        roots.roots.len(),
        roots.shoup.len()
    );
}
