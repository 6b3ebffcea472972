//! The client's side of a sample: checks, scales and packs inputs; unpacks, scales and finishes results.

use paf_ir::program::{InputPort, OutputPort};
use paf_ir::slots::Vectors;
use paf_ir::tensor::{PostProcess, Shape};

use crate::error::{Result, RuntimeError};
use crate::npy::Array;

/// How far an input may lie outside the calibrated range, relative to its width: rounding, not another data set.
const RANGE_TOLERANCE: f64 = 1e-6;

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

    /// One sample: the values of each port, row-major.
    pub fn values(&self, sample: usize) -> impl Iterator<Item = &[f64]> {
        let size = |array: &Vec<f64>| array.len() / self.count.max(1);
        self.arrays.iter().map(move |array| &array[sample * size(array)..][..size(array)])
    }

    /// One sample, scaled and packed: the slot vectors of each port, one period long.
    pub fn packed(&self, ports: &[InputPort], sample: usize) -> Vec<Vectors> {
        let pack = |(port, data): (&InputPort, &Vec<f64>)| {
            let size = port.shape.size();
            let scaled: Vec<f64> = data[sample * size..][..size].iter().map(|value| value * port.scale).collect();
            port.layout.pack(&scaled)
        };
        ports.iter().zip(&self.arrays).map(pack).collect()
    }
}

fn check_shape(port: &InputPort, array: &Array) -> Result<()> {
    match array.shape.0.split_first() {
        Some((_, sample)) if *sample == port.shape.0 => Ok(()),
        _ => Err(RuntimeError::InputShape {
            input: port.name.clone(),
            expected: port.shape.clone(),
            got: array.shape.clone(),
        }),
    }
}

fn check_values(port: &InputPort, data: &[f64]) -> Result<()> {
    let (low, high) = port.range;
    let width = high - low;
    let slack = if width.is_finite() { RANGE_TOLERANCE * width } else { 0.0 };
    let inside = |value: f64| value.is_finite() && value >= low - slack && value <= high + slack;
    let Some(place) = data.iter().position(|&value| !inside(value)) else { return Ok(()) };
    let (input, value) = (port.name.clone(), data[place]);
    let (sample, element) = (place / port.shape.size(), place % port.shape.size());
    Err(if value.is_finite() {
        RuntimeError::OutOfRange { input, sample, element, value, range: port.range }
    } else {
        RuntimeError::NotFinite { input, sample, element, value }
    })
}

/// What a circuit says about one output of one sample.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientOutput {
    /// The network's values before post-processing.
    pub raw: Vec<f64>,
    /// The values after post-processing.
    pub values: Vec<f64>,
}

impl ClientOutput {
    /// What stands for a result that there is none of: NaN everywhere.
    pub fn none<V>(port: &OutputPort<V>) -> Self {
        let none = |size| vec![f64::NAN; size];
        ClientOutput { raw: none(port.shape.size()), values: none(output_shape(port).size()) }
    }

    /// Index of the largest value before post-processing.
    pub fn top1(&self) -> usize {
        largest(self.raw.iter().copied())
    }
}

/// Unpacks, scales and post-processes one output. Copies of a value that repeats over the slots are averaged: each
/// has its own noise.
pub fn finish<V>(port: &OutputPort<V>, vectors: &[Vec<f64>]) -> ClientOutput {
    let averaged: Vectors = vectors.iter().map(|vector| average_copies(vector, port.layout.period)).collect();
    let raw: Vec<f64> = port.layout.unpack(&averaged).into_iter().map(|value| value * port.scale).collect();
    let values = post_process(port.post, &port.shape, &raw);
    ClientOutput { raw, values }
}

fn average_copies(vector: &[f64], period: usize) -> Vec<f64> {
    let copies = (vector.len() / period) as f64;
    (0..period).map(|slot| vector.iter().skip(slot).step_by(period).sum::<f64>() / copies).collect()
}

/// Refuses values that no trained network gives.
///
/// # Errors
/// [`RuntimeError::Diverged`].
pub fn check_output<V>(port: &OutputPort<V>, sample: usize, output: &ClientOutput) -> Result<()> {
    match output.raw.iter().find(|value| !value.is_finite() || value.abs() > DIVERGED * port.scale.abs()) {
        Some(&value) => Err(RuntimeError::Diverged { output: port.name.clone(), sample, value }),
        None => Ok(()),
    }
}

/// The shape of an output after its post-processing.
pub fn output_shape<V>(port: &OutputPort<V>) -> Shape {
    let mut axes = port.shape.0.clone();
    if let PostProcess::ArgMax { axis, keep_axis } = port.post {
        if keep_axis {
            axes[axis] = 1;
        } else {
            axes.remove(axis);
        }
    }
    Shape(axes)
}

