//! Every plan for a program: parameters, where it is refreshed, what that costs.

use std::collections::BTreeSet;
use std::sync::Arc;

use paf_ir::ckks::CkksProgram;
use paf_ir::program::Operation;
use paf_ir::slots::SlotProgram;
use paf_scheme::{CostModel, MapWork, MemoryPlan, Parameters, Prices, Work, bootstrap_count};
use rayon::prelude::*;

use super::cost::value_seconds;
use super::levels::{self, Placement};
use super::parameters::{self, Bootstraps, Demand, Refinement, ScheduleRequest};
use super::search::{Limits, RefreshStep, place};
use super::structure::{Structure, depth};
use crate::error::PassError;

/// Parameters and places of bootstraps, and what they cost. The program is made again for the plan that is taken: hundreds
/// of them, with their layouts, would fill memory.
#[derive(Debug, Clone)]
pub(super) struct SchedulePlan {
    pub(super) parameters: Parameters,
    pub(super) placement: Arc<Placement>,
    pub(super) bootstraps: usize,
    pub(super) seconds: f64,
    pub(super) memory: MemoryPlan,
    pub(super) precision_bits: f64,
    pub(super) optimal: bool,
}

/// A program and what is known of it, for any parameters.
pub(super) struct SchedulePlanner<'p> {
    slots: &'p SlotProgram,
    structure: Structure,
    costs: CostModel,
    /// Values that a bootstrap can refresh.
    refreshable: Vec<bool>,
    request: &'p ScheduleRequest,
}

impl<'p> SchedulePlanner<'p> {
    /// `refreshable` says of each value whether its slots are small enough for a bootstrap.
    pub(super) fn new(slots: &'p SlotProgram, refreshable: Vec<bool>, request: &'p ScheduleRequest) -> Self {
        let structure = Structure::new(slots);
        let refreshable = slots
            .values()
            .map(|(id, value)| refreshable[id.index()] && !structure.waits(id) && value.op.port().is_none())
            .collect();
        let maps = slots.maps.par_iter().map(MapWork::of).collect();
        let costs = CostModel::new(request.profile, request.slowness, maps);
        SchedulePlanner { slots, structure, costs, refreshable, request }
    }

    /// Plans without bootstraps.
    ///
    /// # Errors
    /// [`PassError::Ir`] only for a program that was not verified.
    pub(super) fn plain(&self) -> Result<Vec<SchedulePlan>, PassError> {
        if matches!(self.request.bootstraps, Bootstraps::UpTo(_)) {
            return Ok(vec![]);
        }
        let placed = self.place(Placement::nowhere(self.slots), true)?;
        let plan = |parameters: Parameters| {
            let Parameters { ring_dimension, slots, levels, scale_bits, .. } = parameters;
            let precision = self.request.profile.noise.expected_precision(ring_dimension, slots, levels, scale_bits);
            self.plan(parameters, &placed, precision - self.request.lost_bits)
        };
        let demand = self.demand(&placed);
        Ok(parameters::plain(demand, self.request).into_iter().map(plan).collect())
    }

    /// Plans with bootstraps, unless plans without are on a small ring already.
    ///
    /// # Errors
    /// [`PassError::Ir`] only for a program that was not verified.
    pub(super) fn refreshing(&self, plain: &[SchedulePlan]) -> Result<Vec<SchedulePlan>, PassError> {
        let largest = self.request.profile.chain.largest_ring();
        let small = |plan: &SchedulePlan| plan.parameters.ring_dimension < largest;
        if self.request.bootstraps == Bootstraps::Never || plain.iter().any(small) {
            return Ok(vec![]);
        }
        let Some(wanted) = self.request.precision else { return self.refined(Refinement::first(self.request)) };
        let mut plans = vec![];
        for iterations in self.request.iterations() {
            plans.extend(self.precise(wanted, iterations)?);
            if plans.iter().any(|plan| self.fits(plan)) {
                break;
            }
        }
        Ok(plans)
    }

    /// Plans with bootstraps that leave as many bits as can be.
    ///
    /// # Errors
    /// [`PassError::Ir`] only for a program that was not verified.
    pub(super) fn most_precise(&self) -> Result<Vec<SchedulePlan>, PassError> {
        if self.request.bootstraps == Bootstraps::Never {
            return Ok(vec![]);
        }
        self.refined(Refinement::most_precise(self.request))
    }

