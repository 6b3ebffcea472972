//! Keys for ciphertexts of few limbs: smaller than OpenFHE's own, of the same use, and refused above their level.

mod common;

use common::take_turns;
use openfhe_reference as fhe;
use openfhe_reference::kernels::{self, Code};

const RING_DIMENSION: u32 = 1 << 11;
const SLOTS: u32 = 64;
const LIMBS: u32 = 9;

type Result<T> = std::result::Result<T, fhe::Exception>;

struct Party {
    context: fhe::UniquePtr<fhe::Context>,
    keys: fhe::KeyPair,
}

fn party() -> Result<Party> {
    let context = fhe::create_context(&fhe::ContextParameters {
        ring_dimension: RING_DIMENSION,
        slots: SLOTS,
        multiplicative_depth: LIMBS - 1,
        scaling_mod_bits: 45,
        first_mod_bits: 55,
        digits: 3,
        scaling_technique: fhe::ScalingTechnique::FlexibleAuto,
        secret_key_distribution: fhe::SecretKeyDistribution::UniformTernary,
        security_level: fhe::SecurityLevel::NotSet,
    })?;
    let keys = fhe::generate_key_pair(&context)?;
    Ok(Party { context, keys })
}

fn values() -> Vec<f64> {
    (0..SLOTS).map(|i| f64::from(i) / f64::from(SLOTS) - 0.4).collect()
}

impl Party {
    fn tag(&self) -> String {
        self.keys.secret_key.key_tag().expect("a tag")
    }

    fn encrypted(&self, limbs: u32) -> Result<fhe::UniquePtr<fhe::Ciphertext>> {
        let dropped = LIMBS - limbs;
        let scale = self.context.scaling_factors().unwrap()[dropped as usize];
        fhe::encrypt(&self.keys.public_key, &*fhe::encode(&self.context, &values(), SLOTS, dropped, scale)?)
    }

    /// The largest error of a rotation by one at a number of limbs.
    fn rotation_error(&self, limbs: u32) -> Result<f64> {
        let x = self.encrypted(limbs)?;
        let rotated = fhe::decrypt(&self.keys.secret_key, &*fhe::rotate(&x, 1)?, x.scaling_factor())?;
        let values = values();
        Ok(largest_difference(&rotated, |i| values[(i + 1) % values.len()]))
    }

    /// The largest error of a square at a number of limbs, which must hold its scale.
    fn square_error(&self, limbs: u32) -> Result<f64> {
        let x = self.encrypted(limbs)?;
        let mut square = fhe::square_no_relinearize(&x)?;
        fhe::relinearize_in_place(square.pin_mut())?;
        let squared = fhe::decrypt(&self.keys.secret_key, &square, x.scaling_factor().powi(2))?;
        let values = values();
        Ok(largest_difference(&squared, |i| values[i] * values[i]))
    }
}

fn largest_difference(got: &[f64], expected: impl Fn(usize) -> f64) -> f64 {
    got.iter().enumerate().map(|(i, x)| (x - expected(i)).abs()).fold(0.0, f64::max)
}

fn generate(party: &Party, limbs: u32) -> Result<u32> {
    let rotation = fhe::rotation_key_id(&party.context, 1)?;
    for id in [rotation, fhe::MULTIPLICATION_KEY] {
        fhe::insert_evaluation_key(&party.tag(), fhe::generate_evaluation_key(&party.keys.secret_key, id, limbs)?)?;
    }
    Ok(rotation)
}

