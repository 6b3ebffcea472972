//! The expansion of every factor to a sparse matrix.

use super::{Conv, Primitive, Window, ZERO};
use crate::sparse::Sparse;
use crate::tensor::{Constant, Shape};

impl Primitive {
    /// The factor as a sparse matrix.
    pub fn matrix(&self) -> Sparse {
        match self {
            Primitive::Conv(conv) => conv_matrix(conv),
            Primitive::Dense { weight, left, right } => dense_matrix(weight, *left, *right),
            Primitive::AveragePool(window) => average_matrix(window),
            Primitive::Select { input, .. } | Primitive::Permute { input, .. } => {
                let moves = self.moves();
                Sparse::from_rows(moves.len(), input.size(), |row, entries| {
                    entries.extend(Some(moves[row]).filter(|&from| from != ZERO).map(|from| (from, 1.0)));
                })
            }
            Primitive::Diagonal { values, repeat, size } => Sparse::from_rows(*size, *size, |row, entries| {
                entries.push((row as u32, values.data[(row / repeat) % values.data.len()]));
            }),
        }
    }
}

impl Primitive {
    /// Of a factor that moves elements the input element of each output element; [`ZERO`] for none.
    pub(super) fn moves(&self) -> Vec<u32> {
        match self {
            Primitive::Select { input, indices } => select_moves(input, indices),
            Primitive::Permute { input, permutation } => permute_moves(input, permutation),
            _ => (0..self.output_size() as u32).collect(),
        }
    }
}

fn conv_matrix(conv: &Conv) -> Sparse {
    let rows = ConvRows::new(conv);
    let outputs = conv.weight.shape.0[0] * conv.window.output.iter().product::<usize>();
    let inputs = conv.window.input.iter().product();
    Sparse::from_sorted_rows(outputs, inputs, conv.products(), |row, columns, values| rows.row(row, columns, values))
}

/// The rows of a convolution.
#[derive(Debug, Clone)]
pub(super) struct ConvRows<'c> {
    conv: &'c Conv,
    /// For each axis and output coordinate the input coordinates that taps read, and the taps.
    taps: [Vec<Vec<(usize, usize)>>; 2],
}

impl<'c> ConvRows<'c> {
    pub(super) fn new(conv: &'c Conv) -> Self {
        let window = &conv.window;
        let of_output = |axis: usize, out: usize| {
            let taps = 0..window.kernel[axis];
            taps.filter_map(|tap| Some((window.input_index(axis, out, tap)?, tap))).collect()
        };
        let taps = [0, 1].map(|axis| (0..window.output[axis]).map(|out| of_output(axis, out)).collect());
        ConvRows { conv, taps }
    }

    /// Appends columns that ascend, and their weights, none of them zero.
    pub(super) fn row(&self, row: usize, columns: &mut Vec<u32>, values: &mut Vec<f64>) {
        let Conv { weight, window, groups } = self.conv;
        let ([_, height, width], [out_height, out_width]) = (window.input, window.output);
        let [kernel_height, kernel_width] = window.kernel;
        let (out_channels, group_inputs) = (weight.shape.0[0], weight.shape.0[1]);
        let (channel, y, x) = (row / (out_height * out_width), row / out_width % out_height, row % out_width);
        let first_input = channel / (out_channels / groups) * group_inputs;
        for input in 0..group_inputs {
            for &(in_y, tap_y) in &self.taps[0][y] {
                let first = ((first_input + input) * height + in_y) * width;
                let taps = ((channel * group_inputs + input) * kernel_height + tap_y) * kernel_width;
                for &(in_x, tap_x) in &self.taps[1][x] {
                    let value = weight.data[taps + tap_x];
                    if value != 0.0 {
                        columns.push((first + in_x) as u32);
                        values.push(value);
                    }
                }
            }
        }
    }
}

fn dense_matrix(weight: &Constant, left: usize, right: usize) -> Sparse {
    let (outputs, inputs) = (weight.shape.0[0], weight.shape.0[1]);
    Sparse::from_rows(left * outputs * right, left * inputs * right, |row, entries| {
        dense_row(weight, right, row, |column, value| entries.push((column, value)));
    })
}

/// One row of a dense factor, zeros included.
pub(super) fn dense_row(weight: &Constant, right: usize, row: usize, mut push: impl FnMut(u32, f64)) {
    let (outputs, inputs) = (weight.shape.0[0], weight.shape.0[1]);
    let (l, o, r) = (row / (outputs * right), row / right % outputs, row % right);
    (0..inputs).for_each(|k| push(((l * inputs + k) * right + r) as u32, weight.data[o * inputs + k]));
}

fn average_matrix(window: &Window) -> Sparse {
    let [channels, height, width] = window.input;
    let rows = channels * window.output.iter().product::<usize>();
    Sparse::from_rows(rows, channels * height * width, |row, entries| {
        average_row(window, row, |column, value| entries.push((column, value)));
    })
}

/// One row of an average.
pub(super) fn average_row(window: &Window, row: usize, mut push: impl FnMut(u32, f64)) {
    let ([_, height, width], [out_height, out_width]) = (window.input, window.output);
    let (channel, y, x) = (row / (out_height * out_width), row / out_width % out_height, row % out_width);
    let taps =
        |axis: usize, out: usize| (0..window.kernel[axis]).filter_map(move |tap| window.input_index(axis, out, tap));
    let divisor = match window.count_include_pad {
        true => window.taps_in_padded(0, y) * window.taps_in_padded(1, x),
        false => taps(0, y).count() * taps(1, x).count(),
    };
    for in_y in taps(0, y) {
        for in_x in taps(1, x) {
            push(((channel * height + in_y) * width + in_x) as u32, 1.0 / divisor as f64);
        }
    }
}

fn select_moves(input: &Shape, indices: &[Vec<u32>]) -> Vec<u32> {
    let output = Shape(indices.iter().map(Vec::len).collect());
    let strides = input.strides();
    let moved = |row: usize| {
        let picked = output.coordinates(row).iter().zip(indices).map(|(&i, list)| list[i]).collect::<Vec<_>>();
        let column = || picked.iter().zip(&strides).map(|(&index, stride)| index as usize * stride).sum::<usize>();
        if picked.contains(&ZERO) { ZERO } else { column() as u32 }
    };
    (0..output.size()).map(moved).collect()
}

fn permute_moves(input: &Shape, permutation: &[usize]) -> Vec<u32> {
    let output = Shape(permutation.iter().map(|&axis| input.0[axis]).collect());
    let strides = input.strides();
    let moved = |row: usize| {
        let coordinates = output.coordinates(row);
        coordinates.iter().zip(permutation).map(|(&i, &axis)| i * strides[axis]).sum::<usize>() as u32
    };
    (0..output.size()).map(moved).collect()
}
