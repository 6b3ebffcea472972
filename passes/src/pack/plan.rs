//! Baby-step giant-step plans chosen on the diagonals that are really there.

use std::collections::{BTreeMap, BTreeSet};

use paf_ir::Layout;
use paf_ir::diagonals::{Giant, Plan, diagonal_indices, folds, giant_steps};
use paf_ir::sparse::Matrix;
use paf_scheme::PackingPrices;
use rayon::prelude::*;

/// Largest number of baby steps tried one by one; beyond, powers of two.
const BABIES_TRIED: i64 = 256;

/// Offsets of the first baby that are tried beside 0 and that of the first diagonal: this many parts of the babies.
const OFFSET_PARTS: i64 = 8;
/// Least outer stride tried.
const LEAST_STRIDE: i64 = 4;

/// How the diagonals of a modulus are cut into babies and giants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cut {
    modulus: usize,
    outer_stride: i64,
    /// Giants are this far apart, within an outer step.
    babies: i64,
    /// The least baby.
    offset: i64,
}

/// A matrix between two layouts, all that a plan depends on.
pub(super) struct Planner<'m> {
    input: &'m Layout,
    output: &'m Layout,
    prices: &'m PackingPrices,
    /// For each modulus that may be, the diagonals as signed numbers.
    diagonals: BTreeMap<usize, Vec<i64>>,
}

impl<'m> Planner<'m> {
    pub(super) fn new(matrix: &impl Matrix, input: &'m Layout, output: &'m Layout, prices: &'m PackingPrices) -> Self {
        let all = diagonal_indices(matrix, input, output, input.period);
        let mut diagonals = BTreeMap::new();
        let mut modulus = input.period.min(output.period);
        while modulus <= input.period {
            let residues: BTreeSet<i64> = all.iter().map(|&diagonal| (diagonal % modulus) as i64).collect();
            diagonals.insert(modulus, centre(&residues, modulus as i64));
            modulus *= 2;
        }
        Planner { input, output, prices, diagonals }
    }

    /// Whether the same plans serve both.
    pub(super) fn has_the_plans_of(&self, other: &Planner<'_>) -> bool {
        let shape = |planner: &Planner<'_>| [planner.input, planner.output].map(|l| (l.period, l.ciphertexts));
        shape(self) == shape(other) && self.diagonals == other.diagonals
    }

    /// The cost of the cheapest plan whose giants are one rotation each, in full rotations.
    pub(super) fn least_cost(&self) -> f64 {
        let mut least = f64::INFINITY;
        for &modulus in self.diagonals.keys() {
            for cut in self.cuts(modulus, 0, 1) {
                least = self.cost(&cut, least).unwrap_or(least);
            }
        }
        least
    }

    /// Every cut that costs at most `slack` times the least cost, with its cost, in a fixed order.
    pub(super) fn cuts_within(&self, slack: f64) -> Vec<(Cut, f64)> {
        let limit = slack * self.least_cost();
        let strides = |modulus: usize| {
            let powers = (0..modulus.trailing_zeros()).map(|bit| 1i64 << bit).filter(|&stride| stride >= LEAST_STRIDE);
            [0].into_iter().chain(powers).map(move |stride| (modulus, stride))
        };
        let grids: Vec<(usize, i64)> = self.diagonals.keys().copied().flat_map(strides).collect();
        let within = |&(modulus, stride): &(usize, i64)| -> Vec<(Cut, f64)> {
            let cuts = self.cuts(modulus, stride, OFFSET_PARTS);
            cuts.filter_map(|cut| Some((cut, self.cost(&cut, limit)?))).collect()
        };
        let found: Vec<Vec<(Cut, f64)>> = grids.par_iter().map(within).collect();
        found.into_iter().flatten().collect()
    }

    /// Cuts into babies from one to the modulus, or to the outer stride.
    fn cuts(&self, modulus: usize, outer_stride: i64, offset_parts: i64) -> impl Iterator<Item = Cut> {
        let most = if outer_stride == 0 { modulus as i64 } else { outer_stride };
        let diagonals = &self.diagonals[&modulus];
        babies_to_try(most).flat_map(move |babies| {
            let offsets = offsets(babies, centred_start(diagonals, babies), offset_parts);
            offsets.map(move |offset| Cut { modulus, outer_stride, babies, offset })
        })
    }

