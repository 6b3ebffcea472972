//! What is written is read back, the same bytes every time, weights once and never in the client's part.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use paf_circuit::{
    Circuit, CircuitError, decode_circuit, decode_client, encode_circuit, encode_client, read_circuit, read_client,
    read_client_or_circuit, write_circuit, write_client,
};
use paf_ir::ckks::{CkksProgram, Level, Op};
use paf_ir::layout::Gaps;
use paf_ir::linear::Primitive;
use paf_ir::program::MapId;
use paf_ir::{Bias, Layout, LinearMap};
use paf_scheme::{Parameters, Work};
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use testkit::circuits::{circuit, hex, input_port, insecure, output_port, packed, rich, tensor, tiny, weights};

fn check_round_trip(circuit: &Circuit) {
    let bytes = encode_circuit(circuit);
    let decoded = decode_circuit(&bytes).unwrap();
    assert_eq!(decoded, *circuit);
    assert_eq!(encode_circuit(&decoded), bytes);
    let client = circuit.client();
    let bytes = encode_client(&client);
    assert_eq!(decode_client(&bytes).unwrap(), client);
    assert_eq!(client.fingerprint, decoded.fingerprint());
}

#[test]
fn hand_built_circuits_come_back() {
    check_round_trip(&tiny());
    check_round_trip(&rich());
}

#[test]
fn two_iterations_of_bootstraps_come_back() {
    let mut circuit = rich();
    let once = circuit.fingerprint();
    let Parameters { levels, bootstrap, .. } = &mut circuit.parameters;
    // The second iteration takes a level, so that one fewer stays usable.
    *bootstrap = bootstrap.map(|bootstrap| bootstrap.refined(12));
    *levels = Level(levels.0 + 1);
    circuit.parameters.log_qp += circuit.parameters.scale_bits;
    check_round_trip(&circuit);
    assert_eq!(circuit.parameters.usable_levels(), Level(4));
    assert_ne!(circuit.fingerprint(), once);
}

#[test]
fn client_lists_what_the_program_needs() {
    let circuit = rich();
    let client = circuit.client();
    let counts = circuit.counts();
    assert_eq!(client.rotations.keys().copied().collect::<BTreeSet<_>>(), counts.rotation_keys);
    assert_eq!(client.rotations[&-5], Level(4));
    assert_eq!(client.relinearization, Some(Level(17)), "bootstraps relinearize at the top");
    assert_eq!(client.bootstrap_slots, [32]);
    assert_eq!(client.input_levels, [Level(6), Level(5)]);
    assert_eq!(client.outputs.iter().map(|port| port.value).collect::<Vec<_>>(), [Level(1)]);
    assert_eq!(client.program, circuit.program.client);
    assert_eq!(client.inputs, circuit.program.inputs);
}

#[test]
fn fingerprint_ignores_weights_and_name_and_sees_parameters() {
    let original = tiny();
    let mut renamed = original.clone();
    renamed.model.name = "other".into();
    assert_eq!(renamed.fingerprint(), original.fingerprint());
    let mut other = original.clone();
    other.parameters = insecure(8, 3);
    assert_ne!(other.fingerprint(), original.fingerprint());
    assert_eq!(original.fingerprint().to_string().len(), 64);
}

#[test]
fn files_come_back_and_client_or_circuit_takes_either() {
    let folder = tempfile::tempdir().unwrap();
    let (circuit_path, client_path) = (folder.path().join("circuit.bin"), folder.path().join("client.bin"));
    let circuit = rich();
    write_circuit(&circuit_path, &circuit).unwrap();
    write_client(&client_path, &circuit.client()).unwrap();
    assert_eq!(std::fs::read(&circuit_path).unwrap(), encode_circuit(&circuit));
    assert_eq!(std::fs::read(&client_path).unwrap(), encode_client(&circuit.client()));
    assert_eq!(read_circuit(&circuit_path).unwrap(), circuit);
    for path in [&circuit_path, &client_path] {
        assert_eq!(read_client_or_circuit(path).unwrap(), circuit.client());
    }
    assert_eq!(read_client(&client_path).unwrap(), circuit.client());
    let error = read_circuit(&client_path).unwrap_err();
    assert!(matches!(error.problem(), CircuitError::NotThisKind { .. }));
    let message = format!("{}: this is a client file; a circuit file is needed", client_path.display());
    assert_eq!(error.to_string(), message);
}