#[test]
fn a_key_of_few_limbs_is_small_and_serves_up_to_them() {
    let _turn = take_turns();
    let party = party().expect("the parameters are valid");
    generate(&party, LIMBS).expect("key generation");
    let id = fhe::rotation_key_id(&party.context, 1).expect("not 0");
    let size = || fhe::export_evaluation_key(&party.tag(), id).expect("there").len();
    let full_size = size();
    for limbs in [1, 2, 3, 4, 7] {
        generate(&party, limbs).expect("key generation");
        assert_eq!(fhe::evaluation_key(&party.tag(), id).expect("there").limbs(), limbs);
        let (special, digits) = (party.context.moduli_p().unwrap().len() as u32, limbs.div_ceil(3));
        let expected = f64::from(digits * (limbs + special)) / f64::from(3 * (LIMBS + special));
        let ratio = size() as f64 / full_size as f64;
        assert!((ratio / expected - 1.0).abs() < 0.01, "{limbs} limbs: {ratio} of the full key, not {expected}");
        for at in [1, limbs] {
            let error = party.rotation_error(at).expect("the key has as many limbs");
            assert!(error < 2f64.powi(-25), "{limbs} limbs, at {at}: {error}");
        }
        for at in [2, limbs].into_iter().filter(|&at| 1 < at && at <= limbs) {
            let error = party.square_error(at).expect("the key has as many limbs");
            assert!(error < 2f64.powi(-20), "{limbs} limbs, at {at}: {error}");
        }
        let error = party.rotation_error(limbs + 1).expect_err("the key has fewer limbs");
        assert!(error.what().contains("fewer limbs"), "{}", error.what());
    }
}

/// Keys travel between machines: one that runs OpenFHE's own code takes them too.
#[test]
fn a_key_of_few_limbs_is_read_by_openfhe_as_it_is() {
    let _turn = take_turns();
    let party = party().expect("the parameters are valid");
    generate(&party, 4).expect("key generation");
    let with_kernels = party.encrypted(4).and_then(|x| {
        let rotated = fhe::rotate(&x, 1)?;
        Ok((x, fhe::ciphertext_to_bytes(&rotated)?))
    });
    let (x, expected) = with_kernels.expect("the key has as many limbs");
    let (tag, id) = (party.tag(), fhe::rotation_key_id(&party.context, 1).expect("not 0"));
    let bytes = fhe::export_evaluation_key(&tag, id).expect("there");
    let before = kernels::selected();
    kernels::select(Code::OpenFhe).expect("it is available");
    let read = fhe::import_evaluation_key(&party.context, &tag, &bytes)
        .and_then(|_| fhe::ciphertext_to_bytes(&*fhe::rotate(&x, 1)?));
    kernels::select(before).expect("it was selected");
    assert!(read.expect("a key of few limbs") == expected, "OpenFHE's own code rotates otherwise");
}

/// Keys of few limbs may be there when other code is selected.
#[test]
fn a_key_of_few_limbs_serves_openfhe_where_it_lies() {
    let _turn = take_turns();
    let party = party().expect("the parameters are valid");
    for limbs in [2, 4, 7] {
        generate(&party, limbs).expect("key generation");
        let x = party.encrypted(limbs).expect("encryption");
        let rotated = || fhe::rotate(&x, 1).and_then(|rotated| fhe::ciphertext_to_bytes(&rotated));
        let expected = rotated().expect("the key has as many limbs");
        let before = kernels::selected();
        kernels::select(Code::OpenFhe).expect("it is available");
        let got = rotated();
        let beyond = party.rotation_error(limbs + 1);
        kernels::select(before).expect("it was selected");
        assert!(got.expect("a key of few limbs") == expected, "{limbs} limbs: OpenFHE's own code rotates otherwise");
        let error = beyond.expect_err("the key has fewer limbs");
        assert!(error.what().contains("fewer limbs"), "{}", error.what());
    }
}

#[test]
fn a_key_of_an_impossible_size_is_refused() {
    let _turn = take_turns();
    let party = party().expect("the parameters are valid");
    for limbs in [0, LIMBS + 1] {
        let error = generate(&party, limbs).expect_err("no such level");
        assert!(error.what().contains("limb"), "{}", error.what());
    }
    let id = generate(&party, 2).expect("key generation");
    let mut bytes = fhe::export_evaluation_key(&party.tag(), id).expect("there");
    // The number of limbs follows the magic, the id, the ring dimension and the number of polynomials.
    bytes[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
    let error = fhe::import_evaluation_key(&party.context, &party.tag(), &bytes).expect_err("damaged");
    assert!(error.what().contains("limbs"), "{}", error.what());
}
