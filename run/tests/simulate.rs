//! What `paf-run` says of results: accuracy, agreement with the original network, samples that left a scale.

mod bench;
#[path = "../../runtime/tests/common/mod.rs"]
mod common;

use bench::Bench;
use common::{Case, relu_case};
use paf_circuit::write_circuit;
use paf_compiler::options::{CompileOptions, PafChoice};
use paf_compiler::pipeline::compile;
use paf_ir::ckks::CkksProgram;
use paf_oracle::Oracle;
use testkit::arrays::{read_array, read_indices};
use testkit::testdata;

const MODEL: &str = "digits_cnn.onnx";

/// A folder with the circuit of a network, its test images and their labels.
fn digits() -> Bench {
    let bench = Bench::empty();
    let options = CompileOptions {
        calibration: testdata("digits_calibration.npy").into(),
        pafs: vec![PafChoice { node: None, paf: "abs14".into() }],
        ..CompileOptions::for_model(testdata(MODEL))
    };
    write_circuit(&bench.path("circuit.bin"), &compile(&options).unwrap().circuit).unwrap();
    for (file, name) in [(MODEL, "m.onnx"), ("digits_test.npy", "x.npy"), ("digits_test_labels.npy", "y.npy")] {
        std::fs::copy(testdata(file), bench.path(name)).unwrap();
    }
    bench
}

fn top1(values: &[f32]) -> usize {
    (0..values.len()).max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap()
}

#[test]
fn accuracy_and_agreement_are_those_of_the_results() {
    let bench = digits();
    let facts = bench.json("simulate circuit.bin --input x.npy --labels y.npy --model m.onnx --output r.npy");
    let labels = read_indices(&bench.path("y.npy"));
    let results = bench.read("r.npy");
    let classes = results.len() / labels.len();
    let results: Vec<f64> = results.iter().copied().collect();
    let images = read_array(&bench.path("x.npy")).data;
    let oracle = Oracle::load(&bench.path("m.onnx")).unwrap();
    let (mut right, mut exact_right, mut same, mut largest) = (0, 0, 0, 0.0f64);
    for (sample, &label) in labels.iter().enumerate() {
        let image: Vec<f32> = images[sample * 64..][..64].iter().map(|&x| x as f32).collect();
        let exact = oracle.run(&image).unwrap().remove(0);
        let result = &results[sample * classes..][..classes];
        let class = top1(&result.iter().map(|&y| y as f32).collect::<Vec<_>>());
        right += usize::from(class == label);
        exact_right += usize::from(top1(&exact) == label);
        same += usize::from(top1(&exact) == class);
        largest = result.iter().zip(&exact).map(|(y, e)| (y - f64::from(*e)).abs()).fold(largest, f64::max);
    }
    let percent = |count: usize| 100.0 * count as f64 / labels.len() as f64;
    assert_eq!(facts["accuracy"], percent(right));
    assert_eq!(facts["model_accuracy"], percent(exact_right));
    assert_eq!(facts["same"], percent(same));
    assert_eq!(facts["other_samples"].as_array().unwrap().len(), labels.len() - same);
    assert_eq!(facts["outside_samples"], serde_json::json!([]));
    let error = facts["errors"][0]["largest"].as_f64().unwrap();
    assert!((error / largest - 1.0).abs() < 1e-6 && largest > 0.0, "{error} {largest}");
    assert!(same < labels.len() && percent(same) > 95.0, "{same} of {}", labels.len());

    let first = bench.json("simulate circuit.bin --input x.npy --labels y.npy --limit 50");
    assert!(first["same"].is_null() && first["accuracy"].as_f64().unwrap() > 90.0, "{first}");
}

#[test]
fn labels_and_models_that_do_not_fit_are_named() {
    let bench = digits();
    let simulate = |rest: &str| format!("simulate circuit.bin --input x.npy {rest}");
    bench.write("few.npy", &[3], vec![1i64; 3]);
    bench.fails(&simulate("--labels few.npy"), 1, "few.npy: 3 labels for");
    bench.write("other.npy", &[1000], vec![10i64; 1000]);
    bench.fails(&simulate("--labels other.npy"), 1, "other.npy: 10 is none of 10 classes");
    bench.fails(&simulate("--labels x.npy"), 1, "x.npy: holds numbers of type");
    bench.fails(&simulate("--model x.npy"), 1, "x.npy: it is no ONNX model");
    bench.fails(&simulate("--model none.onnx"), 1, "none.onnx");
}

/// One of two samples is far outside of what the polynomial was made for.
fn case_of_an_outsider() -> Case {
    let mut case = relu_case();
    let mut program = CkksProgram::clone(&case.circuit.program);
    program.inputs[0].scaling.range = (-100.0, 100.0);
    case.circuit.program = program.verify().unwrap();
    let outsider = case.samples[0].iter().map(|x| 60.0 * x.signum()).collect();
    case.samples.insert(0, outsider);
    case
}

#[test]
fn a_sample_outside_leaves_the_others_their_results() {
    let case = case_of_an_outsider();
    let bench = Bench::with_keys(&case);
    let simulated = bench.json("simulate circuit.bin --input x.npy --output clear.npy");
    assert_eq!(simulated["outside_samples"], serde_json::json!([0]));
    assert!(simulated["top1"][0].is_null() && simulated["top1"][1].is_u64(), "{simulated}");
    let inferred = bench.json("infer circuit.bin --input x.npy --output together.npy");
    assert_eq!(inferred["outside_samples"], serde_json::json!([0]));
    assert!(inferred["agreement_bits"].as_f64().unwrap() > 20.0, "{inferred}");
    bench.succeeds("eval circuit.bin --public server.key --input x.ct --output y.ct");
    let decrypted = bench.json("decrypt circuit.bin --secret client.key --input y.ct --output apart.npy");
    assert_eq!(decrypted["outside_samples"], serde_json::json!([0]));
    let clear = bench.read("clear.npy");
    for file in ["together.npy", "apart.npy"] {
        let results = bench.read(file);
        assert!(results.index_axis(ndarray::Axis(0), 0).iter().all(|value| value.is_nan()), "{file}: {results}");
        let pairs = results.iter().zip(&clear).skip(32);
        assert!(pairs.clone().count() == 32 && pairs.clone().all(|(a, b)| (a - b).abs() < 1e-3), "{file}: {results}");
    }
}

#[test]
fn a_file_of_refused_samples_is_refused() {
    let mut case = case_of_an_outsider();
    case.samples.truncate(1);
    let bench = Bench::with_keys(&case);
    bench.succeeds("eval circuit.bin --public server.key --input x.ct --output y.ct");
    bench.fails("decrypt circuit.bin --secret client.key --input y.ct --output y.npy", 1, "sample 0");
    assert!(!bench.path("y.npy").exists());
    bench.fails("infer circuit.bin --input x.npy --output y.npy", 1, "sample 0");
}
