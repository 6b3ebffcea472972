//! Plans for all linear maps of a program at once, so that they share rotation keys.
//!
//! Each map has many plans of nearly the same cost, with other rotations. A key costs memory, time to make and time to
//! load, whatever it is used for; two maps that rotate by the same steps need it once. The choice minimizes the maps'
//! rotations plus the price of a key for each distinct rotation, by coordinate descent: map after map takes the plan that is best
//! beside what the others use, until none changes. Deterministic; the result is no worse than choosing each alone.

use std::collections::BTreeMap;

use paf_ir::diagonals::Plan;
use rayon::prelude::*;

use super::plan::{Cut, Planner};

/// How much more than the cheapest a plan may cost that shares more keys.
const SLACK: f64 = 1.15;
/// Rounds of the descent; a handful is enough.
const ROUNDS: usize = 12;

/// One way to evaluate a map.
struct Candidate {
    cut: Cut,
    rotations: Vec<i32>,
    /// In rotations, all maps of the group together.
    cost: f64,
}

/// The maps with the same candidates, by their place in the list.
struct Group {
    maps: Vec<usize>,
    candidates: Vec<Candidate>,
}

/// One plan for each planner. A key costs as much as so many rotations.
pub(super) fn choose_plans(planners: &[Planner<'_>], key: f64) -> Vec<Plan> {
    let groups = groups(planners);
    let mut chosen: Vec<usize> = groups.iter().map(|group| cheapest(group, &BTreeMap::new(), key)).collect();
    let mut uses = BTreeMap::new();
    for (group, &candidate) in groups.iter().zip(&chosen) {
        count(&mut uses, &group.candidates[candidate], 1);
    }
    for _ in 0..ROUNDS {
        let before = chosen.clone();
        for (group, candidate) in groups.iter().zip(&mut chosen) {
            count(&mut uses, &group.candidates[*candidate], -1);
            *candidate = cheapest(group, &uses, key);
            count(&mut uses, &group.candidates[*candidate], 1);
        }
        if chosen == before {
            break;
        }
    }
    let mut plans: BTreeMap<usize, Plan> = BTreeMap::new();
    for (group, candidate) in groups.iter().zip(chosen) {
        let plan = |map: usize| planners[map].plan(&group.candidates[candidate].cut);
        plans.extend(group.maps.iter().map(|&map| (map, plan(map))));
    }
    plans.into_values().collect()
}

fn groups(planners: &[Planner<'_>]) -> Vec<Group> {
    let mut first: Vec<(usize, Vec<usize>)> = Vec::new();
    for (index, planner) in planners.iter().enumerate() {
        match first.iter_mut().find(|(other, _)| planner.has_the_plans_of(&planners[*other])) {
            Some((_, maps)) => maps.push(index),
            None => first.push((index, vec![index])),
        }
    }
    let group =
        |(planner, maps): (usize, Vec<usize>)| Group { candidates: candidates(&planners[planner], maps.len()), maps };
    first.into_par_iter().map(group).collect()
}

/// Cuts whose rotations are listed at a time: there may be many cuts, and many of them rotate alike.
const LISTED_CUTS: usize = 1024;

/// The plans near the cheapest, one for each set of rotations.
fn candidates(planner: &Planner<'_>, maps: usize) -> Vec<Candidate> {
    let mut cheapest: BTreeMap<Vec<i32>, (Cut, f64)> = BTreeMap::new();
    for cuts in planner.cuts_within(SLACK).chunks(LISTED_CUTS) {
        let rotations: Vec<Vec<i32>> = cuts.par_iter().map(|(cut, _)| planner.rotations(cut)).collect();
        for (&(cut, cost), rotations) in cuts.iter().zip(rotations) {
            if cheapest.get(&rotations).is_none_or(|&(_, least)| cost < least) {
                cheapest.insert(rotations, (cut, cost));
            }
        }
    }
    let candidate =
        |(rotations, (cut, cost)): (Vec<i32>, (Cut, f64))| Candidate { cut, rotations, cost: cost * maps as f64 };
    cheapest.into_iter().map(candidate).collect()
}

/// The candidate that costs least beside the rotations in use elsewhere; the first of equals.
fn cheapest(group: &Group, uses: &BTreeMap<i32, i32>, key: f64) -> usize {
    let cost = |candidate: &Candidate| {
        let new = candidate.rotations.iter().filter(|steps| !uses.contains_key(steps)).count();
        candidate.cost + key * new as f64
    };
    let costs: Vec<f64> = group.candidates.iter().map(cost).collect();
    (0..costs.len()).min_by(|&a, &b| costs[a].total_cmp(&costs[b])).expect("the cheapest plan is within the slack")
}

fn count(uses: &mut BTreeMap<i32, i32>, candidate: &Candidate, by: i32) {
    for &steps in &candidate.rotations {
        let entry = uses.entry(steps).or_default();
        *entry += by;
        if *entry == 0 {
            uses.remove(&steps);
        }
    }
}
