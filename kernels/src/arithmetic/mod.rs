//! Element-wise arithmetic on the limbs of one prime: every slice holds canonical residues, and so does every result.
//!
//! Ranges and reductions are with the types that do them: `scalar::ScalarPrime` for 64-bit words, and the two
//! `VectorPrime`s of `vector256` for AVX2 and `vector512` for AVX-512.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;
mod products;
#[cfg(target_arch = "x86_64")]
mod products256;
#[cfg(target_arch = "x86_64")]
mod products512;
pub(crate) mod scalar;
#[cfg(target_arch = "x86_64")]
pub(crate) mod vector256;
#[cfg(target_arch = "x86_64")]
pub(crate) mod vector512;

use crate::{Kernels, Modulus, Variant};

/// Calls the function of that name in the module of the variant.
macro_rules! dispatch {
    ($kernels:expr, $function:ident($($argument:expr),*)) => {
        match $kernels.variant() {
            Variant::Portable => portable::$function($($argument),*),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `Kernels` exists only on a processor that has the instructions of its variant.
            Variant::Avx2 => unsafe { avx2::$function($($argument),*) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Variant::Avx512 => unsafe { avx512::$function($($argument),*) },
            #[cfg(not(target_arch = "x86_64"))]
            Variant::Avx2 | Variant::Avx512 => unreachable!("a variant of another processor"),
        }
    };
}

impl Kernels {
    /// `values = values + other`.
    ///
    /// # Panics
    /// If lengths differ.
    pub fn add_assign(self, values: &mut [u64], other: &[u64], q: Modulus) {
        assert_same_length(values, &[other]);
        dispatch!(self, add_assign(values, other, q));
    }

    /// `values = values - other`.
    ///
    /// # Panics
    /// If lengths differ.
    pub fn sub_assign(self, values: &mut [u64], other: &[u64], q: Modulus) {
        assert_same_length(values, &[other]);
        dispatch!(self, sub_assign(values, other, q));
    }

    /// `values = -values`; zero stays zero.
    pub fn negate(self, values: &mut [u64], q: Modulus) {
        dispatch!(self, negate(values, q));
    }

    /// `values = values * other`.
    ///
    /// # Panics
    /// If lengths differ.
    pub fn mul_assign(self, values: &mut [u64], other: &[u64], q: Modulus) {
        assert_same_length(values, &[other]);
        dispatch!(self, mul_assign(values, other, q));
    }

    /// `sum = sum + left * right`.
    ///
    /// # Panics
    /// If lengths differ.
    pub fn multiply_accumulate(self, sum: &mut [u64], left: &[u64], right: &[u64], q: Modulus) {
        assert_same_length(sum, &[left, right]);
        dispatch!(self, multiply_accumulate(sum, left, right, q));
    }

    /// `values = values * scalar`, for a scalar of any size.
    pub fn mul_scalar_assign(self, values: &mut [u64], scalar: u64, q: Modulus) {
        dispatch!(self, mul_scalar_assign(values, scalar, q));
    }

    /// `values = values * scalar + addend`: the end of a rescale.
    ///
    /// # Panics
    /// If lengths differ.
    pub fn mul_scalar_add_assign(self, values: &mut [u64], scalar: u64, addend: &[u64], q: Modulus) {
        assert_same_length(values, &[addend]);
        dispatch!(self, mul_scalar_add_assign(values, scalar, addend, q));
    }

    /// `values = (values - other) * scalar`: the end of a modulus reduction (OpenFHE's ApproxModDown).
    ///
    /// # Panics
    /// If lengths differ.
    pub fn sub_mul_scalar_assign(self, values: &mut [u64], other: &[u64], scalar: u64, q: Modulus) {
        assert_same_length(values, &[other]);
        dispatch!(self, sub_mul_scalar_assign(values, other, scalar, q));
    }

    /// `values = values + scalar`, for a scalar of any size.
    pub fn add_scalar_assign(self, values: &mut [u64], scalar: u64, q: Modulus) {
        let scalar = scalar % q.value();
        dispatch!(self, add_scalar_assign(values, scalar, q));
    }

    /// `values = values - scalar`, for a scalar of any size.
    pub fn sub_scalar_assign(self, values: &mut [u64], scalar: u64, q: Modulus) {
        let negated = (q.value() - scalar % q.value()) % q.value();
        dispatch!(self, add_scalar_assign(values, negated, q));
    }

    /// Residues modulo `from` to residues modulo `to` of the same centred representatives, in `(-from/2, from/2)`, as
    /// OpenFHE's `NativeVector::SwitchModulus` has them, times a scalar of any size: what a rescale does with the last
    /// limb for each other one.
    ///
    /// # Panics
    /// If lengths differ.
    pub fn switch_modulus_mul_scalar(self, out: &mut [u64], values: &[u64], scalar: u64, from: Modulus, to: Modulus) {
        assert_same_length(out, &[values]);
        dispatch!(self, switch_modulus_mul_scalar(out, values, scalar, from, to));
    }

    /// Residues of signed words above `-2^63`.
    ///
    /// # Panics
    /// If lengths differ.
    pub fn reduce_signed(self, out: &mut [u64], numbers: &[i64], q: Modulus) {
        assert_eq!(out.len(), numbers.len(), "one number a residue");
        #[cfg(target_arch = "x86_64")]
        if self.variant() == Variant::Avx512 {
            // SAFETY: `Kernels` exists only on a processor that has the instructions of its variant.
            return unsafe { avx512::reduce_signed(out, numbers, q) };
        }
        portable::reduce_signed(out, numbers, q);
    }

    /// `out[k] = input[indices[k]]`: an automorphism in evaluation form, with the indices that OpenFHE precomputes.
    /// Memory is accessed in the order of the indices, which are public.
    ///
    /// # Panics
    /// If `out` and `indices` differ in length, or an index is outside the input.
    pub fn permute(self, out: &mut [u64], input: &[u64], indices: &[u32]) {
        assert_eq!(out.len(), indices.len(), "one index an output");
        #[cfg(target_arch = "x86_64")]
        if self.variant() == Variant::Avx512 {
            // SAFETY: `Kernels` exists only on a processor that has the instructions of its variant.
            return unsafe { avx512::permute(out, input, indices) };
        }
        portable::permute(out, input, indices);
    }
}

fn assert_same_length(out: &[u64], others: &[&[u64]]) {
    assert!(others.iter().all(|other| other.len() == out.len()), "operands differ in length from the result");
}
