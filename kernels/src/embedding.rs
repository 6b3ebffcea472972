//! The inverse of CKKS's canonical embedding: slot values to the coefficients of a polynomial, on doubles.
//!
//! # What is computed
//!
//! With ζ a primitive 4n-th root of unity, a real polynomial m of degree below 2n has the n slots `m(ζ^(5^k))`. Given
//! complex slots z, the numbers `w_j = 1/n · Σ_k z_k ζ^(−j·5^k)` for `j < n` hold the coefficients: `m_j = Re w_j` and
//! `m_(n+j) = Im w_j` (Cheon, Han, Kim, Kim, Song, "Bootstrapping for approximate homomorphic encryption", 2018, section
//! 4; the loops are those of OpenFHE's `FFTSpecialInv`). In the ring of dimension N ≥ 2n the same coefficients, N/2n
//! apart, have those slots repeated.
//!
//! # Two real vectors at once
//!
//! For real slots `m(X^−1) = m(X)`, so `m_n = 0` and `m_(n+j) = −m_(n−j)`: n coefficients say all. The transform is
//! linear over the complex numbers, so that of `a + i·b` has, with `A_j` and `B_j` for their coefficients,
//!
//! ```text
//! Re w_j = A_j + B_(n−j)   Im w_j = B_j − A_(n−j)     0 < j < n
//! A_j = (Re w_j − Im w_(n−j)) / 2                      B_j = (Im w_j + Re w_(n−j)) / 2
//! ```
//!
//! Every variant does the same operations on doubles in the same order, without fused products: results are the same
//! bits. No time depends on the values.

use crate::variant::{Kernels, Variant};

/// Coefficients below this power of two are rounded exactly to integers.
const WORD_BITS: i32 = 62;

/// The roots of unity for one number of slots.
///
/// ```
/// use paf_kernels::{Embedding, Kernels};
///
/// let embedding = Embedding::new(4);
/// let (mut constant, mut other) = (vec![0; 4], vec![0; 4]);
/// let (ones, values) = ([1.0; 4], [0.5, -1.0, 2.0, 0.0]);
/// let shift = Kernels::best().real_coefficients(&embedding, [&ones, &values], 1000.0, [&mut constant, &mut other]);
/// assert_eq!((shift, constant), (Some(0), vec![1000, 0, 0, 0]));
/// assert_eq!(other[0], 375);
/// ```
#[derive(Debug, Clone)]
pub struct Embedding {
    /// The twiddles of each stage, that of blocks of 2h slots at `h..2h`: `exp(−2πi·5^j / 8h)`.
    cosines: Vec<f64>,
    sines: Vec<f64>,
    /// Bit-reversed numbers of the slots.
    reversed: Vec<u32>,
}

impl Embedding {
    /// The least number of slots.
    pub const LEAST_SLOTS: usize = 4;

    /// The roots for so many slots.
    ///
    /// # Panics
    /// If the number of slots is not a power of two, at least [`Self::LEAST_SLOTS`] and below 2^31.
    pub fn new(slots: usize) -> Self {
        assert!(slots.is_power_of_two() && (Self::LEAST_SLOTS..1 << 31).contains(&slots), "{slots} slots");
        let (mut cosines, mut sines) = (vec![1.0; slots], vec![0.0; slots]);
        let mut half = 1;
        while half < slots {
            let order = 8 * half as u64;
            let mut power = 1u64;
            for place in half..2 * half {
                let angle = -std::f64::consts::TAU * power as f64 / order as f64;
                (cosines[place], sines[place]) = (angle.cos(), angle.sin());
                power = power * 5 % order;
            }
            half *= 2;
        }
        let shift = u32::BITS - slots.trailing_zeros();
        Embedding { cosines, sines, reversed: (0..slots as u32).map(|slot| slot.reverse_bits() >> shift).collect() }
    }

    /// Slots.
    pub fn slots(&self) -> usize {
        self.reversed.len()
    }
}

