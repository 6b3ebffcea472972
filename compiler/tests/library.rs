//! The compiler as a library: models from bytes, and a compilation stage by stage.

mod common;

use std::fs;

use common::compiled;
use paf_circuit::encode_circuit;
use paf_compiler::options::{Calibration, CompileOptions, ModelInput, PipelineStep};
use paf_compiler::pipeline::Compilation;
use paf_import::{ImportError, ModelSource, import_source};
use testkit::arrays::read_array;
use testkit::testdata;

const MODEL: &str = "digits_cnn.onnx";

fn steps(compilation: &Compilation) -> Vec<PipelineStep> {
    compilation.timings.iter().map(|(step, _)| *step).collect()
}

#[test]
fn bytes_give_the_circuit_of_the_file() {
    let source = ModelSource::from_bytes("digits_cnn", fs::read(testdata(MODEL)).unwrap());
    let from_bytes = compiled(&CompileOptions::new(ModelInput::Source(source))).circuit;
    let from_file = compiled(&CompileOptions::for_model(testdata(MODEL))).circuit;
    assert!(encode_circuit(&from_bytes) == encode_circuit(&from_file));
}

#[test]
fn samples_in_memory_are_those_of_a_file() {
    let file = testdata("digits_calibration.npy");
    let samples = read_array(&file).data.chunks_exact(64).map(|sample| vec![sample.to_vec()]).collect();
    let with =
        |calibration| compiled(&CompileOptions { calibration, ..CompileOptions::for_model(testdata(MODEL)) }).circuit;
    assert!(encode_circuit(&with(Calibration::Samples(samples))) == encode_circuit(&with(file.into())));
}

#[test]
fn bytes_that_are_no_model_are_refused_by_name() {
    let error = import_source(&ModelSource::from_bytes("mine", b"no model".to_vec())).unwrap_err();
    assert!(matches!(error, ImportError::NotOnnx { ref path, .. } if path.as_os_str() == "mine"), "{error}");
}

#[test]
fn each_step_is_taken_once_and_leaves_its_stage() {
    let mut compilation = Compilation::new(CompileOptions::for_model(testdata(MODEL))).unwrap();
    compilation.run(PipelineStep::Pack).unwrap();
    assert_eq!(steps(&compilation).last(), Some(&PipelineStep::Pack));
    let lowering = compilation.lowering.as_ref().unwrap();
    assert!(lowering.packed.is_some() && lowering.scheduled.is_none() && compilation.circuit.is_none());
    compilation.run(PipelineStep::Fold).unwrap();
    compilation.run(PipelineStep::Schedule).unwrap();
    assert!(compilation.circuit.is_none(), "scheduled, not emitted");
    compilation.run(PipelineStep::Emit).unwrap();
    use PipelineStep::{Approximate, Emit, Fold, Import, Optimize, Pack, Recover, Schedule};
    assert_eq!(steps(&compilation), [Import, Recover, Fold, Approximate, Optimize, Pack, Schedule, Emit]);
    assert!(compilation.finish().unwrap().circuit.counts().levels > 0);
}

/// The bytes that were imported are those that are hashed, whatever becomes of the file.
#[test]
fn the_source_is_what_was_compiled() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("digits_cnn.onnx");
    fs::copy(testdata(MODEL), &model).unwrap();
    let mut compilation = Compilation::new(CompileOptions::for_model(&model)).unwrap();
    compilation.run(PipelineStep::Import).unwrap();
    fs::write(&model, "something else").unwrap();
    let circuit = compilation.finish().unwrap().circuit;
    let expected = compiled(&CompileOptions::for_model(testdata(MODEL))).circuit;
    assert_eq!(circuit.model.source_sha256, expected.model.source_sha256);
}
