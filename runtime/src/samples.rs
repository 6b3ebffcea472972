//! The client's side of a sample: checks, scales and packs inputs; unpacks, scales and finishes results.

use paf_ir::client::{ClientProgram, ClientResult, ClientValue, ResultKind};
use paf_ir::program::{InputPort, OutputPort};
use paf_ir::slots::Vectors;

use crate::error::{Result, RuntimeError};
use crate::npy::Array;

/// How far an input may lie outside the calibrated range, relative to its width: farther ones are of another kind, such as
/// pixels up to 255 where those of calibration reach 1.
const NEAR: f64 = 0.5;

/// The same for a column with a range of its own: further samples of a table reach further than those of calibration (an
/// income, a pixel that was dark). So far it is four times as large as its scale is for, two bits of the first level.
const NEAR_OF_OWN: f64 = 1.5;

/// What is outside the calibrated range by less is rounding.
const ROUNDING: f64 = 1e-6;

/// A result so many times as large as what calibration showed is taken for that of a polynomial that left its range.
const DIVERGED: f64 = 16.0;

/// Samples of all inputs of a circuit, checked against its ports.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    count: usize,
    /// By input port, all samples one after another.
    arrays: Vec<Vec<f64>>,
}

impl Samples {
    /// Checks one array per input port: shape `[k, …]`, finite values, calibrated range. Takes the first `limit`
    /// samples of each.
    ///
    /// # Errors
    /// [`RuntimeError::InputCount`], [`RuntimeError::InputShape`], [`RuntimeError::SampleCounts`],
    /// [`RuntimeError::NoSamples`], [`RuntimeError::NotFinite`] or [`RuntimeError::OutOfRange`].
    pub fn new(ports: &[InputPort], arrays: Vec<Array>, limit: Option<usize>) -> Result<Self> {
        if arrays.len() != ports.len() {
            let expected = ports.iter().map(|port| port.name.clone()).collect();
            return Err(RuntimeError::InputCount { expected, got: arrays.len() });
        }
        ports.iter().zip(&arrays).try_for_each(|(port, array)| check_shape(port, array))?;
        let counts: Vec<usize> = arrays.iter().map(|array| array.shape.0[0]).collect();
        if counts.iter().any(|&count| count != counts[0]) {
            return Err(RuntimeError::SampleCounts(counts));
        }
        let count = counts.first().map_or(0, |&count| count.min(limit.unwrap_or(count)));
        if count == 0 {
            return Err(RuntimeError::NoSamples(ports.first().map_or_else(String::new, |port| port.name.clone())));
        }
        let keep = |(port, array): (&InputPort, Array)| {
            let mut data = array.data;
            data.truncate(count * port.shape.size());
            data
        };
        let arrays: Vec<Vec<f64>> = ports.iter().zip(arrays).map(keep).collect();
        ports.iter().zip(&arrays).try_for_each(|(port, data)| check_values(port, data))?;
        Ok(Samples { count, arrays })
    }

    /// Number of samples.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Samples with a value outside the calibrated range: what the circuit says of them is less certain.
    pub fn outside(&self, ports: &[InputPort]) -> Vec<usize> {
        let is_outside = |(place, &value): (usize, &f64), port: &InputPort| {
            distance(port.scaling.range_of(place % port.shape.size()), value) > ROUNDING
        };
        let of_sample = |sample: &usize| {
            let mut ports = ports.iter().zip(self.values(*sample));
            ports.any(|(port, values)| values.iter().enumerate().any(|element| is_outside(element, port)))
        };
        (0..self.count).filter(of_sample).collect()
    }

    /// One sample: the values of each port, row-major.
    pub fn values(&self, sample: usize) -> impl Iterator<Item = &[f64]> {
        let size = |array: &Vec<f64>| array.len() / self.count.max(1);
        self.arrays.iter().map(move |array| &array[sample * size(array)..][..size(array)])
    }

    /// One sample, scaled and packed: the slot vectors of each port, one period long.
    pub fn packed(&self, ports: &[InputPort], sample: usize) -> Vec<Vectors> {
        let pack = |(port, data): (&InputPort, &Vec<f64>)| {
            let size = port.shape.size();
            let elements = data[sample * size..][..size].iter().enumerate();
            let scaled: Vec<f64> = elements.map(|(element, &value)| port.scaling.scaled(element, value)).collect();
            port.layout.pack(&scaled)
        };
        ports.iter().zip(&self.arrays).map(pack).collect()
    }
}

fn check_shape(port: &InputPort, array: &Array) -> Result<()> {
    match array.shape.holds_samples_of(&port.shape) {
        true => Ok(()),
        false => Err(RuntimeError::InputShape {
            input: port.name.clone(),
            expected: port.shape.clone(),
            got: array.shape.clone(),
        }),
    }
}

/// How far a value lies outside a range, in parts of its width; of a range without width, in parts of its magnitude, where
/// only rounding is near.
fn distance((low, high): (f64, f64), value: f64) -> f64 {
    if !value.is_finite() {
        return f64::INFINITY;
    }
    let beyond = (low - value).max(value - high).max(0.0);
    let width = high - low;
    let distance = if width > 0.0 { beyond / width } else { beyond / low.abs().max(1.0) * NEAR / ROUNDING };
    if distance.is_nan() { 0.0 } else { distance }
}

