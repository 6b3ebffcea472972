//! What a mix costs: levels where one ciphertext has enough of them, bootstraps where it has not.

use std::collections::BTreeMap;

use paf_passes::PassError;
use paf_passes::approximate::{Margin, Options, approximate};
use paf_passes::choose::LevelGraph;
use paf_passes::choose::search::Choice;
use paf_passes::fold::fold;
use paf_passes::optimize::optimize;
use paf_passes::pack::{self, pack};
use paf_passes::paf::Paf;
use paf_passes::recover::{Recovered, Samples};
use paf_passes::schedule::{Magnitudes, Request, Stretch, expects_bootstraps, most_levels, schedule, stretches};

use paf_scheme::bootstrap_count;
use serde::{Deserialize, Serialize};

use crate::data::Data;
use crate::error::RecoveryError;
use crate::network::Network;
use crate::steps::pass_options;

/// Samples that the scales of outputs, and the values that can be refreshed, are measured on.
const SAMPLES: usize = 8;

/// Times that differ by no more than this factor are taken as equal.
const SAME_TIME: f64 = 1.05;

/// What a mix costs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Levels on the deepest path, linear layers included.
    pub levels: u32,
    /// Bootstraps of one evaluation; [`u32::MAX`] if no parameters have the levels.
    pub bootstraps: u32,
    /// Predicted seconds of one evaluation; 0 where nothing is refreshed or not known yet.
    pub seconds: f64,
}

impl Cost {
    /// What the search makes small: levels, and where something is refreshed the time. A bootstrap gives back as many
    /// levels whether they are used or not, and fewer bootstraps can take longer, where their keys do not fit the memory.
    pub(super) fn price(self) -> (u32, u32) {
        match self.bootstraps {
            0 => (0, self.levels),
            u32::MAX => (2, 0),
            _ => (1, (self.seconds.ln() / SAME_TIME.ln()).max(0.0).round() as u32),
        }
    }
}

/// Costs of the mixes of one network.
pub(super) struct Costs<'a> {
    graph: &'a LevelGraph,
    request: Request,
    stretches: Vec<Stretch>,
    /// Levels without bootstraps.
    most_levels: u32,
    samples: Samples,
}

impl<'a> Costs<'a> {
    pub(super) fn new(graph: &'a LevelGraph, request: Request, data: &Data) -> Result<Self, PassError> {
        let sample = |k: usize| vec![data.sample(k).iter().map(|&x| f64::from(x)).collect()];
        let (samples, slots) = ((0..data.len().min(SAMPLES)).map(sample).collect(), graph.slots());
        let (stretches, most_levels) = (stretches(slots, &request)?, most_levels(slots, &request));
        Ok(Costs { graph, request, stretches, most_levels, samples })
    }

    /// The cost expected if each ReLU and MaxPool takes so many levels.
    pub(super) fn expected(&self, levels: &BTreeMap<String, u32>) -> Cost {
        let depth = self.graph.depth(levels);
        let refreshed = || self.graph.bootstraps(levels, &self.stretches).unwrap_or(u32::MAX);
        Cost { levels: depth, bootstraps: if depth <= self.most_levels { 0 } else { refreshed() }, seconds: 0.0 }
    }

    /// The cost as a compilation finds it, where the expected one is of bootstraps.
    pub(super) fn compiled(&self, network: &Network, expected: Cost) -> Result<Cost, RecoveryError> {
        if expected.bootstraps == 0 {
            return Ok(expected);
        }
        match self.scheduled(network) {
            Ok((bootstraps, seconds)) => Ok(Cost { bootstraps, seconds, ..expected }),
            Err(PassError::TooDeep { .. } | PassError::TooBig { .. }) => Ok(Cost { bootstraps: u32::MAX, ..expected }),
            Err(error) => Err(error.into()),
        }
    }

    /// Bootstraps and seconds of the fastest plan.
    fn scheduled(&self, network: &Network) -> Result<(u32, f64), PassError> {
        let default = pass_options(&Paf::by_name("alpha7")?, Margin::default());
        let options = Options { per_node: recovered(network), ..default };
        let polynomial = approximate(&fold(&network.graph)?, &options, &self.samples)?;
        let (optimized, report) = optimize(&polynomial.graph)?;
        let deep = expects_bootstraps(report.levels_after, &self.request);
        let packed = pack(&optimized, &pack::options(&network.graph, &polynomial, deep))?;
        let magnitudes = Magnitudes::of(&optimized, &packed, &polynomial, &self.samples)?;
        let scheduled = schedule(&packed.program, &magnitudes, &self.request)?;
        Ok((bootstrap_count(&scheduled.program) as u32, scheduled.seconds))
    }

    /// A number for each cost, without gaps: levels, then bootstraps.
    pub(super) fn rank(&self, cost: Cost) -> u32 {
        match cost.bootstraps {
            0 => cost.levels.min(self.most_levels),
            bootstraps => self.most_levels.saturating_add(bootstraps),
        }
    }

    /// Mixes that lose least for their levels or their bootstraps.
    pub(super) fn fronts(&self, choices: &BTreeMap<String, Vec<Choice>>) -> Vec<BTreeMap<String, usize>> {
        let by_levels = self.graph.front(choices);
        let deep = by_levels.last().is_some_and(|mix| mix.levels > self.most_levels);
        let mut picks: Vec<BTreeMap<String, usize>> = by_levels.into_iter().map(|mix| mix.picks).collect();
        if deep {
            picks.extend(self.graph.fronts_by_bootstraps(choices, &self.stretches));
        }
        picks
    }
}

fn recovered(network: &Network) -> Recovered {
    let by_name = || network.pafs.iter().map(|(id, chosen)| (network.graph.node(*id).name.clone(), chosen));
    Recovered {
        pafs: by_name().map(|(name, chosen)| (name, chosen.paf.clone())).collect(),
        scales: by_name().map(|(name, chosen)| (name, chosen.scale.clone())).collect(),
    }
}
