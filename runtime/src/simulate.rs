//! Running a circuit on the clear engine, many samples in parallel.

use paf_circuit::Circuit;
use rayon::prelude::*;

use crate::clear::{ClearEngine, ClearMaps, NoiseModel};
use crate::engine::Result;
use crate::executor;
use crate::samples::{Output, Samples, finish};

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
/// Those of [`executor::run`].
pub fn simulate(circuit: &Circuit, samples: &Samples, noise: Noise) -> Result<Vec<Vec<Output>>> {
    let maps = ClearMaps::new(&circuit.program);
    let model = NoiseModel::new(&circuit.parameters);
    let one = |sample: usize| {
        let engine = match noise {
            Noise::Off => ClearEngine::new(&maps),
            Noise::Seed(seed) => ClearEngine::with_noise(&maps, &model, seed.wrapping_add(sample as u64)),
        };
        run_one(circuit, &engine, samples, sample)
    };
    (0..samples.count()).into_par_iter().map(one).collect()
}

fn run_one(circuit: &Circuit, engine: &ClearEngine<'_>, samples: &Samples, sample: usize) -> Result<Vec<Output>> {
    let packed = samples.packed(&circuit.program.inputs, sample);
    let encrypted = packed.into_iter().map(|port| port.into_iter().map(|vector| engine.encrypt(vector)).collect());
    let results = executor::run(engine, &circuit.program, encrypted.collect(), &mut |_| {})?;
    Ok(circuit.program.outputs.iter().zip(&results).map(|(port, vectors)| finish(port, vectors)).collect())
}