fn check_values(port: &InputPort, data: &[f64]) -> Result<()> {
    let size = port.shape.size();
    let is_near = |(place, &value): (usize, &f64)| {
        let element = place % size;
        let near = if port.scaling.own.of(element).is_some() { NEAR_OF_OWN } else { NEAR };
        distance(port.scaling.range_of(element), value) <= near
    };
    let Some(place) = data.iter().enumerate().position(|element| !is_near(element)) else { return Ok(()) };
    let (input, value) = (port.name.clone(), data[place]);
    let (sample, element) = (place / size, place % size);
    Err(if value.is_finite() {
        RuntimeError::OutOfRange { input, sample, element, value, range: port.scaling.range_of(element) }
    } else {
        RuntimeError::NotFinite { input, sample, element, value }
    })
}

/// What a circuit says about one sample.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientOutput {
    /// The decrypted tensors, one for each output port.
    pub ports: Vec<Vec<f64>>,
    /// The model's outputs, computed from them. Texts are places in their list.
    pub results: Vec<Vec<f64>>,
}

impl ClientOutput {
    /// What stands for results that there are none of: NaN everywhere.
    pub fn none<V>(ports: &[OutputPort<V>], client: &ClientProgram) -> Self {
        let none = |size| vec![f64::NAN; size];
        ClientOutput {
            ports: ports.iter().map(|port| none(port.shape.size())).collect(),
            results: results(ports, client).iter().map(|result| none(result.shape.size())).collect(),
        }
    }

    /// Index of the largest value of the first decrypted tensor.
    pub fn top1(&self) -> usize {
        largest(self.ports[0].iter().copied())
    }
}

/// The model's outputs: what the client computes, or the decrypted tensors themselves.
pub fn results<V>(ports: &[OutputPort<V>], client: &ClientProgram) -> Vec<ClientResult> {
    let itself = |(index, port): (usize, &OutputPort<V>)| ClientResult {
        name: port.name.clone(),
        value: ClientValue::Port(index),
        shape: port.shape.clone(),
        kind: ResultKind::Real,
    };
    if client.is_empty() { ports.iter().enumerate().map(itself).collect() } else { client.results.clone() }
}

/// Unpacks and scales what was decrypted, and computes the model's outputs from it. Copies of a value that repeats over the
/// slots are averaged: each has its own noise.
pub fn finish<V>(ports: &[OutputPort<V>], client: &ClientProgram, vectors: &[Vectors]) -> ClientOutput {
    let port = |(port, vectors): (&OutputPort<V>, &Vectors)| -> Vec<f64> {
        let averaged: Vectors = vectors.iter().map(|vector| average_copies(vector, port.layout.period)).collect();
        port.layout.unpack(&averaged).into_iter().map(|value| value * port.scale).collect()
    };
    let ports: Vec<Vec<f64>> = ports.iter().zip(vectors).map(port).collect();
    let results = client.evaluate(&ports);
    ClientOutput { ports, results }
}

fn average_copies(vector: &[f64], period: usize) -> Vec<f64> {
    let copies = (vector.len() / period) as f64;
    (0..period).map(|slot| vector.iter().skip(slot).step_by(period).sum::<f64>() / copies).collect()
}

/// Refuses values that no trained network gives.
///
/// # Errors
/// [`RuntimeError::Diverged`].
pub fn check_output<V>(ports: &[OutputPort<V>], sample: usize, output: &ClientOutput) -> Result<()> {
    for (port, values) in ports.iter().zip(&output.ports) {
        if let Some(&value) =
            values.iter().find(|value| !value.is_finite() || value.abs() > DIVERGED * port.scale.abs())
        {
            return Err(RuntimeError::Diverged { output: port.name.clone(), sample, value });
        }
    }
    Ok(())
}

/// Index of the largest value, the first of equal ones.
pub fn largest(values: impl Iterator<Item = f64>) -> usize {
    let better = |best: (usize, f64), next: (usize, f64)| if next.1 > best.1 { next } else { best };
    values.enumerate().fold((0, f64::NEG_INFINITY), better).0
}

/// `−log2(max |a − b| / max |b|)`: bits to which `a` agrees with the reference `b`.
pub fn agreement_bits(values: &[f64], reference: &[f64]) -> f64 {
    bits_beside(values, reference, 0.0)
}

/// The part of what calibration showed that results are at least taken to be: a single number close to zero has no bits of
/// its own.
const LEAST_RESULT: f64 = 1.0 / 16.0;

/// As [`agreement_bits`] of decrypted results, of all ports together, in parts of the largest one, or of a sixteenth of the
/// ports' scale where that is more.
pub fn result_bits<V>(ports: &[OutputPort<V>], results: &[f64], reference: &[f64]) -> f64 {
    let scale = ports.iter().fold(0.0f64, |most, port| most.max(port.scale.abs()));
    bits_beside(results, reference, LEAST_RESULT * scale)
}

