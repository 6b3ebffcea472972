//! The pipeline: a model on its way to a circuit, step by step.

use std::time::{Duration, Instant};

use clap::ValueEnum as _;
use paf_adapt::Listener;
use paf_adapt::events::unheard;
use paf_circuit::Circuit;
use paf_import::{Imported, ModelSource, import_source_with};
use paf_passes::PassError;
use paf_passes::choose::Chosen;
use paf_passes::lower::{LowerOptions, Lowering};
use paf_passes::optimize::{self, RuleEffect};
use paf_passes::pack::check_sizes;
use paf_passes::schedule::{Alternative, DEFAULT_PRECISION};

use crate::emit;
use crate::error::CompileError;
use crate::fidelity::FidelityChoice;
use crate::importing::import_options;
use crate::lowering::lower_options;
use crate::memory;
use crate::options::{CompileOptions, ModelInput, PipelineStep};
use crate::precision;
use crate::recovery::recovered;

/// How often a network is scheduled for more bits.
const MOST_SCHEDULES: usize = 4;

/// Most bits that a schedule is asked for at once.
const MOST_MISSING: f64 = 40.0;

/// A model on its way to a circuit: a field a stage, a method a step. A step first takes those before it that are missing,
/// and none is taken twice; what a stage holds can be looked into at any time.
///
/// ```no_run
/// use paf_compiler::options::{CompileOptions, PipelineStep};
/// use paf_compiler::pipeline::Compilation;
///
/// let mut compilation = Compilation::new(CompileOptions::for_model("model.onnx"))?;
/// compilation.run(PipelineStep::Optimize)?;
/// let optimized = compilation.lowering.as_ref().and_then(|lowering| lowering.optimized.as_ref());
/// println!("{} levels", optimized.map_or(0, |optimized| optimized.report.levels_after));
/// # Ok::<(), paf_compiler::error::CompileError>(())
/// ```
#[derive(Debug)]
pub struct Compilation {
    options: CompileOptions,
    lower: LowerOptions,
    /// The bytes that are compiled; after [`Compilation::import`].
    pub source: Option<ModelSource>,
    /// After [`Compilation::import`].
    pub imported: Option<Imported>,
    /// After [`Compilation::recover`], with the stages of the passes.
    pub lowering: Option<Lowering>,
    /// After [`Compilation::recover`]: the choice of PAFs that a compilation without any makes, or why it makes none.
    pub choice: Option<FidelityChoice>,
    /// After [`Compilation::emit`].
    pub circuit: Option<Circuit>,
    /// Bytes that the compilation takes at its peak, as they were estimated; after [`Compilation::recover`] begins.
    pub memory: u64,
    /// Time of each step that was taken.
    pub timings: Vec<(PipelineStep, Duration)>,
}

impl Compilation {
    /// Before the first step.
    ///
    /// # Errors
    /// [`CompileError::Options`] for options that do not go together.
    pub fn new(options: CompileOptions) -> Result<Self, CompileError> {
        let lower = lower_options(&options)?;
        Ok(Compilation {
            options,
            lower,
            source: None,
            imported: None,
            lowering: None,
            choice: None,
            circuit: None,
            memory: 0,
            timings: vec![],
        })
    }

    /// Takes all steps up to one.
    ///
    /// # Errors
    /// [`CompileError`] says which file, node or option is at fault.
    pub fn run(&mut self, last: PipelineStep) -> Result<(), CompileError> {
        match last {
            PipelineStep::Import => self.import().map(drop),
            PipelineStep::Recover => self.recover().map(drop),
            PipelineStep::Emit => self.emit().map(drop),
            pass => self.lower(pass),
        }
    }

    /// ONNX to the tensor graph.
    ///
    /// # Errors
    /// [`CompileError::Import`].
    pub fn import(&mut self) -> Result<&Imported, CompileError> {
        if self.imported.is_none() {
            let start = Instant::now();
            let source = match &self.options.model {
                ModelInput::File(path) => ModelSource::read(path)?,
                ModelInput::Source(source) => source.clone(),
            };
            self.imported = Some(import_source_with(&source, &import_options(&self.options))?);
            self.source = Some(source);
            self.timings.push((PipelineStep::Import, start.elapsed()));
        }
        Ok(reached(&self.imported))
    }

