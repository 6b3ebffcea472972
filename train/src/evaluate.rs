//! How well a model does, off the tape.

use candle_core::{D, DType, Tensor};
use paf_adapt::Data;
use paf_adapt::config::Loss;
use paf_adapt::training::Metrics;

use crate::batches;
use crate::error::TrainError;
use crate::loss::{cross_entropy, distillation};
use crate::model::{Normalizing, Pass, TapeModel};

/// Results of the original network, row by row.
pub(crate) struct Teacher {
    logits: Tensor,
}

impl Teacher {
    /// Computes them for all samples.
    pub(crate) fn new(model: &TapeModel, data: &Data, batch: usize) -> Result<Self, TrainError> {
        let all: Vec<usize> = (0..data.len()).collect();
        let rows = all.chunks(batch).map(|part| results(model, data, part)).collect::<Result<Vec<_>, _>>()?;
        Ok(Teacher { logits: Tensor::cat(&rows, 0)? })
    }

    /// Those of some samples.
    pub(crate) fn of(&self, indices: &[usize]) -> Result<Tensor, TrainError> {
        let places: Vec<u32> = indices.iter().map(|&index| index as u32).collect();
        let places = Tensor::from_slice(&places, places.len(), self.logits.device())?;
        Ok(self.logits.index_select(&places, 0)?)
    }
}

/// Results of a model as it is deployed.
pub(crate) fn results(model: &TapeModel, data: &Data, indices: &[usize]) -> Result<Tensor, TrainError> {
    let pass = Pass { trained: &Default::default(), normalizing: Normalizing::Running };
    model.forward(&batches::tensor(data, indices, model.dtype())?, &pass)
}

/// The loss of results; the teacher's are needed where the loss looks at them.
pub(crate) fn loss_of(
    kind: Loss,
    logits: &Tensor,
    teacher: &Tensor,
    labels: Option<&[u32]>,
) -> Result<Tensor, TrainError> {
    let on_labels = || cross_entropy(logits, labels.unwrap_or_default());
    Ok(match kind {
        Loss::Labels => on_labels()?,
        Loss::Distillation { temperature } => distillation(logits, teacher, temperature)?,
        Loss::Both { distillation: part, temperature } => {
            ((on_labels()? * (1.0 - part))? + (distillation(logits, teacher, temperature)? * part)?)?
        }
    })
}

/// Labels of some samples.
pub(crate) fn labels_of(data: &Data, indices: &[usize]) -> Option<Vec<u32>> {
    data.y.as_ref().map(|y| indices.iter().map(|&index| y[index]).collect())
}

/// Loss and accuracy on some samples.
pub(crate) fn evaluate(
    model: &TapeModel,
    data: &Data,
    indices: &[usize],
    teacher: &Teacher,
    kind: Loss,
    batch: usize,
) -> Result<Metrics, TrainError> {
    let (mut loss, mut right) = (0.0, 0);
    for part in indices.chunks(batch) {
        let (logits, teacher) = (results(model, data, part)?, teacher.of(part)?);
        let labels = labels_of(data, part);
        let value = loss_of(kind, &logits, &teacher, labels.as_deref())?;
        loss += value.to_dtype(DType::F64)?.to_scalar::<f64>()? * part.len() as f64;
        let wanted = match labels {
            Some(labels) => labels,
            None => teacher.argmax(D::Minus1)?.to_vec1()?,
        };
        let found: Vec<u32> = logits.argmax(D::Minus1)?.to_vec1()?;
        right += found.iter().zip(&wanted).filter(|(found, wanted)| found == wanted).count();
    }
    let samples = indices.len();
    Ok(Metrics { loss: loss / samples as f64, accuracy: right as f64 / samples as f64, samples })
}