    /// What a plan costs in full rotations; `None` as soon as that is above `limit`.
    fn cost(&self, cut: &Cut, limit: f64) -> Option<f64> {
        let (inputs, outputs) = (self.input.ciphertexts as f64, self.output.ciphertexts as f64);
        let (diagonals, prices) = (&self.diagonals[&cut.modulus], self.prices);
        let mut cost = prices.fold * folds(self.input.period, cut.modulus).len() as f64 * outputs
            + prices.diagonal() * diagonals.len() as f64 * inputs * outputs;
        let mut seen = vec![false; cut.babies as usize];
        let (mut outer, mut last) = (BTreeSet::new(), None);
        // The diagonals ascend, so equal giants are neighbours.
        for &diagonal in diagonals {
            let (giant, baby) = cut.split(diagonal);
            let place = &mut seen[(baby - cut.offset) as usize];
            if !*place && baby != 0 {
                cost += prices.baby * inputs;
            }
            *place = true;
            if last != Some(giant) {
                let steps = giant_steps(wrap(giant, self.length()), cut.outer_stride);
                let rotations =
                    usize::from(steps.inner != 0) + usize::from(steps.outer != 0 && outer.insert(steps.outer));
                cost += prices.giant * rotations as f64 * outputs;
                last = Some(giant);
            }
            if cost > limit {
                return None;
            }
        }
        Some(cost)
    }

    fn length(&self) -> i64 {
        self.input.period.max(self.output.period) as i64
    }

    /// Every rotation of [`Planner::plan`] that needs a key, ascending.
    pub(super) fn rotations(&self, cut: &Cut) -> Vec<i32> {
        let mut rotations = folds(self.input.period, cut.modulus);
        let mut seen = vec![false; cut.babies as usize];
        let mut last = None;
        for &diagonal in &self.diagonals[&cut.modulus] {
            let (giant, baby) = cut.split(diagonal);
            if !std::mem::replace(&mut seen[(baby - cut.offset) as usize], true) {
                rotations.push(wrap(baby, self.input.period as i64));
            }
            if last != Some(giant) {
                let steps = giant_steps(wrap(giant, self.length()), cut.outer_stride);
                rotations.extend([steps.inner, steps.outer]);
                last = Some(giant);
            }
        }
        rotations.sort_unstable();
        rotations.dedup();
        rotations.retain(|&steps| steps != 0);
        rotations.into_iter().map(|steps| steps as i32).collect()
    }

    pub(super) fn plan(&self, cut: &Cut) -> Plan {
        let mut giants: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for &diagonal in &self.diagonals[&cut.modulus] {
            let (giant, baby) = cut.split(diagonal);
            giants.entry(wrap(giant, self.length())).or_default().push(wrap(baby, self.input.period as i64));
        }
        let giants = giants.into_iter().map(|(rotation, babies)| Giant { rotation, babies }).collect();
        let folds = folds(self.input.period, cut.modulus);
        Plan { modulus: cut.modulus, giants, outer_stride: cut.outer_stride, folds }
    }
}

impl Cut {
    /// `diagonal = giant + baby` with the giant a multiple of `babies` beside a multiple of `outer_stride`, and the baby
    /// from `offset` on.
    fn split(&self, diagonal: i64) -> (i64, i64) {
        let rest = giant_steps(diagonal, self.outer_stride).inner;
        let baby = (rest - self.offset).rem_euclid(self.babies) + self.offset;
        (diagonal - baby, baby)
    }
}

