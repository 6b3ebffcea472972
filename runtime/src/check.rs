//! Encrypted against clear, layer by layer: how many bits agree, and how many should by the noise model.
//!
//! A *layer* is an ONNX node that operations are named after; it is judged by the last value of its name that is at
//! rest. Only slots that hold elements count: what lies between them means nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use openfhe_sys as fhe;
use paf_circuit::Circuit;
use paf_ir::Layout;
use paf_ir::ckks::{Kind, Level, Op, Type, Verified};
use paf_ir::program::{Operation, ValueId};
use paf_ir::slots::Vectors;
use rayon::prelude::*;

use crate::ciphertexts::scale;
use crate::clear::{ClearEngine, ClearMaps, NoiseModel};
use crate::client::Client;
use crate::engine::Result;
use crate::executor::{Evaluation, Step};
use crate::keys::SecretKey;
use crate::openfhe::Ciphertext;
use crate::samples::Samples;
use crate::server::Server;

/// How one layer of an encrypted evaluation agrees with the clear one.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerAgreement {
    /// The ONNX node.
    pub layer: String,
    /// Level of the value compared.
    pub level: Level,
    /// `−log2` of the largest difference over the largest value; minus infinity where nothing could be decrypted.
    pub bits: f64,
    /// The same for the noise model: the largest of that many gaussian errors with the deviation that it shows.
    pub expected_bits: f64,
}

/// What each layer holds for one sample in the clear, and how well an encrypted run should agree with it.
#[derive(Debug)]
pub struct Expectations {
    layers: BTreeMap<ValueId, Expected>,
}

#[derive(Debug)]
struct Expected {
    /// By ciphertext, the slots of one period that hold elements.
    places: Arc<Places>,
    exact: Vectors,
    bits: f64,
}

type Places = Vec<Vec<bool>>;

impl Expectations {
    /// Runs one sample on the clear engine, without noise and with that of `seeds` keys.
    ///
    /// # Errors
    /// Those of [`crate::executor::run`].
    pub fn new(circuit: &Circuit, samples: &Samples, sample: usize, seeds: u64) -> Result<Self> {
        let program = &circuit.program;
        let (ids, places, maps) = (layers(program), element_places(program), ClearMaps::new(program));
        let inputs = samples.packed(&program.inputs, sample);
        let exact = values_of(&ClearEngine::new(&maps), program, &inputs, &ids)?;
        let noisy = |seed: u64| -> Result<Vec<f64>> {
            let model = NoiseModel::new(&circuit.parameters, seed);
            let engine = ClearEngine::with_noise(&maps, &model, seed);
            let values = values_of(&engine, program, &inputs, &ids)?;
            let variance = |((id, values), exact): ((&ValueId, Vectors), &Vectors)| {
                let pairs = values.into_iter().zip(exact);
                let decrypted: Vectors = pairs.map(|(value, exact)| engine.decrypt(value, exact)).collect();
                Difference::new(&decrypted, exact, &places[id.index()]).variance()
            };
            Ok(ids.iter().zip(values).zip(&exact).map(variance).collect())
        };
        let variances: Vec<Vec<f64>> = (0..seeds).into_par_iter().map(noisy).collect::<Result<_>>()?;
        let deviation =
            |layer: usize| (variances.iter().map(|variances| variances[layer]).sum::<f64>() / seeds as f64).sqrt();
        let expected = |(layer, (id, exact)): (usize, (&ValueId, Vectors))| {
            let places = Arc::clone(&places[id.index()]);
            (*id, Expected { bits: expected_bits(deviation(layer), &exact, &places, program.slots), places, exact })
        };
        Ok(Expectations { layers: ids.iter().zip(exact).enumerate().map(expected).collect() })
    }
}

/// Bits of agreement where the errors of all places and their copies are gaussian with one deviation: the largest of n
/// is about √(2·ln n) deviations.
fn expected_bits(deviation: f64, exact: &[Vec<f64>], places: &[Vec<bool>], slots: usize) -> f64 {
    let elements = |places: &Vec<bool>| places.iter().filter(|&&place| place).count() * (slots / places.len());
    let count = places.iter().map(elements).sum::<usize>().max(2) as f64;
    let largest = deviation * (2.0 * count.ln()).sqrt();
    Difference { largest, ..Difference::new(exact, exact, places) }.bits()
}

