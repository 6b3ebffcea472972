//! The noise that CKKS adds, as gaussian errors on slots.
//!
//! An error polynomial whose coefficients have variance v gives each of n slots an error of variance `n·v` in units of the
//! scale: of a full packing all N coefficients count, of n slots only those of the subring in X^(N/2n), which decoding
//! reads. Sources: Cheon, Kim, Kim, Song, "Homomorphic encryption for arithmetic of approximate numbers" (2017),
//! section 3.4, and Kim, Papadimitriou, Polyakov, "Approximate homomorphic encryption with reduced approximation error"
//! (2022), section 4, for hybrid key switching. Where a value repeats over the slots its copies get the same
//! error here and independent ones in an encrypted run, unless a run takes place on all slots.
//!
//! Part of an error is a product with the secret s, whose value at a slot is a constant of the key: its square is
//! exponentially distributed over the slots of a full packing, and a mean of such numbers where fewer slots repeat, so some
//! slots are noisier than others in every operation. Decryption adds
//! an error of its own, √2 times what it finds, so that results may be shared (OpenFHE's `CKKS_M_FACTOR` of 1; Li,
//! Micciancio, "On the security of homomorphic encryption on approximate numbers", 2021).

use paf_ir::ckks::{Kind, Type};
use paf_ir::diagonals::PackedMap;
use paf_ir::random::SplitMix64;
use paf_scheme::{EngineProfile, NoiseFigures, Parameters};

/// Variance of a rounding error.
const ROUNDING_VARIANCE: f64 = 1.0 / 12.0;

/// Variance of a coefficient of a uniform ternary secret.
const TERNARY_VARIANCE: f64 = 2.0 / 3.0;

/// Standard deviation of a slot's error: a part alike in all slots, and one times the secret's size there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Deviation {
    even: f64,
    secret: f64,
}

impl Deviation {
    fn even(even: f64) -> Self {
        Deviation { even, secret: 0.0 }
    }

    fn and(self, other: Deviation) -> Self {
        Deviation { even: self.even.hypot(other.even), secret: self.secret.hypot(other.secret) }
    }

    fn times(self, factor: f64) -> Deviation {
        Deviation { even: self.even * factor, secret: self.secret * factor }
    }

    fn at(self, secret: f64) -> f64 {
        self.even.hypot(self.secret * secret)
    }
}

/// Standard deviations of the errors that one set of parameters and one key imply.
#[derive(Debug, Clone)]
pub struct NoiseModel {
    ring_dimension: f64,
    slots: f64,
    scale: f64,
    special_primes: f64,
    key_switch_variance: f64,
    /// The secret's absolute value at each slot, in units of its root mean square.
    secret: Vec<f64>,
    figures: &'static NoiseFigures,
    parameters: Parameters,
}

impl NoiseModel {
    /// The model of an engine for a parameter set and for a key drawn from a seed.
    pub fn new(profile: &'static EngineProfile, parameters: &Parameters, seed: u64) -> Self {
        let figures = &profile.noise;
        let n = parameters.ring_dimension as f64;
        let digit_bits = parameters.limbs().div_ceil(parameters.digits.max(1) as usize) as u32 * parameters.scale_bits;
        let headroom = f64::from(digit_bits) - f64::from(profile.chain.log_p(parameters.special_primes));
        let digit_error = f64::from(parameters.digits) * n * figures.error_deviation.powi(2) * ROUNDING_VARIANCE;
        NoiseModel {
            ring_dimension: n,
            slots: parameters.slots as f64,
            scale: f64::from(parameters.scale_bits).exp2(),
            special_primes: f64::from(parameters.special_primes),
            key_switch_variance: digit_error * (2.0 * headroom).exp2(),
            secret: secret_sizes(!seed, parameters.slots, parameters.ring_dimension / 2 / parameters.slots.max(1)),
            figures,
            parameters: parameters.clone(),
        }
    }

    fn slot_deviation(&self, coefficient_variance: f64, scale: f64) -> f64 {
        (self.slots * coefficient_variance).sqrt() / scale
    }

    /// The rounding of both parts, of which one meets the secret.
    fn rounding(&self, scale: f64) -> Deviation {
        let secret = ROUNDING_VARIANCE * TERNARY_VARIANCE * self.ring_dimension;
        Deviation { even: self.slot_deviation(ROUNDING_VARIANCE, scale), secret: self.slot_deviation(secret, scale) }
    }

    /// The division of both parts by P: its error is a sum of one uniform number for each prime of P, because the
    /// conversion from these primes is approximate (Halevi, Polyakov, Shoup 2019, section 2.2). Their mean, which would be felt
    /// in the slots of the lowest frequencies, is taken off by the engine.
    fn division(&self, scale: f64) -> Deviation {
        self.rounding(scale).times(self.special_primes.sqrt())
    }

    /// Encryption: `v·e + e0 + e1·s` with ternary `v` and `s`, and the rounding of the encoded values. The public key's
    /// `e` is as constant as the secret and counted with it.
    pub(crate) fn fresh(&self) -> Deviation {
        let variance = self.figures.error_deviation.powi(2);
        let products = variance * 2.0 * TERNARY_VARIANCE * self.ring_dimension;
        Deviation {
            even: self.slot_deviation(variance + ROUNDING_VARIANCE, self.scale),
            secret: self.slot_deviation(products, self.scale),
        }
    }

