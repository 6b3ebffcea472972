//! How many levels there are, before anything is packed: what a search for PAFs needs to know of parameters.

use paf_ir::ckks::{CkksProgram, Level, Op};
use paf_ir::program::{InputPort, InputScaling};
use paf_ir::{Layout, Shape};
use paf_scheme::{CostModel, Parameters, Prices};

use super::parameters::{self, Bootstraps, Demand, Refinement, ScheduleRequest};
use crate::error::PassError;

/// Levels of one chain of primes, and the price of using them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stretch {
    /// Highest level of a fresh ciphertext.
    pub fresh: u32,
    /// Highest level of a bootstrap's result.
    pub refreshed: u32,
    /// Level of a value that is refreshed.
    pub source: u32,
    /// Predicted seconds of one bootstrap.
    pub seconds: f64,
}

/// The chains with bootstraps for ciphertexts of so many slots whose bootstrap alone fits the memory: those that no other
/// one beats in levels and price, and none where nothing is refreshed.
///
/// # Errors
/// [`PassError::Ir`] only for a number of slots that is no power of two.
pub fn stretches(slots: usize, request: &ScheduleRequest) -> Result<Vec<Stretch>, PassError> {
    if !is_ever_refreshed(request) {
        return Ok(vec![]);
    }
    let demand = Demand { slots, levels: Level(u32::MAX) };
    let costs = CostModel::new(request.profile, request.slowness, vec![]);
    let mut all: Vec<Stretch> = vec![];
    for sets in parameters::refreshing(demand, slots, request, Refinement::first(request)) {
        let mut fastest: Option<Stretch> = None;
        for parameters in &sets {
            let prices = costs.prices(parameters);
            let seconds = prices.bootstrap_seconds(slots);
            if fastest.is_none_or(|other| seconds < other.seconds) && fits(&prices, parameters, request)? {
                let refreshed = parameters.usable_levels().0;
                let fresh = if let Bootstraps::UpTo(_) = request.bootstraps { refreshed } else { parameters.levels.0 };
                let source = request.profile.bootstrap.input_level;
                fastest = Some(Stretch { fresh, refreshed, source, seconds });
            }
        }
        all.extend(fastest);
    }
    let beats = |a: &Stretch, b: &Stretch| a.fresh >= b.fresh && a.refreshed >= b.refreshed && a.seconds <= b.seconds;
    Ok(all.iter().filter(|one| !all.iter().any(|other| other != *one && beats(other, one))).copied().collect())
}

/// Whether a program of one bootstrap fits the memory.
fn fits(prices: &Prices<'_>, parameters: &Parameters, request: &ScheduleRequest) -> Result<bool, PassError> {
    let Some(limit) = request.memory else { return Ok(true) };
    let slots = parameters.slots;
    let layout = Layout::dense(slots, slots);
    let input = InputPort {
        name: "x".into(),
        shape: Shape(vec![slots]),
        layout,
        scaling: InputScaling::shared(1.0, (-1.0, 1.0)),
    };
    let mut program = CkksProgram::new(slots, vec![], vec![input]);
    let input = program.push("x", Op::Input { port: 0, level: Level(request.profile.bootstrap.input_level) })?;
    program.push("refreshed", Op::Bootstrap { input, slots, level: parameters.usable_levels() })?;
    Ok(prices.memory(&program, request.memory).peak_bytes <= limit)
}

fn is_ever_refreshed(request: &ScheduleRequest) -> bool {
    match request.bootstraps {
        Bootstraps::Never => false,
        Bootstraps::UpTo(_) => true,
        Bootstraps::WhereNeeded => !request.insecure,
    }
}

/// The most levels of a circuit of so many slots that is not refreshed.
pub fn most_levels(slots: usize, request: &ScheduleRequest) -> u32 {
    match request.bootstraps {
        Bootstraps::UpTo(levels) => levels,
        _ if request.insecure => u32::MAX,
        _ => parameters::most_levels(slots, request),
    }
}

#[cfg(test)]
mod tests {
    use paf_scheme::EngineProfile;

    use super::*;

    #[test]
    fn chains_that_do_not_fit_the_memory_are_left_out() {
        let within = |memory| {
            stretches(1 << 14, &ScheduleRequest { memory, ..ScheduleRequest::new(EngineProfile::openfhe()) }).unwrap()
        };
        let (all, some) = (within(None), within(Some(16 << 30)));
        let most = |stretches: &[Stretch]| stretches.iter().map(|stretch| stretch.refreshed).max();
        assert!(!some.is_empty() && most(&some) < most(&all), "{some:?} of {all:?}");
        assert!(all.iter().all(|stretch| stretch.fresh > stretch.refreshed && stretch.seconds > 0.0));
        assert_eq!(within(Some(1 << 30)), []);
    }

    #[test]
    fn chains_are_those_that_the_request_allows() {
        let of = |bootstraps, insecure| {
            let request = ScheduleRequest { bootstraps, insecure, ..ScheduleRequest::new(EngineProfile::openfhe()) };
            (stretches(1 << 11, &request).unwrap(), most_levels(1 << 11, &request))
        };
        let (never, most) = of(Bootstraps::Never, false);
        assert_eq!((never.len(), most), (0, of(Bootstraps::WhereNeeded, false).1));
        assert_eq!(of(Bootstraps::WhereNeeded, true), (vec![], u32::MAX));
        let (eleven, most) = of(Bootstraps::UpTo(11), false);
        assert!(!eleven.is_empty() && eleven.iter().all(|s| (s.fresh, s.refreshed) == (11, 11)), "{eleven:?}");
        assert_eq!(most, 11);
    }
}
