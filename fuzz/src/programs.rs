//! Mutated files through the programs, as their users run them, under little memory and time.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use paf_files::TemporaryFolder;
use testkit::{repository, testdata};

use crate::{Bytes, Choices, container, protobuf, text};

/// Kilobytes of addresses that a command may have.
const MEMORY: u64 = 1 << 20;

/// A command takes no longer.
const TIME: Duration = Duration::from_secs(10);

/// Exit codes that the programs document.
const CODES: [i32; 6] = [0, 1, 2, 3, 130, 143];

/// A command: the file of it that is mutated, how, and the command line with `{}` in its place.
struct Case {
    file: &'static str,
    mutate: fn(Bytes, &mut Choices) -> Bytes,
    commands: &'static [&'static str],
}

const INSECURE: &str = " --insecure-test-parameters";

const CASES: [Case; 7] = [
    Case {
        file: "circuit.bin",
        mutate: |file, choices| container::mutate(file, choices, protobuf::mutate),
        commands: &[
            "info {}",
            "client {} -o out",
            "simulate {} --input x.npy",
            "infer {} --input x.npy --limit 1!",
            "eval {} --public server.key --input x.ct --output out!",
        ],
    },
    Case {
        file: "client.bin",
        mutate: |file, choices| container::mutate(file, choices, protobuf::mutate),
        commands: &[
            "info {}",
            "keygen {} --secret out --public out2!",
            "encrypt {} --secret client.key --input x.npy --output out!",
            "decrypt {} --secret client.key --input y.ct --output out!",
        ],
    },
    Case {
        file: "client.key",
        mutate: container::mutate_bytes,
        commands: &["info {}", "decrypt client.bin --secret {} --input y.ct --output out!"],
    },
    Case {
        file: "server.key",
        mutate: container::mutate_bytes,
        commands: &[
            "info {}",
            "encrypt client.bin --public {} --input x.npy --output out!",
            "eval circuit.bin --public {} --input x.ct --output out!",
            "eval circuit.bin --public {} --input x.ct --output out --key-memory 1!",
        ],
    },
    Case {
        file: "x.ct",
        mutate: container::mutate_bytes,
        commands: &["info {}", "eval circuit.bin --public server.key --input {} --output out!"],
    },
    Case {
        file: "y.ct",
        mutate: container::mutate_bytes,
        commands: &["info {}", "decrypt client.bin --secret client.key --input {} --output out!"],
    },
    Case {
        file: "x.npy",
        mutate: text::mutate_npy,
        commands: &[
            "simulate circuit.bin --input {}",
            "encrypt client.bin --secret client.key --input {} --output out!",
        ],
    },
];

/// Runs so many commands, `models` of them with mutated models; prints what became of them, and gives the number that broke a
/// rule. Their files stay in the corpus.
///
/// # Panics
/// If the programs do not work on files that are not mutated.
pub fn run(programs: &Path, seed: u64, cases: u64, models: u64) -> usize {
    let programs = programs.canonicalize().expect("the folder of the programs");
    let folder = TemporaryFolder::new().expect("a temporary folder");
    prepare(&programs, folder.path());
    let start = Instant::now();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut failures = 0;
    let seeds = model_files();
    for case in 0..cases {
        let mut choices = Choices::of(seed, case);
        let (program, file, bytes, command) = if case < models {
            let bytes = protobuf::mutate(seeds[choices.below(seeds.len())].clone(), &mut choices);
            ("paf-compile", "model.onnx", bytes, "{} -o out --insecure-test-parameters".to_owned())
        } else {
            let of = &CASES[choices.below(CASES.len())];
            let bytes = fs::read(folder.path().join(of.file)).expect("a file");
            let command = choices.one_of(of.commands).replace('!', INSECURE);
            ("paf-run", of.file, (of.mutate)(bytes, &mut choices), command)
        };
        let mutated = folder.path().join("mutated");
        write_private(&mutated, &bytes);
        let command = command.replace("{}", "mutated");
        match finished(&programs.join(program), &command, folder.path()) {
            Some(status) if status.code().is_some_and(|code| CODES.contains(&code)) => {
                *counts.entry(format!("{program} exit {}", status.code().unwrap_or(-1))).or_default() += 1;
            }
            other => {
                failures += 1;
                let kept = crate::corpus("programs").join(format!("{seed}-{case}-{file}"));
                let _ = fs::create_dir_all(crate::corpus("programs")).and_then(|()| fs::write(&kept, &bytes));
                let how = other.map_or("it hangs".to_owned(), |status| match status.signal() {
                    Some(signal) => format!("signal {signal}"),
                    None => format!("exit code {:?}", status.code()),
                });
                println!("case {case}: {program} {command}: {how} ({})", kept.display());
            }
        }
        for name in ["out", "out2"] {
            let _ = fs::remove_file(folder.path().join(name));
        }
    }
    println!("{cases} commands in {:.0} s: {counts:?}, {failures} failures", start.elapsed().as_secs_f64());
    failures
}

/// Keys are for their owner only.
fn write_private(path: &Path, bytes: &[u8]) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let _ = fs::remove_file(path);
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(bytes)).expect("a writable folder");
}

/// A small circuit with the files of both sides.
fn prepare(programs: &Path, folder: &Path) {
    let compile = format!(
        "{} -o circuit.bin --calibration {} --paf relu4 --insecure-test-parameters",
        testdata("digits_mlp.onnx").display(),
        testdata("digits_calibration.npy").display()
    );
    let images = testdata("digits_images.npy");
    fs::copy(repository(&images.display().to_string()), folder.join("x.npy")).expect("images");
    for (program, command) in [
        ("paf-compile", compile.as_str()),
        ("paf-run", "client circuit.bin -o client.bin"),
        ("paf-run", "keygen client.bin --secret client.key --public server.key!"),
        ("paf-run", "encrypt client.bin --secret client.key --input x.npy --limit 2 --output x.ct!"),
        ("paf-run", "eval circuit.bin --public server.key --input x.ct --output y.ct!"),
    ] {
        let command = command.replace('!', INSECURE);
        let status = finished(&programs.join(program), &command, folder);
        assert!(status.is_some_and(|status| status.success()), "{program} {command}: {status:?}");
    }
}

fn model_files() -> Vec<Bytes> {
    let seeds = crate::all().iter().find(|target| target.name == "onnx").expect("the target of models").seeds;
    seeds()
}

/// How a command ends; `None` where it does not in time.
fn finished(program: &Path, arguments: &str, folder: &Path) -> Option<ExitStatus> {
    let limited = format!("ulimit -c 0; ulimit -v {MEMORY}; exec \"$0\" {arguments}");
    let mut child = Command::new("sh")
        .args(["-c", &limited])
        .arg(program)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell");
    let end = Instant::now() + TIME;
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            return Some(status);
        }
        if Instant::now() > end {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
