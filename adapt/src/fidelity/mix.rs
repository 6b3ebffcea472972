//! Which node gets which degree, by what the nodes' errors add up to and what the circuit costs.

use std::collections::{BTreeMap, BTreeSet};

use paf_passes::choose::search;

use crate::cost::{Cost, Costs};

/// What one node may have.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Menu {
    /// Name of the node.
    pub(super) node: String,
    /// The square of the error of each polynomial, in parts of the node's own results; infinite where it cannot be used.
    pub(super) squares: Vec<f64>,
    /// Levels with each.
    pub(super) levels: Vec<u32>,
}

/// A choice for every node, in graph order.
pub(super) type Mix = Vec<usize>;

/// A mix that loses least for what it costs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Offer {
    pub(super) mix: Mix,
    /// The sum of squared errors.
    pub(super) square: f64,
    pub(super) cost: Cost,
}

/// The sum of squared errors of a mix.
pub(super) fn square(menus: &[Menu], mix: &[usize]) -> f64 {
    menus.iter().zip(mix).map(|(menu, &pick)| menu.squares[pick]).sum()
}

/// What a mix is expected to cost.
pub(super) fn cost(menus: &[Menu], mix: &[usize], costs: &Costs<'_>) -> Cost {
    let levels = menus.iter().zip(mix).map(|(menu, &pick)| (menu.node.clone(), menu.levels[pick]));
    costs.expected(&levels.collect())
}

/// The mixes that lose least for their levels, and where those do not suffice for their bootstraps; the cheapest first.
pub(super) fn offers(menus: &[Menu], costs: &Costs<'_>) -> Vec<Offer> {
    let usable = |menu: &Menu| -> Vec<(usize, search::Choice)> {
        let choices = menu.squares.iter().zip(&menu.levels);
        let choice = |(&error, &levels): (&f64, &u32)| search::Choice { levels, error };
        choices.map(choice).enumerate().filter(|(_, choice)| choice.error.is_finite()).collect()
    };
    let usable: BTreeMap<&str, Vec<(usize, search::Choice)>> =
        menus.iter().map(|menu| (menu.node.as_str(), usable(menu))).collect();
    let choices = usable.iter().map(|(&node, usable)| (node.to_owned(), usable.iter().map(|it| it.1).collect()));
    let picks = |front: BTreeMap<String, usize>| -> Option<Mix> {
        menus.iter().map(|menu| Some(usable[menu.node.as_str()].get(*front.get(&menu.node)?)?.0)).collect()
    };
    let mixes: BTreeSet<Mix> = costs.fronts(&choices.collect()).into_iter().filter_map(picks).collect();
    let offer = |mix: Mix| Offer { square: square(menus, &mix), cost: cost(menus, &mix, costs), mix };
    let mut offers: Vec<Offer> = mixes.into_iter().map(offer).collect();
    offers.sort_by(|a, b| a.cost.expected_order(&b.cost).then(a.square.total_cmp(&b.square)));
    offers
}

/// The cheapest of the offers whose squared errors sum up to at most this.
pub(super) fn cheapest(offers: &[Offer], most: f64) -> Option<&Offer> {
    offers.iter().find(|offer| offer.square <= most)
}