    /// Other weights, and what was decided for nodes.
    ///
    /// # Errors
    /// [`CompileError::Memory`], [`CompileError::Recovery`], [`CompileError::Calibration`], and those of the steps before.
    pub fn recover(&mut self) -> Result<&Lowering, CompileError> {
        self.recover_with(&mut unheard)
    }

    /// As [`Compilation::recover`]; the listener hears of search, training and external commands, and can stop them.
    ///
    /// # Errors
    /// As [`Compilation::recover`]; [`paf_adapt::RecoveryError::Stopped`] in it where the listener stops it.
    pub fn recover_with(&mut self, listener: &mut Listener<'_>) -> Result<&Lowering, CompileError> {
        if self.lowering.is_none() {
            self.import()?;
            let start = Instant::now();
            let model = (reached(&self.source), &reached(&self.imported).graph);
            check_sizes(model.1, self.options.profile.chain.most_slots())?;
            self.memory = memory::checked(&self.options, &self.lower, model.1)?;
            let recovered = recovered(&self.options, &self.lower, model, listener)?;
            (self.lowering, self.choice) = (Some(recovered.lowering), recovered.choice);
            self.timings.push((PipelineStep::Recover, start.elapsed()));
        }
        Ok(reached(&self.lowering))
    }

    /// The passes up to one of them.
    fn lower(&mut self, last: PipelineStep) -> Result<(), CompileError> {
        self.recover()?;
        let lowering = self.lowering.as_mut().expect("the network was recovered");
        for &step in PipelineStep::value_variants().iter().filter(|step| **step <= last) {
            let is_taken = self.timings.iter().any(|(taken, _)| *taken == step);
            let Some(run) = pass(step).filter(|_| !is_taken) else { continue };
            let start = Instant::now();
            run(lowering).map_err(|error| lowering.with_remedy(error))?;
            self.timings.push((step, start.elapsed()));
        }
        Ok(())
    }

    /// The circuit. Where the noise model sees fewer bits of its results than are wanted, it is scheduled for more.
    ///
    /// # Errors
    /// Those of the steps before; [`PassError::TooImprecise`] where the precision that is asked for cannot be kept.
    pub fn emit(&mut self) -> Result<&Circuit, CompileError> {
        if self.circuit.is_none() {
            self.lower(PipelineStep::Schedule)?;
            let start = Instant::now();
            let samples = reached(&self.lowering).few_samples();
            for schedule in 1..=MOST_SCHEDULES {
                let mut circuit = self.assembled();
                let bits = precision::predicted(&circuit, &samples)?;
                circuit.prediction.precision_bits = bits;
                let is_better = self.circuit.as_ref().is_none_or(|best| best.prediction.precision_bits < bits);
                let missing = self.wanted_bits(&circuit) - bits;
                if is_better {
                    self.circuit = Some(circuit);
                }
                let lowering = self.lowering.as_mut().expect("the network was lowered");
                // Not a number, or without end, where nothing could be decrypted.
                let is_last = missing <= 0.0 || schedule == MOST_SCHEDULES;
                if is_last || lowering.reschedule(missing.clamp(0.0, MOST_MISSING)).is_err() {
                    break;
                }
            }
            self.check_precision()?;
            self.timings.push((PipelineStep::Emit, start.elapsed()));
        }
        Ok(reached(&self.circuit))
    }

    /// The circuit of the schedule that there is.
    fn assembled(&self) -> Circuit {
        let (source, imported, lowering) = (reached(&self.source), reached(&self.imported), reached(&self.lowering));
        let (approximated, scheduled) = (&reached(&lowering.polynomial).approximated, reached(&lowering.scheduled));
        let mut notes = imported.warnings.clone();
        notes.extend(emit::note_of_bounds(lowering, approximated));
        notes.extend(emit::note_of_few(lowering.samples().len()));
        let fidelity = self.choice.as_ref().and_then(FidelityChoice::measured);
        notes.extend(self.choice.as_ref().and_then(|choice| choice.note(&self.options)));
        let (model, machine) = (emit::model(source, notes, fidelity), self.options.machine.as_ref());
        emit::circuit(model, &approximated.replaced, scheduled.clone(), machine)
    }

