//! Files and streams hold the same bytes, and an observer can stop whatever takes long.

mod common;

use std::fs;
use std::io::{PipeReader, PipeWriter, Read as _, pipe};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use common::{Case, circuit, network_case, refreshing_case, usable};
use paf_circuit::{
    read_circuit_from, read_client_or_circuit_from, write_circuit, write_circuit_to, write_client, write_client_to,
};
use paf_engine::suite::cases::{self, numbers};
use paf_engine_clear::ClearEngine;
use paf_engine_openfhe::OpenFheEngine;
use paf_ir::Layout;
use paf_ir::ckks::{CkksProgram, Level, Op};
use paf_ir::tensor::Shape;
use paf_runtime::npy::Array;
use paf_runtime::{Client, EvaluationKeys, InsecureTestParameters, RuntimeError, Samples, Server};
use tempfile::TempDir;

fn samples(case: &Case) -> Samples {
    let mut shape = vec![case.samples.len()];
    shape.extend(&case.circuit.program.inputs[0].shape.0);
    let array = Array { shape: Shape(shape), data: case.samples.concat() };
    Samples::new(&case.circuit.program.inputs, vec![array], None).unwrap()
}

/// What somebody writes into a pipe, as somebody else reads it.
fn through<T: Send>(write: impl FnOnce(PipeWriter) + Send, read: impl FnOnce(PipeReader) -> T) -> T {
    let (reader, writer) = pipe().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| write(writer));
        read(reader)
    })
}

