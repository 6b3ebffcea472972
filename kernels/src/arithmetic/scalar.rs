//! One residue at a time, in 64-bit words.

use crate::Modulus;

/// A fixed factor with its Shoup constant `floor(factor * 2^64 / q)`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ScalarFactor {
    factor: u64,
    quotient: u64,
}

/// A prime q with the constants of its reductions.
///
/// Ranges, with n the bits of q, so `2^(n-1) < q < 2^n` and n <= 60:
/// - [`Self::multiply_add`] is Barrett's reduction of `c = xy + z <= (q-1)^2 + (q-1) < q^2 < 2^2n`. The estimate
///   `floor(floor(c / 2^(n-2)) * floor(2^(n+62) / q) / 2^64)` misses `c/q` by less than
///   `2^(n-2)/q + 2^(n+2)/2^64 + 1 <= 1/2 + 1/4 + 1`, so the remainder is in `[0, 1.75 q)`.
/// - [`Self::multiply_lazily`] is Shoup's product: for every word x the remainder is in `[0, q(1 + x/2^64))`,
///   below `2q` (Harvey 2014, section 2).
/// - [`Self::reduce`] splits into words `h 2^64 + l`, and adds Shoup's `h * (2^64 mod q)` and `l * 1`: below `4q < 2^62`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ScalarPrime {
    q: u64,
    shift: u32,
    ratio: u64,
    word: ScalarFactor,
    unit_quotient: u64,
}

impl ScalarPrime {
    pub(crate) fn new(modulus: Modulus) -> Self {
        let q = modulus.value();
        let bits = u64::BITS - q.leading_zeros();
        let word = ((1u128 << 64) % u128::from(q)) as u64;
        ScalarPrime {
            q,
            shift: bits - 2,
            ratio: (modulus.ratio() >> (66 - bits)) as u64,
            word: ScalarFactor { factor: word, quotient: modulus.shoup(word) },
            unit_quotient: modulus.shoup(1),
        }
    }

    /// `factor mod q` with its Shoup constant.
    pub(crate) fn factor(modulus: Modulus, factor: u64) -> ScalarFactor {
        let factor = factor % modulus.value();
        ScalarFactor { factor, quotient: modulus.shoup(factor) }
    }

    #[inline(always)]
    pub(crate) fn add(self, left: u64, right: u64) -> u64 {
        subtract_once(left + right, self.q)
    }

    /// `left - right`: where it is negative it wraps to a large word, and the smaller of the two candidates is right.
    #[inline(always)]
    pub(crate) fn sub(self, left: u64, right: u64) -> u64 {
        let difference = left.wrapping_sub(right);
        difference.min(difference.wrapping_add(self.q))
    }

    #[inline(always)]
    pub(crate) fn multiply(self, left: u64, right: u64) -> u64 {
        self.multiply_add(left, right, 0)
    }

    #[inline(always)]
    pub(crate) fn multiply_add(self, left: u64, right: u64, addend: u64) -> u64 {
        let product = u128::from(left) * u128::from(right) + u128::from(addend);
        let estimate = high_word((product >> self.shift) as u64, self.ratio);
        subtract_once((product as u64).wrapping_sub(estimate.wrapping_mul(self.q)), self.q)
    }

    #[inline(always)]
    pub(crate) fn multiply_factor(self, value: u64, factor: ScalarFactor) -> u64 {
        subtract_once(self.multiply_lazily(value, factor), self.q)
    }

    /// `value * factor` modulo q in `[0, 2q)`, for every word.
    #[inline(always)]
    pub(crate) fn multiply_lazily(self, value: u64, factor: ScalarFactor) -> u64 {
        let estimate = high_word(value, factor.quotient);
        value.wrapping_mul(factor.factor).wrapping_sub(estimate.wrapping_mul(self.q))
    }

    /// The residue of any word.
    #[inline(always)]
    pub(crate) fn reduce_word(self, value: u64) -> u64 {
        subtract_once(self.reduce_word_lazily(value), self.q)
    }

    /// The residue of any pair of words.
    #[inline(always)]
    pub(crate) fn reduce(self, value: u128) -> u64 {
        let high = self.multiply_lazily((value >> 64) as u64, self.word);
        let sum = high + self.reduce_word_lazily(value as u64);
        subtract_once(subtract_once(sum, 2 * self.q), self.q)
    }

    #[inline(always)]
    fn reduce_word_lazily(self, value: u64) -> u64 {
        value - high_word(value, self.unit_quotient) * self.q
    }
}

/// `value - multiple` unless that is negative, for values below `2 * multiple`.
#[inline(always)]
fn subtract_once(value: u64, multiple: u64) -> u64 {
    value.min(value.wrapping_sub(multiple))
}

#[inline(always)]
fn high_word(left: u64, right: u64) -> u64 {
    ((u128::from(left) * u128::from(right)) >> 64) as u64
}
