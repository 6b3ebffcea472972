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
    let key = match noise {
        Noise::Off => None,
        Noise::Seed(seed) => Some((NoiseModel::new(&circuit.parameters, seed), seed)),
    };
    let one = |sample: usize| {
        let vectors = run_one(circuit, &ClearEngine::new(&maps), samples, sample)?;
        let Some((model, seed)) = &key else {
            return Ok(outputs(circuit, &vectors));
        };
        let noisy = ClearEngine::with_noise(&maps, model, seed.wrapping_add(sample as u64));
        let encrypted = run_one(circuit, &noisy, samples, sample)?;
        Ok(outputs(circuit, &decrypt(&noisy, encrypted, &vectors)))
    };
    (0..samples.count()).into_par_iter().map(one).collect()
}

/// The packed vectors of every output.
type Vectors = Vec<Vec<Vec<f64>>>;

fn run_one(circuit: &Circuit, engine: &ClearEngine<'_>, samples: &Samples, sample: usize) -> Result<Vectors> {
    let packed = samples.packed(&circuit.program.inputs, sample);
    let encrypted = packed.into_iter().map(|port| port.into_iter().map(|vector| engine.encrypt(vector)).collect());
    executor::run(engine, &circuit.program, encrypted.collect(), &mut |_| {})
}

fn decrypt(engine: &ClearEngine<'_>, encrypted: Vectors, exact: &Vectors) -> Vectors {
    let port = |(vectors, exact): (Vec<Vec<f64>>, &Vec<Vec<f64>>)| {
        vectors.into_iter().zip(exact).map(|(vector, exact)| engine.decrypt(vector, exact)).collect()
    };
    encrypted.into_iter().zip(exact).map(port).collect()
}

fn outputs(circuit: &Circuit, vectors: &Vectors) -> Vec<Output> {
    circuit.program.outputs.iter().zip(vectors).map(|(port, vectors)| finish(port, vectors)).collect()
}
