//! What one engine is: which chains of primes it takes, how it refreshes, how it errs, what it costs.
//!
//! A profile is a value. Passes choose circuits by it, the clear engine imitates it, machines are measured against its
//! reference machine. Another engine is another value.

use paf_ir::ckks::Level;

use crate::{Bootstrap, MachineCosts, Parameters, Work, WorkKind};

/// One engine, for everyone who plans for it, predicts it or imitates it.
#[derive(Debug, PartialEq)]
pub struct EngineProfile {
    /// Its name and version.
    pub name: &'static str,
    /// Its chains of primes.
    pub chain: ChainRules,
    /// Its bootstraps.
    pub bootstrap: BootstrapRules,
    /// How it errs.
    pub noise: NoiseFigures,
    /// How long it takes.
    pub time: TimeFigures,
    /// What it keeps in memory.
    pub memory: MemoryFigures,
    /// What packing pays for a plan.
    pub packing: PackingPrices,
    /// How far along an evaluation is.
    pub progress: ProgressWeights,
    /// The machine whose seconds the figures of time are.
    pub reference: ReferenceMachine,
}

/// Which chains of primes there are.
#[derive(Debug, Clone, PartialEq)]
pub struct ChainRules {
    /// Ring dimensions worth trying, ascending.
    pub ring_dimensions: &'static [usize],
    /// The least ring dimension of test parameters.
    pub least_test_ring: usize,
    /// Bits of the least and the largest scale. Beyond the largest, precision exceeds that of the PAFs by far.
    pub scale_bits: [u32; 2],
    /// Bits of the first prime above the scale: room for values at level 0 beyond their calibrated magnitude of 1.
    pub headroom_bits: u32,
    /// Bits of the largest prime.
    pub most_prime_bits: u32,
    /// Bits of the primes in P.
    pub special_prime_bits: u32,
}

impl ChainRules {
    /// Ring dimension of the widest ciphertexts.
    pub fn largest_ring(&self) -> usize {
        self.ring_dimensions.last().copied().unwrap_or(self.least_test_ring)
    }

    /// Most slots of a ciphertext: half of the largest ring dimension.
    pub fn most_slots(&self) -> usize {
        self.largest_ring() / 2
    }

    /// Bits of the first prime for a scale and its headroom.
    pub fn first_modulus_bits(&self, scale_bits: u32, headroom_bits: u32) -> u32 {
        (scale_bits + headroom_bits).min(self.most_prime_bits)
    }

    /// Primes in P that a number of digits needs: P must exceed the largest digit of Q.
    pub fn special_primes(&self, levels: Level, scale_bits: u32, first_modulus_bits: u32, digits: u32) -> u32 {
        Parameters::largest_digit_bits(levels, scale_bits, first_modulus_bits, digits).div_ceil(self.special_prime_bits)
    }

    /// Nominal log2 of P.
    pub fn log_p(&self, special_primes: u32) -> u32 {
        special_primes * self.special_prime_bits
    }
}

/// What bootstraps are.
#[derive(Debug, Clone, PartialEq)]
pub struct BootstrapRules {
    /// Level budgets of the two transforms worth trying.
    pub level_budgets: &'static [[u32; 2]],
    /// Level of the value that is refreshed.
    pub input_level: u32,
    /// Levels of the modular reduction.
    pub modular_reduction_levels: u32,
    /// Products of ciphertexts in the modular reduction.
    pub modular_reduction_products: f64,
    /// Key switches at the top beside those of transforms, of the sum of copies and of products.
    pub other_key_switches: f64,
    /// Bits of the first prime above the scale: a bootstrap computes on values divided by 2 to these bits, so more of
    /// them cost precision.
    pub headroom_bits: u32,
    /// Bits of the least scale.
    pub least_scale_bits: u32,
    /// Levels between bootstraps beyond which no ring dimension has a secure chain.
    pub most_usable_levels: u32,
    /// Bits between the precision of a bootstrap and what a second iteration relies on.
    pub refinement_reserve_bits: f64,
}

impl BootstrapRules {
    /// The bootstrap with these level budgets and the depth that they imply.
    pub fn with_budget(&self, level_budget: [u32; 2]) -> Bootstrap {
        let depth = self.modular_reduction_levels + level_budget[0] + level_budget[1];
        Bootstrap { level_budget, depth, refinement_bits: 0 }
    }
}

/// How an engine errs.
#[derive(Debug, Clone, PartialEq)]
pub struct NoiseFigures {
    /// Standard deviation of the coefficients of a fresh error polynomial.
    pub error_deviation: f64,
    /// What decryption adds, as a multiple of the error it finds.
    pub decryption_factor: f64,
    /// Bits of a result that noise takes beyond log2 of the ring dimension, without bootstraps, of a full packing.
    pub fresh_bits: f64,
    /// Bits that each level adds to them.
    pub bits_per_level: f64,
    /// Error of a bootstrap of [`Self::bootstrap_slots`] slots of magnitude 1, as a power of two of the scale it is done at.
    pub bootstrap_bits: f64,
    /// The slots that this was measured with.
    pub bootstrap_slots: usize,
    /// What it grows by when slots double.
    pub bootstrap_bits_per_doubling: f64,
    /// Bits between the error of a bootstrap on average and that of a result.
    pub bootstrap_reserve_bits: f64,
}

