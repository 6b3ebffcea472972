//! The bytes of keys and ciphertexts.

use paf_ir::ckks::{Level, Type};
use paf_ir::program::ValueId;

use super::cases::{Case, network_case, refreshing_case};
use super::interpret::{Party, single};
use crate::{Engine, EngineError, KeySet as _, Result};

/// What passed through bytes has the same bytes again, and does the same.
pub fn keys_and_ciphertexts_pass_through_bytes<E: Engine>() {
    for case in [network_case(), refreshing_case()] {
        let party = through_bytes(&Party::<E>::without_keys(&case), &case);
        let sample = &case.samples[0];
        let got = party.run(&case, sample, 0).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let expected = (case.expected)(sample);
        let largest = expected.iter().map(|value| value.abs()).fold(0.0, f64::max);
        let is_near = got.iter().zip(&expected).all(|(got, expected)| (got - expected).abs() < largest / 128.0);
        assert!(is_near, "{}: {got:?} instead of {expected:?}", case.name);
        ciphertexts_pass(&party, &case);
    }
}

/// All keys of a party, written and read by another engine of the same parameters.
fn through_bytes<E: Engine>(party: &Party<E>, case: &Case) -> Party<E> {
    let (from, engine) = (&party.engine, E::new(&case.parameters).expect("the same parameters"));
    let secret = engine.read_secret_key(&from.write_secret_key(&party.secret).expect("bytes")).expect("undamaged");
    let public_bytes = from.write_public_key(&party.public).expect("bytes");
    let public = engine.read_public_key(&public_bytes).expect("undamaged");
    assert!(engine.write_public_key(&public).expect("bytes") == public_bytes, "a public key has other bytes");
    let keys = engine.key_set(&public).expect("a key set");
    let (mut bytes, mut again) = (Vec::new(), Vec::new());
    for key in from.generate_keys(&party.secret, &party.list) {
        from.write_evaluation_key(&key.expect("a key"), &mut bytes).expect("bytes");
        let read = engine.read_evaluation_key(&bytes).expect("undamaged");
        engine.write_evaluation_key(&read, &mut again).expect("bytes");
        assert!(again == bytes, "key {} has other bytes", engine.id_of(&read));
        keys.insert(vec![read]).expect("a set takes keys");
    }
    Party { engine, secret, public, list: party.list.clone(), keys }
}

/// A fresh ciphertext, and one in a set: both have the bytes of the outside.
fn ciphertexts_pass<E: Engine>(party: &Party<E>, case: &Case) {
    let (engine, ty) = (&party.engine, input_type(case));
    let fresh = party.encrypt(case, &case.samples[0]).expect("encryption").remove(0);
    let (mut bytes, mut again) = (Vec::new(), vec![1, 2, 3]);
    engine.write_ciphertext(&fresh, &mut bytes).expect("bytes");
    let read = engine.read_ciphertext(&bytes, ty).expect("undamaged");
    engine.write_ciphertext(&read, &mut again).expect("bytes");
    assert!(again == bytes, "a ciphertext has other bytes");
    let values = |ciphertext| engine.decrypt(&party.secret, ciphertext, ty).expect("decryption");
    let (before, after) = (values(&fresh), values(&read));
    assert!(before.iter().zip(&after).all(|(a, b)| (a - b).abs() < 1e-6), "a ciphertext has other values");
    let input = &case.program.inputs[0];
    let slots =
        paf_ir::slots::repeat(&input.layout.pack(&case.samples[0]), case.parameters.slots).expect("it fits").remove(0);
    party.engine.check_public_key(&party.public).expect("an honest key");
    let by_secret = engine.encrypt_with_secret(&party.secret, &slots, ty.level).expect("encryption");
    assert!(
        values(&by_secret).iter().zip(&slots).all(|(a, b)| (a - b).abs() < 1e-6),
        "a secret key encrypts something else"
    );
    assert!(party.keys.owns(&by_secret), "a secret key encrypts for others");
    let admitted = party.keys.admit(read).expect("its own key");
    party.keys.write_admitted(&admitted, &mut again).expect("bytes");
    assert!(again == bytes, "a ciphertext in use has other bytes");
    engine.write_ciphertext(&party.keys.release(admitted).expect("admitted"), &mut again).expect("bytes");
    assert!(again == bytes, "a ciphertext has other bytes after its use");
}

fn input_type(case: &Case) -> Type {
    single(case.program.value(ValueId(0)).ty)
}

/// What reads bytes of one kind, with its name.
type Reader<'r> = (&'static str, &'r dyn Fn(&[u8]) -> Result<()>);

/// Bytes that are cut short, too long, of something else, or of another type are errors, never a panic.
pub fn damaged_bytes_are_errors<E: Engine>() {
    let case = network_case();
    let party = Party::<E>::without_keys(&case);
    let (engine, ty) = (&party.engine, input_type(&case));
    let secret = engine.write_secret_key(&party.secret).expect("bytes").to_vec();
    let public = engine.write_public_key(&party.public).expect("bytes");
    let (mut evaluation, mut ciphertext) = (Vec::new(), Vec::new());
    let key = engine.generate_keys(&party.secret, &party.list).next().expect("a key").expect("a key");
    engine.write_evaluation_key(&key, &mut evaluation).expect("bytes");
    let fresh = party.encrypt(&case, &case.samples[0]).expect("encryption").remove(0);
    engine.write_ciphertext(&fresh, &mut ciphertext).expect("bytes");

    let all = [secret, public, evaluation, ciphertext];
    let readers: [Reader<'_>; 4] = [
        ("secret key", &|bytes| engine.read_secret_key(bytes).map(drop)),
        ("public key", &|bytes| engine.read_public_key(bytes).map(drop)),
        ("evaluation key", &|bytes| engine.read_evaluation_key(bytes).map(drop)),
        ("ciphertext", &|bytes| engine.read_ciphertext(bytes, ty).map(drop)),
    ];
    for (index, (what, read)) in readers.into_iter().enumerate() {
        let refuses = |bytes: &[u8], how: &str| match read(bytes) {
            Err(EngineError::Damaged(message)) => assert!(!message.is_empty()),
            other => panic!("a {what} that is {how}: {other:?}"),
        };
        let whole = &all[index];
        read(whole).unwrap_or_else(|error| panic!("{what}: {error}"));
        for length in [0, 1, 3, 4, 7, whole.len() / 2, whole.len() - 1] {
            refuses(&whole[..length], "cut short");
        }
        refuses(&[&whole[..], &[0]].concat(), "too long");
        refuses(&[&[whole[0] ^ 1], &whole[1..]].concat(), "no longer one");
        all.iter()
            .enumerate()
            .filter(|(other, _)| *other != index)
            .for_each(|(_, bytes)| refuses(bytes, "another thing"));
    }
    for other in [Type { level: Level(ty.level.0 - 1), ..ty }, Type { parts: 3, ..ty }] {
        let error = engine.read_ciphertext(&all[3], other).map(drop).expect_err("another type");
        assert!(matches!(error, EngineError::Damaged(_)), "{error}");
    }
}
