//! What a mix costs: levels where one ciphertext has enough of them, bootstraps where it has not.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use paf_passes::PassError;
use paf_passes::choose::LevelGraph;
use paf_passes::choose::search::Choice;
use paf_passes::lower::Lowering;
use paf_passes::schedule::{Stretch, is_shallow, most_levels, stretches};

use paf_scheme::bootstrap_count;
use serde::{Deserialize, Serialize};

use crate::error::RecoveryError;
use crate::network::Network;
use crate::target::Target;

/// Times that differ by no more than this factor are taken as equal.
const SAME_TIME: f64 = 1.05;

/// What a mix costs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Levels on the deepest path, linear layers included.
    pub levels: u32,
    /// Bootstraps of one evaluation; [`u32::MAX`] if no parameters have the levels.
    pub bootstraps: u32,
    /// Predicted seconds of one evaluation, those of its bootstraps before it was compiled; 0 where nothing is refreshed.
    pub seconds: f64,
}

impl Cost {
    /// What the search makes small: levels, and where something is refreshed the time. A bootstrap gives back as many
    /// levels whether they are used or not, and fewer bootstraps can take longer, where their keys do not fit the memory.
    pub(crate) fn price(self) -> (u32, u32) {
        match self.bootstraps {
            0 => (0, self.levels),
            u32::MAX => (2, 0),
            _ => (1, (self.seconds.ln() / SAME_TIME.ln()).max(0.0).round() as u32),
        }
    }

    /// The order of expected costs: without bootstraps by levels, with them by their seconds, then by levels.
    pub(crate) fn expected_order(&self, other: &Cost) -> Ordering {
        let by_kind = self.price().0.cmp(&other.price().0);
        by_kind.then(self.seconds.total_cmp(&other.seconds)).then(self.levels.cmp(&other.levels))
    }
}

/// Costs of the mixes of one network.
pub(crate) struct Costs<'a> {
    graph: &'a LevelGraph,
    target: &'a Target,
    stretches: Vec<Stretch>,
    /// Levels without bootstraps.
    most_levels: u32,
}

impl<'a> Costs<'a> {
    pub(crate) fn new(graph: &'a LevelGraph, target: &'a Target) -> Result<Self, PassError> {
        let (slots, request) = (graph.slots(), &target.options.schedule);
        let (stretches, most_levels) = (stretches(slots, request)?, most_levels(slots, request));
        Ok(Costs { graph, target, stretches, most_levels })
    }

    /// The cost expected if each ReLU and MaxPool takes so many levels.
    pub(crate) fn expected(&self, levels: &BTreeMap<String, u32>) -> Cost {
        let depth = self.graph.depth(levels);
        let refreshed = || self.graph.refreshed(levels, &self.stretches).unwrap_or((u32::MAX, 0.0));
        let (bootstraps, seconds) = if depth <= self.most_levels { (0, 0.0) } else { refreshed() };
        Cost { levels: depth, bootstraps, seconds }
    }

    /// The cost as a compilation finds it, unless the network is too shallow for that to matter.
    pub(crate) fn compiled(&self, network: &Network, expected: Cost) -> Result<Cost, RecoveryError> {
        if is_shallow(expected.levels, &self.target.options.schedule) {
            return Ok(expected);
        }
        match self.scheduled(network) {
            Ok((0, _)) => Ok(Cost { bootstraps: 0, ..expected }),
            Ok((bootstraps, seconds)) => Ok(Cost { bootstraps, seconds, ..expected }),
            Err(error) if error.is_of_parameters() => Ok(Cost { bootstraps: u32::MAX, ..expected }),
            Err(error) => Err(error.into()),
        }
    }

    /// Bootstraps and seconds of the plan that is taken.
    fn scheduled(&self, network: &Network) -> Result<(u32, f64), PassError> {
        let mut options = self.target.options.clone();
        options.approximation.per_node = options.approximation.per_node.or(network.decisions());
        let mut lowering = Lowering::new(network.graph.clone(), self.target.samples.clone(), options);
        let scheduled = lowering.schedule()?;
        Ok((bootstrap_count(&scheduled.program) as u32, scheduled.seconds))
    }

    /// A number for each cost, without gaps: levels, then bootstraps.
    pub(crate) fn rank(&self, cost: Cost) -> u32 {
        match cost.bootstraps {
            0 => cost.levels.min(self.most_levels),
            bootstraps => self.most_levels.saturating_add(bootstraps),
        }
    }

    /// Mixes that lose least for their levels or their bootstraps.
    pub(crate) fn fronts(&self, choices: &BTreeMap<String, Vec<Choice>>) -> Vec<BTreeMap<String, usize>> {
        let by_levels = self.graph.front(choices);
        let deep = by_levels.last().is_some_and(|mix| mix.levels > self.most_levels);
        let mut picks: Vec<BTreeMap<String, usize>> = by_levels.into_iter().map(|mix| mix.picks).collect();
        if deep {
            picks.extend(self.graph.fronts_by_bootstraps(choices, &self.stretches));
        }
        picks
    }
}
