//! Baby-step giant-step plans chosen on the diagonals that are really there.

use std::collections::{BTreeMap, BTreeSet};

use paf_ir::Layout;
use paf_ir::diagonals::{Giant, Plan, diagonal_indices, folds};
use paf_ir::sparse::Sparse;

/// Cost of a hoisted baby rotation, relative to a full rotation: the decomposition is shared.
const BABY: f64 = 0.45;
/// Cost of a giant step: one decomposition, one key product, one modulus reduction.
const GIANT: f64 = 1.0;
/// Cost of a rotate-and-add fold.
const FOLD: f64 = 0.95;
/// Cost of a diagonal: one plaintext product and its share of encoding and memory.
const DIAGONAL: f64 = 0.08;

/// Largest number of baby steps tried one by one; beyond, powers of two.
const BABIES_TRIED: i64 = 256;

/// The cheapest plan for a matrix between two layouts, with its cost in full rotations.
pub(super) fn best_plan(matrix: &Sparse, input: &Layout, output: &Layout) -> (Plan, f64) {
    let smallest = input.period.min(output.period);
    let all = diagonal_indices(matrix, input, output, input.period);
    let mut best: Option<(Plan, f64)> = None;
    let mut modulus = smallest;
    while modulus <= input.period {
        let diagonals: BTreeSet<i64> = all.iter().map(|&diagonal| (diagonal % modulus) as i64).collect();
        let least = best.as_ref().map_or(f64::INFINITY, |(_, cost)| *cost);
        if fixed_cost(&diagonals, modulus, input, output) < least {
            let (plan, cost) = plan_for(&diagonals, modulus, input, output);
            if cost < least {
                best = Some((plan, cost));
            }
        }
        modulus *= 2;
    }
    best.expect("the first modulus always has a plan")
}

/// What a plan costs whatever its steps: folds and diagonals.
fn fixed_cost(diagonals: &BTreeSet<i64>, modulus: usize, input: &Layout, output: &Layout) -> f64 {
    let (inputs, outputs) = (input.ciphertexts as f64, output.ciphertexts as f64);
    FOLD * folds(input.period, modulus).len() as f64 * outputs + DIAGONAL * diagonals.len() as f64 * inputs * outputs
}

fn plan_for(diagonals: &BTreeSet<i64>, modulus: usize, input: &Layout, output: &Layout) -> (Plan, f64) {
    let centred = centre(diagonals, modulus as i64);
    let (inputs, outputs) = (input.ciphertexts as f64, output.ciphertexts as f64);
    let folds = folds(input.period, modulus);
    let fixed = fixed_cost(diagonals, modulus, input, output);
    let splits =
        babies_to_try(modulus as i64).flat_map(|babies| [0, centred_start(&centred, babies)].map(|o| (babies, o)));
    let cost_of = |(babies, offset): (i64, i64)| {
        let (baby_count, giant_count) = count_steps(&centred, babies, offset);
        (fixed + BABY * baby_count as f64 * inputs + GIANT * giant_count as f64 * outputs, babies, offset)
    };
    let (cost, babies, offset) =
        splits.map(cost_of).min_by(|a, b| a.0.total_cmp(&b.0)).expect("at least one split is tried");
    let length = input.period.max(output.period) as i64;
    let mut giants: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for &diagonal in &centred {
        let (giant, baby) = split(diagonal, babies, offset);
        giants.entry(wrap(giant, length)).or_default().push(wrap(baby, input.period as i64));
    }
    let giants = giants.into_iter().map(|(rotation, babies)| Giant { rotation, babies }).collect();
    (Plan { modulus, giants, folds }, cost)
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

fn babies_to_try(modulus: i64) -> impl Iterator<Item = i64> {
    let powers = (0..=modulus.trailing_zeros()).map(|bit| 1i64 << bit);
    (1..=BABIES_TRIED.min(modulus)).chain(powers.filter(|&power| power > BABIES_TRIED))
}

/// `diagonal = giant + baby` with giant a multiple of `babies` and baby from `offset` on.
fn split(diagonal: i64, babies: i64, offset: i64) -> (i64, i64) {
    let giant = (diagonal - offset).div_euclid(babies) * babies;
    (giant, diagonal - giant)
}

/// Distinct non-zero babies and giants; the diagonals ascend, so equal giants are neighbours.
fn count_steps(centred: &[i64], babies: i64, offset: i64) -> (usize, usize) {
    let mut seen = vec![false; babies as usize];
    let (mut baby_count, mut giant_count, mut last_giant) = (0, 0, None);
    for &diagonal in centred {
        let (giant, baby) = split(diagonal, babies, offset);
        let place = &mut seen[(baby - offset) as usize];
        baby_count += usize::from(!*place && baby != 0);
        *place = true;
        giant_count += usize::from(last_giant != Some(giant) && giant != 0);
        last_giant = Some(giant);
    }
    (baby_count, giant_count)
}

/// A rotation's representative of least magnitude modulo `length`.
pub(super) fn wrap(steps: i64, length: i64) -> i64 {
    let wrapped = steps.rem_euclid(length);
    if wrapped > length / 2 { wrapped - length } else { wrapped }
}

#[cfg(test)]
mod tests {
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
        let (plan, _) = plan_for(&diagonals, 1024, &input, &output);
        assert_eq!((plan.babies().len(), plan.giant_rotations().len()), (2, 2), "{plan:?}");
    }
}
