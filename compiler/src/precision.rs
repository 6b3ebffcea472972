//! How many bits encryption leaves of the results: what the report says, and what `--precision` asks for.

use paf_circuit::Circuit;
use paf_ir::Shape;
use paf_passes::decisions::CalibrationSamples;
use paf_runtime::npy::Array;
use paf_runtime::{RuntimeError, Samples, expected_bits};

/// Samples that the noise model is asked for.
const SAMPLES: usize = 12;

/// Bits by the noise model on a few of these samples, the model's inputs in order; what the schedule reckoned with where
/// results are zero on all of them.
///
/// # Errors
/// What running the circuit on plain numbers says.
pub(crate) fn predicted(circuit: &Circuit, samples: &CalibrationSamples) -> Result<f64, RuntimeError> {
    let step = samples.len().div_ceil(SAMPLES).max(1);
    let few: Vec<&Vec<Vec<f64>>> = samples.iter().step_by(step).collect();
    let array = |(port, input): (usize, &paf_ir::program::InputPort)| Array {
        shape: Shape([&[few.len()], &input.shape.0[..]].concat()),
        data: few.iter().flat_map(|sample| sample[port].iter().copied()).collect(),
    };
    let inputs = &circuit.program.inputs;
    let arrays = inputs.iter().enumerate().map(array).collect();
    let bits = expected_bits(circuit, &Samples::new(inputs, arrays, None)?)?;
    Ok(bits.unwrap_or(circuit.prediction.precision_bits))
}
