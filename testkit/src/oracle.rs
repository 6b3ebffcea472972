//! The cleartext oracle: the same file run by tract.

use std::path::Path;
use std::sync::Arc;

use prost::Message as _;
use tract_onnx::pb::tensor_shape_proto::dimension::Value as Size;
use tract_onnx::pb::{ModelProto, ValueInfoProto, type_proto};
use tract_onnx::prelude::*;

/// A model of one input, prepared by tract for a batch of 1.
pub struct Oracle {
    plan: Arc<TypedRunnableModel>,
    shape: Vec<usize>,
}

impl Oracle {
    /// Prepares a model.
    ///
    /// # Errors
    /// What tract cannot read or analyse, in words.
    pub fn load(path: &Path) -> Result<Self, String> {
        let shape = input_shape(path)?;
        let prepare = || -> TractResult<Arc<TypedRunnableModel>> {
            let model = tract_onnx::onnx().with_ignore_value_info(true).model_for_path(path)?;
            model.with_input_fact(0, f32::fact(&shape).into())?.into_optimized()?.into_runnable()
        };
        let plan = prepare().map_err(in_words)?;
        Ok(Oracle { plan, shape })
    }

    /// The outputs on one sample, flat, in the model's order; integer outputs become floats.
    ///
    /// # Errors
    /// Why tract does not run the input, in words.
    pub fn run(&self, input: &[f32]) -> Result<Vec<Vec<f32>>, String> {
        let run = || -> TractResult<Vec<Vec<f32>>> {
            let tensor = Tensor::from_shape(&self.shape, input)?;
            let outputs = self.plan.run(tvec!(tensor.into()))?;
            outputs.iter().map(|output| Ok(output.cast_to::<f32>()?.view().as_slice::<f32>()?.to_vec())).collect()
        };
        run().map_err(in_words)
    }
}

/// Prepares a model and runs it on one sample.
///
/// # Errors
/// As [`Oracle::load`] and [`Oracle::run`].
pub fn run(path: &Path, input: &[f32]) -> Result<Vec<Vec<f32>>, String> {
    Oracle::load(path)?.run(input)
}

fn in_words(problem: TractError) -> String {
    format!("tract: {problem:#}")
}

/// The shape of the one input that is no weight, with 1 in the place of symbols.
fn input_shape(path: &Path) -> Result<Vec<usize>, String> {
    let bytes = std::fs::read(path).map_err(|problem| format!("{}: {problem}", path.display()))?;
    let model = ModelProto::decode(&bytes[..]).map_err(|problem| format!("{}: {problem}", path.display()))?;
    let graph = model.graph.ok_or("a model without a graph")?;
    let is_weight = |input: &ValueInfoProto| graph.initializer.iter().any(|weight| weight.name == input.name);
    let inputs: Vec<&ValueInfoProto> = graph.input.iter().filter(|input| !is_weight(input)).collect();
    let [input] = inputs[..] else { return Err(format!("a model of {} inputs", inputs.len())) };
    let Some(type_proto::Value::TensorType(tensor)) = input.r#type.as_ref().and_then(|it| it.value.as_ref()) else {
        return Err("an input that is no tensor".to_owned());
    };
    let axes = &tensor.shape.as_ref().ok_or("an input without a shape")?.dim;
    let size = |axis: &Option<Size>| match axis {
        Some(Size::DimValue(size)) => usize::try_from(*size).unwrap_or(1).max(1),
        _ => 1,
    };
    Ok(axes.iter().map(|axis| size(&axis.value)).collect())
}
