//! Scaler, LinearRegressor and LinearClassifier: products with matrices.

use super::classes::{Labels, Place, Transform};
use super::{Affine, Rewriting};
use crate::site::Refusal;

/// Scaler: `(x − offset) · scale`, each of them one number or one a column.
pub(super) fn scaler(it: &mut Rewriting<'_>) -> Result<bool, Refusal> {
    let (offset, scale) = (it.numbers("offset")?, it.numbers("scale")?);
    let mut result = it.real(0);
    if !offset.is_empty() {
        let offset = it.to.numbers(offset);
        result = it.to.add("Sub", &[&result, &offset], vec![]);
    }
    if scale.is_empty() {
        return it.finish("Identity", &[&result]);
    }
    let scale = it.to.numbers(scale);
    it.finish("Mul", &[&result, &scale])
}

/// LinearRegressor: a row of coefficients a target, and intercepts if there are as many.
pub(super) fn linear_regressor(it: &mut Rewriting<'_>) -> Result<bool, Refusal> {
    let targets = it.attributes().integer("targets")?.unwrap_or(1);
    let targets = usize::try_from(targets).map_err(|_| Refusal::invalid(format!("targets is {targets}")))?;
    let intercepts = it.numbers("intercepts")?;
    let bias = if intercepts.len() == targets { intercepts } else { vec![0.0; targets] };
    let matrix = Affine::of(it.numbers("coefficients")?, bias)?;
    let transform = Transform::of(it)?;
    let rows = it.rows();
    let scores = it.product(&rows, matrix);
    // A single target stays what it is.
    let transform = if targets == 1 { Transform::None } else { transform };
    let result = it.transformed(&scores, transform);
    it.finish("Identity", &[&result])
}

/// LinearClassifier: a score for each intercept. The class is that of the largest score, whatever is made of the scores
/// then; a single score stands for the second of two classes if it is positive.
pub(super) fn linear_classifier(it: &mut Rewriting<'_>) -> Result<bool, Refusal> {
    let matrix = Affine::of(it.numbers("coefficients")?, it.numbers("intercepts")?)?;
    let (labels, transform) = (Labels::of(it)?, Transform::of(it)?);
    if labels.len() != matrix.rows().max(2) {
        return Err(Refusal::invalid(format!("{} classes for {} scores", labels.len(), matrix.rows())));
    }
    let rows = it.rows();
    if matrix.rows() > 1 {
        let scores = it.product(&rows, matrix);
        let probabilities = it.transformed(&scores, transform);
        return it.classes(&scores, Place::OfLargest, &labels, &probabilities);
    }
    let shift = if transform == Transform::Logistic { 0.0 } else { 1.0 };
    let scores = it.product(&rows, matrix.with_opposite(shift));
    let probabilities = it.of_two(&scores, transform);
    it.classes(&scores, Place::WherePositive, &labels, &probabilities)
}
