//! `--machine-costs`: predictions and circuits for another machine than the reference one.

use std::fs;

use paf_circuit::{read_circuit, write_machine_costs};
use paf_scheme::{EngineProfile, WorkKind};
use serde_json::Value;
use testkit::digits::{CNN, calibration_file};
use testkit::program::{DATA, Workbench};

fn bench() -> Workbench {
    Workbench::new(env!("CARGO_BIN_EXE_paf-compile"))
}

/// Arguments that compile a network to a circuit.
fn arguments(circuit: &str) -> String {
    format!("{} --json --calibration {} -o {circuit}", CNN.model().display(), calibration_file().display())
}

#[test]
fn a_machine_that_is_twice_as_slow_takes_twice_as_long_and_gets_the_same_program() {
    let bench = bench();
    let mut costs = EngineProfile::openfhe().reference.costs();
    costs.machine = "a slow one".into();
    costs.seconds.iter_mut().flatten().for_each(|seconds| *seconds *= 2.0);
    write_machine_costs(&bench.path("slow.json"), &costs).unwrap();

    let with_table =
        |circuit: &str| bench.succeeds(&format!("{} --machine-costs slow.json", arguments(circuit))).json();
    let (here, there) = (bench.succeeds(&arguments("a.bin")).json(), with_table("b.bin"));
    let seconds = |facts: &Value| facts["predicted_seconds"].as_f64().unwrap();
    assert!((seconds(&there) / seconds(&here) - 2.0).abs() < 1e-9, "{} and {}", seconds(&here), seconds(&there));
    assert_eq!(
        (here["predicted_for"].as_str(), there["predicted_for"].as_str()),
        (Some("two cores"), Some("a slow one"))
    );
    assert_eq!(here["predicted_peak_bytes"], there["predicted_peak_bytes"]);

    let read = |name: &str| read_circuit(&bench.path(name)).unwrap();
    let (here, there) = (read("a.bin"), read("b.bin"));
    assert_eq!((here.parameters, here.program), (there.parameters, there.program));
    assert_eq!(here.prediction.work, there.prediction.work, "work is counted on the reference machine");
    assert!((here.prediction.work.total() - here.prediction.seconds).abs() < 1e-9);

    with_table("c.bin");
    let bytes = |name: &str| fs::read(bench.path(name)).unwrap();
    assert_eq!(bytes("b.bin"), bytes("c.bin"), "the same table gives the same circuit");
}

#[test]
fn tables_that_are_missing_or_damaged_are_named() {
    let bench = bench();
    let mut costs = EngineProfile::openfhe().reference.costs();
    costs.seconds[WorkKind::Rescale as usize][0] = 0.0;
    write_machine_costs(&bench.path("zero.json"), &costs).unwrap();
    for (file, message) in
        [("missing.json", "missing.json"), ("zero.json", "zero.json: the file is not valid: `rescale` holds 0")]
    {
        bench.fails(&format!("{} --machine-costs {file}", arguments("a.bin")), DATA, &[message]);
    }
}
