//! Damaged files are refused, and no bytes make the decoder panic.

use paf_circuit::container::{Binding, FileKind, open, seal};
use paf_circuit::{CircuitError, decode_circuit, decode_client, encode_circuit, encode_client};
use proptest::prelude::*;
use testkit::circuits::{rich, tiny};

/// Every bit flipped, every shorter length, one byte more.
fn check_every_damage<T>(file: &[u8], decode: impl Fn(&[u8]) -> Result<T, CircuitError>) {
    assert!(decode(file).is_ok());
    for bit in 0..8 * file.len() {
        let mut damaged = file.to_vec();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(decode(&damaged).is_err(), "bit {bit} flipped is not noticed");
    }
    for length in 0..file.len() {
        let error = decode(&file[..length]).err().expect("a cut file is refused");
        assert!(matches!(error, CircuitError::Truncated), "cut at {length}: {error}");
    }
    assert!(decode(&[file, &[0]].concat()).is_err());
}

#[test]
fn every_damage_of_a_circuit_file_is_noticed() {
    check_every_damage(&encode_circuit(&tiny()), decode_circuit);
}

#[test]
fn every_damage_of_a_client_file_is_noticed() {
    check_every_damage(&encode_client(&tiny().client()), decode_client);
}

/// One change of a body.
#[derive(Debug, Clone)]
enum Mutation {
    Set(prop::sample::Index, u8),
    Flip(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
    Repeat(prop::sample::Index, usize),
    Varint(prop::sample::Index, u64),
    Number(prop::sample::Index, f64),
    Cut(prop::sample::Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    use prop::sample::Index;
    let interesting = prop_oneof![
        Just(0),
        Just(1),
        Just(u64::MAX),
        Just(1 << 63),
        (0u32..64).prop_map(|shift| 1u64 << shift),
        (0u32..64).prop_map(|shift| (1u64 << shift).wrapping_sub(1)),
    ];
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        (any::<Index>(), 0u8..8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        (any::<Index>(), prop::collection::vec(any::<u8>(), 1..12)).prop_map(|(at, b)| Mutation::Insert(at, b)),
        (any::<Index>(), 1usize..12).prop_map(|(at, count)| Mutation::Remove(at, count)),
        (any::<Index>(), 1usize..40).prop_map(|(at, count)| Mutation::Repeat(at, count)),
        (any::<Index>(), interesting).prop_map(|(at, value)| Mutation::Varint(at, value)),
        (any::<Index>(), any::<f64>()).prop_map(|(at, value)| Mutation::Number(at, value)),
        any::<Index>().prop_map(Mutation::Cut),
    ]
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn apply(mutation: &Mutation, body: &mut Vec<u8>) {
    if body.is_empty() {
        return;
    }
    let length = body.len();
    let range = |at: &prop::sample::Index, count: usize| {
        let start = at.index(length);
        start..(start + count).min(length)
    };
    match mutation {
        Mutation::Set(at, byte) => body[at.index(length)] = *byte,
        Mutation::Flip(at, bit) => body[at.index(length)] ^= 1 << bit,
        Mutation::Insert(at, bytes) => drop(body.splice(range(at, 0), bytes.iter().copied())),
        Mutation::Remove(at, count) => drop(body.drain(range(at, *count))),
        Mutation::Repeat(at, count) => {
            let copy = body[range(at, *count)].to_vec();
            body.splice(range(at, 0), copy);
        }
        Mutation::Varint(at, value) => drop(body.splice(range(at, 1), varint(*value))),
        Mutation::Number(at, value) => {
            let place = range(at, 8);
            let bytes = value.to_le_bytes()[..place.len()].to_vec();
            body.splice(place, bytes);
        }
        Mutation::Cut(at) => body.truncate(at.index(length)),
    }
}

/// Decodes a body under a right checksum; whatever is accepted must be what the writer writes.
fn check_circuit_body(binding: Binding, body: &[u8]) {
    let file = seal(FileKind::Circuit, binding, body);
    match decode_circuit(&file) {
        Ok(circuit) => assert_eq!(encode_circuit(&circuit), file),
        Err(CircuitError::Malformed(_)) => {}
        Err(other) => panic!("the frame is whole, and yet: {other}"),
    }
}

fn check_client_body(binding: Binding, body: &[u8]) {
    let file = seal(FileKind::Client, binding, body);
    match decode_client(&file) {
        Ok(client) => assert_eq!(encode_client(&client), file),
        Err(CircuitError::Malformed(_)) => {}
        Err(other) => panic!("the frame is whole, and yet: {other}"),
    }
}

#[test]
fn every_flip_below_the_checksum_is_handled() {
    let (binding, body) = open(&encode_circuit(&tiny()), FileKind::Circuit).unwrap();
    let (client_binding, client_body) = open(&encode_client(&tiny().client()), FileKind::Client).unwrap();
    for bit in 0..8 * body.len() {
        let mut damaged = body.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        check_circuit_body(binding, &damaged);
    }
    for bit in 0..8 * client_body.len() {
        let mut damaged = client_body.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        check_client_body(client_binding, &damaged);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn mutated_circuits_never_panic(large in any::<bool>(), mutations in prop::collection::vec(mutation(), 1..4)) {
        let circuit = if large { rich() } else { tiny() };
        let (binding, mut body) = open(&encode_circuit(&circuit), FileKind::Circuit).unwrap();
        mutations.iter().for_each(|mutation| apply(mutation, &mut body));
        check_circuit_body(binding, &body);
    }

    #[test]
    fn mutated_clients_never_panic(large in any::<bool>(), mutations in prop::collection::vec(mutation(), 1..4)) {
        let client = if large { rich().client() } else { tiny().client() };
        let (binding, mut body) = open(&encode_client(&client), FileKind::Client).unwrap();
        mutations.iter().for_each(|mutation| apply(mutation, &mut body));
        check_client_body(binding, &body);
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(decode_circuit(&bytes).is_err());
        prop_assert!(decode_client(&bytes).is_err());
        check_circuit_body(Binding::default(), &bytes);
        check_client_body(Binding::default(), &bytes);
    }
}
