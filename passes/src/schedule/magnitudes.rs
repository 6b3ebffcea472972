//! How large the values of a slots program are: a bootstrap takes values up to 1 only.

use paf_ir::program::ValueId;
use paf_ir::random::SplitMix64;
use paf_ir::tensor::{Graph, GraphEvaluator};

use crate::approximate::Approximated;
use crate::decisions::CalibrationSamples;
use crate::error::PassError;
use crate::pack::Packed;

/// A value is refreshed if its magnitude on the samples times this stays within 1. The modular reduction inside of a
/// bootstrap is accurate to a third power of the magnitude, so a value slightly above 1 on other data loses bits, not its
/// sign or size.
const MARGIN: f64 = 1.05;

/// Samples looked at: the scales that bring values to about 1 come from all of them already.
const SAMPLES: usize = 6;

/// Inputs for a network without calibration data: the ends of each input's range, and numbers between them from a fixed
/// seed. `inputs` says of each input how many elements it has and what range.
fn drawn_samples(inputs: &[(usize, (f64, f64))]) -> Vec<Vec<Vec<f64>>> {
    let mut numbers = SplitMix64::new(0);
    let all = |part: &mut dyn FnMut() -> f64| -> Vec<Vec<f64>> {
        let input =
            |&(size, (low, high)): &(usize, (f64, f64))| (0..size).map(|_| low + (high - low) * part()).collect();
        inputs.iter().map(input).collect()
    };
    let mut samples = vec![all(&mut || 0.0), all(&mut || 1.0)];
    samples.extend((samples.len()..SAMPLES).map(|_| all(&mut || numbers.uniform())));
    samples
}

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
        let sizes = optimized.inputs.iter().map(|input| optimized.node(input.0).shape.size());
        let inputs: Vec<(usize, (f64, f64))> = sizes.zip(polynomial.inputs.iter().map(|input| input.1)).collect();
        let drawn = if samples.is_empty() { drawn_samples(&inputs) } else { vec![] };
        let scaled = |sample: &Vec<Vec<f64>>| -> Vec<Vec<f64>> {
            let inputs = sample.iter().zip(&polynomial.inputs);
            inputs.map(|(x, (scale, _))| x.iter().map(|x| x * scale).collect()).collect()
        };
        let looked_at = samples.iter().chain(&drawn).take(SAMPLES);
        magnitudes(optimized, &packed.values, &looked_at.map(scaled).collect::<Vec<_>>())
    }

    /// Nothing known: nothing is refreshed.
    pub fn unknown() -> Self {
        Magnitudes(vec![])
    }

    /// Whether each of a number of values is known to be small enough for a bootstrap.
    pub(super) fn refreshable(&self, count: usize) -> Vec<bool> {
        (0..count).map(|value| self.0.get(value).is_some_and(|magnitude| magnitude * MARGIN <= 1.0)).collect()
    }
}

/// The magnitudes of a packed graph on samples, which are scaled as the client scales them. `values` is the value of each
/// node of the graph in the slots program. What lies in slots between a tensor's elements is left out: there an operation
/// computes the same function of a zero, or of elements of the same tensor.
fn magnitudes(graph: &Graph, values: &[ValueId], samples: &[Vec<Vec<f64>>]) -> Result<Magnitudes, PassError> {
    let measured = GraphEvaluator::new(graph).largest_magnitudes(samples)?;
    let count = values.iter().map(|value| value.index() + 1).max().unwrap_or(0);
    let mut magnitudes = vec![0.0; count];
    for (value, magnitude) in values.iter().zip(measured) {
        magnitudes[value.index()] = magnitude.max(magnitudes[value.index()]);
    }
    Ok(Magnitudes(magnitudes))
}