impl NoiseFigures {
    /// Precision expected of a result without bootstraps, in bits relative to its largest value. Of a coefficient's error,
    /// √N times as large as its terms, n slots read √2n parts.
    pub fn expected_precision(&self, ring_dimension: usize, slots: usize, levels: Level, scale_bits: u32) -> f64 {
        let noise = (2.0 * ring_dimension as f64 * slots as f64).log2() / 2.0
            + self.fresh_bits
            + self.bits_per_level * f64::from(levels.0);
        f64::from(scale_bits) - noise
    }

    /// Precision expected of a result after one bootstrap of one iteration.
    pub fn bootstrap_precision(&self, scale_bits: u32) -> f64 {
        f64::from(scale_bits) - (self.bootstrap_bits + self.bootstrap_reserve_bits)
    }

    /// Standard deviation of the error of a bootstrap, relative to values of magnitude 1. A second iteration divides it
    /// by 2 to the bits of the first.
    pub fn bootstrap_deviation(&self, parameters: &Parameters, slots: usize) -> f64 {
        let refinement = parameters.bootstrap.map_or(0, |bootstrap| bootstrap.refinement_bits);
        let measured = (self.bootstrap_bits - f64::from(parameters.scale_bits) - f64::from(refinement)).exp2();
        let doublings = (slots as f64).log2() - (self.bootstrap_slots as f64).log2();
        measured * (self.bootstrap_bits_per_doubling * doublings.max(0.0)).exp2()
    }
}

/// How long an engine takes on its reference machine. The unit is one pass over a limb, `N·log2(N)` butterflies.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeFigures {
    /// Seconds of a pass divided by `N·log2 N`.
    pub seconds_per_butterfly: f64,
    /// A digit's limb raised to QP, with its product with the key.
    pub raise: f64,
    /// A limb of QP brought back to Q, of both parts.
    pub divide: f64,
    /// A digit's limb of a hoisted rotation times both parts of a key.
    pub hoisted: f64,
    /// A limb of both parts of a ciphertext times one of a plaintext, added to a sum.
    pub plaintext_product: f64,
    /// Encoding of a plaintext of N/2 slots: the transform of its values. Fewer slots repeat and take their share of it.
    pub encoding: f64,
    /// And that of each limb.
    pub encoding_of_limb: f64,
    /// A limb of a product of ciphertexts.
    pub product: f64,
    /// A limb of a rescale.
    pub rescale: f64,
    /// A limb of a sum, or of a product with a constant.
    pub addition: f64,
    /// A hoisted rotation in a transform of a bootstrap, in key switches.
    pub transform_baby: f64,
    /// A limb of a product with a diagonal there.
    pub transform_product: f64,
    /// Time of a bootstrap divided by that of its key switches, products and transforms.
    pub bootstrap: f64,
    /// Seconds of reading a byte of a key from its file, checksum included.
    pub seconds_per_key_byte: f64,
}

/// What an engine keeps in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct MemoryFigures {
    /// A process with the engine loaded, before keys.
    pub base_bytes: u64,
    /// Memory that is taken for what is counted, in percent: the allocator's share on top.
    pub peak_percent: u64,
    /// Plaintexts are encoded ahead up to this many bytes.
    pub prepared_bytes: u64,
    /// Ciphertexts at the top level that a bootstrap holds at once: the input of a transform, its rotations by baby steps
    /// in the extended basis, and sums.
    pub bootstrap_ciphertexts: u64,
}

/// What packing pays for a plan of a linear map, in rotations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PackingPrices {
    /// A hoisted baby rotation: the decomposition is shared.
    pub baby: f64,
    /// A giant step: one decomposition, one key product, one modulus reduction.
    pub giant: f64,
    /// A rotate-and-add fold.
    pub fold: f64,
    /// The plaintext product of a diagonal.
    pub diagonal_product: f64,
    /// A diagonal's share of encoding and memory.
    pub diagonal_encoding: f64,
    /// What a key costs, in rotations of one evaluation: about the time to make it, paid once for many evaluations, and
    /// its memory, held in each.
    pub key: f64,
    /// The element-wise work of one more ciphertext.
    pub ciphertext: f64,
    /// A bootstrap of [`Self::refresh_slots`] slots.
    pub refresh: f64,
    /// The slots that this is for.
    pub refresh_slots: usize,
    /// What each doubling of the slots multiplies it by.
    pub refresh_growth: f64,
    /// What slots that fill the ring multiply it by: the modular reduction is done for real and imaginary parts.
    pub refresh_full: f64,
}

