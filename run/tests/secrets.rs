//! Secret keys: under a passphrase, from a pipe, readable by their owner only, never replaced unasked; and what is shared of
//! results.

#![cfg(unix)]

mod bench;
#[path = "../../runtime/tests/common/mod.rs"]
mod common;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use bench::{Bench, text};
use common::{arithmetic_case, network_case};

const ENCRYPT: &str = "encrypt client.bin --public server.key --input x.npy --output x.ct";
const EVAL: &str = "eval circuit.bin --public server.key --input x.ct --output y.ct";
const DECRYPT: &str = "decrypt client.bin --secret client.key --input y.ct --output y.npy";

fn bench() -> Bench {
    let bench = Bench::with_keys(&network_case());
    bench.succeeds(EVAL);
    bench
}

#[test]
fn a_key_under_a_passphrase_opens_with_it_alone() {
    let bench = bench();
    bench.succeeds(DECRYPT);
    let plain = fs::read(bench.path("client.key")).unwrap();
    fs::write(bench.path("right"), "correct horse\nsecond line").unwrap();
    fs::write(bench.path("wrong"), "correct house\n").unwrap();
    fs::write(bench.path("empty"), "\n").unwrap();
    let keygen = "keygen client.bin --secret locked.key --public locked-server.key --passphrase-file right";
    assert_eq!(bench.json(keygen)["passphrase"], true);
    let locked = fs::read(bench.path("locked.key")).unwrap();
    assert_eq!(bench.json("info locked.key")["passphrase"], true);
    assert_eq!(bench.json("info client.key")["passphrase"], false);
    // A key has one byte a coefficient, of three values: what is sealed has none of its runs.
    let coefficients = |bytes: &[u8]| bytes.windows(64).any(|run| run.iter().all(|byte| matches!(byte, 0 | 1 | 255)));
    assert!(coefficients(&plain) && !coefficients(&locked));
    bench.succeeds("encrypt client.bin --secret locked.key --passphrase-file right --input x.npy --output locked.ct");
    bench.succeeds("eval circuit.bin --public locked-server.key --input locked.ct --output locked-y.ct");
    let decrypt = |file: &str| {
        format!("decrypt client.bin --secret locked.key --passphrase-file {file} --input locked-y.ct --output z.npy")
    };
    bench.succeeds(&decrypt("right"));
    let close = bench.read("z.npy").iter().zip(&bench.read("y.npy")).all(|(a, b)| (a - b).abs() < 1e-3);
    assert!(close);
    let wrong = "the passphrase is wrong, or the file is damaged";
    bench.fails(&decrypt("wrong"), 1, wrong);
    let mut damaged = locked.clone();
    let key = damaged.len() - 100;
    damaged[key] ^= 1;
    fs::write(bench.path("locked.key"), damaged).unwrap();
    bench.fails(&decrypt("right"), 1, "the checksum of section 0 does not match");
    bench.fails(&decrypt("empty"), 1, "the checksum");
    fs::write(bench.path("locked.key"), &locked).unwrap();
    bench.fails(&decrypt("empty"), 1, "empty: the passphrase is empty");
    bench.fails(&decrypt("missing"), 1, "missing: ");
    let again = "keygen client.bin --secret z.key --public z2.key --passphrase-file empty";
    bench.fails(again, 1, "empty: the passphrase is empty");
    assert!(!bench.path("z.key").exists() && !bench.path("z2.key").exists());
}

/// Without a terminal nobody can be asked.
#[test]
fn a_passphrase_is_asked_for_on_the_terminal() {
    let bench = bench();
    fs::write(bench.path("right"), "correct horse\n").unwrap();
    bench.succeeds("keygen client.bin --secret locked.key --public locked-server.key --passphrase-file right");
    let mut command = Command::new("setsid");
    command.args([env!("CARGO_BIN_EXE_paf-run"), "decrypt", "client.bin", "--secret", "locked.key", "--input", "y.ct"]);
    command.args(["--output", "z.npy", "--insecure-test-parameters"]).current_dir(bench.folder.path());
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(text(&output.stderr).contains("no terminal to ask for the passphrase on"), "{}", text(&output.stderr));
    assert!(!output.status.success());
}