    /// Plans with bootstraps that keep a precision. How many bootstraps there are, and so how large the scale must be, is known
    /// only of plans: the scale grows until the fastest plan keeps the precision.
    fn precise(&self, wanted: f64, iterations: u32) -> Result<Vec<SchedulePlan>, PassError> {
        let mut refinement = Refinement::for_precision(self.request.profile, wanted, 1, iterations);
        let mut kept = vec![];
        loop {
            let plans = self.refined(refinement)?;
            let fitting = plans.iter().filter(|plan| self.fits(plan));
            let fastest = fitting.min_by(|a, b| a.seconds.total_cmp(&b.seconds));
            let is_enough = fastest.is_some_and(|plan| plan.precision_bits >= wanted);
            let bootstraps = fastest.map_or(usize::MAX, |plan| plan.bootstraps);
            kept.extend(plans.into_iter().filter(|plan| plan.precision_bits >= wanted));
            if is_enough || refinement.is_largest() {
                return Ok(kept);
            }
            let needed = Refinement::for_precision(self.request.profile, wanted, bootstraps, iterations);
            refinement = if needed.scale_bits > refinement.scale_bits { needed } else { refinement.larger() };
        }
    }

    /// Plans with bootstraps of one kind.
    fn refined(&self, refinement: Refinement) -> Result<Vec<SchedulePlan>, PassError> {
        let Some(most_slots) = self.slot_counts().into_iter().max() else { return Ok(vec![]) };
        let demand = self.demand(&self.place(Placement::nowhere(self.slots), true)?);
        let chains = parameters::refreshing(demand, most_slots, self.request, refinement);
        let plans = chains.par_iter().map(|sets| self.on_chain(sets, refinement));
        Ok(plans.collect::<Result<Vec<Vec<SchedulePlan>>, PassError>>()?.into_iter().flatten().collect())
    }

    /// Slots of the values that can be refreshed.
    fn slot_counts(&self) -> BTreeSet<usize> {
        let refreshable = self.slots.values().filter(|(id, _)| self.refreshable[id.index()]);
        refreshable.map(|(_, value)| value.ty.period).collect()
    }

    /// Plans for parameters that differ in their digits only.
    fn on_chain(&self, sets: &[Parameters], refinement: Refinement) -> Result<Vec<SchedulePlan>, PassError> {
        let seconds = |set: &&Parameters| self.costs.prices(set).bootstrap_seconds(set.slots);
        let Some(fastest) = sets.iter().min_by(|a, b| seconds(a).total_cmp(&seconds(b))) else { return Ok(vec![]) };
        let usable = fastest.usable_levels().0;
        let fresh = match self.request.bootstraps {
            Bootstraps::UpTo(_) => vec![usable],
            _ => vec![usable, fastest.levels.0],
        };
        let mut plans = vec![];
        for fresh in fresh {
            for counts in self.slot_sets() {
                let source = self.request.profile.bootstrap.input_level;
                let limits = Limits { fresh, refreshed: usable, source };
                let Some((placement, optimal)) = self.placement(fastest, &counts, limits) else { continue };
                let placed = self.place(placement, optimal)?;
                // All levels of such a chain can be enough for a network that is not precise enough without bootstraps; nothing
                // is refreshed then, and the chain is no other than a plain one.
                if bootstrap_count(&placed.program) == 0 {
                    continue;
                }
                let precision = refinement.precision(bootstrap_count(&placed.program)) - self.request.lost_bits;
                plans.extend(sets.iter().map(|set| self.plan(set.clone(), &placed, precision)));
            }
        }
        Ok(plans)
    }

    /// Sets of slot counts to set bootstraps up for: one for all values, or one for each period.
    fn slot_sets(&self) -> Vec<BTreeSet<usize>> {
        let all = self.slot_counts();
        let one = all.iter().copied().max().into_iter().collect();
        if all.len() > 1 { vec![one, all] } else { vec![one] }
    }

