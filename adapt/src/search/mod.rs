//! `search`: which PAF for which ReLU and MaxPool.
//!
//! Mixes of PAFs are walked by the steps without gradients and judged on samples that those have not looked at: accuracy
//! against the original network's, and the divergence of class probabilities where accuracies are equal. Every uniform
//! PAF is among them, so nothing worse than one of the same levels is ever chosen.
//!
//! 1. [`offers`]: each PAF at each node alone, all others exact.
//! 2. [`estimates`]: losses of nodes add up, and the least sum for every number of levels and of bootstraps is found
//!    exactly ([`paf_passes::choose::LevelGraph`]); what walks show corrects the summands.
//! 3. [`explore`]: which mixes are walked. What was measured decides, and where bootstraps are needed as many as a
//!    compilation of the mix takes ([`cost`]); estimates only say where to look.

mod estimates;
mod explore;
mod goal;
mod judge;
mod notes;
mod offers;
mod walker;

use std::collections::BTreeSet;
use std::time::Instant;

use paf_passes::choose::LevelGraph;
use paf_passes::paf::Paf;

use crate::config::Config;
pub use crate::cost::Cost;
use crate::cost::Costs;
use crate::data::Data;
use crate::error::RecoveryError;
use crate::evaluate::Accuracy;
use crate::events::{Event, Listener, tell};
use crate::network::Network;
use crate::steps::{Reference, Walk, Walked};
use crate::target::Target;
use estimates::Estimates;
use explore::Explorer;
use goal::SearchGoal;
use judge::Judge;
pub use judge::Judged;
use notes::Notes;
pub(crate) use notes::file_beside;
use offers::menus;
pub(crate) use walker::usable;
use walker::{Assignment, Walker};

/// A mix that was walked and judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    /// The PAF of each ReLU and MaxPool in graph order.
    pub pafs: Vec<String>,
    /// What it costs.
    pub cost: Cost,
    /// How good it is.
    pub judged: Judged,
}

/// What a search found out.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchReport {
    /// How well the original network does on the samples that judge.
    pub original: Accuracy,
    /// Every mix that was walked.
    pub tried: Vec<Tried>,
    /// Index of the one that was chosen.
    pub chosen: usize,
    /// Points that may be lost, if that was bounded.
    pub max_lost: Option<f64>,
}

impl Tried {
    /// The PAF that all nodes have.
    pub fn uniform(&self) -> Option<&str> {
        let first = self.pafs.first()?;
        self.pafs.iter().all(|paf| paf == first).then_some(first)
    }
}

impl SearchReport {
    /// Whether any mix is refreshed.
    pub fn has_bootstraps(&self) -> bool {
        self.tried.iter().any(|tried| tried.cost.bootstraps > 0)
    }

    /// Mixes of ascending bootstraps and accuracy, none of which another one beats in both; of equals the one of fewest
    /// levels.
    pub fn front_by_bootstraps(&self) -> Vec<&Tried> {
        let mut front: Vec<&Tried> = self.tried.iter().collect();
        front.sort_by_key(|tried| {
            (tried.cost.bootstraps, std::cmp::Reverse(tried.judged.accuracy.correct), tried.cost.levels)
        });
        unbeaten(front)
    }

    /// Mixes of ascending levels and accuracy, none of which another one beats in both.
    pub fn front(&self) -> Vec<&Tried> {
        let mut front: Vec<&Tried> = self.tried.iter().collect();
        front.sort_by_key(|tried| (tried.cost.levels, std::cmp::Reverse(tried.judged.accuracy.correct)));
        unbeaten(front)
    }
}

/// Those that are more accurate than all before them.
fn unbeaten(mut front: Vec<&Tried>) -> Vec<&Tried> {
    let mut most = None;
    front.retain(|tried| {
        let correct = Some(tried.judged.accuracy.correct);
        let better = correct > most;
        most = most.max(correct);
        better
    });
    front
}

/// Searches, and walks the mix that it chooses; mixes cost what the circuit of the target does. The listener hears of the nodes and mixes that are done.
///
/// # Errors
/// [`RecoveryError::Search`] for bounds that no mix keeps; otherwise as [`crate::steps::walk()`].
pub fn search(
    original: &Network,
    data: &Data,
    config: &Config,
    target: &Target,
    listener: &mut Listener<'_>,
) -> Result<(Walked, SearchReport), RecoveryError> {
    data.check_for(&original.graph)?;
    let begin = Instant::now();
    let (seen, held_back) = data.split(config)?;
    let candidates = Candidates::new(original, config)?;
    let levels = LevelGraph::new(&original.graph, original.reduction, target.options.schedule.profile)?;
    let costs = Costs::new(&levels, target)?;
    let judge = Judge::new(original, &held_back)?;
    let reference = Reference::for_steps(original, &seen, config);
    let start = Walk::new(original, &reference, &seen, config);

    let nodes: Vec<_> = original.nonlinear().map(|(_, node)| (node.name.clone(), node.op.clone())).collect();
    let uniform = candidates.uniform(&nodes);
    let (mut done, all) = (0, nodes.len() + uniform.len() + config.search.tries);
    let mut part_done = || {
        done += 1;
        tell(listener, Event::Done { done: done.min(all), all })
    };
    let mut notes = Notes::open(original, data, config, target)?;
    let menus = menus(&start, &candidates.pafs, |node| candidates.allowed(node), &mut notes, &mut part_done)?;
    if let Some(menu) = menus.iter().find(|menu| menu.offers.is_empty()) {
        return Err(RecoveryError::Search(format!("none of its PAFs can be used at node `{}`", menu.node)));
    }
    let mut explorer = Explorer {
        judge: &judge,
        walker: Walker::new(start, &candidates.pafs),
        notes,
        costs: &costs,
        nodes,
        reduction: original.reduction,
        pafs: &candidates.pafs,
        estimates: Estimates::new(&costs, menus),
        goal: SearchGoal::of(&config.search),
        walked: vec![],
        seen: BTreeSet::new(),
    };
    explorer.check_cost()?;
    for assignment in uniform {
        explorer.walk(assignment)?;
        part_done()?;
    }
    for picks in explorer.estimates.even() {
        explorer.walk(explorer.estimates.assignment(&picks))?;
    }
    explorer.explore(config.search.tries, part_done)?;
    let assignment = explorer.chosen()?.assignment.clone();
    let report = explorer.report(&assignment);
    let (network, nodes) = explorer.walker.walk(&assignment)?.expect("it was walked before");
    Ok((Walked { network, nodes, time: begin.elapsed() }, report))
}

