//! Which mixes are walked, and in which order.
//!
//! First every uniform PAF, then for each depth what fits each node best. Their losses correct the estimates, which then
//! propose one mix after the other: halfway between the levels known to suffice and those known not to, and once these
//! meet, the most promising mixes of one level less, until [`PATIENCE`] of them in a row have failed.

use std::collections::BTreeSet;

use paf_ir::tensor::Op;
use paf_passes::approximate::levels_with;
use paf_passes::choose::LevelGraph;
use paf_passes::paf::Paf;

use super::config::Goal;
use super::estimates::{Estimates, Picks};
use super::judge::{Judge, Judged};
use super::walker::{Assignment, Walker};
use crate::error::RecoveryError;

/// Mixes of one number of levels that fail before it counts as too few; half as many are tried for more accuracy at the
/// levels that suffice.
const PATIENCE: usize = 8;

/// A mix that was walked and judged.
pub(super) struct Walked {
    pub(super) assignment: Assignment,
    pub(super) levels: u32,
    pub(super) judged: Judged,
}

pub(super) struct Explorer<'a> {
    pub(super) judge: &'a Judge<'a>,
    pub(super) walker: Walker<'a>,
    pub(super) levels: &'a LevelGraph,
    /// Name and operation of each ReLU and MaxPool.
    pub(super) nodes: Vec<(String, Op)>,
    pub(super) pafs: &'a [Paf],
    pub(super) estimates: Estimates<'a>,
    pub(super) goal: Goal,
    pub(super) walked: Vec<Walked>,
    /// Walked mixes, those with unusable PAFs included.
    pub(super) seen: BTreeSet<Assignment>,
}

/// Where the levels that suffice are sought.
struct Bracket {
    /// Levels known not to suffice, as far as halving has shown.
    too_few: u32,
    /// Mixes of one level less than what suffices that have failed.
    failures: usize,
    /// Mixes tried for more accuracy.
    refinements: usize,
}

impl Explorer<'_> {
    /// Walks and judges a mix that was not seen yet.
    pub(super) fn walk(&mut self, assignment: Assignment) -> Result<(), RecoveryError> {
        if !self.seen.insert(assignment.clone()) {
            return Ok(());
        }
        let Some((network, _)) = self.walker.walk(&assignment)? else { return Ok(()) };
        let judged = self.judge.judge(&network)?;
        if let Some(picks) = self.estimates.picks(&assignment) {
            self.estimates.learn(&picks, judged.divergence);
        }
        let levels = self.depth(&assignment);
        self.walked.push(Walked { assignment, levels, judged });
        Ok(())
    }

    fn depth(&self, assignment: &[usize]) -> u32 {
        let levels = self.nodes.iter().zip(assignment);
        self.levels.depth(&levels.map(|((name, op), &paf)| (name.clone(), levels_with(op, &self.pafs[paf]))).collect())
    }

    /// Proposes and walks mixes.
    pub(super) fn explore(&mut self, tries: usize, mut progress: impl FnMut()) -> Result<(), RecoveryError> {
        let front = self.estimates.front();
        let least = front.first().map_or(0, |mix| mix.0);
        let most = front.last().map_or(0, |mix| mix.0).min(self.goal.max_levels);
        let mut bracket = Bracket { too_few: least.saturating_sub(1), failures: 0, refinements: 0 };
        for _ in 0..tries {
            let before = self.best_met();
            let enough = before.map_or(most + 1, |best| best.levels);
            let Some(limit) = self.next_limit(&bracket, enough) else { break };
            let Some(picks) = self.proposal(limit) else { break };
            let best_before = before.map(|best| best.assignment.clone());
            self.walk(self.estimates.assignment(&picks))?;
            let improved = self.best_met().map(|best| &best.assignment) != best_before.as_ref();
            bracket.update(limit, enough, improved);
            progress();
        }
        Ok(())
    }

    /// The most levels that the next mix may have; `None` if enough was tried.
    fn next_limit(&self, bracket: &Bracket, enough: u32) -> Option<u32> {
        if self.goal.max_lost.is_none() {
            return (bracket.failures < PATIENCE).then_some(self.goal.max_levels);
        }
        match (enough.saturating_sub(bracket.too_few), bracket.failures, bracket.refinements) {
            (2.., _, _) => Some(bracket.too_few.midpoint(enough)),
            (_, 0..PATIENCE, _) => Some(enough - 1),
            (_, _, refinements) => (refinements < PATIENCE / 2).then_some(enough),
        }
    }

    /// The best mix that keeps the bounds.
    fn best_met(&self) -> Option<&Walked> {
        self.best().filter(|best| self.goal.is_met(best.levels, &best.judged))
    }

    /// The best mix of all.
    pub(super) fn best(&self) -> Option<&Walked> {
        self.walked.iter().min_by(|a, b| self.goal.order((a.levels, &a.judged), (b.levels, &b.judged)))
    }

    /// The mix of least expected loss that was not walked, of those at every depth and the neighbours of good ones.
    fn proposal(&self, limit: u32) -> Option<Picks> {
        let front = self.estimates.front();
        let bases = front.iter().rev().find(|mix| mix.0 <= limit).map(|mix| mix.1.clone());
        let last = self.walked.last().into_iter().chain(self.best());
        let bases = bases.into_iter().chain(last.filter_map(|mix| self.estimates.picks(&mix.assignment)));
        let mut pool: Vec<Picks> = front.into_iter().map(|mix| mix.1).collect();
        bases.for_each(|base| pool.extend(self.estimates.neighbours(&base)));
        pool.retain(|picks| !self.seen.contains(&self.estimates.assignment(picks)));
        pool.sort_by(|a, b| self.estimates.loss(a).total_cmp(&self.estimates.loss(b)));
        pool.into_iter().find(|picks| self.estimates.depth(picks) <= limit)
    }
}

impl Bracket {
    fn update(&mut self, limit: u32, enough: u32, improved: bool) {
        match (improved, limit) {
            (true, _) if limit < enough => self.failures = 0,
            (false, _) if limit + 1 < enough => self.too_few = limit,
            _ if limit >= enough => self.refinements += 1,
            _ => self.failures += 1,
        }
    }
}