    fn placement(
        &self,
        parameters: &Parameters,
        counts: &BTreeSet<usize>,
        limits: Limits,
    ) -> Option<(Placement, bool)> {
        let prices = self.costs.prices(parameters);
        let slots_of = |period: usize| {
            let fits = |count: &&usize| parameters.bootstrap.is_some_and(|bootstrap| bootstrap.fits(**count));
            counts.range(period..).find(fits).copied()
        };
        let steps: Vec<RefreshStep> = self.steps(&prices, limits.fresh, slots_of);
        let outputs: Vec<usize> = self.slots.outputs.iter().map(|port| port.value.index()).collect();
        let found = place(&steps, &outputs, limits)?;
        let values = self.slots.values();
        let slots = values.map(|(id, value)| found.refreshed[id.index()].then(|| slots_of(value.ty.period)).flatten());
        Some((Placement { slots: slots.collect(), source: limits.source }, found.optimal))
    }

    fn steps(&self, prices: &Prices<'_>, highest: u32, slots_of: impl Fn(usize) -> Option<usize>) -> Vec<RefreshStep> {
        let step = |(id, value): (paf_ir::program::ValueId, &paf_ir::program::Value<paf_ir::slots::Op>)| {
            let above = depth(&value.op);
            let refresh = slots_of(value.ty.period).filter(|_| self.refreshable[id.index()]);
            RefreshStep {
                operands: value.op.operands().iter().map(|operand| (operand.index(), above)).collect(),
                seconds: value_seconds(prices, self.slots, &self.structure, id, highest),
                refresh: refresh.map(|slots| value.ty.ciphertexts as f64 * prices.bootstrap_seconds(slots)),
            }
        };
        self.slots.values().map(step).collect()
    }

    /// The program with bootstraps in these places.
    ///
    /// # Errors
    /// [`PassError::Ir`] only for a program that was not verified.
    pub(super) fn lower(&self, placement: &Placement) -> Result<CkksProgram, PassError> {
        levels::assign(self.slots, &self.structure, placement)
    }

    /// Plans that fit the memory, in which the time of reading keys is counted. Those that read keys and cannot be the
    /// fastest are left out: counting takes longer than all else that is known of a plan.
    ///
    /// # Errors
    /// [`PassError::Ir`] only for a program that was not verified.
    pub(super) fn fitting(&self, plans: Vec<SchedulePlan>) -> Result<Vec<SchedulePlan>, PassError> {
        let (mut fitting, mut reading): (Vec<SchedulePlan>, Vec<SchedulePlan>) =
            plans.into_iter().filter(|plan| self.fits(plan)).partition(|plan| plan.memory.key_memory == 0);
        let mut fastest = fitting.iter().map(|plan| plan.seconds).fold(f64::INFINITY, f64::min);
        reading.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        for mut plan in reading {
            if plan.seconds >= fastest {
                break;
            }
            let (prices, program) = (self.costs.prices(&plan.parameters), self.lower(&plan.placement)?);
            plan.memory.loaded_bytes = prices.loaded_bytes(&program, plan.memory.key_memory);
            plan.seconds = prices.seconds(prices.work(&program) + prices.reading(plan.memory));
            fastest = fastest.min(plan.seconds);
            fitting.push(plan);
        }
        Ok(fitting)
    }

    fn fits(&self, plan: &SchedulePlan) -> bool {
        self.request.memory.is_none_or(|limit| plan.memory.peak_bytes <= limit)
    }

    /// What a program made by [`SchedulePlanner::lower`] costs: seconds on the reference machine by kind.
    pub(super) fn work(&self, plan: &SchedulePlan, program: &CkksProgram) -> Work {
        let prices = self.costs.prices(&plan.parameters);
        prices.work(program) + prices.reading(plan.memory)
    }

    fn place(&self, placement: Placement, optimal: bool) -> Result<Placed, PassError> {
        Ok(Placed { program: self.lower(&placement)?, placement: Arc::new(placement), optimal })
    }

    fn demand(&self, placed: &Placed) -> Demand {
        Demand { slots: self.slots.slots, levels: placed.program.top_level() }
    }

    fn plan(&self, parameters: Parameters, placed: &Placed, precision_bits: f64) -> SchedulePlan {
        let prices = self.costs.prices(&parameters);
        let memory = prices.memory(&placed.program, self.request.memory);
        let seconds = prices.seconds(prices.work(&placed.program));
        let (placement, bootstraps) = (placed.placement.clone(), bootstrap_count(&placed.program));
        SchedulePlan { parameters, placement, bootstraps, seconds, memory, precision_bits, optimal: placed.optimal }
    }
}

/// A program with bootstraps in their places, for any parameters.
struct Placed {
    program: CkksProgram,
    placement: Arc<Placement>,
    optimal: bool,
}
