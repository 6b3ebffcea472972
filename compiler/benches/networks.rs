//! What the networks of the benchmark cost from end to end, beside the primitives of OpenFHE that they are made of.
//!
//! `cargo bench -p paf-compiler --bench networks [-- MODEL... --images K]`
//!
//! Needs `../shared/data`, or `PAF_SHARED`. Each network is compiled here and run by a child process of its own, so that
//! its peak memory is its own. The last line is JSON.

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
use paf_compiler::options::Options;
use paf_compiler::pipeline::compile;
use serde_json::{Value, json};

use common::mnist::{NETWORKS, Network};
use common::{shared_data, write_array};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Compiles and runs the networks of the benchmark
#[derive(Debug, Parser)]
struct Arguments {
    /// Networks to run; all where none is named
    models: Vec<String>,
    /// Test images to run encrypted
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    images: u32,
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
    let Some(data) = shared_data() else { return Ok(()) };
    let results: Result<Vec<Value>> =
        chosen(&arguments.models)?.iter().map(|network| run(&data, network, arguments.images)).collect();
    let results = results?;
    print!("{}", table::facts(&results));
    print!("{}", table::primitives(&results));
    println!("{}", json!({ "networks": results }));
    Ok(())
}

fn chosen(names: &[String]) -> Result<Vec<Network>> {
    let find = |name: &String| -> Result<Network> {
        let found = NETWORKS.into_iter().find(|network| network.name == name);
        let known = NETWORKS.map(|network| network.name).join(", ");
        found.ok_or_else(|| format!("there is no network `{name}`; there are {known}").into())
    };
    if names.is_empty() { Ok(NETWORKS.to_vec()) } else { names.iter().map(find).collect() }
}

/// Compiles a network, runs it in a child process and gives the facts of both.
fn run(data: &Path, network: &Network, images: u32) -> Result<Value> {
    let folder = tempfile::tempdir()?;
    let (calibration, circuit, inputs) =
        (folder.path().join("calibration.npy"), folder.path().join("circuit.bin"), folder.path().join("x.npy"));
    network.write_calibration(data, &calibration);
    let test = network.test_images(data, images as usize);
    write_array(&inputs, &test.shape.0, test.data);

    eprintln!("{}: compile", network.name);
    let options = Options { calibration: Some(calibration), ..Options::for_model(network.path(data)) };
    let start = Instant::now();
    write_circuit(&circuit, &compile(&options)?.circuit)?;
    let seconds = start.elapsed().as_secs_f64();

    let mut facts = measured_by_child(&circuit, &inputs)?;
    facts["seconds"]["compile"] = json!(seconds);
    facts["circuit_bytes"] = json!(circuit.metadata()?.len());
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
