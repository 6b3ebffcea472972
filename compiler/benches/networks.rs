//! What trained networks cost from end to end, encrypted: each row of the tables of measured networks in the README.
//!
//! `cargo bench -p paf-compiler --bench networks [-- NETWORK... --images K --memory 16G]`
//!
//! Needs `../shared/data`, or `PAF_SHARED`. Each network is compiled here, for its training images, and run by a child
//! process of its own on its test images, so that its peak memory is its own. Shallow circuits are compared with the
//! primitives of OpenFHE that they are made of, deep ones with the time of their bootstraps. The last line is JSON.

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "networks/measure.rs"]
mod measure;
#[path = "networks/primitives.rs"]
mod primitives;
#[path = "networks/table.rs"]
mod table;

use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use clap::Parser;
use paf_circuit::write_circuit;
use paf_compiler::options::CompileOptions;
use paf_compiler::pipeline::compile;
use paf_files::Bytes;
use serde_json::{Value, json};

use common::write_images;
use testkit::networks::{NETWORKS, TrainedNetwork};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The networks of the tables.
const MEASURED: [&str; 8] = [
    "netkit_mnist_mlp",
    "zkml_mnist_cnn_tiny",
    "verivital_convnet_maxpool",
    "cntk_mnist_opset8",
    "germanov_lenet5_mnist",
    "mlperf_tiny_resnet8_bn_cifar10",
    "onnc_resnet20_bn_cifar10",
    "ace_resnet20_cifar10",
];

/// Compiles and runs trained networks
#[derive(Debug, Parser)]
struct Arguments {
    /// Networks to run; those of the tables where none is named
    networks: Vec<String>,
    /// Test images to run encrypted
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    images: u32,
    /// Most memory that a run may use
    #[arg(long, default_value = "16G")]
    memory: Bytes,
    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
    /// Runs a circuit on inputs and prints what was measured: the child's part
    #[arg(long, hide = true, num_args = 2, value_names = ["CIRCUIT", "INPUTS"])]
    measure: Vec<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let [circuit, inputs] = &arguments.measure[..] {
        println!("{}", measure::circuit(circuit, inputs)?);
        return Ok(());
    }
    if !arguments.bench {
        println!("a benchmark: run it with cargo bench");
        return Ok(());
    }
    let results: Result<Vec<Value>> =
        chosen(&arguments.networks)?.iter().map(|network| run(network, &arguments)).collect();
    let results = results?;
    print!("{}", table::facts(&results));
    print!("{}", table::primitives(&results));
    println!("{}", json!({ "networks": results }));
    Ok(())
}

fn chosen(names: &[String]) -> Result<Vec<TrainedNetwork>> {
    let find = |name: &str| -> Result<TrainedNetwork> {
        let found = NETWORKS.into_iter().find(|network| network.name() == name);
        let known = NETWORKS.map(|network| network.name()).join(", ");
        found.ok_or_else(|| format!("there is no network `{name}`; there are {known}").into())
    };
    if names.is_empty() {
        return MEASURED.into_iter().map(find).collect();
    }
    names.iter().map(|name| find(name)).collect()
}

/// Compiles a network, runs it in a child process and gives the facts of both.
fn run(network: &TrainedNetwork, arguments: &Arguments) -> Result<Value> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    let calibration = network.calibration(network.calibration_images());
    let calibration = write_images(network, &calibration, folder.path()).into();
    let test = network.test(arguments.images as usize);

    eprintln!("{}: compile", network.name());
    let options =
        CompileOptions { calibration, memory: Some(arguments.memory.0), ..CompileOptions::for_model(network.file()) };
    let start = Instant::now();
    write_circuit(&path("circuit.bin"), &compile(&options)?.circuit)?;
    let seconds = start.elapsed().as_secs_f64();

    let inputs = write_images(network, &test.images, folder.path());
    let mut facts = measured_by_child(&path("circuit.bin"), &inputs)?;
    let predictions: Vec<u64> = serde_json::from_value(facts["top1"].clone())?;
    let right = predictions.iter().zip(&test.labels).filter(|(found, label)| **found as usize == **label).count();
    facts["right_top1"] = json!(right);
    facts["seconds"]["compile"] = json!(seconds);
    facts["circuit_bytes"] = json!(path("circuit.bin").metadata()?.len());
    Ok(facts)
}

fn measured_by_child(circuit: &Path, inputs: &Path) -> Result<Value> {
    let mut child = Command::new(env::current_exe()?);
    let output = child.arg("--measure").args([circuit, inputs]).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("the child process ended with {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
