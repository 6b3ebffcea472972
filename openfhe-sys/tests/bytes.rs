//! Export and import: round trips, a second process's view, and damaged bytes.

mod common;

use common::{DIGITS, Party, RING_DIMENSION, Tolerance, map, parameters, rotated, take_turns, values};
use openfhe_reference as fhe;

const TECHNIQUE: fhe::ScalingTechnique = fhe::ScalingTechnique::FlexibleAuto;

/// The message of the error; `UniquePtr` has no `Debug`, which `expect_err` would need.
fn message<T>(result: Result<T, fhe::Exception>) -> String {
    result.err().expect("an error").what().to_owned()
}

/// What a server and a client file hold, made by one process and read by another.
struct Files {
    public_key: Vec<u8>,
    secret_key: Vec<u8>,
    ciphertext: Vec<u8>,
    evaluation_keys: Vec<Vec<u8>>,
}

fn write_files(party: &Party, x: &[f64]) -> Result<Files, fhe::Exception> {
    let secret_key = &party.keys.secret_key;
    let tag = secret_key.key_tag()?;
    let mut evaluation_keys = vec![fhe::export_evaluation_key(&tag, fhe::MULTIPLICATION_KEY)?];
    for step in [1, -4] {
        let id = fhe::rotation_key_id(&party.context, step)?;
        fhe::generate_rotation_keys(secret_key, &[step])?;
        evaluation_keys.push(fhe::export_evaluation_key(&tag, id)?);
        fhe::remove_evaluation_key(&tag, id)?;
    }
    Ok(Files {
        public_key: fhe::public_key_to_bytes(&party.keys.public_key)?,
        secret_key: fhe::secret_key_to_bytes(secret_key)?,
        ciphertext: fhe::ciphertext_to_bytes(&*fhe::drop_levels(&party.encrypt(x), 1)?)?,
        evaluation_keys,
    })
}

fn forget_everything() {
    fhe::clear_multiplication_keys().unwrap();
    fhe::clear_rotation_keys().unwrap();
    fhe::release_contexts().unwrap();
}

#[test]
fn keys_and_ciphertexts_survive_the_process() {
    let _turn = take_turns();
    let party = Party::new(4, TECHNIQUE);
    let x = values(1, party.slots);
    let scale = party.scale(0);
    let files = write_files(&party, &x).expect("exports");
    drop(party);
    forget_everything();

    let context = fhe::create_context(&parameters(4, TECHNIQUE)).expect("valid");
    let public_key = fhe::public_key_from_bytes(&context, &files.public_key).expect("undamaged");
    let secret_key = fhe::secret_key_from_bytes(&context, &files.secret_key).expect("undamaged");
    let tag = public_key.key_tag().expect("a tag");
    assert_eq!(tag, secret_key.key_tag().expect("a tag"));
    assert!(fhe::evaluation_key_ids(&tag).unwrap().is_empty());
    for bytes in &files.evaluation_keys {
        fhe::import_evaluation_key(&context, &tag, bytes).expect("undamaged");
    }
    assert_eq!(fhe::evaluation_key_ids(&tag).unwrap().len(), 3);

    let ciphertext = fhe::ciphertext_from_bytes(&context, &files.ciphertext).expect("undamaged");
    assert_eq!((ciphertext.level(), ciphertext.scaling_factor()), (1, scale));
    let decrypt = |ciphertext: &fhe::Ciphertext| fhe::decrypt(&secret_key, ciphertext, scale).expect("decrypt");
    common::check(&decrypt(&ciphertext), &x, Tolerance::Noise);
    for step in [1, -4] {
        let turned = fhe::rotate(&ciphertext, step).expect("the key was imported");
        common::check(&decrypt(&turned), &rotated(&x, step), Tolerance::Operation);
    }
    let square = fhe::square(&ciphertext).expect("the key was imported");
    let actual = fhe::decrypt(&secret_key, &square, scale * scale).expect("decrypt");
    common::check(&actual, &map(&x, |a| a * a), Tolerance::Operation);
    let fresh = fhe::encrypt(&public_key, &fhe::encode(&context, &x, 2048, 0, scale).expect("encode"));
    common::check(&decrypt(&fresh.expect("encrypt")), &x, Tolerance::Noise);
    forget_everything();
}

#[test]
fn sizes_are_the_raw_limbs() {
    let _turn = take_turns();
    let party = Party::new(4, TECHNIQUE);
    let limbs_qp = (party.context.limb_count() as usize) + party.context.moduli_p().unwrap().len();
    let raw = DIGITS as usize * 2 * limbs_qp * RING_DIMENSION as usize * 8;
    let tag = party.keys.secret_key.key_tag().expect("a tag");
    let key = fhe::evaluation_key(&tag, fhe::MULTIPLICATION_KEY).expect("a key");
    let size = fhe::evaluation_key_size(&key).expect("a key");
    assert!(size >= raw && size < raw + 1000, "{size} bytes for {raw} bytes of limbs");
    let secret = fhe::secret_key_to_bytes(&party.keys.secret_key).expect("ternary");
    assert!(secret.len() < RING_DIMENSION as usize + 100);
    let three_parts = fhe::square_no_relinearize(&party.encrypt(&[0.5])).expect("a product");
    let bytes = fhe::ciphertext_to_bytes(&three_parts).expect("export");
    let back = fhe::ciphertext_from_bytes(&party.context, &bytes).expect("undamaged");
    assert_eq!((back.part_count(), back.noise_scale_degree()), (3, 2));
}

