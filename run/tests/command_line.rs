//! `paf-run` as its users run it: separate processes with files in between, and what bad input gets.

mod bench;
#[path = "../../runtime/tests/common/mod.rs"]
mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use bench::{Bench, text};
use common::{Case, arithmetic_case, network_case, refreshing_case, relu_case};
use ndarray::ArrayD;
use paf_circuit::{Circuit, write_circuit};
use paf_engine::suite::cases;
use paf_engine_openfhe::OpenFheEngine;
use paf_ir::ckks::CkksProgram;
use paf_runtime::{Client, InsecureTestParameters, RuntimeError, Server, agreement_bits};
use serde_json::Value;

fn flat(array: &ArrayD<f64>) -> Vec<f64> {
    array.iter().copied().collect()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn separate_processes_give_what_infer_gives() {
    let bench = Bench::new(&network_case());
    bench.succeeds("infer circuit.bin --input x.npy --output together.npy");
    bench.succeeds("client circuit.bin -o client.bin");

    let client = bench.part(&["client.bin", "x.npy"]);
    client.succeeds("keygen client.bin --secret client.key --public server.key");
    client.succeeds("encrypt client.bin --public server.key --input x.npy --output x.ct");

    let mut server = bench.part(&["circuit.bin"]);
    for file in ["server.key", "x.ct"] {
        fs::copy(client.path(file), server.path(file)).unwrap();
    }
    server.succeeds("eval circuit.bin --public server.key --input x.ct --output y.ct");
    assert_eq!(server.files(), ["circuit.bin", "server.key", "x.ct", "y.ct"]);

    fs::copy(server.path("y.ct"), client.path("y.ct")).unwrap();
    server = client;
    server.succeeds("decrypt client.bin --secret client.key --input y.ct --output y.npy");
    let (apart, together) = (server.read("y.npy"), bench.read("together.npy"));
    assert_eq!(apart.shape(), [3, 10]);
    assert!(agreement_bits(&flat(&apart), &flat(&together)) > 25.0);

    bench.succeeds("simulate circuit.bin --input x.npy --output clear.npy");
    assert!(agreement_bits(&flat(&apart), &flat(&bench.read("clear.npy"))) > 25.0);
    let sums = apart.sum_axis(ndarray::Axis(1));
    assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-9), "softmax sums to one: {sums}");
}

#[test]
fn the_client_file_holds_no_weights_and_the_server_files_no_secret() {
    let bench = Bench::with_keys(&network_case());
    let circuit = paf_circuit::read_circuit(&bench.path("circuit.bin")).unwrap();
    let weights = circuit.program.maps.iter().flat_map(|map| &map.map.factors).filter_map(|factor| factor.constant());
    let (client, whole) = (fs::read(bench.path("client.bin")).unwrap(), fs::read(bench.path("circuit.bin")).unwrap());
    for weight in weights.flat_map(|constant| &constant.data) {
        assert!(!contains(&client, &weight.to_le_bytes()) && !contains(&client, &(*weight as f32).to_le_bytes()));
        assert!(contains(&whole, &weight.to_le_bytes()) || contains(&whole, &(*weight as f32).to_le_bytes()));
    }
    let secret = fs::read(bench.path("client.key")).unwrap();
    for file in ["server.key", "x.ct"] {
        let bytes = fs::read(bench.path(file)).unwrap();
        let body = &secret[secret.len() - 1024..][..512];
        assert!(!contains(&bytes, body), "{file} holds a part of the secret key");
    }
}

#[cfg(unix)]
#[test]
fn only_the_owner_reads_the_secret_key() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::with_keys(&network_case());
    let mode = |file: &str| fs::metadata(bench.path(file)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("client.key"), 0o600);
}

#[test]
fn facts_are_printed_as_json_and_as_lines() {
    let bench = Bench::with_keys(&network_case());
    let info = bench.json("info circuit.bin");
    for (key, expected) in [("levels", 5), ("bootstraps", 0), ("ring_dimension", 2048), ("slots", 1024)] {
        assert_eq!(info[key], expected, "{key}");
    }
    for key in [
        "log_qp",
        "security_bits",
        "rotations",
        "rotation_keys",
        "ciphertext_products",
        "plaintext_products",
        "predicted_peak_bytes",
        "predicted_seconds",
        "pafs",
        "fingerprint",
        "secret_distribution",
    ] {
        assert!(!info[key].is_null(), "{key}");
    }
    assert_eq!(info["insecure"], true);
    let client = bench.json("info client.bin");
    assert_eq!((&client["kind"], &client["fingerprint"]), (&Value::from("client"), &info["fingerprint"]));

    let infer = bench.json("infer circuit.bin --input x.npy --limit 2");
    assert_eq!(infer["top1"], infer["clear_top1"]);
    assert_eq!(infer["top1"].as_array().unwrap().len(), 2);
    assert!(infer["agreement_bits"].as_f64().unwrap() > 25.0);
    assert!(infer["peak_bytes"].as_u64().unwrap() > 1 << 20);
    for phase in ["keygen", "prepare", "encrypt", "eval", "decrypt"] {
        assert!(infer["seconds"][phase].as_f64().unwrap() > 0.0, "{phase}");
    }
    let lines = bench.succeeds("info circuit.bin");
    assert!(lines.contains("NONE, test parameters"), "{lines}");
}

