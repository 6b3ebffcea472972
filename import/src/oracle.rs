//! The cleartext oracle of tests: the same file run by tract.

use std::path::Path;

use tract_onnx::prelude::*;

use super::{ImportError, ModelSource, inputs, model};

/// Why tract could not run a model.
#[derive(Debug, thiserror::Error)]
pub enum OracleError {
    /// The file is not a model with one input of a known shape.
    #[error(transparent)]
    Model(#[from] ImportError),
    /// tract refused the model or the input.
    #[error("tract: {0}")]
    Tract(String),
}

impl From<TractError> for OracleError {
    fn from(problem: TractError) -> Self {
        OracleError::Tract(format!("{problem:#}"))
    }
}

/// A model prepared by tract for a batch of 1.
pub struct Oracle {
    plan: Arc<TypedRunnableModel>,
    shape: Vec<usize>,
}

impl Oracle {
    /// Prepares a model.
    ///
    /// # Errors
    /// [`OracleError::Model`] if the file has no single input of a fixed shape, [`OracleError::Tract`] if tract
    /// cannot analyse it.
    pub fn load(path: &Path) -> Result<Self, OracleError> {
        let shape = input_shape(path)?;
        let reader = tract_onnx::onnx().with_ignore_value_info(true);
        let model = reader.model_for_path(path)?;
        let model = model.with_input_fact(0, f32::fact(&shape).into())?;
        Ok(Oracle { plan: model.into_optimized()?.into_runnable()?, shape })
    }

    /// The outputs on one sample, flat, in the model's order; integer outputs become floats.
    ///
    /// # Errors
    /// [`OracleError::Tract`] if the input does not fit.
    pub fn run(&self, input: &[f32]) -> Result<Vec<Vec<f32>>, OracleError> {
        let tensor = Tensor::from_shape(&self.shape, input)?;
        let outputs = self.plan.run(tvec!(tensor.into()))?;
        outputs.iter().map(|output| Ok(output.cast_to::<f32>()?.view().as_slice::<f32>()?.to_vec())).collect()
    }
}

/// Prepares a model and runs it on one sample.
///
/// # Errors
/// As [`Oracle::load`] and [`Oracle::run`].
pub fn run(path: &Path, input: &[f32]) -> Result<Vec<Vec<f32>>, OracleError> {
    Oracle::load(path)?.run(input)
}

fn input_shape(path: &Path) -> Result<Vec<usize>, ImportError> {
    let model = model::decoded(&ModelSource::read(path)?)?;
    let mut data_inputs = inputs::data_inputs(&model.graph);
    match (data_inputs.next(), data_inputs.next()) {
        (Some(input), None) => Ok(inputs::declared(input)?.shape.0),
        (None, _) => Err(ImportError::NoInput),
        _ => Err(ImportError::SeveralInputs {
            names: inputs::data_inputs(&model.graph).map(|input| input.name.clone()).collect(),
        }),
    }
}
