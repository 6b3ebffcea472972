//! Encryption with the secret key, and what a public key is made of.

mod common;

use common::{Party, RING_DIMENSION, Tolerance, take_turns, values};
use openfhe_sys as fhe;

const TECHNIQUE: fhe::ScalingTechnique = fhe::ScalingTechnique::FlexibleAuto;

#[test]
fn a_secret_key_encrypts_at_every_level() {
    let _turn = take_turns();
    let party = Party::new(2, TECHNIQUE);
    let x = values(1, party.slots);
    for level in 0..party.context.limb_count() {
        let scale = party.scale(level);
        let plaintext = fhe::encode(&party.context, &x, 2048, level, scale).expect("encode");
        let ciphertext = fhe::encrypt_with_secret_key(&party.keys.secret_key, &plaintext).expect("encrypt");
        assert_eq!((ciphertext.level(), ciphertext.part_count(), ciphertext.slots()), (level, 2, 2048));
        assert_eq!(ciphertext.key_tag().expect("a tag"), party.keys.secret_key.key_tag().expect("a tag"));
        let decrypted = fhe::decrypt(&party.keys.secret_key, &ciphertext, scale).expect("decrypt");
        common::check(&decrypted, &x, Tolerance::Noise);
    }
}

/// `b / a` is `-s` plus an error that is uniform after the division; both halves are what the key's bytes hold.
#[test]
fn a_public_key_shows_its_residues() {
    let _turn = take_turns();
    let party = Party::new(2, TECHNIQUE);
    let key = &party.keys.public_key;
    let residues = |part, limb| {
        fhe::public_key_residues(key, part, limb, fhe::Representation::Evaluation).expect("a limb of the key")
    };
    let bytes = fhe::public_key_to_bytes(key).expect("export");
    for (limb, &prime) in (0..).zip(&party.context.moduli_q().unwrap()) {
        let (body, mask) = (residues(fhe::PublicKeyPart::Body, limb), residues(fhe::PublicKeyPart::Mask, limb));
        let quotient = residues(fhe::PublicKeyPart::Quotient, limb);
        assert_eq!(body.len(), RING_DIMENSION as usize);
        let product = |(q, a): (&u64, &u64)| (u128::from(*q) * u128::from(*a) % u128::from(prime)) as u64;
        let products: Vec<u64> = quotient.iter().zip(&mask).map(product).collect();
        assert_eq!(products, body, "prime {prime}");
        let raw: Vec<u8> = body.iter().flat_map(|residue| residue.to_le_bytes()).collect();
        let start = bytes.len() - (2 * party.context.limb_count() - limb) as usize * raw.len();
        assert_eq!(bytes[start..][..raw.len()], raw);
    }
    let coefficients =
        fhe::public_key_residues(key, fhe::PublicKeyPart::Mask, 0, fhe::Representation::Coefficient).expect("a limb");
    assert_ne!(coefficients, residues(fhe::PublicKeyPart::Mask, 0));
    let missing = fhe::public_key_residues(
        key,
        fhe::PublicKeyPart::Mask,
        party.context.limb_count(),
        fhe::Representation::Evaluation,
    );
    assert!(missing.is_err_and(|error| error.what().contains("no such limb")));
}
