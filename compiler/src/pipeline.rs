//! The pipeline: one named step a line.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use paf_circuit::{Circuit, Model};
use paf_ir::slots::SlotProgram;
use paf_ir::tensor::Graph;
use paf_passes::PassError;
use paf_passes::approximate::{self, Approximated, approximate};
use paf_passes::choose::Chosen;
use paf_passes::fold::fold;
use paf_passes::optimize::{self, RuleEffect, optimize};
use paf_passes::pack::{self, pack};
use paf_passes::paf::Paf;
use paf_passes::recover::{Recovered, Samples};
use paf_passes::schedule::{
    Alternative, Magnitudes, Request, Scheduled, expects_bootstraps, may_be_refreshed, schedule,
};
use paf_scheme::{MachineCosts, Work};
use sha2::{Digest, Sha256};

use crate::calibration::read_samples;
use crate::emit;
use crate::error::CompileError;
use crate::import::{ImportError, Imported, import};
use crate::options::{Options, Step};
use crate::pafs::PafRequest;
use crate::recovery::recovered;

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
    compile_with(options, last, None)
}

/// As [`compile_until`]; tells how the optimized network came about once it is there, also where a later step fails.
/// That takes as many more optimizations as there are rewrite rules.
///
/// # Errors
/// [`CompileError`] says which file, node or flag is at fault.
pub fn compile_explained(
    options: &Options,
    last: Step,
    tell: &mut dyn FnMut(&Explanation),
) -> Result<Reached, CompileError> {
    compile_with(options, last, Some(tell))
}

fn compile_with(
    options: &Options,
    last: Step,
    tell: Option<&mut dyn FnMut(&Explanation)>,
) -> Result<Reached, CompileError> {
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
    if let Some(tell) = tell {
        tell(&Explanation {
            rules: optimize::explain(&polynomial.graph)?.1,
            optimized: report.clone(),
            chosen: chosen.clone(),
        });
    }
    if last == Step::Optimize {
        return Ok(Reached::Tensor(optimized));
    }
    let request = request(options);
    let deep = expects_bootstraps(report.levels_after, &request);
    let packed = timer.step(Step::Pack, || Ok(pack(&optimized, &pack::options(&graph, &polynomial, deep))?))?;
    if last == Step::Pack {
        return Ok(Reached::Slots(packed.program));
    }
    let scheduled = timer.step(Step::Schedule, || {
        let refreshable = may_be_refreshed(report.levels_after, &request);
        let magnitudes = match refreshable {
            true => Magnitudes::of(&optimized, &packed, &polynomial, &samples)?,
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
    shallower.retain(|paf| approximate::least_depth(folded, paf, choice.reduction) <= available);
    shallower.sort_by(|a, b| a.max_relu_error().total_cmp(&b.max_relu_error()));
    let fitting = shallower.into_iter().find_map(|paf| {
        let other = approximate::Options { default_paf: paf.clone(), per_node: Recovered::default(), ..choice.clone() };
        let polynomial = approximate(folded, &other, samples).ok()?;
        let (optimized, _) = optimize(&polynomial.graph).ok()?;
        let slots = pack(&optimized, &pack::options(folded, &polynomial, false)).ok()?.program;
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
