//! What mixes are expected to lose: the sum of what their nodes lose, corrected by every mix that was judged.

use std::collections::BTreeMap;

use paf_passes::choose::search::Choice;

use super::offers::{Menu, Offer};
use super::walker::Assignment;
use crate::cost::{Cost, Costs};

/// For each ReLU and MaxPool in graph order the index of its offer.
pub(super) type Picks = Vec<usize>;

/// One walk changes an estimate by no more than this factor.
const MOST_CORRECTION: f64 = 10.0;
/// Estimates below this are zero for all purposes, but can still be corrected.
const LEAST: f64 = 1e-9;

pub(super) struct Estimates<'a> {
    costs: &'a Costs<'a>,
    menus: Vec<Menu>,
}

impl<'a> Estimates<'a> {
    pub(super) fn new(costs: &'a Costs<'a>, mut menus: Vec<Menu>) -> Self {
        let offers = menus.iter_mut().flat_map(|menu| &mut menu.offers);
        offers.for_each(|offer| offer.loss = offer.loss.max(LEAST));
        Estimates { costs, menus }
    }

    pub(super) fn assignment(&self, picks: &[usize]) -> Assignment {
        self.picked(picks).map(|(_, offer)| offer.paf).collect()
    }

    /// The offers that an assignment consists of; `None` if a node has a PAF that it is not offered.
    pub(super) fn picks(&self, assignment: &[usize]) -> Option<Picks> {
        let place = |(menu, paf): (&Menu, &usize)| menu.offers.iter().position(|offer| offer.paf == *paf);
        self.menus.iter().zip(assignment).map(place).collect()
    }

    /// What a mix is expected to cost.
    pub(super) fn cost(&self, picks: &[usize]) -> Cost {
        self.costs.expected(&self.picked(picks).map(|(menu, offer)| (menu.node.clone(), offer.levels)).collect())
    }

    pub(super) fn loss(&self, picks: &[usize]) -> f64 {
        self.picked(picks).map(|(_, offer)| offer.loss).sum()
    }

    /// Takes note of what a mix really loses: the nodes that were expected to lose most are corrected most.
    pub(super) fn learn(&mut self, picks: &[usize], loss: f64) {
        let ratio = (loss / self.loss(picks)).clamp(1.0 / MOST_CORRECTION, MOST_CORRECTION);
        let largest = self.picked(picks).map(|(_, offer)| offer.loss).fold(0.0, f64::max);
        for (menu, &pick) in self.menus.iter_mut().zip(picks) {
            let offer = &mut menu.offers[pick];
            offer.loss = (offer.loss * ratio.powf(offer.loss / largest)).max(LEAST);
        }
    }

    /// The mixes of least expected loss for every number of levels and of bootstraps.
    pub(super) fn front(&self) -> Vec<Picks> {
        let choice = |offer: &Offer| Choice { levels: offer.levels, error: offer.loss };
        let choices: BTreeMap<String, Vec<Choice>> =
            self.menus.iter().map(|menu| (menu.node.clone(), menu.offers.iter().map(choice).collect())).collect();
        // What folding removes takes no levels, and gets its most accurate PAF.
        let pick = |picks: &BTreeMap<String, usize>, menu: &Menu| {
            picks.get(&menu.node).copied().unwrap_or(menu.offers.len() - 1)
        };
        let picks = |picks: &BTreeMap<String, usize>| self.menus.iter().map(|menu| pick(picks, menu)).collect();
        self.costs.fronts(&choices).iter().map(picks).collect()
    }

    /// For each depth of a sign that is offered: every node has the deepest offer of at most that depth.
    pub(super) fn even(&self) -> Vec<Picks> {
        let mut depths: Vec<usize> = self.menus.iter().flat_map(|menu| &menu.offers).map(|offer| offer.depth).collect();
        depths.sort_unstable();
        depths.dedup();
        let pick = |menu: &Menu, depth| menu.offers.iter().rposition(|offer| offer.depth <= depth).unwrap_or(0);
        depths.iter().map(|&depth| self.menus.iter().map(|menu| pick(menu, depth)).collect()).collect()
    }

    /// Mixes that differ in one node, or in two by one offer each.
    pub(super) fn neighbours(&self, picks: &[usize]) -> Vec<Picks> {
        let with = |changes: &[(usize, usize)]| {
            let mut changed = picks.to_vec();
            changes.iter().for_each(|&(node, pick)| changed[node] = pick);
            changed
        };
        let others = |node: usize| (0..self.menus[node].offers.len()).filter(move |&pick| pick != picks[node]);
        let next = |node: usize| others(node).filter(move |&pick| pick.abs_diff(picks[node]) == 1);
        let nodes = 0..picks.len();
        let single = nodes.clone().flat_map(|node| others(node).map(move |pick| (node, pick)));
        let mut neighbours: Vec<Picks> = single.map(|change| with(&[change])).collect();
        for (first, second) in nodes.clone().flat_map(|a| (a + 1..picks.len()).map(move |b| (a, b))) {
            let pairs = next(first).flat_map(|a| next(second).map(move |b| [(first, a), (second, b)]));
            neighbours.extend(pairs.map(|changes| with(&changes)));
        }
        neighbours
    }

    fn picked<'s>(&'s self, picks: &'s [usize]) -> impl Iterator<Item = (&'s Menu, &'s Offer)> {
        self.menus.iter().zip(picks).map(|(menu, &pick)| (menu, &menu.offers[pick]))
    }
}