#[test]
fn a_key_comes_from_a_pipe_too() {
    let bench = bench();
    bench.succeeds(DECRYPT);
    let from_file = bench.read("y.npy");
    let key = fs::read(bench.path("client.key")).unwrap();
    let mut command = bench.command("decrypt client.bin --secret - --input y.ct --output z.npy");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&key).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(bench.read("z.npy").shape(), from_file.shape());
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let bench = bench();
    for (mode, shown) in [(0o644, "644"), (0o660, "660"), (0o602, "602")] {
        fs::set_permissions(bench.path("client.key"), fs::Permissions::from_mode(mode)).unwrap();
        bench.fails(DECRYPT, 1, &format!("client.key is open to others (mode {shown}): run `chmod 600` on it"));
    }
    assert!(!bench.path("y.npy").exists());
    fs::set_permissions(bench.path("client.key"), fs::Permissions::from_mode(0o400)).unwrap();
    bench.succeeds(DECRYPT);
}

#[test]
fn keys_are_not_replaced_unasked() {
    let bench = bench();
    let keys = || [fs::read(bench.path("client.key")).unwrap(), fs::read(bench.path("server.key")).unwrap()];
    let before = keys();
    bench.fails("keygen client.bin --secret client.key --public other.key", 1, "client.key is there already: --force");
    bench.fails("keygen client.bin --secret other.key --public server.key", 1, "server.key is there already: --force");
    for same in ["other.key", "./other.key", "../NAME/other.key"] {
        let name = bench.folder.path().file_name().unwrap().to_string_lossy().into_owned();
        let keygen = format!("keygen client.bin --secret other.key --public {}", same.replace("NAME", &name));
        bench.fails(&keygen, 1, "--secret and --public both name other.key");
    }
    assert!(keys() == before && !bench.path("other.key").exists());
    bench.succeeds("keygen client.bin --secret client.key --public server.key --force");
    assert!(keys() != before);
}

#[test]
fn results_are_those_of_the_inputs_that_were_sent() {
    let bench = bench();
    bench.succeeds(&format!("{DECRYPT} --for x.ct"));
    fs::rename(bench.path("y.ct"), bench.path("yesterday.ct")).unwrap();
    bench.succeeds(ENCRYPT);
    bench.succeeds(EVAL);
    bench.succeeds(&format!("{DECRYPT} --for x.ct"));
    let stale = "decrypt client.bin --secret client.key --input yesterday.ct --output z.npy";
    bench.fails(&format!("{stale} --for x.ct"), 1, "yesterday.ct: these are results of other inputs than x.ct");
    assert!(!bench.path("z.npy").exists());
    bench.succeeds(stale);
}

#[test]
fn shared_scores_are_rounded() {
    let case = arithmetic_case();
    let bench = Bench::with_keys(&case);
    bench.succeeds(EVAL);
    let output = &case.circuit.program.outputs[0];
    assert!(case.circuit.program.client.is_empty());
    let read = || bench.read(&format!("y.{}.npy", output.name));
    bench.succeeds(DECRYPT);
    let scores = read();
    bench.succeeds(&format!("{DECRYPT} --share 4"));
    let rounded = read();
    let step = (output.scale.log2().ceil() - 4.0).exp2();
    for (score, rounded) in scores.iter().zip(&rounded) {
        assert!((score - rounded).abs() <= 0.51 * step && (rounded / step).fract() == 0.0, "{score} and {rounded}");
    }
    bench.fails(&format!("{DECRYPT} --share 40"), 1, "--share 40: the results have about 20.0 bits, of which 12 can");
    assert_eq!(bench.run(&format!("{DECRYPT} --share all")).status.code(), Some(2));
}

/// Flooded scores differ each time, by about as much as flooding takes; where that leaves nothing, nothing is written.
#[test]
fn shared_scores_are_flooded() {
    let mut case = arithmetic_case();
    case.circuit.prediction.precision_bits = 23.0;
    let bench = Bench::with_keys(&case);
    bench.succeeds(EVAL);
    let output = &case.circuit.program.outputs[0];
    let read = || bench.read(&format!("y.{}.npy", output.name));
    bench.succeeds(DECRYPT);
    let scores = read();
    // 18.8 bits of 23.
    let step = (output.scale.log2().ceil() - 4.0).exp2();
    let flooded: Vec<_> = (0..2)
        .map(|_| {
            bench.succeeds(&format!("{DECRYPT} --share 4 --flood 1"));
            read()
        })
        .collect();
    assert!(flooded[0] != flooded[1]);
    for (score, flooded) in scores.iter().zip(&flooded[0]) {
        assert!((score - flooded).abs() <= 8.0 * step && (flooded / step).fract() == 0.0, "{score} and {flooded}");
    }
    bench.fails(&format!("{DECRYPT} --share 5 --flood 1"), 1, "about 23.0 bits, of which 4 can");
    bench.fails(&format!("{DECRYPT} --share 1 --flood 1000000"), 1, "takes 28.8 bits, the results have about 23.0");
    assert_eq!(bench.run(&format!("{DECRYPT} --flood 1")).status.code(), Some(2));
}

