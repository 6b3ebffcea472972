//! Encrypted against clear, layer by layer: how many bits agree, and how many should by the noise model.
//!
//! A *layer* is an ONNX node that operations are named after; it is judged by the last value of its name that is at
//! rest. Only slots that hold elements count: what lies between them means nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use paf_circuit::Circuit;
use paf_engine::{Answer, Engine, EngineError, Evaluator, KeySet as _, check_process};
use paf_engine_clear::{ClearCiphertext, ClearEngine, ClearEvaluator, ClearMaps, NoiseModel};
use paf_ir::Layout;
use paf_ir::ckks::{Kind, Level, Op, Type, Verified};
use paf_ir::program::{Operation, ValueId};
use paf_ir::slots::Vectors;
use rayon::prelude::*;

use crate::client::Client;
use crate::error::{Result, RuntimeError};
use crate::executor::{Evaluation, Onlooker, Step};
use crate::keys::{EvaluationKeys, SecretKey};
use crate::samples::Samples;
use crate::server::{Server, each};
use crate::simulate::encrypted;

/// How one layer of an encrypted evaluation agrees with the clear one.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerAgreement {
    /// The ONNX node.
    pub layer: String,
    /// Level of the value compared.
    pub level: Level,
    /// `−log2` of the largest difference over the largest value; minus infinity where nothing could be decrypted.
    pub bits: f64,
    /// The same for the noise model: the mean over some keys.
    pub expected_bits: f64,
    /// `−log2` of the root mean square difference over the largest value. Polynomials of activations are steep in places:
    /// the largest difference is that of a few slots there, this one is what later sums see.
    pub mean_bits: f64,
    /// The same for the noise model.
    pub expected_mean_bits: f64,
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
    mean_bits: f64,
}

type Places = Vec<Vec<bool>>;

impl Expectations {
    /// Runs one sample on the clear engine, without noise and with that of `seeds` keys, at least one.
    ///
    /// # Errors
    /// Those of [`crate::executor::run`].
    pub fn new(circuit: &Circuit, samples: &Samples, sample: usize, seeds: u64) -> Result<Self> {
        check_process()?;
        let program = &circuit.program;
        let (ids, places, maps) = (layers(program), element_places(program), ClearMaps::new(program));
        let inputs = samples.packed(&program.inputs, sample);
        let clear = values_of(&ClearEvaluator::new(&maps), circuit, &inputs, &ids)?;
        let exact: Vec<Vectors> = clear.into_iter().map(plain).collect();
        let noisy = |seed: u64| -> Result<Vec<Difference>> {
            let model = NoiseModel::new(ClearEngine::PROFILE, &circuit.parameters, seed);
            let evaluator = ClearEvaluator::with_noise(&maps, &model, seed);
            let values = values_of(&evaluator, circuit, &inputs, &ids)?;
            let difference = |((id, values), exact): ((&ValueId, Vec<ClearCiphertext>), &Vectors)| {
                let pairs = values.into_iter().zip(exact);
                let decrypted: Vectors = pairs.map(|(value, exact)| evaluator.decrypt(value, exact)).collect();
                Difference::new(&decrypted, exact, &places[id.index()])
            };
            Ok(ids.iter().zip(values).zip(&exact).map(difference).collect())
        };
        let runs: Vec<Vec<Difference>> = (0..seeds).into_par_iter().map(noisy).collect::<Result<_>>()?;
        let expected = |(layer, (id, exact)): (usize, (&ValueId, Vectors))| {
            let places = Arc::clone(&places[id.index()]);
            let mean = |bits: &dyn Fn(&Difference) -> f64| {
                runs.iter().map(|layers| bits(&layers[layer])).sum::<f64>() / seeds.max(1) as f64
            };
            let bits = mean(&Difference::bits) - log_growth(&places, program.slots);
            (*id, Expected { bits, mean_bits: mean(&Difference::mean_bits), places, exact })
        };
        Ok(Expectations { layers: ids.iter().zip(exact).enumerate().map(expected).collect() })
    }
}

/// By how many bits the largest of the errors of all copies of a period exceeds the largest of one period, which is all
/// that the clear engine has: the largest of n gaussian errors is about √(2·ln n) deviations.
fn log_growth(places: &[Vec<bool>], slots: usize) -> f64 {
    let elements = |copies: &dyn Fn(usize) -> usize| -> f64 {
        let of = |places: &Vec<bool>| places.iter().filter(|&&place| place).count() * copies(places.len());
        places.iter().map(of).sum::<usize>().max(2) as f64
    };
    let (all, one) = (elements(&|period| slots / period), elements(&|_| 1));
    0.5 * (all.ln() / one.ln()).log2()
}

/// Both sides of an encrypted evaluation, in one process.
pub struct Sides<'s, E: Engine> {
    /// The client.
    pub client: &'s Client<E>,
    /// The client's secret key.
    pub secret: &'s SecretKey<E>,
    /// The server.
    pub server: &'s Server<E>,
    /// The client's keys at the server.
    pub keys: &'s EvaluationKeys<E>,
}

