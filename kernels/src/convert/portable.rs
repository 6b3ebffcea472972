//! Base conversion on 64-bit words: sums are two words.

use super::Conversion;
use crate::arithmetic::scalar::{ScalarFactor, ScalarPrime};

/// Sources whose products fit two words with a residue to start from: `255 * (2^60 - 1)^2 + 2^60 < 2^128`.
const GROUP: usize = 255;

/// Coefficients whose sums are kept at a time, in registers; it divides every block but the last.
const LANES: usize = 4;

pub(super) fn convert(outputs: &mut [&mut [u64]], inputs: &[&[u64]], conversion: &Conversion) {
    let length = inputs.first().map_or(0, |input| input.len());
    let block_length = conversion.block_length();
    let scales = source_scales(conversion);
    let targets: Vec<ScalarPrime> = conversion.targets.iter().map(|&target| ScalarPrime::new(target)).collect();
    let rows = &conversion.hat_mod[..inputs.len()];
    let weights: Vec<Vec<u64>> =
        (0..targets.len()).map(|target| rows.iter().map(|row| row[target]).collect()).collect();
    let mut scaled = vec![0; block_length * inputs.len()];
    for start in (0..length).step_by(block_length) {
        let block = block_length.min(length - start);
        for ((scaled, input), &(prime, factor)) in scaled.chunks_mut(block_length).zip(inputs).zip(&scales) {
            for (scaled, &value) in scaled.iter_mut().zip(&input[start..start + block]) {
                *scaled = prime.multiply_factor(value, factor);
            }
        }
        for (index, (output, &prime)) in outputs.iter_mut().zip(&targets).enumerate() {
            sum_block(&mut output[start..start + block], &scaled, block_length, &weights[index], prime);
        }
    }
}

/// Each source's prime and the factor `(Q/q_i)^-1`.
fn source_scales(conversion: &Conversion) -> Vec<(ScalarPrime, ScalarFactor)> {
    let sources = conversion.sources.iter().zip(conversion.hat_inverse);
    sources.map(|(&source, &factor)| (ScalarPrime::new(source), ScalarPrime::factor(source, factor))).collect()
}

/// `output = sum over sources of scaled * weight`, for the coefficients of a block.
fn sum_block(output: &mut [u64], scaled: &[u64], block_length: usize, weights: &[u64], prime: ScalarPrime) {
    for (index, output) in output.chunks_mut(LANES).enumerate() {
        let start = index * LANES;
        let mut sums = [0u128; LANES];
        for (group, weights) in weights.chunks(GROUP).enumerate() {
            sums = sums.map(|sum| u128::from(prime.reduce(sum)));
            let scaled = scaled.chunks_exact(block_length).skip(group * GROUP);
            for (scaled, &weight) in scaled.zip(weights) {
                for (sum, &value) in sums.iter_mut().zip(&scaled[start..start + LANES]) {
                    *sum += u128::from(value) * u128::from(weight);
                }
            }
        }
        for (output, &sum) in output.iter_mut().zip(&sums) {
            *output = prime.reduce(sum);
        }
    }
}
