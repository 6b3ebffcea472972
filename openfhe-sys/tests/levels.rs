//! Levels and scales managed by the caller in a FLEXIBLEAUTO context: a ciphertext at rest at level k has the scale
//! `scaling_factors()[k]` and degree 1.

mod common;

use common::{Party, Tolerance, map, take_turns, values, zip};
use openfhe_reference as fhe;

const DEPTH: u32 = 20;

#[test]
fn each_scale_is_the_square_of_the_last_over_its_prime() {
    let _turn = take_turns();
    let party = Party::new(DEPTH, fhe::ScalingTechnique::FlexibleAuto);
    for level in 0..DEPTH {
        let next = party.scale(level).powi(2) / party.dropped_prime(level);
        assert!((next / party.scale(level + 1) - 1.0).abs() < 1e-14, "level {level}");
    }
}

/// Nineteen products with the same factor: an error in a scale would be carried to the end.
#[test]
fn a_long_chain_of_products_stays_at_noise_level() {
    let _turn = take_turns();
    let party = Party::new(DEPTH, fhe::ScalingTechnique::FlexibleAuto);
    let x = map(&values(5, party.slots), |a| 0.5 * a + 0.5);
    let half = map(&x, |a| 0.5 * a + 0.5);
    let (mut power, mut expected) = (party.encrypt(&half), half.clone());
    let original = party.encrypt(&half);
    for level in 0..DEPTH - 1 {
        let other = bring_to(&party, &original, level);
        power = fhe::multiply(&power, &other).expect("same level");
        fhe::rescale_in_place(power.pin_mut()).expect("a prime is left");
        expected = zip(&expected, &half, |a, b| a * b);
        assert_eq!((power.level(), power.noise_scale_degree()), (level + 1, 1));
        assert!((power.scaling_factor() / party.scale(level + 1) - 1.0).abs() < 1e-12);
        // The error of a power is its exponent times that of its factor, which is a fresh ciphertext's.
        party.check(&power, party.scale(level + 1), &expected, Tolerance::Bits(17));
    }
}

/// From its level to `target` in one step: drop limbs to the level above, and let a product with a constant at just
/// the right scale absorb the difference of the scales.
fn bring_to(party: &Party, ciphertext: &fhe::Ciphertext, target: u32) -> fhe::UniquePtr<fhe::Ciphertext> {
    let level = ciphertext.level();
    if level == target {
        return fhe::clone_ciphertext(ciphertext).expect("a copy");
    }
    let mut result = fhe::drop_levels(ciphertext, target - 1 - level).expect("limbs are left");
    let scale = party.scale(target) * party.dropped_prime(target - 1) / party.scale(level);
    fhe::multiply_constant_in_place(result.pin_mut(), 1.0, scale).expect("a finite constant");
    fhe::rescale_in_place(result.pin_mut()).expect("a prime is left");
    result
}

#[test]
fn jumps_between_levels_land_on_the_scale_at_rest() {
    let _turn = take_turns();
    let party = Party::new(DEPTH, fhe::ScalingTechnique::FlexibleAuto);
    let x = values(6, party.slots);
    let ciphertext = party.encrypt(&x);
    for target in [1, 2, 7, DEPTH] {
        let lower = bring_to(&party, &ciphertext, target);
        assert_eq!((lower.level(), lower.noise_scale_degree()), (target, 1));
        party.check(&lower, party.scale(target), &x, Tolerance::Operation);
    }
}

#[test]
fn a_plaintext_product_jumps_too() {
    let _turn = take_turns();
    let party = Party::new(DEPTH, fhe::ScalingTechnique::FlexibleAuto);
    let (x, y) = (values(7, party.slots), values(8, party.slots));
    let (from, to) = (0, 9);
    let scale = party.scale(to) * party.dropped_prime(to - 1) / party.scale(from);
    let mut product = fhe::drop_levels(&party.encrypt(&x), to - 1 - from).expect("limbs are left");
    fhe::multiply_plain_in_place(product.pin_mut(), &party.encode(&y, to - 1, scale)).expect("same level");
    fhe::rescale_in_place(product.pin_mut()).expect("a prime is left");
    party.check(&product, party.scale(to), &zip(&x, &y, |a, b| a * b), Tolerance::Operation);
}
