//! Files that someone made on purpose, with checksums that are right: each is refused with a message, and no process ends
//! by a signal.

mod bench;
#[path = "../../runtime/tests/common/mod.rs"]
mod common;

use std::path::Path;

use bench::Bench;
use common::network_case;
use openfhe_sys as fhe;
use paf_circuit::container::{FileKind, Header, KeyId, SectionKind, SectionReader, SectionWriter};
use paf_engine_openfhe::OpenFheEngine;
use paf_runtime::{Client, InsecureTestParameters};
use sha2::{Digest, Sha256};

/// The content of a file, to be changed and written with new checksums.
struct Parts {
    header: Header,
    sections: Vec<(SectionKind, Vec<u8>)>,
}

impl Parts {
    fn read(path: &Path, kind: FileKind) -> Self {
        let mut reader = SectionReader::open(path, kind).unwrap();
        let (mut sections, mut body) = (vec![], vec![]);
        while let Some(kind) = reader.next_section(&mut body).unwrap() {
            sections.push((kind, body.clone()));
        }
        Parts { header: *reader.header(), sections }
    }

    fn write(&self, path: &Path) {
        let mut writer = SectionWriter::create(path, self.header).unwrap();
        for (kind, body) in &self.sections {
            writer.section(*kind, body).unwrap();
        }
        writer.commit().unwrap();
    }

    /// Changes the first section; the id of a server key becomes that of its new public key.
    fn change_first(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        let first = &mut self.sections[0].1;
        change(first);
        if self.header.kind == FileKind::ServerKey {
            self.header.binding.key = KeyId(Sha256::digest(&*first).into());
        }
    }
}

/// Where a key's tag begins in the bytes of a key or a ciphertext, after a magic and a length.
const TAG: usize = 8;

#[test]
fn a_key_tag_that_is_not_hexadecimal_is_refused() {
    let bench = Bench::with_keys(&network_case());
    bench.succeeds("eval circuit.bin --public server.key --input x.ct --output y.ct");
    // Not UTF-8, a terminal's escape, a letter that OpenFHE does not use.
    for byte in [0xFF, 0x1B, b'A'] {
        for (file, kind) in [
            ("x.ct", FileKind::Ciphertexts),
            ("y.ct", FileKind::Ciphertexts),
            ("client.key", FileKind::SecretKey),
            ("server.key", FileKind::ServerKey),
        ] {
            let mut parts = Parts::read(&bench.path(file), kind);
            parts.change_first(|body| body[TAG] = byte);
            parts.write(&bench.path(&format!("bad-{file}")));
            // Inputs that belong to the changed server key.
            if kind == FileKind::ServerKey {
                let mut inputs = Parts::read(&bench.path("x.ct"), FileKind::Ciphertexts);
                inputs.header.binding.key = parts.header.binding.key;
                inputs.write(&bench.path("other-x.ct"));
            }
        }
        for (file, command) in [
            ("bad-x.ct", "eval circuit.bin --public server.key --input bad-x.ct --output z"),
            ("bad-y.ct", "decrypt client.bin --secret client.key --input bad-y.ct --output z"),
            ("bad-client.key", "decrypt client.bin --secret bad-client.key --input y.ct --output z"),
            ("bad-server.key", "encrypt client.bin --public bad-server.key --input x.npy --output z"),
            ("bad-server.key", "eval circuit.bin --public bad-server.key --input other-x.ct --output z"),
            ("bad-server.key", "eval circuit.bin --public bad-server.key --input other-x.ct --output z --key-memory 1"),
        ] {
            let message = "damaged: a key's tag is not 32 lower-case hexadecimal digits";
            bench.fails(command, 1, &format!("{file}: {message}"));
        }
    }
    assert!(!bench.path("z").exists());
}

/// Where the residues of a public key are: the limbs of its first half, then those of its second.
struct PublicKeyLayout {
    primes: Vec<u64>,
    start: usize,
    limb_bytes: usize,
}

