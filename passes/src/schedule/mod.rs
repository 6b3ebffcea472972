//! `schedule`: levels, rescales, relinearizations, bootstraps, and the parameters that carry them.
//!
//! Needs: a verified slots program. Then holds: a verified ckks program and parameters of at least 128-bit security that
//! have its levels.

mod cost;
mod levels;
mod magnitudes;
mod parameters;
mod plans;
mod search;
mod stretches;
mod structure;

use paf_ir::ckks::{CkksProgram, Level, Verified};
use paf_ir::slots::SlotProgram;
use paf_scheme::{MemoryPlan, Parameters, Work};

use crate::error::PassError;
use levels::Placement;
pub use magnitudes::Magnitudes;
pub(crate) use magnitudes::reach;
pub use parameters::{Bootstraps, DEFAULT_PRECISION, ScheduleRequest};
use plans::{SchedulePlan, SchedulePlanner};
pub use stretches::{Stretch, most_levels, stretches};
use structure::Structure;

/// A circuit with its parameters and predictions.
#[derive(Debug, Clone, PartialEq)]
pub struct Scheduled {
    /// The circuit.
    pub program: Verified,
    /// Its parameters.
    pub parameters: Parameters,
    /// Predicted seconds of one evaluation.
    pub seconds: f64,
    /// What they are made of: seconds on the reference machine by kind.
    pub work: Work,
    /// Predicted peak memory of a process that does everything.
    pub peak_bytes: u64,
    /// Bytes of evaluation keys that are in memory at a time; 0 for all of them.
    pub key_memory: u64,
    /// Predicted precision of the result in bits, relative to its largest value.
    pub precision_bits: f64,
    /// Whether no cheaper set of bootstraps exists for these parameters, by the cost model.
    pub optimal: bool,
    /// The fastest plan in the memory for each number of levels between bootstraps; empty where there are none.
    pub alternatives: Vec<Alternative>,
}

/// A plan that was considered.
#[derive(Debug, Clone, PartialEq)]
pub struct Alternative {
    /// Its parameters.
    pub parameters: Parameters,
    /// Bootstraps of one evaluation.
    pub bootstraps: usize,
    /// Predicted seconds of one evaluation.
    pub seconds: f64,
    /// Predicted peak memory.
    pub peak_bytes: u64,
}

/// Assigns levels without bootstraps; the result is not tied to parameters yet.
///
/// # Errors
/// [`PassError::Ir`] only for a program that was not verified.
pub fn assign_levels(slots: &SlotProgram) -> Result<CkksProgram, PassError> {
    levels::assign(slots, &Structure::new(slots), &Placement::nowhere(slots))
}

/// Whether a circuit of this many levels needs no look at parameters: without bootstraps it does not take the largest ring.
pub fn is_shallow(levels: u32, request: &ScheduleRequest) -> bool {
    match request.bootstraps {
        Bootstraps::UpTo(_) => false,
        Bootstraps::Never | Bootstraps::WhereNeeded => {
            request.insecure || parameters::fits_smaller_ring(Level(levels), request)
        }
    }
}

/// Whether a circuit of this many levels might be refreshed.
pub fn may_be_refreshed(levels: u32, request: &ScheduleRequest) -> bool {
    request.bootstraps != Bootstraps::Never && !is_shallow(levels, request)
}

/// Whether a circuit of this many levels will be refreshed.
pub fn expects_bootstraps(levels: u32, request: &ScheduleRequest) -> bool {
    match request.bootstraps {
        Bootstraps::Never => false,
        Bootstraps::UpTo(_) => true,
        Bootstraps::WhereNeeded => {
            // How many slots there will be is not known yet; of a full packing the fewest levels fit.
            let slots = request.profile.chain.most_slots();
            !request.insecure && levels > parameters::most_levels(slots, request)
        }
    }
}

