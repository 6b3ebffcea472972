//! Circuits with bootstraps on real ciphertexts, with parameters that are fast and protect nothing.

mod common;

use std::sync::Arc;

use common::{constant, dense, exclusive, input, numbers, output, packed, push_relu, refreshing_parameters};
use paf_circuit::{Circuit, write_circuit};
use paf_ir::ckks::{CkksProgram, Level, Op, Parameters};
use paf_ir::program::{MapId, ValueId};
use paf_ir::tensor::Shape;
use paf_ir::{Layout, LinearMap, Primitive};
use paf_runtime::npy::Array;
use paf_runtime::{
    Client, EvaluationKeys, Noise, Output, PublicKey, Samples, SecretKey, Server, agreement_bits, simulate,
};

/// Levels that a bootstrap leaves.
const USABLE: u32 = 5;
/// Slots of the circuit, a quarter of those of the ring, and of its smaller tensor.
const SLOTS: usize = 256;
const FEW_SLOTS: usize = 64;

fn bootstrap(program: &mut CkksProgram, x: ValueId, slots: usize, level: u32) -> ValueId {
    program.push("bootstrap", Op::Bootstrap { input: x, slots, level: Level(level) }).unwrap()
}

/// Two bootstraps of different slot counts, one to all usable levels, with an activation and a layer between them.
fn refreshed_network(parameters: Parameters) -> Circuit {
    let (wide, narrow) = (Layout::dense(100, SLOTS), Layout::dense(10, FEW_SLOTS));
    let maps = vec![
        packed("dense", dense(10, 100, 30), &wide, &narrow, common::Steps::BabyGiant(4)),
        packed("scale", scaling(), &narrow, &narrow, common::Steps::OnlyBabies),
    ];
    let mut program = CkksProgram::new(SLOTS, maps, vec![input(100, &wide)]);
    let x = program.push("x", Op::Input { port: 0, level: Level(1) }).unwrap();
    let x = bootstrap(&mut program, x, SLOTS, USABLE);
    let x = push_relu(&mut program, "relu", x, 0.5, -0.1);
    let x = program.push("dense", Op::Linear { map: MapId(0), input: x, level: Level(1) }).unwrap();
    let x = bootstrap(&mut program, x, FEW_SLOTS, USABLE - 2);
    let x = program.push("scale", Op::Linear { map: MapId(1), input: x, level: Level(0) }).unwrap();
    program.outputs.push(output(x, 10, &narrow));
    common::circuit("refreshed", parameters, program)
}

fn scaling() -> LinearMap {
    LinearMap::of(Primitive::Diagonal { values: constant(&[10], numbers(3, 10)), repeat: 1, size: 10 }, None)
}

fn samples(circuit: &Circuit) -> Samples {
    let array = Array { shape: Shape(vec![2, 100]), data: numbers(7, 200) };
    Samples::new(&circuit.program.inputs, vec![array], None).unwrap()
}

fn raw(outputs: &[Output]) -> Vec<f64> {
    outputs.iter().flat_map(|output| output.raw.iter().copied()).collect()
}

fn check(what: &str, circuit: &Circuit, encrypted: &[Vec<Output>], least_bits: f64) {
    let clear = simulate(circuit, &samples(circuit), Noise::Off).unwrap();
    for (got, expected) in encrypted.iter().zip(&clear) {
        let bits = agreement_bits(&raw(got), &raw(expected));
        println!("{what}: {bits:.1} bits");
        assert!(bits >= least_bits, "{what} agrees to {bits:.1} bits, needs {least_bits}");
    }
    assert_eq!(encrypted.len(), clear.len());
}

#[test]
fn bootstraps_refresh_values_between_layers() {
    let _turn = exclusive();
    let circuit = Arc::new(refreshed_network(refreshing_parameters(SLOTS, USABLE)));
    let client = Client::new(circuit.client()).unwrap();
    let (secret, public) = client.generate_pair().unwrap();
    let keys = EvaluationKeys::generate(&secret, &client.key_list().unwrap(), &mut |_, _| {}).unwrap();
    let server = Server::new(Arc::clone(&circuit), Arc::clone(client.scheme()), keys).unwrap();
    let samples = samples(&circuit);
    let run = |sample| {
        let inputs = client.encrypt(&public, &samples, sample).unwrap();
        client.decrypt(&secret, sample, &server.evaluate(inputs, &mut |_| {}).unwrap()).unwrap()
    };
    let outputs: Vec<_> = (0..samples.count()).map(run).collect();
    check("in one process", &circuit, &outputs, 8.0);
}

/// The keys of encapsulation, of the bootstrap's rotations and of the layers, each with the limbs of its use, as files.
#[test]
fn key_files_hold_what_bootstraps_need() {
    let _turn = exclusive();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let circuit = refreshed_network(refreshing_parameters(SLOTS, USABLE));
    write_circuit(&path("circuit.bin"), &circuit).unwrap();
    let client = Client::load(&path("circuit.bin")).unwrap();
    client.generate_key_files(&path("client.key"), &path("server.key"), &mut |_, _| {}).unwrap();
    let public = PublicKey::load(client.scheme(), client.part(), &path("server.key")).unwrap();
    client.encrypt_file(&public, &samples(&circuit), &path("x.ct"), &mut |_, _| {}).unwrap();

    let server = Server::load(&path("circuit.bin"), &path("server.key"), &mut |_, _| {}).unwrap();
    server.evaluate_file(&path("x.ct"), &path("y.ct"), &mut |_, _| {}).unwrap();

    let secret = SecretKey::load(client.scheme(), client.part(), &path("client.key")).unwrap();
    let outputs = client.decrypt_file(&secret, &path("y.ct"), &mut |_, _| {}).unwrap();
    check("through files", &circuit, &outputs, 8.0);
}
