//! Each sign component of the published PAFs on one ciphertext: our circuit beside OpenFHE's `EvalPoly` and
//! `EvalChebyshevSeries`, in levels, ciphertext time and error.
//!
//! `cargo bench -p paf-compiler --bench components [-- --log2-ring 15 --runs 5]`
//!
//! All three evaluate the same polynomial of t in [−1, 1] in every slot, with primes of the same size. Each has a context
//! of just the levels that it takes, and starts at the top of it; keys are not counted. The parameters protect nothing.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use openfhe_reference as fhe;
use paf_circuit::{Circuit, Model};
use paf_compiler::emit;
use paf_ir::program::InputScaling;
use paf_ir::tensor::{BatchAxis, Graph, Op, Output, Shape, Tensor};
use paf_passes::approximate::component;
use paf_passes::optimize::optimize;
use paf_passes::pack::{PackOptions, Port, pack};
use paf_passes::paf::{Component, Paf};
use paf_passes::schedule::{Bootstraps, Magnitudes, ScheduleRequest, schedule};
use paf_scheme::{EngineProfile, Parameters};
use testkit::parties::{Parties, samples_of, set_up_openfhe};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// PAF and component, for every degree that the published composites have.
const COMPONENTS: [(&str, usize); 7] =
    [("alpha6", 0), ("alpha4", 0), ("alpha7", 0), ("alpha5", 0), ("alpha9", 0), ("alpha11", 2), ("alpha14", 2)];

/// Levels of the context in which levels are counted: more than any takes.
const MOST_LEVELS: u32 = 8;

/// Ring in which levels are counted.
const SMALL_RING: u32 = 1 << 11;

/// Compares sign components with OpenFHE's own evaluation
#[derive(Debug, Parser)]
struct Arguments {
    /// log2 of the ring dimension
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(11..=16))]
    log2_ring: u32,
    /// Runs of each; the median counts
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
}

/// What one way of evaluating a component takes.
#[derive(Debug, Clone, Copy)]
struct Measured {
    levels: u32,
    seconds: f64,
    error: f64,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if !arguments.bench {
        println!("a benchmark: run it with cargo bench");
        return Ok(());
    }
    set_up_openfhe();
    let ring = 1 << arguments.log2_ring;
    println!("N = {ring}, {} threads, levels / ms / largest error", fhe::threads());
    println!("{:>6}  {:>28}  {:>28}  {:>28}", "degree", "this compiler", "EvalPoly", "EvalChebyshevSeries");
    for (paf, index) in COMPONENTS {
        let component = Paf::by_name(paf)?.components()[index].clone();
        let points = points(ring as usize / 2);
        let (ours, parameters) = ours(&component, &points, arguments.runs)?;
        let stock = |call: Stock, coefficients: &[f64]| {
            measure_stock(call, coefficients, &component, &parameters, &points, arguments.runs).map(show)
        };
        let power = stock(fhe::evaluate_polynomial, &power_coefficients(&component));
        let series = stock(fhe::evaluate_chebyshev_series, &series_coefficients(&component));
        let or_failure = |measured: Result<String>| measured.unwrap_or_else(|_| "fails".into());
        println!("{:>6}  {:>28}  {:>28}  {:>28}", component.degree, show(ours), or_failure(power), or_failure(series));
    }
    Ok(())
}

fn show(measured: Measured) -> String {
    format!("{} / {:.1} / {:.1e}", measured.levels, 1e3 * measured.seconds, measured.error)
}

/// Evenly spread points of [−1, 1].
fn points(count: usize) -> Vec<f64> {
    (0..count).map(|k| 2.0 * k as f64 / (count - 1) as f64 - 1.0).collect()
}

/// The component as a polynomial of t = x/domain, by powers.
fn power_coefficients(component: &Component) -> Vec<f64> {
    let odd = component.odd_coefficients.iter().enumerate();
    let scaled = odd.map(|(k, a)| [0.0, a * component.domain.powi(2 * k as i32 + 1)]);
    scaled.flatten().collect()
}

/// The component as a Chebyshev series of t.
fn series_coefficients(component: &Component) -> Vec<f64> {
    component.chebyshev_odd.iter().flat_map(|c| [0.0, *c]).collect()
}

