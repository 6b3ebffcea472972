//! Linear maps between tensors: compact weights, one routine that expands any of them to a sparse matrix.
//!
//! A [`LinearMap`] is `y = scale · F_k(…F_1(x)) + bias`, a chain of [`Primitive`] factors. Elements are numbered
//! row-major over the tensor's shape, so reshapes are free and never appear here.

mod check;
mod matrix;
mod operator;
mod rows;

use std::sync::Arc;

use crate::sparse::{Matrix as _, Sparse};
use crate::tensor::{Constant, Shape, Tensor};
pub use operator::Operator;
pub use rows::MapRows;

/// One linear factor with its weights as the model has them, never expanded.
#[derive(Debug, Clone, PartialEq)]
pub enum Primitive {
    /// 2-D convolution of `[channels, height, width]` (ONNX Conv).
    Conv(Conv),
    /// `y[l, o, r] = Σ_k w[o, k] · x[l, k, r]` (ONNX Gemm, MatMul with a constant on either side).
    Dense {
        /// Weights, `[outputs, inputs]`.
        weight: Constant,
        /// Size of the axes left of the contracted one.
        left: usize,
        /// Size of the axes right of the contracted one.
        right: usize,
    },
    /// Average over windows of `[channels, height, width]` (ONNX AveragePool, GlobalAveragePool).
    AveragePool(Window),
    /// Per axis, the input index each output index takes; [`ZERO`] takes a zero (slices, pads, gathers, expands).
    Select {
        /// Input shape.
        input: Shape,
        /// One list an axis.
        indices: Vec<Vec<u32>>,
    },
    /// Axis permutation: output axis `i` is input axis `permutation[i]` (ONNX Transpose).
    Permute {
        /// Input shape.
        input: Shape,
        /// The permutation.
        permutation: Vec<usize>,
    },
    /// `y[i] = values[(i / repeat) mod len] · x[i]` over `size` elements (a BatchNorm that could not be folded).
    Diagonal {
        /// Factors.
        values: Constant,
        /// How many consecutive elements share a factor.
        repeat: usize,
        /// Number of elements.
        size: usize,
    },
}

/// The index in [`Primitive::Select`] that stands for a zero.
pub const ZERO: u32 = u32::MAX;

/// Largest size in a [`Window`], so that no sum or product of its sizes overflows.
pub const MAX_SIDE: usize = 1 << 17;

/// A sliding window over `[channels, height, width]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Channels, height and width of the input (a leading batch axis is 1 and left out).
    pub input: [usize; 3],
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Strides along height and width.
    pub strides: [usize; 2],
    /// Pads: top, left, bottom, right.
    pub pads: [usize; 4],
    /// Dilations along height and width.
    pub dilations: [usize; 2],
    /// Output height and width (`ceil_mode` makes it more than the formula's floor).
    pub output: [usize; 2],
    /// Averages divide by the kernel size even where padding is covered.
    pub count_include_pad: bool,
}

impl Window {
    /// Output size by ONNX's floor formula: `⌊(in + pads − dilation·(kernel−1) − 1) / stride⌋ + 1`; 0 where no window
    /// fits or a size is out of bounds.
    pub fn floor_output(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.floor_output_along(axis).unwrap_or(0))
    }

    fn floor_output_along(&self, axis: usize) -> Option<usize> {
        let padded = self.input[axis + 1].checked_add(self.pads[axis])?.checked_add(self.pads[axis + 2])?;
        let span = self.dilations[axis].checked_mul(self.kernel[axis].checked_sub(1)?)?.checked_add(1)?;
        Some(padded.checked_sub(span)?.checked_div(self.strides[axis])? + 1)
    }

    /// Input coordinate that tap `tap` of output `out` reads along `axis` (0 height, 1 width); `None` in the padding.
    pub fn input_index(&self, axis: usize, out: usize, tap: usize) -> Option<usize> {
        let padded = out * self.strides[axis] + tap * self.dilations[axis];
        let index = padded.checked_sub(self.pads[axis])?;
        (index < self.input[axis + 1]).then_some(index)
    }

    /// Taps of a window along `axis` that lie inside the input or its declared padding.
    fn taps_in_padded(&self, axis: usize, out: usize) -> usize {
        let padded = self.input[axis + 1] + self.pads[axis] + self.pads[axis + 2];
        (0..self.kernel[axis]).filter(|tap| out * self.strides[axis] + tap * self.dilations[axis] < padded).count()
    }
}

