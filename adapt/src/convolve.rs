//! Convolutions of single samples as products of dense matrices: columns of patches by weights.

use ndarray::{ArrayView2, ArrayViewMut2, linalg::general_mat_mul};
use paf_ir::LinearMap;
use paf_ir::linear::{Conv, Primitive};
use paf_passes::approximate::Values;

/// The results of a map that is one convolution; `None` for any other map.
pub(crate) fn convolved(map: &LinearMap, x: &Values) -> Option<Values> {
    let [Primitive::Conv(conv)] = &map.factors[..] else { return None };
    Some(x.rewritten(|samples| {
        let mut patches = Vec::new();
        samples.iter().map(|x| one(map, conv, x, &mut patches)).collect()
    }))
}

fn one(map: &LinearMap, conv: &Conv, x: &[f64], patches: &mut Vec<f64>) -> Vec<f64> {
    let mut y = vec![0.0; map.outputs];
    convolve(conv, map.scale, x, patches, &mut y);
    map.add_bias(&mut y);
    y
}

/// `y = scale · W · patches` for each group.
fn convolve(conv: &Conv, scale: f64, x: &[f64], patches: &mut Vec<f64>, y: &mut [f64]) {
    let window = &conv.window;
    let places = window.output[0] * window.output[1];
    let outputs = conv.weight.shape.0[0] / conv.groups;
    let channels = window.input[0] / conv.groups;
    let taps = channels * window.kernel[0] * window.kernel[1];
    let plane = window.input[1] * window.input[2];
    for group in 0..conv.groups {
        gather(conv, &x[group * channels * plane..][..channels * plane], patches);
        let weight = &conv.weight.data[group * outputs * taps..][..outputs * taps];
        let result = &mut y[group * outputs * places..][..outputs * places];
        let shapes = (
            ArrayView2::from_shape((outputs, taps), weight),
            ArrayView2::from_shape((taps, places), &patches[..]),
            ArrayViewMut2::from_shape((outputs, places), result),
        );
        if let (Ok(weight), Ok(patches), Ok(mut result)) = shapes {
            general_mat_mul(scale, &weight, &patches, 0.0, &mut result);
        }
    }
}

/// One row for each channel and tap: what each place of the output reads there, zero in the padding.
fn gather(conv: &Conv, x: &[f64], patches: &mut Vec<f64>) {
    let window = &conv.window;
    let [_, height, width] = window.input;
    patches.clear();
    for plane in x.chunks(height * width) {
        for row_tap in 0..window.kernel[0] {
            for column_tap in 0..window.kernel[1] {
                let columns: Vec<Option<usize>> =
                    (0..window.output[1]).map(|place| window.input_index(1, place, column_tap)).collect();
                for place in 0..window.output[0] {
                    match window.input_index(0, place, row_tap) {
                        Some(row) => {
                            let row = &plane[row * width..][..width];
                            patches.extend(columns.iter().map(|column| column.map_or(0.0, |column| row[column])));
                        }
                        None => patches.extend(std::iter::repeat_n(0.0, window.output[1])),
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use paf_ir::Shape;
    use paf_ir::linear::{Bias, Window};
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
