//! Linear maps between tensors: compact weights, one routine that expands any of them to a sparse matrix.
//!
//! A [`LinearMap`] is `y = scale · F_k(…F_1(x)) + bias`, a chain of [`Primitive`] factors. Elements are numbered
//! row-major over the tensor's shape, so reshapes are free and never appear here.

use std::sync::Arc;

use crate::error::IrError;
use crate::sparse::Sparse;
use crate::tensor::{Constant, Shape};

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
    /// Output size by ONNX's floor formula: `⌊(in + pads − dilation·(kernel−1) − 1) / stride⌋ + 1`.
    pub fn floor_output(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            let padded = self.input[axis + 1] + self.pads[axis] + self.pads[axis + 2];
            let span = self.dilations[axis] * (self.kernel[axis] - 1) + 1;
            padded.checked_sub(span).map_or(0, |room| room / self.strides[axis] + 1)
        })
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
        match self {
            Primitive::Conv(conv) => conv.window.input.iter().product(),
            Primitive::Dense { weight, left, right } => left * weight.shape.0[1] * right,
            Primitive::AveragePool(window) => window.input.iter().product(),
            Primitive::Select { input, .. } | Primitive::Permute { input, .. } => input.size(),
            Primitive::Diagonal { size, .. } => *size,
        }
    }

    /// Number of output elements.
    pub fn output_size(&self) -> usize {
        match self {
            Primitive::Conv(conv) => conv.weight.shape.0[0] * conv.window.output[0] * conv.window.output[1],
            Primitive::Dense { weight, left, right } => left * weight.shape.0[0] * right,
            Primitive::AveragePool(window) => window.input[0] * window.output[0] * window.output[1],
            Primitive::Select { indices, .. } => indices.iter().map(Vec::len).product(),
            Primitive::Permute { input, .. } => input.size(),
            Primitive::Diagonal { size, .. } => *size,
        }
    }

    /// Whether every output element is one input element (slices without padding, transposes): such a map can be
    /// a mere change of layout. Gives the input element of each output element.
    pub fn as_view(&self) -> Option<Vec<u32>> {
        match self {
            Primitive::Select { indices, .. } if indices.iter().flatten().any(|&index| index == ZERO) => None,
            Primitive::Select { .. } | Primitive::Permute { .. } => {
                let matrix = self.matrix();
                Some((0..matrix.rows()).map(|row| matrix.row(row).next().map_or(0, |(c, _)| c as u32)).collect())
            }
            _ => None,
        }
    }

    /// The factor as a sparse matrix.
    pub fn matrix(&self) -> Sparse {
        match self {
            Primitive::Conv(conv) => conv_matrix(conv),
            Primitive::Dense { weight, left, right } => dense_matrix(weight, *left, *right),
            Primitive::AveragePool(window) => average_matrix(window),
            Primitive::Select { input, indices } => select_matrix(input, indices),
            Primitive::Permute { input, permutation } => permute_matrix(input, permutation),
            Primitive::Diagonal { values, repeat, size } => Sparse::from_rows(*size, *size, |row, entries| {
                entries.push((row as u32, values.data[(row / repeat) % values.data.len()]));
            }),
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

    /// Checks that weights and geometry agree, so that [`Primitive::matrix`] cannot go out of bounds.
    pub fn check(&self) -> Result<(), IrError> {
        let fail = |message: String| Err(IrError::ty("linear", message));
        match self {
            Primitive::Conv(conv) => return conv.check(),
            Primitive::Dense { weight, .. } if weight.shape.0.len() != 2 => {
                return fail(format!("dense weights must have two axes, got {}", weight.shape));
            }
            Primitive::AveragePool(window) => return window.check(),
            Primitive::Select { input, indices } => {
                if input.0.len() != indices.len() {
                    return fail(format!("select of {input} has {} index lists", indices.len()));
                }
                for (axis, list) in indices.iter().enumerate() {
                    if let Some(bad) = list.iter().find(|&&i| i != ZERO && i as usize >= input.0[axis]) {
                        return fail(format!("select index {bad} on axis {axis} of {input}"));
                    }
                }
            }
            Primitive::Permute { input, permutation } => {
                let mut sorted = permutation.clone();
                sorted.sort_unstable();
                if sorted != (0..input.0.len()).collect::<Vec<_>>() {
                    return fail(format!("{permutation:?} is no permutation of the axes of {input}"));
                }
            }
            Primitive::Diagonal { values, repeat, .. } if values.data.is_empty() || *repeat == 0 => {
                return fail("empty diagonal".into());
            }
            _ => {}
        }
        Ok(())
    }
}

impl Window {
    /// Checks that no size is zero and that windows stay inside the padded input where they must.
    pub fn check(&self) -> Result<(), IrError> {
        let sizes = [&self.input[..], &self.kernel, &self.strides, &self.dilations, &self.output];
        if sizes.iter().any(|list| list.contains(&0)) {
            return Err(IrError::ty("window", format!("a size is zero: {self:?}")));
        }
        Ok(())
    }
}

impl Conv {
    fn check(&self) -> Result<(), IrError> {
        self.window.check()?;
        let weight = &self.weight.shape.0;
        let fits = weight.len() == 4
            && self.groups > 0
            && weight[0].is_multiple_of(self.groups)
            && weight[1] * self.groups == self.window.input[0]
            && weight[2..] == self.window.kernel;
        if fits {
            return Ok(());
        }
        let message = format!(
            "weights {} do not fit {} input channels in {} groups",
            self.weight.shape, self.window.input[0], self.groups
        );
        Err(IrError::ty("conv", message))
    }
}

fn conv_matrix(conv: &Conv) -> Sparse {
    let window = &conv.window;
    let [_, height, width] = window.input;
    let [out_height, out_width] = window.output;
    let (out_channels, group_inputs) = (conv.weight.shape.0[0], conv.weight.shape.0[1]);
    let group_outputs = out_channels / conv.groups;
    let [kernel_height, kernel_width] = window.kernel;
    let rows = out_channels * out_height * out_width;
    Sparse::from_rows(rows, window.input.iter().product(), |row, entries| {
        let (channel, y, x) = (row / (out_height * out_width), row / out_width % out_height, row % out_width);
        let first_input = channel / group_outputs * group_inputs;
        for input in 0..group_inputs {
            for tap_y in 0..kernel_height {
                let Some(in_y) = window.input_index(0, y, tap_y) else { continue };
                for tap_x in 0..kernel_width {
                    let Some(in_x) = window.input_index(1, x, tap_x) else { continue };
                    let column = ((first_input + input) * height + in_y) * width + in_x;
                    let tap = ((channel * group_inputs + input) * kernel_height + tap_y) * kernel_width + tap_x;
                    entries.push((column as u32, conv.weight.data[tap]));
                }
            }
        }
    })
}

fn dense_matrix(weight: &Constant, left: usize, right: usize) -> Sparse {
    let (outputs, inputs) = (weight.shape.0[0], weight.shape.0[1]);
    Sparse::from_rows(left * outputs * right, left * inputs * right, |row, entries| {
        let (l, o, r) = (row / (outputs * right), row / right % outputs, row % right);
        entries.extend((0..inputs).map(|k| (((l * inputs + k) * right + r) as u32, weight.data[o * inputs + k])));
    })
}

fn average_matrix(window: &Window) -> Sparse {
    let [channels, height, width] = window.input;
    let [out_height, out_width] = window.output;
    let rows = channels * out_height * out_width;
    Sparse::from_rows(rows, channels * height * width, |row, entries| {
        let (channel, y, x) = (row / (out_height * out_width), row / out_width % out_height, row % out_width);
        for tap_y in 0..window.kernel[0] {
            let Some(in_y) = window.input_index(0, y, tap_y) else { continue };
            for tap_x in 0..window.kernel[1] {
                let Some(in_x) = window.input_index(1, x, tap_x) else { continue };
                entries.push((((channel * height + in_y) * width + in_x) as u32, 1.0));
            }
        }
        let divisor = if window.count_include_pad {
            window.taps_in_padded(0, y) * window.taps_in_padded(1, x)
        } else {
            entries.len()
        };
        entries.iter_mut().for_each(|entry| entry.1 /= divisor as f64);
    })
}

fn select_matrix(input: &Shape, indices: &[Vec<u32>]) -> Sparse {
    let output = Shape(indices.iter().map(Vec::len).collect());
    let strides = input.strides();
    Sparse::from_rows(output.size(), input.size(), |row, entries| {
        let picked = output.coordinates(row).iter().zip(indices).map(|(&i, list)| list[i]).collect::<Vec<_>>();
        if !picked.contains(&ZERO) {
            let column: usize = picked.iter().zip(&strides).map(|(&index, stride)| index as usize * stride).sum();
            entries.push((column as u32, 1.0));
        }
    })
}

fn permute_matrix(input: &Shape, permutation: &[usize]) -> Sparse {
    let output = Shape(permutation.iter().map(|&axis| input.0[axis]).collect());
    let strides = input.strides();
    Sparse::from_rows(output.size(), input.size(), |row, entries| {
        let coordinates = output.coordinates(row);
        let column: usize = coordinates.iter().zip(permutation).map(|(&i, &axis)| i * strides[axis]).sum();
        entries.push((column as u32, 1.0));
    })
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

    /// Checks every factor and that consecutive sizes agree.
    pub fn check(&self) -> Result<(), IrError> {
        let mut size = self.inputs;
        for factor in &self.factors {
            factor.check()?;
            if factor.input_size() != size {
                let message = format!("a factor takes {} elements and gets {size}", factor.input_size());
                return Err(IrError::ty("linear", message));
            }
            size = factor.output_size();
        }
        if size != self.outputs {
            return Err(IrError::ty("linear", format!("{} outputs declared, {size} made", self.outputs)));
        }
        match &self.bias {
            Some(bias) if bias.repeat == 0 || bias.values.data.is_empty() => Err(IrError::ty("linear", "empty bias")),
            _ if !self.scale.is_finite() => Err(IrError::ty("linear", "the scale is not finite")),
            _ => Ok(()),
        }
    }

    /// The matrix, scale included, bias not.
    pub fn matrix(&self) -> Sparse {
        let mut product: Option<Sparse> = None;
        for factor in &self.factors {
            let matrix = factor.matrix();
            product = Some(product.map_or_else(|| matrix.clone(), |right| matrix.multiply(&right)));
        }
        let mut product = product.unwrap_or_else(|| Sparse::identity(self.inputs));
        product.scale(self.scale);
        product
    }

    /// `y = matrix · x + bias`.
    pub fn apply(&self, x: &[f64]) -> Vec<f64> {
        let mut y = self.matrix().apply(x);
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
        values = later.matrix().apply(&values);
        later.add_bias(&mut values);
        let shape = Shape(vec![values.len()]);
        Some(Bias { values: Arc::new(crate::tensor::Tensor::new(shape, values)), repeat: 1 })
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
