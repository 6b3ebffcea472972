//! Several clients of one process: keys belong to objects, whatever their files say, and come while others evaluate.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::{Case, network_case, refreshing_case, usable};
use paf_circuit::container::{Binding, FileKind, Header, KeyId, SectionKind, SectionReader, SectionWriter};
use paf_engine_openfhe::OpenFheEngine;
use paf_ir::tensor::Shape;
use paf_runtime::npy::Array;
use paf_runtime::{Client, InsecureTestParameters, Samples, Server, agreement_bits};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// Where OpenFHE's name of a key pair begins in the bytes of a public or secret key, behind a magic and a length.
const TAG: std::ops::Range<usize> = 8..40;

/// A client's files.
struct Folder(TempDir);

impl Folder {
    fn new(client: &Client<OpenFheEngine>) -> Self {
        let folder = Folder(tempfile::tempdir().unwrap());
        let (secret, server) = (folder.path("client.key"), folder.path("server.key"));
        client.generate_key_files(&secret, &server, &mut |_, _| {}).unwrap();
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// OpenFHE's name of the key pair.
    fn tag(&self) -> Vec<u8> {
        sections(&self.path("server.key"), FileKind::ServerKey).1[0].1[TAG].to_vec()
    }

    /// Gives the key pair another name, as whoever makes the files can.
    fn rename(&self, tag: &[u8]) {
        let (mut header, mut keys) = sections(&self.path("server.key"), FileKind::ServerKey);
        keys[0].1[TAG].copy_from_slice(tag);
        header.binding.key = KeyId(Sha256::digest(&keys[0].1).into());
        write(&self.path("server.key"), header, &keys);
        let (mut secret_header, mut secret) = sections(&self.path("client.key"), FileKind::SecretKey);
        secret[0].1[TAG].copy_from_slice(tag);
        secret_header.binding = Binding { ..header.binding };
        write(&self.path("client.key"), secret_header, &secret);
    }

    fn encrypt(&self, client: &Client<OpenFheEngine>, samples: &Samples) {
        let public = client.load_public_key(&self.path("server.key")).unwrap();
        client.encrypt_file(&public, samples, &self.path("x.ct"), &mut |_, _| {}).unwrap();
    }

    fn check(&self, client: &Client<OpenFheEngine>, case: &Case, least_bits: f64) {
        let secret = client.load_secret_key(&self.path("client.key")).unwrap();
        let results =
            usable(client.decrypt_file(&secret, &self.path("y.ct"), &mut |_, _| {}).map(|results| results.samples));
        for (outputs, sample) in results.iter().zip(&case.samples) {
            let bits = agreement_bits(&outputs.ports[0], &(case.expected)(sample));
            assert!(bits > least_bits, "{} agrees to {bits:.1} bits", case.name);
        }
    }
}

type Section = (SectionKind, Vec<u8>);

fn sections(path: &Path, kind: FileKind) -> (Header, Vec<Section>) {
    let mut reader = SectionReader::open(path, kind).unwrap();
    let (mut sections, mut body) = (vec![], vec![]);
    while let Some(kind) = reader.next_section(&mut body).unwrap() {
        sections.push((kind, body.clone()));
    }
    (*reader.header(), sections)
}

fn write(path: &Path, header: Header, sections: &[Section]) {
    let mut writer = SectionWriter::create(path, header).unwrap();
    sections.iter().for_each(|(kind, body)| writer.section(*kind, body).unwrap());
    writer.commit().unwrap();
}

fn samples(case: &Case) -> Samples {
    let mut shape = vec![case.samples.len()];
    shape.extend(&case.circuit.program.inputs[0].shape.0);
    let array = Array { shape: Shape(shape), data: case.samples.concat() };
    Samples::new(&case.circuit.program.inputs, vec![array], None).unwrap()
}

/// Names of key pairs come from clients: two may be the same.
#[test]
fn clients_whose_files_carry_equal_names_are_served_in_turn() {
    for (case, least_bits) in [(network_case(), 20.0), (refreshing_case(), 8.0)] {
        let client = Client::<OpenFheEngine>::new(case.circuit.client(), InsecureTestParameters::Allow).unwrap();
        let server =
            Server::<OpenFheEngine>::new(Arc::new(case.circuit.clone()), InsecureTestParameters::Allow).unwrap();
        let (first, second) = (Folder::new(&client), Folder::new(&client));
        assert_ne!(first.tag(), second.tag());
        second.rename(&first.tag());
        assert_eq!(first.tag(), second.tag());
        [&first, &second].into_iter().for_each(|folder| folder.encrypt(&client, &samples(&case)));

        let load = |folder: &Folder, memory| server.load_keys(&folder.path("server.key"), memory, &mut |_, _| {});
        let (first_keys, second_keys) = (load(&first, 0).unwrap(), load(&second, 1).unwrap());
        for _ in 0..2 {
            for (folder, keys) in [(&first, &first_keys), (&second, &second_keys)] {
                server.evaluate_file(keys, &folder.path("x.ct"), &folder.path("y.ct"), &mut |_, _| {}).unwrap();
                folder.check(&client, &case, least_bits);
            }
        }
        drop(second_keys);
        server.evaluate_file(&first_keys, &first.path("x.ct"), &first.path("y.ct"), &mut |_, _| {}).unwrap();
        first.check(&client, &case, least_bits);
        let error = server.evaluate_file(&first_keys, &second.path("x.ct"), &first.path("y.ct"), &mut |_, _| {});
        assert!(error.unwrap_err().to_string().contains("x.ct: made with the key"));
    }
}

/// Keys of one client, and of another circuit in another ring, come and go while another client's evaluation runs.
#[test]
fn keys_are_loaded_beside_an_evaluation() {
    let case = refreshing_case();
    let client = Client::<OpenFheEngine>::new(case.circuit.client(), InsecureTestParameters::Allow).unwrap();
    let server = Server::<OpenFheEngine>::new(Arc::new(case.circuit.clone()), InsecureTestParameters::Allow).unwrap();
    let (running, loaded) = (Folder::new(&client), Folder::new(&client));
    running.encrypt(&client, &samples(&case));
    let keys = server.load_keys(&running.path("server.key"), 0, &mut |_, _| {}).unwrap();
    let evaluate = |name: &str| {
        server.evaluate_file(&keys, &running.path("x.ct"), &running.path(name), &mut |_, _| {}).unwrap();
        fs::read(running.path(name)).unwrap()
    };
    let alone = evaluate("alone.ct");
    let (done, mut loads) = (AtomicBool::new(false), 0);
    thread::scope(|scope| {
        let beside = scope.spawn(|| {
            let results: Vec<Vec<u8>> = (0..3).map(|round| evaluate(&format!("{round}.ct"))).collect();
            done.store(true, Ordering::Relaxed);
            results
        });
        while !done.load(Ordering::Relaxed) {
            drop(server.load_keys(&loaded.path("server.key"), 0, &mut |_, _| {}).unwrap());
            another_ring();
            loads += 1;
        }
        assert!(beside.join().unwrap().iter().all(|results| *results == alone), "other results");
    });
    assert!(loads > 0);
}

/// A circuit of another ring dimension, whose primes may be the same.
fn another_ring() {
    let mut circuit = network_case().circuit;
    circuit.parameters.ring_dimension *= 2;
    let client = Client::<OpenFheEngine>::new(circuit.client(), InsecureTestParameters::Allow).unwrap();
    client.generate_pair().unwrap();
}

/// A client with another's name, damaged keys, damaged inputs and inputs of others, beside 19 that mean well: those get what
/// they get alone, bit for bit.
#[test]
fn a_hostile_client_changes_nothing_for_the_others() {
    const HONEST: usize = 19;
    let case = network_case();
    let client = Client::<OpenFheEngine>::new(case.circuit.client(), InsecureTestParameters::Allow).unwrap();
    let server = Server::<OpenFheEngine>::new(Arc::new(case.circuit.clone()), InsecureTestParameters::Allow).unwrap();
    let honest: Vec<Folder> = (0..HONEST).map(|_| Folder::new(&client)).collect();
    let hostile = Folder::new(&client);
    hostile.rename(&honest[0].tag());
    honest.iter().chain([&hostile]).for_each(|folder| folder.encrypt(&client, &samples(&case)));
    let load = |path: &Path| server.load_keys(path, 0, &mut |_, _| {});
    let evaluate = |folder: &Folder, name: &str| {
        let keys = load(&folder.path("server.key")).unwrap();
        server.evaluate_file(&keys, &folder.path("x.ct"), &folder.path(name), &mut |_, _| {}).unwrap();
        fs::read(folder.path(name)).unwrap()
    };
    let alone: Vec<Vec<u8>> = honest.iter().map(|folder| evaluate(folder, "alone.ct")).collect();

    // The last evaluation key has residues above their primes, and one of the inputs' ciphertexts has.
    let damage = |name: &str, kind: FileKind, damaged: &str| {
        let (header, mut sections) = sections(&hostile.path(name), kind);
        let body = &mut sections.last_mut().unwrap().1;
        let end = body.len();
        body[end - 8..].fill(0xFF);
        write(&hostile.path(damaged), header, &sections);
    };
    damage("server.key", FileKind::ServerKey, "damaged.key");
    damage("x.ct", FileKind::Ciphertexts, "damaged.ct");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let enemy = scope.spawn(|| {
            let mut rounds = 0;
            while !done.load(Ordering::Relaxed) || rounds == 0 {
                assert!(load(&hostile.path("damaged.key")).is_err());
                let keys = load(&hostile.path("server.key")).unwrap();
                let inputs = [hostile.path("damaged.ct"), honest[0].path("x.ct")];
                for inputs in inputs {
                    assert!(server.evaluate_file(&keys, &inputs, &hostile.path("z.ct"), &mut |_, _| {}).is_err());
                }
                evaluate(&hostile, "y.ct");
                rounds += 1;
            }
        });
        let beside: Vec<_> = honest.iter().map(|folder| scope.spawn(move || evaluate(folder, "y.ct"))).collect();
        let results: Vec<Vec<u8>> = beside.into_iter().map(|thread| thread.join().unwrap()).collect();
        done.store(true, Ordering::Relaxed);
        assert!(results == alone, "other results");
        enemy.join().unwrap();
    });
}
