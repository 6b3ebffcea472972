//! Trained networks that nobody here made, against tract.

use std::path::{Path, PathBuf};

use paf_import::import;
use paf_import::oracle::Oracle;

use crate::support::{Tolerance, difference, entries, evaluate, file_name, random_values, shared, testdata};

#[test]
fn public_networks_agree_with_tract() {
    let Some(shared) = shared() else { return };
    let mut paths = entries(&shared.join("data/onnx"));
    paths.extend(entries(&shared.join("data/assembled")));
    assert_eq!(paths.len(), 31);
    check_all(&paths);
}

#[test]
fn own_networks_agree_with_tract() {
    let mut paths = entries(&testdata());
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "onnx"));
    assert!(!paths.is_empty());
    check_all(&paths);
}

fn check_all(paths: &[PathBuf]) {
    let failures: Vec<String> = paths.iter().filter_map(|path| check(path).err()).collect();
    assert!(failures.is_empty(), "{} of {} fail:\n{}", failures.len(), paths.len(), failures.join("\n"));
}

fn check(path: &Path) -> Result<(), String> {
    let name = file_name(path);
    let failed = |problem: String| format!("{name}: {problem}");
    match import(path) {
        Ok(imported) => {
            let input = imported.graph.inputs[0].0;
            let values = random_values(20_240_607, imported.graph.node(input).shape.size());
            let oracle = Oracle::load(path).map_err(|problem| failed(problem.to_string()))?;
            let expected = oracle.run(&values).map_err(|problem| failed(problem.to_string()))?;
            let got = evaluate(&imported.graph, values.iter().copied().map(f64::from).collect());
            assert_eq!(got.len(), expected.len(), "{name}");
            for ((_, got), expected) in got.iter().zip(&expected) {
                let expected: Vec<f64> = expected.iter().copied().map(f64::from).collect();
                difference(got, &expected, Tolerance::WholeNetwork).map_err(failed)?;
            }
            Ok(())
        }
        Err(problem) => Err(failed(problem.to_string())),
    }
}
