//! Base conversion with AVX2: sums are digits of 30 bits, and scaled sources keep their two digits in the halves of
//! their words.

use std::arch::x86_64::*;

use super::{BLOCK_STEP, Conversion};
use crate::arithmetic::vector256::{
    CARRY_GROUP, Digits, Factor, VectorPrime, broadcast, load, load_tail, pack, pack_word, store, store_tail,
};

/// Vectors summed side by side.
const VECTORS: usize = 2;

/// Words of [`VECTORS`] vectors.
const CHUNK: usize = 4 * VECTORS;

/// Scaled sources of a block, `stride` chunks each.
#[derive(Clone, Copy)]
struct Scaled<'a> {
    chunks: &'a [[[u64; 4]; VECTORS]],
    stride: usize,
}

#[target_feature(enable = "avx2")]
pub(super) fn convert(outputs: &mut [&mut [u64]], inputs: &[&[u64]], conversion: &Conversion) {
    let block_length = conversion.block_length();
    let stride = block_length / CHUNK;
    const { assert!(BLOCK_STEP.is_multiple_of(CHUNK)) };
    let weights = packed_weights(conversion);
    let (sources, targets) = primes(conversion);
    let mut chunks = vec![[[0; 4]; VECTORS]; stride * inputs.len()];
    for start in (0..inputs[0].len()).step_by(block_length) {
        let end = inputs[0].len().min(start + block_length);
        for ((&(prime, factor), input), chunks) in sources.iter().zip(inputs).zip(chunks.chunks_mut(stride)) {
            scale(&input[start..end], chunks.as_flattened_mut(), prime, factor);
        }
        let scaled = Scaled { chunks: &chunks, stride };
        for ((&prime, weights), output) in targets.iter().zip(&weights).zip(outputs.iter_mut()) {
            convert_block(&mut output[start..end], scaled, weights, prime);
        }
    }
}

/// The primes of the sources with their factors `(Q/q_i)^-1`, and those of the targets.
#[target_feature(enable = "avx2")]
fn primes(conversion: &Conversion) -> (Vec<(VectorPrime, Factor)>, Vec<VectorPrime>) {
    let sources = conversion.sources.iter().zip(conversion.hat_inverse);
    let sources = sources.map(|(&source, &factor)| (VectorPrime::new(source), Factor::new(source, factor))).collect();
    (sources, conversion.targets.iter().map(|&target| VectorPrime::new(target)).collect())
}

/// The weights of each target with their digits in the halves of their words.
fn packed_weights(conversion: &Conversion) -> Vec<Vec<u64>> {
    let rows = &conversion.hat_mod[..conversion.sources.len()];
    let of_target = |target: usize| rows.iter().map(|row| pack_word(row[target])).collect();
    (0..conversion.targets.len()).map(of_target).collect()
}

/// `scaled = input * factor`, packed; what follows the end of the input keeps older words.
#[target_feature(enable = "avx2")]
#[inline]
fn scale(input: &[u64], scaled: &mut [[u64; 4]], prime: VectorPrime, factor: Factor) {
    let (blocks, tail) = input.as_chunks();
    for (input, scaled) in blocks.iter().zip(scaled.iter_mut()) {
        store(scaled, pack(prime.multiply_factor(load(input), factor)));
    }
    if let Some(scaled) = scaled.get_mut(blocks.len()) {
        store(scaled, pack(prime.multiply_factor(load_tail(tail), factor)));
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn convert_block(output: &mut [u64], scaled: Scaled, weights: &[u64], prime: VectorPrime) {
    for (chunk, output) in output.chunks_mut(CHUNK).enumerate() {
        let sums = sum_chunk(scaled, chunk, weights);
        for (output, sum) in output.chunks_mut(4).zip(sums) {
            match output.first_chunk_mut() {
                Some(output) => store(output, prime.reduce(sum)),
                None => store_tail(output, prime.reduce(sum)),
            }
        }
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn sum_chunk(scaled: Scaled, chunk: usize, weights: &[u64]) -> [Digits; VECTORS] {
    let mut sums = [Digits::new(_mm256_setzero_si256()); VECTORS];
    for (index, weights) in weights.chunks(CARRY_GROUP).enumerate() {
        let first = index * CARRY_GROUP * scaled.stride + chunk;
        for (values, &weight) in scaled.chunks[first..].iter().step_by(scaled.stride).zip(weights) {
            let weight = broadcast(weight);
            for (sum, value) in sums.iter_mut().zip(values) {
                sum.multiply_add(load(value), weight);
            }
        }
        for sum in &mut sums {
            *sum = sum.carry();
        }
    }
    sums
}
