//! What the options of a compilation mean for the passes.

use std::collections::BTreeMap;

use paf_passes::approximate::{ApproximationOptions, DEFAULT_FUNCTION_ERROR};
use paf_passes::choose::Goal;
use paf_passes::decisions::Decisions;
use paf_passes::lower::LowerOptions;
use paf_passes::paf::Paf;
use paf_passes::schedule::ScheduleRequest;
use paf_scheme::Work;

use crate::error::OptionsError;
use crate::options::{AUTO_PAF, CompileOptions, DEFAULT_INPUT_RANGE, DEFAULT_PAF};

/// How the passes lower a network.
///
/// # Errors
/// [`OptionsError`] for unknown names, and for options that do not go together.
pub(crate) fn lower_options(options: &CompileOptions) -> Result<LowerOptions, OptionsError> {
    Ok(LowerOptions {
        goal: goal(options)?,
        approximation: approximation(options)?,
        schedule: request(options),
        sanitize: options.sanitize,
    })
}

fn approximation(options: &CompileOptions) -> Result<ApproximationOptions, OptionsError> {
    let mut default_paf = DEFAULT_PAF;
    let mut pafs = BTreeMap::new();
    for choice in options.pafs.iter().filter(|choice| choice.paf != AUTO_PAF) {
        let paf = Paf::by_name(&choice.paf)?;
        match &choice.node {
            Some(node) => drop(pafs.insert(node.clone(), paf)),
            None => default_paf = &choice.paf,
        }
    }
    Ok(ApproximationOptions {
        default_paf: Paf::by_name(default_paf)?,
        per_node: Decisions { pafs, ..Decisions::default() },
        margin: options.margin,
        input_range: options.input_range.unwrap_or(DEFAULT_INPUT_RANGE),
        function_error: options.function_error.unwrap_or(DEFAULT_FUNCTION_ERROR),
        reduction: options.max_pool,
    })
}

fn request(options: &CompileOptions) -> ScheduleRequest {
    let reference = &options.profile.reference;
    ScheduleRequest {
        precision: options.precision,
        memory: options.memory,
        insecure: options.insecure,
        bootstraps: options.bootstraps,
        iterations: options.bootstrap_iterations,
        slowness: options.machine.as_ref().map_or(Work::ONES, |machine| reference.slowness_of(machine)),
        ..ScheduleRequest::new(options.profile)
    }
}

/// What a choice of PAFs aims for, if there is to be one.
fn goal(options: &CompileOptions) -> Result<Option<Goal>, OptionsError> {
    if let Some(node) = options.pafs.iter().find_map(|choice| choice.node.as_ref().filter(|_| choice.paf == AUTO_PAF)) {
        return Err(OptionsError::ChoiceForOneNode { node: node.clone() });
    }
    let last_for_all = options.pafs.iter().rfind(|choice| choice.node.is_none());
    let is_asked_for = last_for_all.is_some_and(|choice| choice.paf == AUTO_PAF);
    let goal = match (options.max_error, options.max_levels) {
        (None, None) if is_asked_for => return Err(OptionsError::ChoiceWithoutGoal),
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return Err(OptionsError::TwoGoals),
        (Some(error), None) if error > 0.0 && error <= 1.0 => Goal::MaxError(error),
        (Some(error), None) => return Err(OptionsError::MaxError(error)),
        (None, Some(levels)) => Goal::MaxLevels(levels),
    };
    if !is_asked_for {
        return Err(OptionsError::GoalWithoutChoice);
    }
    if options.calibration.is_empty() {
        return Err(OptionsError::ChoiceWithoutSamples);
    }
    Ok(Some(goal))
}
