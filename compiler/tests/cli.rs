//! `paf-compile` as its users run it: what it writes and prints, and what bad input gets.

use std::fs;

use paf_circuit::read_circuit;
use serde_json::Value;
use testkit::arrays::write_array;
use testkit::digits::calibration_file;
use testkit::program::{DATA, ENVIRONMENT, Printed, USAGE, Workbench};
use testkit::testdata;

/// The compiler, run on models of `testdata`.
struct Bench(Workbench);

impl Bench {
    fn new() -> Self {
        Bench(Workbench::new(env!("CARGO_BIN_EXE_paf-compile")))
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path(name)
    }

    fn files(&self) -> Vec<String> {
        self.0.files()
    }

    fn succeeds(&self, model: &str, arguments: &str) -> Printed {
        self.0.succeeds(&format!("{} {arguments}", testdata(model).display()))
    }

    fn fails(&self, model: &str, arguments: &str, code: i32, parts: &[&str]) -> Printed {
        self.0.fails(&format!("{} {arguments}", testdata(model).display()), code, parts)
    }
}

const CALIBRATED: &str = "digits_mlp.onnx";

/// Arguments that calibrate a model of the digits.
fn calibration() -> String {
    format!("--calibration {}", calibration_file().display())
}

#[test]
fn a_circuit_is_written_and_described() {
    let bench = Bench::new();
    let printed = bench.succeeds(CALIBRATED, &format!("-o circuit.bin {}", calibration()));
    for part in ["circuit.bin", "levels", "N = ", "128 bits", "rotations", "memory", "time"] {
        assert!(printed.stdout.contains(part), "no `{part}` in {}", printed.stdout);
    }
    assert_eq!(printed.stderr, "");
    assert_eq!(bench.files(), ["circuit.bin"]);
    assert_eq!(read_circuit(&bench.path("circuit.bin")).unwrap().model.name, "digits_mlp");
}

#[test]
fn json_has_the_facts_of_the_circuit() {
    let bench = Bench::new();
    let printed = bench.succeeds("digits_cnn.onnx", &format!("-o circuit.bin --json {}", calibration()));
    let facts = printed.json();
    let circuit = read_circuit(&bench.path("circuit.bin")).unwrap();
    let counts = circuit.counts();
    let numbers = [
        ("levels", u64::from(counts.levels)),
        ("bootstraps", 0),
        ("ring_dimension", circuit.parameters.ring_dimension as u64),
        ("slots", circuit.parameters.slots as u64),
        ("log_qp", u64::from(circuit.parameters.log_qp)),
        ("security_bits", 128),
        ("rotations", counts.rotations as u64),
        ("rotation_keys", counts.rotation_keys.len() as u64),
        ("ciphertext_products", counts.ciphertext_products as u64),
        ("plaintext_products", counts.plaintext_products as u64),
        ("predicted_peak_bytes", circuit.prediction.peak_bytes),
    ];
    for (key, expected) in numbers {
        assert_eq!(facts[key].as_u64(), Some(expected), "{key}");
    }
    assert!(facts["predicted_seconds"].as_f64().unwrap() > 0.0);
    assert_eq!(facts["insecure"], false);
    assert_eq!(facts["fingerprint"], circuit.fingerprint().to_string());
    let nodes: Vec<&Value> = facts["pafs"].as_array().unwrap().iter().map(|paf| &paf["node"]).collect();
    assert_eq!(nodes, ["relu", "max_pool"]);
    for step in ["import", "recover", "fold", "approximate", "optimize", "pack", "schedule", "emit"] {
        assert!(facts["seconds"][step].is_number(), "{step}");
    }
}

#[test]
fn the_same_model_gives_the_same_bytes() {
    let bench = Bench::new();
    for name in ["one.bin", "two.bin"] {
        bench.succeeds("digits_cnn.onnx", &format!("-o {name} {}", calibration()));
    }
    assert!(fs::read(bench.path("one.bin")).unwrap() == fs::read(bench.path("two.bin")).unwrap());
}

#[test]
fn every_ir_prints() {
    let bench = Bench::new();
    let cases = [
        ("--emit tensor", "= linear"),
        ("--emit slots", "slots "),
        ("--emit ckks", "level 0, 2 parts, rest>"),
        ("--stop-after import", "= relu"),
        ("--stop-after recover", "= relu"),
        ("--stop-after fold", "= relu"),
        ("--stop-after approximate", "= mul"),
        ("--stop-after optimize", "= linear"),
        ("--stop-after pack", "slots "),
        ("--stop-after schedule", "level 0, 2 parts, rest>"),
    ];
    for (arguments, part) in cases {
        let printed = bench.succeeds(CALIBRATED, arguments).stdout;
        assert!(printed.contains(part), "{arguments}: no `{part}` in {printed}");
    }
    assert!(bench.files().is_empty());
}

