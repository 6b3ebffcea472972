//! Where to refresh: the cheapest set of bootstraps on any directed acyclic graph.
//!
//! Levels follow from the outputs backwards (`frontier.rs`) once it is known which values are refreshed: a refreshed value
//! runs at the level that a bootstrap takes whatever its readers need, any other runs at the highest level that a reader needs. What is spent are
//! seconds; states may be forgotten because operations never become cheaper at a higher level. What remains is exact for
//! every graph, residuals, concatenations and nestings included.
//!
//! On wide graphs too many states may remain. Beyond [`STATE_LIMIT`] those are kept whose seconds, with the levels
//! they need at the price of a bootstrap by level, are fewest; the result is then good but not proven optimal.

use std::cmp::Ordering;

use crate::frontier::{Frontier, Spent, State, Way};

/// Most states kept at a value.
const STATE_LIMIT: usize = 400;

/// A value of the graph.
#[derive(Debug)]
pub(super) struct RefreshStep {
    /// Values it reads, and how many levels above its own they must be.
    pub(super) operands: Vec<(usize, u32)>,
    /// Seconds of its operation by its own level, not decreasing.
    pub(super) seconds: Vec<f64>,
    /// Seconds of its bootstrap, where it can be refreshed.
    pub(super) refresh: Option<f64>,
}

/// Levels that there are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Highest level of a value that no bootstrap comes before.
    pub(super) fresh: u32,
    /// Highest level of a bootstrap's result.
    pub(super) refreshed: u32,
    /// Level of a value that is refreshed.
    pub(super) source: u32,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    /// Which values are refreshed.
    pub(super) refreshed: Vec<bool>,
    /// Seconds of all operations and bootstraps.
    pub(super) seconds: f64,
    /// Whether nothing better exists.
    pub(super) optimal: bool,
}

/// The cheapest set of bootstraps with which every level is within the limits, if any is.
pub(super) fn place(steps: &[RefreshStep], outputs: &[usize], limits: Limits) -> Option<Found> {
    let frontier = Frontier::at(outputs, Seconds(0.0));
    let mut placement = PlacementSearch { steps, limits, frontier, optimal: true };
    (0..steps.len()).rev().for_each(|value| placement.visit(value));
    placement.found()
}

/// Seconds of all that was visited.
#[derive(Debug, Clone, Copy)]
struct Seconds(f64);

impl Spent for Seconds {
    fn order(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }

    fn is_at_most(&self, other: &Self) -> bool {
        self.0 <= other.0
    }
}

struct PlacementSearch<'s> {
    steps: &'s [RefreshStep],
    limits: Limits,
    /// Decided is which values are refreshed.
    frontier: Frontier<Seconds, usize>,
    optimal: bool,
}

