//! One small model for each operator, form and attribute.

use std::path::{Path, PathBuf};

use paf_import::{ImportOptions, import, import_with};
use testkit::arrays::read_array;
use testkit::backend::{BackendTest, backend_tests};
use testkit::client_part::outputs;
use testkit::{entries, file_name, testdata};

use crate::support::{Tolerance, difference};

fn assert_no_failures(failures: impl Iterator<Item = String>) {
    let failures: Vec<String> = failures.collect();
    assert!(failures.is_empty(), "{} fail:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn testdata_cases_give_the_reference_results() {
    let cases = entries(&testdata("ops"));
    assert_eq!(cases.len(), 77);
    let failure = |case: &PathBuf| check_case(case).err().map(|problem| format!("{}: {problem}", file_name(case)));
    assert_no_failures(cases.iter().filter_map(failure));
}

fn check_case(folder: &Path) -> Result<(), String> {
    let imported = import(&folder.join("model.onnx")).map_err(|problem| problem.to_string())?;
    let input = read_array(&folder.join("input.npy")).data;
    let expected = read_array(&folder.join("output.npy"));
    let got = outputs(&imported.graph, input).remove(0);
    if got.shape != expected.shape || !imported.warnings.is_empty() {
        return Err(format!("shape {}, expected {}; warnings {:?}", got.shape, expected.shape, imported.warnings));
    }
    difference(&got.data, &expected.data, Tolerance::SingleOperator)
}

#[test]
#[ignore = "needs PAF_SHARED"]
fn onnx_backend_tests_give_the_stored_results() {
    let failure =
        |test: &BackendTest| check_backend_test(test).err().map(|problem| format!("{}: {problem}", test.name));
    assert_no_failures(backend_tests().iter().filter_map(failure));
}

/// Binds all inputs but the first as constants, as a compiler with constant weights has to.
fn check_backend_test(test: &BackendTest) -> Result<(), String> {
    let options = ImportOptions { constants: test.weights().into_iter().collect(), ..ImportOptions::default() };
    let imported = match (import_with(&test.model(), &options), test.has_circuit()) {
        (Ok(imported), true) => imported,
        (Err(_), false) => return Ok(()),
        (Ok(_), false) => return Err("imported, take it from the list".to_owned()),
        (Err(problem), true) => return Err(problem.to_string()),
    };
    let expected = test.output();
    let got = outputs(&imported.graph, test.input().data).remove(0);
    if got.shape != expected.shape {
        return Err(format!("shape {}, expected {}", got.shape, expected.shape));
    }
    let tolerance = if test.has_four_digits() { Tolerance::FourDigits } else { Tolerance::SingleOperator };
    difference(&got.data, &expected.data, tolerance)
}
