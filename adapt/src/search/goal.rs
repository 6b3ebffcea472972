//! What a search aims for, and which of two mixes is better by that.

use std::cmp::Ordering;

use super::judge::Judged;
use crate::config::SearchConfig;
use crate::cost::Cost;

/// Bounds that a mix must keep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SearchGoal {
    pub(super) max_levels: u32,
    pub(super) max_bootstraps: u32,
    /// Points lost and standard errors; with it the cheapest mix is wanted, without it most accuracy.
    pub(super) max_lost: Option<(f64, f64)>,
}

impl SearchGoal {
    /// What a configuration aims for: without any bound, one on the loss.
    pub(super) fn of(config: &SearchConfig) -> Self {
        let default = (config.max_levels.is_none() && config.max_bootstraps.is_none()).then_some(1.0);
        SearchGoal {
            max_levels: config.max_levels.unwrap_or(u32::MAX),
            max_bootstraps: config.max_bootstraps.unwrap_or(u32::MAX),
            max_lost: config.max_lost.or(default).map(|points| (points, config.certainty)),
        }
    }

    /// Whether a mix keeps the bounds.
    pub(super) fn is_met(&self, cost: Cost, judged: &Judged) -> bool {
        let keeps = |(points, certainty): (f64, f64)| judged.lost + certainty * judged.standard_error <= points;
        self.allows(cost) && self.max_lost.is_none_or(keeps)
    }

    /// Whether a cost keeps the bounds.
    pub(super) fn allows(&self, cost: Cost) -> bool {
        cost.levels <= self.max_levels && cost.bootstraps <= self.max_bootstraps && cost.bootstraps < u32::MAX
    }

    /// `Less` for the better one. Of mixes that keep the bounds the cheaper one is better if a bound on the loss asks for
    /// that; then the more accurate one, the one that diverges less, the cheaper one, the one of fewer levels.
    pub(super) fn order(&self, (a_cost, a): (Cost, &Judged), (b_cost, b): (Cost, &Judged)) -> Ordering {
        let is_met = [self.is_met(a_cost, a), self.is_met(b_cost, b)];
        let cheapest_first = self.max_lost.is_some() && is_met == [true, true];
        let by_price = a_cost.price().cmp(&b_cost.price());
        is_met[1]
            .cmp(&is_met[0])
            .then(self.allows(b_cost).cmp(&self.allows(a_cost)))
            .then(if cheapest_first { by_price } else { Ordering::Equal })
            .then(b.accuracy.correct.cmp(&a.accuracy.correct))
            .then(a.divergence.total_cmp(&b.divergence))
            .then(by_price)
            .then(a_cost.levels.cmp(&b_cost.levels))
    }
}
