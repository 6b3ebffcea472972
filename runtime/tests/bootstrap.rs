//! Circuits with bootstraps on real ciphertexts, with parameters that are fast and protect nothing.

mod common;

use std::sync::Arc;

use common::{exclusive, refined_case, refreshing_case, usable};
use paf_circuit::{Circuit, write_circuit};
use paf_engine::suite::cases::numbers;
use paf_engine_openfhe::OpenFheEngine;
use paf_ir::tensor::Shape;
use paf_runtime::npy::Array;
use paf_runtime::{
    Client, ClientOutput, InsecureTestParameters, LocalKeys, Noise, Samples, Server, agreement_bits, simulate,
};

fn samples(circuit: &Circuit) -> Samples {
    let array = Array { shape: Shape(vec![2, 100]), data: numbers(7, 200) };
    Samples::new(&circuit.program.inputs, vec![array], None).unwrap()
}

fn check(what: &str, circuit: &Circuit, encrypted: &[ClientOutput], least_bits: f64) {
    let clear = simulate(circuit, &samples(circuit), Noise::Off).unwrap();
    for (got, expected) in encrypted.iter().zip(&clear) {
        let bits = agreement_bits(&got.ports.concat(), &expected.ports.concat());
        println!("{what}: {bits:.1} bits");
        assert!(bits >= least_bits, "{what} agrees to {bits:.1} bits, needs {least_bits}");
    }
    assert_eq!(encrypted.len(), clear.len());
}

#[test]
fn bootstraps_refresh_values_between_layers() {
    let _turn = exclusive();
    let circuit = Arc::new(refreshing_case().circuit);
    check("in one process", &circuit, &encrypted_run(&circuit), 8.0);
}

/// A scale of 2^45 leaves about 9 bits to one iteration, of which 7 are relied on.
#[test]
fn a_second_iteration_adds_the_bits_of_the_first() {
    let _turn = exclusive();
    let circuit = Arc::new(refined_case(7).circuit);
    check("two iterations", &circuit, &encrypted_run(&circuit), 8.0 + 6.0);
    let clear = simulate(&circuit, &samples(&circuit), Noise::Off).unwrap();
    let noisy = simulate(&circuit, &samples(&circuit), Noise::Seed(1)).unwrap();
    for (noisy, clear) in noisy.iter().zip(&clear) {
        let bits = agreement_bits(&noisy.ports.concat(), &clear.ports.concat());
        println!("two iterations, the noise model: {bits:.1} bits");
        assert!((8.0 + 6.0..22.0).contains(&bits), "the noise model gives {bits:.1} bits");
    }
}

/// Encrypts, evaluates and decrypts the samples.
fn encrypted_run(circuit: &Arc<Circuit>) -> Vec<ClientOutput> {
    let client = Client::<OpenFheEngine>::new(circuit.client(), InsecureTestParameters::Allow).unwrap();
    let server = Server::with_engine(Arc::clone(circuit), Arc::clone(client.engine())).unwrap();
    let keys = LocalKeys::make(&client, &server, 0, &mut |_, _| {}).unwrap();
    let samples = samples(circuit);
    let run = |sample| {
        let inputs = client.encrypt(&keys.public, &samples, sample).unwrap();
        let results = server.evaluate(&keys.evaluation, inputs, &mut |_| {}).unwrap();
        client.decrypt(&keys.secret, sample, &results).unwrap()
    };
    (0..samples.count()).map(run).collect()
}

/// The keys of encapsulation, of the bootstrap's rotations and of the layers, each with the limbs of its use, as files.
#[test]
fn key_files_hold_what_bootstraps_need() {
    let _turn = exclusive();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let circuit = refreshing_case().circuit;
    write_circuit(&path("circuit.bin"), &circuit).unwrap();
    let client = Client::<OpenFheEngine>::load(&path("circuit.bin"), InsecureTestParameters::Allow).unwrap();
    client.generate_key_files(&path("client.key"), &path("server.key"), &mut |_, _| {}).unwrap();
    let public = client.load_public_key(&path("server.key")).unwrap();
    client.encrypt_file(&public, &samples(&circuit), &path("x.ct"), &mut |_, _| {}).unwrap();

    let server = Server::<OpenFheEngine>::load(&path("circuit.bin"), InsecureTestParameters::Allow).unwrap();
    let keys = server.load_keys(&path("server.key"), 0, &mut |_, _| {}).unwrap();
    server.evaluate_file(&keys, &path("x.ct"), &path("y.ct"), &mut |_, _| {}).unwrap();

    let secret = client.load_secret_key(&path("client.key")).unwrap();
    let outputs = usable(client.decrypt_file(&secret, &path("y.ct"), &mut |_, _| {}).map(|results| results.samples));
    check("through files", &circuit, &outputs, 8.0);
}