    /// Bits that a result must have: what is asked for, or without bootstraps what is enough for most networks.
    fn wanted_bits(&self, circuit: &Circuit) -> f64 {
        let usual = if circuit.parameters.bootstrap.is_none() { DEFAULT_PRECISION } else { 0.0 };
        self.options.precision.unwrap_or(usual)
    }

    fn check_precision(&self) -> Result<(), CompileError> {
        let best = reached(&self.circuit).prediction.precision_bits;
        match self.options.precision {
            Some(wanted) if best < wanted => {
                let best = (10.0 * best).floor() / 10.0;
                Err(PassError::TooImprecise { wanted, best: Some(best).filter(|&best| best >= 1.0) }.into())
            }
            _ => Ok(()),
        }
    }

    /// What each rewrite rule did for the optimized network, once it is there. That takes as many more optimizations as there
    /// are rules.
    ///
    /// # Errors
    /// As [`optimize::explain`].
    pub fn rule_effects(&self) -> Result<Vec<RuleEffect>, CompileError> {
        match self.lowering.as_ref().and_then(|lowering| lowering.polynomial.as_ref()) {
            Some(polynomial) => Ok(optimize::explain(&polynomial.approximated.graph)?.1),
            None => Ok(vec![]),
        }
    }

    /// The circuit and what happened on the way.
    ///
    /// # Errors
    /// Those of all steps.
    pub fn finish(mut self) -> Result<Compiled, CompileError> {
        self.emit()?;
        let lowering = self.lowering.expect("the circuit was lowered");
        let scheduled = lowering.scheduled.expect("the circuit was scheduled");
        Ok(Compiled {
            circuit: self.circuit.expect("the circuit was emitted"),
            optimized: lowering.optimized.expect("the circuit was optimized").report,
            bootstraps_optimal: scheduled.optimal,
            alternatives: scheduled.alternatives,
            chosen: lowering.polynomial.and_then(|polynomial| polynomial.chosen),
            memory: self.memory,
            timings: self.timings,
        })
    }
}

/// The pass that a step takes, where it is one.
fn pass(step: PipelineStep) -> Option<Pass> {
    match step {
        PipelineStep::Import | PipelineStep::Recover | PipelineStep::Emit => None,
        PipelineStep::Fold => Some(|network| network.fold().map(drop)),
        PipelineStep::Approximate => Some(|network| network.approximate().map(drop)),
        PipelineStep::Optimize => Some(|network| network.optimize().map(drop)),
        PipelineStep::Pack => Some(|network| network.pack().map(drop)),
        PipelineStep::Schedule => Some(|network| network.schedule().map(drop)),
    }
}

type Pass = fn(&mut Lowering) -> Result<(), PassError>;

/// A stage that the steps before have reached.
fn reached<T>(stage: &Option<T>) -> &T {
    stage.as_ref().expect("the steps before were taken")
}

/// A compiled model and what happened on the way.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// The circuit.
    pub circuit: Circuit,
    /// What the optimizer did.
    pub optimized: optimize::RewriteReport,
    /// Whether no faster set of bootstraps exists for the parameters, by the cost model.
    pub bootstraps_optimal: bool,
    /// The fastest plan for each number of levels between bootstraps.
    pub alternatives: Vec<Alternative>,
    /// Which PAFs were chosen, if a choice was asked for.
    pub chosen: Option<Chosen>,
    /// Bytes that the compilation took at its peak, as they were estimated.
    pub memory: u64,
    /// Time of each step.
    pub timings: Vec<(PipelineStep, Duration)>,
}

/// Compiles a model.
///
/// # Errors
/// [`CompileError`] says which file, node or option is at fault.
pub fn compile(options: &CompileOptions) -> Result<Compiled, CompileError> {
    Compilation::new(options.clone())?.finish()
}