/// A 2-D convolution.
#[derive(Debug, Clone, PartialEq)]
pub struct Conv {
    /// Weights `[output channels, input channels / groups, kernel height, kernel width]`.
    pub weight: Constant,
    /// Geometry; `input[0]` is the number of input channels.
    pub window: Window,
    /// Number of groups.
    pub groups: usize,
}

/// A bias that repeats: element `i` gets `values[(i / repeat) mod len]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Bias {
    /// Values.
    pub values: Constant,
    /// How many consecutive elements share a value.
    pub repeat: usize,
}

impl Bias {
    /// The bias of output element `index`.
    pub fn at(&self, index: usize) -> f64 {
        self.values.data[(index / self.repeat) % self.values.data.len()]
    }
}

/// An affine map `y = scale · F_k(…F_1(x)) + bias`.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearMap {
    /// Factors, applied first to last; empty is the identity.
    pub factors: Vec<Primitive>,
    /// Multiplies the matrix, not the bias.
    pub scale: f64,
    /// Added at the end.
    pub bias: Option<Bias>,
    /// Number of input elements.
    pub inputs: usize,
    /// Number of output elements.
    pub outputs: usize,
}

impl Primitive {
    /// Number of input elements.
    pub fn input_size(&self) -> usize {
        self.input_sizes().iter().product()
    }

    /// Number of output elements.
    pub fn output_size(&self) -> usize {
        self.output_sizes().iter().product()
    }

    fn input_sizes(&self) -> Vec<usize> {
        match self {
            Primitive::Conv(conv) => conv.window.input.to_vec(),
            Primitive::Dense { weight, left, right } => vec![*left, weight.shape.0[1], *right],
            Primitive::AveragePool(window) => window.input.to_vec(),
            Primitive::Select { input, .. } | Primitive::Permute { input, .. } => input.0.clone(),
            Primitive::Diagonal { size, .. } => vec![*size],
        }
    }

    fn output_sizes(&self) -> Vec<usize> {
        match self {
            Primitive::Conv(conv) => vec![conv.weight.shape.0[0], conv.window.output[0], conv.window.output[1]],
            Primitive::Dense { weight, left, right } => vec![*left, weight.shape.0[0], *right],
            Primitive::AveragePool(window) => vec![window.input[0], window.output[0], window.output[1]],
            Primitive::Select { indices, .. } => indices.iter().map(Vec::len).collect(),
            Primitive::Permute { input, .. } => input.0.clone(),
            Primitive::Diagonal { size, .. } => vec![*size],
        }
    }

    /// Whether every output element is one input element (slices without padding, transposes): such a map can be
    /// a mere change of layout. Gives the input element of each output element.
    pub fn as_view(&self) -> Option<Vec<u32>> {
        match self {
            Primitive::Select { indices, .. } if indices.iter().flatten().any(|&index| index == ZERO) => None,
            Primitive::Select { .. } | Primitive::Permute { .. } => Some(self.moves()),
            _ => None,
        }
    }

    /// Most entries of a row of the matrix.
    fn row_entries(&self) -> usize {
        match self {
            Primitive::Conv(conv) => conv.weight.shape.0[1..].iter().product(),
            Primitive::Dense { weight, .. } => {
                let filled = |row: &[f64]| row.iter().filter(|&&entry| entry != 0.0).count();
                weight.data.chunks(weight.shape.0[1].max(1)).map(filled).max().unwrap_or(0)
            }
            Primitive::AveragePool(window) => window.kernel.iter().product(),
            Primitive::Select { .. } | Primitive::Permute { .. } | Primitive::Diagonal { .. } => 1,
        }
    }

