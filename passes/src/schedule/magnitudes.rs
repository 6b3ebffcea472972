//! How large the values of a slots program are: a bootstrap takes values up to about 1 only.

use paf_ir::tensor::{Graph, GraphEvaluator};

use crate::approximate::Approximated;
use crate::decisions::{CalibrationSamples, a_few};
use crate::error::PassError;
use crate::pack::Packed;

/// A value is refreshed if its magnitude on the samples is within this. The modular reduction inside of a bootstrap is accurate
/// to a third power of the magnitude, so values a little above 1 lose bits of that part of the error only, which is not the
/// largest one: ResNet-20 with 16 bootstraps of values up to 1.4 has the errors that it has with values up to 1.
const LARGEST: f64 = 1.4;

/// The largest magnitude of each value of a slots program, where known.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Magnitudes(pub Vec<f64>);

impl Magnitudes {
    /// Of an optimized network that was packed, on the samples that it was approximated with, or where there are none on
    /// inputs drawn from their ranges.
    ///
    /// # Errors
    /// [`PassError::Ir`] if a sample does not fit the graph.
    pub fn of(
        optimized: &Graph,
        packed: &Packed,
        polynomial: &Approximated,
        samples: &CalibrationSamples,
    ) -> Result<Self, PassError> {
        let measured = reach(optimized, polynomial, samples)?;
        let count = packed.values.iter().map(|value| value.index() + 1).max().unwrap_or(0);
        let mut magnitudes = vec![0.0; count];
        for (value, magnitude) in packed.values.iter().zip(measured) {
            magnitudes[value.index()] = magnitude.max(magnitudes[value.index()]);
        }
        Ok(Magnitudes(magnitudes))
    }

    /// Nothing known: nothing is refreshed.
    pub fn unknown() -> Self {
        Magnitudes(vec![])
    }

    /// Whether each of a number of values is known to be small enough for a bootstrap.
    pub(super) fn refreshable(&self, count: usize) -> Vec<bool> {
        (0..count).map(|value| self.0.get(value).is_some_and(|magnitude| *magnitude <= LARGEST)).collect()
    }
}

/// The largest magnitude of each node of an optimized network on the samples that it was approximated with, scaled as the
/// client scales them. What lies in slots between a tensor's elements is left out: there an operation computes the same
/// function of a zero, or of elements of the same tensor.
///
/// # Errors
/// [`PassError::Ir`] if a sample does not fit the graph.
pub(crate) fn reach(
    optimized: &Graph,
    polynomial: &Approximated,
    samples: &CalibrationSamples,
) -> Result<Vec<f64>, PassError> {
    let sizes = optimized.inputs.iter().map(|input| optimized.node(input.0).shape.size());
    let inputs: Vec<(usize, (f64, f64))> = sizes.zip(polynomial.inputs.iter().map(|input| input.range)).collect();
    let mut samples = a_few(samples, &inputs);
    for (x, scaling) in samples.iter_mut().flat_map(|sample| sample.iter_mut().zip(&polynomial.inputs)) {
        x.iter_mut().enumerate().for_each(|(element, x)| *x = scaling.scaled(element, *x));
    }
    Ok(GraphEvaluator::new(optimized).largest_magnitudes(&samples)?)
}
