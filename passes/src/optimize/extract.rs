//! Extraction: one term a class, least depth first, then least cost with shared terms counted once.
//!
//! A bottom-up pass gives every class its shallowest term, among those the one whose own term graph is cheapest. Then
//! single classes switch to another term while that makes the whole graph better: it finds what the bottom-up pass
//! cannot see, that two readers should agree on one form of a value.

use std::collections::{BTreeMap, BTreeSet};

use egg::{Id, Language};

use super::language::{Graph, Term};

/// Rounds of single switches; each looks at every class in use.
const SWITCH_ROUNDS: usize = 4;

/// Depth in levels, then cost: what extraction minimizes, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cost {
    /// Levels from the inputs to the deepest output.
    pub(super) depth: u32,
    /// Sum of [`weight`] over distinct terms.
    pub(super) weight: u64,
}

/// Relative cost of executing a term once: a ciphertext product with relinearization is 100.
fn weight(term: &Term) -> u64 {
    match term {
        Term::Linear(_) => 500,
        Term::Mul(_) => 100,
        Term::View(_) => 50,
        Term::Scale(_) => 12,
        Term::Add(_) | Term::Sub(_) | Term::Offset(_) => 1,
        _ => 0,
    }
}

/// Levels a term consumes itself.
fn levels(term: &Term) -> u32 {
    u32::from(matches!(term, Term::Linear(_) | Term::Scale(_) | Term::Mul(_)))
}

/// Terms that carry a value; arithmetic on constants is folded and never extracted.
fn is_executable(term: &Term) -> bool {
    !matches!(term, Term::Times(_) | Term::Over(_) | Term::Plus(_))
}

/// The chosen term of every class.
pub(super) struct Extraction<'g> {
    egraph: &'g Graph,
    choices: BTreeMap<Id, Term>,
}

#[derive(Clone)]
struct Candidate {
    cost: Cost,
    terms: BTreeSet<Id>,
    choice: Term,
}

impl<'g> Extraction<'g> {
    /// Chooses terms for `root` and all it needs.
    pub(super) fn new(egraph: &'g Graph, root: Id) -> Self {
        let best = bottom_up(egraph);
        let choices = best.into_iter().map(|(id, candidate)| (id, candidate.choice)).collect();
        let mut extraction = Extraction { egraph, choices };
        extraction.improve(egraph.find(root));
        extraction
    }

    /// The term of a class.
    pub(super) fn term(&self, id: Id) -> &Term {
        &self.choices[&self.egraph.find(id)]
    }

    /// Classes that `root` needs, operands first; `None` if the choices are cyclic.
    pub(super) fn order(&self, root: Id) -> Option<Vec<Id>> {
        let mut order = Vec::new();
        let mut state: BTreeMap<Id, bool> = BTreeMap::new();
        let mut stack = vec![(self.egraph.find(root), false)];
        while let Some((id, children_done)) = stack.pop() {
            if children_done {
                state.insert(id, true);
                order.push(id);
                continue;
            }
            match state.get(&id) {
                Some(true) => continue,
                Some(false) => return None,
                None => {}
            }
            state.insert(id, false);
            stack.push((id, true));
            for &child in self.choices[&id].children().iter().rev() {
                let child = self.egraph.find(child);
                match state.get(&child) {
                    Some(true) => {}
                    Some(false) => return None,
                    None => stack.push((child, false)),
                }
            }
        }
        Some(order)
    }

    /// Cost of the whole graph below `root`.
    pub(super) fn cost(&self, root: Id) -> Option<Cost> {
        let order = self.order(root)?;
        let mut depths: BTreeMap<Id, u32> = BTreeMap::new();
        let mut weight_sum = 0;
        for id in order {
            let term = &self.choices[&id];
            let operands = term.children().iter().map(|&child| depths[&self.egraph.find(child)]).max();
            depths.insert(id, operands.unwrap_or(0) + levels(term));
            weight_sum += weight(term);
        }
        Some(Cost { depth: depths[&self.egraph.find(root)], weight: weight_sum })
    }

    fn improve(&mut self, root: Id) {
        let Some(mut best) = self.cost(root) else { return };
        for _ in 0..SWITCH_ROUNDS {
            let before = best;
            for id in self.order(root).unwrap_or_default() {
                best = self.improve_class(id, root, best);
            }
            if best == before {
                return;
            }
        }
    }

    fn improve_class(&mut self, id: Id, root: Id, mut best: Cost) -> Cost {
        let alternatives: Vec<Term> =
            self.egraph[id].nodes.iter().filter(|term| is_executable(term)).cloned().collect();
        for alternative in alternatives {
            let known = alternative.children().iter().all(|child| self.choices.contains_key(&self.egraph.find(*child)));
            if !known || alternative == self.choices[&id] {
                continue;
            }
            let previous = self.choices.insert(id, alternative).expect("every class in use has a choice");
            match self.cost(root) {
                Some(cost) if cost < best => best = cost,
                _ => {
                    self.choices.insert(id, previous);
                }
            }
        }
        best
    }
}

/// The best term of every class by its own graph, to a fixed point.
fn bottom_up(egraph: &Graph) -> BTreeMap<Id, Candidate> {
    let mut best: BTreeMap<Id, Candidate> = BTreeMap::new();
    let mut pending: BTreeSet<Id> = egraph.classes().map(|class| class.id).collect();
    while let Some(id) = pending.pop_first() {
        let candidates = egraph[id].nodes.iter().filter(|term| is_executable(term));
        let cheapest = candidates.filter_map(|term| candidate(egraph, &best, id, term)).min_by_key(|c| c.cost);
        let Some(cheapest) = cheapest else { continue };
        if best.get(&id).is_none_or(|current| cheapest.cost < current.cost) {
            best.insert(id, cheapest);
            pending.extend(egraph[id].parents().map(|parent| egraph.find(parent)));
        }
    }
    best
}

fn candidate(egraph: &Graph, best: &BTreeMap<Id, Candidate>, id: Id, term: &Term) -> Option<Candidate> {
    let mut terms = BTreeSet::from([id]);
    let mut depth = 0;
    for &child in term.children() {
        let operand = best.get(&egraph.find(child))?;
        if operand.terms.contains(&id) {
            return None;
        }
        depth = depth.max(operand.cost.depth);
        // A linear map ends the local view: what lies beyond is needed whatever is chosen here.
        if matches!(operand.choice, Term::Linear(_)) {
            terms.insert(egraph.find(child));
        } else {
            terms.extend(&operand.terms);
        }
    }
    let own = weight(term);
    let others = terms.iter().filter(|other| **other != id).map(|other| weight(&best[other].choice)).sum::<u64>();
    Some(Candidate { cost: Cost { depth: depth + levels(term), weight: own + others }, terms, choice: term.clone() })
}