/// Applies a post-processing to row-major values.
pub fn post_process(post: PostProcess, shape: &Shape, values: &[f64]) -> Vec<f64> {
    match post {
        PostProcess::None => values.to_vec(),
        PostProcess::Softmax { axis } => along(shape, axis, values, |lane| log_softmax(lane).map(f64::exp).collect()),
        PostProcess::LogSoftmax { axis } => along(shape, axis, values, |lane| log_softmax(lane).collect()),
        PostProcess::ArgMax { axis, .. } => {
            along(shape, axis, values, |lane| vec![largest(lane.iter().copied()) as f64])
        }
    }
}

/// Applies `f` to each lane along an axis; lanes may become shorter.
fn along(shape: &Shape, axis: usize, values: &[f64], f: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
    let length = shape.0[axis];
    let inner: usize = shape.0[axis + 1..].iter().product();
    let outer: usize = shape.0[..axis].iter().product();
    let lane = |lane: usize| -> Vec<f64> {
        let start = lane / inner * length * inner + lane % inner;
        f(&(0..length).map(|i| values[start + i * inner]).collect::<Vec<_>>())
    };
    let lanes: Vec<Vec<f64>> = (0..outer * inner).map(lane).collect();
    let kept = lanes.first().map_or(0, Vec::len);
    let element = |index: usize| lanes[index / (kept * inner) * inner + index % inner][index / inner % kept];
    (0..outer * kept * inner).map(element).collect()
}

/// Stable for large values: the largest is subtracted first.
fn log_softmax(lane: &[f64]) -> impl Iterator<Item = f64> + '_ {
    let top = lane.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = lane.iter().map(|value| (value - top).exp()).sum();
    lane.iter().map(move |value| value - top - sum.ln())
}

/// Index of the largest value, the first of equal ones.
pub fn largest(values: impl Iterator<Item = f64>) -> usize {
    let better = |best: (usize, f64), next: (usize, f64)| if next.1 > best.1 { next } else { best };
    values.enumerate().fold((0, f64::NEG_INFINITY), better).0
}

/// `−log2(max |a − b| / max |b|)`: bits to which `a` agrees with the reference `b`.
pub fn agreement_bits(values: &[f64], reference: &[f64]) -> f64 {
    let largest = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max);
    let difference = largest(&mut values.iter().zip(reference).map(|(a, b)| (a - b).abs()));
    let magnitude = largest(&mut reference.iter().map(|b| b.abs()));
    -(difference / magnitude).log2()
}

#[cfg(test)]
mod tests {
    use super::*;
    use paf_ir::Layout;

    fn port() -> InputPort {
        let (shape, layout) = (Shape(vec![2]), Layout::dense(2, 4));
        InputPort { name: "x".into(), shape, layout, scale: 0.5, range: (-1.0, 1.0) }
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
    fn a_hair_outside_the_range_is_rounding() {
        assert!(samples(&[1, 2], &[1.000_001, 0.0]).is_ok());
    }

    #[test]
    fn bad_samples_are_named() {
        let error = samples(&[2, 2], &[0.0, 0.0, 0.0, 1.5]).unwrap_err();
        assert!(matches!(error, RuntimeError::OutOfRange { sample: 1, element: 1, .. }), "{error}");
        let error = samples(&[1, 2], &[f64::NAN, 0.0]).unwrap_err();
        assert!(matches!(error, RuntimeError::NotFinite { sample: 0, element: 0, .. }), "{error}");
        let error = samples(&[2], &[0.0, 0.0]).unwrap_err();
        assert_eq!(error.to_string(), "x has shape [2], the circuit takes [k, 2] for k samples");
        assert!(matches!(samples(&[0, 2], &[]).unwrap_err(), RuntimeError::NoSamples(_)));
    }

    #[test]
    fn softmax_runs_along_its_axis() {
        let shape = Shape(vec![2, 2]);
        let values = [0.0, 1000.0, 0.0, 1000.0];
        assert_eq!(post_process(PostProcess::Softmax { axis: 0 }, &shape, &values), [0.5; 4]);
        let rows = post_process(PostProcess::Softmax { axis: 1 }, &shape, &values);
        assert_eq!(rows, [0.0, 1.0, 0.0, 1.0]);
        let logs = post_process(PostProcess::LogSoftmax { axis: 0 }, &shape, &values);
        assert!(logs.iter().all(|value| (value - 0.5f64.ln()).abs() < 1e-12));
    }

    #[test]
    fn arg_max_shortens_its_axis() {
        let shape = Shape(vec![2, 3]);
        let values = [1.0, 5.0, 2.0, 7.0, 0.0, 9.0];
        let post = |axis| PostProcess::ArgMax { axis, keep_axis: false };
        assert_eq!(post_process(post(1), &shape, &values), [1.0, 2.0]);
        assert_eq!(post_process(post(0), &shape, &values), [1.0, 0.0, 1.0]);
    }

    #[test]
    fn agreement_counts_bits() {
        assert_eq!(agreement_bits(&[4.0, 1.0 + 1.0 / 256.0], &[4.0, 1.0]), 10.0);
        assert_eq!(agreement_bits(&[4.0], &[4.0]), f64::INFINITY);
    }
}