/// Evaluates encrypted inputs, decrypts the value of each layer when it is there, and compares: layers in the order of
/// these values.
///
/// # Errors
/// Those of [`crate::executor::run`].
pub fn check_layers(
    server: &Server,
    client: &Client,
    secret: &SecretKey,
    inputs: Vec<Vec<Ciphertext>>,
    expectations: &Expectations,
    observer: &mut dyn FnMut(Step<'_>),
) -> Result<Vec<LayerAgreement>> {
    let program = &server.circuit().program;
    let mut evaluation = Evaluation::new(&server.engine, program, inputs)?;
    let mut layers = Vec::with_capacity(expectations.layers.len());
    while let Some(step) = evaluation.next_step() {
        observer(step);
        server.keys.make_ready(step.id)?;
        evaluation.step()?;
        let Some(expected) = expectations.layers.get(&step.id) else { continue };
        let value = evaluation.get(step.id).unwrap_or_default();
        let ty = program.value(step.id).ty;
        let bits = decrypt(client, secret, value, ty)
            .map_or(f64::NEG_INFINITY, |values| Difference::new(&values, &expected.exact, &expected.places).bits());
        let layer = step.layer.to_owned();
        layers.push(LayerAgreement { layer, level: ty.level, bits, expected_bits: expected.bits });
    }
    Ok(layers)
}

/// The slots of a value, `None` if its noise is too large.
fn decrypt(client: &Client, secret: &SecretKey, value: &[Ciphertext], ty: Type) -> Option<Vectors> {
    let scale = scale(client.scheme(), ty);
    value.iter().map(|ciphertext| fhe::decrypt(secret.key(), ciphertext, scale).ok()).collect()
}

/// For each layer the last value at rest with two parts; the last of any kind where there is none.
fn layers(program: &Verified) -> Vec<ValueId> {
    let at_rest = |id: ValueId| {
        let ty = program.value(id).ty;
        ty.kind == Kind::Rest && ty.parts == 2
    };
    let mut last: BTreeMap<&str, ValueId> = BTreeMap::new();
    for (id, value) in program.values() {
        let kept = last.entry(&value.name).or_insert(id);
        if at_rest(id) || !at_rest(*kept) {
            *kept = id;
        }
    }
    let mut ids: Vec<ValueId> = last.into_values().collect();
    ids.sort();
    ids
}

/// For each value the slots that depend on elements only, period by period.
fn element_places(program: &Verified) -> Vec<Arc<Places>> {
    let mut places: Vec<Arc<Places>> = Vec::with_capacity(program.len());
    for (_, value) in program.values() {
        let of = |id: ValueId| &places[id.index()];
        let new = match value.op {
            Op::Input { port, .. } => Arc::new(layout_places(&program.inputs[port as usize].layout)),
            Op::Linear { map, .. } => Arc::new(layout_places(&program.maps[map.index()].output)),
            Op::Rotate { steps, input } => Arc::new(rotated(of(input), steps)),
            Op::Add(a, b) | Op::Sub(a, b) | Op::Mul(a, b) if a != b => Arc::new(common(of(a), of(b))),
            _ => Arc::clone(of(value.op.operands()[0])),
        };
        places.push(new);
    }
    places
}

fn layout_places(layout: &Layout) -> Places {
    let marked = layout.pack(&vec![1.0; layout.size()]);
    marked.iter().map(|vector| vector.iter().map(|&mark| mark != 0.0).collect()).collect()
}

fn rotated(places: &[Vec<bool>], steps: i64) -> Places {
    let rotate = |vector: &Vec<bool>| {
        let mut vector = vector.clone();
        let length = vector.len() as i64;
        vector.rotate_left(steps.rem_euclid(length) as usize);
        vector
    };
    places.iter().map(rotate).collect()
}

fn common(a: &[Vec<bool>], b: &[Vec<bool>]) -> Places {
    let both = |(a, b): (&Vec<bool>, &Vec<bool>)| {
        let length = a.len().max(b.len());
        (0..length).map(|slot| a[slot % a.len()] && b[slot % b.len()]).collect()
    };
    a.iter().zip(b).map(both).collect()
}

/// The clear values of some ids.
fn values_of(
    engine: &ClearEngine<'_>,
    program: &Verified,
    inputs: &[Vectors],
    ids: &[ValueId],
) -> Result<Vec<Vectors>> {
    let encrypt = |port: &Vectors| port.iter().map(|vector| engine.encrypt(vector.clone())).collect();
    let mut evaluation = Evaluation::new(engine, program, inputs.iter().map(encrypt).collect())?;
    let mut values = Vec::with_capacity(ids.len());
    while let Some(step) = evaluation.next_step() {
        evaluation.step()?;
        if ids.binary_search(&step.id).is_ok() {
            values.push(evaluation.get(step.id).unwrap_or_default().to_vec());
        }
    }
    Ok(values)
}

/// How values differ from exact ones at the places and all their copies.
#[derive(Debug, Clone, Copy, Default)]
struct Difference {
    largest: f64,
    squares: f64,
    count: usize,
    /// The largest exact value.
    magnitude: f64,
}

impl Difference {
    fn new(values: &[Vec<f64>], exact: &[Vec<f64>], places: &[Vec<bool>]) -> Self {
        let mut sum = Difference::default();
        for ((values, exact), places) in values.iter().zip(exact).zip(places) {
            let length = values.len().max(exact.len());
            for slot in (0..length).filter(|slot| places[slot % places.len()]) {
                sum.add(values[slot % values.len()], exact[slot % exact.len()]);
            }
        }
        sum
    }

    fn add(&mut self, value: f64, exact: f64) {
        let difference = if value.is_finite() { (value - exact).abs() } else { f64::INFINITY };
        self.largest = self.largest.max(difference);
        self.squares += difference.powi(2);
        self.count += 1;
        self.magnitude = self.magnitude.max(exact.abs());
    }

    fn variance(&self) -> f64 {
        self.squares / self.count.max(1) as f64
    }

    /// `−log2` of the largest difference over the largest exact value; absolute where all of these are zero.
    fn bits(&self) -> f64 {
        -(self.largest / if self.magnitude == 0.0 { 1.0 } else { self.magnitude }).log2()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreement(values: &[f64], exact: &[f64], places: &[bool]) -> f64 {
        Difference::new(&[values.to_vec()], &[exact.to_vec()], &[places.to_vec()]).bits()
    }

    #[test]
    fn agreement_counts_places_and_their_copies_only() {
        let (exact, places) = ([4.0, 1.0], [true, false]);
        assert_eq!(agreement(&[4.0, 9.0, 4.0, -7.0], &exact, &places), f64::INFINITY);
        assert_eq!(agreement(&[4.0, 9.0, 4.5, -7.0], &exact, &places), 3.0);
        assert_eq!(agreement(&[f64::NAN, 9.0], &exact, &places), f64::NEG_INFINITY);
    }

    #[test]
    fn a_layer_of_zeros_is_compared_absolutely() {
        assert_eq!(agreement(&[0.25, 0.0], &[0.0, 0.0], &[true, true]), 2.0);
    }

    /// The expected largest of 512 gaussian errors, from tables of order statistics, is 3.04 deviations.
    #[test]
    fn the_largest_of_many_errors_is_expected() {
        let bits = expected_bits(1.0 / 1024.0, &[vec![1.0, 0.0]], &[vec![true, false]], 1024);
        assert!((bits - (10.0 - 3.04f64.log2())).abs() < 0.3, "{bits}");
    }

    #[test]
    fn places_follow_rotations_and_meet_in_sums() {
        let places = [vec![true, true, false, false]];
        assert_eq!(rotated(&places, 1), [[true, false, false, true]]);
        assert_eq!(rotated(&places, -1), [[false, true, true, false]]);
        assert_eq!(common(&places, &rotated(&places, 1)), [[true, false, false, false]]);
        assert_eq!(common(&places, &[vec![true, false]]), [[true, false, false, false]]);
    }
}
