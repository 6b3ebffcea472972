//! How many bits of a result survive encryption, by the noise model.

use paf_circuit::Circuit;
use paf_engine::Engine as _;
use paf_engine_clear::{ClearEngine, ClearEvaluator, ClearMaps, NoiseModel};
use rayon::prelude::*;

use crate::error::Result;
use crate::samples::{Samples, result_bits};
use crate::simulate::{decrypted, outputs, run_one, values};

/// By how many bits another key or sample may be worse than those that were tried.
const RESERVE: f64 = 0.5;

/// By how many bits what is predicted may be below the mean, and above the least.
const MOST_BELOW: f64 = 3.5;
const MOST_ABOVE: f64 = 2.0;

/// Runs with noise, for circuits whose encrypted runs take less than so many seconds each.
const RUNS: [(f64, u64); 3] = [(3.0, 24), (20.0, 8), (f64::INFINITY, 2)];

/// Bits to which an encrypted run agrees with the clear one on such samples: half way between the mean and the least over
/// samples and keys of the noise model, less what others may be worse by, neither far below the mean nor far above the least. Bits are those of
/// [`result_bits`]; none where every result is zero.
///
/// # Errors
/// Those of [`crate::executor::run`].
pub fn expected_bits(circuit: &Circuit, samples: &Samples) -> Result<Option<f64>> {
    let runs = RUNS.iter().find(|(seconds, _)| circuit.prediction.seconds < *seconds).map_or(1, |(_, runs)| *runs);
    let maps = ClearMaps::new(&circuit.program);
    let one = |seed: u64| -> Result<Option<f64>> {
        let sample = seed as usize % samples.count();
        let exact = values(run_one(circuit, &ClearEvaluator::new(&maps), samples, sample)?);
        let model = NoiseModel::new(ClearEngine::PROFILE, &circuit.parameters, seed);
        let evaluator = ClearEvaluator::with_noise(&maps, &model, seed);
        let noisy = decrypted(circuit, &evaluator, samples, sample, &exact)?;
        let results = |vectors| outputs(circuit, vectors).ports.concat();
        let (noisy, exact) = (results(&noisy), results(&exact));
        if exact.iter().all(|&value| value == 0.0) {
            return Ok(None);
        }
        let bits = result_bits(&circuit.program.outputs, &noisy, &exact);
        Ok(Some(if bits.is_nan() { f64::NEG_INFINITY } else { bits }))
    };
    let bits: Vec<Option<f64>> = (0..runs).into_par_iter().map(one).collect::<Result<_>>()?;
    let bits: Vec<f64> = bits.into_iter().flatten().collect();
    let mean = bits.iter().sum::<f64>() / bits.len() as f64;
    let least = bits.iter().copied().fold(f64::INFINITY, f64::min);
    let between = f64::midpoint(mean, least) - RESERVE;
    let expected = if least.is_finite() { between.max(mean - MOST_BELOW).min(least + MOST_ABOVE) } else { between };
    Ok((!bits.is_empty()).then_some(expected))
}