/// Assigns levels, places bootstraps and chooses parameters: the fastest plan that fits the memory, or without a limit one
/// that is about as fast and takes less of it.
///
/// # Errors
/// [`PassError::TooDeep`] if no secure parameters have the levels, [`PassError::NotRefreshed`] if the bootstraps asked for do not
/// carry the circuit, [`PassError::TooImprecise`] if those parameters have fewer bits than
/// asked for, [`PassError::TooBig`] if none fits the memory.
pub fn schedule(
    slots: &SlotProgram,
    magnitudes: &Magnitudes,
    request: &ScheduleRequest,
) -> Result<Scheduled, PassError> {
    let planner = SchedulePlanner::new(slots, magnitudes.refreshable(slots.len()), request);
    let mut plans = planner.plain()?;
    let refreshing = planner.refreshing(&plans)?;
    plans.extend(refreshing);
    if plans.is_empty() {
        return Err(no_plan(slots, magnitudes, request)?);
    }
    let needed = plans.iter().map(|plan| plan.memory.peak_bytes).min().unwrap_or(0);
    let fitting = planner.fitting(plans)?;
    let Some(best) = choose(fitting.iter(), request) else {
        return Err(PassError::TooBig { needed, limit: request.memory.unwrap_or(0) });
    };
    let alternatives = alternatives(&fitting.iter().collect::<Vec<_>>());
    let SchedulePlan { parameters, placement, seconds, memory, precision_bits, optimal, .. } = best.clone();
    let MemoryPlan { peak_bytes, key_memory, .. } = memory;
    let program = planner.lower(&placement)?.verify()?;
    let work = planner.work(best, &program);
    Ok(Scheduled { program, parameters, seconds, work, peak_bytes, key_memory, precision_bits, optimal, alternatives })
}

/// Why there is no plan, whatever the memory.
fn no_plan(slots: &SlotProgram, magnitudes: &Magnitudes, request: &ScheduleRequest) -> Result<PassError, PassError> {
    if let Some(wanted) = request.precision
        && let Some(best) = best_precision(slots, magnitudes, request)?
    {
        return Ok(PassError::TooImprecise { wanted, best: Some(best) });
    }
    let (needed, available) = (assign_levels(slots)?.top_level().0, parameters::most_levels(slots.slots, request));
    if let (Bootstraps::UpTo(levels), true) = (request.bootstraps, needed <= available) {
        return Ok(PassError::NotRefreshed { levels });
    }
    Ok(PassError::TooDeep { needed, available, fitting: None, deepest: vec![] })
}

/// The most bits that any plan in the memory has, rounded down to tenths.
fn best_precision(
    slots: &SlotProgram,
    magnitudes: &Magnitudes,
    request: &ScheduleRequest,
) -> Result<Option<f64>, PassError> {
    let open = ScheduleRequest { precision: Some(parameters::LEAST_PRECISION), ..*request };
    let planner = SchedulePlanner::new(slots, magnitudes.refreshable(slots.len()), &open);
    let mut plans = planner.plain()?;
    plans.extend(planner.most_precise()?);
    let fitting = planner.fitting(plans)?;
    let best = fitting.iter().map(|plan| plan.precision_bits).max_by(f64::total_cmp);
    Ok(best.map(|bits| (10.0 * bits).floor() / 10.0).filter(|&bits| bits >= parameters::LEAST_PRECISION))
}

/// How much slower than the fastest plan one with bootstraps may be if it takes less memory and no limit is given: the
/// last tenth of the time often costs half of the memory.
const TIME_FOR_MEMORY: f64 = 1.1;

/// The fastest plan; where memory is not limited, the smallest of those that are about as fast.
fn choose<'p>(
    plans: impl Iterator<Item = &'p SchedulePlan> + Clone,
    request: &ScheduleRequest,
) -> Option<&'p SchedulePlan> {
    let fastest = plans.clone().min_by(|a, b| a.seconds.total_cmp(&b.seconds))?;
    if request.memory.is_some() || fastest.parameters.bootstrap.is_none() {
        return Some(fastest);
    }
    let about_as_fast = plans.filter(|plan| plan.seconds <= fastest.seconds * TIME_FOR_MEMORY);
    about_as_fast.min_by(|a, b| {
        (a.memory.peak_bytes, a.seconds).partial_cmp(&(b.memory.peak_bytes, b.seconds)).expect("not NaN")
    })
}

/// The fastest plan with bootstraps for each number of usable levels.
fn alternatives(plans: &[&SchedulePlan]) -> Vec<Alternative> {
    let plans: Vec<&SchedulePlan> = plans.iter().copied().filter(|plan| plan.parameters.bootstrap.is_some()).collect();
    let mut usable: Vec<Level> = plans.iter().map(|plan| plan.parameters.usable_levels()).collect();
    usable.sort_unstable();
    usable.dedup();
    let fastest = |level: Level| {
        let plans = plans.iter().filter(|plan| plan.parameters.usable_levels() == level);
        plans.copied().min_by(|a, b| a.seconds.total_cmp(&b.seconds))
    };
    let alternative = |plan: &SchedulePlan| Alternative {
        parameters: plan.parameters.clone(),
        bootstraps: plan.bootstraps,
        seconds: plan.seconds,
        peak_bytes: plan.memory.peak_bytes,
    };
    usable.into_iter().filter_map(fastest).map(alternative).collect()
}
