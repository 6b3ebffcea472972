//! BatchNormalization and Relu.

use paf_ir::Constant;
use paf_ir::tensor::{BatchNorm, Op};

use super::site::{Outcome, Refusal, Site, Value};

/// ONNX's default for the ε added to the variance.
const DEFAULT_EPSILON: f64 = 1e-5;

/// BatchNormalization in its inference form; it stays a node, so that statistics can be estimated again.
pub(super) fn batch_normalization(site: &mut Site<'_>) -> Outcome {
    let (input, shape) = site.tensor(0)?;
    if site.attributes.flag("training_mode")? {
        return Err(Refusal::unsupported("training_mode is 1", "export the model in inference mode (`model.eval()`)"));
    }
    if site.attributes.integer("spatial")? == Some(0) && shape.0.len() > 2 {
        return Err(Refusal::unsupported("spatial is 0", "use one mean and variance a channel (spatial = 1)"));
    }
    let parameter = |index, what| Ok::<Constant, Refusal>(site.weights(index, what)?.tensor);
    let norm = BatchNorm {
        scale: parameter(1, "the scale")?,
        bias: parameter(2, "the bias")?,
        mean: parameter(3, "the mean")?,
        variance: parameter(4, "the variance")?,
        epsilon: site.attributes.number("epsilon")?.unwrap_or(DEFAULT_EPSILON),
    };
    if let Some(channel) = norm.variance.data.iter().position(|variance| variance + norm.epsilon <= 0.0) {
        return Err(Refusal::invalid(format!("variance plus epsilon of channel {channel} is not positive")));
    }
    Ok(Value::Tensor(site.add(Op::BatchNorm(norm), &[input])?))
}

/// Relu.
pub(super) fn relu(site: &mut Site<'_>) -> Outcome {
    let (input, _) = site.tensor(0)?;
    Ok(Value::Tensor(site.add(Op::Relu, &[input])?))
}
