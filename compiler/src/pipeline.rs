//! The pipeline: one named step a line.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use paf_circuit::{Circuit, Model};
use paf_ir::ckks::{MachineCosts, Work};
use paf_ir::slots::SlotProgram;
use paf_ir::tensor::{Graph, Output, PostProcess, Shape};
use paf_passes::PassError;
use paf_passes::approximate::{self, Approximated, approximate};
use paf_passes::choose::Chosen;
use paf_passes::fold::fold;
use paf_passes::optimize::{self, RuleEffect, optimize};
use paf_passes::pack::{self, Packed, Port, pack};
use paf_passes::paf::Paf;
use paf_passes::recover::{Recovered, Samples};
use paf_passes::schedule::{
    Alternative, Magnitudes, Request, Scheduled, drawn_samples, expects_bootstraps, magnitudes, may_be_refreshed,
    schedule,
};
use sha2::{Digest, Sha256};

use crate::calibration::read_samples;
use crate::emit;
use crate::error::CompileError;
use crate::import::{ImportError, Imported, import};
use crate::options::{Options, Step};
use crate::pafs::PafRequest;
use crate::recovery::recovered;

/// Most slots of a ciphertext: half of the largest ring dimension.
const MAX_SLOTS: usize = 1 << 15;

/// A compiled model and what happened on the way.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// The circuit.
    pub circuit: Circuit,
    /// What the optimizer did.
    pub optimized: optimize::Report,
    /// Whether no faster set of bootstraps exists for the parameters, by the cost model.
    pub bootstraps_optimal: bool,
    /// The fastest plan for each number of levels between bootstraps.
    pub alternatives: Vec<Alternative>,
    /// What `--paf auto` chose.
    pub chosen: Option<Chosen>,
    /// Time of each step.
    pub timings: Vec<(Step, Duration)>,
}

/// The IR a compilation has reached.
#[derive(Debug, Clone)]
pub enum Reached {
    /// Up to `optimize`.
    Tensor(Graph),
    /// After `pack`.
    Slots(SlotProgram),
    /// After `schedule` and `emit`.
    Circuit(Box<Compiled>),
}

/// Compiles a model.
///
/// # Errors
/// [`CompileError`] says which file, node or flag is at fault.
pub fn compile(options: &Options) -> Result<Compiled, CompileError> {
    match compile_until(options, Step::Emit)? {
        Reached::Circuit(compiled) => Ok(*compiled),
        _ => unreachable!("the last step gives a circuit"),
    }
}

/// Compiles a model up to and including a step.
///
/// # Errors
/// [`CompileError`] says which file, node or flag is at fault.
pub fn compile_until(options: &Options, last: Step) -> Result<Reached, CompileError> {
    let mut pafs = PafRequest::new(options)?;
    let mut timer = Timer::default();
    let Imported { graph, warnings } =
        timer.step(Step::Import, || import(&options.model).map_err(CompileError::from))?;
    if last == Step::Import {
        return Ok(Reached::Tensor(graph));
    }
    let (graph, samples) = timer.step(Step::Recover, || recover(options, graph, &mut pafs))?;
    if last == Step::Recover {
        return Ok(Reached::Tensor(graph));
    }
    let folded = timer.step(Step::Fold, || fold(&graph).map_err(CompileError::from))?;
    if last == Step::Fold {
        return Ok(Reached::Tensor(folded));
    }
    let (polynomial, chosen) = timer.step(Step::Approximate, || Ok(pafs.approximate(&folded, &samples)?))?;
    if last == Step::Approximate {
        return Ok(Reached::Tensor(polynomial.graph));
    }
    let (optimized, report) = timer.step(Step::Optimize, || Ok(optimize(&polynomial.graph)?))?;
    if last == Step::Optimize {
        return Ok(Reached::Tensor(optimized));
    }
    let request = request(options);
    let deep = expects_bootstraps(report.levels_after, &request);
    let packed = timer.step(Step::Pack, || Ok(pack(&optimized, &ports(&graph, &polynomial, deep))?))?;
    if last == Step::Pack {
        return Ok(Reached::Slots(packed.program));
    }
    let scheduled = timer.step(Step::Schedule, || {
        let refreshable = may_be_refreshed(report.levels_after, &request);
        let magnitudes = match refreshable {
            true => magnitudes_of(&optimized, &packed, &polynomial, &samples)?,
            false => Magnitudes::unknown(),
        };
        schedule(&packed.program, &magnitudes, &request)
            .map_err(|error| with_fitting_paf(error, &folded, &pafs.options, &samples, &request))
    })?;
    let (bootstraps_optimal, alternatives) = (scheduled.optimal, scheduled.alternatives.clone());
    let circuit = timer.step(Step::Emit, || emit_circuit(options, &polynomial, scheduled, warnings))?;
    Ok(Reached::Circuit(Box::new(Compiled {
        circuit,
        optimized: report,
        chosen,
        bootstraps_optimal,
        alternatives,
        timings: timer.timings,
    })))
}

