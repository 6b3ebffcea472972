//! A linear map on ciphertexts: baby-step giant-step with double hoisting.
//!
//! `y = Σ_g rot_g( Σ_b d_{g,b} ⊙ rot_b(x) )`. Babies share one digit decomposition of `x` and stay in the extended basis
//! Q·P, where they are multiplied and summed; each giant step reduces its sum to Q once, decomposes it and adds the
//! rotation, again in Q·P; one reduction and the rescale end the map. Source: Bossuat, Mouchet, Troncoso-Pastoriza,
//! Hubaux, "Efficient bootstrapping for approximate homomorphic encryption with non-sparse keys" (2021), section 4.
//! The folds follow after the rescale, on one limb fewer: there a rotation's rounding error is no larger than the
//! rescale's.

use std::collections::{BTreeMap, BTreeSet};

use openfhe_sys as fhe;
use paf_ir::ckks::Level;
use paf_ir::diagonals::Plan;

use super::plaintexts::{Blocks, Encoding, Form, Key, MapPlaintexts, Stored};
use super::{Ciphertext, Scheme};
use crate::engine::LinearStep;

type Result<T> = std::result::Result<T, fhe::Exception>;
type Extended = fhe::UniquePtr<fhe::ExtendedCiphertext>;
type Plain = fhe::UniquePtr<fhe::Plaintext>;
type ExtendedPlain = fhe::UniquePtr<fhe::ExtendedPlaintext>;

/// The rotations of one input ciphertext, in the extended basis.
type Babies = BTreeMap<i64, Extended>;

/// Applies a map with its bias; the results are at rest at the step's level.
pub(crate) fn apply(
    scheme: &Scheme,
    step: LinearStep<'_>,
    plaintexts: &MapPlaintexts,
    inputs: &[Ciphertext],
) -> Result<Vec<Ciphertext>> {
    let dropped = step.from.0 - step.to.0 - 1;
    let inputs = inputs.iter().map(|input| fhe::drop_levels(input, dropped)).collect::<Result<Vec<_>>>()?;
    let mut results = products(scheme, &step.map.plan, plaintexts, &inputs)?;
    for (index, result) in results.iter_mut().enumerate() {
        fhe::rescale_in_place(result.pin_mut())?;
        fold(result, &step.map.plan.folds)?;
        if let Some(bias) = plaintexts.bias.get(index) {
            let bias = bias.ready(scheme.context(), plaintexts.bias_encoding)?;
            fhe::add_plain_in_place(result.pin_mut(), &bias)?;
        }
        debug_assert!(has_scale(scheme, result, step.to), "a linear map must end at the scale of its level");
    }
    Ok(results)
}

fn products(
    scheme: &Scheme,
    plan: &Plan,
    plaintexts: &MapPlaintexts,
    inputs: &[Ciphertext],
) -> Result<Vec<Ciphertext>> {
    let context = scheme.context();
    match &plaintexts.form {
        Form::Plain(blocks) => {
            let row = |row| PlainRow { context, encoding: plaintexts.encoding, inputs, row };
            blocks.iter().map(|blocks| finish(row(blocks).sum(plan)?, inputs, plaintexts)).collect()
        }
        Form::Extended(blocks) => {
            let babies = rotate_babies(blocks, inputs)?;
            let row = |row| ExtendedRow { context, encoding: plaintexts.encoding, babies: &babies, row };
            blocks.iter().map(|blocks| finish(row(blocks).sum(plan)?, inputs, plaintexts)).collect()
        }
    }
}

/// The sum of one block row; a row of zeros is the operand times zero.
fn finish(sum: Option<Ciphertext>, inputs: &[Ciphertext], plaintexts: &MapPlaintexts) -> Result<Ciphertext> {
    match sum {
        Some(sum) => Ok(sum),
        None => fhe::multiply_constant(&inputs[0], 0.0, plaintexts.encoding.scale()),
    }
}

fn fold(result: &mut Ciphertext, folds: &[i64]) -> Result<()> {
    for &steps in folds {
        let rotated = fhe::rotate(result, steps as i32)?;
        fhe::add_in_place(result.pin_mut(), &rotated)?;
    }
    Ok(())
}

fn has_scale(scheme: &Scheme, ciphertext: &Ciphertext, level: Level) -> bool {
    (ciphertext.scaling_factor() / scheme.scale(level) - 1.0).abs() < 1e-9
}

/// The rotations of each input that any block of its column reads.
fn rotate_babies(blocks: &Blocks<ExtendedPlain>, inputs: &[Ciphertext]) -> Result<Vec<Babies>> {
    let rotate = |(column, input): (usize, &Ciphertext)| {
        let needed: BTreeSet<i64> = blocks.iter().flat_map(|row| row[column].keys()).map(|&(_, baby)| baby).collect();
        let digits = if needed.iter().any(|&baby| baby != 0) { Some(fhe::precompute_digits(input)?) } else { None };
        let rotate_one = |baby: i64| match &digits {
            Some(digits) if baby != 0 => fhe::rotate_extended(input, baby as i32, digits, true),
            _ => fhe::extend(input, true),
        };
        needed.into_iter().map(|baby| Ok((baby, rotate_one(baby)?))).collect()
    };
    inputs.iter().enumerate().map(rotate).collect()
}