#[test]
fn a_stopped_compilation_writes_no_circuit() {
    let bench = Bench::new();
    for step in ["import", "pack", "schedule"] {
        bench.succeeds(CALIBRATED, &format!("-o circuit.bin --stop-after {step}"));
        assert!(bench.files().is_empty(), "{step}");
    }
    bench.succeeds(CALIBRATED, "-o circuit.bin --stop-after emit");
    assert_eq!(bench.files(), ["circuit.bin"]);
}

#[test]
fn an_ir_prints_while_a_circuit_is_written() {
    let bench = Bench::new();
    let cases = [("tensor", "= linear", "slots "), ("slots", "slots ", "level 0"), ("ckks", "level 0", "= relu")];
    for (ir, part, absent) in cases {
        let printed = bench.succeeds(CALIBRATED, &format!("-o {ir}.bin --emit {ir}")).stdout;
        assert!(printed.contains(part) && !printed.contains(absent), "{ir}: {printed}");
    }
    assert_eq!(bench.files(), ["ckks.bin", "slots.bin", "tensor.bin"]);
}

/// The applications and the saved levels of a rule.
fn explained(printed: &str, rule: &str) -> (u64, u64) {
    let line = printed.lines().find(|line| line.starts_with(rule)).unwrap_or_else(|| panic!("no {rule} in {printed}"));
    let numbers: Vec<u64> = line.split_whitespace().skip(1).map(|number| number.parse().unwrap()).collect();
    (numbers[0], numbers[1])
}

/// One ReLU of degree 7·7: without balanced products each polynomial takes its degree in levels, and a scale that
/// cannot enter the linear map before it takes one of its own.
#[test]
fn explain_counts_rules_and_levels() {
    let printed = Bench::new().succeeds(CALIBRATED, "-o circuit.bin --explain").stderr;
    assert!(printed.contains("before, 9 after"), "{printed}");
    for rule in ["mul-assoc", "scale-linear"] {
        let (applied, levels) = explained(&printed, rule);
        assert!(applied > 0 && levels > 0, "{rule}: {printed}");
    }
    for line in printed.lines().filter(|line| line.starts_with("scale-") || line.starts_with("mul-")) {
        let (applied, levels) = explained(&printed, line.split_whitespace().next().unwrap());
        assert!(applied > 0 || levels == 0, "{line}");
    }
}

#[test]
fn explain_works_where_the_circuit_is_too_deep() {
    let arguments = "-o circuit.bin --bootstraps never --paf alpha14 --explain";
    let stderr = Bench::new().fails("digits_resnet_tiny.onnx", arguments, DATA, &[]).stderr;
    assert!(explained(&stderr, "scale-linear").1 > 0, "{stderr}");
}

#[test]
fn insecure_parameters_are_said_to_be_insecure() {
    let bench = Bench::new();
    let printed = bench.succeeds(CALIBRATED, "-o circuit.bin --insecure-test-parameters");
    assert!(printed.stderr.contains("protects NOTHING"), "{}", printed.stderr);
    assert!(printed.stdout.contains("NONE"), "{}", printed.stdout);
    let facts = bench.succeeds(CALIBRATED, "-o circuit.bin --insecure-test-parameters --json").json();
    assert_eq!((&facts["insecure"], &facts["security_bits"]), (&Value::from(true), &Value::from(0)));
}

#[test]
fn without_calibration_a_note_says_what_is_lost() {
    let printed = Bench::new().succeeds(CALIBRATED, "-o circuit.bin");
    assert!(printed.stderr.contains("--calibration"), "{}", printed.stderr);
}

#[test]
fn pafs_are_chosen_for_all_nodes_and_for_one() {
    let bench = Bench::new();
    let facts = bench.succeeds("digits_cnn.onnx", "-o c.bin --json --paf alpha5 --paf relu=f1_g2.cheon").json();
    let pafs: Vec<&Value> = facts["pafs"].as_array().unwrap().iter().map(|paf| &paf["paf"]).collect();
    assert_eq!(pafs, ["f1_g2.cheon", "alpha5"]);
}