/// How a circuit came about.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// What the optimizer did.
    pub optimized: optimize::Report,
    /// What each rewrite rule did.
    pub rules: Vec<RuleEffect>,
    /// What `--paf auto` chose.
    pub chosen: Option<Chosen>,
}

/// Which PAFs were chosen and what each rewrite rule does for a model; takes as many optimizations as there are rules.
///
/// # Errors
/// [`CompileError`] says which file, node or flag is at fault.
pub fn explain(options: &Options) -> Result<Explanation, CompileError> {
    let mut pafs = PafRequest::new(options)?;
    let (graph, samples) = recover(options, import(&options.model)?.graph, &mut pafs)?;
    let (polynomial, chosen) = pafs.approximate(&fold(&graph)?, &samples)?;
    let (optimized, rules) = optimize::explain(&polynomial.graph)?;
    Ok(Explanation { optimized, rules, chosen })
}

#[derive(Default)]
struct Timer {
    timings: Vec<(Step, Duration)>,
}

impl Timer {
    fn step<T>(&mut self, step: Step, run: impl FnOnce() -> Result<T, CompileError>) -> Result<T, CompileError> {
        let start = Instant::now();
        let result = run()?;
        self.timings.push((step, start.elapsed()));
        Ok(result)
    }
}

/// The graph with recovered weights, and calibration samples; what was decided for nodes goes to `pafs`.
fn recover(options: &Options, graph: Graph, pafs: &mut PafRequest) -> Result<(Graph, Samples), CompileError> {
    let (graph, recovered) = recovered(options, graph)?;
    pafs.decide(recovered);
    let samples = samples(options, &graph)?;
    Ok((graph, samples))
}

fn samples(options: &Options, graph: &Graph) -> Result<Samples, CompileError> {
    let files: Vec<&Path> = options.calibration.iter().chain(&options.more_calibration).map(PathBuf::as_path).collect();
    if files.is_empty() { Ok(vec![]) } else { read_samples(&files, graph) }
}

fn request(options: &Options) -> Request {
    Request {
        precision_bits: options.precision_bits,
        memory: options.memory,
        insecure: options.insecure,
        bootstraps: options.bootstraps,
        iterations: options.bootstrap_iterations,
        slowness: options.machine.as_ref().map_or(Work::ONES, MachineCosts::slowness),
    }
}

/// The shape of one sample: without the batch axis.
pub fn sample_shape(shape: &Shape, has_batch_axis: bool) -> Shape {
    Shape(shape.0[usize::from(has_batch_axis && !shape.0.is_empty())..].to_vec())
}

/// Magnitudes on calibration samples, or on inputs drawn from their ranges.
fn magnitudes_of(
    optimized: &Graph,
    packed: &Packed,
    polynomial: &Approximated,
    samples: &Samples,
) -> Result<Magnitudes, CompileError> {
    let sizes = optimized.inputs.iter().map(|input| optimized.node(input.0).shape.size());
    let inputs: Vec<(usize, (f64, f64))> = sizes.zip(polynomial.inputs.iter().map(|input| input.1)).collect();
    let drawn = if samples.is_empty() { drawn_samples(&inputs) } else { vec![] };
    let scaled = |sample: &Vec<Vec<f64>>| -> Vec<Vec<f64>> {
        let inputs = sample.iter().zip(&polynomial.inputs);
        inputs.map(|(x, (scale, _))| x.iter().map(|x| x * scale).collect()).collect()
    };
    let scaled: Vec<_> = samples.iter().chain(&drawn).map(scaled).collect();
    Ok(magnitudes(optimized, &packed.values, &scaled)?)
}