impl PackingPrices {
    /// The prices on a machine that takes `slowness` times as long as the reference machine for each kind of work.
    pub fn on(&self, slowness: &Work) -> Self {
        // Rounded, so that a machine that is slower in all alike gets the circuit of the reference machine.
        let relative = |kind: WorkKind| (1e6 * slowness[kind] / slowness[WorkKind::KeySwitch]).round() / 1e6;
        PackingPrices {
            diagonal_product: self.diagonal_product * relative(WorkKind::PlaintextProduct),
            diagonal_encoding: self.diagonal_encoding * relative(WorkKind::Encoding),
            refresh: self.refresh * relative(WorkKind::Bootstrap),
            ..*self
        }
    }

    /// A diagonal: one plaintext product and its share of encoding and memory.
    pub fn diagonal(&self) -> f64 {
        self.diagonal_product + self.diagonal_encoding
    }

    /// Refreshing ciphertexts of a period, in a ring of `most_slots` slots.
    pub fn refreshing(&self, ciphertexts: usize, period: usize, most_slots: usize) -> f64 {
        let doublings = (period as f64 / self.refresh_slots as f64).log2();
        let full = if period == most_slots { self.refresh_full } else { 1.0 };
        self.refresh * ciphertexts as f64 * self.refresh_growth.powf(doublings) * full
    }
}

/// Costs of operations for a display of progress, in arbitrary units; each is multiplied by the limbs of the result.
#[derive(Debug, Clone, PartialEq)]
pub struct ProgressWeights {
    /// A rotation in a linear map.
    pub rotation_in_map: u64,
    /// A plaintext product in a linear map.
    pub plaintext_product: u64,
    /// A rotation or relinearization of its own.
    pub key_switch: u64,
    /// A rescale.
    pub rescale: u64,
    /// A product of ciphertexts.
    pub product: u64,
    /// Anything else.
    pub addition: u64,
    /// A bootstrap, whatever its result's limbs: it goes through all levels wherever it ends.
    pub bootstrap: u64,
}

/// The machine that the figures of time are those of, as `paf-run calibrate-machine` measured it.
#[derive(Debug, Clone, PartialEq)]
pub struct ReferenceMachine {
    /// The machine.
    pub machine: &'static str,
    /// Threads that the operations ran on.
    pub threads: u32,
    /// The arithmetic that they ran with.
    pub kernels: &'static str,
    /// By kind in the order of [`WorkKind::ALL`], then by size: [`MachineCosts::seconds`].
    pub seconds: [&'static [f64]; WorkKind::ALL.len()],
}

impl ReferenceMachine {
    /// The same as a table like that of any machine.
    pub fn costs(&self) -> MachineCosts {
        MachineCosts {
            machine: self.machine.to_owned(),
            threads: self.threads,
            kernels: self.kernels.to_owned(),
            seconds: self.seconds.iter().map(|seconds| seconds.to_vec()).collect(),
        }
    }

    /// How many times as long as this machine another one takes for each kind of work: the geometric mean over the sizes.
    pub fn slowness_of(&self, other: &MachineCosts) -> Work {
        let mut slowness = Work::default();
        for (kind, reference) in WorkKind::ALL.into_iter().zip(self.seconds) {
            let ratios = other.seconds[kind as usize].iter().zip(reference).map(|(own, other)| (own / other).ln());
            slowness[kind] = (ratios.sum::<f64>() / reference.len() as f64).exp();
        }
        slowness
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_of_packing_follow_the_machine_kind_by_kind() {
        let prices = EngineProfile::openfhe().packing;
        assert_eq!(prices.on(&Work::ONES), prices);
        assert_eq!(prices.on(&(Work::ONES * 3.1)), prices, "slower in all alike");
        let mut slowness = Work::ONES;
        slowness[WorkKind::Encoding] = 4.0;
        slowness[WorkKind::Bootstrap] = 0.5;
        let other = prices.on(&slowness);
        assert!((other.diagonal() - (prices.diagonal_product + 4.0 * prices.diagonal_encoding)).abs() < 1e-12);
        assert!((other.refresh - 0.5 * prices.refresh).abs() < 1e-9);
        assert_eq!((other.baby, other.giant, other.key), (prices.baby, prices.giant, prices.key));
    }

    /// `docs/bootstrapping.md`: 13 bits after one bootstrap at a scale of 2^50, 2^-15 and 2^-12.2 on average over slots.
    #[test]
    fn errors_of_bootstraps_are_those_that_were_measured() {
        let noise = &EngineProfile::openfhe().noise;
        assert_eq!(noise.bootstrap_precision(50), 13.0);
        let parameters = crate::testing::parameters(20, 4);
        let bits = |log_slots: u32| noise.bootstrap_deviation(&parameters, 1 << log_slots).log2();
        assert_eq!((bits(10), bits(12)), (-15.0, -15.0));
        assert!((bits(14) + 12.2).abs() < 1e-9);
    }
}
