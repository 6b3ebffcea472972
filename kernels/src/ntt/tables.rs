//! Tables of twiddles and primes to go with them.

use super::Roots;
use crate::modulus::Modulus;

/// The twiddles of the transforms of one ring dimension modulo one prime, in the layout of [`Roots`].
///
/// ```
/// use paf_kernels::{Kernels, Modulus, NttTables, ntt_prime};
///
/// let modulus = Modulus::new(ntt_prime(50, 1024, 0));
/// let tables = NttTables::new(1024, modulus);
/// let mut values = vec![0; 1024];
/// values[0] = 5;
/// Kernels::best().ntt_forward(&mut values, modulus, tables.forward());
/// assert_eq!(values, [5; 1024]);
/// ```
#[derive(Debug, Clone)]
pub struct NttTables {
    psi: u64,
    roots: [Vec<u64>; 2],
    shoup: [Vec<u64>; 2],
    n_inverse: u64,
    n_inverse_shoup: u64,
}

impl NttTables {
    /// The tables for a primitive 2N-th root of unity that depends on N and the prime only.
    ///
    /// # Panics
    /// If the ring dimension N is not a power of two, or the modulus not a prime that is 1 modulo 2N.
    pub fn new(ring_dimension: usize, modulus: Modulus) -> Self {
        Self::with_root(ring_dimension, modulus, primitive_root(ring_dimension, modulus.value()))
    }

    /// The tables for the primitive 2N-th root of unity `psi`.
    ///
    /// # Panics
    /// If the ring dimension N is not a power of two, or `psi` not a primitive 2N-th root of unity.
    pub fn with_root(ring_dimension: usize, modulus: Modulus, psi: u64) -> Self {
        let q = modulus.value();
        assert!(ring_dimension.is_power_of_two(), "a ring dimension of {ring_dimension} is not a power of two");
        assert!(power(psi, ring_dimension as u64, q) == q - 1, "{psi} is not a primitive 2N-th root of unity");
        let roots = [psi, inverse(psi, q)].map(|root| powers(root, ring_dimension, q));
        let shoup = [0, 1].map(|table: usize| roots[table].iter().map(|&root| modulus.shoup(root)).collect());
        let n_inverse = inverse(ring_dimension as u64 % q, q);
        NttTables { psi, roots, shoup, n_inverse, n_inverse_shoup: modulus.shoup(n_inverse) }
    }

    /// The primitive 2N-th root of unity ψ.
    pub fn psi(&self) -> u64 {
        self.psi
    }

    /// Powers of ψ.
    pub fn forward(&self) -> Roots<'_> {
        Roots { roots: &self.roots[0], shoup: &self.shoup[0] }
    }

    /// Powers of ψ^-1.
    pub fn inverse(&self) -> Roots<'_> {
        Roots { roots: &self.roots[1], shoup: &self.shoup[1] }
    }

    /// 1/N modulo q.
    pub fn n_inverse(&self) -> u64 {
        self.n_inverse
    }

    /// The Shoup constant of 1/N.
    pub fn n_inverse_shoup(&self) -> u64 {
        self.n_inverse_shoup
    }
}

/// The largest prime q = 1 mod 2N of exactly `bits` bits after `skip` larger ones.
///
/// # Panics
/// If there are not that many.
pub fn ntt_prime(bits: u32, ring_dimension: usize, skip: usize) -> u64 {
    let step = 2 * ring_dimension as u64;
    let least = 1 << (bits - 1);
    let largest = ((2 * least - 2) / step) * step + 1;
    let candidates = (0..).map_while(|i| largest.checked_sub(i * step)).take_while(|&q| q > least);
    let prime = candidates.filter(|&q| is_prime(q)).nth(skip);
    prime.unwrap_or_else(|| panic!("fewer than {} primes of {bits} bits are 1 modulo {step}", skip + 1))
}

/// Miller and Rabin's test; the first twelve primes as bases decide every number below 3.3·10^24 (Sorenson and
/// Webster, "Strong pseudoprimes to twelve prime bases", 2015).
fn is_prime(number: u64) -> bool {
    const BASES: [u64; 12] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37];
    if number < 2 || BASES.iter().any(|&base| number != base && number.is_multiple_of(base)) {
        return false;
    }
    BASES.iter().all(|&base| number == base || is_strong_probable_prime(number, base))
}

fn is_strong_probable_prime(number: u64, base: u64) -> bool {
    let twos = (number - 1).trailing_zeros();
    let start = power(base, (number - 1) >> twos, number);
    let mut squares = std::iter::successors(Some(start), |&x| Some(multiply(x, x, number))).take(twos as usize);
    start == 1 || squares.any(|x| x == number - 1)
}

/// The first `x^((q-1)/2N)`, x = 2, 3, ..., whose N-th power is -1.
fn primitive_root(ring_dimension: usize, q: u64) -> u64 {
    let order = 2 * ring_dimension as u64;
    assert!((q - 1).is_multiple_of(order) && is_prime(q), "{q} is not a prime that is 1 modulo {order}");
    let candidates = (2..q).map(|x| power(x, (q - 1) / order, q));
    let root = candidates.into_iter().find(|&root| power(root, order / 2, q) == q - 1);
    root.expect("half of the residues give a primitive root")
}

/// The first `count` powers of a root in bit-reversed order.
fn powers(root: u64, count: usize, q: u64) -> Vec<u64> {
    let mut table = vec![1; count];
    let mut power = 1;
    for i in 1..count {
        power = multiply(power, root, q);
        table[i.reverse_bits() >> (usize::BITS - count.trailing_zeros())] = power;
    }
    table
}

fn multiply(x: u64, y: u64, q: u64) -> u64 {
    (u128::from(x) * u128::from(y) % u128::from(q)) as u64
}

fn power(mut base: u64, mut exponent: u64, q: u64) -> u64 {
    let mut result = 1;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = multiply(result, base, q);
        }
        base = multiply(base, base, q);
        exponent >>= 1;
    }
    result
}

fn inverse(x: u64, q: u64) -> u64 {
    power(x, q - 2, q)
}