/// Diagonals as signed numbers: the circle is cut at its widest gap, so that neighbours stay neighbours.
fn centre(diagonals: &BTreeSet<i64>, modulus: i64) -> Vec<i64> {
    let sorted: Vec<i64> = diagonals.iter().copied().collect();
    let Some((&first, &last)) = sorted.first().zip(sorted.last()) else { return vec![] };
    let mut cut = (first + modulus - last, 0);
    for (index, pair) in sorted.windows(2).enumerate() {
        cut = cut.max((pair[1] - pair[0], index + 1));
    }
    let (high, low) = (&sorted[cut.1..], &sorted[..cut.1]);
    let shifted = if cut.1 == 0 { 0 } else { modulus };
    let mut centred: Vec<i64> = high.iter().map(|d| d - shifted).chain(low.iter().copied()).collect();
    // The whole list may lie one turn away from zero.
    if centred.iter().all(|&d| d > modulus / 2) {
        centred.iter_mut().for_each(|d| *d -= modulus);
    }
    centred
}

/// The baby offset that puts the first diagonal at a multiple of the number of babies.
fn centred_start(centred: &[i64], babies: i64) -> i64 {
    centred.first().map_or(0, |first| wrap(*first, babies))
}

/// Offsets for the first baby, each once: that of the first diagonal, and parts of the babies down from 0.
fn offsets(babies: i64, first: i64, parts: i64) -> impl Iterator<Item = i64> {
    let mut offsets: Vec<i64> = (0..parts).map(|part| -(babies * part / parts)).chain([first]).collect();
    offsets.sort_unstable();
    offsets.dedup();
    offsets.into_iter()
}

fn babies_to_try(modulus: i64) -> impl Iterator<Item = i64> {
    let powers = (0..=modulus.trailing_zeros()).map(|bit| 1i64 << bit);
    (1..=BABIES_TRIED.min(modulus)).chain(powers.filter(|&power| power > BABIES_TRIED))
}

/// A rotation's representative of least magnitude modulo `length`.
pub(super) fn wrap(steps: i64, length: i64) -> i64 {
    let wrapped = steps.rem_euclid(length);
    if wrapped > length / 2 { wrapped - length } else { wrapped }
}

#[cfg(test)]
mod tests {
    use paf_ir::sparse::Sparse;
    use paf_scheme::EngineProfile;

    use super::*;

    #[test]
    fn wide_gaps_are_cut() {
        let diagonals = BTreeSet::from([0, 1, 28, 29, 995, 996, 1023]);
        assert_eq!(centre(&diagonals, 1024), [-29, -28, -1, 0, 1, 28, 29]);
    }

    #[test]
    fn a_three_by_three_kernel_takes_two_babies_and_two_giants() {
        let (input, output) = (Layout::dense(1024, 1024), Layout::dense(1024, 1024));
        let diagonals: BTreeSet<i64> =
            [-33, -32, -31, -1, 0, 1, 31, 32, 33].iter().map(|d: &i64| d.rem_euclid(1024)).collect();
        let matrix = Sparse::from_rows(1024, 1024, |_, _| {});
        let mut planner = Planner::new(&matrix, &input, &output, &EngineProfile::openfhe().packing);
        planner.diagonals.insert(1024, centre(&diagonals, 1024));
        let cuts = planner.cuts_within(1.0);
        let plan = planner.plan(&cuts[0].0);
        assert_eq!((plan.babies().len(), plan.giant_rotations().len()), (2, 2), "{plan:?}");
    }

    #[test]
    fn the_rotations_are_those_of_the_plan() {
        let (input, output) = (Layout::dense(1024, 1024), Layout::dense(256, 256));
        let matrix = Sparse::from_rows(256, 1024, |row, values| {
            values.extend([(row as u32, 1.0), ((5 * row as u32 + 300) % 1024, 1.0)])
        });
        let planner = Planner::new(&matrix, &input, &output, &EngineProfile::openfhe().packing);
        let cuts = planner.cuts_within(2.0);
        assert!(cuts.iter().any(|(cut, _)| cut.outer_stride > 0), "{cuts:?}");
        for (cut, _) in cuts {
            let rotations: Vec<i32> = planner.plan(&cut).rotations().into_iter().map(|steps| steps as i32).collect();
            assert_eq!(planner.rotations(&cut), rotations, "{cut:?}");
        }
    }
}
