//! Where to refresh: the cheapest set of bootstraps on any directed acyclic graph.
//!
//! Levels follow from the outputs backwards once it is known which values are refreshed: a refreshed value runs at
//! level 1 whatever its readers need, any other runs at the highest level that a reader needs. So values are visited
//! from the last to the first, and all that the rest of the decisions depends on is the level needed of each value
//! that is read already and not yet visited. A state is these needs and the seconds spent so far; a state that needs
//! no less anywhere than another one and has spent no less can be forgotten, because operations never become cheaper at
//! a higher level. What remains is exact for every graph, residuals, concatenations and nestings included.
//!
//! On wide graphs too many states may remain. Beyond [`STATE_LIMIT`] those are kept whose seconds, with the levels
//! they need at the price of a bootstrap by level, are fewest; the result is then good but not proven optimal.

use std::cmp::Ordering;

use super::levels::LEVEL_BEFORE_REFRESH;

/// Most states kept at a value.
const STATE_LIMIT: usize = 400;

/// A value of the graph.
#[derive(Debug)]
pub(super) struct Step {
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
pub(super) fn place(steps: &[Step], outputs: &[usize], limits: Limits) -> Option<Found> {
    let mut search = Search { steps, limits, frontier: Frontier::at(outputs), decisions: vec![], optimal: true };
    for value in (0..steps.len()).rev() {
        search.visit(value);
    }
    search.found()
}

/// States at one point of the visit.
struct Frontier {
    /// Values that are read already and not yet visited, ascending.
    live: Vec<usize>,
    states: Vec<State>,
}

#[derive(Clone)]
struct State {
    /// Level needed of each live value.
    needs: Vec<u8>,
    seconds: f64,
    /// Index of the last decision.
    decision: u32,
}

impl Frontier {
    fn at(outputs: &[usize]) -> Self {
        let mut live = outputs.to_vec();
        live.sort_unstable();
        live.dedup();
        let needs = vec![0; live.len()];
        Frontier { live, states: vec![State { needs, seconds: 0.0, decision: NONE }] }
    }
}

/// No decision before this one.
const NONE: u32 = u32::MAX;

struct Search<'s> {
    steps: &'s [Step],
    limits: Limits,
    frontier: Frontier,
    /// Values refreshed, each with the decision before it.
    decisions: Vec<(usize, u32)>,
    optimal: bool,
}

impl Search<'_> {
    fn visit(&mut self, value: usize) {
        let step = &self.steps[value];
        let place = self.frontier.live.iter().position(|&live| live == value);
        let live = self.live_after(value);
        let from: Vec<Option<usize>> = live.iter().map(|next| self.frontier.live.binary_search(next).ok()).collect();
        let operands: Vec<(usize, u32)> = step
            .operands
            .iter()
            .map(|&(operand, above)| (live.binary_search(&operand).expect("operands are live"), above))
            .collect();
        let states = std::mem::take(&mut self.frontier.states);
        let mut next = Vec::with_capacity(2 * states.len());
        for state in &states {
            let need = place.map_or(0, |place| u32::from(state.needs[place]));
            let needs = |own: u32| self.needs(state, &from, &operands, own);
            if let Some(needs) = needs(need) {
                next.push(State { needs, seconds: state.seconds + step.seconds[need as usize], ..*state });
            }
            let Some(price) = step.refresh.filter(|_| need > LEVEL_BEFORE_REFRESH && need <= self.limits.refreshed)
            else {
                continue;
            };
            if let Some(needs) = needs(LEVEL_BEFORE_REFRESH) {
                let seconds = state.seconds + price + step.seconds[LEVEL_BEFORE_REFRESH as usize];
                self.decisions.push((value, state.decision));
                next.push(State { needs, seconds, decision: self.decisions.len() as u32 - 1 });
            }
        }
        self.frontier = Frontier { live, states: best(next) };
        self.bound();
    }

    fn live_after(&self, value: usize) -> Vec<usize> {
        let operands = self.steps[value].operands.iter().map(|&(operand, _)| operand);
        let mut live: Vec<usize> = self.frontier.live.iter().copied().filter(|&other| other != value).collect();
        live.extend(operands);
        live.sort_unstable();
        live.dedup();
        live
    }

    /// The needs after a value at level `own`, if no operand is needed above the highest level.
    fn needs(&self, state: &State, from: &[Option<usize>], operands: &[(usize, u32)], own: u32) -> Option<Vec<u8>> {
        let mut needs: Vec<u8> = from.iter().map(|old| old.map_or(0, |old| state.needs[old])).collect();
        for &(place, above) in operands {
            let level = own + above;
            if level > self.limits.fresh {
                return None;
            }
            needs[place] = needs[place].max(level as u8);
        }
        Some(needs)
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
        let promise =
            |state: &State| state.seconds + by_level * state.needs.iter().map(|&need| f64::from(need)).sum::<f64>();
        states.sort_by(|a, b| promise(a).total_cmp(&promise(b)).then_with(|| a.needs.cmp(&b.needs)));
        states.truncate(STATE_LIMIT);
    }

    fn found(self) -> Option<Found> {
        let best = self.frontier.states.iter().min_by(|a, b| a.seconds.total_cmp(&b.seconds))?;
        let mut refreshed = vec![false; self.steps.len()];
        let mut decision = best.decision;
        while decision != NONE {
            let (value, before) = self.decisions[decision as usize];
            refreshed[value] = true;
            decision = before;
        }
        Some(Found { refreshed, seconds: best.seconds, optimal: self.optimal })
    }
}

