//! An engine that nothing in this crate knows: clear numbers with a log, with bytes of its own for keys and ciphertexts.
//! It passes the engine suite, and circuits run on it through client and server, files and pipes.

#[path = "another_engine/logged.rs"]
mod logged;

mod common;

use std::fs;
use std::io::{Read as _, pipe};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use common::{Case, network_case, refreshing_case, usable};
use logged::LoggedEngine;
use paf_engine::suite::Agreement;
use paf_ir::tensor::Shape;
use paf_runtime::npy::Array;
use paf_runtime::{Checkpoints, Client, ClientOutput, InsecureTestParameters, Samples, Server, agreement_bits};

paf_engine::engine_tests!(LoggedEngine, Agreement::Exact);

fn samples(case: &Case) -> Samples {
    let mut shape = vec![case.samples.len()];
    shape.extend(&case.circuit.program.inputs[0].shape.0);
    let array = Array { shape: Shape(shape), data: case.samples.concat() };
    Samples::new(&case.circuit.program.inputs, vec![array], None).unwrap()
}

fn check(case: &Case, outputs: &[ClientOutput]) {
    assert_eq!(outputs.len(), case.samples.len());
    for (output, sample) in outputs.iter().zip(&case.samples) {
        assert!(agreement_bits(&output.ports.concat(), &(case.expected)(sample)) > 40.0, "{}", case.name);
    }
}

#[test]
fn circuits_run_through_files() {
    for case in [network_case(), refreshing_case()] {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let client = Client::<LoggedEngine>::new(case.circuit.client(), InsecureTestParameters::Allow).unwrap();
        client.generate_key_files(&path("client.key"), &path("server.key"), &mut |_, _| {}).unwrap();
        let public = client.load_public_key(&path("server.key")).unwrap();
        client.encrypt_file(&public, &samples(&case), &path("x.ct"), &mut |_, _| {}).unwrap();

        let server =
            Server::<LoggedEngine>::new(Arc::new(case.circuit.clone()), InsecureTestParameters::Allow).unwrap();
        let secret = client.load_secret_key(&path("client.key")).unwrap();
        for key_memory in [0, 1] {
            let keys = server.load_keys(&path("server.key"), key_memory, &mut |_, _| {}).unwrap();
            server.evaluate_file(&keys, &path("x.ct"), &path("y.ct"), &mut |_, _| {}).unwrap();
            check(
                &case,
                &usable(client.decrypt_file(&secret, &path("y.ct"), &mut |_, _| {}).map(|results| results.samples)),
            );
        }
        let keys = server.load_keys(&path("server.key"), 0, &mut |_, _| {}).unwrap();
        with_checkpoints(&server, &keys, folder.path());
        assert!(fs::read(path("z.ct")).unwrap() == fs::read(path("y.ct")).unwrap());
        assert!(logged::operations() > 0, "the engine did the work");
    }
}

fn with_checkpoints(server: &Server<LoggedEngine>, keys: &paf_runtime::EvaluationKeys<LoggedEngine>, folder: &Path) {
    let checkpoints = Checkpoints::start(&folder.join("kept"), Duration::ZERO).unwrap();
    let (x, z) = (folder.join("x.ct"), folder.join("z.ct"));
    server.evaluate_file_with_checkpoints(keys, &x, &z, &checkpoints, &mut |_, _| {}).unwrap();
}

#[test]
fn circuits_run_through_pipes() {
    let case = network_case();
    let client = Client::<LoggedEngine>::new(case.circuit.client(), InsecureTestParameters::Allow).unwrap();
    let (secret, public) = client.generate_pair().unwrap();
    let (key_reader, key_writer) = pipe().unwrap();
    let (input_reader, input_writer) = pipe().unwrap();
    let (mut result_reader, result_writer) = pipe().unwrap();
    let samples = samples(&case);
    let results = thread::scope(|scope| {
        scope.spawn(|| {
            client.generate_keys_to(&secret, &public, key_writer, &mut |_, _| {}).unwrap();
            client.encrypt_to(&public, &samples, input_writer, &mut |_, _| {}).unwrap();
        });
        scope.spawn(|| {
            let server =
                Server::<LoggedEngine>::new(Arc::new(case.circuit.clone()), InsecureTestParameters::Allow).unwrap();
            let keys = server.read_keys(key_reader, &mut |_, _| {}).unwrap();
            server.evaluate_stream(&keys, input_reader, result_writer, &mut |_, _| {}).unwrap();
        });
        let mut results = Vec::new();
        result_reader.read_to_end(&mut results).unwrap();
        results
    });
    check(&case, &usable(client.decrypt_from(&secret, &results[..], &mut |_, _| {}).map(|results| results.samples)));
}