fn ports(graph: &Graph, polynomial: &Approximated, refreshed: bool) -> pack::Options {
    let inputs = graph.inputs.iter().zip(&polynomial.inputs).map(|((id, batch), (scale, range))| Port {
        name: graph.node(*id).name.clone(),
        shape: sample_shape(&graph.node(*id).shape, *batch),
        scale: *scale,
        range: *range,
        post: PostProcess::None,
    });
    let batched = graph.inputs.iter().any(|input| input.1);
    let outputs = graph.outputs.iter().zip(&polynomial.output_scales).map(|(output, scale)| {
        let shape = &graph.node(output.node).shape;
        let batched = batched && shape.0.first() == Some(&1) && shape.0.len() > 1;
        Port {
            name: output.name.clone(),
            shape: sample_shape(shape, batched),
            scale: *scale,
            range: (0.0, 0.0),
            post: post_of_sample(output, batched),
        }
    });
    pack::Options { max_slots: MAX_SLOTS, inputs: inputs.collect(), outputs: outputs.collect(), refreshed }
}

/// Post-processing with its axis counted without the batch axis.
fn post_of_sample(output: &Output, batched: bool) -> PostProcess {
    let without = |axis: usize| axis.saturating_sub(usize::from(batched));
    match output.post {
        PostProcess::None => PostProcess::None,
        PostProcess::Softmax { axis } => PostProcess::Softmax { axis: without(axis) },
        PostProcess::LogSoftmax { axis } => PostProcess::LogSoftmax { axis: without(axis) },
        PostProcess::ArgMax { axis, keep_axis } => PostProcess::ArgMax { axis: without(axis), keep_axis },
    }
}

/// Names the most accurate PAF with which a network that is too deep would fit: the first one whose least depth is
/// small enough and whose circuit then has parameters indeed.
fn with_fitting_paf(
    error: PassError,
    folded: &Graph,
    choice: &approximate::Options,
    samples: &Samples,
    request: &Request,
) -> CompileError {
    let PassError::TooDeep { needed, available, .. } = error else { return error.into() };
    let mut shallower: Vec<Paf> = Paf::names().into_iter().filter_map(|name| Paf::by_name(name).ok()).collect();
    shallower.retain(|paf| approximate::least_depth(folded, paf) <= available);
    shallower.sort_by(|a, b| a.max_relu_error().total_cmp(&b.max_relu_error()));
    let fitting = shallower.into_iter().find_map(|paf| {
        let other = approximate::Options { default_paf: paf.clone(), per_node: Recovered::default(), ..choice.clone() };
        let polynomial = approximate(folded, &other, samples).ok()?;
        let (optimized, _) = optimize(&polynomial.graph).ok()?;
        let slots = pack(&optimized, &ports(folded, &polynomial, false)).ok()?.program;
        let scheduled = schedule(&slots, &Magnitudes::unknown(), request).ok()?;
        Some((paf.name, scheduled.program.top_level().0))
    });
    PassError::TooDeep { needed, available, fitting }.into()
}

fn emit_circuit(
    options: &Options,
    polynomial: &Approximated,
    scheduled: Scheduled,
    mut notes: Vec<String>,
) -> Result<Circuit, CompileError> {
    let bytes =
        std::fs::read(&options.model).map_err(|source| ImportError::Read { path: options.model.clone(), source })?;
    if options.calibration.is_none() {
        notes.push(format!(
            "scales come from interval bounds for inputs in [{}, {}]; --calibration gives smaller ones and less error",
            options.input_range.0, options.input_range.1
        ));
    }
    let name = options.model.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let model = Model {
        name,
        source_sha256: Sha256::digest(&bytes).into(),
        compiler: env!("CARGO_PKG_VERSION").to_owned(),
        pafs: vec![],
        notes,
    };
    Ok(emit::circuit(model, &polynomial.replaced, scheduled, options.machine.as_ref()))
}