/// `--paf auto` prints what each node got; the numbers are those of the JSON.
#[test]
fn explain_and_json_say_what_was_chosen() {
    let bench = Bench::new();
    let arguments = format!("-o c.bin --json --explain --paf auto --max-error 0.05 {}", calibration());
    let printed = bench.succeeds("digits_cnn.onnx", &arguments);
    let facts = printed.json();
    assert!(facts["choice"]["measured_error"].as_f64().unwrap() <= 0.05);
    assert_eq!(facts["choice"]["levels"], facts["levels"]);
    for node in facts["choice"]["nodes"].as_array().unwrap() {
        let (name, paf) = (node["node"].as_str().unwrap(), node["paf"].as_str().unwrap());
        let line = printed.stderr.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
        assert!(line.contains(paf), "{line}");
    }
}

#[test]
fn models_that_cannot_be_read() {
    let bench = Bench::new();
    let cases: [(&str, &[&str]); 4] = [
        ("there_is_none.onnx", &["there_is_none.onnx"]),
        ("bad/not_onnx.onnx", &["not_onnx.onnx", "not an ONNX model"]),
        ("bad/empty.onnx", &["empty.onnx"]),
        ("bad/truncated.onnx", &["truncated.onnx", "cut short"]),
    ];
    for (model, parts) in cases {
        bench.fails(model, "-o circuit.bin", DATA, parts);
    }
}

#[test]
fn models_that_cannot_be_compiled() {
    let bench = Bench::new();
    let cases: [(&str, &[&str]); 8] = [
        ("unsupported_ops", &["2 nodes ", "`tangents` (Tan)", "`noise` (RandomNormalLike)"]),
        ("control_flow", &["`brighter` (If)"]),
        ("softmax_in_the_middle", &["`channel_attention` (Softmax)"]),
        ("dynamic_shape", &["axis 2 of input `image`", "`H`"]),
        ("text_input", &["`image`", "STRING"]),
        ("gemm_shape_mismatch", &["`gemm`", "31", "32"]),
        ("nan_weights", &["conv.weight", "element 15"]),
        ("inf_weights", &["conv.weight", "element 15"]),
    ];
    for (model, parts) in cases {
        bench.fails(&format!("bad/{model}.onnx"), "-o circuit.bin", DATA, parts);
    }
}

#[test]
fn calibration_that_does_not_fit() {
    let bench = Bench::new();
    write_array(&bench.path("shape.npy"), &[2, 1, 8, 9], vec![0f32; 144]);
    write_array(&bench.path("none.npy"), &[0, 1, 8, 8], vec![0f32; 0]);
    fs::write(bench.path("type.npy"), complex_numbers()).unwrap();
    write_array(&bench.path("nan.npy"), &[1, 1, 8, 8], [vec![f32::NAN], vec![0.5; 63]].concat());
    write_array(&bench.path("zero.npy"), &[2, 1, 8, 8], vec![0f32; 128]);
    fs::write(bench.path("text.npy"), "1 2 3").unwrap();
    fs::write(bench.path("promise.npy"), header_that_promises_too_much()).unwrap();
    let cases: [(&str, &[&str]); 8] = [
        ("shape", &["[2, 1, 8, 9]", "[1, 8, 8]"]),
        ("none", &["[0, 1, 8, 8]"]),
        ("type", &["<c8", "float16, float32, float64, an integer type or bool"]),
        ("nan", &["value 0 is NaN"]),
        ("zero", &["every value is 0"]),
        ("text", &[".npy"]),
        ("promise", &[".npy"]),
        ("missing", &["No such file"]),
    ];
    for (name, parts) in cases {
        let arguments = format!("-o circuit.bin --calibration {name}.npy");
        bench.fails(CALIBRATED, &arguments, DATA, &[parts, &[&format!("{name}.npy")]].concat());
    }
}

#[test]
fn sizes_that_a_model_leaves_open() {
    const OPEN: &str = "bad/dynamic_shape.onnx";
    let bench = Bench::new();
    let sized = bench.succeeds(OPEN, "--size H=6 --size W=6 --stop-after import");
    assert!(sized.stdout.contains("[1, 1, 6, 6]"), "{}", sized.stdout);
    write_array(&bench.path("bytes.npy"), &[2, 1, 6, 6], (0..72).collect::<Vec<u8>>());
    let sampled = bench.succeeds(OPEN, "--calibration bytes.npy --stop-after import");
    assert_eq!(sampled.stdout, sized.stdout);
    bench.fails(OPEN, "--stop-after import", DATA, &["--calibration X.npy, --size NAME=SIZE"]);
    bench.fails(OPEN, "--size Q=6 --stop-after import", DATA, &["called `Q`; the names are H, N, W"]);
    write_array(&bench.path("flat.npy"), &[2, 36], vec![1f32; 72]);
    let parts = &["input `image` is declared as [`N`, 1, `H`, `W`]", "[2, 36]"];
    bench.fails(OPEN, "--calibration flat.npy --stop-after import", DATA, parts);
    bench.fails(OPEN, "--size H=none -o c.bin", 2, &["NAME=SIZE"]);
}

