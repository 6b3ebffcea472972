//! Reproducible numbers.

use paf_ir::random::SplitMix64;

/// Values in [−1, 1) that float32 holds.
pub fn random_values(seed: u64, count: usize) -> Vec<f32> {
    let mut generator = SplitMix64::new(seed);
    (0..count).map(|_| (generator.bits() >> 40) as f32 / (1 << 23) as f32 - 1.0).collect()
}
