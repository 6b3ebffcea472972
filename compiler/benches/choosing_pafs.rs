//! One PAF for all nodes against a PAF for each: levels, predictions and errors of a ResNet-20 for CIFAR-10.
//!
//! `cargo bench -p paf-compiler --bench choosing_pafs [-- ROW... --images K]`, where a row is the name of a PAF, `E=0.02`
//! for the fewest levels with that error, or `L=150` for the least error with so many levels.
//!
//! Needs `../shared/data`, or `PAF_SHARED`. The last line is JSON. Every row is a circuit from ONNX to the optimizer,
//! calibrated on training images; its polynomial graph is evaluated on test images that it has never seen.

#[path = "../tests/common/mod.rs"]
mod common;

use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use paf_import::import;
use paf_ir::tensor::{Graph, GraphEvaluator};
use paf_passes::approximate::{Approximated, Margin};
use paf_passes::choose::{Goal, candidates};
use paf_passes::decisions::CalibrationSamples;
use paf_passes::fold::fold;
use paf_passes::lower::{LowerOptions, Lowering, Optimized, Polynomial};
use paf_passes::paf::{DEFAULT_PAF, Paf};
use paf_scheme::EngineProfile;
use serde_json::{Value, json};

use common::bench::{Result, is_lost, largest, parse_margin, started_by_cargo};
use testkit::images::LabelledImages;
use testkit::networks::TrainedNetwork;

const MODEL: &str = "onnc_resnet20_bn_cifar10";
/// Rows for a choice of PAFs where none is named.
const GOALS: [&str; 8] = ["E=0.05", "E=0.02", "E=0.01", "L=154", "L=173", "L=192", "L=205", "L=215"];
/// Samples that one thread evaluates together.
const TOGETHER: usize = 16;

/// Compares single PAFs with a choice for each node
#[derive(Debug, Parser)]
struct Arguments {
    /// Rows of the table; all where none is named
    rows: Vec<String>,
    /// Test images
    #[arg(long, default_value_t = 1000)]
    images: usize,
    /// Training images for calibration
    #[arg(long, default_value_t = 1000)]
    calibration_images: usize,
    /// Scales are this times the largest value seen in calibration
    #[arg(long, default_value = "1.25", value_parser = parse_margin)]
    margin: Margin,
    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if !started_by_cargo(arguments.bench) {
        return Ok(());
    }
    let rows = if arguments.rows.is_empty() { all_rows()? } else { arguments.rows.clone() };
    let setting = Setting::new(&arguments)?;
    println!("{}, {} test images: {:.1} % top-1", MODEL, arguments.images, setting.original_accuracy());
    println!(
        "{:<14}{:>8}{:>10}{:>8}{:>12}{:>12}{:>12}{:>12}{:>8}{:>10}",
        "PAFs", "levels", "of ReLUs", "top-1", "as before", "predicted", "calibrated", "test error", "lost", "seconds"
    );
    let results: Result<Vec<Value>> = rows.iter().map(|row| setting.run(row)).collect();
    println!("{}", json!({ "model": MODEL, "images": arguments.images, "rows": results? }));
    Ok(())
}

fn all_rows() -> Result<Vec<String>> {
    let single = candidates()?.into_iter().map(|paf| paf.name);
    Ok(single.chain(GOALS.map(str::to_owned)).collect())
}

/// The network, its images, and what it says of them.
struct Setting {
    graph: Graph,
    calibration: Arc<CalibrationSamples>,
    test: CalibrationSamples,
    labels: Vec<usize>,
    original: Vec<Vec<f64>>,
    margin: Margin,
}

impl Setting {
    fn new(arguments: &Arguments) -> Result<Self> {
        let network = TrainedNetwork::named(MODEL);
        let graph = import(&network.file())?.graph;
        let calibration = samples(network.calibration(arguments.calibration_images));
        let LabelledImages { images, labels } = network.compressed_test(arguments.images);
        let test = samples(images);
        let original = outputs(&fold(&graph)?, &test)?;
        Ok(Setting { graph, calibration: Arc::new(calibration), test, labels, original, margin: arguments.margin })
    }

    fn accuracy(&self, outputs: &[Vec<f64>]) -> f64 {
        let right = outputs.iter().zip(&self.labels).filter(|(output, label)| top1(output) == **label).count();
        100.0 * right as f64 / outputs.len() as f64
    }

    fn original_accuracy(&self) -> f64 {
        self.accuracy(&self.original)
    }

