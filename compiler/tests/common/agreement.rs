//! A network's approximation beside tract's float result: as a polynomial graph, with what every pass takes up to a verified
//! ckks program whose levels no parameters have to hold; or as the whole circuit on the clear engine.

use std::path::Path;
use std::time::Instant;

use paf_circuit::Circuit;
use paf_compiler::options::{CompileOptions, PafChoice};
use paf_compiler::pipeline::Compiled;
use paf_import::import;
use paf_ir::client::ClientProgram;
use paf_ir::lanes::LANES;
use paf_ir::tensor::{Graph, GraphEvaluator};
use paf_oracle::Oracle;
use paf_passes::approximate::{Approximated, ApproximationOptions, Margin};
use paf_passes::decisions::CalibrationSamples;
use paf_passes::lower::{LowerOptions, Lowering};
use paf_passes::paf::Paf;
use paf_passes::schedule::{Bootstraps, ScheduleRequest, assign_levels};
use paf_scheme::{Counts, EngineProfile};
use rayon::prelude::*;
use testkit::arrays::batch;
use testkit::client_part::top1;
use testkit::networks::TrainedNetwork;
use testkit::parties::{clear_outputs, samples_of};

use super::{compiled, write_images};

/// A compiled network without parameters.
pub(crate) struct Passed {
    /// What was decided, with the polynomial graph before it was optimized.
    pub(crate) approximated: Approximated,
    /// The polynomial graph that was packed.
    pub(crate) optimized: Graph,
    /// What the client computes.
    pub(crate) client: ClientProgram,
    /// Terms of the e-graph.
    pub(crate) terms: usize,
    /// Levels of the program.
    pub(crate) levels: u32,
    /// Ciphertext products of the program.
    pub(crate) products: usize,
    /// The verified program's text.
    pub(crate) program: String,
    /// Seconds of `approximate`, which calibrates, and of all passes.
    pub(crate) seconds: (f64, f64),
}

/// Runs all passes.
pub(crate) fn compile(path: &Path, paf: &str, margin: Margin, calibration: &[Vec<f64>]) -> Passed {
    let samples: CalibrationSamples = calibration.iter().map(|image| vec![image.clone()]).collect();
    let approximation = ApproximationOptions { margin, ..ApproximationOptions::new(Paf::by_name(paf).expect("a PAF")) };
    let schedule = ScheduleRequest { bootstraps: Bootstraps::Never, ..ScheduleRequest::new(EngineProfile::openfhe()) };
    let options = LowerOptions { approximation, goal: None, schedule, sanitize: false };
    let start = Instant::now();
    let mut network = Lowering::new(import(path).expect("a supported network").graph, samples, options);
    network.fold().expect("a verified graph");
    let calibrating = Instant::now();
    network.approximate().expect("calibrated polynomials");
    let approximating = calibrating.elapsed().as_secs_f64();
    let slots = &network.pack().expect("tensors fit").program;
    let program = assign_levels(slots).and_then(|program| Ok(program.verify()?)).expect("a verified program");
    let seconds = start.elapsed().as_secs_f64();
    let counts = Counts::of(&program);
    let client = network.graph().client.clone();
    let optimized = network.optimized.expect("the network was packed");
    Passed {
        client,
        terms: optimized.report.terms,
        levels: counts.levels,
        products: counts.ciphertext_products,
        program: program.to_text(),
        seconds: (approximating, seconds),
        approximated: network.polynomial.expect("the network was packed").approximated,
        optimized: optimized.graph,
    }
}

/// Compiles a network to a circuit with parameters and bootstraps.
pub(crate) fn compile_circuit(
    network: &TrainedNetwork,
    paf: &str,
    margin: Margin,
    calibration: &[Vec<f64>],
) -> Compiled {
    let folder = tempfile::tempdir().expect("a temporary folder");
    compiled(&CompileOptions {
        calibration: write_images(network, calibration, folder.path()).into(),
        pafs: vec![PafChoice { node: None, paf: paf.to_owned() }],
        margin,
        ..CompileOptions::for_model(network.file())
    })
}

