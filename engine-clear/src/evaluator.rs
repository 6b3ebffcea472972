//! The operations of a circuit on plain slot vectors in f64, optionally with the noise that CKKS would add.
//!
//! A vector is as long as its period, not as the slot count: every operation takes vectors that repeat to vectors that
//! repeat, so the result is that of full vectors at a fraction of the work. With noise copies differ, and inputs of all slots
//! tell more.

use std::cell::RefCell;

use paf_engine::{Engine as _, EngineError, Evaluator, LinearStep, Result};
use paf_ir::ckks::{Kind, Level, Type, Verified};
use paf_ir::diagonals::rotated_left;
use paf_ir::slots;
use paf_scheme::{EngineProfile, KeyPurpose};
use rayon::prelude::*;

use crate::engine::{ClearEngine, ClearKeys};
use crate::matrix::SlotMatrix;
use crate::noise::{Deviation, NoiseModel, NoiseSource};

/// The values of a ciphertext, one period long, with what an encrypted one would say of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct ClearCiphertext {
    /// One period of the slots.
    pub values: Vec<f64>,
    pub(crate) level: Level,
    pub(crate) kind: Kind,
    pub(crate) parts: u8,
    /// The key pair; 0 for none.
    pub(crate) pair: u64,
}

impl ClearCiphertext {
    /// Values at rest, as encryption makes them.
    pub(crate) fn fresh(values: Vec<f64>, level: Level, pair: u64) -> Self {
        ClearCiphertext { values, level, kind: Kind::Rest, parts: 2, pair }
    }

    fn at_rest(self, level: Level) -> Self {
        ClearCiphertext { level, kind: Kind::Rest, ..self }
    }

    fn product(self, level: Level, parts: u8) -> Self {
        ClearCiphertext { level, kind: Kind::Product, parts, ..self }
    }
}

/// The linear maps of a program, expanded once and shared by the engines of all samples.
pub struct ClearMaps {
    slots: usize,
    matrices: Vec<SlotMatrix>,
}

impl ClearMaps {
    /// Expands every map of a program.
    pub fn new(program: &Verified) -> Self {
        ClearMaps { slots: program.slots, matrices: program.maps.par_iter().map(SlotMatrix::new).collect() }
    }
}

/// The evaluator of one run. Without keys it takes ciphertexts of any key pair, and needs no keys.
///
/// ```
/// use paf_engine::Evaluator as _;
/// use paf_engine_clear::{ClearEvaluator, ClearMaps};
/// use paf_ir::ckks::{CkksProgram, Level, Op};
/// use paf_ir::program::{InputPort, InputScaling, OutputPort};
/// use paf_ir::{Layout, Shape};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (shape, layout) = (Shape(vec![2]), Layout::dense(2, 4));
/// let port = InputPort { name: "x".into(), shape, layout, scaling: InputScaling::shared(1.0, (-1.0, 1.0)) };
/// let mut program = CkksProgram::new(4, vec![], vec![port.clone()]);
/// let x = program.push("x", Op::Input { port: 0, level: Level(1) })?;
/// let (shape, layout) = (port.shape, port.layout);
/// let output = OutputPort { name: "y".into(), value: x, shape, layout, scale: 1.0 };
/// program.outputs.push(output);
/// let maps = ClearMaps::new(&program.verify()?);
///
/// let evaluator = ClearEvaluator::new(&maps);
/// let x = evaluator.encrypt(vec![3.0, -2.0], Level(1));
/// assert_eq!(evaluator.square(&x)?.values, [9.0, 4.0]);
/// # Ok(())
/// # }
/// ```
pub struct ClearEvaluator<'m> {
    maps: &'m ClearMaps,
    keys: Option<&'m ClearKeys>,
    noise: Option<RefCell<NoiseSource<'m>>>,
}

impl<'m> ClearEvaluator<'m> {
    /// An evaluator without noise.
    pub fn new(maps: &'m ClearMaps) -> Self {
        ClearEvaluator { maps, keys: None, noise: None }
    }

    /// An evaluator without noise that needs the keys which an encrypted evaluation needs.
    pub(crate) fn with_keys(maps: &'m ClearMaps, keys: &'m ClearKeys) -> Self {
        ClearEvaluator { maps, keys: Some(keys), noise: None }
    }

