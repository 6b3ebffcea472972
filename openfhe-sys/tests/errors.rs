//! What OpenFHE or the shim refuses arrives as an error with a usable text.

mod common;

use common::{Party, parameters, take_turns, values};
use openfhe_reference as fhe;

const TECHNIQUE: fhe::ScalingTechnique = fhe::ScalingTechnique::FlexibleAuto;

#[track_caller]
fn check<T>(result: Result<T, fhe::Exception>, part: &str) {
    let error = result.err().expect("an error");
    assert!(error.what().contains(part), "{:?} does not contain {part:?}", error.what());
}

#[test]
fn contexts() {
    let _turn = take_turns();
    let valid = parameters(4, TECHNIQUE);
    let secure = fhe::ContextParameters { security_level: fhe::SecurityLevel::Classic128, ..valid.clone() };
    check(fhe::create_context(&secure), "does not comply with HE standards");
    for invalid in [
        fhe::ContextParameters { ring_dimension: 1000, ..valid.clone() },
        fhe::ContextParameters { ring_dimension: 0, ..valid.clone() },
        fhe::ContextParameters { slots: 4096, ..valid.clone() },
        fhe::ContextParameters { slots: 3, ..valid.clone() },
        fhe::ContextParameters { multiplicative_depth: 0, ..valid.clone() },
        fhe::ContextParameters { digits: 0, ..valid.clone() },
        fhe::ContextParameters { digits: 6, ..valid.clone() },
        fhe::ContextParameters { scaling_mod_bits: 5, ..valid.clone() },
        fhe::ContextParameters { first_mod_bits: 61, ..valid.clone() },
    ] {
        check(fhe::create_context(&invalid), "must");
    }
}

#[test]
fn missing_keys() {
    let _turn = take_turns();
    fhe::clear_rotation_keys().unwrap();
    let party = Party::new(2, TECHNIQUE);
    let ciphertext = party.encrypt(&[0.5]);
    check(fhe::rotate(&ciphertext, 1), "EvalAutomorphismKeys are not generated");
    fhe::generate_rotation_keys(&party.keys.secret_key, &[2]).expect("key generation");
    check(fhe::rotate(&ciphertext, 1), "no evaluation key");
    let digits = fhe::precompute_digits(&ciphertext).expect("two parts");
    check(fhe::rotate_hoisted(&ciphertext, 1, &digits), "no evaluation key");
    fhe::clear_multiplication_keys().unwrap();
    check(fhe::square(&ciphertext), "EvalMultKey");
    let tag = ciphertext.key_tag().expect("a tag");
    check(fhe::export_evaluation_key(&tag, fhe::MULTIPLICATION_KEY), "EvalMultKey");
    check(fhe::export_evaluation_key(&tag, 3), "no evaluation key 3");
    check(fhe::remove_evaluation_key("nobody", 5), "not generated");
}

#[test]
fn unequal_operands() {
    let _turn = take_turns();
    let party = Party::new(3, TECHNIQUE);
    let other = Party::new(3, TECHNIQUE);
    let (high, low) = (party.encrypt(&[0.5]), fhe::drop_levels(&party.encrypt(&[0.5]), 1).expect("limbs are left"));
    let plain = party.encode(&[0.5], 0, party.scale(0));
    check(fhe::add(&high, &low), "4 and 3 limbs");
    check(fhe::multiply(&high, &low), "4 and 3 limbs");
    check(fhe::add_plain(&low, &plain), "3 limbs, the plaintext 4");
    check(fhe::multiply_plain(&low, &plain), "3 limbs, the plaintext 4");
    check(fhe::add(&high, &other.encrypt(&[0.5])), "different keys");
    check(fhe::decrypt(&other.keys.secret_key, &high, party.scale(0)), "another key");
    let digits = fhe::precompute_digits(&high).expect("two parts");
    check(fhe::rotate_hoisted(&low, 1, &digits), "another level");
    let extended = fhe::extend(&low, true).expect("two parts");
    let plaintext = fhe::encode_extended(&party.context, &[0.5], 8, 0, 1e12).expect("encode");
    let terms = [fhe::ExtendedTerm { ciphertext: &extended, plaintext: &plaintext }];
    check(fhe::inner_product_extended(&terms), "different levels");
    let three_parts = fhe::square_no_relinearize(&high).expect("a product");
    check(fhe::multiply(&three_parts, &high), "relinearize");
    check(fhe::rotate(&three_parts, 1), "relinearize");
}

#[test]
fn used_up_levels() {
    let _turn = take_turns();
    let party = Party::new(2, TECHNIQUE);
    let last = fhe::drop_levels(&party.encrypt(&[0.5]), 2).expect("a limb is left");
    check(fhe::rescale(&last), "no prime is left");
    check(fhe::drop_levels(&last, 1), "no limb would be left");
    check(fhe::encode(&party.context, &[0.5], 8, 3, 1e12), "beyond the last prime");
}

#[test]
fn impossible_numbers() {
    let _turn = take_turns();
    let party = Party::new(2, TECHNIQUE);
    let context = &party.context;
    let ciphertext = party.encrypt(&[0.5]);
    check(fhe::encode(context, &[f64::NAN], 8, 0, 1e12), "not finite");
    check(fhe::encode(context, &[1.0], 8, 0, 0.0), "scale must be positive");
    check(fhe::encode(context, &[1e300], 8, 0, 1e300), "not finite");
    check(fhe::encode(context, &values(1, 9), 8, 0, 1e12), "more values than slots");
    check(fhe::encode(context, &[1.0], 6, 0, 1e12), "power of two");
    check(fhe::encode(context, &[1.0], 4096, 0, 1e12), "power of two");
    check(fhe::add_constant(&ciphertext, f64::INFINITY, 1e12), "not finite");
    check(fhe::multiply_constant(&ciphertext, 1.0, -1.0), "scale must be positive");
    check(fhe::decrypt(&party.keys.secret_key, &ciphertext, f64::NAN), "scale must be positive");
    check(fhe::decrypt(&party.keys.secret_key, &ciphertext, 4.0), "too high");
}

#[test]
fn bootstrapping() {
    let _turn = take_turns();
    let party = Party::new(4, TECHNIQUE);
    let ciphertext = party.encrypt(&[0.5]);
    check(fhe::bootstrap_depth(&[2], fhe::SecretKeyDistribution::SparseTernary), "two numbers");
    check(fhe::setup_bootstrap(&party.context, &[2, 2], &[0, 0], 64, 0), "the context has 4");
    check(fhe::setup_bootstrap(&party.context, &[9, 2], &[0, 0], 64, 0), "level budget");
    check(fhe::bootstrap(&ciphertext, 1, 0), "not found");
    check(fhe::generate_bootstrap_keys(&party.keys.secret_key, 64), "not found");
    check(fhe::generate_encapsulation_keys(&party.keys.secret_key), "sparse encapsulation");
}
