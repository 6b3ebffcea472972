//! Reproducible numbers: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).

/// A generator.
#[derive(Debug, Clone)]
pub struct SplitMix64(pub u64);

impl SplitMix64 {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Values in [−1, 1) that float32 holds.
pub fn random_values(seed: u64, count: usize) -> Vec<f32> {
    let mut generator = SplitMix64(seed);
    (0..count).map(|_| (generator.bits() >> 40) as f32 / (1 << 23) as f32 - 1.0).collect()
}
