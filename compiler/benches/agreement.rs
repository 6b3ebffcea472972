//! Every trained network beside the workspace and its approximation on test images, beside tract's float result.
//!
//! `cargo bench -p paf-compiler --bench agreement [-- NETWORK... --engine graph|clear --paf NAME --margin auto|M --images K
//! --calibration K --compressed]`
//!
//! Needs `../shared/data`, or `PAF_SHARED`. The engine `clear` runs the circuit, with its packing, parameters and bootstraps,
//! on plain numbers. `graph` evaluates the polynomial graph and compiles it twice to a verified ckks program, whose levels no
//! parameters have to hold; `same` says whether both programs are equal. Seconds are those of compiling, and of the engine.

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::Instant;

use clap::{Parser, ValueEnum};
use common::agreement::{Agreement, circuit_results, compile, compile_circuit, exact_results, graph_results};
use common::bench::{Result, parse_margin, started_by_cargo};
use paf_compiler::options::Margin;
use serde_json::{Value, json};
use testkit::images::LabelledImages;
use testkit::networks::{NETWORKS, TrainedNetwork};

/// Compiles the trained networks and compares them with tract
#[derive(Debug, Parser)]
struct Arguments {
    /// Networks to look at; all where none is named
    networks: Vec<String>,
    /// What evaluates them
    #[arg(long, default_value = "graph")]
    engine: Engine,
    /// The PAF of all nodes
    #[arg(long, default_value = "alpha10")]
    paf: String,
    /// The scale of a PAF is this times the largest value seen
    #[arg(long, default_value = "auto", value_parser = parse_margin)]
    margin: Margin,
    /// Test images
    #[arg(long, default_value_t = 200)]
    images: usize,
    /// Training images that calibrate
    #[arg(long, default_value_t = 1000)]
    calibration: usize,
    /// CIFAR-10 as 1,000 test images that went through JPEG
    #[arg(long)]
    compressed: bool,
    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Engine {
    /// The polynomial graph
    Graph,
    /// The circuit on the clear engine
    Clear,
}

/// What a compilation and an evaluation gave.
struct Measured {
    agreement: Agreement,
    facts: Value,
    compile_seconds: f64,
    engine_seconds: f64,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if !started_by_cargo(arguments.bench) {
        return Ok(());
    }
    println!(
        "{:<34} {:>6} {:>6} {:>6} {:>9} {:>5} {:>8} {:>8}  facts",
        "network", "tract", "paf", "equal", "error", "lost", "compile", "engine"
    );
    let mut rows: Vec<Value> = Vec::new();
    for network in chosen(&arguments.networks)? {
        let images = match arguments.compressed {
            true => network.compressed_test(arguments.images),
            false => network.test(arguments.images),
        };
        let calibration = network.calibration(arguments.calibration);
        let exact = exact_results(&network, &images.images);
        let measured = match arguments.engine {
            Engine::Graph => on_graph(&network, &arguments, &calibration, &exact, &images),
            Engine::Clear => on_clear_engine(&network, &arguments, &calibration, &exact, &images),
        };
        rows.push(row(&network, &measured));
    }
    println!("{}", json!({ "paf": arguments.paf, "images": arguments.images, "networks": rows }));
    Ok(())
}

fn on_graph(
    network: &TrainedNetwork,
    arguments: &Arguments,
    calibration: &[Vec<f64>],
    exact: &[Vec<f64>],
    test: &LabelledImages<f64>,
) -> Measured {
    let passed = compile(&network.file(), &arguments.paf, arguments.margin, calibration);
    let again = compile(&network.file(), &arguments.paf, arguments.margin, calibration);
    let start = Instant::now();
    let results = graph_results(&passed, &test.images);
    let engine_seconds = start.elapsed().as_secs_f64();
    let (approximate, compile_seconds) = passed.seconds;
    let facts = json!({
        "levels": passed.levels,
        "ciphertext_products": passed.products,
        "nodes": passed.optimized.len(),
        "terms": passed.terms,
        "seconds_of_approximate": approximate,
        "same_program": again.program == passed.program,
    });
    Measured { agreement: Agreement::of(exact, &results, &test.labels), facts, compile_seconds, engine_seconds }
}

fn on_clear_engine(
    network: &TrainedNetwork,
    arguments: &Arguments,
    calibration: &[Vec<f64>],
    exact: &[Vec<f64>],
    test: &LabelledImages<f64>,
) -> Measured {
    let start = Instant::now();
    let compiled = compile_circuit(network, &arguments.paf, arguments.margin, calibration);
    let compile_seconds = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let results = circuit_results(&compiled.circuit, &test.images);
    let engine_seconds = start.elapsed().as_secs_f64();
    let counts = compiled.circuit.counts();
    let facts = json!({
        "levels": counts.levels,
        "bootstraps": counts.bootstraps,
        "ciphertext_products": counts.ciphertext_products,
        "ring_dimension": compiled.circuit.parameters.ring_dimension,
    });
    Measured { agreement: Agreement::of(exact, &results, &test.labels), facts, compile_seconds, engine_seconds }
}

/// Prints a row and gives its facts.
fn row(network: &TrainedNetwork, measured: &Measured) -> Value {
    let agreement = &measured.agreement;
    let percent = |count: usize| 100.0 * count as f64 / agreement.images as f64;
    println!(
        "{:<34} {:>6.1} {:>6.1} {:>6.1} {:>9.2e} {:>5} {:>8.2} {:>8.2}  {}",
        network.name(),
        percent(agreement.exact),
        percent(agreement.polynomial),
        percent(agreement.equal),
        agreement.largest_error,
        agreement.lost,
        measured.compile_seconds,
        measured.engine_seconds,
        measured.facts,
    );
    json!({
        "network": network.name(),
        "top1": percent(agreement.exact),
        "top1_approximated": percent(agreement.polynomial),
        "equal_top1": percent(agreement.equal),
        "largest_error": agreement.largest_error,
        "lost": agreement.lost,
        "compile_seconds": measured.compile_seconds,
        "engine_seconds": measured.engine_seconds,
        "facts": measured.facts,
    })
}

fn chosen(names: &[String]) -> Result<Vec<TrainedNetwork>> {
    let find = |name: &String| -> Result<TrainedNetwork> {
        let found = NETWORKS.into_iter().find(|network| network.name() == name);
        let known = NETWORKS.map(|network| network.name()).join(", ");
        found.ok_or_else(|| format!("there is no network `{name}`; there are {known}").into())
    };
    if names.is_empty() { Ok(NETWORKS.to_vec()) } else { names.iter().map(find).collect() }
}
