//! Decisions about the levels of a graph, from its outputs backwards.
//!
//! Levels follow from the outputs: a value runs at the highest level that a reader needs of it. So values are visited from the
//! last to the first, and all that the rest of the decisions depends on is the level needed of each value that is read already
//! and not yet visited. A state is these needs and what was spent so far; one that needs no less anywhere than another one and
//! has spent no less can be forgotten.

use std::cmp::Ordering;

/// What decisions have cost.
pub(crate) trait Spent: Copy {
    /// A total order; a state is only forgotten for one that comes before it.
    fn order(&self, other: &Self) -> Ordering;

    /// Whether a state that has spent this is as good as one that has spent the other, if it needs no more.
    fn is_at_most(&self, other: &Self) -> bool;
}

/// One way to reach a point of the visit.
#[derive(Debug, Clone)]
pub(crate) struct State<S> {
    /// Level needed of each live value.
    pub(crate) needs: Vec<u8>,
    pub(crate) spent: S,
    /// Index of the last decision.
    decision: u32,
}

/// What may become of a value that is visited.
pub(crate) struct Way<S, D> {
    /// The level that it is computed at: its operands are needed there, or above.
    pub(crate) level: u32,
    /// All that was spent then.
    pub(crate) spent: S,
    /// What was decided, if there was anything to decide.
    pub(crate) decision: Option<D>,
}

/// States at one point of the visit.
pub(crate) struct Frontier<S, D> {
    /// Values that are read already and not yet visited, ascending.
    live: Vec<usize>,
    pub(crate) states: Vec<State<S>>,
    /// Decisions, each with the one before it.
    trail: Vec<(D, u32)>,
}

/// No decision before this one.
const NONE: u32 = u32::MAX;

impl<S: Spent, D: Copy> Frontier<S, D> {
    /// Behind the last value.
    pub(crate) fn at(outputs: &[usize], nothing: S) -> Self {
        let mut live = outputs.to_vec();
        live.sort_unstable();
        live.dedup();
        let needs = vec![0; live.len()];
        Frontier { live, states: vec![State { needs, spent: nothing, decision: NONE }], trail: vec![] }
    }

    /// Goes to before a value, whose operands are needed by so many levels above its own. `ways` says of the level needed of
    /// the value, and of what was spent, what may become of it.
    pub(crate) fn visit<W: IntoIterator<Item = Way<S, D>>>(
        &mut self,
        value: usize,
        operands: impl Iterator<Item = (usize, u32)> + Clone,
        mut ways: impl FnMut(u32, S) -> W,
    ) {
        let place = self.live.binary_search(&value).ok();
        let live = self.live_after(value, operands.clone().map(|(operand, _)| operand));
        let from: Vec<Option<usize>> = live.iter().map(|next| self.live.binary_search(next).ok()).collect();
        let place_of = |(operand, above)| (live.binary_search(&operand).expect("operands are live"), above);
        let operands: Vec<(usize, u32)> = operands.map(place_of).collect();
        let mut next = Vec::with_capacity(2 * self.states.len());
        for state in &self.states {
            for Way { level, spent, decision } in
                ways(place.map_or(0, |place| u32::from(state.needs[place])), state.spent)
            {
                let mut needs: Vec<u8> = from.iter().map(|old| old.map_or(0, |old| state.needs[old])).collect();
                operands.iter().for_each(|&(place, above)| needs[place] = needs[place].max((level + above) as u8));
                let decision = decision.map_or(state.decision, |decision| {
                    self.trail.push((decision, state.decision));
                    self.trail.len() as u32 - 1
                });
                next.push(State { needs, spent, decision });
            }
        }
        (self.live, self.states) = (live, unbeaten(next));
    }

    fn live_after(&self, value: usize, operands: impl Iterator<Item = usize>) -> Vec<usize> {
        let mut live: Vec<usize> = self.live.iter().copied().filter(|&other| other != value).chain(operands).collect();
        live.sort_unstable();
        live.dedup();
        live
    }

    /// What was decided on the way to a state, the last decision first.
    pub(crate) fn decisions(&self, state: &State<S>) -> impl Iterator<Item = D> {
        let mut last = state.decision;
        std::iter::from_fn(move || {
            let &(decision, before) = self.trail.get(last as usize)?;
            last = before;
            Some(decision)
        })
    }
}

/// States that no other one is at least as good as, in a fixed order.
fn unbeaten<S: Spent>(mut states: Vec<State<S>>) -> Vec<State<S>> {
    states.sort_by(|a, b| a.spent.order(&b.spent).then_with(|| a.needs.cmp(&b.needs)));
    let mut kept: Vec<State<S>> = Vec::with_capacity(states.len());
    for state in states {
        let beats = |other: &State<S>| {
            other.spent.is_at_most(&state.spent) && other.needs.iter().zip(&state.needs).all(|(a, b)| a <= b)
        };
        if !kept.iter().any(beats) {
            kept.push(state);
        }
    }
    kept
}
