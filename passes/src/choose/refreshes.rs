//! The least error for every number of bootstraps, before anything of a network is lowered.
//!
//! Levels follow from the outputs backwards (`frontier.rs`), as in the search for the places of bootstraps
//! (`schedule/search.rs`): a refreshed value needs level 1 whatever its readers need, any other the highest level that a reader
//! needs. Here a step is a whole layer with several ways to do it. A linear layer or a sum can be refreshed at its result, which
//! the scale of the ReLU or MaxPool after it keeps small enough for a bootstrap; a pool can between the comparisons that it
//! consists of. The result of a ReLU is often in other units, and not taken to be small enough. What is spent are bootstraps
//! and error. That is exact up to [`STATE_LIMIT`].

use std::cmp::Ordering;

use super::search::{self, Choice, ChoiceStep};
use crate::frontier::{Frontier, Spent, State, Way};
use crate::schedule::Stretch;

/// Most states kept at a step.
const STATE_LIMIT: usize = 1000;

/// A graph of steps on one chain of primes.
pub(super) struct Refreshes<'s> {
    pub(super) steps: &'s [ChoiceStep],
    pub(super) outputs: &'s [usize],
    /// Comparisons in sequence of each step, parts of equal levels; none of a step that can be refreshed at its result.
    pub(super) comparisons: &'s [u32],
    /// Ciphertexts of each step's result.
    pub(super) ciphertexts: Vec<u32>,
    pub(super) stretch: Stretch,
}

/// A choice for every step.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refreshed {
    pub(super) bootstraps: u32,
    pub(super) error: f64,
    /// Index of the choice of each step.
    pub(super) picks: Vec<usize>,
}

/// Bootstraps and error of all that was visited.
#[derive(Debug, Clone, Copy)]
struct Price {
    bootstraps: u32,
    error: f64,
}

impl Spent for Price {
    fn order(&self, other: &Self) -> Ordering {
        self.bootstraps.cmp(&other.bootstraps).then(self.error.total_cmp(&other.error))
    }

    fn is_at_most(&self, other: &Self) -> bool {
        self.bootstraps <= other.bootstraps && self.error <= other.error
    }
}

impl Refreshes<'_> {
    /// Ascending bootstraps, strictly descending error; empty if the levels do not suffice whatever is chosen.
    pub(super) fn front(&self) -> Vec<Refreshed> {
        let mut frontier = Frontier::at(self.outputs, Price { bootstraps: 0, error: 0.0 });
        for step in (0..self.steps.len()).rev() {
            self.visit(step, &mut frontier);
            bound(&mut frontier.states);
        }
        frontier.states.iter().map(|state| self.found(state, &frontier)).collect()
    }

    /// Decides on the choice of a step.
    fn visit(&self, step: usize, frontier: &mut Frontier<Price, (usize, usize)>) {
        let ChoiceStep { operands, choices } = &self.steps[step];
        frontier.visit(step, operands.iter().map(|&operand| (operand, 0)), |need, before| {
            let ways = |(pick, choice): (usize, &Choice)| {
                let error = before.error + choice.error;
                let decision = (choices.len() > 1).then_some((step, pick));
                let through = self.through(step, choice.levels, need).into_iter();
                through.map(move |(level, refreshes)| {
                    let bootstraps = before.bootstraps + refreshes * self.ciphertexts[step];
                    Way { level, spent: Price { bootstraps, error }, decision }
                })
            };
            choices.iter().enumerate().flat_map(ways).collect::<Vec<_>>()
        });
    }

    /// Levels that a step needs of its operands, each with the number of times that it is refreshed for that.
    fn through(&self, step: usize, levels: u32, need: u32) -> Vec<(u32, u32)> {
        let Stretch { fresh, refreshed, source, .. } = self.stretch;
        let between = refreshed.saturating_sub(source).max(1);
        // What is deeper than all that lies between two bootstraps must be refreshed inside.
        let parts = self.comparisons[step].max(levels.div_ceil(between)).max(1);
        let is_input = self.steps[step].operands.is_empty();
        let is_small = self.comparisons[step] == 0;
        let mut ways = vec![(need, 0)];
        for part in 0..parts {
            let levels = levels * (part + 1) / parts - levels * part / parts;
            let on = ways.iter().map(|&(need, refreshes)| (need + levels, refreshes));
            let is_possible = !is_input && (is_small || part > 0);
            let can_refresh = |need: u32| need > source && need <= refreshed && is_possible;
            let over = ways.iter().filter(|way| can_refresh(way.0));
            let over = over.map(|&(_, refreshes)| (source + levels, refreshes + 1));
            let all = on.chain(over).filter(|way| way.0 <= fresh).collect();
            ways = search::unbeaten(all, |&(need, refreshes)| (refreshes, f64::from(need)));
        }
        ways
    }

    fn found(&self, state: &State<Price>, frontier: &Frontier<Price, (usize, usize)>) -> Refreshed {
        let mut picks = vec![0; self.steps.len()];
        frontier.decisions(state).for_each(|(step, pick)| picks[step] = pick);
        let Price { bootstraps, error } = state.spent;
        Refreshed { bootstraps, error, picks }
    }
}

