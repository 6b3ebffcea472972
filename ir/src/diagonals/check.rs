//! What a plan must be so that it computes its map.

use super::{PackedMap, diagonal_indices, folds, giant_steps};
use crate::error::IrError;

impl PackedMap {
    /// Checks that map, layouts and plan agree in `slots` slots: sizes, periods, modulus and folds fit, rotations are
    /// shorter than the slots, no diagonal is taken twice, weights are finite. That none is left out is
    /// [`PackedMap::check_complete`].
    ///
    /// # Errors
    /// [`IrError::Type`].
    pub fn check(&self, slots: usize) -> Result<(), IrError> {
        self.map.check()?;
        self.map.check_finite()?;
        if (self.input.size(), self.output.size()) != (self.map.inputs, self.map.outputs) {
            return fail("the layouts do not fit the map");
        }
        if !self.input.fits(slots) || !self.output.fits(slots) {
            return fail("a layout does not fit the slots");
        }
        let (modulus, input, output) = (self.plan.modulus, self.input.period, self.output.period);
        if !modulus.is_power_of_two() || modulus > input || modulus < input.min(output) {
            return fail("the plan's modulus does not fit the periods");
        }
        if self.plan.folds != folds(input, modulus) {
            return fail("the plan's folds do not fit its modulus");
        }
        self.check_steps(slots)
    }

    fn check_steps(&self, slots: usize) -> Result<(), IrError> {
        let is_short = |steps: i64| steps.unsigned_abs() < slots as u64;
        let stride = self.plan.outer_stride;
        if stride < 0 || !is_short(stride) {
            return fail(format!("the plan's outer giants are multiples of {stride} in {slots} slots"));
        }
        let mut taken = vec![false; self.plan.modulus];
        for giant in &self.plan.giants {
            for &baby in &giant.babies {
                if !is_short(giant.rotation) || !is_short(giant_steps(giant.rotation, stride).outer) || !is_short(baby)
                {
                    return fail(format!("the plan rotates by {} and {baby} in {slots} slots", giant.rotation));
                }
                let diagonal = (giant.rotation + baby).rem_euclid(self.plan.modulus as i64) as usize;
                if std::mem::replace(&mut taken[diagonal], true) {
                    return fail(format!("the plan takes diagonal {diagonal} twice"));
                }
            }
        }
        Ok(())
    }

    /// Checks that the plan takes every non-zero diagonal of the map, which needs the map's matrix. The map has passed
    /// [`PackedMap::check`].
    ///
    /// # Errors
    /// [`IrError::Type`] with the first diagonal left out.
    pub fn check_complete(&self) -> Result<(), IrError> {
        let taken = self.plan.representatives(self.input.period);
        let present = diagonal_indices(&self.map.rows(), &self.input, &self.output, self.plan.modulus);
        match present.into_iter().find(|&diagonal| taken[diagonal].is_none()) {
            Some(diagonal) => fail(format!("the plan leaves out diagonal {diagonal}")),
            None => Ok(()),
        }
    }
}

fn fail(message: impl Into<String>) -> Result<(), IrError> {
    Err(IrError::ty("linear", message))
}