    fn run(&self, row: &str) -> Result<Value> {
        let start = Instant::now();
        let mut lowering = self.lowering(row)?;
        lowering.optimize()?;
        let seconds = start.elapsed().as_secs_f64();
        let (Some(polynomial), Some(optimized)) = (lowering.polynomial, lowering.optimized) else {
            return Err("the network was optimized".into());
        };
        let (Polynomial { approximated: polynomial, chosen }, Optimized { graph: optimized, report }) =
            (polynomial, optimized);
        let scales: Vec<f64> = polynomial.inputs.iter().map(|input| input.scale).collect();
        let inputs: CalibrationSamples = self.test.iter().map(|sample| scaled(sample, &scales)).collect();
        let mut results = outputs(&optimized, &inputs)?;
        results.iter_mut().flatten().for_each(|y| *y *= polynomial.output_scales[0]);
        let same = self.original.iter().zip(&results).filter(|(a, b)| top1(a) == top1(b)).count();
        let facts = json!({
            "pafs": row,
            "levels": report.levels_after,
            "relu_levels": relu_levels(&polynomial)?,
            "top1": self.accuracy(&results),
            "same_prediction": 100.0 * same as f64 / results.len() as f64,
            "predicted_error": chosen.as_ref().map(|chosen| chosen.predicted_error),
            "calibrated_error": chosen.as_ref().map(|chosen| chosen.measured.rms),
            "test_error": error(&self.original, &results),
            "out_of_range": out_of_range(&self.original, &results),
            "seconds": seconds,
            "nodes": polynomial.replaced.iter().map(|node| node.paf.as_str()).collect::<Vec<_>>(),
        });
        if let Some(chosen) = chosen.filter(|chosen| chosen.levels != report.levels_after) {
            eprintln!("{row}: {} levels expected, {} after optimization", chosen.levels, report.levels_after);
        }
        print_row(&facts);
        Ok(facts)
    }

    /// The network with the PAFs of a row, to be lowered.
    fn lowering(&self, row: &str) -> Result<Lowering> {
        let goal = match row.split_once('=') {
            Some(("E", error)) => Some(Goal::MaxError(error.parse()?)),
            Some(("L", levels)) => Some(Goal::MaxLevels(levels.parse()?)),
            _ => None,
        };
        let mut options =
            LowerOptions::new(Paf::by_name(if goal.is_some() { DEFAULT_PAF } else { row })?, EngineProfile::openfhe());
        (options.goal, options.approximation.margin) = (goal, self.margin);
        Ok(Lowering::new(self.graph.clone(), Arc::clone(&self.calibration), options))
    }
}

fn samples(images: Vec<Vec<f64>>) -> CalibrationSamples {
    images.into_iter().map(|image| vec![image]).collect()
}

fn relu_levels(polynomial: &Approximated) -> Result<usize> {
    let levels = polynomial.replaced.iter().map(|node| Ok(Paf::by_name(&node.paf)?.depth()));
    levels.sum()
}

fn scaled(sample: &[Vec<f64>], scales: &[f64]) -> Vec<Vec<f64>> {
    sample.iter().zip(scales).map(|(x, scale)| x.iter().map(|x| x * scale).collect()).collect()
}

/// The first output of every sample, on all cores.
fn outputs(graph: &Graph, samples: &CalibrationSamples) -> Result<Vec<Vec<f64>>> {
    let evaluator = GraphEvaluator::new(graph);
    let threads = std::thread::available_parallelism()?.get();
    let shares: Vec<&[Vec<Vec<f64>>]> = samples.chunks(samples.len().div_ceil(threads).max(1)).collect();
    let evaluate = |share: &[Vec<Vec<f64>>]| {
        let parts = share.chunks(TOGETHER).map(|samples| evaluator.outputs_of_all(samples));
        parts.collect::<std::result::Result<Vec<_>, _>>()
    };
    let results = std::thread::scope(|scope| {
        let running: Vec<_> = shares.iter().map(|share| scope.spawn(|| evaluate(share))).collect();
        running.into_iter().map(|thread| thread.join().expect("evaluation does not panic")).collect::<Vec<_>>()
    });
    let mut all = Vec::with_capacity(samples.len());
    for result in results {
        all.extend(result?.into_iter().flatten().map(|mut outputs| outputs.swap_remove(0)));
    }
    Ok(all)
}

fn top1(scores: &[f64]) -> usize {
    (0..scores.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap_or(0)
}

/// Images on which a PAF left its range.
fn out_of_range(original: &[Vec<f64>], results: &[Vec<f64>]) -> usize {
    let largest = largest(original);
    original.iter().zip(results).filter(|(a, b)| is_lost(a, b, largest)).count()
}

/// Root of the mean square difference on the images that are not lost, in parts of the largest score of the original.
fn error(original: &[Vec<f64>], results: &[Vec<f64>]) -> f64 {
    let largest = largest(original);
    let pairs = original.iter().zip(results).filter(|(a, b)| !is_lost(a, b, largest));
    let squares: Vec<f64> = pairs.flat_map(|(a, b)| a.iter().zip(b).map(|(a, b)| (a - b) * (a - b))).collect();
    (squares.iter().sum::<f64>() / squares.len().max(1) as f64).sqrt() / largest
}

fn print_row(facts: &Value) {
    let number = |key: &str| facts[key].as_f64();
    let error = |key: &str| number(key).map_or_else(|| "-".into(), |error| format!("{error:.2e}"));
    println!(
        "{:<14}{:>8}{:>10}{:>8.1}{:>10.1} %{:>12}{:>12}{:>12}{:>8}{:>10.1}",
        facts["pafs"].as_str().unwrap_or_default(),
        facts["levels"].to_string(),
        facts["relu_levels"].to_string(),
        number("top1").unwrap_or(f64::NAN),
        number("same_prediction").unwrap_or(f64::NAN),
        error("predicted_error"),
        error("calibrated_error"),
        error("test_error"),
        facts["out_of_range"].to_string(),
        number("seconds").unwrap_or(f64::NAN),
    );
}
