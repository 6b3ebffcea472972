//! A small bootstrap, with all keys made at once and one by one through bytes.

mod common;

use common::{Tolerance, take_turns, values};
use openfhe_reference as fhe;

const SLOTS: u32 = 64;
const BUDGET: [u32; 2] = [2, 2];
const DISTRIBUTION: fhe::SecretKeyDistribution = fhe::SecretKeyDistribution::SparseEncapsulated;

/// Levels left after the bootstrap.
const LEVELS_AFTER: u32 = 3;

fn parameters() -> fhe::ContextParameters {
    let depth = fhe::bootstrap_depth(&BUDGET, DISTRIBUTION).expect("two numbers");
    fhe::ContextParameters {
        ring_dimension: 1 << 11,
        slots: SLOTS,
        multiplicative_depth: depth + LEVELS_AFTER,
        scaling_mod_bits: 50,
        first_mod_bits: 57,
        digits: 3,
        scaling_technique: fhe::ScalingTechnique::FlexibleAuto,
        secret_key_distribution: DISTRIBUTION,
        security_level: fhe::SecurityLevel::NotSet,
    }
}

fn set_up() -> Result<fhe::UniquePtr<fhe::Context>, fhe::Exception> {
    let context = fhe::create_context(&parameters())?;
    fhe::setup_bootstrap(&context, &BUDGET, &[0, 0], SLOTS, 0)?;
    Ok(context)
}

/// A ciphertext with one level left, refreshed, brought to rest and compared; it must be good for a product.
fn check_bootstrap(context: &fhe::Context, keys: &fhe::KeyPair) -> Result<(), fhe::Exception> {
    let scales = context.scaling_factors().unwrap();
    let x = values(1, SLOTS);
    let last = context.limb_count() - 2;
    let plaintext = fhe::encode(context, &x, SLOTS, last, scales[last as usize])?;
    let exhausted = fhe::encrypt(&keys.public_key, &plaintext)?;
    let mut fresh = fhe::bootstrap(&exhausted, 1, 0)?;
    while fresh.noise_scale_degree() > 1 {
        fhe::rescale_in_place(fresh.pin_mut())?;
    }
    let level = fresh.level();
    assert!(fresh.limb_count() >= LEVELS_AFTER, "{} limbs are left", fresh.limb_count());
    let scale = scales[level as usize];
    assert!((fresh.scaling_factor() / scale - 1.0).abs() < 1e-9, "the scale is the one at rest");
    common::check(&fhe::decrypt(&keys.secret_key, &fresh, scale)?, &x, Tolerance::Bits(10));

    let square = fhe::rescale(&*fhe::square(&fresh)?)?;
    let expected = common::map(&x, |a| a * a);
    common::check(&fhe::decrypt(&keys.secret_key, &square, scales[level as usize + 1])?, &expected, Tolerance::Bits(9));
    Ok(())
}

#[test]
fn bootstrap_with_openfhe_key_generation() {
    let _turn = take_turns();
    let context = set_up().expect("the depth fits");
    let keys = fhe::generate_key_pair(&context).expect("key generation");
    fhe::generate_multiplication_key(&keys.secret_key).expect("key generation");
    fhe::generate_bootstrap_keys(&keys.secret_key, SLOTS).expect("key generation");
    let steps = fhe::bootstrap_rotation_steps(&context, SLOTS).expect("set up");
    let ids = fhe::evaluation_key_ids(&keys.secret_key.key_tag().expect("a tag")).unwrap();
    assert_eq!(ids.len(), steps.len() + 4, "rotations, multiplication, conjugation, and two for encapsulation");
    check_bootstrap(&context, &keys).expect("all keys are there");
}

#[test]
fn bootstrap_with_a_dense_secret_and_keys_made_one_by_one() {
    let _turn = take_turns();
    let context = set_up().expect("the depth fits");
    let keys = fhe::generate_dense_key_pair(&context).expect("key generation");
    let secret_key = &keys.secret_key;
    let tag = secret_key.key_tag().expect("a tag");
    let mut files = Vec::new();
    let mut save = |id: u32| {
        files.push(fhe::export_evaluation_key(&tag, id).expect("just made"));
        fhe::remove_evaluation_key(&tag, id).expect("just made");
    };
    let limbs = context.limb_count();
    let steps = fhe::bootstrap_rotation_steps(&context, SLOTS).expect("set up");
    let rotations = steps.iter().map(|&step| fhe::rotation_key_id(&context, step).expect("not 0"));
    for id in rotations.chain([fhe::MULTIPLICATION_KEY, fhe::conjugation_key_id(&context).unwrap()]) {
        let key = fhe::generate_evaluation_key(secret_key, id, limbs).expect("key generation");
        fhe::insert_evaluation_key(&tag, key).expect("just made");
        save(id);
    }
    let pair = fhe::generate_encapsulation_keys(secret_key).expect("key generation");
    fhe::insert_evaluation_key(&tag, pair.to_sparse).expect("just made");
    fhe::insert_evaluation_key(&tag, pair.to_main).expect("just made");
    for id in fhe::evaluation_key_ids(&tag).unwrap() {
        save(id);
    }
    assert!(fhe::evaluation_key_ids(&tag).unwrap().is_empty());
    for bytes in &files {
        fhe::import_evaluation_key(&context, &tag, bytes).expect("undamaged");
    }
    check_bootstrap(&context, &keys).expect("all keys are there");
}

#[test]
fn a_missing_key_is_an_error_not_the_end_of_the_process() {
    let _turn = take_turns();
    let context = set_up().expect("the depth fits");
    let keys = fhe::generate_key_pair(&context).expect("key generation");
    fhe::generate_multiplication_key(&keys.secret_key).expect("key generation");
    fhe::generate_bootstrap_keys(&keys.secret_key, SLOTS).expect("key generation");
    let step = fhe::bootstrap_rotation_steps(&context, SLOTS).expect("set up")[0];
    let id = fhe::rotation_key_id(&context, step).expect("not 0");
    fhe::remove_evaluation_key(&keys.secret_key.key_tag().expect("a tag"), id).expect("there");
    let error = check_bootstrap(&context, &keys).expect_err("a key is missing");
    assert!(error.what().contains("no evaluation key"), "{}", error.what());
}
