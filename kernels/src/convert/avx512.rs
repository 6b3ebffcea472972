//! Base conversion with AVX-512: sums are digits of 52 bits.
//!
//! Scaled sources `x` and weights `w` are split at 52 bits into `x0, x1` and `w0, w1` where they are wide, `x1` and `w1`
//! being below 2^8. The products are
//! - narrow source, narrow target: `x0 w0`, two instructions;
//! - narrow source, wide target: `x0 w0 + x0 w1 2^52`, four;
//! - wide source, narrow target: `x0 w + x1 w'` with `w' = 2^52 w mod p_j`, three instructions and an addition, as
//!   `x1 w' < 2^60` is added to the low word as it is;
//! - wide source, wide target: all four products of digits, seven.

use std::arch::x86_64::*;

use super::{BLOCK_STEP, Conversion};
use crate::Modulus;
use crate::arithmetic::vector512::{
    DIGIT_BITS, Digits, Factor, VectorPrime, broadcast, high_digit, is_narrow, load, load_tail, shifted_residue, store,
    store_tail,
};

/// Sources added between carries where no product exceeds a digit: a word stays below `2^52 + 512 * 3 * 2^52 < 2^63`.
const LONG_GROUP: usize = 512;

/// The same for wide sources and narrow targets: `2^52 + 8 * (2^60 + 2^52) < 2^64`.
const SHORT_GROUP: usize = 8;

/// Vectors summed side by side.
const VECTORS: usize = BLOCK_STEP / 8;

/// The words of [`VECTORS`] vectors.
type Chunk = [[u64; 8]; VECTORS];

/// A source with its factor `(Q/q_i)^-1`, also times 2^52.
struct Source<'a> {
    index: usize,
    input: &'a [u64],
    prime: VectorPrime,
    factor: Factor,
    shifted: Factor,
    narrow: bool,
}

/// A weight of a target, and its second digit or, for a wide source and a narrow target, the weight times 2^52.
#[derive(Clone, Copy)]
struct Weight {
    value: u64,
    second: u64,
}

/// A target with its weights in the order of the sources.
struct Target {
    prime: VectorPrime,
    narrow: bool,
    /// Whether the prime is narrow and every sum is below 2^104.
    two_digits: bool,
    weights: Vec<Weight>,
}

/// The scaled sources of a block, `stride` chunks each, first the narrow ones.
#[derive(Clone, Copy)]
struct Scaled<'a> {
    chunks: &'a [Chunk],
    stride: usize,
    narrow_sources: usize,
}

#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
pub(super) fn convert(outputs: &mut [&mut [u64]], inputs: &[&[u64]], conversion: &Conversion) {
    let sources = sources(inputs, conversion);
    let targets = targets(&sources, conversion);
    let block_length = conversion.block_length();
    let stride = block_length / BLOCK_STEP;
    let narrow_sources = sources.iter().filter(|source| source.narrow).count();
    let mut chunks = vec![[[0; 8]; VECTORS]; stride * sources.len()];
    let length = inputs.first().map_or(0, |input| input.len());
    for start in (0..length).step_by(block_length) {
        let end = length.min(start + block_length);
        for (source, chunks) in sources.iter().zip(chunks.chunks_mut(stride)) {
            scale(source, &source.input[start..end], chunks.as_flattened_mut());
        }
        let scaled = Scaled { chunks: &chunks, stride, narrow_sources };
        for (target, output) in targets.iter().zip(outputs.iter_mut()) {
            convert_block(&mut output[start..end], scaled, target);
        }
    }
}

/// The sources, first the narrow ones.
#[target_feature(enable = "avx512f")]
fn sources<'a>(inputs: &[&'a [u64]], conversion: &Conversion) -> Vec<Source<'a>> {
    let mut sources = Vec::with_capacity(inputs.len());
    for (index, (&input, &modulus)) in inputs.iter().zip(conversion.sources).enumerate() {
        let hat_inverse = conversion.hat_inverse[index];
        sources.push(Source {
            index,
            input,
            prime: VectorPrime::new(modulus),
            factor: Factor::new(modulus, hat_inverse),
            shifted: Factor::shifted(modulus, hat_inverse, DIGIT_BITS),
            narrow: is_narrow(modulus),
        });
    }
    sources.sort_by_key(|source| !source.narrow);
    sources
}

#[target_feature(enable = "avx512f")]
fn targets(sources: &[Source], conversion: &Conversion) -> Vec<Target> {
    let mut targets = Vec::with_capacity(conversion.targets.len());
    for (index, &modulus) in conversion.targets.iter().enumerate() {
        let narrow = is_narrow(modulus);
        let weight = |source: &Source| {
            let value = conversion.hat_mod[source.index][index];
            let shifted = narrow && !source.narrow;
            let second = if shifted { shifted_residue(modulus, value, DIGIT_BITS) } else { value >> DIGIT_BITS };
            Weight { value, second }
        };
        targets.push(Target {
            prime: VectorPrime::new(modulus),
            narrow,
            two_digits: narrow && largest_sum(conversion.sources, modulus) >> (2 * DIGIT_BITS) == 0,
            weights: sources.iter().map(weight).collect(),
        });
    }
    targets
}

