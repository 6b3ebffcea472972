//! A context of OpenFHE for a circuit's parameters, with its scales by level.

use openfhe_sys as fhe;
use paf_engine::{EngineError, Result};
use paf_ir::ckks::{Kind, Level, Type};
use paf_scheme::{Parameters, Secret, encapsulation_problem, log_qp_limit_128};

use crate::turns::alone;
use crate::{NAME, failed, message};

/// Parameters of a circuit as OpenFHE realises them.
pub struct OpenFheEngine {
    context: fhe::UniquePtr<fhe::Context>,
    parameters: Parameters,
    /// By limbs dropped.
    scales: Vec<f64>,
    /// The primes of Q, `q_0` first.
    primes: Vec<u64>,
    /// Those of P.
    special_primes: Vec<u64>,
}

impl OpenFheEngine {
    /// Makes the context and checks that it is what the circuit declares, its security included.
    ///
    /// # Errors
    /// [`EngineError::ParameterMismatch`] if OpenFHE refuses the parameters or makes something else of them,
    /// [`EngineError::Library`].
    pub(crate) fn create(parameters: &Parameters) -> Result<Self> {
        let wanted = to_openfhe(parameters)?;
        let mut turn = alone()?;
        let context = fhe::create_context(&wanted).map_err(|exception| mismatch(message(&exception)))?;
        turn.prepare(&context)?;
        drop(turn);
        let engine = OpenFheEngine {
            scales: context.scaling_factors().map_err(failed("scales"))?,
            primes: context.moduli_q().map_err(failed("primes"))?,
            special_primes: context.moduli_p().map_err(failed("primes"))?,
            context,
            parameters: parameters.clone(),
        };
        engine.check()?;
        engine.check_bootstrap()?;
        Ok(engine)
    }

    fn check(&self) -> Result<()> {
        let (context, declared) = (&self.context, &self.parameters);
        let log_qp = context.log2_qp();
        let limit = f64::from(log_qp_limit_128(declared.ring_dimension));
        let mismatch = |message: String| Err(mismatch(message));
        if context.ring_dimension() as usize != declared.ring_dimension {
            return mismatch(format!("N = {} instead of {}", context.ring_dimension(), declared.ring_dimension));
        }
        if self.primes.len() != declared.limbs() || self.scales.len() != declared.limbs() {
            return mismatch(format!("{} primes instead of {}", self.primes.len(), declared.limbs()));
        }
        if self.special_primes.len() > declared.special_primes as usize {
            let got = self.special_primes.len();
            return mismatch(format!("{got} special primes instead of {}", declared.special_primes));
        }
        if !declared.is_insecure() && log_qp > limit {
            return mismatch(format!("log2(QP) = {log_qp:.1}, above {limit} for 128 bits of security"));
        }
        self.check_encapsulation()
    }

    /// Checks the key under the sparse secret of bootstraps, which OpenFHE makes modulo the first prime of Q and the first of P.
    fn check_encapsulation(&self) -> Result<()> {
        let declared = &self.parameters;
        let sparse = declared.secret == Secret::UniformTernaryEncapsulated && !declared.is_insecure();
        let (Some(&first), Some(&special), true) = (self.primes.first(), self.special_primes.first(), sparse) else {
            return Ok(());
        };
        let log_qp = (first as f64).log2() + (special as f64).log2();
        encapsulation_problem(declared.ring_dimension, log_qp).map_or(Ok(()), |problem| Err(mismatch(problem)))
    }

    /// Checks that a bootstrap takes as many levels as the compiler counted on.
    fn check_bootstrap(&self) -> Result<()> {
        let Some(declared) = self.parameters.bootstrap else { return Ok(()) };
        let distribution = distribution(self.parameters.secret);
        let depth = fhe::bootstrap_depth(&declared.level_budget, distribution).map_err(failed("bootstrap depth"))?
            + (declared.iterations() - 1);
        if depth == declared.depth {
            return Ok(());
        }
        let message = format!("a bootstrap takes {depth} levels, the circuit counts on {}", declared.depth);
        Err(mismatch(message))
    }