/// Evaluates encrypted inputs, decrypts the value of each layer when it is there, and compares: layers in the order of
/// these values.
///
/// # Errors
/// Those of [`Server::evaluate`].
pub fn check_layers<E: Engine, A: Answer>(
    sides: &Sides<'_, E>,
    inputs: Vec<Vec<E::Ciphertext>>,
    expectations: &Expectations,
    observer: &mut dyn FnMut(Step<'_>) -> A,
) -> Result<Vec<LayerAgreement>> {
    let Sides { server, keys, .. } = sides;
    let evaluator = server.evaluator(keys);
    let inputs = each(inputs, |ciphertext| keys.set.admit(ciphertext))?;
    let evaluation = Evaluation::new(&evaluator, &server.circuit().program, inputs)?;
    let mut comparison = Comparison { sides, evaluator: &evaluator, expectations, observer, layers: vec![] };
    server.watched(keys, evaluation).finish(&mut comparison)?;
    Ok(comparison.layers)
}

/// Compares the value of each layer as soon as it is there.
struct Comparison<'c, 'e, E: Engine, A> {
    sides: &'c Sides<'c, E>,
    evaluator: &'c E::Evaluator<'e>,
    expectations: &'c Expectations,
    observer: &'c mut dyn FnMut(Step<'_>) -> A,
    layers: Vec<LayerAgreement>,
}

impl<'e, E: Engine, A: Answer> Onlooker<E::Evaluator<'e>> for Comparison<'_, 'e, E, A> {
    fn before(&mut self, _: &Evaluation<'_, E::Evaluator<'e>>, step: Step<'_>) -> Result<()> {
        RuntimeError::unless_cancelled((self.observer)(step).flow())
    }

    fn after(&mut self, evaluation: &Evaluation<'_, E::Evaluator<'e>>, step: Step<'_>) -> Result<()> {
        let Some(expected) = self.expectations.layers.get(&step.id) else { return Ok(()) };
        let ty = self.sides.server.circuit().program.value(step.id).ty;
        let values = self.decrypt(evaluation.get(step.id).unwrap_or_default(), ty)?;
        let difference = values.map(|values| Difference::new(&values, &expected.exact, &expected.places));
        self.layers.push(LayerAgreement {
            layer: step.layer.to_owned(),
            level: ty.level,
            bits: difference.map_or(f64::NEG_INFINITY, |difference| difference.bits()),
            expected_bits: expected.bits,
            mean_bits: difference.map_or(f64::NEG_INFINITY, |difference| difference.mean_bits()),
            expected_mean_bits: expected.mean_bits,
        });
        Ok(())
    }
}

impl<E: Engine, A> Comparison<'_, '_, E, A> {
    /// The slots of a value, `None` if its noise is too large.
    fn decrypt(&self, value: &[E::Ciphertext], ty: Type) -> Result<Option<Vectors>> {
        let Sides { client, secret, keys, .. } = self.sides;
        let mut vectors = Vec::with_capacity(value.len());
        for ciphertext in value {
            let released = keys.set.release(self.evaluator.duplicate(ciphertext)?)?;
            match client.engine().decrypt(&secret.key, &released, Type { ciphertexts: 1, ..ty }) {
                Ok(vector) => vectors.push(vector),
                Err(EngineError::Undecryptable(_)) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(vectors))
    }
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

fn plain(value: Vec<ClearCiphertext>) -> Vectors {
    value.into_iter().map(|ciphertext| ciphertext.values).collect()
}

/// The clear values of some ids, ascending.
fn values_of(
    evaluator: &ClearEvaluator<'_>,
    circuit: &Circuit,
    inputs: &[Vectors],
    ids: &[ValueId],
) -> Result<Vec<Vec<ClearCiphertext>>> {
    let inputs = encrypted(evaluator, circuit, inputs.to_vec());
    let mut kept = Kept { ids, values: Vec::with_capacity(ids.len()) };
    Evaluation::new(evaluator, &circuit.program, inputs)?.finish(&mut kept)?;
    Ok(kept.values)
}

/// Keeps the values of some ids.
struct Kept<'i> {
    ids: &'i [ValueId],
    values: Vec<Vec<ClearCiphertext>>,
}

impl Onlooker<ClearEvaluator<'_>> for Kept<'_> {
    fn before(&mut self, _: &Evaluation<'_, ClearEvaluator<'_>>, _: Step<'_>) -> Result<()> {
        Ok(())
    }

    fn after(&mut self, evaluation: &Evaluation<'_, ClearEvaluator<'_>>, step: Step<'_>) -> Result<()> {
        if self.ids.binary_search(&step.id).is_ok() {
            self.values.push(evaluation.get(step.id).unwrap_or_default().to_vec());
        }
        Ok(())
    }
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

    /// `−log2` of the largest difference over the largest exact value; absolute where all of these are zero.
    fn bits(&self) -> f64 {
        self.in_bits(self.largest)
    }

    /// The same for the root mean square difference.
    fn mean_bits(&self) -> f64 {
        self.in_bits((self.squares / self.count.max(1) as f64).sqrt())
    }

    fn in_bits(&self, difference: f64) -> f64 {
        -(difference / if self.magnitude == 0.0 { 1.0 } else { self.magnitude }).log2()
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

    #[test]
    fn the_mean_counts_all_places() {
        let difference = Difference::new(&[vec![4.0, 1.0, 4.0, 1.5]], &[vec![4.0, 1.0]], &[vec![true, true]]);
        assert_eq!((difference.bits(), difference.mean_bits()), (3.0, 4.0));
    }

    /// The expected largest of 8 and of 512 gaussian errors, from tables of order statistics, are 1.42 and 3.04 deviations
    /// (of absolute values 1.9 and 3.2).
    #[test]
    fn the_largest_of_many_copies_is_larger() {
        let places = [vec![true, false, true, true, true, true, true, true, true, false]];
        let growth = log_growth(&places, 640);
        assert!((growth - (3.2f64 / 1.9).log2()).abs() < 0.15, "{growth}");
        assert_eq!(log_growth(&places, 10), 0.0);
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
