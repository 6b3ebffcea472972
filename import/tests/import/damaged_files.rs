//! Damaged model files: any result but a crash.

use std::fs;

use paf_import::import;
use testkit::random::random_values;
use testkit::testdata;

use crate::support::TemporaryFile;

#[test]
fn a_cut_at_any_length_is_refused() {
    let model = fs::read(testdata("ops/shape_chain/model.onnx")).expect("a case");
    let file = TemporaryFile::new(&model);
    assert!(import(&file.path()).is_ok());
    for length in 0..model.len() {
        file.write(&model[..length]);
        assert!(import(&file.path()).is_err(), "cut at {length} of {}", model.len());
    }
}

#[test]
fn changed_bytes_never_panic() {
    for case in ["conv_same_upper", "max_pool_ceil_mode", "shape_chain", "squeeze_by_attribute", "gemm_alpha_beta"] {
        let model = fs::read(testdata("ops").join(case).join("model.onnx")).expect("a case");
        let file = TemporaryFile::new(&model);
        let choices = random_values(model.len() as u64, 3 * model.len());
        for (place, choice) in choices.iter().enumerate() {
            let mut damaged = model.clone();
            damaged[place % model.len()] ^= ((choice.abs() * 255.0) as u8).max(1);
            file.write(&damaged);
            if let Ok(imported) = import(&file.path()) {
                assert!(!imported.graph.outputs.is_empty());
            }
        }
    }
}