#[test]
fn insecure_parameters_are_loud() {
    let bench = Bench::with_keys(&network_case());
    for command in [
        "client circuit.bin -o other.bin",
        "info circuit.bin",
        "info client.bin",
        "simulate circuit.bin --input x.npy",
        "infer circuit.bin --input x.npy --limit 1",
        "keygen client.bin --secret other.key --public otherserver.key",
        "encrypt client.bin --public server.key --input x.npy --output other.ct",
        "eval circuit.bin --public server.key --input x.ct --output y.ct",
        "decrypt client.bin --secret client.key --input y.ct --output y.npy",
    ] {
        let output = bench.run(&format!("{command} --json"));
        assert!(output.status.success(), "{command}: {}", text(&output.stderr));
        assert!(text(&output.stderr).contains("INSECURE"), "{command}");
        let facts: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(facts["insecure"], true, "{command}");
    }
}

#[test]
fn insecure_parameters_are_refused_where_keys_are() {
    let bench = Bench::with_keys(&network_case());
    bench.succeeds("eval circuit.bin --public server.key --input x.ct --output y.ct");
    let before = bench.files();
    for command in [
        "infer circuit.bin --input x.npy --output z",
        "check circuit.bin --input x.npy",
        "keygen client.bin --secret z --public z2",
        "encrypt client.bin --public server.key --input x.npy --output z",
        "eval circuit.bin --public server.key --input x.ct --output z",
        "decrypt client.bin --secret client.key --input y.ct --output z",
    ] {
        bench.fails_as_is(command, 1, "the parameters are for tests and protect nothing: N = 2048");
        bench.fails_as_is(command, 1, "compile the network without --insecure-test-parameters");
    }
    assert_eq!(bench.files(), before);
    let part = network_case().circuit.client();
    let refused = Client::<OpenFheEngine>::new(part, InsecureTestParameters::default());
    assert!(matches!(refused, Err(RuntimeError::InsecureParameters { ring_dimension: 2048, .. })), "{refused:?}");
    let refused = Server::<OpenFheEngine>::load(&bench.path("circuit.bin"), InsecureTestParameters::default());
    assert!(matches!(refused, Err(RuntimeError::InsecureParameters { .. })), "{refused:?}");
}

#[test]
fn several_outputs_go_to_files_of_their_names() {
    let bench = Bench::new(&arithmetic_case());
    bench.succeeds("simulate circuit.bin --input x.npy --output y.npy");
    let (y, z) = (bench.read("y.y.npy"), bench.read("y.z.npy"));
    assert_eq!(z, y.mapv(|value| 2.0 * value));
}

#[test]
fn bad_inputs_are_named() {
    let bench = Bench::new(&network_case());
    let fails = |file: &str, message: &str| {
        bench.fails(&format!("simulate circuit.bin --input {file}"), 1, message);
        bench.fails(&format!("infer circuit.bin --input {file}"), 1, message);
    };
    let with = |value: f64| {
        let mut data = vec![0.0; 128];
        data[70] = value;
        data
    };
    bench.write("nan.npy", &[2, 1, 8, 8], with(f64::NAN));
    fails("nan.npy", "x, sample 1, element 6: the value is NaN");
    bench.write("inf.npy", &[2, 1, 8, 8], with(f64::INFINITY));
    fails("inf.npy", "x, sample 1, element 6: the value is inf");
    bench.write("far.npy", &[2, 1, 8, 8], with(-2.5));
    fails("far.npy", "-2.5 is outside the calibrated range [-1, 1]");
    bench.write("flat.npy", &[2, 64], with(0.0));
    fails("flat.npy", "x has shape [2, 64], the circuit takes [k, 1, 8, 8] for k samples");
    bench.write("one.npy", &[1, 8, 8], vec![0.0; 64]);
    fails("one.npy", "x has shape [1, 8, 8], the circuit takes [k, 1, 8, 8]");
    bench.write("none.npy", &[0, 1, 8, 8], Vec::<f64>::new());
    fails("none.npy", "x holds no samples");
    bench.write("bytes.npy", &[1, 1, 8, 8], vec![255u8; 64]);
    fails("bytes.npy", "255 is outside the calibrated range [-1, 1]");
    fs::write(bench.path("text.npy"), "1, 2, 3").unwrap();
    fails("text.npy", "text.npy is not a usable .npy file");
    fails("missing.npy", "cannot read missing.npy");
    bench.fails("simulate circuit.bin --input x.npy --input x.npy", 1, "the circuit has 1 inputs (x), got 2");
    bench.write("single.npy", &[1, 1, 8, 8], vec![0.5f32; 64]);
    bench.succeeds("simulate circuit.bin --input single.npy");
}

