//! Predictions with the table of a machine.

mod bench;
#[path = "../../runtime/tests/common/mod.rs"]
mod common;

use std::fs;

use bench::Bench;
use common::relu_case;
use paf_circuit::write_machine_costs;
use paf_scheme::{EngineProfile, MachineCosts, WorkKind};
use serde_json::Value;

/// A machine on which the kinds of work for which `slower` holds take twice as long as on the reference machine.
fn machine(slower: impl Fn(WorkKind) -> bool) -> MachineCosts {
    let mut costs = EngineProfile::openfhe().reference.costs();
    costs.machine = "a slow one".into();
    for kind in WorkKind::ALL.into_iter().filter(|&kind| slower(kind)) {
        costs.seconds[kind as usize].iter_mut().for_each(|seconds| *seconds *= 2.0);
    }
    costs
}

fn check(facts: &Value, seconds: f64, machine: &str) {
    assert!((facts["predicted_seconds"].as_f64().unwrap() - seconds).abs() < 1e-12, "{facts}");
    assert!(facts["predicted_with"].as_str().unwrap().contains(machine), "{facts}");
}

/// The circuit says 0.1 s, of which 0.07 s are key switches and 0.03 s rescales.
#[test]
fn predictions_follow_the_table() {
    let bench = Bench::new(&relu_case());
    check(&bench.json("info circuit.bin"), 0.1, "built-in table");
    write_machine_costs(&bench.path("all.json"), &machine(|_| true)).unwrap();
    check(&bench.json("info circuit.bin --machine-costs all.json"), 0.2, "a slow one");
    write_machine_costs(&bench.path("rescales.json"), &machine(|kind| kind == WorkKind::Rescale)).unwrap();
    check(&bench.json("info circuit.bin --machine-costs rescales.json"), 0.13, "a slow one");
    assert!(bench.succeeds("info circuit.bin --machine-costs all.json").contains("a slow one"));
}

#[test]
fn the_table_in_the_folder_for_settings_is_found() {
    let bench = Bench::new(&relu_case());
    fs::create_dir_all(bench.path("settings/paf")).unwrap();
    write_machine_costs(&bench.path("settings/paf/machine-costs.json"), &machine(|_| true)).unwrap();
    check(&bench.json("info circuit.bin"), 0.2, "a slow one");
    write_machine_costs(&bench.path("other.json"), &EngineProfile::openfhe().reference.costs()).unwrap();
    check(&bench.json("info circuit.bin --machine-costs other.json"), 0.1, "built-in table");
}

#[test]
fn what_a_circuit_was_compiled_for_is_said() {
    let mut case = relu_case();
    case.circuit.prediction.machine = "the compiler's".into();
    check(&Bench::new(&case).json("info circuit.bin"), 0.1, "the compiler's");
}

#[test]
fn a_circuit_that_does_not_say_what_its_time_is_made_of_keeps_its_prediction() {
    let mut case = relu_case();
    case.circuit.prediction.work = Default::default();
    let bench = Bench::new(&case);
    write_machine_costs(&bench.path("all.json"), &machine(|_| true)).unwrap();
    check(&bench.json("info circuit.bin --machine-costs all.json"), 0.1, "built-in table");
}

#[test]
fn tables_that_are_missing_or_damaged_are_named() {
    let bench = Bench::new(&relu_case());
    bench.fails("info circuit.bin --machine-costs missing.json", 1, "missing.json");
    fs::write(bench.path("half.json"), "{\"format\": \"paf machine").unwrap();
    bench.fails("info circuit.bin --machine-costs half.json", 1, "half.json: the file is not valid: no table");
    assert_eq!(bench.run("info --machine --machine-costs half.json").status.code(), Some(2));
}