#[test]
fn foreign_and_missing_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, b"\x08\x07\x12\x07pytorch and more").unwrap();
    let error = read_client_or_circuit(&path).unwrap_err();
    assert!(matches!(error.problem(), CircuitError::NotThisKind { found: None, .. }));
    assert!(error.to_string().ends_with("this is no file of this project; a client or circuit file is needed"));
    let error = read_circuit(Path::new("does/not/exist.bin")).unwrap_err();
    assert!(matches!(error, CircuitError::Io { .. }));
    assert!(error.to_string().starts_with("does/not/exist.bin: "));
}

#[test]
fn a_circuit_that_readers_refuse_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut circuit = tiny();
    circuit.parameters.security_bits = 128;
    let error = write_circuit(&folder.path().join("circuit.bin"), &circuit).unwrap_err();
    assert!(matches!(error.problem(), CircuitError::Malformed(_)), "{error}");
    let mut client = tiny().client();
    client.rotations.insert(8, Level(0));
    let error = write_client(&folder.path().join("client.bin"), &client).unwrap_err();
    assert!(matches!(error.problem(), CircuitError::Malformed(_)), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Positions where `pattern` occurs.
fn occurrences(bytes: &[u8], pattern: &[u8]) -> usize {
    bytes.windows(pattern.len()).filter(|window| *window == pattern).count()
}

#[test]
fn client_file_has_no_weights() {
    let circuit = rich();
    let (file, client_file) = (encode_circuit(&circuit), encode_client(&circuit.client()));
    let odd = |value: &f64| f64::from(*value as f32) != *value;
    let weights: Vec<f64> = weights(&circuit).into_iter().filter(odd).collect();
    assert!(weights.len() > 40);
    for weight in weights {
        assert_ne!(occurrences(&file, &weight.to_le_bytes()), 0, "{weight} is not in the circuit");
        for pattern in [&weight.to_le_bytes()[..], &(weight as f32).to_le_bytes()] {
            assert_eq!(occurrences(&client_file, pattern), 0, "{weight} is in the client file");
        }
    }
}

#[test]
fn equal_weights_are_stored_once() {
    let file = encode_circuit(&rich());
    let twice = testkit::circuits::odd_weight(1, 4);
    assert_eq!(occurrences(&file, &twice.to_le_bytes()), 1, "two convolutions share this kernel");
}

fn dense_circuit(weight: impl Fn(usize) -> f64, inputs: usize, outputs: usize) -> Circuit {
    let (input, output) = (Layout::dense(inputs, 64), Layout::dense(outputs, 64));
    let weight = tensor(&[outputs, inputs], weight);
    let map = LinearMap::of(Primitive::Dense { weight, left: 1, right: 1 }, None);
    let maps = vec![packed("/fc", map, input.clone(), output.clone())];
    let mut program = CkksProgram::new(64, maps, vec![input_port("x", &[inputs], input)]);
    let x = program.push("x", Op::Input { port: 0, level: Level(1) }).unwrap();
    let y = program.push("/fc", Op::Linear { map: MapId(0), input: x, level: Level(0) }).unwrap();
    program.outputs.push(output_port("y", y, &[outputs], output));
    circuit("dense", program, insecure(64, 1))
}

#[test]
fn weights_that_are_floats_take_four_bytes() {
    let floats = encode_circuit(&dense_circuit(|i| i as f64 * 0.5, 64, 32)).len();
    let doubles = encode_circuit(&dense_circuit(|i| i as f64 * 0.1, 64, 32)).len();
    assert!(doubles - floats >= 4 * 64 * 32, "{doubles} and {floats} bytes");
    assert!(floats < 4 * 64 * 32 + 1500, "{floats} bytes");
}

#[test]
fn negative_zero_and_subnormal_weights_survive() {
    let special = [-0.0, f64::MIN_POSITIVE / 3.0, f64::from(f32::MIN_POSITIVE) / 4.0, f64::MAX];
    let circuit = dense_circuit(|i| special[i], 2, 2);
    let decoded = decode_circuit(&encode_circuit(&circuit)).unwrap();
    let bits = |circuit: &Circuit| weights(circuit).into_iter().map(f64::to_bits).collect::<Vec<_>>();
    assert_eq!(bits(&decoded), bits(&circuit));
}

#[test]
fn bytes_of_a_tiny_circuit_do_not_change() {
    let mut circuit = tiny();
    // What later versions added is left out, as in files of the first one.
    circuit.prediction.work = Work::default();
    circuit.prediction.machine = String::new();
    circuit.prediction.key_memory = 0;
    circuit.model.fidelity = None;
    let files = [encode_circuit(&circuit), encode_client(&circuit.client())];
    let digests = files.each_ref().map(|file| hex(&Sha256::digest(file)));
    let golden = [
        "648c1cce903c99ec2ec099a3ad679e1a2d8b715fdcfc730446cd3da4249af2cf",
        "df80781ec508aefe78bdd245e82f26b6e8542d92850edace05b3fc885bc085d7",
    ];
    assert_eq!(digests, golden, "the format changed: raise FORMAT_VERSION ({} bytes)", files[0].len());
}

prop_compose! {
    /// Distinct places for `size` elements in one vector of 64 slots.
    fn places(size: usize)(shuffled in Just((0..64u32).collect::<Vec<_>>()).prop_shuffle()) -> Vec<u32> {
        shuffled[..size].to_vec()
    }
}

prop_compose! {
    fn any_dense_circuit()(inputs in 1usize..24, outputs in 1usize..24)(
        input_places in places(inputs),
        output_places in places(outputs),
        weights in prop::collection::vec(-1e6f64..1e6, inputs * outputs),
        bias in prop::collection::vec(any::<f32>().prop_filter("finite", |v| v.is_finite()), 1..=outputs),
        repeat in 1usize..5,
        scale in prop::num::f64::NORMAL,
        name in "\\PC{0,20}",
        range in (-1e9f64..0.0, 0.0..1e9f64),
    ) -> Circuit {
        let layout = |places: Vec<u32>| Layout::new(places, 64, 1, Gaps::Zero).unwrap();
        let (input, output) = (layout(input_places), layout(output_places));
        let weight = tensor(&[output.size(), input.size()], |i| weights[i]);
        let bias = Bias { values: tensor(&[bias.len()], |i| f64::from(bias[i])), repeat };
        let map = LinearMap::of(Primitive::Dense { weight, left: 1, right: 1 }, Some(bias)).scaled(scale, 1.0);
        let maps = vec![packed(&name, map, input.clone(), output.clone())];
        let mut port = input_port(&name, &[input.size()], input);
        port.scaling.range = range;
        let mut program = CkksProgram::new(64, maps, vec![port]);
        let x = program.push(Arc::from(name.as_str()), Op::Input { port: 0, level: Level(1) }).unwrap();
        let y = program.push("", Op::Linear { map: MapId(0), input: x, level: Level(0) }).unwrap();
        program.outputs.push(output_port(&name, y, &[output.size()], output));
        circuit(&name, program, insecure(64, 1))
    }
}

proptest! {
    #[test]
    fn any_circuit_comes_back(circuit in any_dense_circuit()) {
        check_round_trip(&circuit);
    }
}
