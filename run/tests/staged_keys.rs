//! Evaluation keys that are read when an operation needs them.

mod bench;
#[path = "../../runtime/tests/common/mod.rs"]
mod common;

use std::fs;

use bench::Bench;
use common::{refreshing_case, relu_case};
use paf_circuit::container::{HEADER_BYTES, SECTION_HEADER_BYTES};
use paf_circuit::{read_circuit, write_circuit};

const EVAL: &str = "eval circuit.bin --public server.key --input x.ct";

/// The circuit with its keys, and the results with all keys in memory.
fn bench() -> (Bench, Vec<u8>) {
    let bench = Bench::with_keys(&refreshing_case());
    bench.succeeds(&format!("{EVAL} --output y.ct"));
    let whole = fs::read(bench.path("y.ct")).unwrap();
    (bench, whole)
}

#[test]
fn results_are_the_same_however_few_keys_are_in_memory() {
    let (bench, whole) = bench();
    let all = bench.json("info circuit.bin")["evaluation_key_bytes"].as_u64().unwrap();
    for budget in [1, all / 2, all] {
        bench.succeeds(&format!("{EVAL} --output z.ct --key-memory {budget}"));
        assert!(fs::read(bench.path("z.ct")).unwrap() == whole, "{budget} bytes");
    }
    bench.succeeds(&format!("{EVAL} --output z.ct --key-memory 1 --checkpoint kept --checkpoint-every 0"));
    assert!(fs::read(bench.path("z.ct")).unwrap() == whole, "with checkpoints");
    let facts = bench.json("infer circuit.bin --input x.npy --key-memory 1");
    assert!(facts["agreement_bits"].as_f64().unwrap() > 8.0, "{facts}");
    bench.succeeds("check circuit.bin --input x.npy --key-memory 1");
}

/// Keys that `eval` reads before it begins.
fn read_beforehand(bench: &Bench) -> usize {
    let output = bench.run(&format!("{EVAL} --output z.ct"));
    let stderr = bench::text(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let line = stderr.lines().find_map(|line| line.strip_prefix("load: ")?.strip_suffix(" evaluation keys"));
    line.expect("the number of keys is told").parse().unwrap()
}

#[test]
fn a_circuit_planned_so_begins_with_some_of_its_keys() {
    let (bench, whole) = bench();
    let all = read_beforehand(&bench);
    let mut circuit = read_circuit(&bench.path("circuit.bin")).unwrap();
    circuit.prediction.key_memory = 1 << 20;
    write_circuit(&bench.path("circuit.bin"), &circuit).unwrap();
    assert_eq!(bench.json("info circuit.bin")["key_memory_bytes"], 1 << 20);
    let some = read_beforehand(&bench);
    assert!(0 < some && some < all, "{some} of {all}");
    assert!(fs::read(bench.path("z.ct")).unwrap() == whole);
}

#[test]
fn damaged_keys_are_noticed() {
    let (bench, _) = bench();
    let path = bench.path("server.key");
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - SECTION_HEADER_BYTES - 1;
    bytes[last] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let damaged = format!("{EVAL} --output damaged.ct --key-memory 1");
    bench.fails(&damaged, 1, "server.key: the file is damaged");
    assert!(!bench.path("damaged.ct").exists());

    fs::write(&path, &bytes[..bytes.len() - 10]).unwrap();
    bench.fails(&damaged, 1, "server.key: the file is cut short");
}

#[test]
fn memory_is_compared_before_keys_are_read() {
    let bench = Bench::with_keys(&relu_case());
    let path = bench.path("server.key");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..HEADER_BYTES + 100]).unwrap();
    let mut circuit = relu_case().circuit;
    circuit.prediction.peak_bytes = 1 << 50;
    write_circuit(&bench.path("circuit.bin"), &circuit).unwrap();
    bench.fails(&format!("{EVAL} --output y.ct"), 3, "needs about 1048576.0 GiB of memory");
    bench.fails(&format!("{EVAL} --output y.ct --ignore-memory"), 1, "server.key: the file is cut short");
}
