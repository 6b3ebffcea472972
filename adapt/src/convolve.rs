//! Convolutions as products of dense matrices, for any number type: columns of patches, then a matrix product, image by
//! image; and their gradients. Many times faster than the sparse matrix that the IR defines them by.

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2, LinalgScalar};
use paf_ir::LinearMap;
use paf_ir::linear::{Primitive, Window};
use paf_passes::approximate::Values;

/// The results of a map that is one convolution; `None` for any other map.
pub(crate) fn convolved(map: &LinearMap, x: &Values) -> Option<Values> {
    let [Primitive::Conv(conv)] = &map.factors[..] else { return None };
    let convolution = Convolution::new(&conv.window, conv.groups, conv.weight.shape.0[0]);
    Some(x.rewritten(|samples| {
        let mut room = vec![0.0; convolution.room()];
        let mut one = |image: &Vec<f64>| {
            let mut result = vec![0.0; map.outputs];
            convolution.apply(map.scale, &conv.weight.data, image, &mut result, &mut room);
            map.add_bias(&mut result);
            result
        };
        samples.iter().map(&mut one).collect()
    }))
}

/// A convolution of any geometry: images `[channels, height, width]`, weights `[outputs, channels / groups, kernel height,
/// width]`.
#[derive(Debug)]
pub struct Convolution {
    window: Window,
    groups: usize,
    outputs: usize,
    /// For each tap along height and width: the output positions that read inside the image.
    valid: [Vec<(usize, usize)>; 2],
}

impl Convolution {
    /// The convolution with a window, groups of channels, and output channels.
    pub fn new(window: &Window, groups: usize, outputs: usize) -> Self {
        let valid = [0, 1].map(|axis| (0..window.kernel[axis]).map(|tap| valid_outputs(window, axis, tap)).collect());
        Convolution { window: window.clone(), groups, outputs, valid }
    }

    fn group_inputs(&self) -> usize {
        self.window.input[0] / self.groups
    }

    fn group_outputs(&self) -> usize {
        self.outputs / self.groups
    }

    fn taps(&self) -> usize {
        self.group_inputs() * self.window.kernel[0] * self.window.kernel[1]
    }

    fn positions(&self) -> usize {
        self.window.output[0] * self.window.output[1]
    }

    /// Visits the stretches of patches that lie inside of the image: row of the columns' matrix, first output element,
    /// number of outputs, first input element.
    fn stretches(&self, group: usize, mut visit: impl FnMut(usize, usize, usize, usize)) {
        let [_, height, width] = self.window.input;
        let mut row = 0;
        for channel in 0..self.group_inputs() {
            let plane = (group * self.group_inputs() + channel) * height * width;
            for (tap_y, &(first_y, end_y)) in self.valid[0].iter().enumerate() {
                for (tap_x, &(first_x, end_x)) in self.valid[1].iter().enumerate() {
                    for y in first_y..end_y {
                        if let (Some(in_y), Some(in_x), true) = (
                            self.window.input_index(0, y, tap_y),
                            self.window.input_index(1, first_x, tap_x),
                            first_x < end_x,
                        ) {
                            let out = y * self.window.output[1] + first_x;
                            visit(row, out, end_x - first_x, plane + in_y * width + in_x);
                        }
                    }
                    row += 1;
                }
            }
        }
    }

    /// Whether patches of a row of the columns' matrix lie in the image as they lie there, borders aside: then a row is
    /// one stretch.
    fn keeps_rows(&self) -> bool {
        self.window.strides == [1, 1] && self.window.output[1] == self.window.input[2]
    }

