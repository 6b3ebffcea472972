//! One small model for each operator, form and attribute.

use std::path::Path;

use paf_import::{ImportOptions, import, import_with};

use crate::backend_cases::{NO_CIRCUIT, free_inputs, read_tensor};
use crate::support::{Tolerance, difference, entries, evaluate, file_name, read_array, shared, testdata};

#[test]
fn testdata_cases_give_the_reference_results() {
    let cases = entries(&testdata().join("ops"));
    assert!(cases.len() >= 70, "{} cases", cases.len());
    let failures: Vec<String> = cases.iter().filter_map(|case| check_case(case).err()).collect();
    assert!(failures.is_empty(), "{} of {} fail:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

fn check_case(folder: &Path) -> Result<(), String> {
    let name = file_name(folder);
    let imported = import(&folder.join("model.onnx")).map_err(|problem| format!("{name}: {problem}"))?;
    let (_, input) = read_array(&folder.join("input.npy"));
    let (shape, expected) = read_array(&folder.join("output.npy"));
    let outputs = evaluate(&imported.graph, input);
    let (got_shape, got) = &outputs[0];
    if *got_shape != shape || !imported.warnings.is_empty() {
        return Err(format!("{name}: shape {got_shape}, expected {shape}; warnings {:?}", imported.warnings));
    }
    difference(got, &expected, Tolerance::SingleOperator).map_err(|problem| format!("{name}: {problem}"))
}

/// All ONNX backend tests, and those that give the stored results.
const BACKEND_TESTS: [usize; 2] = [219, 214];

#[test]
fn onnx_backend_tests_give_the_stored_results() {
    let Some(shared) = shared() else { return };
    let mut failures = vec![];
    let mut counts = [0, 0];
    for set in entries(&shared.join("data/node")).iter().filter(|set| set.is_dir()) {
        for case in entries(set) {
            let name = format!("{}/{}", file_name(set), file_name(&case));
            let must_be_refused = NO_CIRCUIT.iter().any(|(test, _)| *test == name);
            counts[0] += 1;
            match check_backend_case(&case) {
                Ok(Outcome::Imported) if !must_be_refused => counts[1] += 1,
                Ok(Outcome::Refused(_)) if must_be_refused => {}
                Ok(Outcome::Imported) => failures.push(format!("{name}: imported, take it from the list")),
                Ok(Outcome::Refused(problem)) => failures.push(format!("{name}: {problem}")),
                Err(problem) => failures.push(format!("{name}: {problem}")),
            }
        }
    }
    assert!(failures.is_empty(), "{} fail:\n{}", failures.len(), failures.join("\n"));
    assert_eq!(counts, BACKEND_TESTS);
}

enum Outcome {
    Imported,
    Refused(String),
}

/// Binds all inputs but the first as constants, as a compiler with constant weights has to.
fn check_backend_case(folder: &Path) -> Result<Outcome, String> {
    let (path, data) = (folder.join("model.onnx"), folder.join("test_data_set_0"));
    let mut names = free_inputs(&path).into_iter().enumerate();
    names.next();
    let bound = names.map(|(index, name)| (name, read_tensor(&data.join(format!("input_{index}.pb")))));
    let options = ImportOptions { constants: bound.collect() };
    let imported = match import_with(&path, &options) {
        Ok(imported) => imported,
        Err(problem) => return Ok(Outcome::Refused(problem.to_string())),
    };
    let expected = read_tensor(&data.join("output_0.pb"));
    let input = read_tensor(&data.join("input_0.pb"));
    let (shape, got) = evaluate(&imported.graph, input.data).remove(0);
    if shape != expected.shape {
        return Err(format!("shape {shape}, expected {}", expected.shape));
    }
    let has_four_digits = file_name(folder) == "test_averagepool_2d_ceil_last_window_starts_on_pad";
    let tolerance = if has_four_digits { Tolerance::FourDigits } else { Tolerance::SingleOperator };
    difference(&got, &expected.data, tolerance).map(|()| Outcome::Imported)
}
