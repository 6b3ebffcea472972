//! Approximate conversion between RNS bases: limbs modulo primes `q_i` with product Q become limbs modulo primes `p_j`.
//!
//! For each coefficient, `out_j = sum over i of [x_i * (Q/q_i)^-1 mod q_i] * [Q/q_i mod p_j]`, modulo `p_j`: the residue
//! of `x + u Q` for some `0 <= u <` the number of sources (Bajard, Eynard, Hasan and Zucca 2016, "A full RNS variant of
//! FV like somewhat homomorphic encryption schemes", section 3; without the correction for u of Halevi, Polyakov and Shoup 2018).
//! Every bracket is a canonical residue, so the result is determined to the bit; it is what OpenFHE's
//! `DCRTPoly::ApproxSwitchCRTBasis` gives.
//!
//! Coefficients are taken in blocks whose scaled sources (the first brackets) fit the first-level cache. Each target
//! sums its products over all sources without reductions, and reduces the sum once.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use crate::{Kernels, Modulus, Variant};

/// Words of scaled sources in a block: 24 KiB, three quarters of a first-level cache.
const BLOCK_WORDS: usize = 3072;

/// Coefficients in a block are a multiple of this, but for the last block.
const BLOCK_STEP: usize = 32;

/// What a conversion needs besides the limbs.
struct Conversion<'a> {
    sources: &'a [Modulus],
    targets: &'a [Modulus],
    hat_inverse: &'a [u64],
    hat_mod: &'a [&'a [u64]],
}

impl Conversion<'_> {
    /// Coefficients in a block.
    fn block_length(&self) -> usize {
        let fitting = BLOCK_WORDS / self.sources.len().max(1);
        (fitting / BLOCK_STEP * BLOCK_STEP).max(BLOCK_STEP)
    }
}

impl Kernels {
    /// Converts limbs `inputs[i]` modulo `sources[i]` in coefficient form to `outputs[j]` modulo `targets[j]`, with
    /// `hat_inverse[i] = (Q/q_i)^-1 mod q_i` and `hat_mod[i][j] = Q/q_i mod p_j` (OpenFHE's `QHatInvModq` and
    /// `QHatModp`; both may be longer than needed). Coefficients are independent: threads may share a conversion by
    /// passing slices of the same range of every limb.
    ///
    /// # Panics
    /// If there is no source, limbs differ in length, or a table is shorter than its limbs.
    pub fn base_convert(
        self,
        outputs: &mut [&mut [u64]],
        inputs: &[&[u64]],
        sources: &[Modulus],
        targets: &[Modulus],
        hat_inverse: &[u64],
        hat_mod: &[&[u64]],
    ) {
        let length = inputs.first().map_or(0, |input| input.len());
        assert!(!inputs.is_empty() && inputs.iter().all(|input| input.len() == length), "inputs differ in length");
        assert!(outputs.iter().all(|output| output.len() == length), "outputs differ in length");
        assert_eq!((inputs.len(), outputs.len()), (sources.len(), targets.len()), "one modulus a limb");
        assert!(hat_inverse.len() >= sources.len() && hat_mod.len() >= sources.len(), "a table has too few rows");
        assert!(
            hat_mod[..sources.len()].iter().all(|row| row.len() >= targets.len()),
            "a row of the table is too short"
        );
        let conversion = Conversion { sources, targets, hat_inverse, hat_mod };
        match self.variant() {
            Variant::Portable => portable::convert(outputs, inputs, &conversion),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `Kernels` exists only on a processor that has the instructions of its variant.
            Variant::Avx2 => unsafe { avx2::convert(outputs, inputs, &conversion) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Variant::Avx512 => unsafe { avx512::convert(outputs, inputs, &conversion) },
            #[cfg(not(target_arch = "x86_64"))]
            Variant::Avx2 | Variant::Avx512 => unreachable!("a variant of another processor"),
        }
    }
}