    /// A rescale: both parts are rounded.
    pub(crate) fn rescale(&self) -> Deviation {
        self.rounding(self.scale)
    }

    /// A rotation or a relinearization: the digits' errors divided by P, and a rounding.
    pub(crate) fn key_switch(&self, ty: Type) -> Deviation {
        let scale = if ty.kind == Kind::Rest { self.scale } else { self.scale * self.scale };
        Deviation::even(self.slot_deviation(self.key_switch_variance, scale)).and(self.division(scale))
    }

    /// A bootstrap: mostly the approximation of the modular reduction and the rounding under the small scale inside.
    pub(crate) fn bootstrap(&self, slots: usize) -> Deviation {
        Deviation::even(self.figures.bootstrap_deviation(&self.parameters, slots))
    }

    /// A linear map: the babies' errors times the weights, the rounding of the plaintexts times the values, the
    /// rescale, and the folds, each of which doubles the variance of what was there. Giant steps happen at the
    /// product's scale, where their error vanishes.
    pub(crate) fn linear(&self, map: &PackedMap, row_norm: f64, magnitude: f64) -> Deviation {
        let (rounding, switch) = (self.rounding(self.scale), self.slot_deviation(self.key_switch_variance, self.scale));
        let rotation = Deviation::even(switch).and(self.division(self.scale));
        let babies = if map.plan.babies().is_empty() { Deviation::even(0.0) } else { rotation.times(row_norm) };
        let diagonals: usize = map.plan.giants.iter().map(|giant| giant.babies.len()).sum();
        let encoding = self.slot_deviation(ROUNDING_VARIANCE, self.scale) * magnitude * (diagonals as f64).sqrt();
        let before_folds = Deviation::even(encoding).and(rounding);
        let fold = |sum: Deviation, _: &i64| sum.times(std::f64::consts::SQRT_2).and(rotation);
        map.plan.folds.iter().fold(before_folds, fold).and(babies)
    }
}

/// Errors from a seed, for one run.
pub(crate) struct NoiseSource<'m> {
    model: &'m NoiseModel,
    numbers: SplitMix64,
}

impl<'m> NoiseSource<'m> {
    pub(crate) fn new(model: &'m NoiseModel, seed: u64) -> Self {
        NoiseSource { model, numbers: SplitMix64::new(seed) }
    }

    pub(crate) fn model(&self) -> &'m NoiseModel {
        self.model
    }

    /// Adds an independent error to every slot.
    pub(crate) fn add_to(&mut self, values: &mut [f64], deviation: Deviation) {
        for (value, secret) in values.iter_mut().zip(self.model.secret.iter().cycle()) {
            *value += deviation.at(*secret) * gaussian(&mut self.numbers);
        }
    }

    /// What decryption adds to values that should be the exact ones.
    pub(crate) fn add_decryption(&mut self, values: &mut [f64], exact: &[f64]) {
        let squares: f64 = values.iter().zip(exact).map(|(value, exact)| (value - exact).powi(2)).sum();
        let found = (squares / values.len().max(1) as f64).sqrt();
        self.add_to(values, Deviation::even(self.model.figures.decryption_factor * found));
    }
}

/// Sizes of a secret at slots of which each stands for some copies, drawn from a seed: square roots of the means of
/// exponentially distributed numbers of mean 1.
fn secret_sizes(seed: u64, slots: usize, copies: usize) -> Vec<f64> {
    let mut numbers = SplitMix64::new(seed);
    let mut square = || -(1.0 - numbers.uniform()).ln();
    let copies = copies.max(1);
    (0..slots).map(|_| ((0..copies).map(|_| square()).sum::<f64>() / copies as f64).sqrt()).collect()
}

/// Box and Muller's method.
fn gaussian(numbers: &mut SplitMix64) -> f64 {
    (-2.0 * (1.0 - numbers.uniform()).ln()).sqrt() * (std::f64::consts::TAU * numbers.uniform()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use paf_ir::ckks::Level;
    use paf_scheme::Secret;

    fn model() -> NoiseModel {
        let parameters = Parameters {
            ring_dimension: 1 << 15,
            slots: 1 << 14,
            levels: Level(10),
            scale_bits: 45,
            first_modulus_bits: 55,
            digits: 3,
            special_primes: 4,
            secret: Secret::UniformTernary,
            bootstrap: None,
            log_qp: 745,
            security_bits: 128,
        };
        NoiseModel::new(EngineProfile::openfhe(), &parameters, 3)
    }

    #[test]
    fn gaussians_have_the_deviation_asked_for() {
        let model = model();
        let mut values = vec![0.0; 100_000];
        NoiseSource::new(&model, 7).add_to(&mut values, Deviation { even: 0.3, secret: 0.4 });
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64;
        assert!(mean.abs() < 0.01 && (variance.sqrt() - 0.5).abs() < 0.01, "mean {mean}, variance {variance}");
    }

    #[test]
    fn the_errors_are_those_of_the_formulas() {
        let model = model();
        // sqrt(2^14 · 10.18 · (1 + 4/3 · 2^15) + …) ≈ 2^16.4 at a scale of 2^45.
        assert!((model.fresh().at(1.0).log2() - (16.4 - 45.0)).abs() < 0.1, "{:?}", model.fresh());
        // sqrt(2^14 · 2^15 / 18) ≈ 2^12.4.
        assert!((model.rescale().at(1.0).log2() - (12.4 - 45.0)).abs() < 0.1, "{:?}", model.rescale());
    }
}
