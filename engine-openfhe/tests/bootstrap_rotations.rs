//! The rotations of a bootstrap that the compiler counts on are those that OpenFHE uses.

use openfhe_reference as fhe;
use paf_ir::ckks::Level;
use paf_scheme::{Bootstrap, EngineProfile};

const RING_DIMENSION: usize = 1 << 10;
const LEVELS: Level = Level(20);

fn rotations_of_openfhe(bootstrap: &Bootstrap, slots: usize) -> Result<Vec<i64>, fhe::Exception> {
    let context = fhe::create_context(&fhe::ContextParameters {
        ring_dimension: RING_DIMENSION as u32,
        slots: slots as u32,
        multiplicative_depth: bootstrap.depth + 2,
        scaling_mod_bits: 50,
        first_mod_bits: 57,
        digits: 3,
        scaling_technique: fhe::ScalingTechnique::FlexibleAuto,
        secret_key_distribution: fhe::SecretKeyDistribution::SparseEncapsulated,
        security_level: fhe::SecurityLevel::NotSet,
    })?;
    fhe::setup_bootstrap(&context, &bootstrap.level_budget, &[0, 0], slots as u32, 0)?;
    let steps = fhe::bootstrap_rotation_steps(&context, slots as u32)?;
    fhe::release_contexts().unwrap();
    Ok(steps.into_iter().map(i64::from).collect())
}

#[test]
fn rotations_are_those_of_openfhe() {
    for slots in [16, 64, 128, 512] {
        for budget in [[2, 2], [3, 3], [3, 4], [4, 2]] {
            let bootstrap = EngineProfile::openfhe().bootstrap.with_budget(budget);
            assert!(bootstrap.fits(slots), "{slots} slots, budgets {budget:?}");
            let expected = rotations_of_openfhe(&bootstrap, slots).expect("the parameters are usable");
            let rotations: Vec<i64> = bootstrap.rotations(slots, RING_DIMENSION, LEVELS).into_keys().collect();
            assert_eq!(rotations, expected, "{slots} slots, budgets {budget:?}");
        }
    }
    assert!(
        !EngineProfile::openfhe().bootstrap.with_budget([5, 3]).fits(16),
        "a transform of 16 slots has four layers"
    );
}
