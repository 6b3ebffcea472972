//! Which mixes are walked, and in which order.
//!
//! First every uniform PAF, then for each depth what fits each node best. Their losses correct the estimates, which then
//! propose one mix after the other: halfway between the cost known to suffice and that known not to, and once these meet,
//! the most promising mixes of one level or bootstrap less, until [`PATIENCE`] of them in a row have failed.

use std::collections::BTreeSet;

use paf_ir::tensor::Op;
use paf_passes::approximate::{Reduction, levels_with};
use paf_passes::paf::Paf;

use super::estimates::{Estimates, Picks};
use super::goal::SearchGoal;
use super::judge::{Judge, Judged};
use super::notes::Notes;
use super::walker::{Assignment, Walker, usable};
use crate::cost::{Cost, Costs};
use crate::error::RecoveryError;

/// Mixes of one cost that fail before it counts as too little; half as many are tried for more accuracy at the cost that
/// suffices.
const PATIENCE: usize = 8;

/// A mix that was walked and judged.
pub(super) struct WalkedMix {
    pub(super) assignment: Assignment,
    pub(super) cost: Cost,
    pub(super) judged: Judged,
}

pub(super) struct Explorer<'a> {
    pub(super) judge: &'a Judge<'a>,
    pub(super) walker: Walker<'a>,
    pub(super) notes: Notes,
    pub(super) costs: &'a Costs<'a>,
    /// Name and operation of each ReLU and MaxPool.
    pub(super) nodes: Vec<(String, Op)>,
    /// How pools compare.
    pub(super) reduction: Reduction,
    pub(super) pafs: &'a [Paf],
    pub(super) estimates: Estimates<'a>,
    pub(super) goal: SearchGoal,
    pub(super) walked: Vec<WalkedMix>,
    /// Walked mixes, those with unusable PAFs included.
    pub(super) seen: BTreeSet<Assignment>,
}

/// Where the cost that suffices is sought, as [`Costs::rank`] numbers it.
struct Bracket {
    /// Known not to suffice, as far as halving has shown.
    too_little: u32,
    /// Mixes of one less than what suffices that have failed.
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
        let result = match self.notes.walk(&assignment) {
            Some(known) => known,
            None => {
                let measured = self.measured(&assignment)?;
                self.notes.add_walk(assignment.clone(), measured)?;
                measured
            }
        };
        let Some((cost, judged)) = result else { return Ok(()) };
        if let Some(picks) = self.estimates.picks(&assignment) {
            self.estimates.learn(&picks, judged.divergence);
        }
        self.walked.push(WalkedMix { assignment, cost, judged });
        Ok(())
    }

    /// Cost and quality of a mix; `None` if a PAF cannot be used where it stands.
    fn measured(&mut self, assignment: &Assignment) -> Result<Option<(Cost, Judged)>, RecoveryError> {
        let Some((network, _)) = self.walker.walk(assignment)? else { return Ok(None) };
        let Some(cost) = usable(self.costs.compiled(&network, self.expected_cost(assignment)))? else {
            return Ok(None);
        };
        Ok(Some((cost, self.judge.judge(&network)?)))
    }

    fn expected_cost(&self, assignment: &[usize]) -> Cost {
        let levels = self.nodes.iter().zip(assignment);
        let levels = levels.map(|((name, op), &paf)| (name.clone(), levels_with(op, &self.pafs[paf], self.reduction)));
        self.costs.expected(&levels.collect())
    }

    /// Proposes and walks mixes.
    pub(super) fn explore(
        &mut self,
        tries: usize,
        mut part_done: impl FnMut() -> Result<(), RecoveryError>,
    ) -> Result<(), RecoveryError> {
        let ranks = self.allowed_ranks();
        let (least, most) = (ranks.iter().min().copied().unwrap_or(0), ranks.iter().max().copied().unwrap_or(0));
        let mut bracket = Bracket { too_little: least.saturating_sub(1), failures: 0, refinements: 0 };
        for _ in 0..tries {
            let before = self.best_met();
            let enough = before.map_or(most + 1, |best| self.costs.rank(best.cost));
            let Some(limit) = self.next_limit(&bracket, enough) else { break };
            let Some(picks) = self.proposal(limit) else { break };
            let best_before = before.map(|best| best.assignment.clone());
            self.walk(self.estimates.assignment(&picks))?;
            let improved = self.best_met().map(|best| &best.assignment) != best_before.as_ref();
            bracket.update(limit, enough, improved);
            part_done()?;
        }
        Ok(())
    }

    /// The costs of the mixes that lose least, as far as the bounds allow them.
    pub(super) fn allowed_ranks(&self) -> Vec<u32> {
        let costs = self.estimates.front().into_iter().map(|picks| self.estimates.cost(&picks));
        costs.filter(|&cost| self.goal.allows(cost)).map(|cost| self.costs.rank(cost)).collect()
    }

    /// The most that the next mix may cost; `None` if enough was tried.
    fn next_limit(&self, bracket: &Bracket, enough: u32) -> Option<u32> {
        if self.goal.max_lost.is_none() {
            return (bracket.failures < PATIENCE).then_some(u32::MAX);
        }
        match (enough.saturating_sub(bracket.too_little), bracket.failures, bracket.refinements) {
            (2.., _, _) => Some(bracket.too_little.midpoint(enough)),
            (_, 0..PATIENCE, _) => Some(enough - 1),
            (_, _, refinements) => (refinements < PATIENCE / 2).then_some(enough),
        }
    }

    /// The best mix that keeps the bounds.
    fn best_met(&self) -> Option<&WalkedMix> {
        self.best().filter(|best| self.goal.is_met(best.cost, &best.judged))
    }

    /// The best mix of all.
    pub(super) fn best(&self) -> Option<&WalkedMix> {
        self.walked.iter().min_by(|a, b| self.goal.order((a.cost, &a.judged), (b.cost, &b.judged)))
    }

    /// The mix of least expected loss that was not walked, of those that lose least for their cost and the neighbours of
    /// good ones.
    fn proposal(&self, limit: u32) -> Option<Picks> {
        let fits = |picks: &Picks| {
            let cost = self.estimates.cost(picks);
            self.goal.allows(cost) && self.costs.rank(cost) <= limit
        };
        let by_loss = |a: &Picks, b: &Picks| self.estimates.loss(a).total_cmp(&self.estimates.loss(b));
        let mut pool = self.estimates.front();
        pool.sort_by(by_loss);
        let base = pool.iter().find(|picks| fits(picks)).cloned();
        let last = self.walked.last().into_iter().chain(self.best());
        let bases = base.into_iter().chain(last.filter_map(|mix| self.estimates.picks(&mix.assignment)));
        bases.for_each(|base| pool.extend(self.estimates.neighbours(&base)));
        pool.retain(|picks| !self.seen.contains(&self.estimates.assignment(picks)));
        pool.sort_by(by_loss);
        pool.into_iter().find(fits)
    }
}

impl Bracket {
    fn update(&mut self, limit: u32, enough: u32, improved: bool) {
        match (improved, limit) {
            (true, u32::MAX) => self.failures = 0,
            (false, u32::MAX) => self.failures += 1,
            (true, _) if limit < enough => self.failures = 0,
            (false, _) if limit.saturating_add(1) < enough => self.too_little = limit,
            _ if limit >= enough => self.refinements += 1,
            _ => self.failures += 1,
        }
    }
}
