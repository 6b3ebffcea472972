//! The way down: a network becomes a schedule, with every option that decides its circuit.
//!
//! Whoever asks what becomes of a network goes this way: the compilation, its words about a PAF that would fit, and the
//! search for PAFs. So what one of them counts is what another one compiles.

use std::collections::BTreeMap;
use std::sync::Arc;

use paf_ir::tensor::{BatchAxis, Graph, NodeId, Op};
use paf_scheme::EngineProfile;

use crate::approximate::{
    Approximated, ApproximationOptions, Reduction, approximate, least_depth, levels_with, levels_without_paf,
};
use crate::choose::{Chosen, Goal, choose};
use crate::coefficients::Coefficients;
use crate::decisions::{CalibrationSamples, Decisions, a_few};
use crate::error::PassError;
use crate::idle::without_idle_relus;
use crate::optimize::{self, optimize};
use crate::pack::{self, Packed, pack};
use crate::paf::Paf;
use crate::quadratics::folded;
use crate::schedule::{self, Magnitudes, ScheduleRequest, Scheduled, may_be_refreshed, schedule};
use crate::units::within_units;

/// How often a smaller precision is asked for until one can be kept.
const MOST_REQUESTS: usize = 4;

/// Everything that decides what becomes of a network, but for its samples.
#[derive(Debug, Clone)]
pub struct LowerOptions {
    /// What ReLU, MaxPool and smooth functions are approximated with.
    pub approximation: ApproximationOptions,
    /// What a choice of PAFs aims for, for nodes that have none of their own; without it they get the default one.
    pub goal: Option<Goal>,
    /// Which parameters and bootstraps to consider.
    pub schedule: ScheduleRequest,
    /// Whether results must hold nothing but the outputs: see [`PackOptions::sanitize`](crate::pack::PackOptions::sanitize).
    pub sanitize: bool,
}

impl LowerOptions {
    /// The defaults of a compilation for an engine, with this PAF for every node.
    pub fn new(default_paf: Paf, profile: &'static EngineProfile) -> Self {
        LowerOptions {
            approximation: ApproximationOptions::new(default_paf),
            goal: None,
            schedule: ScheduleRequest::new(profile),
            sanitize: false,
        }
    }
}

/// The polynomial network, and the choice that was made for it.
#[derive(Debug, Clone)]
pub struct Polynomial {
    /// The network and what was decided for its nodes.
    pub approximated: Approximated,
    /// Which PAFs were chosen, if a choice was asked for.
    pub chosen: Option<Chosen>,
}

/// The network of least depth.
#[derive(Debug, Clone)]
pub struct Optimized {
    /// The network.
    pub graph: Graph,
    /// What the optimizer did.
    pub report: optimize::RewriteReport,
}

/// A network on its way down: a field a stage, a method a step. A step first takes those before it that are missing, and
/// none is taken twice.
#[derive(Debug, Clone)]
pub struct Lowering {
    graph: Graph,
    samples: Arc<CalibrationSamples>,
    options: LowerOptions,
    /// Bits that noise takes beyond what the schedule reckons with.
    more_lost_bits: f64,
    /// After [`Lowering::fold`].
    pub folded: Option<Graph>,
    /// After [`Lowering::approximate`].
    pub polynomial: Option<Polynomial>,
    /// After [`Lowering::optimize`].
    pub optimized: Option<Optimized>,
    /// After [`Lowering::pack`].
    pub packed: Option<Packed>,
    /// After [`Lowering::schedule`].
    pub scheduled: Option<Scheduled>,
}

impl Lowering {
    /// An imported network and its samples, none for interval bounds.
    pub fn new(graph: Graph, samples: impl Into<Arc<CalibrationSamples>>, options: LowerOptions) -> Self {
        Lowering {
            graph,
            samples: samples.into(),
            options,
            more_lost_bits: 0.0,
            folded: None,
            polynomial: None,
            optimized: None,
            packed: None,
            scheduled: None,
        }
    }

