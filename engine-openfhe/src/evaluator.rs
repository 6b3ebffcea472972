//! The operations of a circuit on OpenFHE's ciphertexts.
//!
//! The program decides every level and relinearization; OpenFHE's FLEXIBLEAUTO technique only contributes its
//! sequence of scales, which is that of the [ckks IR](paf_ir::ckks): a value at rest at level `l` has exactly the scale
//! `s_l` of [`OpenFheEngine::scale`]. Plaintexts and constants are encoded at the scale that makes a result exact again.

use openfhe_sys as fhe;
use paf_engine::{Engine as _, Evaluator, LinearStep, Result};
use paf_ir::ckks::{Kind, Level, Type};
use paf_scheme::EngineProfile;

use crate::program::OpenFheProgram;
use crate::turns::beside;
use crate::{Ciphertext, OpenFheEngine, failed, linear, rotation};

type Attempt<T> = std::result::Result<T, fhe::Exception>;

/// A program with keys. OpenFHE finds the keys by the name that an admitted ciphertext carries.
#[derive(Debug)]
pub struct OpenFheEvaluator<'e> {
    engine: &'e OpenFheEngine,
    program: &'e OpenFheProgram,
}

impl<'e> OpenFheEvaluator<'e> {
    pub(crate) fn new(engine: &'e OpenFheEngine, program: &'e OpenFheProgram) -> Self {
        OpenFheEvaluator { engine, program }
    }

    /// Does something in OpenFHE, beside what others do.
    fn attempt<T>(&self, operation: &str, action: impl FnOnce() -> Attempt<T>) -> Result<T> {
        let _turn = beside(self.engine.context())?;
        action().map_err(failed(operation))
    }

    /// A product with 1 at the scale that the following rescale turns into the lower level's.
    fn lowered(&self, mut input: Ciphertext, from: Level, to: Level) -> Attempt<Ciphertext> {
        fhe::drop_levels_in_place(input.pin_mut(), from.0 - to.0 - 1)?;
        fhe::multiply_constant_in_place(input.pin_mut(), 1.0, self.engine.adjusting_scale(from, to))?;
        fhe::rescale_in_place(input.pin_mut())?;
        Ok(input)
    }

    /// The result of OpenFHE's bootstrap is a product that awaits its rescale, one level above the usable ones.
    fn refreshed(&self, mut input: Ciphertext, period: usize) -> Attempt<Ciphertext> {
        let parameters = self.engine.declared();
        fhe::set_slots(input.pin_mut(), period as u32)?;
        let (iterations, bits) = parameters.bootstrap.map_or((1, 0), |b| (b.iterations(), b.refinement_bits));
        let mut refreshed = fhe::bootstrap(&input, iterations, bits)?;
        fhe::rescale_in_place(refreshed.pin_mut())?;
        fhe::set_slots(refreshed.pin_mut(), parameters.slots as u32)?;
        Ok(refreshed)
    }
}

impl Evaluator for OpenFheEvaluator<'_> {
    const PROFILE: &'static EngineProfile = OpenFheEngine::PROFILE;

    type Ciphertext = Ciphertext;

    fn duplicate(&self, input: &Ciphertext) -> Result<Ciphertext> {
        self.attempt("copy", || fhe::clone_ciphertext(input))
    }

    fn linear(&self, step: LinearStep<'_>, inputs: &[Ciphertext]) -> Result<Vec<Ciphertext>> {
        let plaintexts = self.program.plaintexts(step)?;
        let apply = || linear::apply(self.engine, &self.program.encoding, step, plaintexts, inputs);
        self.attempt(&format!("linear map `{}`", step.map.name), apply)
    }

    fn rotate(&self, input: &Ciphertext, steps: i64, _: Type) -> Result<Ciphertext> {
        if steps == 0 {
            return self.duplicate(input);
        }
        let step = rotation(steps)?;
        self.attempt("rotate", || fhe::rotate(input, step))
    }

    fn add(&self, mut left: Ciphertext, right: &Ciphertext) -> Result<Ciphertext> {
        self.attempt("add", || fhe::add_in_place(left.pin_mut(), right))?;
        Ok(left)
    }

    fn sub(&self, mut left: Ciphertext, right: &Ciphertext) -> Result<Ciphertext> {
        self.attempt("sub", || fhe::subtract_in_place(left.pin_mut(), right))?;
        Ok(left)
    }

    fn mul(&self, left: &Ciphertext, right: &Ciphertext) -> Result<Ciphertext> {
        self.attempt("mul", || fhe::multiply_no_relinearize(left, right))
    }

    fn square(&self, input: &Ciphertext) -> Result<Ciphertext> {
        self.attempt("mul", || fhe::square_no_relinearize(input))
    }

    /// `c` at scale `s_m² / s_l`, after the limbs above level `m` are dropped.
    fn mul_constant(&self, mut input: Ciphertext, constant: f64, ty: Type, level: Level) -> Result<Ciphertext> {
        let scale = self.engine.scale(level).powi(2) / self.engine.scale(ty.level);
        self.attempt("mul_constant", || {
            fhe::drop_levels_in_place(input.pin_mut(), ty.level.0 - level.0)?;
            fhe::multiply_constant_in_place(input.pin_mut(), constant, scale)
        })?;
        Ok(input)
    }

    fn add_constant(&self, mut input: Ciphertext, constant: f64, ty: Type) -> Result<Ciphertext> {
        let scale = self.engine.scale_of(ty);
        self.attempt("add_constant", || fhe::add_constant_in_place(input.pin_mut(), constant, scale))?;
        Ok(input)
    }

    fn relinearize(&self, mut input: Ciphertext, _: Type) -> Result<Ciphertext> {
        self.attempt("relinearize", || fhe::relinearize_in_place(input.pin_mut()))?;
        Ok(input)
    }

    fn rescale(&self, mut input: Ciphertext, _: Type) -> Result<Ciphertext> {
        self.attempt("rescale", || fhe::rescale_in_place(input.pin_mut()))?;
        Ok(input)
    }

    fn drop_to(&self, input: Ciphertext, ty: Type, level: Level) -> Result<Ciphertext> {
        self.attempt("drop", || self.lowered(input, ty.level, level))
    }

    fn bootstrap(&self, input: Ciphertext, _: Type, slots: usize, level: Level) -> Result<Ciphertext> {
        let refreshed = self.attempt("bootstrap", || self.refreshed(input, slots))?;
        let usable = self.engine.declared().usable_levels();
        if level == usable {
            return Ok(refreshed);
        }
        let ty = Type { ciphertexts: 1, level: usable, parts: 2, kind: Kind::Rest };
        self.drop_to(refreshed, ty, level)
    }
}