/// An `.npy` file of one value whose header speaks of 10^14 rows.
fn header_that_promises_too_much() -> Vec<u8> {
    with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (100000000000000, 1, 8, 8), }")
}

fn complex_numbers() -> Vec<u8> {
    with_header("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }")
}

/// An `.npy` file of four bytes.
fn with_header(header: &str) -> Vec<u8> {
    let mut header = header.as_bytes().to_vec();
    header.resize(117, b' ');
    header.push(b'\n');
    [b"\x93NUMPY\x01\x00".as_slice(), &118u16.to_le_bytes(), &header, &[0; 4]].concat()
}

#[test]
fn wrong_usage() {
    let bench = Bench::new();
    let cases: [(&str, &[&str]); 16] = [
        ("-o c.bin --paf auto --max-error 0", &["--max-error", "above 0"]),
        ("-o c.bin --paf auto --max-error 0.1 --max-levels 20", &["cannot be used with"]),
        ("-o c.bin --paf auto --max-error 0.1", &["--calibration"]),
        ("-o c.bin --paf auto", &["--max-error E or --max-levels L"]),
        ("-o c.bin --max-error 0.1", &["--paf auto"]),
        ("-o c.bin --paf relu=auto", &["relu=auto", "NODE=NAME"]),
        ("", &["--output"]),
        ("-o c.bin --paf alpah7", &["\"alpah7\"", "did you mean \"alpha7\"?"]),
        ("-o c.bin --paf relu=alpah7", &["did you mean \"alpha7\"?"]),
        ("-o c.bin --paf relux=alpha7", &["`relux`", "the model has: relu"]),
        ("-o c.bin --paf =alpha7", &["NODE=NAME"]),
        ("-o c.bin --margin 0.5", &["1 to 100"]),
        ("-o c.bin --memory much", &["--memory"]),
        ("-o c.bin --input-range 1,0", &["LOW must be below HIGH"]),
        ("-o c.bin --emit assembly", &["tensor", "slots", "ckks"]),
        ("-o c.bin --stop-after lunch", &["import", "emit"]),
    ];
    for (arguments, parts) in cases {
        bench.fails(CALIBRATED, arguments, USAGE, parts);
    }
}

#[test]
fn too_little_memory_names_the_least() {
    let bench = Bench::new();
    let parts = ["needs at least", "MiB", "16777216"];
    let message = bench.fails(CALIBRATED, "-o circuit.bin --memory 16M", DATA, &parts).stderr;
    let least = message.split_whitespace().find_map(|word| word.parse::<u64>().ok()).expect("a number of bytes");
    bench.succeeds(CALIBRATED, &format!("-o circuit.bin --memory {least}"));
    let circuit = read_circuit(&bench.path("circuit.bin")).unwrap();
    assert!(circuit.prediction.peak_bytes <= least, "{} {least}", circuit.prediction.peak_bytes);
    fs::remove_file(bench.path("circuit.bin")).unwrap();
    bench.fails(CALIBRATED, &format!("-o circuit.bin --memory {}", least - 1), DATA, &[&least.to_string()]);
}

/// Predicted bits of a network with bootstraps.
fn predicted_bits(bench: &Bench, arguments: &str) -> f64 {
    let arguments = format!("-o circuit.bin --json --paf alpha14 {} {arguments}", calibration());
    let facts = bench.succeeds("digits_resnet_tiny.onnx", &arguments).json();
    assert!(facts["bootstraps"].as_u64().unwrap() > 0);
    facts["predicted_precision_bits"].as_f64().unwrap()
}

