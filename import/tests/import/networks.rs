//! Trained networks that nobody here made, and our own, against tract.

use std::path::{Path, PathBuf};

use paf_import::import;
use paf_oracle::Oracle;
use testkit::client_part::outputs;
use testkit::networks::NETWORKS;
use testkit::random::random_values;
use testkit::{digits, file_name};

use crate::support::{Tolerance, difference};

#[test]
#[ignore = "needs PAF_SHARED"]
fn public_networks_agree_with_tract() {
    check_all(&NETWORKS.map(|network| network.file()));
}

#[test]
fn own_networks_agree_with_tract() {
    check_all(&digits::NETWORKS.map(|network| network.model()));
}

fn check_all(paths: &[PathBuf]) {
    let failed = |path: &PathBuf| check(path).err().map(|problem| format!("{}: {problem}", file_name(path)));
    let failures: Vec<String> = paths.iter().filter_map(failed).collect();
    assert!(failures.is_empty(), "{} of {} fail:\n{}", failures.len(), paths.len(), failures.join("\n"));
}

fn check(path: &Path) -> Result<(), String> {
    let imported = import(path).map_err(|problem| problem.to_string())?;
    let input = imported.graph.inputs[0].0;
    let values = random_values(20_240_607, imported.graph.node(input).shape.size());
    let expected = Oracle::load(path).and_then(|oracle| oracle.run(&values)).map_err(|error| error.to_string())?;
    let got = outputs(&imported.graph, values.iter().copied().map(f64::from).collect());
    assert_eq!(got.len(), expected.len(), "{}", path.display());
    for (got, expected) in got.iter().zip(&expected) {
        let expected: Vec<f64> = expected.iter().copied().map(f64::from).collect();
        difference(&got.data, &expected, Tolerance::WholeNetwork)?;
    }
    Ok(())
}
