//! Models that leave sizes open, run for samples that say them.

use std::path::Path;

use paf_oracle::{Oracle, OracleError};

#[test]
fn samples_say_the_sizes_that_a_model_leaves_open() -> Result<(), OracleError> {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/bad/dynamic_shape.onnx");
    for shape in [&[1, 6, 6][..], &[1, 1, 6, 6]] {
        let results = Oracle::load_for(&model, &[shape])?.run(&[0.5; 36])?;
        assert_eq!(results.iter().map(Vec::len).collect::<Vec<_>>(), [2]);
    }
    Ok(())
}
