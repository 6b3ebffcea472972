//! A linear map made ready to be applied again and again: convolutions straight from their weights, everything else
//! as a sparse matrix.
//!
//! A convolution between scales by channel, `diagonal · conv · diagonal`, is a convolution too. Either way the results
//! are those of the map's matrix to the last bit: the same products, added up in the same order.

use std::sync::Arc;

use super::{Bias, Conv, LinearMap, Primitive, ZERO};
use crate::lanes::{NullaryFnOnce, vectorized};
use crate::sparse::{Matrix as _, Sparse};
use crate::tensor::Tensor;

/// A map ready to be applied to vectors side by side.
#[derive(Debug, Clone)]
pub struct Operator {
    kernel: Kernel,
    bias: Option<Bias>,
}

#[derive(Debug, Clone)]
enum Kernel {
    Conv(Conv),
    /// A convolution whose elements are moved: of each element of the result where it was, or [`ZERO`].
    Moved {
        conv: Conv,
        from: Vec<u32>,
        products: usize,
    },
    Sparse(Sparse),
    /// A map with a matrix that is not kept: its rows are computed each time.
    Rows(LinearMap),
}

/// Entries of a matrix from which on its rows are computed where they are needed.
const MANY_ENTRIES: usize = 1 << 22;

impl Kernel {
    fn of(map: &LinearMap) -> Self {
        let moves = map.factors.iter().rev().take_while(|factor| factor.only_moves()).count();
        let (mixing, moves) = map.factors.split_at(map.factors.len() - moves);
        match as_convolution(mixing, map.scale) {
            Some(conv) if moves.is_empty() => Kernel::Conv(conv),
            Some(conv) => Kernel::Moved { conv, from: moved(moves), products: map.rows().entry_count() },
            None if map.has_computed_rows() && map.rows().entry_count() >= MANY_ENTRIES => Kernel::Rows(map.clone()),
            None => Kernel::Sparse(map.matrix()),
        }
    }
}

/// Where a chain of moves takes each element from.
fn moved(moves: &[Primitive]) -> Vec<u32> {
    let chained = |before: Vec<u32>, factor: &Primitive| {
        let through = |&from: &u32| if from == ZERO { ZERO } else { before[from as usize] };
        factor.moves().iter().map(through).collect()
    };
    moves[1..].iter().fold(moves[0].moves(), chained)
}

/// The elements that were at these places.
fn gathered<const L: usize>(y: &[[f64; L]], from: &[u32]) -> Vec<[f64; L]> {
    from.iter().map(|&from| if from == ZERO { [0.0; L] } else { y[from as usize] }).collect()
}

impl Operator {
    /// Prepares a map.
    pub fn new(map: &LinearMap) -> Self {
        Operator { kernel: Kernel::of(map), bias: map.bias.clone() }
    }

    /// `y = matrix · x + bias` in every lane.
    pub fn apply<const L: usize>(&self, x: &[[f64; L]]) -> Vec<[f64; L]> {
        let mut y = match &self.kernel {
            Kernel::Conv(conv) => convolution(conv, x),
            Kernel::Moved { conv, from, .. } => gathered(&convolution(conv, x), from),
            Kernel::Sparse(matrix) => matrix.apply_lanes(x),
            Kernel::Rows(map) => map.rows().apply_lanes(x),
        };
        if let Some(bias) = &self.bias {
            add_bias(bias, &mut y);
        }
        y
    }

    /// Products with weights that one vector takes.
    pub fn products(&self) -> usize {
        match &self.kernel {
            Kernel::Conv(conv) => conv.products(),
            Kernel::Moved { products, .. } => *products,
            Kernel::Sparse(matrix) => matrix.entry_count(),
            Kernel::Rows(map) => map.rows().entry_count(),
        }
    }
}

impl Conv {
    /// Products with weights that one image takes.
    pub(super) fn products(&self) -> usize {
        let taps = |axis: usize| {
            let outputs = 0..self.window.output[axis];
            let taps =
                |out| (0..self.window.kernel[axis]).filter_map(move |tap| self.window.input_index(axis, out, tap));
            outputs.map(|out| taps(out).count()).sum::<usize>()
        };
        self.weight.shape.0[0] * self.weight.shape.0[1] * taps(0) * taps(1)
    }
}

fn add_bias<const L: usize>(bias: &Bias, y: &mut [[f64; L]]) {
    for (part, value) in y.chunks_mut(bias.repeat.max(1)).zip(bias.values.data.iter().cycle()) {
        part.as_flattened_mut().iter_mut().for_each(|y| *y += value);
    }
}

/// Several output channels of one sample, or few of several samples, fill the registers.
fn convolution<const L: usize>(conv: &Conv, x: &[[f64; L]]) -> Vec<[f64; L]> {
    vectorized(Convolution { conv, x })
}

struct Convolution<'c, const L: usize> {
    conv: &'c Conv,
    x: &'c [[f64; L]],
}

impl<const L: usize> NullaryFnOnce for Convolution<'_, L> {
    type Output = Vec<[f64; L]>;

    #[inline(always)]
    fn call(self) -> Vec<[f64; L]> {
        if L == 1 { convolve::<L, 8>(self.conv, self.x) } else { convolve::<L, 4>(self.conv, self.x) }
    }
}

