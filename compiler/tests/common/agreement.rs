//! A network's polynomial form beside tract's float result, and what compiling it takes: every pass of the pipeline up to
//! a verified ckks program, whose levels no parameters have to hold.

use std::path::Path;
use std::time::Instant;

use paf_compiler::import::import;
use paf_compiler::import::oracle::Oracle;
use paf_ir::tensor::{Evaluator, Graph, PostProcess, Shape};
use paf_passes::approximate::{Approximated, Options, approximate};
use paf_passes::fold::fold;
use paf_passes::optimize::optimize;
use paf_passes::pack::{self, Port, pack};
use paf_passes::paf::Paf;
use paf_passes::recover::Samples;
use paf_passes::schedule::assign_levels;
use rayon::prelude::*;

use super::zoo::{Labelled, Network};

/// Most slots of a ciphertext, as in the pipeline.
const MAX_SLOTS: usize = 1 << 15;

/// A compiled network without parameters.
pub(crate) struct Passed {
    /// What was decided, with the polynomial graph before it was optimized.
    pub(crate) approximated: Approximated,
    /// The polynomial graph that was packed.
    pub(crate) optimized: Graph,
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
pub(crate) fn compile(path: &Path, paf: &str, margin: f64, calibration: &[Vec<f64>]) -> Passed {
    let samples: Samples = calibration.iter().map(|image| vec![image.clone()]).collect();
    let options = Options {
        default_paf: Paf::by_name(paf).expect("a PAF"),
        per_node: Default::default(),
        margin,
        input_range: (-1.0, 1.0),
        function_error: 1e-3,
    };
    let start = Instant::now();
    let folded = fold(&import(path).expect("a supported network").graph).expect("a verified graph");
    let calibrating = Instant::now();
    let approximated = approximate(&folded, &options, &samples).expect("calibrated polynomials");
    let approximating = calibrating.elapsed().as_secs_f64();
    let (optimized, report) = optimize(&approximated.graph).expect("a polynomial graph");
    let slots = pack(&optimized, &ports(&optimized, &approximated)).expect("tensors fit").program;
    let program = assign_levels(&slots).and_then(|program| Ok(program.verify()?)).expect("a verified program");
    let seconds = start.elapsed().as_secs_f64();
    let counts = program.counts();
    Passed {
        terms: report.terms,
        levels: counts.levels,
        products: counts.ciphertext_products,
        program: program.to_text(),
        seconds: (approximating, seconds),
        approximated,
        optimized,
    }
}

fn ports(graph: &Graph, approximated: &Approximated) -> pack::Options {
    let port = |node, scale, range| {
        let shape = Shape(vec![graph.node(node).shape.size()]);
        Port { name: "port".into(), shape, scale, range, post: PostProcess::None }
    };
    let inputs =
        graph.inputs.iter().zip(&approximated.inputs).map(|(input, (scale, range))| port(input.0, *scale, *range));
    let outputs = graph.outputs.iter().zip(&approximated.output_scales);
    let outputs = outputs.map(|(output, scale)| port(output.node, *scale, (0.0, 0.0)));
    pack::Options { max_slots: MAX_SLOTS, inputs: inputs.collect(), outputs: outputs.collect(), refreshed: false }
}

/// Predictions of tract and of the polynomial graph on the same images.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Agreement {
    pub(crate) images: usize,
    /// Right predictions of tract.
    pub(crate) exact: usize,
    /// Right predictions of the polynomial graph.
    pub(crate) polynomial: usize,
    /// Equal predictions.
    pub(crate) equal: usize,
    /// Largest difference of a result from tract's, as a part of tract's largest one for that image.
    pub(crate) largest_error: f64,
}

impl Agreement {
    /// By how many points the accuracies differ.
    pub(crate) fn points(&self) -> f64 {
        100.0 * self.exact.abs_diff(self.polynomial) as f64 / self.images as f64
    }
}

/// Runs both on test images.
pub(crate) fn compare(network: &Network, data: &Path, passed: &Passed, test: &Labelled) -> Agreement {
    let oracle = Oracle::load(&network.file(data)).expect("tract takes the network");
    let evaluator = Evaluator::new(&passed.optimized);
    let post = passed.optimized.outputs[0].post;
    let predictions: Vec<Prediction> = test
        .images
        .par_iter()
        .map(|image| {
            let floats: Vec<f32> = image.iter().map(|&value| value as f32).collect();
            let exact = oracle.run(&floats).expect("tract runs the network").remove(0);
            let exact: Vec<f64> = exact.into_iter().map(f64::from).collect();
            Prediction::of(&exact, &after_client(post, polynomial(&evaluator, passed, image)))
        })
        .collect();
    let labelled = || predictions.iter().zip(&test.labels);
    Agreement {
        images: predictions.len(),
        exact: labelled().filter(|(prediction, label)| prediction.exact == **label).count(),
        polynomial: labelled().filter(|(prediction, label)| prediction.polynomial == **label).count(),
        equal: predictions.iter().filter(|prediction| prediction.exact == prediction.polynomial).count(),
        largest_error: predictions.iter().map(|prediction| prediction.error).fold(0.0, f64::max),
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

fn polynomial(evaluator: &Evaluator, passed: &Passed, image: &[f64]) -> Vec<f64> {
    let scaled = image.iter().map(|value| value * passed.approximated.inputs[0].0).collect();
    let values = evaluator.run(&[scaled]).expect("the graph takes the image");
    let output = passed.optimized.outputs[0].node.index();
    values[output].iter().map(|value| value * passed.approximated.output_scales[0]).collect()
}

/// What the client computes from the decrypted result of one image.
fn after_client(post: PostProcess, values: Vec<f64>) -> Vec<f64> {
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = values.iter().map(|value| (value - largest).exp()).sum();
    match post {
        PostProcess::None => values,
        PostProcess::Softmax { .. } => values.iter().map(|value| (value - largest).exp() / total).collect(),
        PostProcess::LogSoftmax { .. } => values.iter().map(|value| value - largest - total.ln()).collect(),
        PostProcess::ArgMax { .. } => vec![top1(&values) as f64],
    }
}

fn top1(values: &[f64]) -> usize {
    (0..values.len()).max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap_or(0)
}