    /// The network as it was imported.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The samples that it is calibrated on.
    pub fn samples(&self) -> &CalibrationSamples {
        &self.samples
    }

    /// How it is lowered.
    pub fn options(&self) -> &LowerOptions {
        &self.options
    }

    /// ReLUs that do nothing go, linear operations melt into each other, and quadratic polynomials become squares.
    ///
    /// # Errors
    /// [`PassError::Ir`] for a graph that was not verified, or a sample that does not fit it.
    pub fn fold(&mut self) -> Result<&Graph, PassError> {
        if self.folded.is_none() {
            let busy = without_idle_relus(&self.graph, &self.samples, &self.options.approximation)?;
            self.folded = Some(folded(&busy, || self.few_samples())?);
        }
        Ok(reached(&self.folded))
    }

    /// ReLU, MaxPool and smooth functions become polynomials.
    ///
    /// # Errors
    /// As [`approximate`] and [`choose`].
    pub fn approximate(&mut self) -> Result<&Polynomial, PassError> {
        if self.polynomial.is_none() {
            self.fold()?;
            let (folded, options, samples) = (reached(&self.folded), &self.approximation(), &self.samples);
            let (approximated, chosen) = match self.options.goal {
                Some(goal) => {
                    choose(folded, options, samples, goal).map(|(network, chosen)| (network, Some(chosen)))?
                }
                None => (approximate(folded, options, samples)?, None),
            };
            self.polynomial = Some(Polynomial { approximated, chosen });
        }
        Ok(reached(&self.polynomial))
    }

    /// How the folded network is approximated: nothing is decided for ReLUs that are gone.
    fn approximation(&self) -> ApproximationOptions {
        let has = |graph: &Graph, name: &str| graph.nodes().any(|(_, node)| node.op == Op::Relu && node.name == name);
        let is_gone = |name: &str| has(&self.graph, name) && !has(reached(&self.folded), name);
        let options = &self.options.approximation;
        ApproximationOptions { per_node: options.per_node.clone().without(is_gone), ..options.clone() }
    }

    /// A few inputs of the network, in the model's own units: samples, or drawn where there are none.
    pub fn few_samples(&self) -> CalibrationSamples {
        let ApproximationOptions { per_node, input_range, .. } = &self.options.approximation;
        let input = |&(id, _): &(NodeId, BatchAxis)| {
            let node = self.graph.node(id);
            (node.shape.size(), per_node.ranges.get(&node.name).copied().unwrap_or(*input_range))
        };
        let inputs: Vec<(usize, (f64, f64))> = self.graph.inputs.iter().map(input).collect();
        let sizes = |sample: &Vec<Vec<f64>>| sample.iter().map(Vec::len).eq(inputs.iter().map(|input| input.0));
        let fit = self.samples.iter().all(sizes);
        a_few(if fit { &self.samples } else { const { &vec![] } }, &inputs)
    }

    /// Least multiplicative depth, and values that bootstraps can take.
    ///
    /// # Errors
    /// As [`optimize()`].
    pub fn optimize(&mut self) -> Result<&Optimized, PassError> {
        if self.optimized.is_none() {
            let (graph, report) = optimize(&self.approximate()?.approximated.graph)?;
            let graph = if self.wants_units(report.levels_after) { self.within_units(&graph)? } else { graph };
            self.optimized = Some(Optimized { graph, report });
        }
        Ok(reached(&self.optimized))
    }

    /// Whether a network of so many levels may be refreshed and has values that no PAF has brought to 1: products of its own.
    fn wants_units(&self, levels: u32) -> bool {
        let has_products = reached(&self.folded).nodes().any(|(_, node)| node.op == Op::Mul);
        has_products && may_be_refreshed(levels, &self.options.schedule)
    }

