//! Each operation against plain f64 arithmetic, in both kinds of context.

mod common;

use common::{Party, Tolerance, map, parameters, take_turns, values, zip};
use openfhe_reference as fhe;

const TECHNIQUES: [fhe::ScalingTechnique; 2] =
    [fhe::ScalingTechnique::FixedManual, fhe::ScalingTechnique::FlexibleAuto];

struct Case {
    party: Party,
    x: Vec<f64>,
    y: Vec<f64>,
    ct_x: fhe::UniquePtr<fhe::Ciphertext>,
    ct_y: fhe::UniquePtr<fhe::Ciphertext>,
}

fn for_each_technique(test: impl Fn(&Case) -> Result<(), fhe::Exception>) {
    let _turn = take_turns();
    for technique in TECHNIQUES {
        let party = Party::new(3, technique);
        let (x, y) = (values(1, party.slots), values(2, party.slots));
        let (ct_x, ct_y) = (party.encrypt(&x), party.encrypt(&y));
        test(&Case { party, x, y, ct_x, ct_y }).expect("no operation fails");
    }
}

#[test]
fn sums() {
    for_each_technique(|Case { party, x, y, ct_x, ct_y }| {
        let scale = party.scale(0);
        party.check(&*fhe::add(ct_x, ct_y)?, scale, &zip(x, y, |a, b| a + b), Tolerance::Noise);
        party.check(&*fhe::subtract(ct_x, ct_y)?, scale, &zip(x, y, |a, b| a - b), Tolerance::Noise);
        let plain = party.encode(y, 0, scale);
        party.check(&*fhe::add_plain(ct_x, &plain)?, scale, &zip(x, y, |a, b| a + b), Tolerance::Noise);
        party.check(&*fhe::add_constant(ct_x, -1.75, scale)?, scale, &map(x, |a| a - 1.75), Tolerance::Noise);
        Ok(())
    });
}

#[test]
fn in_place_sums_keep_the_other_operand() {
    for_each_technique(|Case { party, x, y, ct_x, ct_y }| {
        let mut sum = fhe::clone_ciphertext(ct_x)?;
        fhe::add_in_place(sum.pin_mut(), ct_y)?;
        fhe::subtract_in_place(sum.pin_mut(), ct_x)?;
        party.check(&sum, party.scale(0), y, Tolerance::Noise);
        party.check(ct_x, party.scale(0), x, Tolerance::Noise);
        Ok(())
    });
}

#[test]
fn products_with_plaintexts_and_constants() {
    for_each_technique(|Case { party, x, y, ct_x, .. }| {
        let (scale, factor_scale) = (party.scale(0), party.dropped_prime(0));
        let plain = party.encode(y, 0, factor_scale);
        let product = fhe::rescale(&*fhe::multiply_plain(ct_x, &plain)?)?;
        party.check(&product, scale, &zip(x, y, |a, b| a * b), Tolerance::Operation);
        let product = fhe::rescale(&*fhe::multiply_constant(ct_x, -0.3, factor_scale)?)?;
        party.check(&product, scale, &map(x, |a| -0.3 * a), Tolerance::Operation);
        assert_eq!((product.level(), product.noise_scale_degree()), (1, 1));
        Ok(())
    });
}

#[test]
fn ciphertext_products() {
    for_each_technique(|Case { party, x, y, ct_x, ct_y }| {
        let scale = party.scale(0) * party.scale(0);
        let expected = zip(x, y, |a, b| a * b);
        let three_parts = fhe::multiply_no_relinearize(ct_x, ct_y)?;
        assert_eq!((three_parts.part_count(), three_parts.noise_scale_degree()), (3, 2));
        assert_eq!(three_parts.scaling_factor(), scale);
        party.check(&three_parts, scale, &expected, Tolerance::Operation);
        party.check(&*fhe::relinearize(&three_parts)?, scale, &expected, Tolerance::Operation);
        let product = fhe::rescale(&*fhe::multiply(ct_x, ct_y)?)?;
        party.check(&product, scale / party.dropped_prime(0), &expected, Tolerance::Operation);
        let square = fhe::rescale(&*fhe::square(ct_x)?)?;
        party.check(&square, scale / party.dropped_prime(0), &map(x, |a| a * a), Tolerance::Operation);
        Ok(())
    });
}