/// One block row of a map with babies.
struct ExtendedRow<'r> {
    context: &'r fhe::Context,
    encoding: Encoding,
    babies: &'r [Babies],
    row: &'r [BTreeMap<Key, Stored<ExtendedPlain>>],
}

impl ExtendedRow<'_> {
    fn sum(&self, plan: &Plan) -> Result<Option<Ciphertext>> {
        let mut total = None;
        for (outer, giants) in plan.giants_by_outer() {
            let Some(sum) = self.outer_sum(&giants)? else { continue };
            add_to(&mut total, rotate_giant(sum, outer)?)?;
        }
        total.map(|total: Extended| fhe::reduce_extended(&total)).transpose()
    }

    /// The sum over the giants, given with their inner rotations, of one outer step.
    fn outer_sum(&self, giants: &[(usize, i64)]) -> Result<Option<Extended>> {
        let mut sum = None;
        for &(giant, rotation) in giants {
            if let Some(inner) = self.inner_sum(giant)? {
                add_to(&mut sum, rotate_giant(inner, rotation)?)?;
            }
        }
        Ok(sum)
    }

    /// `Σ_b d_{g,b} ⊙ rot_b(x)` over all input ciphertexts. Plaintexts that are not encoded ahead exist for this sum;
    /// they are half as large as the babies they multiply.
    fn inner_sum(&self, giant: usize) -> Result<Option<Extended>> {
        let mut factors = Vec::new();
        for (block, babies) in self.row.iter().zip(self.babies) {
            for ((_, baby), plaintext) in block.range((giant, i64::MIN)..=(giant, i64::MAX)) {
                factors.push((&babies[baby], plaintext.ready(self.context, self.encoding)?));
            }
        }
        let terms: Vec<fhe::ExtendedTerm<'_>> =
            factors.iter().map(|(ciphertext, plaintext)| fhe::ExtendedTerm { ciphertext, plaintext }).collect();
        if terms.is_empty() { Ok(None) } else { fhe::inner_product_extended(&terms).map(Some) }
    }
}

fn rotate_giant(inner: Extended, rotation: i64) -> Result<Extended> {
    if rotation == 0 {
        return Ok(inner);
    }
    let reduced = fhe::reduce_extended(&inner)?;
    let digits = fhe::precompute_digits(&reduced)?;
    fhe::rotate_extended(&reduced, rotation as i32, &digits, true)
}

fn add_to(total: &mut Option<Extended>, summand: Extended) -> Result<()> {
    match total {
        Some(total) => fhe::add_extended_in_place(total.pin_mut(), &summand),
        None => {
            *total = Some(summand);
            Ok(())
        }
    }
}

/// One block row of a map whose operand is never rotated: products stay in Q, giants that rotate meet in Q·P.
struct PlainRow<'r> {
    context: &'r fhe::Context,
    encoding: Encoding,
    inputs: &'r [Ciphertext],
    row: &'r [BTreeMap<Key, Stored<Plain>>],
}

impl PlainRow<'_> {
    fn sum(&self, plan: &Plan) -> Result<Option<Ciphertext>> {
        let mut total = RotatedSum::default();
        for (outer, giants) in plan.giants_by_outer() {
            let mut sum = RotatedSum::default();
            for (giant, rotation) in giants {
                if let Some(inner) = self.inner_sum(giant)? {
                    sum.add(inner, rotation)?;
                }
            }
            if let Some(sum) = sum.finish()? {
                total.add(sum, outer)?;
            }
        }
        total.finish()
    }

    fn inner_sum(&self, giant: usize) -> Result<Option<Ciphertext>> {
        let mut sum = None;
        for (block, input) in self.row.iter().zip(self.inputs) {
            if let Some(plaintext) = block.get(&(giant, 0)) {
                let plaintext = plaintext.ready(self.context, self.encoding)?;
                add_plain_sum(&mut sum, fhe::multiply_plain(input, &plaintext)?)?;
            }
        }
        Ok(sum)
    }
}

/// A sum of rotated ciphertexts: what is not rotated stays in Q, the rest is reduced to it once.
#[derive(Default)]
struct RotatedSum {
    unrotated: Option<Ciphertext>,
    rotated: Option<Extended>,
}

impl RotatedSum {
    fn add(&mut self, summand: Ciphertext, rotation: i64) -> Result<()> {
        if rotation == 0 {
            return add_plain_sum(&mut self.unrotated, summand);
        }
        let digits = fhe::precompute_digits(&summand)?;
        add_to(&mut self.rotated, fhe::rotate_extended(&summand, rotation as i32, &digits, true)?)
    }

    fn finish(mut self) -> Result<Option<Ciphertext>> {
        if let Some(rotated) = self.rotated {
            add_plain_sum(&mut self.unrotated, fhe::reduce_extended(&rotated)?)?;
        }
        Ok(self.unrotated)
    }
}

fn add_plain_sum(sum: &mut Option<Ciphertext>, summand: Ciphertext) -> Result<()> {
    match sum {
        Some(sum) => fhe::add_in_place(sum.pin_mut(), &summand),
        None => {
            *sum = Some(summand);
            Ok(())
        }
    }
}