#[test]
fn files_of_other_circuits_and_keys_are_refused() {
    let bench = Bench::with_keys(&network_case());
    bench.succeeds("keygen circuit.bin --secret second.key --public second-server.key");
    bench.succeeds("eval circuit.bin --public server.key --input x.ct --output y.ct");
    let mut other = network_case();
    other.circuit = rescaled(&other.circuit);
    write_circuit(&bench.path("other.bin"), &other.circuit).unwrap();

    let eval =
        |circuit: &str, key: &str, input: &str| format!("eval {circuit} --public {key} --input {input} --output z.ct");
    bench.fails(&eval("other.bin", "server.key", "x.ct"), 1, "server.key: made for the circuit with fingerprint");
    bench.fails(&eval("circuit.bin", "second-server.key", "x.ct"), 1, "x.ct: made with the key");
    bench.fails(&eval("circuit.bin", "server.key", "y.ct"), 1, "y.ct");
    bench.fails(&eval("client.bin", "server.key", "x.ct"), 1, "this is a client file; a circuit file is needed");
    bench.fails(
        &eval("circuit.bin", "client.key", "x.ct"),
        1,
        "this is a secret key file; a server key file is needed",
    );
    bench.fails(&eval("circuit.bin", "server.key", "server.key"), 1, "a ciphertext file is needed");
    let decrypt = |client: &str, key: &str, input: &str| {
        format!("decrypt {client} --secret {key} --input {input} --output z.npy")
    };
    bench.fails(&decrypt("client.bin", "second.key", "y.ct"), 1, "y.ct: made with the key");
    bench.fails(&decrypt("other.bin", "client.key", "y.ct"), 1, "client.key: made for the circuit with fingerprint");
    bench.fails(&decrypt("client.bin", "client.key", "x.ct"), 1, "x.ct");
    bench.fails(
        "encrypt other.bin --public server.key --input x.npy --output z.ct",
        1,
        "server.key: made for the circuit with fingerprint",
    );
    assert!(!bench.path("z.ct").exists() && !bench.path("z.npy").exists());
}

/// The same circuit with another scale at its output: another fingerprint.
fn rescaled(circuit: &Circuit) -> Circuit {
    let mut program = CkksProgram::clone(&circuit.program);
    program.outputs[0].scale *= 2.0;
    Circuit { program: program.verify().unwrap(), ..circuit.clone() }
}