    /// As [`Convolution::stretches`] where whole rows are kept: one stretch for each row of the matrix, from the first to
    /// the last element inside, and the columns of the image, from first to end, that are not outside in it.
    fn long_stretches(&self, group: usize, mut visit: impl FnMut(usize, usize, usize, usize, (usize, usize))) {
        let [_, height, width] = self.window.input;
        let taps = self.window.kernel[0] * self.window.kernel[1];
        for row in 0..self.taps() {
            let (channel, tap) = (group * self.group_inputs() + row / taps, row % taps);
            let (tap_y, tap_x) = (tap / self.window.kernel[1], tap % self.window.kernel[1]);
            let ((first_y, end_y), (first_x, end_x)) = (self.valid[0][tap_y], self.valid[1][tap_x]);
            let inside = (self.window.input_index(0, first_y, tap_y), self.window.input_index(1, first_x, tap_x));
            if let ((Some(in_y), Some(in_x)), true) = (inside, first_y < end_y && first_x < end_x) {
                let out = first_y * width + first_x;
                let count = (end_y - 1) * width + end_x - out;
                visit(row, out, count, (channel * height + in_y) * width + in_x, (first_x, end_x));
            }
        }
    }

    /// Patches of one group of channels, `[taps, positions]`; what lies in the padding keeps its zero.
    fn fill_columns<T: LinalgScalar>(&self, image: &[T], group: usize, columns: &mut [T]) {
        let (positions, stride) = (self.positions(), self.window.strides[1]);
        if self.keeps_rows() {
            return self.long_stretches(group, |row, out, count, input, inside| {
                let row = &mut columns[row * positions..][..positions];
                row[out..out + count].copy_from_slice(&image[input..input + count]);
                self.clear_outside(row, inside);
            });
        }
        self.stretches(group, |row, out, count, input| {
            let target = &mut columns[row * positions + out..][..count];
            if stride == 1 {
                target.copy_from_slice(&image[input..input + count]);
            } else {
                target.iter_mut().zip(image[input..].iter().step_by(stride)).for_each(|(to, from)| *to = *from);
            }
        });
    }

    /// Adds patches back to where they were taken from; leaves the patches of no use.
    fn add_columns<T: LinalgScalar>(&self, columns: &mut [T], group: usize, image: &mut [T]) {
        let (positions, stride) = (self.positions(), self.window.strides[1]);
        if self.keeps_rows() {
            return self.long_stretches(group, |row, out, count, input, inside| {
                let row = &mut columns[row * positions..][..positions];
                self.clear_outside(row, inside);
                let source = &row[out..out + count];
                image[input..input + count].iter_mut().zip(source).for_each(|(to, from)| *to = *to + *from);
            });
        }
        self.stretches(group, |row, out, count, input| {
            let source = &columns[row * positions + out..][..count];
            image[input..].iter_mut().step_by(stride).zip(source).for_each(|(to, from)| *to = *to + *from);
        });
    }

    /// Zeroes what lies left and right of the image in a row of patches.
    fn clear_outside<T: LinalgScalar>(&self, row: &mut [T], (first, end): (usize, usize)) {
        let zero = T::zero();
        for line in row.chunks_mut(self.window.output[1]) {
            line[..first].fill(zero);
            line[end..].fill(zero);
        }
    }

    /// Elements of an image, and of a result.
    pub fn widths(&self) -> (usize, usize) {
        (self.window.input.iter().product(), self.outputs * self.positions())
    }

    /// Room for the patches of one group of channels; it must be zero at first, and may be used for image after image.
    pub fn room(&self) -> usize {
        self.taps() * self.positions()
    }

    /// `result = scale · weights · patches`, for one image.
    pub fn apply<T: LinalgScalar>(&self, scale: T, weights: &[T], image: &[T], result: &mut [T], room: &mut [T]) {
        let (rows, positions) = (self.group_outputs(), self.positions());
        for (group, result) in result.chunks_mut(rows * positions).enumerate() {
            self.fill_columns(image, group, room);
            let columns = matrix(room, self.taps(), positions);
            let mut result = matrix_mut(result, rows, positions);
            general_mat_mul(scale, &self.weights_of(weights, group), &columns, T::zero(), &mut result);
        }
    }