#[test]
fn a_precision_is_kept_or_refused_with_the_best_that_can_be_had() {
    let bench = Bench::new();
    assert!(predicted_bits(&bench, "") < 13.0, "nothing was asked for");
    assert!(predicted_bits(&bench, "--precision 20") >= 20.0);
    fs::remove_file(bench.path("circuit.bin")).unwrap();
    for iterations in ["", "--bootstrap-iterations 1"] {
        let arguments = format!("-o circuit.bin --paf alpha14 {} --precision 30 {iterations}", calibration());
        let parts = ["--precision 30: ", "can be kept"];
        let message = bench.fails("digits_resnet_tiny.onnx", &arguments, DATA, &parts).stderr;
        let best = message.rsplit("--precision ").next().unwrap().split_whitespace().next().unwrap();
        let kept = predicted_bits(&bench, &format!("--precision {best} {iterations}"));
        assert!(kept >= best.parse().unwrap(), "{kept} for {best}");
        fs::remove_file(bench.path("circuit.bin")).unwrap();
    }
    let printed = bench.succeeds(CALIBRATED, &format!("-o circuit.bin {}", calibration())).stdout;
    assert!(printed.lines().any(|line| line.starts_with("precision ") && line.contains(" bits")), "{printed}");
}

#[test]
fn a_network_that_is_too_deep_is_told_what_would_fit() {
    let parts = ["levels", "without bootstrapping", "with --paf "];
    let arguments = "-o circuit.bin --bootstraps never --paf alpha14";
    Bench::new().fails("digits_resnet_tiny.onnx", arguments, DATA, &parts);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_the_environment() {
    Bench::new().fails(CALIBRATED, "-o /dev/full", ENVIRONMENT, &["/dev/full", "No space left"]);
}

#[test]
fn a_folder_that_does_not_exist_is_the_users() {
    Bench::new().fails(CALIBRATED, "-o nowhere/circuit.bin", DATA, &["nowhere/circuit.bin"]);
}

#[test]
fn a_failure_leaves_an_earlier_circuit_as_it_was() {
    let bench = Bench::new();
    fs::write(bench.path("circuit.bin"), "an earlier circuit").unwrap();
    bench.fails("bad/nan_weights.onnx", "-o circuit.bin", DATA, &["NaN"]);
    bench.fails(CALIBRATED, "-o circuit.bin --memory 16M", DATA, &["memory"]);
    assert_eq!(fs::read_to_string(bench.path("circuit.bin")).unwrap(), "an earlier circuit");
}

/// With samples and without --paf the report says how well the circuit predicts; few samples are not enough for that.
#[test]
fn the_default_states_its_fidelity() {
    let bench = Bench::new();
    let printed = bench.succeeds("digits_cnn.onnx", &format!("-o circuit.bin --json {}", calibration()));
    let facts = printed.json();
    assert!(facts["fidelity"].as_f64().is_some_and(|same| same >= 0.95), "{facts}");
    assert!(facts["fidelity_samples"].as_u64().is_some_and(|samples| samples >= 100), "{facts}");
    assert_eq!(facts["samples_outside"], 0);
    let old = bench.succeeds("digits_cnn.onnx", &format!("-o old.bin --json --paf alpha7 {}", calibration())).json();
    assert!(old["fidelity"].is_null() && facts["levels"].as_u64() < old["levels"].as_u64(), "{facts} {old}");

    write_array(&bench.path("few.npy"), &[20, 1, 8, 8], vec![0.5f32; 20 * 64]);
    let few = bench.succeeds("digits_cnn.onnx", "-o few.bin --json --calibration few.npy").json();
    let notes = few["notes"].to_string();
    assert!(notes.contains("20 samples are too few") && notes.contains("alpha7"), "{notes}");
    bench.fails(
        "digits_cnn.onnx",
        &format!("-o c.bin --paf alpha7 --fidelity 0.9 {}", calibration()),
        USAGE,
        &["--fidelity"],
    );
    bench.fails("digits_cnn.onnx", &format!("-o c.bin --fidelity 1.5 {}", calibration()), USAGE, &["0.5"]);
}

/// What a compilation takes is estimated before it takes it, and refused with what would fit.
#[test]
fn the_memory_of_a_compilation_is_stated_and_limited() {
    let bench = Bench::new();
    let stated = bench.succeeds(CALIBRATED, &format!("-o c.bin --json {}", calibration())).stdout;
    let facts: Value = serde_json::from_str(&stated).expect("one JSON object");
    let bytes = facts["compile_memory_bytes"].as_u64().expect("a number of bytes");
    assert!((1 << 20..1 << 30).contains(&bytes), "{bytes}");
    let limit = |bytes: u64| format!("-o d.bin --compile-memory {bytes} {}", calibration());
    bench.succeeds(CALIBRATED, &limit(bytes));
    let fewer = ["compiling it takes about", "calibration samples it fits", "--compile-memory"];
    bench.fails(CALIBRATED, &limit(bytes - 1), ENVIRONMENT, &fewer);
    bench.fails(CALIBRATED, &limit(1000), ENVIRONMENT, &["1000 bytes may be used", "a smaller input"]);
}
