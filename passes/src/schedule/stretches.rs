//! How many levels there are, before anything is packed: what a search for PAFs needs to know of parameters.

use paf_ir::ckks::{Level, Parameters};

use super::cost::CostModel;
use super::parameters::{self, Demand, Request};

/// Levels of one chain of primes, and the price of using them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stretch {
    /// Highest level of a fresh ciphertext.
    pub fresh: u32,
    /// Highest level of a bootstrap's result.
    pub refreshed: u32,
    /// Predicted seconds of one bootstrap.
    pub seconds: f64,
}

/// The chains with bootstraps for ciphertexts of so many slots: those that no other one beats in levels and price.
pub fn stretches(slots: usize, request: &Request) -> Vec<Stretch> {
    let demand = Demand { slots, levels: Level(u32::MAX) };
    let costs = CostModel::new(&[], request.slowness);
    let stretch = |parameters: &Parameters| Stretch {
        fresh: parameters.levels.0,
        refreshed: parameters.usable_levels().0,
        seconds: costs.prices(parameters).bootstrap_seconds(slots),
    };
    let fastest = |sets: Vec<Parameters>| sets.iter().map(stretch).min_by(|a, b| a.seconds.total_cmp(&b.seconds));
    let all: Vec<Stretch> = parameters::refreshing(demand, slots, request).into_iter().filter_map(fastest).collect();
    let beats = |a: &Stretch, b: &Stretch| a.fresh >= b.fresh && a.refreshed >= b.refreshed && a.seconds <= b.seconds;
    all.iter().filter(|stretch| !all.iter().any(|other| other != *stretch && beats(other, stretch))).copied().collect()
}

/// The most levels of a circuit of so many slots without bootstraps.
pub fn most_levels(slots: usize, request: &Request) -> u32 {
    parameters::most_levels(slots, request.precision_bits)
}
