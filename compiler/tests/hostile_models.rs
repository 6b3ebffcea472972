//! Small models that ask for much: a compilation ends soon, with little memory, and says what is the matter.

use std::time::{Duration, Instant};

use paf_compiler::options::CompileOptions;
use paf_compiler::pipeline::compile;
use prost::Message;
use testkit::onnx::{model, node};
use testkit::program::Workbench;
use tract_onnx::pb::{ModelProto, NodeProto};

fn squarings(count: usize) -> ModelProto {
    let name = |index: usize| match index {
        0 => "x".to_owned(),
        _ if index == count => "y".to_owned(),
        _ => format!("t{index}"),
    };
    let square = |index: usize| {
        let operand = name(index);
        node("Mul", &format!("{operand} {operand}"), &name(index + 1), vec![])
    };
    model(13, &[1, 4], (0..count).map(square).collect(), vec![])
}

/// Ten squarings took more than a minute, and 24 of them were given bootstraps that were not there.
#[test]
fn squarings_in_a_row_compile_soon() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for count in [6, 8, 9, 10, 12, 14, 24, 30] {
        let file = folder.path().join("model.onnx");
        std::fs::write(&file, squarings(count).encode_to_vec()).expect("the temporary folder is writable");
        let start = Instant::now();
        let circuit =
            compile(&CompileOptions::for_model(&file)).unwrap_or_else(|problem| panic!("{count}: {problem}")).circuit;
        let again = paf_circuit::decode_circuit(&paf_circuit::encode_circuit(&circuit));
        assert!(again.is_ok_and(|again| again == circuit), "{count} squarings");
        assert!(start.elapsed() < Duration::from_secs(30), "{count} squarings: {:?}", start.elapsed());
    }
}

/// What a model calls its nodes and values reaches no terminal as it is.
#[test]
fn names_with_escapes_are_shown_as_text() {
    let bench = Workbench::new(env!("CARGO_BIN_EXE_paf-compile"));
    let named = |operator: &str| NodeProto {
        name: "\u{1b}[2J\nerror: all is well\u{202e}".into(),
        ..node(operator, "x", "y", vec![])
    };
    for (operator, is_named) in [("NoSuch\u{1b}[31mOperator", true), ("Relu", false)] {
        bench.write("model.onnx", model(13, &[1, 4], vec![named(operator)], vec![]).encode_to_vec());
        let output = bench.run("model.onnx -o circuit.bin --insecure-test-parameters --explain");
        let printed = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(printed).expect("a text");
        assert!(
            !text.contains(['\u{1b}', '\u{202e}']) && !text.lines().any(|line| line == "error: all is well"),
            "{text}"
        );
        assert!(!is_named || text.contains(r"\u{1b}[2J\nerror: all is well\u{202e}"), "{text}");
    }
}

/// Weights in files of their own: only files, only below the model's folder, also if a link leads there.
#[cfg(unix)]
#[test]
fn external_data_are_files_beside_the_model() {
    use std::os::unix::fs::symlink;
    use tract_onnx::pb::{StringStringEntryProto, TensorProto};

    let bench = Workbench::new(env!("CARGO_BIN_EXE_paf-compile"));
    let outside = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(outside.path().join("w.bin"), [0u8; 64]).expect("a file");
    bench.write("w.bin", [0u8; 64]);
    symlink(outside.path().join("w.bin"), bench.path("link.bin")).expect("a link");
    symlink(outside.path(), bench.path("linked")).expect("a link");
    symlink("w.bin", bench.path("beside.bin")).expect("a link");
    assert!(std::process::Command::new("mkfifo").arg(bench.path("pipe")).status().is_ok_and(|status| status.success()));
    let write = |location: &str| {
        let entry = StringStringEntryProto { key: "location".into(), value: location.into() };
        let weight = TensorProto {
            name: "w".into(),
            dims: vec![4, 4],
            data_type: 1,
            data_location: Some(1),
            external_data: vec![entry],
            ..TensorProto::default()
        };
        let nodes = vec![node("MatMul", "x w", "y", vec![])];
        bench.write("model.onnx", model(13, &[1, 4], nodes, vec![weight]).encode_to_vec());
    };
    const COMPILE: &str = "model.onnx -o circuit.bin --insecure-test-parameters";
    for (location, problem) in [
        ("link.bin", "lies outside the model's folder"),
        ("linked/w.bin", "lies outside the model's folder"),
        ("../w.bin", "lies outside the model's folder"),
        ("/etc/passwd", "lies outside the model's folder"),
        ("pipe", "is no file"),
        ("missing.bin", "cannot be read"),
    ] {
        write(location);
        bench.fails(COMPILE, 1, &["`w`", location, problem]);
    }
    for location in ["w.bin", "./w.bin", "beside.bin"] {
        write(location);
        bench.succeeds(COMPILE);
    }
    // Caches of models keep a model and its weights elsewhere, and have links to both.
    write("w.bin");
    std::fs::create_dir(bench.path("snapshot")).expect("a folder");
    symlink("../model.onnx", bench.path("snapshot/model.onnx")).expect("a link");
    symlink("../w.bin", bench.path("snapshot/w.bin")).expect("a link");
    bench.succeeds("snapshot/model.onnx -o circuit.bin --insecure-test-parameters");
}