    /// The weights the factor holds, if any.
    pub fn constant(&self) -> Option<&Constant> {
        match self {
            Primitive::Conv(conv) => Some(&conv.weight),
            Primitive::Dense { weight, .. } => Some(weight),
            Primitive::Diagonal { values, .. } => Some(values),
            _ => None,
        }
    }
}

impl LinearMap {
    /// The identity on `size` elements.
    pub fn identity(size: usize) -> Self {
        LinearMap { factors: vec![], scale: 1.0, bias: None, inputs: size, outputs: size }
    }

    /// A map of one factor.
    pub fn of(factor: Primitive, bias: Option<Bias>) -> Self {
        let (inputs, outputs) = (factor.input_size(), factor.output_size());
        LinearMap { factors: vec![factor], scale: 1.0, bias, inputs, outputs }
    }

    /// No less than the entries of the matrix and of each of its factors, found without expanding any.
    pub fn most_entries(&self) -> u64 {
        let mut row = 1u64;
        let mut most = self.inputs as u64;
        for factor in &self.factors {
            row = row.saturating_mul(factor.row_entries() as u64).min(self.inputs as u64);
            most = most.max((factor.output_size() as u64).saturating_mul(row));
        }
        most
    }

    /// The matrix, scale included, bias not.
    pub fn matrix(&self) -> Sparse {
        let mut product: Option<Sparse> = None;
        for factor in &self.factors {
            let matrix = factor.matrix();
            product = Some(match product {
                Some(right) => matrix.multiply(&right),
                None => matrix,
            });
        }
        let mut product = product.unwrap_or_else(|| Sparse::identity(self.inputs));
        product.scale(self.scale);
        product
    }

    /// `y = matrix · x + bias`.
    pub fn apply(&self, x: &[f64]) -> Vec<f64> {
        let mut y = self.rows().apply(x);
        self.add_bias(&mut y);
        y
    }

    /// Adds the bias to an output.
    pub fn add_bias(&self, y: &mut [f64]) {
        if let Some(bias) = &self.bias {
            y.iter_mut().enumerate().for_each(|(index, value)| *value += bias.at(index));
        }
    }

    /// The map with matrix scaled by `matrix_factor` and bias by `bias_factor`.
    pub fn scaled(&self, matrix_factor: f64, bias_factor: f64) -> Self {
        let bias = self
            .bias
            .as_ref()
            .map(|bias| Bias { values: Arc::new(bias.values.map(|value| value * bias_factor)), repeat: bias.repeat });
        LinearMap { factors: self.factors.clone(), scale: self.scale * matrix_factor, bias, ..*self }
    }

    /// The map `later ∘ self`; the bias becomes dense where `later` mixes elements.
    pub fn then(&self, later: &LinearMap) -> Self {
        let mut factors = self.factors.clone();
        factors.extend(later.factors.iter().cloned());
        let bias = self.composed_bias(later);
        LinearMap { factors, scale: self.scale * later.scale, bias, inputs: self.inputs, outputs: later.outputs }
    }

    fn composed_bias(&self, later: &LinearMap) -> Option<Bias> {
        let Some(bias) = &self.bias else { return later.bias.clone() };
        let mut values: Vec<f64> = (0..self.outputs).map(|index| bias.at(index)).collect();
        values = later.rows().apply(&values);
        later.add_bias(&mut values);
        let shape = Shape(vec![values.len()]);
        Some(Bias { values: Arc::new(Tensor::new(shape, values)), repeat: 1 })
    }

    /// The input element of each output element where the map only moves elements (no scale, no bias).
    pub fn as_view(&self) -> Option<Vec<u32>> {
        if self.bias.is_some() || self.scale != 1.0 {
            return None;
        }
        let mut view: Vec<u32> = (0..self.inputs as u32).collect();
        for factor in &self.factors {
            view = factor.as_view()?.into_iter().map(|index| view[index as usize]).collect();
        }
        Some(view)
    }
}

impl Sparse {
    fn scale(&mut self, factor: f64) {
        if factor != 1.0 {
            self.map_values(|value| value * factor);
        }
    }
}