impl PublicKeyLayout {
    fn of(body: &[u8]) -> Self {
        let word = |place: usize| u32::from_le_bytes(body[place..place + 4].try_into().unwrap()) as usize;
        let header = TAG + 32;
        let (ring_dimension, limbs, primes) = (word(header), word(header + 8), header + 12);
        let prime = |limb: usize| u64::from_le_bytes(body[primes + 8 * limb..][..8].try_into().unwrap());
        let layout = PublicKeyLayout {
            primes: (0..limbs).map(prime).collect(),
            start: primes + 8 * limbs,
            limb_bytes: 8 * ring_dimension,
        };
        assert_eq!(body.len(), layout.start + 2 * limbs * layout.limb_bytes);
        layout
    }

    fn limb(&self, half: usize, limb: usize) -> std::ops::Range<usize> {
        let start = self.start + (half * self.primes.len() + limb) * self.limb_bytes;
        start..start + self.limb_bytes
    }

    /// Replaces residues by what a function of their number and their prime gives.
    fn fill(&self, body: &mut [u8], half: usize, limb: usize, value: impl Fn(u64, u64) -> u64) {
        let prime = self.primes[limb];
        for (index, residue) in (0..).zip(body[self.limb(half, limb)].chunks_exact_mut(8)) {
            residue.copy_from_slice(&(value(index, prime) % prime).to_le_bytes());
        }
    }
}

/// Polynomials of no more than encryption's errors, in the form that keys have: a ciphertext under a key of zeros.
fn small_polynomials(public: &[u8]) -> Vec<u8> {
    let client = Client::<OpenFheEngine>::new(network_case().circuit.client(), InsecureTestParameters::Allow).unwrap();
    let mut zeros = public.to_vec();
    zeros[PublicKeyLayout::of(public).start..].fill(0);
    let context = client.engine().context();
    let key = fhe::public_key_from_bytes(context, &zeros).unwrap();
    let plaintext = fhe::encode(context, &[], 1, 0, 1.0).unwrap();
    let bytes = fhe::ciphertext_to_bytes(&fhe::encrypt(&key, &plaintext).unwrap()).unwrap();
    bytes[bytes.len() - (public.len() - PublicKeyLayout::of(public).start)..].to_vec()
}

#[test]
fn a_public_key_that_hides_nothing_is_refused() {
    let bench = Bench::with_keys(&network_case());
    let honest = Parts::read(&bench.path("server.key"), FileKind::ServerKey).sections[0].1.clone();
    let layout = PublicKeyLayout::of(&honest);
    let (limbs, last) = (layout.primes.len(), layout.primes.len() - 1);
    let small = small_polynomials(&honest);
    let first = |limb| format!("its first half modulo prime {limb} is not random");
    let second = |limb| format!("its second half modulo prime {limb} is not random");
    type Change<'c> = Box<dyn Fn(&mut Vec<u8>) + 'c>;
    let changes: Vec<(String, Change<'_>)> = vec![
        (first(0), Box::new(|key| key[layout.start..].fill(0))),
        (first(0), Box::new(|key| key[layout.limb(0, 0)].fill(0))),
        (second(last), Box::new(|key| key[layout.limb(1, last)].fill(0))),
        (second(2), Box::new(|key| layout.fill(key, 1, 2, |_, prime| prime / 3))),
        (first(1), Box::new(|key| layout.fill(key, 0, 1, |index, prime| prime / 64 * (index % 64)))),
        (second(1), Box::new(|key| layout.fill(key, 1, 1, |index, _| index))),
        (first(0), Box::new(|key| key[layout.start..][..small.len() / 2].copy_from_slice(&small[..small.len() / 2]))),
        (second(0), Box::new(|key| key[layout.limb(1, 0).start..].copy_from_slice(&small[small.len() / 2..]))),
        // The secret is -1 and there is no error.
        (
            "the quotient of its halves modulo prime 0 is not random".to_owned(),
            Box::new(|key| {
                (0..limbs).for_each(|limb| key.copy_within(layout.limb(1, limb), layout.limb(0, limb).start))
            }),
        ),
    ];
    for (message, change) in changes {
        let mut parts = Parts::read(&bench.path("server.key"), FileKind::ServerKey);
        parts.change_first(|key| change(key));
        parts.write(&bench.path("bad.key"));
        bench.fails("encrypt client.bin --public bad.key --input x.npy --output z", 1, &message);
        bench.fails("encrypt client.bin --public bad.key --secret client.key --input x.npy --output z", 1, "bad.key: ");
    }
    assert!(!bench.path("z").exists());
}