    /// Adds to `image` what a gradient of the result is worth to the image. The room is of no use afterwards.
    pub fn add_image_gradient<T: LinalgScalar>(&self, weights: &[T], gradient: &[T], image: &mut [T], room: &mut [T]) {
        for group in 0..self.groups {
            let mut product = matrix_mut(room, self.taps(), self.positions());
            let weights = self.weights_of(weights, group);
            general_mat_mul(T::one(), &weights.t(), &self.rows_of(gradient, group), T::zero(), &mut product);
            self.add_columns(room, group, image);
        }
    }

    /// Adds to `sum` what a gradient of the result is worth to the weights.
    pub fn add_weight_gradient<T: LinalgScalar>(&self, image: &[T], gradient: &[T], sum: &mut [T], room: &mut [T]) {
        let (rows, taps, positions) = (self.group_outputs(), self.taps(), self.positions());
        for (group, sum) in sum.chunks_mut(rows * taps).enumerate() {
            self.fill_columns(image, group, room);
            let columns = matrix(room, taps, positions);
            let mut sum = matrix_mut(sum, rows, taps);
            general_mat_mul(T::one(), &self.rows_of(gradient, group), &columns.t(), T::one(), &mut sum);
        }
    }

    fn weights_of<'w, T>(&self, weights: &'w [T], group: usize) -> ArrayView2<'w, T> {
        let (rows, taps) = (self.group_outputs(), self.taps());
        matrix(&weights[group * rows * taps..][..rows * taps], rows, taps)
    }

    fn rows_of<'g, T>(&self, sample: &'g [T], group: usize) -> ArrayView2<'g, T> {
        let (rows, positions) = (self.group_outputs(), self.positions());
        matrix(&sample[group * rows * positions..][..rows * positions], rows, positions)
    }
}

fn valid_outputs(window: &Window, axis: usize, tap: usize) -> (usize, usize) {
    let reads = |out: &usize| window.input_index(axis, *out, tap).is_some();
    let mut inside = (0..window.output[axis]).filter(reads);
    inside.next().map_or((0, 0), |first| (first, inside.next_back().unwrap_or(first) + 1))
}

fn matrix<T>(values: &[T], rows: usize, columns: usize) -> ArrayView2<'_, T> {
    ArrayView2::from_shape((rows, columns), values).expect("the slice has as many elements as the matrix")
}

fn matrix_mut<T>(values: &mut [T], rows: usize, columns: usize) -> ArrayViewMut2<'_, T> {
    ArrayViewMut2::from_shape((rows, columns), values).expect("the slice has as many elements as the matrix")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use paf_ir::Shape;
    use paf_ir::linear::{Bias, Conv};
    use paf_ir::tensor::Tensor;

    use super::*;

    fn counted(shape: Vec<usize>) -> Arc<Tensor> {
        let size = shape.iter().product::<usize>();
        Arc::new(Tensor::new(Shape(shape), (0..size).map(|index| (index * 37 % 23) as f64 - 11.0).collect()))
    }

    #[test]
    fn does_what_the_matrix_of_the_map_does() {
        for (groups, strides, pads, dilations) in
            [(1, [1, 1], [1, 1, 1, 1], [1, 1]), (2, [2, 1], [0, 1, 1, 0], [1, 1]), (4, [2, 2], [2, 2, 2, 2], [2, 2])]
        {
            let mut window = Window {
                input: [4, 7, 6],
                kernel: [3, 2],
                strides,
                pads,
                dilations,
                output: [0, 0],
                count_include_pad: false,
            };
            window.output = window.floor_output();
            let places = window.output[0] * window.output[1];
            let conv = Conv { weight: counted(vec![8, 4 / groups, 3, 2]), window, groups };
            let bias = Some(Bias { values: counted(vec![8]), repeat: places });
            let map = LinearMap { scale: 0.5, ..LinearMap::of(Primitive::Conv(conv), bias) };
            let samples: Vec<Vec<f64>> = (0..3).map(|k| counted(vec![4 * 7 * 6 + k]).data[k..].to_vec()).collect();
            let expected: Vec<Vec<f64>> = samples.iter().map(|x| map.apply(x)).collect();
            assert_eq!(convolved(&map, &Values::of_samples(&samples)).unwrap().samples(), expected);
        }
    }
}
