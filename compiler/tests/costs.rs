//! What every network costs, as `paf-compile` predicts it: `testdata/costs.tsv` has a row for each network and set of
//! options. Compilation is deterministic, so a figure that differs is a failure; `PAF_BLESS=1` writes the rows anew.
//!
//! Networks of `testdata` are compiled for the images or the input beside them, the trained networks of the shared data as
//! the README measures them (`benches/networks.rs`).

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use common::write_images;
use paf_circuit::read_circuit;
use rayon::prelude::*;
use serde_json::Value;
use testkit::arrays::read_array;
use testkit::digits;
use testkit::networks::TrainedNetwork;
use testkit::program::Workbench;
use testkit::{entries, repository, shared, stem, testdata};

const GOLDEN: &str = "testdata/costs.tsv";

/// The row's name, then its figures. Rotation keys and their bytes include those of bootstraps.
const COLUMNS: [&str; 14] = [
    "network",
    "options",
    "levels",
    "ring_dimension",
    "log_qp",
    "rotations",
    "rotation_keys",
    "ciphertext_products",
    "plaintext_products",
    "bootstraps",
    "key_bytes",
    "predicted_seconds",
    "predicted_peak_bytes",
    "predicted_bits",
];

/// Options whose circuits differ from those of the defaults.
const WITH_OPTIONS: [(&str, &str); 16] = [
    ("digits_mlp", "--paf alpha7"),
    ("digits_cnn", "--paf alpha7"),
    ("digits_resnet_tiny", "--paf alpha7"),
    ("digits_cnn", "--paf relu15"),
    ("digits_resnet_tiny", "--paf relu31"),
    ("digits_mlp", "--paf alpha10 --margin 1.5"),
    ("digits_mlp", "--paf alpha7 --precision 20"),
    ("digits_cnn", "--paf alpha7 --max-pool tree"),
    ("digits_cnn", "--paf auto --max-levels 27"),
    ("digits_cnn", "--paf auto --max-error 0.01"),
    ("digits_cnn", "--paf relu=f1_g2.cheon"),
    ("digits_resnet_tiny", "--paf alpha7 --bootstraps 9"),
    ("digits_resnet_tiny", "--paf alpha7 --bootstraps 9 --bootstrap-iterations 2"),
    ("digits_resnet_tiny", "--paf alpha7 --bootstraps 9 --memory 6400M"),
    ("digits_resnet_tiny", "--paf alpha7 --bootstraps 9 --insecure-test-parameters"),
    ("digits_resnet_tiny", "--paf alpha7 --insecure-test-parameters"),
];

/// Options of the shared networks.
const SHARED_OPTIONS: &str = "--paf alpha7 --memory 16G";

/// Those of them that are compiled with chosen PAFs too, and the options of that.
const CHOSEN: [&str; 4] = [
    "onnx/cntk_mnist_opset8",
    "onnx/germanov_lenet5_mnist",
    "onnx/verivital_convnet_maxpool",
    "assembled/mlperf_tiny_resnet8_bn_cifar10",
];
const CHOSEN_OPTIONS: &str = "--memory 16G";

/// A compilation and the row's name.
struct Job {
    network: String,
    options: String,
    model: PathBuf,
    /// What says which values the inputs have.
    inputs: [String; 2],
}

type Row = Vec<String>;

impl Job {
    fn row(&self) -> Row {
        let bench = Workbench::new(env!("CARGO_BIN_EXE_paf-compile"));
        let mut command = bench.command(&self.options);
        let output = command.arg(&self.model).args(["-o", "circuit.bin", "--json"]).args(&self.inputs).output();
        let output = output.expect("paf-compile starts");
        let problem = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} {}: {problem}", self.network, self.options);
        let facts: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let client = read_circuit(&bench.path("circuit.bin")).expect("the circuit").client();
        vec![
            self.network.clone(),
            self.options.clone(),
            facts["levels"].to_string(),
            facts["ring_dimension"].to_string(),
            facts["log_qp"].to_string(),
            facts["rotations"].to_string(),
            client.rotation_keys().len().to_string(),
            facts["ciphertext_products"].to_string(),
            facts["plaintext_products"].to_string(),
            facts["bootstraps"].to_string(),
            client.evaluation_key_bytes().to_string(),
            six_digits(&facts["predicted_seconds"]),
            facts["predicted_peak_bytes"].to_string(),
            six_digits(&facts["predicted_precision_bits"]),
        ]
    }
}

fn six_digits(number: &Value) -> String {
    format!("{:.5e}", number.as_f64().expect("a number"))
}

/// A network for the digits, for the images that calibrate it.
fn network(name: &str, options: &str) -> Job {
    Job {
        network: name.to_owned(),
        options: options.to_owned(),
        model: testdata(name).with_extension("onnx"),
        inputs: ["--calibration".to_owned(), digits::calibration_file().display().to_string()],
    }
}