#[test]
fn a_shared_class_stands_alone() {
    let bench = bench();
    bench.succeeds(DECRYPT);
    let scores = bench.read("y.npy");
    bench.succeeds(&format!("{DECRYPT} --share class"));
    let classes: ndarray::ArrayD<i64> = ndarray_npy::read_npy(bench.path("y.npy")).unwrap();
    assert_eq!(classes.shape(), [scores.shape()[0]]);
    for (class, scores) in classes.iter().zip(scores.rows()) {
        assert!(scores.iter().all(|score| *score <= scores[*class as usize]));
    }
}

/// Values of a sample that is cut short or makes no sense are found before any sample is worked on.
#[test]
fn inputs_are_checked_before_the_first_is_evaluated() {
    let bench = bench();
    fs::remove_file(bench.path("y.ct")).unwrap();
    let whole = fs::read(bench.path("x.ct")).unwrap();
    fs::write(bench.path("cut.ct"), &whole[..whole.len() - 5]).unwrap();
    let mut damaged = whole.clone();
    let last = damaged.len() - 100;
    damaged[last] ^= 1;
    fs::write(bench.path("damaged.ct"), damaged).unwrap();
    for (file, problem) in [("cut.ct", "the file is cut short"), ("damaged.ct", "does not match")] {
        let output = bench.run(&EVAL.replace("x.ct", file));
        let stderr = text(&output.stderr);
        assert!(stderr.contains(&format!("{file}: ")) && stderr.contains(problem), "{stderr}");
        assert!(output.status.code() == Some(1) && !stderr.contains('%'), "no sample was begun: {stderr}");
    }
    assert!(!bench.path("y.ct").exists());
}

#[test]
fn what_is_read_twice_is_no_pipe() {
    let bench = bench();
    assert!(Command::new("mkfifo").arg(bench.path("pipe")).status().unwrap().success());
    let once = "pipe: it is a pipe or a device, which can be read once only; save it to a file first";
    bench.fails(&EVAL.replace("x.ct", "pipe"), 1, once);
    bench.fails(&EVAL.replace("server.key", "pipe"), 1, once);
    bench.fails("info pipe", 1, once);
}

/// What is read once may come from a pipe.
#[test]
fn files_that_are_read_once_may_be_pipes() {
    let bench = bench();
    let script = format!(
        "{} decrypt <(cat client.bin) --secret <(cat client.key) --input <(cat y.ct) --output z.npy --insecure-test-parameters",
        env!("CARGO_BIN_EXE_paf-run")
    );
    let output = Command::new("bash").args(["-c", &script]).current_dir(bench.folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// Results that hold nothing but the outputs: their ciphertexts differ each time, their values do not.
#[test]
fn sanitized_results_are_encrypted_anew() {
    let bench = bench();
    bench.succeeds(DECRYPT);
    let plain = bench.read("y.npy");
    let before = fs::read(bench.path("y.ct")).unwrap();
    bench.succeeds(&format!("{EVAL} --sanitize"));
    let first = fs::read(bench.path("y.ct")).unwrap();
    bench.succeeds(DECRYPT);
    assert!(bench.read("y.npy").iter().zip(&plain).all(|(a, b)| (a - b).abs() < 1e-3));
    bench.succeeds(&format!("{EVAL} --sanitize"));
    assert!(first != before && fs::read(bench.path("y.ct")).unwrap() != first);
}

#[test]
fn results_with_leftovers_are_not_called_sanitized() {
    let bench = Bench::with_keys(&arithmetic_case());
    bench.fails(&format!("{EVAL} --sanitize"), 1, "does not come from a linear map");
    bench.fails(&format!("{EVAL} --sanitize"), 1, "compile the network with --sanitize");
}
