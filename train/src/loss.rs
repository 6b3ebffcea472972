//! What training minimizes: means over a batch of results `[batch, classes]`.

use candle_core::{Device, Result, Tensor};

/// Logarithm of the softmax of each row.
pub(crate) fn log_softmax(logits: &Tensor) -> Result<Tensor> {
    let shifted = logits.broadcast_sub(&logits.max_keepdim(1)?.detach())?;
    shifted.broadcast_sub(&shifted.exp()?.sum_keepdim(1)?.log()?)
}

/// Mean of −log of the probability of each sample's class.
pub(crate) fn cross_entropy(logits: &Tensor, labels: &[u32]) -> Result<Tensor> {
    let labels = Tensor::from_slice(labels, (labels.len(), 1), &Device::Cpu)?;
    log_softmax(logits)?.gather(&labels, 1)?.mean_all()?.neg()
}

/// Mean Kullback-Leibler divergence of the results from the teacher's, both divided by the temperature; times the
/// temperature squared, so that gradients do not shrink with it (Hinton, Vinyals, Dean 2015).
pub(crate) fn distillation(logits: &Tensor, teacher: &Tensor, temperature: f64) -> Result<Tensor> {
    let own = log_softmax(&(logits / temperature)?)?;
    let teacher = log_softmax(&(teacher.detach() / temperature)?)?;
    let divergence = (teacher.exp()? * (teacher - own)?)?.sum(1)?.mean_all()?;
    divergence * (temperature * temperature)
}
