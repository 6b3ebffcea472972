//! Whose key inputs are encrypted under: secret keys, ids, and what is compared.

mod bench;
#[path = "../../runtime/tests/common/mod.rs"]
mod common;

use std::fs;

use bench::Bench;
use common::network_case;
use paf_runtime::agreement_bits;

fn decrypted(bench: &Bench, inputs: &str) -> Vec<f64> {
    bench.succeeds(&format!("eval circuit.bin --public server.key --input {inputs} --output y.ct"));
    bench.succeeds("decrypt client.bin --secret client.key --input y.ct --output y.npy");
    bench.read("y.npy").iter().copied().collect()
}

#[test]
fn a_secret_key_encrypts() {
    let bench = Bench::with_keys(&network_case());
    bench.succeeds("encrypt client.bin --secret client.key --input x.npy --output by-secret.ct");
    bench.succeeds("encrypt client.bin --secret client.key --public server.key --input x.npy --output by-both.ct");
    bench.succeeds("simulate circuit.bin --input x.npy --output clear.npy");
    let clear: Vec<f64> = bench.read("clear.npy").iter().copied().collect();
    for inputs in ["x.ct", "by-secret.ct", "by-both.ct"] {
        let bits = agreement_bits(&decrypted(&bench, inputs), &clear);
        assert!(bits > 25.0, "{inputs}: {bits} bits");
    }
    // Two encryptions of one input have nothing in common, as under a public key.
    bench.succeeds("encrypt client.bin --secret client.key --input x.npy --output again.ct");
    let (once, again) = (fs::read(bench.path("by-secret.ct")).unwrap(), fs::read(bench.path("again.ct")).unwrap());
    assert_eq!(once.len(), again.len());
    let start = once.len() / 2;
    let equal = once[start..].iter().zip(&again[start..]).filter(|(a, b)| a == b).count();
    assert!(equal < (once.len() - start) / 4, "{equal} equal bytes");
}

#[test]
fn a_public_key_of_another_secret_key_is_refused() {
    let bench = Bench::with_keys(&network_case());
    bench.succeeds("keygen client.bin --secret second.key --public second-server.key");
    let encrypt = |keys: &str| format!("encrypt client.bin {keys} --input x.npy --output z");
    let other = "second-server.key: made with the key";
    bench.fails(&encrypt("--secret client.key --public second-server.key"), 1, other);
    let id = bench.json("info server.key")["key_id"].as_str().unwrap().to_owned();
    bench.fails(&encrypt(&format!("--public second-server.key --key-id {id}")), 1, other);
    bench.fails(&encrypt(&format!("--secret second.key --key-id {id}")), 1, "second.key: made with the key");
    assert_eq!(bench.run(&encrypt("")).status.code(), Some(2));
    assert_eq!(bench.run(&encrypt(&format!("--public server.key --key-id {}", &id[..32]))).status.code(), Some(2));
    assert!(!bench.path("z").exists());
    bench.succeeds(&encrypt(&format!("--public server.key --secret client.key --key-id {}", id.to_uppercase())));
}

#[test]
fn every_file_of_a_pair_names_it() {
    let bench = Bench::with_keys(&network_case());
    bench.succeeds("eval circuit.bin --public server.key --input x.ct --output y.ct");
    let made = bench.json("keygen client.bin --secret client.key --public server.key --force");
    let id = made["key_id"].as_str().unwrap();
    assert_eq!(id.len(), 64);
    assert_eq!(bench.json("encrypt client.bin --public server.key --input x.npy --output x.ct")["key_id"], id);
    let fingerprint = bench.json("info circuit.bin")["fingerprint"].clone();
    for (file, kind) in [("client.key", "secret key"), ("server.key", "server key"), ("x.ct", "ciphertexts")] {
        let facts = bench.json(&format!("info {file}"));
        assert_eq!((&facts["kind"], &facts["key_id"], &facts["fingerprint"]), (&kind.into(), &id.into(), &fingerprint));
        assert!(bench.succeeds(&format!("info {file}")).contains(id));
    }
    assert_ne!(bench.json("info y.ct")["key_id"], id, "results of the pair before");
}