/// The PAFs that nodes may get: those of the configuration, and those that it gives to single nodes.
struct Candidates {
    pafs: Vec<Paf>,
    /// How many of them every other node may get.
    open: usize,
    /// Nodes with a PAF of their own, and its index.
    given: Vec<(String, usize)>,
}

impl Candidates {
    fn new(original: &Network, config: &Config) -> Result<Self, RecoveryError> {
        original.check_names(config.node_pafs.keys())?;
        let mut pafs = config.search.pafs.iter().map(|name| Paf::by_name(name)).collect::<Result<Vec<_>, _>>()?;
        let (open, mut given) = (pafs.len(), vec![]);
        for (node, name) in &config.node_pafs {
            given.push((node.clone(), pafs.len()));
            pafs.push(Paf::by_name(name)?);
        }
        Ok(Candidates { pafs, open, given })
    }

    fn allowed(&self, node: &str) -> Vec<usize> {
        let given = self.given.iter().find(|given| given.0 == node);
        given.map_or((0..self.open).collect(), |given| vec![given.1])
    }

    /// One PAF for all nodes that may choose.
    fn uniform(&self, nodes: &[(String, paf_ir::tensor::Op)]) -> Vec<Assignment> {
        let paf = |node: &str, paf: usize| match self.allowed(node)[..] {
            [given] => given,
            _ => paf,
        };
        (0..self.open).map(|index| nodes.iter().map(|(node, _)| paf(node, index)).collect()).collect()
    }
}

impl Explorer<'_> {
    fn check_cost(&self) -> Result<(), RecoveryError> {
        if !self.allowed_ranks().is_empty() {
            return Ok(());
        }
        let costs = || self.estimates.front().into_iter().map(|picks| self.estimates.cost(&picks));
        let levels = costs().map(|cost| cost.levels).min().unwrap_or(0);
        let problem = match self.goal {
            SearchGoal { max_levels, .. } if levels > max_levels => format!(
                "max_levels = {max_levels}: with the shallowest of its PAFs the network takes {levels} levels; allow that \
                 many, or shallower PAFs in search.pafs"
            ),
            SearchGoal { max_bootstraps, .. } => match costs().map(|cost| cost.bootstraps).min() {
                None | Some(u32::MAX) => {
                    "no parameters have the levels of its PAFs; allow shallower ones in search.pafs".into()
                }
                Some(least) => format!(
                    "max_bootstraps = {max_bootstraps}: the network is expected to take {least} within its levels; allow \
                     that many, or shallower PAFs in search.pafs"
                ),
            },
        };
        Err(RecoveryError::Search(problem))
    }

    fn chosen(&self) -> Result<&explore::WalkedMix, RecoveryError> {
        let best = self.best().ok_or_else(|| RecoveryError::Search("no mix of its PAFs can be used".into()))?;
        if self.goal.is_met(best.cost, &best.judged) {
            return Ok(best);
        }
        let Cost { levels, bootstraps, .. } = best.cost;
        if !self.goal.allows(best.cost) {
            return Err(RecoveryError::Search(format!(
                "of {} mixes the best one takes {levels} levels and {bootstraps} bootstraps; allow that many, more memory, \
                 or shallower PAFs in search.pafs",
                self.walked.len(),
            )));
        }
        let (points, certainty) = self.goal.max_lost.unwrap_or_default();
        let needed = best.judged.lost + certainty * best.judged.standard_error;
        Err(RecoveryError::Search(format!(
            "max_lost = {points}: of {} mixes the best one within {levels} levels loses {:.2} ± {:.2} points; max_lost = \
             {:.2} would work, or deeper PAFs in search.pafs, or more levels and bootstraps",
            self.walked.len(),
            best.judged.lost,
            best.judged.standard_error,
            (100.0 * needed).ceil() / 100.0,
        )))
    }

    fn report(&self, chosen: &Assignment) -> SearchReport {
        let names = |assignment: &Assignment| assignment.iter().map(|&paf| self.pafs[paf].name.clone()).collect();
        let tried = |walked: &explore::WalkedMix| Tried {
            pafs: names(&walked.assignment),
            cost: walked.cost,
            judged: walked.judged,
        };
        SearchReport {
            original: self.judge.original(),
            tried: self.walked.iter().map(tried).collect(),
            chosen: self.walked.iter().position(|walked| walked.assignment == *chosen).unwrap_or(0),
            max_lost: self.goal.max_lost.map(|bound| bound.0),
        }
    }
}