/// An operator, for the range of its input.
fn operator(folder: &Path) -> Job {
    let input = read_array(&folder.join("input.npy")).data;
    let low = input.iter().copied().fold(f64::INFINITY, f64::min);
    let high = input.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    Job {
        network: format!("ops/{}", stem(folder)),
        options: String::new(),
        model: folder.join("model.onnx"),
        inputs: ["--input-range".to_owned(), format!("{low},{high}")],
    }
}

/// A shared network, for training images that are written to a folder.
fn shared_network(network: &TrainedNetwork, options: &str, folder: &Path) -> Job {
    let calibration = write_images(network, &network.calibration(network.calibration_images()), folder);
    Job {
        network: network.path().to_owned(),
        options: options.to_owned(),
        model: network.file(),
        inputs: ["--calibration".to_owned(), calibration.display().to_string()],
    }
}

/// Rows of shared networks, or those of `testdata`.
fn golden(is_part: impl Fn(&str) -> bool) -> Vec<Row> {
    let text = fs::read_to_string(repository(GOLDEN)).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let rows = lines.map(|line| line.split('\t').map(str::to_owned).collect::<Row>());
    let rows = rows.inspect(|row| assert_eq!(row.len(), COLUMNS.len(), "{GOLDEN}: {}", row.join(" ")));
    rows.filter(|row| is_part(&row[0])).collect()
}

fn is_shared(network: &str) -> bool {
    network.starts_with("onnx/") || network.starts_with("assembled/")
}

/// Writes the table anew with other rows in the place of some.
fn bless(rows: &[Row], is_part: impl Fn(&str) -> bool) {
    let mut all = golden(|network| !is_part(network));
    all.extend_from_slice(rows);
    all.sort_by_key(|row| is_shared(&row[0]));
    let head = "# What paf-compile predicts, measured by compiler/tests/costs.rs, which says for which inputs.\n";
    let lines = all.iter().map(|row| row.join("\t") + "\n");
    let text: String = [format!("{head}# {}\n", COLUMNS.join("\t"))].into_iter().chain(lines).collect();
    fs::write(repository(GOLDEN), text).expect("a writable repository");
}

/// Compiles, and compares with the rows of the table.
fn check(jobs: &[Job], is_part: impl Fn(&str) -> bool) {
    static TABLE: Mutex<()> = Mutex::new(());
    let rows: Vec<Row> = jobs.par_iter().map(Job::row).collect();
    let _turn = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
    if std::env::var_os("PAF_BLESS").is_some() {
        bless(&rows, &is_part);
    }
    let golden = golden(is_part);
    let missing = golden.iter().filter(|golden| !rows.iter().any(|row| row[..2] == golden[..2]));
    let mut problems: Vec<String> = missing.map(|row| format!("- {}: not a network", row[..2].join(" "))).collect();
    problems
        .extend(rows.iter().filter_map(|row| difference(row, golden.iter().find(|golden| golden[..2] == row[..2]))));
    assert!(problems.is_empty(), "{GOLDEN}, PAF_BLESS=1 writes it anew:\n{}", problems.join("\n"));
}

/// The figures that are not those of the table.
fn difference(row: &Row, golden: Option<&Row>) -> Option<String> {
    let network = row[..2].join(" ");
    let Some(golden) = golden else { return Some(format!("+ {network}: not in the table")) };
    let figures = COLUMNS.iter().zip(golden).zip(row).filter(|((_, golden), figure)| golden != figure);
    let figures: Vec<String> =
        figures.map(|((column, golden), figure)| format!("{column} {golden} -> {figure}")).collect();
    (!figures.is_empty()).then(|| format!("{network}: {}", figures.join(", ")))
}

#[test]
fn own_networks_cost_what_the_table_says() {
    let models = entries(&testdata("")).into_iter().filter(|path| path.extension().is_some_and(|it| it == "onnx"));
    let mut jobs: Vec<Job> = models.map(|path| network(&stem(&path), "")).collect();
    jobs.extend(WITH_OPTIONS.map(|(name, options)| network(name, options)));
    jobs.extend(entries(&testdata("ops")).iter().map(|folder| operator(folder)));
    check(&jobs, |network| !is_shared(network));
}

#[test]
#[ignore = "needs PAF_SHARED"]
fn shared_networks_cost_what_the_table_says() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let files = ["data/onnx", "data/assembled"].map(|kind| entries(&shared(kind))).concat();
    let networks: Vec<TrainedNetwork> = files.iter().map(|file| TrainedNetwork::named(&stem(file))).collect();
    let chosen = networks.iter().filter(|network| CHOSEN.contains(&network.path()));
    let jobs = networks.iter().map(|network| shared_network(network, SHARED_OPTIONS, folder.path()));
    let jobs: Vec<Job> =
        jobs.chain(chosen.map(|network| shared_network(network, CHOSEN_OPTIONS, folder.path()))).collect();
    check(&jobs, is_shared);
}
