//! A linear map on ciphertexts: baby-step giant-step with hoisting.
//!
//! `y = Σ_g rot_g( Σ_b d_{g,b} ⊙ rot_b(x) )`. Babies share one digit decomposition of `x` and are brought back to Q, where
//! they are multiplied and summed; each giant step decomposes its sum and adds the rotation in the extended basis Q·P;
//! one reduction and the rescale end the map. Babies that stay in Q·P (Bossuat, Mouchet, Troncoso-Pastoriza, Hubaux,
//! 2021, section 4) would spare their reductions, but need every plaintext over the primes of P too, and every giant
//! step a reduction of its own: maps have many more diagonals than babies, and most of them run at low levels, where
//! the primes of P are the larger part of Q·P.
//!
//! The folds follow after the rescale, on one limb fewer: there a rotation's rounding error is no larger than the
//! rescale's.

use std::collections::BTreeMap;
use std::time::Instant;

use openfhe_sys as fhe;
use paf_engine::LinearStep;
use paf_ir::ckks::Level;
use paf_ir::diagonals::giant_steps;

use crate::plaintexts::{Factor, Group, MapPlaintexts};
use crate::program::Stopwatch;
use crate::{Ciphertext, OpenFheEngine};

type Result<T> = std::result::Result<T, fhe::Exception>;
type Rotations = fhe::UniquePtr<fhe::HoistedRotations>;

/// Applies a map with its bias; the results are at rest at the step's level.
pub(crate) fn apply(
    engine: &OpenFheEngine,
    encoding: &Stopwatch,
    step: LinearStep<'_>,
    plaintexts: &MapPlaintexts,
    inputs: &[Ciphertext],
) -> Result<Vec<Ciphertext>> {
    let dropped = step.from.0 - step.to.0 - 1;
    let rotate = |(input, babies): (&Ciphertext, &Vec<i32>)| {
        let input = fhe::drop_levels(input, dropped)?;
        fhe::rotate_all(&input, babies)
    };
    let rotations: Vec<Rotations> = inputs.iter().zip(&plaintexts.babies).map(rotate).collect::<Result<_>>()?;
    let rows = Rows { engine, encoding, plaintexts, rotations };
    let mut results = Vec::with_capacity(plaintexts.rows.len());
    for (index, row) in plaintexts.rows.iter().enumerate() {
        let mut result = match row.is_empty() {
            true => zero(&inputs[0], dropped, plaintexts.encoding.scale())?,
            false => rows.sum(row, step.map.plan.outer_stride)?,
        };
        fhe::rescale_in_place(result.pin_mut())?;
        fold(&mut result, &step.map.plan.folds)?;
        if let Some(bias) = plaintexts.bias(engine.context(), index)? {
            fhe::add_plain_in_place(result.pin_mut(), &bias)?;
        }
        debug_assert!(has_scale(engine, &result, step.to), "a linear map must end at the scale of its level");
        results.push(result);
    }
    Ok(results)
}

/// A row of zeros is the operand times zero.
fn zero(input: &Ciphertext, dropped: u32, scale: f64) -> Result<Ciphertext> {
    let mut result = fhe::drop_levels(input, dropped)?;
    fhe::multiply_constant_in_place(result.pin_mut(), 0.0, scale)?;
    Ok(result)
}

fn fold(result: &mut Ciphertext, folds: &[i64]) -> Result<()> {
    for &steps in folds {
        let rotated = fhe::rotate(result, steps as i32)?;
        fhe::add_in_place(result.pin_mut(), &rotated)?;
    }
    Ok(())
}

fn has_scale(engine: &OpenFheEngine, ciphertext: &Ciphertext, level: Level) -> bool {
    (ciphertext.scaling_factor() / engine.scale(level) - 1.0).abs() < 1e-9
}

/// What the block rows of a map share.
struct Rows<'r> {
    engine: &'r OpenFheEngine,
    encoding: &'r Stopwatch,
    plaintexts: &'r MapPlaintexts,
    /// By input ciphertext.
    rotations: Vec<Rotations>,
}

impl Rows<'_> {
    /// The giants of an outer step are summed, and rotated together by it.
    fn sum(&self, row: &[Group], outer_stride: i64) -> Result<Ciphertext> {
        let mut by_outer: BTreeMap<i64, Vec<(&Group, i64)>> = BTreeMap::new();
        for group in row {
            let steps = giant_steps(group.rotation.into(), outer_stride);
            by_outer.entry(steps.outer).or_default().push((group, steps.inner));
        }
        let by_outer: Vec<_> = by_outer.into_iter().map(|(outer, groups)| (groups, outer)).collect();
        rotated_sum(&by_outer, |groups| rotated_sum(groups, |group| self.inner_sum(group)))
    }

    /// `Σ_b d_{g,b} ⊙ rot_b(x)` over all input ciphertexts. Plaintexts that are not encoded ahead exist for this sum.
    fn inner_sum(&self, group: &Group) -> Result<Ciphertext> {
        let start = Instant::now();
        let plaintexts = group.ready(self.engine.context(), self.plaintexts.encoding)?;
        self.encoding.add(start.elapsed());
        let term = |(plaintext, factor): (usize, &Factor)| fhe::SparseTerm {
            rotations: &self.rotations[factor.input],
            rotation: factor.baby as u32,
            plaintexts: &plaintexts,
            plaintext: plaintext as u32,
        };
        let terms: Vec<fhe::SparseTerm<'_>> = group.factors.iter().enumerate().map(term).collect();
        fhe::sum_of_sparse_products(&terms)
    }
}

/// `Σ rot_step(sum(term))`, with as many rotations at a time as there are threads.
fn rotated_sum<T>(terms: &[(T, i64)], sum: impl Fn(&T) -> Result<Ciphertext>) -> Result<Ciphertext> {
    let mut total = fhe::start_rotation_sum()?;
    for terms in terms.chunks(fhe::threads().max(1) as usize) {
        let sums = terms.iter().map(|(term, _)| sum(term)).collect::<Result<Vec<_>>>()?;
        let rotations = sums.iter().zip(terms);
        let rotations = rotations.map(|(sum, &(_, step))| fhe::RotationTerm { ciphertext: sum, step: step as i32 });
        fhe::add_rotations(total.pin_mut(), &rotations.collect::<Vec<_>>())?;
    }
    fhe::finish_rotation_sum(total.pin_mut())
}
