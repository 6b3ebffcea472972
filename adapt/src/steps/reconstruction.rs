//! `ls`: the weights of a linear layer behind PAFs, solved for the original network's results on the same samples.
//!
//! Layer-wise reconstruction, as post-training quantization does it (AdaRound, arXiv 2004.10568, section 3; Frantar and
//! Alistarh, arXiv 2208.11580): with inputs X that the approximated network shows and results Y of the original one, the
//! change of the weights is the ridge regression ΔW = (XᵀX + λI)⁻¹·Xᵀ(Y − XW). λ is the strength that serves rows best
//! that the solution has not seen; where none serves, the weights stay.

use nalgebra::{Cholesky, DMatrix};
use ndarray::{Array2, ArrayView2, Axis, s};
use paf_ir::linear::{Bias, Conv, Primitive};
use paf_ir::tensor::{Shape, Tensor};
use paf_ir::{Constant, LinearMap};
use paf_passes::approximate::Values;
use rayon::prelude::*;
use std::sync::Arc;

/// Rows for each unknown of an output, and at most.
const ROWS_AN_UNKNOWN: usize = 24;
const MOST_ROWS: usize = 60_000;

/// Every so many-th sample judges the strength.
const JUDGES: usize = 4;

/// Strengths that are tried, in parts of the mean square of an input.
const STRENGTHS: [f64; 4] = [1e-1, 1e-2, 1e-3, 1e-4];

/// By how much less error than with its own weights a layer must have on the rows that judge.
const GAIN: f64 = 0.98;

/// The layer with weights that bring these inputs closest to what was wanted; `None` if it has no dense weights, or its own
/// serve best.
pub(super) fn reconstructed(map: &LinearMap, x: &Values, wanted: &Values) -> Option<LinearMap> {
    let layer = Layer::of(map)?;
    let (inputs, wanted) = (x.samples(), wanted.samples());
    let positions = layer.positions().max(1);
    let rows = (ROWS_AN_UNKNOWN * layer.unknowns()).min(MOST_ROWS).min(positions * inputs.len());
    let per_sample = rows.div_ceil(inputs.len().max(1)).clamp(1, positions);
    let parts: Vec<Sums> = (0..JUDGES)
        .map(|part| {
            let of_part = (part..inputs.len()).step_by(JUDGES).collect::<Vec<_>>();
            of_part
                .par_chunks(8)
                .map(|samples| layer.sums(samples, &inputs, &wanted, per_sample))
                .reduce_with(Sums::plus)
                .unwrap_or_else(|| layer.no_sums())
        })
        .collect();
    let mut parts = parts;
    let judging = parts.pop()?;
    let seen = parts.into_iter().reduce(Sums::plus)?;
    let own = judging.error(&Array2::zeros(seen.cross.raw_dim()));
    let tried = STRENGTHS.iter().filter_map(|&strength| Some((judging.error(&seen.solved(strength)?), strength)));
    let (error, strength) = tried.min_by(|a, b| a.0.total_cmp(&b.0))?;
    let change = if error < GAIN * own { seen.plus(judging).solved(strength)? } else { return None };
    Some(layer.changed(&change))
}

/// A layer of dense weights, with its constants.
struct Layer<'a> {
    map: &'a LinearMap,
    /// `[outputs, inputs]`, row-major.
    weight: &'a Constant,
    conv: Option<&'a Conv>,
    outputs: usize,
}

/// Sums over rows: XᵀX, Xᵀ(Y − XW), and the square of what is left with the layer's own weights.
struct Sums {
    gram: Array2<f64>,
    cross: Array2<f64>,
    square: f64,
}

impl Sums {
    fn plus(mut self, other: Sums) -> Sums {
        self.gram += &other.gram;
        self.cross += &other.cross;
        self.square += other.square;
        self
    }

    fn solved(&self, strength: f64) -> Option<Array2<f64>> {
        let size = self.gram.nrows();
        let ridge = strength * self.gram.diag().sum() / size as f64;
        let matrix = DMatrix::from_fn(size, size, |i, j| self.gram[[i, j]] + if i == j { ridge } else { 0.0 });
        let right = DMatrix::from_fn(size, self.cross.ncols(), |i, j| self.cross[[i, j]]);
        let solution = Cholesky::new(matrix)?.solve(&right);
        let change = Array2::from_shape_fn(self.cross.raw_dim(), |(i, j)| solution[(i, j)]);
        change.iter().all(|value| value.is_finite()).then_some(change)
    }

    /// The square of what is left with changed weights.
    fn error(&self, change: &Array2<f64>) -> f64 {
        self.square - 2.0 * (change * &self.cross).sum() + (change * &self.gram.dot(change)).sum()
    }
}

impl<'a> Layer<'a> {
    fn of(map: &'a LinearMap) -> Option<Self> {
        let (weight, conv) = match &map.factors[..] {
            [Primitive::Conv(conv)] if conv.groups == 1 => (&conv.weight, Some(conv)),
            [Primitive::Dense { weight, left: 1, right: 1 }] => (weight, None),
            _ => return None,
        };
        let layer = Layer { map, weight, conv, outputs: weight.shape.0[0] };
        let bias_fits = map
            .bias
            .as_ref()
            .is_none_or(|bias| bias.values.data.len() == layer.outputs && bias.repeat * layer.outputs == map.outputs);
        (map.scale == 1.0 && bias_fits).then_some(layer)
    }

    fn inputs(&self) -> usize {
        self.weight.data.len() / self.outputs
    }

    /// Weights of one output, its bias included.
    fn unknowns(&self) -> usize {
        self.inputs() + usize::from(self.map.bias.is_some())
    }

