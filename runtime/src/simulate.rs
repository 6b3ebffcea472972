//! Running a circuit on the clear engine, many samples in parallel.

use paf_circuit::Circuit;
use paf_engine::{Engine as _, check_process};
use paf_engine_clear::{ClearCiphertext, ClearEngine, ClearEvaluator, ClearMaps, NoiseModel};
use paf_ir::ckks::Level;
use paf_ir::slots::repeat;
use rayon::prelude::*;

use crate::error::Result;
use crate::executor;
use crate::samples::{ClientOutput, Samples, finish};

/// What simulation adds to the exact result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noise {
    /// Nothing.
    Off,
    /// The noise that CKKS would add, from this seed.
    Seed(u64),
}

/// The outputs of every sample, as an encrypted run would give them up to its noise. Results are not checked: a value
/// may have [left the range](crate::samples::check_output) of its polynomial.
///
/// # Errors
/// Those of [`executor::run`]; [`RuntimeError::Engine`](crate::RuntimeError::Engine) in a process that was forked from one
/// that had simulated.
pub fn simulate(circuit: &Circuit, samples: &Samples, noise: Noise) -> Result<Vec<ClientOutput>> {
    check_process()?;
    let maps = ClearMaps::new(&circuit.program);
    let key = match noise {
        Noise::Off => None,
        Noise::Seed(seed) => Some((NoiseModel::new(ClearEngine::PROFILE, &circuit.parameters, seed), seed)),
    };
    let one = |sample: usize| {
        let vectors = values(run_one(circuit, &ClearEvaluator::new(&maps), samples, sample)?);
        let Some((model, seed)) = &key else {
            return Ok(outputs(circuit, &vectors));
        };
        let noisy = ClearEvaluator::with_noise(&maps, model, seed.wrapping_add(sample as u64));
        Ok(outputs(circuit, &decrypted(circuit, &noisy, samples, sample, &vectors)?))
    };
    (0..samples.count()).into_par_iter().map(one).collect()
}

/// The packed vectors of every output.
pub(crate) type PortVectors = Vec<Vec<Vec<f64>>>;

/// Products of slots and plaintexts up to which a run with noise takes place on all slots.
const MOST_PRODUCTS: usize = 1 << 22;

/// What an evaluator with noise leaves of exact results. Where that is little work all slots are there, so that copies of a
/// value have errors of their own, as under encryption, and the client averages what is averaged there.
pub(crate) fn decrypted(
    circuit: &Circuit,
    evaluator: &ClearEvaluator<'_>,
    samples: &Samples,
    sample: usize,
    exact: &PortVectors,
) -> Result<PortVectors> {
    let (packed, slots) = (samples.packed(&circuit.program.inputs, sample), circuit.program.slots);
    if slots.saturating_mul(circuit.counts().plaintext_products) > MOST_PRODUCTS {
        return Ok(decrypt(evaluator, run(circuit, evaluator, packed)?, exact));
    }
    let on_all_slots = |ports: &PortVectors| -> Result<PortVectors> {
        Ok(ports.iter().map(|vectors| repeat(vectors, slots)).collect::<std::result::Result<_, _>>()?)
    };
    let encrypted = run(circuit, evaluator, on_all_slots(&packed)?)?;
    Ok(decrypt(evaluator, encrypted, &on_all_slots(exact)?))
}

pub(crate) fn run_one(
    circuit: &Circuit,
    evaluator: &ClearEvaluator<'_>,
    samples: &Samples,
    sample: usize,
) -> Result<Vec<Vec<ClearCiphertext>>> {
    run(circuit, evaluator, samples.packed(&circuit.program.inputs, sample))
}

fn run(circuit: &Circuit, evaluator: &ClearEvaluator<'_>, packed: PortVectors) -> Result<Vec<Vec<ClearCiphertext>>> {
    executor::run(evaluator, &circuit.program, encrypted(evaluator, circuit, packed), &mut |_| {})
}

/// Packed inputs as ciphertexts of the clear engine.
pub(crate) fn encrypted(
    evaluator: &ClearEvaluator<'_>,
    circuit: &Circuit,
    packed: PortVectors,
) -> Vec<Vec<ClearCiphertext>> {
    let port = |(port, level): (Vec<Vec<f64>>, Level)| {
        port.into_iter().map(|vector| evaluator.encrypt(vector, level)).collect()
    };
    packed.into_iter().zip(circuit.input_levels()).map(port).collect()
}

pub(crate) fn values(ciphertexts: Vec<Vec<ClearCiphertext>>) -> PortVectors {
    ciphertexts.into_iter().map(|port| port.into_iter().map(|ciphertext| ciphertext.values).collect()).collect()
}

fn decrypt(evaluator: &ClearEvaluator<'_>, encrypted: Vec<Vec<ClearCiphertext>>, exact: &PortVectors) -> PortVectors {
    let port = |(ciphertexts, exact): (Vec<ClearCiphertext>, &Vec<Vec<f64>>)| {
        ciphertexts.into_iter().zip(exact).map(|(ciphertext, exact)| evaluator.decrypt(ciphertext, exact)).collect()
    };
    encrypted.into_iter().zip(exact).map(port).collect()
}

pub(crate) fn outputs(circuit: &Circuit, vectors: &PortVectors) -> ClientOutput {
    finish(&circuit.program.outputs, &circuit.program.client, vectors)
}
