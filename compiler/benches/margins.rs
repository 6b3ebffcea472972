//! What a scale costs and saves: PAFs with scales of so many times the largest value that calibration saw, on all networks.
//!
//! `cargo bench -p paf-compiler --bench margins [-- NETWORK... --images K --calibration-images K]`
//!
//! Needs `../shared/data`, or `PAF_SHARED`. Channel statistics are brought back and polynomials of ReLU fitted as a compilation
//! does it, on lossless training images; test images of CIFAR-10 went through JPEG. A cell is the share of test images that are predicted as
//! by the original network, in percent, then in brackets how many of 1,000 are lost since a value left its scale; a line of JSON a
//! network, then tables of means over the networks of each kind.

#[path = "../tests/common/mod.rs"]
mod common;

use clap::Parser;
use paf_adapt::config::{Config, ScaleMargin, StepName};
use paf_adapt::evaluate::{all_results, top1};
use paf_adapt::events::unheard;
use paf_adapt::steps::walk;
use paf_adapt::{Data, Network};
use paf_import::import;
use paf_passes::paf::Paf;
use serde_json::json;

use common::bench::{Result, is_lost, largest, started_by_cargo};
use testkit::networks::{NETWORKS, TrainedNetwork};

const PAFS: [&str; 6] = ["relu16", "relu32", "relu63", "abs126", "alpha7", "alpha10"];
/// Automatic at last.
const MARGINS: [Option<f64>; 7] = [Some(1.1), Some(1.2), Some(1.3), Some(1.5), Some(1.75), Some(2.0), None];

/// Measures margins of static scales
#[derive(Debug, Parser)]
struct Arguments {
    /// Networks; all where none is named
    networks: Vec<String>,
    /// Test images
    #[arg(long, default_value_t = 300)]
    images: usize,
    /// Training images that are fitted to
    #[arg(long, default_value_t = 200)]
    calibration_images: usize,
    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
}

/// Of one network with one PAF and margin.
#[derive(Debug, Clone, Copy)]
struct Cell {
    /// Images predicted as by the original, in percent.
    same: f64,
    /// Images of 1,000 that are lost.
    lost: f64,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if !started_by_cargo(arguments.bench) {
        return Ok(());
    }
    let is_wanted = |network: &&TrainedNetwork| {
        arguments.networks.is_empty() || arguments.networks.iter().any(|name| name == network.name())
    };
    let mut kinds: [Vec<Vec<Cell>>; 2] = [vec![], vec![]];
    for network in NETWORKS.iter().filter(is_wanted) {
        let Some(cells) = cells(network, &arguments)? else { continue };
        let tenths = |x: f64| (10.0 * x).round() / 10.0;
        let of = |cell: &Cell| json!([tenths(cell.same), tenths(cell.lost)]);
        println!("{}", json!({ "network": network.name(), "cells": cells.iter().map(of).collect::<Vec<_>>() }));
        kinds[usize::from(network.is_of_colors())].push(cells);
    }
    for (kind, networks) in ["MNIST", "CIFAR-10, JPEG images"].iter().zip(&kinds).filter(|(_, kind)| !kind.is_empty()) {
        println!("\n{kind}, {} networks:\n", networks.len());
        print_table(networks);
    }
    Ok(())
}

/// All PAFs with all margins; none of a network without ReLUs.
fn cells(network: &TrainedNetwork, arguments: &Arguments) -> Result<Option<Vec<Cell>>> {
    let original = Network::exact(import(&network.file())?.graph)?;
    if original.nonlinear().next().is_none() {
        return Ok(None);
    }
    let data = |images: Vec<Vec<f64>>| {
        let samples = images.into_iter().map(|image| vec![image]).collect();
        Data::of_samples(&samples, &original.graph)
    };
    let fitted = data(network.calibration(arguments.calibration_images))?;
    let test = data(network.compressed_test(arguments.images).images)?;
    let exact = all_results(&original, &test)?;
    let mut cells = vec![];
    for name in PAFS {
        let paf = Paf::by_name(name)?;
        for margin in MARGINS {
            let margin = margin.map_or(ScaleMargin::AUTOMATIC, ScaleMargin::Fixed);
            let mut steps = vec![StepName::Calibrate, StepName::Bn];
            steps.extend(paf.rectifier().map(|_| StepName::Ct));
            let config = Config { margin, steps, ..Config::default() };
            let walked = walk(&original, &|_| paf.clone(), &fitted, &config, &mut unheard)?;
            cells.push(Cell::of(&exact, &all_results(&walked.network, &test)?));
        }
    }
    Ok(Some(cells))
}

impl Cell {
    fn of(exact: &[Vec<f64>], results: &[Vec<f64>]) -> Self {
        let largest = largest(exact);
        let is_near = |exact: &[f64], result: &[f64]| !is_lost(exact, result, largest);
        let count = |is: &dyn Fn(&[f64], &[f64]) -> bool| {
            exact.iter().zip(results).filter(|(exact, result)| is(exact, result)).count() as f64 / exact.len() as f64
        };
        Cell {
            same: 100.0 * count(&|exact, result| is_near(exact, result) && top1(exact) == top1(result)),
            lost: 1000.0 * (1.0 - count(&is_near)),
        }
    }
}

fn print_table(networks: &[Vec<Cell>]) {
    let heads = MARGINS.map(|margin| margin.map_or("automatic".to_owned(), |margin| margin.to_string()));
    println!("| PAF | {} |\n|---|{}", heads.join(" | "), "---|".repeat(MARGINS.len()));
    for (row, paf) in PAFS.iter().enumerate() {
        let cell = |column: usize| {
            let of_all = |value: &dyn Fn(&Cell) -> f64| {
                let cells = networks.iter().map(|cells| value(&cells[row * MARGINS.len() + column]));
                cells.sum::<f64>() / networks.len() as f64
            };
            format!("{:.1} ({:.1})", of_all(&|cell| cell.same), of_all(&|cell| cell.lost))
        };
        println!("| `{paf}` | {} |", (0..MARGINS.len()).map(cell).collect::<Vec<_>>().join(" | "));
    }
}