    fn within_units(&self, optimized: &Graph) -> Result<Graph, PassError> {
        let reach = schedule::reach(optimized, &reached(&self.polynomial).approximated, &self.samples)?;
        within_units(optimized, &reach)
    }

    /// Tensors to slots.
    ///
    /// # Errors
    /// As [`pack()`].
    pub fn pack(&mut self) -> Result<&Packed, PassError> {
        if self.packed.is_none() {
            self.optimize()?;
            let (polynomial, optimized) = (reached(&self.polynomial), reached(&self.optimized));
            let (levels, request) = (optimized.report.levels_after, &self.options.schedule);
            let options = pack::options(&self.graph, &polynomial.approximated, levels, request);
            let options = pack::PackOptions { sanitize: self.options.sanitize, ..options };
            self.packed = Some(pack(&optimized.graph, &options)?);
        }
        Ok(reached(&self.packed))
    }

    /// Levels, bootstraps and parameters.
    ///
    /// # Errors
    /// As [`schedule()`].
    pub fn schedule(&mut self) -> Result<&Scheduled, PassError> {
        if self.scheduled.is_none() {
            self.pack()?;
            let approximated = &reached(&self.polynomial).approximated;
            let lost_bits = approximated.lost_bits + self.more_lost_bits;
            let least_bits = approximated.least_bits;
            let request = ScheduleRequest { lost_bits, least_bits, ..self.options.schedule };
            let scheduled = schedule(&reached(&self.packed).program, &self.magnitudes()?, &request)?;
            self.scheduled = Some(scheduled);
        }
        Ok(reached(&self.scheduled))
    }

    /// A schedule of the same program for a network that is seen to lose more bits than was reckoned with.
    ///
    /// # Errors
    /// As [`schedule()`]; then what was scheduled stays.
    pub fn reschedule(&mut self, more_lost_bits: f64) -> Result<&Scheduled, PassError> {
        let before = (self.more_lost_bits, self.scheduled.take());
        self.more_lost_bits += more_lost_bits;
        match self.schedule() {
            Ok(_) => Ok(reached(&self.scheduled)),
            Err(error) => {
                (self.more_lost_bits, self.scheduled) = before;
                Err(error)
            }
        }
    }

    /// How large the packed values are, where that matters.
    fn magnitudes(&self) -> Result<Magnitudes, PassError> {
        let Optimized { graph, report } = reached(&self.optimized);
        if !may_be_refreshed(report.levels_after, &self.options.schedule) {
            return Ok(Magnitudes::unknown());
        }
        Magnitudes::of(graph, reached(&self.packed), &reached(&self.polynomial).approximated, &self.samples)
    }

    /// The error of a step with what would work instead, as far as that takes another way down to find.
    pub fn with_remedy(&self, error: PassError) -> PassError {
        match error {
            PassError::TooDeep { needed, available, .. } => {
                let (fitting, deepest) = (self.fitting_paf(available), self.deepest_path());
                PassError::TooDeep { needed, available, fitting, deepest }
            }
            PassError::TooImprecise { wanted, best } => {
                PassError::TooImprecise { wanted, best: best.and_then(|best| self.kept_precision(best)) }
            }
            other => other,
        }
    }