    /// An evaluator that adds the noise of CKKS; equal seeds give equal results.
    pub fn with_noise(maps: &'m ClearMaps, model: &'m NoiseModel, seed: u64) -> Self {
        ClearEvaluator { maps, keys: None, noise: Some(RefCell::new(NoiseSource::new(model, seed))) }
    }

    /// What encryption does to packed values: nothing but noise.
    pub fn encrypt(&self, mut values: Vec<f64>, level: Level) -> ClearCiphertext {
        self.disturb(&mut values, |model| model.fresh());
        ClearCiphertext::fresh(values, level, 0)
    }

    /// What decryption does to a value that should be the exact one: nothing but noise.
    pub fn decrypt(&self, ciphertext: ClearCiphertext, exact: &[f64]) -> Vec<f64> {
        let mut values = ciphertext.values;
        if let Some(noise) = &self.noise {
            noise.borrow_mut().add_decryption(&mut values, exact);
        }
        values
    }

    fn need(&self, purpose: KeyPurpose, level: Level) -> Result<()> {
        self.keys.map_or(Ok(()), |keys| keys.need(purpose, level))
    }

    fn disturb(&self, values: &mut [f64], deviation: impl Fn(&NoiseModel) -> Deviation) {
        if let Some(noise) = &self.noise {
            let mut source = noise.borrow_mut();
            let deviation = deviation(source.model());
            source.add_to(values, deviation);
        }
    }

    fn linear_exact(&self, step: LinearStep<'_>, inputs: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
        let matrix = self.maps.matrices.get(step.id.index()).ok_or(EngineError::OtherProgram)?;
        let period = step.map.input.period;
        if inputs.iter().any(|vector| vector.len() > period) {
            let full = slots::repeat(inputs, self.maps.slots)?;
            return Ok(step.map.apply(&full, self.maps.slots));
        }
        Ok(matrix.apply(&slots::repeat(inputs, period)?))
    }

    /// Babies and giants rotate before the rescale, folds after it.
    fn need_keys_of_map(&self, step: LinearStep<'_>) -> Result<()> {
        let plan = &step.map.plan;
        let before = plan.babies().into_iter().chain(plan.giant_rotations()).map(|steps| (steps, Level(step.to.0 + 1)));
        let after = plan.folds.iter().map(|&steps| (steps, step.to));
        let mut rotations = before.chain(after).filter(|&(steps, _)| steps != 0);
        rotations.try_for_each(|(steps, level)| self.need(KeyPurpose::Rotation(steps), level))
    }
}

