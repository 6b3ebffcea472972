//! Rotations, and inner products over Q·P, against clear ones.

mod common;

use common::{Party, Tolerance, rotated, take_turns, values};
use openfhe_reference as fhe;

fn party(steps: &[i32]) -> Party {
    let party = Party::new(4, fhe::ScalingTechnique::FlexibleAuto);
    fhe::generate_rotation_keys(&party.keys.secret_key, steps).expect("key generation");
    party
}

#[test]
fn plain_and_hoisted_rotations() {
    let _turn = take_turns();
    let steps = [1, 5, -3, 1000];
    let party = party(&steps);
    let x = values(1, party.slots);
    let ciphertext = fhe::drop_levels(&party.encrypt(&x), 1).expect("limbs are left");
    let digits = fhe::precompute_digits(&ciphertext).expect("two parts");
    for step in steps {
        let plain = fhe::rotate(&ciphertext, step).expect("the key is there");
        party.check(&plain, party.scale(0), &rotated(&x, step), Tolerance::Operation);
        let hoisted = fhe::rotate_hoisted(&ciphertext, step, &digits).expect("the key is there");
        party.check(&hoisted, party.scale(0), &rotated(&x, step), Tolerance::Operation);
    }
    let same = fhe::rotate(&ciphertext, 0).expect("no key is needed");
    party.check(&same, party.scale(0), &x, Tolerance::Noise);
}

/// More terms than one lazy sum holds.
#[test]
fn inner_product_is_the_sum_of_products() {
    let _turn = take_turns();
    let party = party(&[]);
    let count = 150;
    let x = values(5, party.slots);
    let lifted = fhe::extend(&party.encrypt(&x), true).expect("two parts");
    let factors: Vec<Vec<f64>> = (0..count).map(|seed| values(seed, party.slots)).collect();
    let encode = |factor: &Vec<f64>| fhe::encode_extended(&party.context, factor, party.slots, 0, 1e12);
    let plaintexts: Vec<_> = factors.iter().map(|factor| encode(factor).expect("encode")).collect();
    let terms: Vec<_> =
        plaintexts.iter().map(|plaintext| fhe::ExtendedTerm { ciphertext: &lifted, plaintext }).collect();
    let product = fhe::reduce_extended(&fhe::inner_product_extended(&terms).expect("one level")).expect("extended");
    let sum = |slot: usize| factors.iter().map(|factor| factor[slot]).sum::<f64>();
    let expected: Vec<f64> = x.iter().enumerate().map(|(slot, value)| value * sum(slot)).collect();
    assert_eq!(product.scaling_factor(), party.scale(0) * 1e12);
    party.check(&product, product.scaling_factor(), &expected, Tolerance::Bits(16));
    assert!(fhe::inner_product_extended(&[]).is_err());
}