/// Factors and a scale as one convolution, if they are one.
fn as_convolution(factors: &[Primitive], scale: f64) -> Option<Conv> {
    let place = factors.iter().position(|factor| matches!(factor, Primitive::Conv(_)))?;
    let Primitive::Conv(conv) = &factors[place] else { return None };
    let (out_channels, group_inputs) = (conv.weight.shape.0[0], conv.weight.shape.0[1]);
    let mut before = vec![1.0; conv.window.input[0]];
    for factor in &factors[..place] {
        let factors = by_channel(factor, before.len())?;
        before.iter_mut().zip(factors).for_each(|(product, factor)| *product *= factor);
    }
    let after: Vec<Vec<f64>> =
        factors[place + 1..].iter().map(|factor| by_channel(factor, out_channels)).collect::<Option<_>>()?;
    let kernel_size: usize = conv.window.kernel.iter().product();
    let group_outputs = out_channels / conv.groups;
    let scaled = |(index, weight): (usize, &f64)| {
        let (output, input) = (index / (group_inputs * kernel_size), index / kernel_size % group_inputs);
        let product = weight * before[output / group_outputs * group_inputs + input];
        after.iter().fold(product, |product, factors| factors[output] * product) * scale
    };
    let data = conv.weight.data.iter().enumerate().map(scaled).collect();
    Some(Conv { weight: Arc::new(Tensor::new(conv.weight.shape.clone(), data)), ..conv.clone() })
}

/// The factor of each channel, if a primitive is nothing but that.
fn by_channel(primitive: &Primitive, channels: usize) -> Option<Vec<f64>> {
    let Primitive::Diagonal { values, repeat, size } = primitive else { return None };
    let plane = size / channels;
    let is_constant = values.data.len() == 1 || repeat.is_multiple_of(plane);
    let value = |channel: usize| values.data[channel * plane / repeat % values.data.len()];
    is_constant.then(|| (0..channels).map(value).collect())
}

/// A convolution of `L` samples, `OUTS` output channels at a time.
#[inline(always)]
fn convolve<const L: usize, const OUTS: usize>(conv: &Conv, x: &[[f64; L]]) -> Vec<[f64; L]> {
    let [out_height, out_width] = conv.window.output;
    let (plane, out_channels) = (out_height * out_width, conv.weight.shape.0[0]);
    let group_outputs = out_channels / conv.groups;
    let blocks: Vec<Vec<[f64; OUTS]>> = weight_blocks(conv);
    let blocks_in_group = blocks.len() / conv.groups;
    let mut y = vec![[0.0; L]; out_channels * plane];
    let mut patch = Patch::default();
    for pixel in 0..plane {
        for (group, blocks) in blocks.chunks(blocks_in_group).enumerate() {
            patch.gather(conv, group, (pixel / out_width, pixel % out_width), x);
            for (block, weights) in blocks.iter().enumerate() {
                let channels = block * OUTS..group_outputs.min((block + 1) * OUTS);
                for (channel, sum) in channels.zip(patch.weighted_sums(weights)) {
                    y[(group * group_outputs + channel) * plane + pixel] = sum;
                }
            }
        }
    }
    y
}

/// Weights of `OUTS` output channels of a group at a time, tap by tap; zeros where the group has no more channels.
fn weight_blocks<const OUTS: usize>(conv: &Conv) -> Vec<Vec<[f64; OUTS]>> {
    let group_outputs = conv.weight.shape.0[0] / conv.groups;
    let taps: usize = conv.weight.shape.0[1..].iter().product();
    let mut blocks = Vec::new();
    for group in conv.weight.data.chunks(group_outputs * taps) {
        for channels in group.chunks(OUTS * taps) {
            let mut block = vec![[0.0; OUTS]; taps];
            for (out, channel) in channels.chunks(taps).enumerate() {
                block.iter_mut().zip(channel).for_each(|(weights, &weight)| weights[out] = weight);
            }
            blocks.push(block);
        }
    }
    blocks
}

/// What the taps of one window see, copied together: elements of a plane lie apart by powers of two, which a cache
/// holds few of.
#[derive(Default)]
struct Patch<const L: usize> {
    elements: Vec<[f64; L]>,
    /// Of each element, which tap sees it.
    taps: Vec<usize>,
}

impl<const L: usize> Patch<L> {
    #[inline(always)]
    fn gather(&mut self, conv: &Conv, group: usize, (out_y, out_x): (usize, usize), x: &[[f64; L]]) {
        let window = &conv.window;
        let ([_, height, width], [kernel_height, kernel_width]) = (window.input, window.kernel);
        let group_inputs = conv.weight.shape.0[1];
        self.elements.clear();
        self.taps.clear();
        for input in 0..group_inputs {
            let channel = (group * group_inputs + input) * height;
            for tap_y in 0..kernel_height {
                let Some(in_y) = window.input_index(0, out_y, tap_y) else { continue };
                for tap_x in 0..kernel_width {
                    let Some(in_x) = window.input_index(1, out_x, tap_x) else { continue };
                    self.elements.push(x[(channel + in_y) * width + in_x]);
                    self.taps.push((input * kernel_height + tap_y) * kernel_width + tap_x);
                }
            }
        }
    }

    #[inline(always)]
    fn weighted_sums<const OUTS: usize>(&self, weights: &[[f64; OUTS]]) -> [[f64; L]; OUTS] {
        let mut sums = [[0.0; L]; OUTS];
        for (x, &tap) in self.elements.iter().zip(&self.taps) {
            for (sums, weight) in sums.iter_mut().zip(&weights[tap]) {
                sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += weight * x);
            }
        }
        sums
    }
}
