//! Which instructions the kernels use.

use std::fmt;
use std::str::FromStr;

/// A set of instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Variant {
    /// Plain 64-bit words, on every processor.
    Portable,
    /// AVX2: four words a register.
    Avx2,
    /// AVX-512 F, DQ, VL and IFMA: eight words a register, 52-bit products for primes below 2^51.
    Avx512,
}

impl Variant {
    /// All variants, slowest first.
    pub const ALL: [Variant; 3] = [Variant::Portable, Variant::Avx2, Variant::Avx512];

    /// Whether this processor has the instructions.
    pub fn is_available(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        match self {
            Variant::Portable => true,
            Variant::Avx2 => std::is_x86_feature_detected!("avx2"),
            Variant::Avx512 => {
                std::is_x86_feature_detected!("avx512f")
                    && std::is_x86_feature_detected!("avx512dq")
                    && std::is_x86_feature_detected!("avx512vl")
                    && std::is_x86_feature_detected!("avx512ifma")
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        matches!(self, Variant::Portable)
    }

    /// The variants that this processor has, slowest first.
    pub fn available() -> impl Iterator<Item = Variant> {
        Self::ALL.into_iter().filter(|variant| variant.is_available())
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Variant::Portable => "portable",
            Variant::Avx2 => "avx2",
            Variant::Avx512 => "avx512",
        })
    }
}

impl FromStr for Variant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|variant| variant.to_string() == text);
        known.ok_or_else(|| format!("`{text}` is not a variant; known are portable, avx2 and avx512"))
    }
}

/// The kernels of one variant, which this processor is known to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernels {
    variant: Variant,
}

impl Kernels {
    /// The kernels of a variant, or `None` where the processor lacks its instructions.
    pub fn new(variant: Variant) -> Option<Self> {
        variant.is_available().then_some(Kernels { variant })
    }

    /// The fastest kernels of this processor.
    pub fn best() -> Self {
        let fastest = Variant::available().last();
        Kernels { variant: fastest.unwrap_or(Variant::Portable) }
    }

    /// The variant in use.
    #[inline]
    pub fn variant(self) -> Variant {
        self.variant
    }
}