    /// Makes the tables of bootstraps of this many slots.
    ///
    /// # Errors
    /// [`EngineError::BootstrapUnsupported`] if the parameters have none, [`EngineError::Library`].
    pub(crate) fn set_up_bootstrap(&self, slots: usize) -> Result<()> {
        let Some(bootstrap) = self.parameters.bootstrap else { return Err(EngineError::BootstrapUnsupported) };
        let _turn = alone()?;
        fhe::setup_bootstrap(&self.context, &bootstrap.level_budget, &[0, 0], slots as u32, 0)
            .map_err(failed("bootstrap"))
    }

    /// The context, for the calls of the bridge.
    pub fn context(&self) -> &fhe::Context {
        &self.context
    }

    /// The parameters as the circuit declares them.
    pub(crate) fn declared(&self) -> &Parameters {
        &self.parameters
    }

    /// The primes of Q, the first one first.
    pub(crate) fn primes(&self) -> &[u64] {
        &self.primes
    }

    /// Limbs that are dropped at a level: what OpenFHE calls level.
    pub fn dropped(&self, level: Level) -> u32 {
        self.parameters.levels.0 - level.0
    }

    /// `s_l`, the scale of values at rest.
    pub fn scale(&self, level: Level) -> f64 {
        self.scales[self.dropped(level) as usize]
    }

    /// The scale of values of a type.
    pub(crate) fn scale_of(&self, ty: Type) -> f64 {
        let at_rest = self.scale(ty.level);
        if ty.kind == Kind::Rest { at_rest } else { at_rest * at_rest }
    }

    /// The scale of a plaintext that takes a value at rest at level `from` to the scale of a value at rest at level
    /// `to`, after the rescale that drops `q_{to+1}`: `s_to · q_{to+1} / s_from`.
    pub fn adjusting_scale(&self, from: Level, to: Level) -> f64 {
        self.scale(to) * self.primes[to.0 as usize + 1] as f64 / self.scale(from)
    }

    /// Bytes of one plaintext at a level whose values repeat with a period: a polynomial of twice as many coefficients.
    pub(crate) fn plaintext_bytes(&self, level: Level, period: usize) -> u64 {
        (u64::from(level.0) + 1) * 2 * period as u64 * 8
    }
}

fn mismatch(message: String) -> EngineError {
    EngineError::ParameterMismatch { engine: NAME, message }
}

fn to_openfhe(parameters: &Parameters) -> Result<fhe::ContextParameters> {
    let narrow = |value: usize, name: &str| u32::try_from(value).map_err(|_| mismatch(format!("{name} is {value}")));
    Ok(fhe::ContextParameters {
        ring_dimension: narrow(parameters.ring_dimension, "ring dimension")?,
        slots: narrow(parameters.slots, "slots")?,
        multiplicative_depth: parameters.levels.0,
        scaling_mod_bits: parameters.scale_bits,
        first_mod_bits: parameters.first_modulus_bits,
        digits: parameters.digits,
        scaling_technique: fhe::ScalingTechnique::FlexibleAuto,
        secret_key_distribution: distribution(parameters.secret),
        security_level: if parameters.is_insecure() {
            fhe::SecurityLevel::NotSet
        } else {
            fhe::SecurityLevel::Classic128
        },
    })
}

/// The context's distribution. Under an encapsulated secret OpenFHE would draw a sparse main secret; key generation
/// draws a uniform one instead ([`openfhe_sys::generate_dense_key_pair`]).
fn distribution(secret: Secret) -> fhe::SecretKeyDistribution {
    match secret {
        Secret::UniformTernary => fhe::SecretKeyDistribution::UniformTernary,
        Secret::UniformTernaryEncapsulated => fhe::SecretKeyDistribution::SparseEncapsulated,
    }
}

impl std::fmt::Debug for OpenFheEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenFheEngine").field("parameters", &self.parameters).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use paf_scheme::{EngineProfile, Secret};

    use super::{distribution, fhe};

    #[test]
    fn a_bootstrap_takes_the_levels_that_the_compiler_counts_on() {
        let budgets = (1..=5).flat_map(|encode| (1..=5).map(move |decode| [encode, decode]));
        for budget in budgets {
            let depth = fhe::bootstrap_depth(&budget, distribution(Secret::UniformTernaryEncapsulated));
            assert_eq!(
                depth.expect("two numbers"),
                EngineProfile::openfhe().bootstrap.with_budget(budget).depth,
                "budgets {budget:?}"
            );
        }
    }
}