impl Evaluator for ClearEvaluator<'_> {
    const PROFILE: &'static EngineProfile = ClearEngine::PROFILE;

    type Ciphertext = ClearCiphertext;

    fn duplicate(&self, input: &ClearCiphertext) -> Result<ClearCiphertext> {
        Ok(input.clone())
    }

    fn linear(&self, step: LinearStep<'_>, inputs: &[ClearCiphertext]) -> Result<Vec<ClearCiphertext>> {
        self.need_keys_of_map(step)?;
        let pair = inputs.first().map_or(0, |input| input.pair);
        let inputs: Vec<Vec<f64>> = inputs.iter().map(|input| input.values.clone()).collect();
        let mut results = self.linear_exact(step, &inputs)?;
        let matrix = &self.maps.matrices[step.id.index()];
        let magnitude = root_mean_square(&inputs);
        // Folds give all slots one sum that are so far apart as the result repeats, within what was folded.
        let (period, folded) = (step.map.output.period, step.map.output.period << step.map.plan.folds.len());
        for result in &mut results {
            let deviation = |model: &NoiseModel| model.linear(step.map, matrix.row_norm(), magnitude);
            if folded == period || result.len() <= period {
                self.disturb(result, deviation);
                continue;
            }
            for block in result.chunks_mut(folded) {
                let mut errors = vec![0.0; period.min(block.len())];
                self.disturb(&mut errors, deviation);
                block.iter_mut().zip(errors.iter().cycle()).for_each(|(value, error)| *value += error);
            }
        }
        Ok(results.into_iter().map(|values| ClearCiphertext::fresh(values, step.to, pair)).collect())
    }

    fn rotate(&self, input: &ClearCiphertext, steps: i64, ty: Type) -> Result<ClearCiphertext> {
        if steps != 0 {
            self.need(KeyPurpose::Rotation(steps), ty.level)?;
        }
        let mut values = rotated_left(&input.values, steps, input.values.len());
        self.disturb(&mut values, |model| model.key_switch(ty));
        Ok(ClearCiphertext { values, ..*input })
    }

    fn add(&self, left: ClearCiphertext, right: &ClearCiphertext) -> Result<ClearCiphertext> {
        Ok(combine(left, right, |a, b| a + b))
    }

    fn sub(&self, left: ClearCiphertext, right: &ClearCiphertext) -> Result<ClearCiphertext> {
        Ok(combine(left, right, |a, b| a - b))
    }

    fn mul(&self, left: &ClearCiphertext, right: &ClearCiphertext) -> Result<ClearCiphertext> {
        Ok(combine(left.clone(), right, |a, b| a * b).product(left.level, 3))
    }

    fn square(&self, input: &ClearCiphertext) -> Result<ClearCiphertext> {
        self.mul(input, input)
    }

    fn mul_constant(
        &self,
        mut input: ClearCiphertext,
        constant: f64,
        _: Type,
        level: Level,
    ) -> Result<ClearCiphertext> {
        input.values.iter_mut().for_each(|x| *x *= constant);
        Ok(input.product(level, 2))
    }

    fn add_constant(&self, mut input: ClearCiphertext, constant: f64, _: Type) -> Result<ClearCiphertext> {
        input.values.iter_mut().for_each(|x| *x += constant);
        Ok(input)
    }

    fn relinearize(&self, mut input: ClearCiphertext, ty: Type) -> Result<ClearCiphertext> {
        self.need(KeyPurpose::Relinearization, ty.level)?;
        self.disturb(&mut input.values, |model| model.key_switch(ty));
        Ok(ClearCiphertext { parts: 2, ..input })
    }

    fn rescale(&self, mut input: ClearCiphertext, ty: Type) -> Result<ClearCiphertext> {
        self.disturb(&mut input.values, |model| model.rescale());
        Ok(input.at_rest(Level(ty.level.0.saturating_sub(1))))
    }

    fn drop_to(&self, mut input: ClearCiphertext, _: Type, level: Level) -> Result<ClearCiphertext> {
        self.disturb(&mut input.values, |model| model.rescale());
        Ok(input.at_rest(level))
    }

    fn bootstrap(&self, mut input: ClearCiphertext, _: Type, slots: usize, level: Level) -> Result<ClearCiphertext> {
        self.keys.map_or(Ok(()), |keys| keys.need_bootstrap(slots))?;
        self.disturb(&mut input.values, |model| model.bootstrap(slots));
        Ok(input.at_rest(level))
    }
}

/// `f` slot by slot; the shorter operand repeats.
fn combine(left: ClearCiphertext, right: &ClearCiphertext, f: impl Fn(f64, f64) -> f64) -> ClearCiphertext {
    let (parts, pair, level, kind) = (left.parts.max(right.parts), left.pair, left.level, left.kind);
    ClearCiphertext { values: combine_values(left.values, &right.values, f), parts, pair, level, kind }
}

fn combine_values(left: Vec<f64>, right: &[f64], f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    let period = left.len().max(right.len());
    let mut result = if left.len() == period { left } else { repeated(&left, period) };
    for chunk in result.chunks_mut(right.len()) {
        chunk.iter_mut().zip(right).for_each(|(a, b)| *a = f(*a, *b));
    }
    result
}

fn repeated(values: &[f64], length: usize) -> Vec<f64> {
    values.iter().copied().cycle().take(length).collect()
}

fn root_mean_square(vectors: &[Vec<f64>]) -> f64 {
    let count = vectors.iter().map(Vec::len).sum::<usize>().max(1);
    (vectors.iter().flatten().map(|x| x * x).sum::<f64>() / count as f64).sqrt()
}

impl std::fmt::Debug for ClearMaps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClearMaps").field("slots", &self.slots).field("maps", &self.matrices.len()).finish()
    }
}

impl std::fmt::Debug for ClearEvaluator<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClearEvaluator").field("maps", self.maps).field("noise", &self.noise.is_some()).finish()
    }
}