#[test]
fn sums_of_two_and_three_parts() {
    for_each_technique(|Case { party, x, y, ct_x, ct_y }| {
        let scale = party.scale(0) * party.scale(0);
        let lifted = fhe::multiply_constant(ct_x, 1.0, party.scale(0))?;
        let product = fhe::multiply_no_relinearize(ct_x, ct_y)?;
        let sum = fhe::relinearize(&*fhe::add(&lifted, &product)?)?;
        party.check(&sum, scale, &zip(x, y, |a, b| a + a * b), Tolerance::Operation);
        let difference = fhe::relinearize(&*fhe::subtract(&lifted, &product)?)?;
        party.check(&difference, scale, &zip(x, y, |a, b| a - a * b), Tolerance::Operation);
        Ok(())
    });
}

#[test]
fn dropped_levels_keep_message_and_scale() {
    for_each_technique(|Case { party, x, ct_x, .. }| {
        for count in 0..=3 {
            let lower = fhe::drop_levels(ct_x, count)?;
            assert_eq!((lower.level(), lower.limb_count()), (count, 4 - count));
            party.check(&lower, party.scale(0), x, Tolerance::Noise);
        }
        Ok(())
    });
}

#[test]
fn any_scale_can_be_encoded() {
    let _turn = take_turns();
    let party = Party::new(3, fhe::ScalingTechnique::FlexibleAuto);
    let x = values(3, party.slots);
    for bits in [30, 45, 62, 75, 100] {
        let scale = 1.37 * 2f64.powi(bits);
        let ciphertext = fhe::encrypt(&party.keys.public_key, &party.encode(&x, 0, scale)).expect("encrypt");
        assert_eq!(ciphertext.scaling_factor(), scale);
        let tolerance = if bits < 40 { Tolerance::Bits(12) } else { Tolerance::Noise };
        party.check(&ciphertext, scale, &x, tolerance);
    }
}

#[test]
fn values_below_the_scale_encode_to_zero() {
    let _turn = take_turns();
    let party = Party::new(3, fhe::ScalingTechnique::FlexibleAuto);
    let tiny = vec![1e-30; party.slots as usize];
    for values in [&tiny[..], &[]] {
        let ciphertext = fhe::encrypt(&party.keys.public_key, &party.encode(values, 1, party.scale(1)));
        party.check(&ciphertext.expect("encrypt"), party.scale(1), &vec![0.0; tiny.len()], Tolerance::Noise);
    }
}

#[test]
fn fewer_slots_repeat() {
    let _turn = take_turns();
    let party = Party::new(3, fhe::ScalingTechnique::FlexibleAuto);
    let x = values(4, 64);
    let plaintext = fhe::encode(&party.context, &x, 64, 0, party.scale(0)).expect("encode");
    let mut ciphertext = fhe::encrypt(&party.keys.public_key, &plaintext).expect("encrypt");
    assert_eq!(ciphertext.slots(), 64);
    let full = party.encode(&vec![1.0; party.slots as usize], 0, party.scale(0));
    fhe::add_plain_in_place(ciphertext.pin_mut(), &full).expect("same level");
    party.check(&ciphertext, party.scale(0), &map(&x, |a| a + 1.0), Tolerance::Noise);
}

#[test]
fn a_context_says_its_primes_and_a_ciphertext_its_key() {
    let _turn = take_turns();
    let party = Party::new(3, fhe::ScalingTechnique::FlexibleAuto);
    let context = &party.context;
    assert_eq!(context.limb_count(), 4);
    assert_eq!(context.moduli_q().unwrap().len(), 4);
    let bits: f64 =
        context.moduli_q().unwrap().iter().chain(&context.moduli_p().unwrap()).map(|&q| (q as f64).log2()).sum();
    assert!((context.log2_qp() - bits).abs() < 1e-9);
    let ciphertext = party.encrypt(&[0.5]);
    assert_eq!(ciphertext.key_tag().expect("a tag"), party.keys.public_key.key_tag().expect("a tag"));
}

#[test]
fn equal_parameters_give_equal_primes() {
    let _turn = take_turns();
    let parameters = parameters(5, fhe::ScalingTechnique::FlexibleAuto);
    let first = fhe::create_context(&parameters).expect("valid");
    fhe::release_contexts().unwrap();
    let second = fhe::create_context(&parameters).expect("valid");
    assert_eq!(first.moduli_q().unwrap(), second.moduli_q().unwrap());
    assert_eq!(first.moduli_p().unwrap(), second.moduli_p().unwrap());
    assert_eq!(first.scaling_factors().unwrap(), second.scaling_factors().unwrap());
}