fn bits_beside(values: &[f64], reference: &[f64], least: f64) -> f64 {
    let largest = |values: &mut dyn Iterator<Item = f64>, least: f64| values.fold(least, f64::max);
    let difference = largest(&mut values.iter().zip(reference).map(|(a, b)| (a - b).abs()), 0.0);
    let magnitude = largest(&mut reference.iter().map(|b| b.abs()), least);
    -(difference / magnitude).log2()
}

#[cfg(test)]
mod tests {
    use super::*;
    use paf_ir::program::{InputScaling, OwnColumn, OwnColumns};
    use paf_ir::{Layout, Shape};

    fn port() -> InputPort {
        let (shape, layout) = (Shape(vec![2]), Layout::dense(2, 4));
        InputPort { name: "x".into(), shape, layout, scaling: InputScaling::shared(0.5, (-1.0, 1.0)) }
    }

    fn samples(shape: &[usize], data: &[f64]) -> Result<Samples> {
        Samples::new(&[port()], vec![Array { shape: Shape(shape.to_vec()), data: data.to_vec() }], None)
    }

    #[test]
    fn samples_are_scaled_and_packed() {
        let samples = samples(&[2, 2], &[0.0, 1.0, -1.0, 0.5]).unwrap();
        assert_eq!(samples.packed(&[port()], 1), [[[-0.5, 0.25]]]);
    }

    #[test]
    fn a_little_outside_the_range_is_known() {
        assert_eq!(samples(&[1, 2], &[1.000_001, 0.0]).unwrap().outside(&[port()]), Vec::<usize>::new());
        assert_eq!(samples(&[2, 2], &[0.0, 0.0, 0.0, -1.9]).unwrap().outside(&[port()]), [1]);
    }

    #[test]
    fn columns_have_ranges_of_their_own() {
        let own = |column, offset, scale, range| OwnColumn { column, offset, scale, range };
        let columns = vec![own(0, 1000.0, 0.01, (900.0, 1100.0)), own(2, 7.0, 0.0, (7.0, 7.0))];
        let own = OwnColumns { repeat: 1, count: 3, columns };
        let scaling = InputScaling { own, ..InputScaling::shared(0.5, (-1.0, 1.0)) };
        let port = InputPort { name: "x".into(), shape: Shape(vec![3]), layout: Layout::dense(3, 4), scaling };
        let samples = |data: &[f64]| {
            let array = Array { shape: Shape(vec![1, 3]), data: data.to_vec() };
            Samples::new(std::slice::from_ref(&port), vec![array], None)
        };
        let packed = samples(&[1050.0, 1.0, 7.0]).unwrap().packed(std::slice::from_ref(&port), 0);
        assert_eq!(packed, [[[0.5, 0.5, 0.0, 0.0]]]);
        let element = |data| match samples(data).unwrap_err() {
            RuntimeError::OutOfRange { element, range, .. } => (element, range),
            other => panic!("{other}"),
        };
        assert!(samples(&[700.0, 1.0, 7.0]).is_ok(), "no further than a table's columns go");
        assert_eq!(element(&[500.0, 1.0, 7.0]), (0, (900.0, 1100.0)));
        assert_eq!(element(&[1000.0, 900.0, 7.0]), (1, (-1.0, 1.0)));
        assert_eq!(element(&[1000.0, 0.0, 7.1]), (2, (7.0, 7.0)));
    }

    #[test]
    fn bad_samples_are_named() {
        let error = samples(&[2, 2], &[0.0, 0.0, 0.0, 2.5]).unwrap_err();
        assert!(matches!(error, RuntimeError::OutOfRange { sample: 1, element: 1, .. }), "{error}");
        let error = samples(&[1, 2], &[f64::NAN, 0.0]).unwrap_err();
        assert!(matches!(error, RuntimeError::NotFinite { sample: 0, element: 0, .. }), "{error}");
        let error = samples(&[2], &[0.0, 0.0]).unwrap_err();
        assert_eq!(error.to_string(), "x has shape [2], the circuit takes [k, 2] for k samples");
        assert!(matches!(samples(&[0, 2], &[]).unwrap_err(), RuntimeError::NoSamples(_)));
    }

    #[test]
    fn samples_of_one_number_need_no_axis_of_their_own() {
        for sample in [vec![], vec![1]] {
            let one = InputPort { shape: Shape(sample), layout: Layout::dense(1, 4), ..port() };
            for shape in [vec![2], vec![2, 1]] {
                let array = Array { shape: Shape(shape), data: vec![0.5, -1.0] };
                assert_eq!(Samples::new(std::slice::from_ref(&one), vec![array], None).unwrap().count(), 2);
            }
        }
    }

    #[test]
    fn agreement_counts_bits() {
        assert_eq!(agreement_bits(&[4.0, 1.0 + 1.0 / 256.0], &[4.0, 1.0]), 10.0);
        assert_eq!(agreement_bits(&[4.0], &[4.0]), f64::INFINITY);
    }
}