impl Kernels {
    /// The first n coefficients of the polynomials of two real vectors of n slots, times `scale / 2^shift` and rounded;
    /// the others follow from them. The shift is 0 unless a coefficient would not fit a word; there is none if a
    /// coefficient is not finite.
    ///
    /// # Panics
    /// If a vector has more values than slots (those that it lacks are 0), or a result another length.
    pub fn real_coefficients(
        self,
        embedding: &Embedding,
        vectors: [&[f64]; 2],
        scale: f64,
        results: [&mut [i64]; 2],
    ) -> Option<u32> {
        let slots = embedding.slots();
        assert!(results.iter().all(|result| result.len() == slots), "one number a slot");
        let [mut real, mut imaginary] = vectors.map(|values| {
            let mut padded = vec![0.0; slots];
            padded[..values.len()].copy_from_slice(values);
            padded
        });
        match self.variant() {
            Variant::Portable => transform(embedding, &mut real, &mut imaginary),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `Kernels` exists only on a processor that has the instructions of its variant.
            Variant::Avx2 => unsafe { transform_avx2(embedding, &mut real, &mut imaginary) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Variant::Avx512 => unsafe { transform_avx512(embedding, &mut real, &mut imaginary) },
            #[cfg(not(target_arch = "x86_64"))]
            Variant::Avx2 | Variant::Avx512 => unreachable!("a variant of another processor"),
        }
        let shift = shift_of(&real, &imaginary, scale / slots as f64)?;
        let factor = scale / slots as f64 * 0.5f64.powi(shift as i32);
        round_all(embedding, &real, &imaginary, factor, results);
        Some(shift)
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn transform_avx2(embedding: &Embedding, real: &mut [f64], imaginary: &mut [f64]) {
    transform(embedding, real, imaginary);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
fn transform_avx512(embedding: &Embedding, real: &mut [f64], imaginary: &mut [f64]) {
    transform(embedding, real, imaginary);
}

/// n times w, in bit-reversed order.
#[inline(always)]
fn transform(embedding: &Embedding, real: &mut [f64], imaginary: &mut [f64]) {
    let mut half = real.len() / 2;
    while half >= 4 {
        let (cosines, sines) = (&embedding.cosines[half..2 * half], &embedding.sines[half..2 * half]);
        let blocks = real.chunks_exact_mut(2 * half).zip(imaginary.chunks_exact_mut(2 * half));
        blocks.for_each(|(real, imaginary)| block(real, imaginary, cosines, sines));
        half /= 2;
    }
    last_two_stages(embedding, real, imaginary);
}

/// One block of a stage: sums in the first half, differences times roots in the second.
#[inline(always)]
fn block(real: &mut [f64], imaginary: &mut [f64], cosines: &[f64], sines: &[f64]) {
    let half = cosines.len();
    let (real, other_real) = real.split_at_mut(half);
    let (imaginary, other_imaginary) = imaginary.split_at_mut(half);
    let (sines, other_real) = (&sines[..half], &mut other_real[..half]);
    let (imaginary, other_imaginary) = (&mut imaginary[..half], &mut other_imaginary[..half]);
    for j in 0..half {
        let (re, im) = (real[j] - other_real[j], imaginary[j] - other_imaginary[j]);
        real[j] += other_real[j];
        imaginary[j] += other_imaginary[j];
        other_real[j] = re * cosines[j] - im * sines[j];
        other_imaginary[j] = re * sines[j] + im * cosines[j];
    }
}

#[inline(always)]
fn last_two_stages(embedding: &Embedding, real: &mut [f64], imaginary: &mut [f64]) {
    let root = |place: usize| (embedding.cosines[place], embedding.sines[place]);
    let roots = [root(1), root(2), root(3)];
    let (real, _) = real.as_chunks_mut::<4>();
    let (imaginary, _) = imaginary.as_chunks_mut::<4>();
    for (real, imaginary) in real.iter_mut().zip(imaginary) {
        for (left, right, root) in [(0, 2, roots[1]), (1, 3, roots[2]), (0, 1, roots[0]), (2, 3, roots[0])] {
            let (re, im) = (real[left] - real[right], imaginary[left] - imaginary[right]);
            real[left] += real[right];
            imaginary[left] += imaginary[right];
            real[right] = re * root.0 - im * root.1;
            imaginary[right] = re * root.1 + im * root.0;
        }
    }
}

/// The bits by which the largest coefficient times the factor exceeds a word.
fn shift_of(real: &[f64], imaginary: &[f64], factor: f64) -> Option<u32> {
    let all = || real.iter().chain(imaginary);
    let largest = factor * all().fold(0.0f64, |largest, value| largest.max(value.abs()));
    let finite = largest.is_finite() && all().all(|value| value.is_finite());
    let exponent = ((largest.to_bits() >> 52) & 0x7FF) as i32 - 1022;
    finite.then_some((exponent - WORD_BITS).max(0) as u32)
}

fn round_all(embedding: &Embedding, real: &[f64], imaginary: &[f64], factor: f64, results: [&mut [i64]; 2]) {
    let [first, second] = results;
    let round = |value: f64| (value * factor).round_ties_even() as i64;
    (first[0], second[0]) = (round(real[0]), round(imaginary[0]));
    let pairs = embedding.reversed[1..].iter().zip(embedding.reversed[1..].iter().rev());
    for ((first, second), (&place, &mirrored)) in first[1..].iter_mut().zip(&mut second[1..]).zip(pairs) {
        let (place, mirrored) = (place as usize, mirrored as usize);
        *first = round(0.5 * (real[place] - imaginary[mirrored]));
        *second = round(0.5 * (imaginary[place] + real[mirrored]));
    }
}
