//! The clear engine: the circuit on plain slot vectors in f64, optionally with the noise that CKKS would add.
//!
//! A vector is as long as its period, not as the slot count: every operation takes vectors that repeat to vectors that
//! repeat, so the result is that of full vectors at a fraction of the work.

mod matrix;
mod noise;

use std::cell::RefCell;

use paf_ir::ckks::{Level, Type, Verified};
use paf_ir::diagonals::rotated_left;
use paf_ir::slots;
use rayon::prelude::*;

use crate::engine::{Engine, LinearStep, Result};
use matrix::SlotMatrix;
pub use noise::NoiseModel;
use noise::{Deviation, NoiseSource};

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

/// The engine for one sample.
///
/// ```
/// use paf_ir::ckks::{CkksProgram, Level, Op};
/// use paf_ir::program::{InputPort, OutputPort};
/// use paf_ir::tensor::PostProcess;
/// use paf_ir::{Layout, Shape};
/// use paf_runtime::{ClearEngine, ClearMaps, executor};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (shape, layout) = (Shape(vec![2]), Layout::dense(2, 4));
/// let port = InputPort { name: "x".into(), shape, layout, scale: 1.0, range: (-1.0, 1.0) };
/// let mut program = CkksProgram::new(4, vec![], vec![port.clone()]);
/// let x = program.push("x", Op::Input { port: 0, level: Level(1) })?;
/// let square = program.push("square", Op::Mul(x, x))?;
/// let square = program.push("square", Op::Relinearize(square))?;
/// let value = program.push("square", Op::Rescale(square))?;
/// let (shape, layout) = (port.shape, port.layout);
/// program.outputs.push(OutputPort { name: "y".into(), value, shape, layout, scale: 1.0, post: PostProcess::None });
/// let program = program.verify()?;
///
/// let maps = ClearMaps::new(&program);
/// let outputs = executor::run(&ClearEngine::new(&maps), &program, vec![vec![vec![3.0, -2.0]]], &mut |_| {})?;
/// assert_eq!(outputs[0][0], [9.0, 4.0]);
/// # Ok(())
/// # }
/// ```
pub struct ClearEngine<'m> {
    maps: &'m ClearMaps,
    noise: Option<RefCell<NoiseSource<'m>>>,
}

impl<'m> ClearEngine<'m> {
    /// An engine without noise.
    pub fn new(maps: &'m ClearMaps) -> Self {
        ClearEngine { maps, noise: None }
    }

    /// An engine that adds the noise of CKKS; equal seeds give equal results.
    pub fn with_noise(maps: &'m ClearMaps, model: &'m NoiseModel, seed: u64) -> Self {
        ClearEngine { maps, noise: Some(RefCell::new(NoiseSource::new(model, seed))) }
    }

    /// What encryption does to packed values: nothing but noise.
    pub fn encrypt(&self, mut values: Vec<f64>) -> Vec<f64> {
        self.disturb(&mut values, |model| model.fresh());
        values
    }

    /// What decryption does to packed values that should be the exact ones: nothing but noise.
    pub fn decrypt(&self, mut values: Vec<f64>, exact: &[f64]) -> Vec<f64> {
        if let Some(noise) = &self.noise {
            noise.borrow_mut().add_decryption(&mut values, exact);
        }
        values
    }

    fn disturb(&self, values: &mut [f64], deviation: impl Fn(&NoiseModel) -> Deviation) {
        if let Some(noise) = &self.noise {
            let mut source = noise.borrow_mut();
            let deviation = deviation(source.model());
            source.add_to(values, deviation);
        }
    }

    fn linear_exact(&self, step: LinearStep<'_>, inputs: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
        let period = step.map.input.period;
        if inputs.iter().any(|vector| vector.len() > period) {
            let full = slots::repeat(inputs, self.maps.slots)?;
            return Ok(step.map.apply(&full, self.maps.slots));
        }
        Ok(self.maps.matrices[step.id.index()].apply(&slots::repeat(inputs, period)?))
    }
}

impl Engine for ClearEngine<'_> {
    type Ciphertext = Vec<f64>;

    fn duplicate(&self, input: &Vec<f64>) -> Result<Vec<f64>> {
        Ok(input.clone())
    }

    fn linear(&self, step: LinearStep<'_>, inputs: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
        let mut results = self.linear_exact(step, inputs)?;
        let matrix = &self.maps.matrices[step.id.index()];
        let magnitude = root_mean_square(inputs);
        for result in &mut results {
            self.disturb(result, |model| model.linear(step.map, matrix.row_norm(), magnitude));
        }
        Ok(results)
    }

    fn rotate(&self, input: &Vec<f64>, steps: i64, ty: Type) -> Result<Vec<f64>> {
        let mut result = rotated_left(input, steps, input.len());
        self.disturb(&mut result, |model| model.key_switch(ty));
        Ok(result)
    }

    fn add(&self, left: Vec<f64>, right: &Vec<f64>) -> Result<Vec<f64>> {
        combine(left, right, |a, b| a + b)
    }

    fn sub(&self, left: Vec<f64>, right: &Vec<f64>) -> Result<Vec<f64>> {
        combine(left, right, |a, b| a - b)
    }

    fn mul(&self, left: &Vec<f64>, right: &Vec<f64>) -> Result<Vec<f64>> {
        combine(left.clone(), right, |a, b| a * b)
    }

    fn square(&self, input: &Vec<f64>) -> Result<Vec<f64>> {
        Ok(input.iter().map(|x| x * x).collect())
    }

    fn mul_constant(&self, mut input: Vec<f64>, constant: f64, _: Type, _: Level) -> Result<Vec<f64>> {
        input.iter_mut().for_each(|x| *x *= constant);
        Ok(input)
    }

    fn add_constant(&self, mut input: Vec<f64>, constant: f64, _: Type) -> Result<Vec<f64>> {
        input.iter_mut().for_each(|x| *x += constant);
        Ok(input)
    }

    fn relinearize(&self, mut input: Vec<f64>, ty: Type) -> Result<Vec<f64>> {
        self.disturb(&mut input, |model| model.key_switch(ty));
        Ok(input)
    }

    fn rescale(&self, mut input: Vec<f64>, _: Type) -> Result<Vec<f64>> {
        self.disturb(&mut input, |model| model.rescale());
        Ok(input)
    }

    fn drop_to(&self, mut input: Vec<f64>, _: Type, _: Level) -> Result<Vec<f64>> {
        self.disturb(&mut input, |model| model.rescale());
        Ok(input)
    }

    fn bootstrap(&self, mut input: Vec<f64>, _: Type, slots: usize, _: Level) -> Result<Vec<f64>> {
        self.disturb(&mut input, |model| model.bootstrap(slots));
        Ok(input)
    }
}

/// `f` slot by slot; the shorter operand repeats.
fn combine(left: Vec<f64>, right: &[f64], f: impl Fn(f64, f64) -> f64) -> Result<Vec<f64>> {
    let period = left.len().max(right.len());
    let mut result = if left.len() == period { left } else { repeated(&left, period) };
    for chunk in result.chunks_mut(right.len()) {
        chunk.iter_mut().zip(right).for_each(|(a, b)| *a = f(*a, *b));
    }
    Ok(result)
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

impl std::fmt::Debug for ClearEngine<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClearEngine").field("maps", self.maps).field("noise", &self.noise.is_some()).finish()
    }
}