#[test]
fn damaged_files_are_refused() {
    let bench = Bench::with_keys(&network_case());
    bench.succeeds("eval circuit.bin --public server.key --input x.ct --output y.ct");
    let eval = "eval circuit.bin --public server.key --input x.ct --output z.ct";
    let commands = [
        ("circuit.bin", "info circuit.bin"),
        ("client.bin", "info client.bin"),
        ("client.key", "decrypt client.bin --secret client.key --input y.ct --output z.npy"),
        ("y.ct", "decrypt client.bin --secret client.key --input y.ct --output z.npy"),
        ("server.key", eval),
        ("x.ct", eval),
    ];
    for (file, command) in commands {
        let whole = fs::read(bench.path(file)).unwrap();
        for place in [0, 9, 100, whole.len() / 2, whole.len() - 1] {
            let mut damaged = whole.clone();
            damaged[place] ^= 0x10;
            fs::write(bench.path(file), &damaged).unwrap();
            bench.fails(command, 1, file);
        }
        for length in [0, 7, 60, whole.len() / 3, whole.len() - 1] {
            fs::write(bench.path(file), &whole[..length]).unwrap();
            bench.fails(command, 1, file);
        }
        fs::write(bench.path(file), &whole).unwrap();
    }
    assert!(!bench.path("z.ct").exists() && !bench.path("z.npy").exists());
    bench.succeeds(eval);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_named_and_leaves_nothing_behind() {
    let bench = Bench::with_keys(&network_case());
    bench.succeeds("eval circuit.bin --public server.key --input x.ct --output y.ct");
    let before = bench.files();
    for command in [
        "client circuit.bin -o /dev/full",
        "simulate circuit.bin --input x.npy --output /dev/full",
        "keygen client.bin --secret second.key --public /dev/full",
        "keygen client.bin --secret /dev/full --public second-server.key",
        "encrypt client.bin --public server.key --input x.npy --output /dev/full",
        "eval circuit.bin --public server.key --input x.ct --output /dev/full",
        "decrypt client.bin --secret client.key --input y.ct --output /dev/full",
    ] {
        bench.fails(command, 3, "No space left on device");
    }
    assert_eq!(bench.files(), before);
}

#[test]
fn circuits_with_bootstraps_run() {
    let bench = Bench::new(&refreshing_case());
    let facts = bench.json("infer circuit.bin --input x.npy --limit 1");
    assert!(facts["agreement_bits"].as_f64().unwrap() > 8.0, "{facts}");
}

#[test]
fn a_value_out_of_range_is_a_warning() {
    let mut case = relu_case();
    let mut program = CkksProgram::clone(&case.circuit.program);
    program.inputs[0].scaling.scale = 1e3;
    case.circuit.program = program.verify().unwrap();
    let bench = Bench::new(&case);
    let output = bench.run("simulate circuit.bin --input x.npy --json");
    assert!(text(&output.stderr).contains("no usable results for 1 of 1 samples: 0"), "{}", text(&output.stderr));
    let facts: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(facts["outside_samples"], serde_json::json!([0]));
}

#[test]
fn too_little_memory_is_named() {
    let mut case = relu_case();
    case.circuit.prediction.peak_bytes = 1 << 50;
    let bench = Bench::new(&case);
    bench.fails("infer circuit.bin --input x.npy", 3, "needs about 1048576.0 GiB of memory");
    bench.succeeds("infer circuit.bin --input x.npy --ignore-memory");
}

#[test]
fn wrong_usage_exits_with_two() {
    let bench = Bench::empty();
    for command in
        ["", "nonsense", "infer", "simulate c.bin --input x.npy --limit 0", "eval c.bin --prepare-memory much"]
    {
        assert_eq!(bench.run(command).status.code(), Some(2), "{command}");
    }
    bench.fails("info missing.bin", 1, "missing.bin");
}

#[test]
fn results_go_where_they_are_asked_to() {
    let case = linear_map();
    let bench = Bench::new(&case);
    let path = Path::new("there/y.npy");
    bench.fails(&format!("simulate circuit.bin --input x.npy --output {}", path.display()), 1, "there/y.npy");
    fs::create_dir(bench.path("there")).unwrap();
    bench.succeeds(&format!("simulate circuit.bin --input x.npy --output {}", path.display()));
    let expected: Vec<f64> = case.samples.iter().flat_map(|sample| (case.expected)(sample)).collect();
    assert!(agreement_bits(&flat(&bench.read("there/y.npy")), &expected) > 40.0);
}

fn linear_map() -> Case {
    let (wide, narrow) = (paf_ir::Layout::dense(64, 1024), paf_ir::Layout::dense(16, 1024));
    let map = cases::packed("dense", cases::dense(16, 64, 1), &wide, &narrow, cases::Steps::BabyGiant(4));
    cases::linear_case("dense", map, 1024, 1, 0).into()
}

#[test]
fn the_machine_is_described_and_the_variable_followed() {
    let bench = Bench::empty();
    let info = |kernels: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_paf-run"));
        command.args(["--json", "info", "--machine"]).current_dir(bench.folder.path());
        match kernels {
            Some(name) => command.env("PAF_KERNELS", name),
            None => command.env_remove("PAF_KERNELS"),
        };
        command.output().unwrap()
    };
    let facts: Value = serde_json::from_slice(&info(None).stdout).unwrap();
    let available: Vec<&str> =
        facts["kernels_available"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(available.contains(&"portable"), "the overrides are in force: {facts}");
    assert_eq!(facts["kernels"], *available.last().unwrap(), "the fastest by default");
    for name in available {
        let facts: Value = serde_json::from_slice(&info(Some(name)).stdout).unwrap();
        assert_eq!(facts["kernels"], name);
    }
    let refused = info(Some("sse2"));
    assert_eq!(refused.status.code(), Some(3));
    let message = String::from_utf8(refused.stderr).unwrap();
    assert!(message.contains("PAF_KERNELS") && message.contains("openfhe, portable, avx2 and avx512"), "{message}");
}