impl PlacementSearch<'_> {
    fn visit(&mut self, value: usize) {
        let (step, Limits { fresh, refreshed, source }) = (&self.steps[value], self.limits);
        let above = step.operands.iter().map(|&(_, above)| above).max();
        self.frontier.visit(value, step.operands.iter().copied(), |need, Seconds(before)| {
            let at = |level: u32, price: f64, decision: Option<usize>| {
                let is_possible = above.is_none_or(|above| level + above <= fresh);
                is_possible.then(|| Way {
                    level,
                    spent: Seconds(before + price + step.seconds[level as usize]),
                    decision,
                })
            };
            let can_refresh = need > source && need <= refreshed;
            let price = step.refresh.filter(|_| can_refresh);
            let over = price.and_then(|price| at(source, price, Some(value)));
            at(need, 0.0, None).into_iter().chain(over)
        });
        self.bound();
    }

    /// Keeps the most promising states where there are too many.
    fn bound(&mut self) {
        let states = &mut self.frontier.states;
        if states.len() <= STATE_LIMIT {
            return;
        }
        self.optimal = false;
        let cheapest = self.steps.iter().filter_map(|step| step.refresh).fold(f64::INFINITY, f64::min);
        let by_level = cheapest / f64::from(self.limits.refreshed.max(1));
        let promise = |state: &State<Seconds>| {
            state.spent.0 + by_level * state.needs.iter().map(|&need| f64::from(need)).sum::<f64>()
        };
        states.sort_by(|a, b| promise(a).total_cmp(&promise(b)).then_with(|| a.needs.cmp(&b.needs)));
        states.truncate(STATE_LIMIT);
    }

    fn found(self) -> Option<Found> {
        let best = self.frontier.states.iter().min_by(|a, b| a.spent.order(&b.spent))?;
        let mut refreshed = vec![false; self.steps.len()];
        self.frontier.decisions(best).for_each(|value| refreshed[value] = true);
        Some(Found { refreshed, seconds: best.spent.0, optimal: self.optimal })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Seconds of one set of bootstraps, level by level; `None` if a level is out of reach.
    fn evaluate(steps: &[RefreshStep], outputs: &[usize], limits: Limits, refreshed: &[bool]) -> Option<f64> {
        let mut needs = vec![0; steps.len()];
        let mut seconds = 0.0;
        assert!(outputs.iter().all(|&output| needs[output] == 0));
        for (value, step) in steps.iter().enumerate().rev() {
            let mut own = needs[value];
            if refreshed[value] {
                if own > limits.refreshed {
                    return None;
                }
                seconds += step.refresh?;
                own = limits.source;
            }
            if own > limits.fresh {
                return None;
            }
            seconds += step.seconds[own as usize];
            for &(operand, above) in &step.operands {
                needs[operand] = needs[operand].max(own + above);
            }
        }
        Some(seconds)
    }

    fn brute_force(steps: &[RefreshStep], outputs: &[usize], limits: Limits) -> Option<f64> {
        let sets = (0..1u32 << steps.len()).filter_map(|set| {
            let refreshed: Vec<bool> = (0..steps.len()).map(|value| set >> value & 1 == 1).collect();
            evaluate(steps, outputs, limits, &refreshed)
        });
        sets.min_by(f64::total_cmp)
    }

    fn check(steps: &[RefreshStep], outputs: &[usize], limits: Limits) {
        let expected = brute_force(steps, outputs, limits);
        let found = place(steps, outputs, limits);
        assert_eq!(found.is_some(), expected.is_some());
        let (Some(found), Some(expected)) = (found, expected) else { return };
        let again = evaluate(steps, outputs, limits, &found.refreshed).expect("within the limits");
        assert!(found.optimal && (again - found.seconds).abs() < 1e-9, "{again} against {}", found.seconds);
        assert!((found.seconds - expected).abs() < 1e-9, "{} against {expected}", found.seconds);
    }

    /// A step whose cost grows with the level.
    fn step(operands: &[(usize, u32)], base: f64, refresh: Option<f64>) -> RefreshStep {
        let seconds = (0..=20).map(|level| base * f64::from(level + 1)).collect();
        RefreshStep { operands: operands.to_vec(), seconds, refresh }
    }

    const LIMITS: Limits = Limits { fresh: 6, refreshed: 4, source: 1 };

    #[test]
    fn a_shallow_graph_is_not_refreshed() {
        let steps = [step(&[], 1.0, Some(9.0)), step(&[(0, 2)], 1.0, Some(9.0)), step(&[(1, 3)], 1.0, Some(9.0))];
        let found = place(&steps, &[2], LIMITS).unwrap();
        assert_eq!(found.refreshed, [false; 3]);
    }

    #[test]
    fn the_narrow_place_of_a_residual_is_refreshed() {
        // 0 → 1 → 2 → 3 with a shortcut from 0 to 3: refreshing the sum takes one bootstrap, the branches two.
        let steps = [
            step(&[], 0.1, Some(5.0)),
            step(&[(0, 2)], 0.1, Some(5.0)),
            step(&[(1, 2)], 0.1, Some(5.0)),
            step(&[(2, 0), (0, 0)], 0.1, Some(5.0)),
            step(&[(3, 3)], 0.1, Some(5.0)),
        ];
        let found = place(&steps, &[4], LIMITS).unwrap();
        assert_eq!(found.refreshed, [false, false, false, true, false]);
    }

    #[test]
    fn what_no_bootstrap_can_reach_has_no_placement() {
        let steps = [step(&[], 1.0, None), step(&[(0, 4)], 1.0, None), step(&[(1, 4)], 1.0, None)];
        assert_eq!(place(&steps, &[2], LIMITS), None);
    }

    prop_compose! {
        /// Each value reads one or two of the three before it, or with a long shortcut the first: chains, residuals,
        /// concatenations and nestings of them.
        fn graph()(
            reads in prop::collection::vec((1usize..4, prop::option::of(1usize..8), 0u32..4, 0u32..3), 3..11),
            prices in prop::collection::vec((1u32..20, prop::option::weighted(0.7, 1u32..60)), 10),
            extra_output in prop::option::of(any::<prop::sample::Index>()),
        ) -> (Vec<RefreshStep>, Vec<usize>) {
            let node = |(value, &(near, far, above, far_above)): (usize, &(usize, Option<usize>, u32, u32))| {
                let mut operands = vec![];
                if value > 0 {
                    operands.push((value - near.min(value), above));
                    operands.extend(far.map(|far| (value - far.min(value), far_above)));
                }
                step(&operands, f64::from(prices[value].0) / 10.0, prices[value].1.map(f64::from))
            };
            let steps: Vec<RefreshStep> = reads.iter().enumerate().map(node).collect();
            let outputs = [steps.len() - 1].into_iter().chain(extra_output.map(|index| index.index(steps.len())));
            let outputs = outputs.collect();
            (steps, outputs)
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn placements_are_as_good_as_the_best_of_all((steps, outputs) in graph()) {
            check(&steps, &outputs, LIMITS);
        }
    }
}
