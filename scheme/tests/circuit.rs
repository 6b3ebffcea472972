//! What a circuit counts, and which keys it needs.

use paf_ir::ckks::{CkksProgram, Level, Op};
use paf_scheme::{Counts, EngineProfile, Parameters, Secret, relinearization_level, rotation_levels};

fn parameters() -> Parameters {
    Parameters {
        ring_dimension: 1 << 11,
        slots: 8,
        levels: Level(20),
        scale_bits: 50,
        first_modulus_bits: 57,
        digits: 4,
        special_primes: 6,
        secret: Secret::UniformTernaryEncapsulated,
        bootstrap: Some(EngineProfile::openfhe().bootstrap.with_budget([2, 2])),
        log_qp: 57 + 20 * 50 + 6 * 60,
        security_bits: 0,
    }
}

#[test]
fn counts_are_those_of_one_evaluation() {
    let program = CkksProgram::from_text(include_str!("../../ir/tests/data/ckks.txt")).unwrap();
    let expected = Counts {
        levels: 6,
        bootstraps: 1,
        // The map: one baby, one giant, one fold; and the shift.
        rotations: 3 + 1,
        rotation_keys: [-3, -1, 2, 4].into(),
        ciphertext_products: 1,
        relinearizations: 1,
        // Both diagonals modulo 2 are there.
        plaintext_products: 2,
        // The product by a constant, and the drop's.
        constant_products: 2,
        // The map's, the rescale, the drop's.
        rescales: 3,
    };
    assert_eq!(Counts::of(&program), expected);
    assert_eq!(program.top_level(), Level(6));
}

#[test]
fn keys_reach_up_to_the_highest_level_of_their_use() {
    let program = CkksProgram::from_text(include_str!("../../ir/tests/data/ckks.txt")).unwrap();
    // Babies and giants rotate before the map's rescale, folds after it.
    let expected = [(-3, Level(5)), (-1, Level(3)), (2, Level(4)), (4, Level(5))];
    assert_eq!(rotation_levels(&program), expected.into());
}

/// The last value is a bootstrap; the relinearization before it is at level 4.
#[test]
fn relinearizations_reach_up_to_their_own_level_and_with_bootstraps_to_the_top() {
    let program = CkksProgram::from_text(include_str!("../../ir/tests/data/ckks.txt")).unwrap();
    assert_eq!(relinearization_level(&program, &parameters()), Some(Level(20)));
    let mut before = CkksProgram::new(program.slots, program.maps.clone(), program.inputs.clone());
    for (_, value) in program.values().take_while(|(_, value)| !matches!(value.op, Op::Bootstrap { .. })) {
        before.push(value.name.clone(), value.op.clone()).unwrap();
    }
    assert_eq!(relinearization_level(&before, &parameters()), Some(Level(4)));
}