fn piped(write: impl FnOnce(PipeWriter) + Send) -> Vec<u8> {
    through(write, |mut reader| {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

/// What a file holds, byte by byte through a pipe.
fn pipe_of<T: Send>(path: &Path, read: impl FnOnce(PipeReader) -> T) -> T {
    through(|mut writer| drop(std::io::copy(&mut fs::File::open(path).unwrap(), &mut writer)), read)
}

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Files(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn circuits_pass_through_pipes_as_files() {
    let (files, circuit) = (Files::new(), network_case().circuit);
    write_circuit(&files.path("circuit.bin"), &circuit).unwrap();
    write_client(&files.path("client.bin"), &circuit.client()).unwrap();
    assert!(piped(|writer| write_circuit_to(writer, &circuit).unwrap()) == files.bytes("circuit.bin"));
    assert!(piped(|writer| write_client_to(writer, &circuit.client()).unwrap()) == files.bytes("client.bin"));
    assert_eq!(pipe_of(&files.path("circuit.bin"), |reader| read_circuit_from(reader).unwrap()), circuit);
    for file in ["circuit.bin", "client.bin"] {
        let client = pipe_of(&files.path(file), |reader| read_client_or_circuit_from(reader).unwrap());
        assert_eq!(client, circuit.client());
    }
}

/// The clear engine encrypts and makes keys without chance, so that all bytes can be compared.
#[test]
fn keys_and_ciphertexts_pass_through_pipes_as_files() {
    let (files, case) = (Files::new(), network_case());
    let client = Client::<ClearEngine>::new(case.circuit.client(), InsecureTestParameters::Allow).unwrap();
    client.generate_key_files(&files.path("client.key"), &files.path("server.key"), &mut |_, _| {}).unwrap();
    let secret = pipe_of(&files.path("client.key"), |reader| client.read_secret_key(reader).unwrap());
    let public = pipe_of(&files.path("server.key"), |reader| client.read_public_key(reader).unwrap());
    assert!(piped(|writer| client.write_secret_key(&secret, writer).unwrap()) == files.bytes("client.key"));
    let keys = piped(|writer| client.generate_keys_to(&secret, &public, writer, &mut |_, _| {}).unwrap());
    assert!(keys == files.bytes("server.key"));

    client.encrypt_file(&public, &samples(&case), &files.path("x.ct"), &mut |_, _| {}).unwrap();
    let inputs = piped(|writer| {
        client.encrypt_to(&public, &samples(&case), writer, &mut |_, _| {}).unwrap();
    });
    assert!(inputs == files.bytes("x.ct"));
    evaluate_both_ways::<ClearEngine>(&files, &case);
}

/// Keys and inputs of OpenFHE are random; the results of the same inputs are not.
#[test]
fn encrypted_results_pass_through_pipes_as_files() {
    for case in [network_case(), refreshing_case()] {
        let files = Files::new();
        let client = Client::<OpenFheEngine>::new(case.circuit.client(), InsecureTestParameters::Allow).unwrap();
        client.generate_key_files(&files.path("client.key"), &files.path("server.key"), &mut |_, _| {}).unwrap();
        let secret = pipe_of(&files.path("client.key"), |reader| client.read_secret_key(reader).unwrap());
        assert!(piped(|writer| client.write_secret_key(&secret, writer).unwrap()) == files.bytes("client.key"));
        let public = client.load_public_key(&files.path("server.key")).unwrap();
        client.encrypt_file(&public, &samples(&case), &files.path("x.ct"), &mut |_, _| {}).unwrap();
        evaluate_both_ways::<OpenFheEngine>(&files, &case);
    }
}

fn evaluate_both_ways<E: paf_engine::Engine>(files: &Files, case: &Case) {
    let server = Server::<E>::new(Arc::new(case.circuit.clone()), InsecureTestParameters::Allow).unwrap();
    let keys = server.load_keys(&files.path("server.key"), 0, &mut |_, _| {}).unwrap();
    server.evaluate_file(&keys, &files.path("x.ct"), &files.path("y.ct"), &mut |_, _| {}).unwrap();
    drop(keys);
    let keys = pipe_of(&files.path("server.key"), |reader| server.read_keys(reader, &mut |_, _| {}).unwrap());
    let results = piped(|writer| {
        let input = fs::File::open(files.path("x.ct")).unwrap();
        server.evaluate_stream(&keys, input, writer, &mut |_, _| {}).unwrap();
    });
    assert!(results == files.bytes("y.ct"), "{}", case.name);
    let client = Client::<E>::new(case.circuit.client(), InsecureTestParameters::Allow).unwrap();
    let secret = client.load_secret_key(&files.path("client.key")).unwrap();
    let from_file =
        usable(client.decrypt_file(&secret, &files.path("y.ct"), &mut |_, _| {}).map(|results| results.samples));
    let from_pipe = usable(client.decrypt_from(&secret, &results[..], &mut |_, _| {}).map(|results| results.samples));
    assert_eq!((from_file.len(), from_pipe.len()), (case.samples.len(), case.samples.len()));
}

/// More than fifty operations, a value of which is read again at the end.
fn long_case() -> Case {
    let layout = Layout::dense(16, 1024);
    let mut program = CkksProgram::new(1024, vec![], vec![cases::input(16, &layout)]);
    let first = program.push("x", Op::Input { port: 0, level: Level(1) }).unwrap();
    let mut x = first;
    for index in 0..52 {
        let constant = f64::from(index) / 100.0;
        x = program.push(format!("layer {index}"), Op::AddConstant { constant, input: x }).unwrap();
    }
    let x = program.push("last", Op::Add(x, first)).unwrap();
    program.outputs.push(cases::output(x, 16, &layout));
    let circuit = circuit("long", cases::parameters(1024, 1), program.verify().unwrap());
    Case { name: "long", circuit, samples: vec![numbers(1, 16)], expected: Box::new(|x| x.to_vec()) }
}

fn stop_at(place: usize) -> impl FnMut(usize) -> ControlFlow<()> {
    move |now| if now == place { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

#[test]
fn an_evaluation_stops_at_any_operation_and_leaves_nothing() {
    let (files, case) = (Files::new(), long_case());
    let client = Client::<OpenFheEngine>::new(case.circuit.client(), InsecureTestParameters::Allow).unwrap();
    client.generate_key_files(&files.path("client.key"), &files.path("server.key"), &mut |_, _| {}).unwrap();
    let public = client.load_public_key(&files.path("server.key")).unwrap();
    client.encrypt_file(&public, &samples(&case), &files.path("x.ct"), &mut |_, _| {}).unwrap();
    let server = Server::<OpenFheEngine>::new(Arc::new(case.circuit.clone()), InsecureTestParameters::Allow).unwrap();
    let keys = server.load_keys(&files.path("server.key"), 0, &mut |_, _| {}).unwrap();
    let before = files.names();
    for operation in 0..50 {
        let (mut asked, mut stop) = (0, stop_at(operation));
        let observer = &mut |_: usize, step: paf_runtime::executor::Step<'_>| {
            asked += 1;
            stop(step.id.index())
        };
        let stopped = server.evaluate_file(&keys, &files.path("x.ct"), &files.path("y.ct"), observer);
        assert!(matches!(stopped, Err(RuntimeError::Cancelled)), "operation {operation}: {stopped:?}");
        assert_eq!(asked, operation + 1, "nothing is done after a break");
        assert_eq!(files.names(), before, "operation {operation} left a file");
    }
    server.evaluate_file(&keys, &files.path("x.ct"), &files.path("y.ct"), &mut |_, _| {}).unwrap();
}

#[test]
fn all_that_takes_long_can_be_stopped() {
    let (files, case) = (Files::new(), network_case());
    let client = Client::<OpenFheEngine>::new(case.circuit.client(), InsecureTestParameters::Allow).unwrap();
    let (secret, public) = (files.path("client.key"), files.path("server.key"));
    let is_cancelled = |result: Result<(), RuntimeError>| matches!(result, Err(RuntimeError::Cancelled));
    let stop = |place: usize| {
        let mut stop = stop_at(place);
        move |done: usize, _: usize| stop(done)
    };
    let keys = client.key_list().unwrap().len();
    for place in [0, 1, keys - 1] {
        assert!(is_cancelled(client.generate_key_files(&secret, &public, &mut stop(place)).map(drop)));
        assert!(files.names().is_empty(), "{:?}", files.names());
    }
    client.generate_key_files(&secret, &public, &mut |_, _| {}).unwrap();
    let key = client.load_public_key(&public).unwrap();
    let before = files.names();
    assert!(is_cancelled(client.encrypt_file(&key, &samples(&case), &files.path("x.ct"), &mut stop(1)).map(drop)));
    assert_eq!(files.names(), before);
    client.encrypt_file(&key, &samples(&case), &files.path("x.ct"), &mut |_, _| {}).unwrap();

    let mut server =
        Server::<OpenFheEngine>::new(Arc::new(case.circuit.clone()), InsecureTestParameters::Allow).unwrap();
    assert!(is_cancelled(server.prepare(u64::MAX, &mut stop(1)).map(drop)));
    let load = |key_memory, place| server.load_keys(&public, key_memory, &mut stop(place)).map(drop);
    assert!(is_cancelled(load(0, keys - 1)) && is_cancelled(load(1 << 20, 0)));
    let keys: EvaluationKeys<_> = server.load_keys(&public, 0, &mut |_, _| {}).unwrap();
    server.evaluate_file(&keys, &files.path("x.ct"), &files.path("y.ct"), &mut |_, _| {}).unwrap();
    let secret = client.load_secret_key(&secret).unwrap();
    assert!(is_cancelled(client.decrypt_file(&secret, &files.path("y.ct"), &mut stop(2)).map(drop)));
}
