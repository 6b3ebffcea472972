//! A prime and what its reductions need.

/// A prime modulus of at most 60 bits with its Barrett constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Modulus {
    value: u64,
    ratio: u128,
}

impl Modulus {
    /// Bits of the largest modulus.
    pub const MOST_BITS: u32 = 60;

    /// The modulus `value`.
    ///
    /// # Panics
    /// If the value is even, below 3, or longer than 60 bits.
    pub fn new(value: u64) -> Self {
        assert!(value % 2 == 1 && value > 2 && value >> Self::MOST_BITS == 0, "{value} is not an odd prime below 2^60");
        Modulus { value, ratio: u128::MAX / u128::from(value) }
    }

    /// The prime.
    #[inline]
    pub fn value(self) -> u64 {
        self.value
    }

    /// `floor(2^128 / q)`: equal to `floor((2^128 - 1) / q)`, as an odd q above 1 does not divide a power of two.
    #[inline]
    pub fn ratio(self) -> u128 {
        self.ratio
    }

    /// `floor(factor * 2^64 / q)` for a factor below q: Shoup's constant (Harvey, "Faster arithmetic for
    /// number-theoretic transforms", 2014, section 2), equal to OpenFHE's `PrepModMulConst`.
    #[inline]
    pub fn shoup(self, factor: u64) -> u64 {
        ((u128::from(factor) << 64) / u128::from(self.value)) as u64
    }
}