    fn positions(&self) -> usize {
        self.map.outputs / self.outputs
    }

    fn no_sums(&self) -> Sums {
        let unknowns = self.unknowns();
        Sums { gram: Array2::zeros((unknowns, unknowns)), cross: Array2::zeros((unknowns, self.outputs)), square: 0.0 }
    }

    /// Sums over evenly spaced positions of some samples, other ones for each sample.
    fn sums(&self, samples: &[usize], inputs: &[Vec<f64>], wanted: &[Vec<f64>], per_sample: usize) -> Sums {
        let (unknowns, positions) = (self.unknowns(), self.positions());
        let mut x = Array2::ones((samples.len() * per_sample, unknowns));
        let mut rest = Array2::zeros((samples.len() * per_sample, self.outputs));
        for (index, &sample) in samples.iter().enumerate() {
            for row in 0..per_sample {
                let position = (row * positions / per_sample + sample * OFFSET) % positions;
                let row = index * per_sample + row;
                self.fill(
                    &inputs[sample],
                    position,
                    x.slice_mut(s![row, ..self.inputs()]).as_slice_mut().expect("a row"),
                );
                let of_output = |output: usize| wanted[sample][output * positions + position];
                rest.row_mut(row).iter_mut().enumerate().for_each(|(output, value)| *value = of_output(output));
            }
        }
        let weight = ArrayView2::from_shape((self.outputs, self.inputs()), &self.weight.data).expect("dense weights");
        rest -= &x.slice(s![.., ..self.inputs()]).dot(&weight.t());
        if let Some(bias) = &self.map.bias {
            rest.axis_iter_mut(Axis(0))
                .for_each(|mut row| row.iter_mut().zip(&bias.values.data).for_each(|(r, b)| *r -= b));
        }
        Sums { gram: x.t().dot(&x), cross: x.t().dot(&rest), square: rest.iter().map(|value| value * value).sum() }
    }

    /// What an output at a position reads.
    fn fill(&self, sample: &[f64], position: usize, row: &mut [f64]) {
        let Some(conv) = self.conv else { return row.copy_from_slice(sample) };
        let window = &conv.window;
        let (out_y, out_x) = (position / window.output[1], position % window.output[1]);
        let [channels, height, width] = window.input;
        let mut next = row.iter_mut();
        for channel in 0..channels {
            for tap_y in 0..window.kernel[0] {
                let y = window.input_index(0, out_y, tap_y);
                for (tap_x, entry) in (0..window.kernel[1]).zip(&mut next) {
                    let inside = y.zip(window.input_index(1, out_x, tap_x));
                    *entry = inside.map_or(0.0, |(y, x)| sample[(channel * height + y) * width + x]);
                }
            }
        }
    }

    /// The layer with its weights and bias changed, `[unknowns, outputs]`.
    fn changed(&self, change: &Array2<f64>) -> LinearMap {
        let inputs = self.inputs();
        let entry = |(index, value): (usize, &f64)| value + change[[index % inputs, index / inputs]];
        let data = self.weight.data.iter().enumerate().map(entry).collect();
        let weight = Arc::new(Tensor::new(self.weight.shape.clone(), data));
        let factor = match self.conv {
            Some(conv) => Primitive::Conv(Conv { weight, ..conv.clone() }),
            None => Primitive::Dense { weight, left: 1, right: 1 },
        };
        let bias = self.map.bias.as_ref().map(|bias| {
            let values = bias.values.data.iter().enumerate().map(|(o, b)| b + change[[inputs, o]]).collect::<Vec<_>>();
            Bias { values: Arc::new(Tensor::new(Shape(vec![values.len()]), values)), repeat: bias.repeat }
        });
        LinearMap { factors: vec![factor], bias, ..self.map.clone() }
    }
}

/// By how many positions the rows of one sample lie beside those of the sample before.
const OFFSET: usize = 7919;

#[cfg(test)]
mod tests {
    use super::*;
    use paf_ir::random::SplitMix64;

    /// A dense layer whose inputs come distorted: the solution undoes it.
    #[test]
    fn a_linear_distortion_is_undone() {
        let mut random = SplitMix64::new(3);
        let mut numbers = |count: usize| (0..count).map(|_| random.uniform() - 0.5).collect::<Vec<f64>>();
        let constant = |shape: Vec<usize>, data| Arc::new(Tensor::new(Shape(shape), data));
        let weight = constant(vec![3, 4], numbers(12));
        let bias = Bias { values: constant(vec![3], numbers(3)), repeat: 1 };
        let map = LinearMap::of(Primitive::Dense { weight, left: 1, right: 1 }, Some(bias));
        let exact: Vec<Vec<f64>> = (0..200).map(|_| numbers(4)).collect();
        let factors = [0.9, 1.2, 0.8, 1.1];
        let distort = |x: &Vec<f64>| x.iter().zip(factors).map(|(x, f)| f * x + 0.05).collect::<Vec<f64>>();
        let distorted: Vec<Vec<f64>> = exact.iter().map(distort).collect();
        let wanted = Values::of_samples(&exact).linear(&map);
        let solved = reconstructed(&map, &Values::of_samples(&distorted), &wanted).expect("a better layer");
        let results = Values::of_samples(&distorted).linear(&solved);
        for (result, wanted) in results.samples().iter().zip(wanted.samples()) {
            assert!(result.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-3), "{result:?} {wanted:?}");
        }
        assert!(reconstructed(&map, &Values::of_samples(&exact), &wanted).is_none(), "nothing is to be gained");
    }
}