/// Keeps the least error of each number of bootstraps, then the next one of each, where there are too many states.
fn bound(states: &mut Vec<State<Price>>) {
    if states.len() <= STATE_LIMIT {
        return;
    }
    let mut ranks = vec![];
    for (index, state) in states.iter().enumerate() {
        let first = states.partition_point(|other| other.spent.bootstraps < state.spent.bootstraps);
        ranks.push((index - first, index));
    }
    ranks.sort_unstable();
    let mut stay: Vec<usize> = ranks[..STATE_LIMIT].iter().map(|rank| rank.1).collect();
    stay.sort_unstable();
    *states = stay.into_iter().map(|index| states[index].clone()).collect();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STRETCH: Stretch = Stretch { fresh: 9, refreshed: 6, source: 1, seconds: 1.0 };

    fn steps(operands: &[&[usize]], choices: &[&[(u32, f64)]]) -> Vec<ChoiceStep> {
        let choices = choices.iter().map(|all| all.iter().map(|&(levels, error)| Choice { levels, error }).collect());
        operands
            .iter()
            .zip(choices)
            .map(|(operands, choices)| ChoiceStep { operands: operands.to_vec(), choices })
            .collect()
    }

    fn front(steps: &[ChoiceStep], comparisons: &[u32]) -> Vec<Refreshed> {
        let ciphertexts = vec![1; steps.len()];
        Refreshes { steps, outputs: &[steps.len() - 1], comparisons, ciphertexts, stretch: STRETCH }.front()
    }

    #[test]
    fn levels_are_spent_where_they_cost_no_bootstrap() {
        // Before a bootstrap there are 8 levels at first, later 5: the second step is worth more of the 8.
        let choices: [&[(u32, f64)]; 4] = [&[(0, 0.0)], &[(3, 1.0), (5, 0.1)], &[(3, 2.0), (5, 0.2)], &[(4, 0.0)]];
        let steps = steps(&[&[], &[0], &[1], &[2]], &choices);
        let found = front(&steps, &[0; 4]);
        let facts: Vec<_> = found.iter().map(|found| (found.bootstraps, &found.picks[1..3])).collect();
        assert_eq!(facts, [(1, &[0, 1][..]), (2, &[1, 1])]);
        assert!((found[0].error - 1.2).abs() < 1e-12);
    }

    #[test]
    fn a_step_of_two_comparisons_is_refreshed_between_them() {
        let steps = steps(&[&[], &[0]], &[&[(0, 0.0)], &[(12, 0.0)]]);
        assert_eq!(front(&steps, &[0, 2])[0].bootstraps, 1);
        assert_eq!(front(&steps, &[0, 1])[0].bootstraps, 1, "a step deeper than a stretch is refreshed inside");
    }

    #[test]
    fn the_result_of_a_relu_is_not_refreshed() {
        let levels = [0, 8, 1, 5, 0];
        let steps: Vec<ChoiceStep> = (0..5usize)
            .map(|step| ChoiceStep {
                operands: step.checked_sub(1).into_iter().collect(),
                choices: vec![Choice { levels: levels[step], error: 0.0 }],
            })
            .collect();
        assert_eq!(front(&steps, &[0, 0, 0, 0, 0])[0].bootstraps, 1, "after the step of 8 levels");
        assert_eq!(front(&steps, &[0, 1, 0, 1, 0])[0].bootstraps, 2, "after the step of 1 level, and within that of 8");
    }

    /// Every choice, every set of refreshed results, levels from the outputs backwards.
    fn brute_force(steps: &[ChoiceStep]) -> Vec<(u32, f64)> {
        let mut best: Vec<(u32, f64)> = vec![];
        let all = steps.iter().map(|step| step.choices.len()).product::<usize>();
        for mut code in 0..all {
            let picks: Vec<usize> = steps
                .iter()
                .map(|step| {
                    let pick = code % step.choices.len();
                    code /= step.choices.len();
                    pick
                })
                .collect();
            let error = steps.iter().zip(&picks).map(|(step, &pick)| step.choices[pick].error).sum();
            for set in 0..1u32 << steps.len() {
                if fits(steps, &picks, set) {
                    best.push((set.count_ones(), error));
                }
            }
        }
        best.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let mut least = f64::INFINITY;
        best.retain(|&(_, error)| {
            let better = error < least - 1e-9;
            least = least.min(error);
            better
        });
        best
    }

    fn fits(steps: &[ChoiceStep], picks: &[usize], refreshed: u32) -> bool {
        let mut needs = vec![0; steps.len()];
        for (value, step) in steps.iter().enumerate().rev() {
            let mut own = needs[value];
            if refreshed >> value & 1 == 1 {
                if step.operands.is_empty() || own > STRETCH.refreshed {
                    return false;
                }
                own = own.min(STRETCH.source);
            }
            let need = own + step.choices[picks[value]].levels;
            if need > STRETCH.fresh {
                return false;
            }
            step.operands.iter().for_each(|&operand| needs[operand] = needs[operand].max(need));
        }
        true
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn fronts_are_those_of_all_choices_and_places(
            nodes in prop::collection::vec((1usize..3, prop::option::of(1usize..5), 0u32..5, 0u32..5, 1u32..9), 2..7),
        ) {
            let step = |(value, &(near, far, levels, more, error)): (usize, &(usize, Option<usize>, u32, u32, u32))| {
                let mut operands: Vec<usize> = [Some(near), far].into_iter().flatten().map(|d| value - d.min(value)).collect();
                operands.retain(|&operand| operand != value);
                operands.dedup();
                let error = f64::from(error);
                let fine = Choice { levels: (levels + more).min(5), error: error / 8.0 };
                ChoiceStep { operands, choices: vec![Choice { levels, error }, fine] }
            };
            let steps: Vec<ChoiceStep> = nodes.iter().enumerate().map(step).collect();
            let expected = brute_force(&steps);
            let found: Vec<(u32, f64)> =
                front(&steps, &vec![0; steps.len()]).iter().map(|found| (found.bootstraps, found.error)).collect();
            prop_assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                prop_assert_eq!(found.0, expected.0);
                prop_assert!((found.1 - expected.1).abs() < 1e-9);
            }
        }
    }
}