/// States that no other one dominates, in a fixed order.
fn best(mut states: Vec<State>) -> Vec<State> {
    let order =
        |a: &State, b: &State| -> Ordering { a.seconds.total_cmp(&b.seconds).then_with(|| a.needs.cmp(&b.needs)) };
    states.sort_by(order);
    let mut kept: Vec<State> = Vec::with_capacity(states.len());
    for state in states {
        let dominated = kept.iter().any(|other| other.needs.iter().zip(&state.needs).all(|(a, b)| a <= b));
        if !dominated {
            kept.push(state);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Seconds of one set of bootstraps, level by level; `None` if a level is out of reach.
    fn evaluate(steps: &[Step], outputs: &[usize], limits: Limits, refreshed: &[bool]) -> Option<f64> {
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
                own = LEVEL_BEFORE_REFRESH;
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

    fn brute_force(steps: &[Step], outputs: &[usize], limits: Limits) -> Option<f64> {
        let sets = (0..1u32 << steps.len()).filter_map(|set| {
            let refreshed: Vec<bool> = (0..steps.len()).map(|value| set >> value & 1 == 1).collect();
            evaluate(steps, outputs, limits, &refreshed)
        });
        sets.min_by(f64::total_cmp)
    }

    fn check(steps: &[Step], outputs: &[usize], limits: Limits) {
        let expected = brute_force(steps, outputs, limits);
        let found = place(steps, outputs, limits);
        assert_eq!(found.is_some(), expected.is_some());
        let (Some(found), Some(expected)) = (found, expected) else { return };
        let again = evaluate(steps, outputs, limits, &found.refreshed).expect("within the limits");
        assert!(found.optimal && (again - found.seconds).abs() < 1e-9, "{again} against {}", found.seconds);
        assert!((found.seconds - expected).abs() < 1e-9, "{} against {expected}", found.seconds);
    }

    /// A step whose cost grows with the level.
    fn step(operands: &[(usize, u32)], base: f64, refresh: Option<f64>) -> Step {
        let seconds = (0..=20).map(|level| base * f64::from(level + 1)).collect();
        Step { operands: operands.to_vec(), seconds, refresh }
    }

    const LIMITS: Limits = Limits { fresh: 6, refreshed: 4 };

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
        ) -> (Vec<Step>, Vec<usize>) {
            let node = |(value, &(near, far, above, far_above)): (usize, &(usize, Option<usize>, u32, u32))| {
                let mut operands = vec![];
                if value > 0 {
                    operands.push((value - near.min(value), above));
                    operands.extend(far.map(|far| (value - far.min(value), far_above)));
                }
                step(&operands, f64::from(prices[value].0) / 10.0, prices[value].1.map(f64::from))
            };
            let steps: Vec<Step> = reads.iter().enumerate().map(node).collect();
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
