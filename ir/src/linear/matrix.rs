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
            Primitive::Select { input, indices } => select_matrix(input, indices),
            Primitive::Permute { input, permutation } => permute_matrix(input, permutation),
            Primitive::Diagonal { values, repeat, size } => Sparse::from_rows(*size, *size, |row, entries| {
                entries.push((row as u32, values.data[(row / repeat) % values.data.len()]));
            }),
        }
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
    let columns = window.input.iter().product();
    Sparse::from_sorted_rows(rows, columns, conv.products(), |row, columns, values| {
        let (channel, y, x) = (row / (out_height * out_width), row / out_width % out_height, row % out_width);
        let first_input = channel / group_outputs * group_inputs;
        for input in 0..group_inputs {
            for tap_y in 0..kernel_height {
                let Some(in_y) = window.input_index(0, y, tap_y) else { continue };
                for tap_x in 0..kernel_width {
                    let Some(in_x) = window.input_index(1, x, tap_x) else { continue };
                    let tap = ((channel * group_inputs + input) * kernel_height + tap_y) * kernel_width + tap_x;
                    if conv.weight.data[tap] != 0.0 {
                        columns.push((((first_input + input) * height + in_y) * width + in_x) as u32);
                        values.push(conv.weight.data[tap]);
                    }
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