/// Results of tract.
pub(crate) fn exact_results(network: &TrainedNetwork, images: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let oracle = Oracle::load(&network.file()).expect("tract takes the network");
    let result = |image: &Vec<f64>| {
        let floats: Vec<f32> = image.iter().map(|&value| value as f32).collect();
        oracle.run(&floats).expect("tract runs the network").remove(0).into_iter().map(f64::from).collect()
    };
    images.par_iter().map(result).collect()
}

/// Results of the polynomial graph, as the client finishes them.
pub(crate) fn graph_results(passed: &Passed, images: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let evaluator = GraphEvaluator::new(&passed.optimized);
    let (input, output) = (passed.approximated.inputs[0].scale, passed.approximated.output_scales[0]);
    let results = |images: &[Vec<f64>]| {
        let samples: Vec<_> =
            images.iter().map(|image| vec![image.iter().map(|value| value * input).collect()]).collect();
        let results = evaluator.outputs_of_all(&samples).expect("the graph takes the images");
        let finish = |mut outputs: Vec<Vec<f64>>| {
            let values: Vec<f64> = outputs.remove(0).iter().map(|value| value * output).collect();
            passed.client.evaluate(&[values]).remove(0)
        };
        results.into_iter().map(finish).collect::<Vec<_>>()
    };
    images.par_chunks(LANES).flat_map_iter(results).collect()
}

/// Results of a circuit on the clear engine.
pub(crate) fn circuit_results(circuit: &Circuit, images: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let samples = samples_of(circuit, batch(&circuit.program.inputs[0].shape, images));
    clear_outputs(circuit, &samples).into_iter().map(|mut output| output.results.remove(0)).collect()
}

/// Predictions of tract and of an approximation on the same images.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Agreement {
    pub(crate) images: usize,
    /// Right predictions of tract.
    pub(crate) exact: usize,
    /// Right predictions of the approximation.
    pub(crate) polynomial: usize,
    /// Equal predictions.
    pub(crate) equal: usize,
    /// Largest difference of a result from tract's, as a part of tract's largest one for that image.
    pub(crate) largest_error: f64,
    /// Images with such a difference above 1: a value has left its scale.
    pub(crate) lost: usize,
}

impl Agreement {
    /// Compares results image by image.
    pub(crate) fn of(exact: &[Vec<f64>], approximated: &[Vec<f64>], labels: &[usize]) -> Self {
        let pairs = exact.iter().zip(approximated);
        let predictions: Vec<Prediction> = pairs.map(|(exact, polynomial)| Prediction::of(exact, polynomial)).collect();
        let labelled = || predictions.iter().zip(labels);
        Agreement {
            images: predictions.len(),
            exact: labelled().filter(|(prediction, label)| prediction.exact == **label).count(),
            polynomial: labelled().filter(|(prediction, label)| prediction.polynomial == **label).count(),
            equal: predictions.iter().filter(|prediction| prediction.exact == prediction.polynomial).count(),
            largest_error: predictions.iter().map(|prediction| prediction.error).fold(0.0, f64::max),
            lost: predictions.iter().filter(|prediction| prediction.error > 1.0).count(),
        }
    }

    /// By how many points the accuracies differ.
    pub(crate) fn points(&self) -> f64 {
        100.0 * self.exact.abs_diff(self.polynomial) as f64 / self.images as f64
    }
}

/// Both predictions of one image.
struct Prediction {
    exact: usize,
    polynomial: usize,
    /// Largest difference of a result, as a part of the largest exact one.
    error: f64,
}

impl Prediction {
    fn of(exact: &[f64], polynomial: &[f64]) -> Self {
        let largest = exact.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
        let differences = exact.iter().zip(polynomial).map(|(exact, polynomial)| (exact - polynomial).abs());
        let error =
            differences.fold(0.0, |worst: f64, error| if error.is_nan() { f64::INFINITY } else { worst.max(error) });
        Prediction { exact: top1(exact), polynomial: top1(polynomial), error: error / largest }
    }
}