/// A bound of the sum of products of a narrow target.
fn largest_sum(sources: &[Modulus], target: Modulus) -> u128 {
    let largest_factor = |&source: &Modulus| {
        // Low digit and upper bits of a wide source have a weight each.
        if is_narrow(source) { u128::from(source.value()) } else { (1 << DIGIT_BITS) + (1 << 8) }
    };
    sources.iter().map(|source| largest_factor(source) * u128::from(target.value())).sum()
}

/// `scaled = input * (Q/q_i)^-1`; what follows the end of the input keeps older words.
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
#[inline]
fn scale(source: &Source, input: &[u64], scaled: &mut [[u64; 8]]) {
    if source.narrow {
        scale_lanes(input, scaled, |value| source.prime.multiply_factor_narrow(value, source.factor));
    } else {
        scale_lanes(input, scaled, |value| source.prime.multiply_factor_wide(value, source.factor, source.shifted));
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn scale_lanes(input: &[u64], scaled: &mut [[u64; 8]], lanes: impl Fn(__m512i) -> __m512i) {
    let (blocks, tail) = input.as_chunks();
    for (input, scaled) in blocks.iter().zip(scaled.iter_mut()) {
        store(scaled, lanes(load(input)));
    }
    if let Some(scaled) = scaled.get_mut(blocks.len()) {
        store(scaled, lanes(load_tail(tail)));
    }
}

/// The block of one target.
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
#[inline]
fn convert_block(output: &mut [u64], scaled: Scaled, target: &Target) {
    let prime = target.prime;
    if !target.narrow {
        store_sums(output, |chunk| sum_wide(scaled, chunk, &target.weights), |sum| prime.reduce_wide(sum));
    } else if target.two_digits {
        store_sums(output, |chunk| sum_narrow(scaled, chunk, &target.weights), |sum| prime.reduce_two(sum));
    } else {
        store_sums(output, |chunk| sum_narrow(scaled, chunk, &target.weights), |sum| prime.reduce_three(sum));
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn store_sums(output: &mut [u64], sum_chunk: impl Fn(usize) -> [Digits; VECTORS], reduce: impl Fn(Digits) -> __m512i) {
    for (chunk, output) in output.chunks_mut(BLOCK_STEP).enumerate() {
        let sums = sum_chunk(chunk);
        for (output, sum) in output.chunks_mut(8).zip(sums) {
            match output.first_chunk_mut() {
                Some(output) => store(output, reduce(sum)),
                None => store_tail(output, reduce(sum)),
            }
        }
    }
}

/// The sums of one chunk for a narrow target.
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
#[inline]
fn sum_narrow(scaled: Scaled, chunk: usize, weights: &[Weight]) -> [Digits; VECTORS] {
    let (narrow, wide) = weights.split_at(scaled.narrow_sources);
    let sums = [Digits::new(_mm512_setzero_si512()); VECTORS];
    let sums = add_sources(sums, scaled, chunk, narrow, LONG_GROUP, |sum, value, weight, _| {
        sum.multiply_add_narrow(value, weight);
    });
    let wide_scaled = Scaled { chunks: &scaled.chunks[scaled.narrow_sources * scaled.stride..], ..scaled };
    add_sources(sums, wide_scaled, chunk, wide, SHORT_GROUP, |sum, value, weight, shifted| {
        sum.multiply_add_narrow(value, weight);
        sum.low = _mm512_add_epi64(sum.low, _mm512_mullo_epi64(high_digit(value), shifted));
    })
}

/// The sums of one chunk for a wide target.
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
#[inline]
fn sum_wide(scaled: Scaled, chunk: usize, weights: &[Weight]) -> [Digits; VECTORS] {
    let (narrow, wide) = weights.split_at(scaled.narrow_sources);
    let sums = [Digits::new(_mm512_setzero_si512()); VECTORS];
    let sums = add_sources(sums, scaled, chunk, narrow, LONG_GROUP, |sum, value, weight, weight_high| {
        sum.multiply_add_mixed(value, weight, weight_high);
    });
    let wide_scaled = Scaled { chunks: &scaled.chunks[scaled.narrow_sources * scaled.stride..], ..scaled };
    add_sources(sums, wide_scaled, chunk, wide, LONG_GROUP, |sum, value, weight, weight_high| {
        sum.multiply_add_wide(value, high_digit(value), weight, weight_high);
    })
}

/// Adds the products of the first sources of `scaled`, one a weight, and carries after each group.
#[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
#[inline]
fn add_sources(
    mut sums: [Digits; VECTORS],
    scaled: Scaled,
    chunk: usize,
    weights: &[Weight],
    group: usize,
    add: impl Fn(&mut Digits, __m512i, __m512i, __m512i),
) -> [Digits; VECTORS] {
    for (index, weights) in weights.chunks(group).enumerate() {
        let first = index * group * scaled.stride + chunk;
        for (values, weight) in scaled.chunks[first..].iter().step_by(scaled.stride).zip(weights) {
            let (weight, second) = (broadcast(weight.value), broadcast(weight.second));
            for (sum, value) in sums.iter_mut().zip(values) {
                add(sum, load(value), weight, second);
            }
        }
        for sum in &mut sums {
            *sum = sum.carry();
        }
    }
    sums
}