    /// What the deepest path of the folded network takes levels for, and how often, the most frequent first.
    fn deepest_path(&self) -> Vec<(&'static str, usize)> {
        let (Some(folded), ApproximationOptions { default_paf, reduction, .. }) =
            (&self.folded, &self.options.approximation)
        else {
            return vec![];
        };
        let mut depths: Vec<u32> = Vec::with_capacity(folded.len());
        let deepest = |depths: &[u32], nodes: &[NodeId]| nodes.iter().copied().max_by_key(|node| depths[node.index()]);
        for (_, node) in folded.nodes() {
            let before = deepest(&depths, &node.inputs).map_or(0, |operand| depths[operand.index()]);
            depths.push(before + least_levels(&node.op, default_paf, *reduction));
        }
        let outputs: Vec<NodeId> = folded.outputs.iter().map(|output| output.node).collect();
        let mut counts: BTreeMap<&'static str, usize> = BTreeMap::new();
        let mut place = deepest(&depths, &outputs);
        while let Some(id) = place {
            let node = folded.node(id);
            if least_levels(&node.op, default_paf, *reduction) > 0 {
                *counts.entry(kind(&node.op)).or_default() += 1;
            }
            place = deepest(&depths, &node.inputs);
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        counts
    }

    /// The most bits that can be kept, as far as asking for them shows: packing follows what is asked for, so the most of
    /// one request may be too much for the next.
    fn kept_precision(&self, mut bits: f64) -> Option<f64> {
        for _ in 0..MOST_REQUESTS {
            match self.with_precision(bits).schedule() {
                Ok(_) => return Some(bits),
                Err(PassError::TooImprecise { best: Some(best), .. }) if best < bits => bits = best,
                Err(_) => return None,
            }
        }
        None
    }

    /// The same network before it is packed, with another precision to keep.
    fn with_precision(&self, bits: f64) -> Self {
        let mut options = self.options.clone();
        options.schedule.precision = Some(bits);
        Lowering { options, packed: None, scheduled: None, ..self.clone() }
    }

    /// The same network before it is approximated, with another error of smooth functions.
    #[must_use]
    pub fn with_function_error(&self, function_error: f64) -> Self {
        let mut options = self.options.clone();
        options.approximation.function_error = function_error;
        Lowering { options, polynomial: None, optimized: None, packed: None, scheduled: None, ..self.clone() }
    }

    /// The most accurate PAF with which a network that is too deep would fit, and the levels it then has: the first one
    /// whose least depth is small enough and whose circuit has parameters indeed.
    fn fitting_paf(&self, available: u32) -> Option<(String, u32)> {
        let (folded, reduction) = (self.folded.as_ref()?, self.options.approximation.reduction);
        let mut shallower: Vec<Paf> = Paf::names().into_iter().filter_map(|name| Paf::by_name(name).ok()).collect();
        shallower.retain(|paf| least_depth(folded, paf, reduction) <= available);
        shallower.sort_by(|a, b| a.max_relu_error().total_cmp(&b.max_relu_error()));
        shallower.into_iter().find_map(|paf| {
            let levels = self.with_paf(paf.clone()).schedule().ok()?.program.top_level().0;
            Some((paf.name, levels))
        })
    }

    /// The same network before it is approximated, with one PAF for all nodes.
    fn with_paf(&self, default_paf: Paf) -> Self {
        let approximation =
            ApproximationOptions { default_paf, per_node: Decisions::default(), ..self.options.approximation.clone() };
        let options = LowerOptions { approximation, goal: None, ..self.options.clone() };
        let folded = self.folded.clone();
        Lowering { folded, ..Lowering::new(self.graph.clone(), Arc::clone(&self.samples), options) }
    }
}

/// The least levels of an operation with a PAF; constants by element melt into the layers beside them.
fn least_levels(op: &Op, paf: &Paf, reduction: Reduction) -> u32 {
    match op {
        Op::Linear(map) if Coefficients::of_diagonals(map).is_some() => 0,
        Op::Relu | Op::MaxPool(_) => levels_with(op, paf, reduction),
        op => levels_without_paf(op),
    }
}

/// What an operation is to those who built the network.
fn kind(op: &Op) -> &'static str {
    match op {
        Op::Relu => "ReLU",
        Op::MaxPool(_) => "MaxPool",
        Op::Function(function) => function.name(),
        Op::Mul => "products of encrypted values",
        _ => "linear layers",
    }
}

/// A stage that the steps before have reached.
fn reached<T>(stage: &Option<T>) -> &T {
    stage.as_ref().expect("the steps before were taken")
}