fn error(component: &Component, points: &[f64], values: &[f64]) -> f64 {
    let errors = points.iter().zip(values).map(|(t, value)| (component.eval(component.domain * t) - value).abs());
    errors.fold(0.0, f64::max)
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// The component alone as a circuit with test parameters.
fn circuit(component_of: &Component, slots: usize) -> Result<Circuit> {
    let mut graph = Graph::default();
    let shape = Shape(vec![slots]);
    let t = graph.input("t", shape.clone(), BatchAxis::Absent);
    let x = graph.add("x", Op::Scale(component_of.domain), &[t])?;
    let node = component(&mut graph, "component", component_of, x)?;
    graph.outputs = vec![Output { name: "y".into(), node }];
    let (optimized, _) = optimize(&graph)?;
    let port = || Port { name: "t".into(), shape: shape.clone() };
    let options = PackOptions {
        max_slots: slots,
        inputs: vec![(port(), InputScaling::shared(1.0, (-1.0, 1.0)))],
        outputs: vec![(port(), 1.0)],
        client: Default::default(),
        refreshed: false,
        prices: EngineProfile::openfhe().packing,
        sanitize: false,
    };
    let request = ScheduleRequest {
        insecure: true,
        bootstraps: Bootstraps::Never,
        ..ScheduleRequest::new(EngineProfile::openfhe())
    };
    let scheduled = schedule(&pack(&optimized, &options)?.program, &Magnitudes::unknown(), &request)?;
    let model = Model {
        name: "component".into(),
        source_sha256: [0; 32],
        compiler: env!("CARGO_PKG_VERSION").into(),
        pafs: vec![],
        notes: vec![],
        fidelity: None,
    };
    Ok(emit::circuit(model, &[], scheduled, None))
}

fn ours(component: &Component, points: &[f64], runs: usize) -> Result<(Measured, Parameters)> {
    let circuit = Arc::new(circuit(component, points.len())?);
    let samples = samples_of(&circuit, Tensor::new(Shape(vec![1, points.len()]), points.to_vec()));
    let parties = Parties::new(&circuit);
    let (mut seconds, mut values) = (Vec::with_capacity(runs), vec![]);
    for _ in 0..runs {
        let inputs = parties.client.encrypt(&parties.keys.public, &samples, 0)?;
        let start = Instant::now();
        let results = parties.server.evaluate(&parties.keys.evaluation, inputs, &mut |_| {})?;
        seconds.push(start.elapsed().as_secs_f64());
        values = parties.client.decrypt(&parties.keys.secret, 0, &results)?.ports.remove(0);
    }
    let levels = circuit.counts().levels;
    let measured = Measured { levels, seconds: median(seconds), error: error(component, points, &values) };
    Ok((measured, circuit.parameters.clone()))
}

type Stock = fn(&fhe::Ciphertext, &[f64]) -> std::result::Result<fhe::UniquePtr<fhe::Ciphertext>, fhe::Exception>;

/// Levels are counted in a small ring, time and error in a context of just these levels.
fn measure_stock(
    call: Stock,
    coefficients: &[f64],
    component: &Component,
    parameters: &Parameters,
    points: &[f64],
    runs: usize,
) -> Result<Measured> {
    let small = Parameters { ring_dimension: SMALL_RING as usize, ..parameters.clone() };
    let few: Vec<f64> = points.iter().copied().step_by(points.len().div_ceil(small.ring_dimension / 2)).collect();
    let (levels, ..) = run_stock(call, coefficients, component, &small, MOST_LEVELS, &few, 1)?;
    let (_, seconds, error) = run_stock(call, coefficients, component, parameters, levels, points, runs)?;
    Ok(Measured { levels, seconds, error })
}

fn run_stock(
    call: Stock,
    coefficients: &[f64],
    component: &Component,
    parameters: &Parameters,
    depth: u32,
    points: &[f64],
    runs: usize,
) -> Result<(u32, f64, f64)> {
    let slots = parameters.ring_dimension as u32 / 2;
    let context = fhe::create_context(&fhe::ContextParameters {
        ring_dimension: parameters.ring_dimension as u32,
        slots,
        multiplicative_depth: depth,
        scaling_mod_bits: parameters.scale_bits,
        first_mod_bits: parameters.first_modulus_bits,
        digits: (depth + 1).div_ceil((depth + 1).div_ceil(parameters.digits)),
        scaling_technique: fhe::ScalingTechnique::FlexibleAuto,
        secret_key_distribution: fhe::SecretKeyDistribution::UniformTernary,
        security_level: fhe::SecurityLevel::NotSet,
    })?;
    let keys = fhe::generate_key_pair(&context)?;
    fhe::generate_multiplication_key(&keys.secret_key)?;
    let plaintext = fhe::encode(&context, points, slots, 0, context.scaling_factors().unwrap()[0])?;
    let input = fhe::encrypt(&keys.public_key, &plaintext)?;
    let mut seconds = Vec::with_capacity(runs);
    let mut result = None;
    for _ in 0..runs {
        let start = Instant::now();
        result = Some(call(&input, coefficients)?);
        seconds.push(start.elapsed().as_secs_f64());
    }
    let result = result.ok_or("at least one run is needed")?;
    // A product that is not rescaled yet has its level to come.
    let levels = result.level() + result.noise_scale_degree() - 1;
    let values = fhe::decrypt(&keys.secret_key, &result, result.scaling_factor())?;
    fhe::clear_multiplication_keys().unwrap();
    fhe::release_contexts().unwrap();
    Ok((levels, median(seconds), error(component, points, &values)))
}
