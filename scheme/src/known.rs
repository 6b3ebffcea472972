//! The engines there are, and whose rules parameters keep: what a reader of files believes.

use crate::{EngineProfile, Parameters};

impl EngineProfile {
    /// The profile of every engine there is.
    pub const KNOWN: &'static [&'static EngineProfile] = &[EngineProfile::openfhe()];

    /// The first known engine whose rules these parameters keep. They have at least one digit, and so few primes that no sum
    /// over them overflows.
    ///
    /// # Errors
    /// What is against the rules of the last one.
    pub fn of_parameters(parameters: &Parameters) -> Result<&'static EngineProfile, String> {
        EngineProfile::first_that_takes(EngineProfile::KNOWN, parameters)
    }

    fn first_that_takes(
        profiles: &[&'static EngineProfile],
        parameters: &Parameters,
    ) -> Result<&'static EngineProfile, String> {
        let mut refused = "no engine is known".to_owned();
        for &profile in profiles {
            match profile.check(parameters) {
                Ok(()) => return Ok(profile),
                Err(reason) => refused = reason,
            }
        }
        Err(refused)
    }

    /// Checks that parameters keep the rules of this engine: sizes of primes, enough of them in P, the depth of bootstraps,
    /// and the size of the modulus that follows.
    ///
    /// # Errors
    /// What is against them.
    pub fn check(&self, parameters: &Parameters) -> Result<(), String> {
        let &Parameters { levels, scale_bits, first_modulus_bits, digits, special_primes, .. } = parameters;
        let prime_bits = 1..=self.chain.most_prime_bits;
        if !prime_bits.contains(&scale_bits) || !prime_bits.contains(&first_modulus_bits) {
            return Err(format!("primes of {first_modulus_bits} and {scale_bits} bits"));
        }
        let needed = self.chain.special_primes(levels, scale_bits, first_modulus_bits, digits);
        if special_primes < needed {
            return Err(format!("{special_primes} special primes where {needed} are needed"));
        }
        let log_qp = parameters.log_q() + self.chain.log_p(special_primes);
        if parameters.log_qp != log_qp {
            return Err(format!("log2(QP) is {log_qp}, recorded is {}", parameters.log_qp));
        }
        if let Some(bootstrap) = parameters.bootstrap {
            let budget = bootstrap.level_budget;
            if bootstrap != self.bootstrap.with_budget(budget).refined(bootstrap.refinement_bits) {
                return Err(format!("a bootstrap of depth {} with the budgets {budget:?}", bootstrap.depth));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ChainRules;
    use crate::openfhe::OPENFHE;
    use crate::testing::parameters;

    /// An engine whose P consists of smaller primes.
    static OTHER: EngineProfile =
        EngineProfile { name: "another", chain: ChainRules { special_prime_bits: 50, ..OPENFHE.chain }, ..OPENFHE };

    #[test]
    fn parameters_belong_to_the_engine_whose_rules_they_keep() {
        let openfhe = parameters(20, 4);
        let mut others = openfhe.clone();
        others.special_primes =
            OTHER.chain.special_primes(others.levels, others.scale_bits, others.first_modulus_bits, others.digits);
        others.log_qp = others.log_q() + OTHER.chain.log_p(others.special_primes);
        let both = [EngineProfile::openfhe(), &OTHER];
        let name = |profiles: &[&'static EngineProfile], parameters: &Parameters| {
            EngineProfile::first_that_takes(profiles, parameters).map(|profile| profile.name)
        };
        assert_eq!(name(&both, &openfhe), Ok(EngineProfile::openfhe().name));
        assert_eq!(name(&both, &others), Ok("another"));
        assert!(name(&both[..1], &others).is_err());
        assert_eq!(EngineProfile::of_parameters(&openfhe).map(|profile| profile.name), Ok("OpenFHE 1.4.2"));
    }
}
