//! AdamW and stochastic gradient descent with momentum, with a state that checkpoints hold.

use std::collections::BTreeMap;

use candle_core::Tensor;
use candle_core::backprop::GradStore;
use paf_adapt::config::OptimizerKind;

use crate::error::TrainError;
use crate::parameters::{ParameterId, Parameters};

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// Step size and decay of one parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rate {
    pub(crate) step: f64,
    pub(crate) decay: f64,
}

/// Which parameters move, and what the rule remembers of each.
pub(crate) struct Optimizer {
    kind: OptimizerKind,
    rates: BTreeMap<ParameterId, Rate>,
    /// Steps taken.
    pub(crate) steps: u64,
    /// Momentum; for AdamW the second moment too.
    pub(crate) moments: BTreeMap<ParameterId, Vec<Tensor>>,
}

impl Optimizer {
    pub(crate) fn new(kind: OptimizerKind, rates: BTreeMap<ParameterId, Rate>) -> Self {
        Optimizer { kind, rates, steps: 0, moments: BTreeMap::new() }
    }

    /// Number of moments that a parameter has.
    pub(crate) fn moment_count(&self) -> usize {
        match self.kind {
            OptimizerKind::AdamW => 2,
            OptimizerKind::Sgd { .. } => 1,
        }
    }

    /// One step of every parameter that has a gradient, of a part of its full size.
    pub(crate) fn step(&mut self, parameters: &Parameters, gradients: &GradStore, part: f64) -> Result<(), TrainError> {
        self.steps += 1;
        for (&id, &rate) in &self.rates {
            let variable = &parameters.get(id).variable;
            let Some(gradient) = gradients.get(variable.as_tensor()) else { continue };
            let gradient = gradient.detach();
            let moments = match self.moments.remove(&id) {
                Some(moments) => moments,
                None => (0..self.moment_count()).map(|_| gradient.zeros_like()).collect::<Result<_, _>>()?,
            };
            let (direction, moments) = match self.kind {
                OptimizerKind::AdamW => adam(&gradient, &moments, self.steps)?,
                OptimizerKind::Sgd { momentum } => {
                    let direction = ((&moments[0] * momentum)? + &gradient)?;
                    (direction.clone(), vec![direction])
                }
            };
            self.moments.insert(id, moments);
            let size = rate.step * part;
            let decayed = (variable.as_detached_tensor() * (1.0 - size * rate.decay))?;
            variable.set(&(decayed - (direction * size)?)?)?;
        }
        Ok(())
    }
}

fn adam(gradient: &Tensor, moments: &[Tensor], steps: u64) -> Result<(Tensor, Vec<Tensor>), TrainError> {
    let first = ((&moments[0] * BETA1)? + (gradient * (1.0 - BETA1))?)?;
    let second = ((&moments[1] * BETA2)? + (gradient.sqr()? * (1.0 - BETA2))?)?;
    let correction = |beta: f64| 1.0 - beta.powi(steps.min(1 << 20) as i32);
    let deviation = ((&second / correction(BETA2))?.sqrt()? + EPSILON)?;
    let direction = ((&first / correction(BETA1))? / deviation)?;
    Ok((direction, vec![first, second]))
}
