//! Every trained network beside the workspace: compiled to a verified ckks program, its polynomial form against tract's
//! float result on test images, and the seconds that compiling takes.
//!
//! `cargo bench -p paf-compiler --bench agreement [-- NETWORK... --paf NAME --margin M --images K --calibration K]`
//!
//! Needs `../shared/data`, or `PAF_SHARED`. Seconds are those of all passes, and in brackets those without `approximate`,
//! most of whose time is the calibration. Each network is compiled twice, and `same` says whether both programs are equal.

#[path = "../tests/common/mod.rs"]
mod common;

use std::error::Error;

use clap::Parser;
use common::agreement::{compare, compile};
use common::shared_data;
use common::zoo::{NETWORKS, Network};
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Compiles the trained networks and compares them with tract
#[derive(Debug, Parser)]
struct Arguments {
    /// Networks to look at; all where none is named
    networks: Vec<String>,
    /// The PAF of all nodes
    #[arg(long, default_value = "alpha10")]
    paf: String,
    /// The scale of a PAF is this times the largest value seen
    #[arg(long, default_value_t = 1.1)]
    margin: f64,
    /// Test images
    #[arg(long, default_value_t = 200)]
    images: usize,
    /// Training images that calibrate
    #[arg(long, default_value_t = 1000)]
    calibration: usize,
    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if !arguments.bench {
        println!("a benchmark: run it with cargo bench");
        return Ok(());
    }
    let Some(data) = shared_data() else { return Ok(()) };
    println!(
        "{:<34} {:>6} {:>6} {:>6} {:>9} {:>7} {:>9} {:>8} {:>8} {:>16} {:>5}",
        "network", "tract", "paf", "equal", "error", "levels", "products", "nodes", "terms", "seconds", "same"
    );
    let mut rows: Vec<Value> = Vec::new();
    for network in chosen(&arguments.networks)? {
        let calibration = network.calibration(&data, arguments.calibration);
        let passed = compile(&network.file(&data), &arguments.paf, arguments.margin, &calibration);
        let same =
            compile(&network.file(&data), &arguments.paf, arguments.margin, &calibration).program == passed.program;
        drop(calibration);
        let agreement = compare(&network, &data, &passed, &network.test(&data, arguments.images));
        let percent = |count: usize| 100.0 * count as f64 / agreement.images as f64;
        let (approximate, all) = passed.seconds;
        println!(
            "{:<34} {:>6.1} {:>6.1} {:>6.1} {:>9.2e} {:>7} {:>9} {:>8} {:>8} {:>16} {:>5}",
            network.name(),
            percent(agreement.exact),
            percent(agreement.polynomial),
            percent(agreement.equal),
            agreement.largest_error,
            passed.levels,
            passed.products,
            passed.optimized.len(),
            passed.terms,
            format!("{all:.2} ({:.2})", all - approximate),
            same,
        );
        rows.push(json!({
            "network": network.name(),
            "top1": percent(agreement.exact),
            "top1_polynomial": percent(agreement.polynomial),
            "equal_top1": percent(agreement.equal),
            "largest_error": agreement.largest_error,
            "levels": passed.levels,
            "ciphertext_products": passed.products,
            "terms": passed.terms,
            "seconds": all,
            "seconds_without_approximate": all - approximate,
            "same_program": same,
        }));
    }
    println!("{}", json!({ "paf": arguments.paf, "images": arguments.images, "networks": rows }));
    Ok(())
}

fn chosen(names: &[String]) -> Result<Vec<Network>> {
    let find = |name: &String| -> Result<Network> {
        let found = NETWORKS.into_iter().find(|network| network.name() == name);
        let known = NETWORKS.map(|network| network.name()).join(", ");
        found.ok_or_else(|| format!("there is no network `{name}`; there are {known}").into())
    };
    if names.is_empty() { Ok(NETWORKS.to_vec()) } else { names.iter().map(find).collect() }
}