/// Whether a reader refuses these bytes.
type Refuses<'a> = &'a dyn Fn(&[u8]) -> bool;

/// Cuts all along, and every damaged byte of the header, of the key tag and of the top byte of a residue.
#[test]
fn damaged_bytes_are_errors() {
    let _turn = take_turns();
    let party = Party::new(2, TECHNIQUE);
    let context = &party.context;
    let files = write_files(&party, &[0.5]).expect("exports");
    let tag = party.keys.secret_key.key_tag().expect("a tag");
    let readers: [(&str, &[u8], Refuses); 4] = [
        ("public key", &files.public_key, &|bytes| fhe::public_key_from_bytes(context, bytes).is_err()),
        ("secret key", &files.secret_key, &|bytes| fhe::secret_key_from_bytes(context, bytes).is_err()),
        ("ciphertext", &files.ciphertext, &|bytes| fhe::ciphertext_from_bytes(context, bytes).is_err()),
        ("evaluation key", &files.evaluation_keys[0], &|bytes| {
            fhe::import_evaluation_key(context, &tag, bytes).is_err()
        }),
    ];
    for (name, bytes, refuses) in readers {
        assert!(!refuses(bytes), "{name}: undamaged bytes are refused");
        for length in (0..bytes.len()).step_by(997).chain([1, 2, 3, 4, 5, bytes.len() - 1]) {
            assert!(refuses(&bytes[..length]), "{name}: cut at {length}");
        }
        let longer = [bytes, &[0]].concat();
        assert!(refuses(&longer), "{name}: a byte too many");
        for (position, mask) in [(0, 0x01), (3, 0x80), (bytes.len() - 1, 0xC0)] {
            let mut damaged = bytes.to_vec();
            damaged[position] ^= mask;
            assert!(refuses(&damaged), "{name}: byte {position} damaged");
        }
        let mut damaged = bytes.to_vec();
        damaged[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(refuses(&damaged), "{name}: a huge length");
        assert!(refuses(&[]), "{name}: nothing");
    }
}

/// Tags that are no text, too long, or not what OpenFHE makes.
#[test]
fn damaged_tags_are_errors() {
    let _turn = take_turns();
    let party = Party::new(2, TECHNIQUE);
    let context = &party.context;
    let files = write_files(&party, &[0.5]).expect("exports");
    let tag = party.keys.public_key.key_tag().expect("a tag");
    let readers: [(&[u8], Refuses); 3] = [
        (&files.public_key, &|bytes| is_tag_error(fhe::public_key_from_bytes(context, bytes))),
        (&files.secret_key, &|bytes| is_tag_error(fhe::secret_key_from_bytes(context, bytes))),
        (&files.ciphertext, &|bytes| is_tag_error(fhe::ciphertext_from_bytes(context, bytes))),
    ];
    for (bytes, refuses) in readers {
        assert_eq!(&bytes[8..40], tag.as_bytes(), "the tag comes after a magic and its length");
        for (place, byte) in [(8, 0xFF), (20, 0x00), (39, 0x1B), (8, b'A'), (9, b'g'), (10, b'\n')] {
            let mut damaged = bytes.to_vec();
            damaged[place] = byte;
            assert!(refuses(&damaged), "byte {byte:#x} at {place}");
        }
        let shorter = [&bytes[..4], &31u32.to_le_bytes(), &bytes[9..]].concat();
        let longer = [&bytes[..4], &33u32.to_le_bytes(), b"0", &bytes[8..]].concat();
        assert!(refuses(&shorter) && refuses(&longer));
    }
}

fn is_tag_error<T>(result: Result<T, fhe::Exception>) -> bool {
    result.err().is_some_and(|error| error.what().contains("32 lower-case hexadecimal digits"))
}

#[test]
fn bytes_of_another_context_are_errors() {
    let _turn = take_turns();
    let party = Party::new(2, TECHNIQUE);
    let files = write_files(&party, &[0.5]).expect("exports");
    let other = fhe::create_context(&parameters(3, TECHNIQUE)).expect("valid");
    let tag = party.keys.secret_key.key_tag().expect("a tag");
    assert!(message(fhe::public_key_from_bytes(&other, &files.public_key)).contains("limbs"));
    assert!(message(fhe::import_evaluation_key(&other, &tag, &files.evaluation_keys[0])).contains("primes"));
    let foreign = fhe::ciphertext_from_bytes(&other, &files.ciphertext);
    assert!(foreign.is_err());
}
