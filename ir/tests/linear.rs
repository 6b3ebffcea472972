//! Every linear factor against a direct computation.

mod common;

use common::{constant, numbers};
use paf_ir::linear::{Conv, MAX_SIDE, Window, ZERO};
use paf_ir::sparse::Matrix as _;
use paf_ir::{Bias, LinearMap, Primitive, Shape};
use proptest::prelude::*;

fn apply(factor: &Primitive, x: &[f64]) -> Vec<f64> {
    factor.check().unwrap();
    let matrix = factor.matrix();
    assert_eq!((matrix.rows(), matrix.columns), (factor.output_size(), factor.input_size()));
    matrix.apply(x)
}

fn assert_close(got: &[f64], expected: &[f64]) {
    let close = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-12;
    assert!(got.len() == expected.len() && got.iter().zip(expected).all(close), "{got:?} instead of {expected:?}");
}

/// One channel with its padding written out: `None` outside the input, rows and columns as far as the pads reach.
fn padded(window: &Window, channel: &[f64]) -> Vec<Vec<Option<f64>>> {
    let [_, height, width] = window.input;
    let [top, left, bottom, right] = window.pads;
    let blank = |rows: usize| vec![vec![None; left + width + right]; rows];
    let row = |y: usize| {
        let values = channel[y * width..(y + 1) * width].iter().map(|&value| Some(value));
        [vec![None; left], values.collect(), vec![None; right]].concat()
    };
    [blank(top), (0..height).map(row).collect(), blank(bottom)].concat()
}

/// What each tap of the window at output `(y, x)` covers: `None` beyond the pads, `Some(None)` in them.
fn taps(window: &Window, plane: &[Vec<Option<f64>>], y: usize, x: usize) -> Vec<Option<Option<f64>>> {
    let mut taps = vec![];
    for tap_y in 0..window.kernel[0] {
        for tap_x in 0..window.kernel[1] {
            let row = plane.get(y * window.strides[0] + tap_y * window.dilations[0]);
            taps.push(row.and_then(|row| row.get(x * window.strides[1] + tap_x * window.dilations[1])).copied());
        }
    }
    taps
}

fn outputs(window: &Window) -> impl Iterator<Item = (usize, usize)> + use<> {
    let [height, width] = window.output;
    (0..height).flat_map(move |y| (0..width).map(move |x| (y, x)))
}

fn planes<'x>(window: &Window, x: &'x [f64]) -> std::slice::ChunksExact<'x, f64> {
    x.chunks_exact(window.input[1] * window.input[2])
}

fn naive_conv(conv: &Conv, x: &[f64]) -> Vec<f64> {
    let (window, weight) = (&conv.window, &conv.weight.shape.0);
    let planes: Vec<_> = planes(window, x).map(|channel| padded(window, channel)).collect();
    let filters = conv.weight.data.chunks_exact(weight[1] * weight[2] * weight[3]);
    let mut result = vec![];
    for (channel, filter) in filters.enumerate() {
        let group = channel * conv.groups / weight[0];
        for (y, x) in outputs(window) {
            let group_planes = &planes[group * weight[1]..(group + 1) * weight[1]];
            let covered = group_planes.iter().flat_map(|plane| taps(window, plane, y, x));
            result.push(covered.zip(filter).map(|(value, weight)| weight * value.flatten().unwrap_or(0.0)).sum());
        }
    }
    result
}

fn naive_average(window: &Window, x: &[f64]) -> Vec<f64> {
    let mut result = vec![];
    for channel in planes(window, x) {
        let plane = padded(window, channel);
        for (y, x) in outputs(window) {
            let covered: Vec<_> = taps(window, &plane, y, x).into_iter().flatten().collect();
            let inside: Vec<f64> = covered.iter().copied().flatten().collect();
            let divisor = if window.count_include_pad { covered.len() } else { inside.len() };
            result.push(if inside.is_empty() { 0.0 } else { inside.iter().sum::<f64>() / divisor as f64 });
        }
    }
    result
}

prop_compose! {
    fn window(channels: usize)(
        plane in [1usize..7, 1usize..7],
        kernel in [1usize..4, 1usize..4],
        strides in [1usize..4, 1usize..4],
        pads in [0usize..3, 0usize..3, 0usize..3, 0usize..3],
        dilations in [1usize..3, 1usize..3],
        (count_include_pad, ceil) in any::<(bool, bool)>(),
    ) -> Window {
        let input = [channels, plane[0], plane[1]];
        let mut window = Window { input, kernel, strides, pads, dilations, output: [0, 0], count_include_pad };
        window.output = window.floor_output();
        // `ceil_mode` adds a window that runs over the edge.
        window.output.iter_mut().for_each(|size| *size += usize::from(ceil || *size == 0));
        window
    }
}

prop_compose! {
    fn conv()(
        (groups, group_inputs, group_outputs) in (1usize..4, 1usize..3, 1usize..3),
        mut window in window(1),
        weights in numbers(6 * 2 * 9),
    ) -> Conv {
        let shape = [groups * group_outputs, group_inputs, window.kernel[0], window.kernel[1]];
        window.input[0] = groups * group_inputs;
        Conv { weight: constant(&shape, weights[..shape.iter().product()].to_vec()), window, groups }
    }
}

proptest! {
    #[test]
    fn convolutions(conv in conv(), x in numbers(6 * 36)) {
        let factor = Primitive::Conv(conv.clone());
        let x = &x[..factor.input_size()];
        assert_close(&apply(&factor, x), &naive_conv(&conv, x));
    }

    #[test]
    fn average_pools(window in window(2), x in numbers(2 * 36)) {
        let x = &x[..window.input.iter().product()];
        assert_close(&apply(&Primitive::AveragePool(window.clone()), x), &naive_average(&window, x));
    }

    #[test]
    fn dense_maps_contract_the_middle_axis(
        (left, inputs, outputs, right) in (1usize..4, 1usize..4, 1usize..4, 1usize..4),
        weights in numbers(9),
        x in numbers(27),
    ) {
        let weight = constant(&[outputs, inputs], weights[..outputs * inputs].to_vec());
        let factor = Primitive::Dense { weight, left, right };
        let mut expected = vec![0.0; left * outputs * right];
        for l in 0..left {
            for o in 0..outputs {
                for r in 0..right {
                    expected[(l * outputs + o) * right + r] =
                        (0..inputs).map(|k| weights[o * inputs + k] * x[(l * inputs + k) * right + r]).sum();
                }
            }
        }
        assert_close(&apply(&factor, &x[..left * inputs * right]), &expected);
    }

    #[test]
    fn diagonals_repeat_their_values(
        values in prop::collection::vec(common::number(), 1..5),
        (repeat, size) in (1usize..4, 1usize..20),
        x in numbers(20),
    ) {
        let factor = Primitive::Diagonal { values: constant(&[values.len()], values.clone()), repeat, size };
        let factors = values.iter().flat_map(|value| vec![*value; repeat]).cycle();
        let expected: Vec<f64> = factors.zip(&x[..size]).map(|(value, x)| value * x).collect();
        assert_close(&apply(&factor, &x[..size]), &expected);
    }

    #[test]
    fn windows_by_the_floor_formula_stay_in_the_padding(window in window(1)) {
        let output = window.floor_output();
        for (axis, size) in output.into_iter().enumerate() {
            let padded = window.input[axis + 1] + window.pads[axis] + window.pads[axis + 2];
            let span = window.dilations[axis] * (window.kernel[axis] - 1) + 1;
            let fitting = (0..padded).step_by(window.strides[axis]).filter(|start| start + span <= padded).count();
            prop_assert_eq!(size, fitting);
        }
    }
}

#[test]
fn select_takes_indices_and_zeros() {
    let x: Vec<f64> = (1..=6).map(f64::from).collect();
    let select = |indices: [&[u32]; 2]| Primitive::Select {
        input: Shape(vec![2, 3]),
        indices: indices.map(<[u32]>::to_vec).to_vec(),
    };
    for (indices, expected) in [
        ([&[1, 0][..], &[2][..]], &[6.0, 3.0][..]),
        ([&[0], &[ZERO, 0, 1, 2, ZERO]], &[0.0, 1.0, 2.0, 3.0, 0.0]),
        ([&[ZERO, 1], &[1, 1, ZERO]], &[0.0, 0.0, 0.0, 5.0, 5.0, 0.0]),
    ] {
        assert_eq!(apply(&select(indices), &x), expected, "{indices:?}");
    }
}

#[test]
fn permute_moves_axes() {
    let x: Vec<f64> = (0..24).map(f64::from).collect();
    let factor = Primitive::Permute { input: Shape(vec![2, 3, 4]), permutation: vec![2, 0, 1] };
    let got = apply(&factor, &x);
    for (a, b, c) in (0..2).flat_map(|a| (0..3).flat_map(move |b| (0..4).map(move |c| (a, b, c)))) {
        assert_eq!(got[(c * 2 + a) * 3 + b], x[(a * 3 + b) * 4 + c]);
    }
}

fn dense(weights: &[f64], outputs: usize, bias: Option<&[f64]>) -> LinearMap {
    let weight = constant(&[outputs, weights.len() / outputs], weights.to_vec());
    let bias = bias.map(|values| Bias { values: constant(&[values.len()], values.to_vec()), repeat: 1 });
    LinearMap::of(Primitive::Dense { weight, left: 1, right: 1 }, bias)
}

#[test]
fn biases_repeat() {
    let map =
        LinearMap { bias: Some(Bias { values: constant(&[2], vec![1.0, 2.0]), repeat: 2 }), ..LinearMap::identity(6) };
    assert_eq!(map.apply(&[0.0; 6]), [1.0, 1.0, 2.0, 2.0, 1.0, 1.0]);
}

#[test]
fn composition_applies_both_and_keeps_the_bias() {
    let first = dense(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3, Some(&[0.5, -1.0, 2.0])).scaled(0.5, 2.0);
    let second = dense(&[1.0, 0.0, -1.0, 2.0, 1.0, 0.0], 2, Some(&[10.0, 20.0])).scaled(-4.0, 0.25);
    let free = |map: &LinearMap| LinearMap { bias: None, ..map.clone() };
    let x = [0.75, -0.125];
    for (a, b) in
        [(&first, &second), (&free(&first), &second), (&first, &free(&second)), (&free(&first), &free(&second))]
    {
        let both = a.then(b);
        both.check().unwrap();
        assert_eq!((both.inputs, both.outputs, both.factors.len()), (2, 2, 2));
        assert_eq!(both.bias.is_some(), a.bias.is_some() || b.bias.is_some());
        assert_close(&both.apply(&x), &b.apply(&a.apply(&x)));
        assert_eq!(both.matrix(), b.matrix().multiply(&a.matrix()));
    }
}

#[test]
fn scaling_is_apart_for_matrix_and_bias() {
    let map = dense(&[1.0, 2.0, 3.0, 4.0], 2, Some(&[1.0, -1.0]));
    assert_eq!(map.scaled(2.0, 10.0).apply(&[1.0, 1.0]), [2.0 * 3.0 + 10.0, 2.0 * 7.0 - 10.0]);
    assert_eq!(map.scaled(2.0, 1.0).scaled(0.5, 1.0), map);
    assert_eq!(map.scaled(0.0, 1.0).matrix().entry_count(), 4, "zeros made by a scale stay stored");
}

#[test]
fn maps_that_only_move_elements_are_views() {
    let rows = Primitive::Select { input: Shape(vec![2, 3]), indices: vec![vec![1, 0], vec![0, 2]] };
    let turned = Primitive::Permute { input: Shape(vec![2, 2]), permutation: vec![1, 0] };
    let moved = LinearMap::of(rows.clone(), None).then(&LinearMap::of(turned, None));
    assert_eq!(moved.as_view(), Some(vec![3, 0, 5, 2]));
    assert_eq!(LinearMap::identity(3).as_view(), Some(vec![0, 1, 2]));
    let padded = Primitive::Select { input: Shape(vec![2]), indices: vec![vec![0, ZERO]] };
    let bias = Some(Bias { values: constant(&[1], vec![1.0]), repeat: 1 });
    for other in
        [moved.scaled(2.0, 1.0), LinearMap { bias, ..moved }, LinearMap::of(padded, None), dense(&[1.0], 1, None)]
    {
        assert_eq!(other.as_view(), None, "{other:?}");
    }
}

#[test]
fn equal_columns_add_up_and_zeros_are_not_stored() {
    let matrix = paf_ir::Sparse::from_rows(2, 3, |row, entries| match row {
        0 => entries.extend([(2, 1.0), (0, 2.0), (2, 0.5)]),
        _ => entries.extend([(1, 1.0), (1, -1.0)]),
    });
    assert_eq!(matrix.row(0).collect::<Vec<_>>(), [(0, 2.0), (2, 1.5)]);
    assert_eq!((matrix.row(1).count(), matrix.entry_count(), matrix.rows()), (0, 2, 2));
}

fn any_window() -> Window {
    Window {
        input: [2, 4, 4],
        kernel: [2, 2],
        strides: [1, 1],
        pads: [0; 4],
        dilations: [1, 1],
        output: [3, 3],
        count_include_pad: false,
    }
}

#[track_caller]
fn refused(factor: Primitive, reason: &str) {
    let error = factor.check().unwrap_err().to_string();
    assert!(error.contains(reason), "{error}");
}

#[test]
fn windows_with_impossible_sizes_are_refused() {
    let changes: [fn(&mut Window); 5] =
        [|w| w.input[1] = 0, |w| w.kernel[0] = 0, |w| w.strides[1] = 0, |w| w.dilations[0] = 0, |w| w.output[1] = 0];
    for change in changes {
        let mut window = any_window();
        change(&mut window);
        refused(Primitive::AveragePool(window), "a size is zero");
    }
    for size in [MAX_SIDE + 1, usize::MAX] {
        refused(Primitive::AveragePool(Window { pads: [0, size, 0, 0], ..any_window() }), "a size is above 131072");
        refused(Primitive::AveragePool(Window { kernel: [size, 1], ..any_window() }), "a size is above 131072");
    }
    refused(Primitive::AveragePool(Window { output: [MAX_SIDE; 2], ..any_window() }), "the size of a factor");
}

#[test]
fn the_floor_formula_takes_any_sizes() {
    for size in [0, 1, usize::MAX / 2, usize::MAX] {
        for window in [
            Window { kernel: [size; 2], ..any_window() },
            Window { strides: [size; 2], ..any_window() },
            Window { pads: [size; 4], ..any_window() },
            Window { dilations: [size; 2], kernel: [3; 2], ..any_window() },
            Window { input: [1, size, size], ..any_window() },
        ] {
            let expected_zero = window.kernel[0] == 0 || window.strides[0] == 0 || window.kernel[0] > 4;
            assert!(!expected_zero || window.floor_output() == [0, 0], "{window:?}");
        }
    }
}

#[test]
fn factors_whose_parts_do_not_agree_are_refused() {
    let ones = |shape: &[usize]| constant(shape, vec![1.0; shape.iter().product()]);
    let conv = |shape: &[usize], groups| Primitive::Conv(Conv { weight: ones(shape), window: any_window(), groups });
    assert!(conv(&[3, 2, 2, 2], 1).check().is_ok() && conv(&[4, 1, 2, 2], 2).check().is_ok());
    refused(conv(&[3, 1, 2, 2], 2), "do not fit 2 input channels in 2 groups");
    refused(conv(&[3, 2, 2, 2], 0), "in 0 groups");
    refused(conv(&[3, 2, 2, 2], usize::MAX), "groups");
    refused(conv(&[3, 2, 2, 3], 1), "kernel [2, 2]");
    refused(conv(&[3, 2, 4], 1), "do not fit");
    let dense = |shape: &[usize], left, right| Primitive::Dense { weight: ones(shape), left, right };
    refused(dense(&[4], 1, 1), "two axes");
    refused(dense(&[2, 2], 0, 1), "the size of a factor");
    refused(dense(&[2, 2], 1 << 32, 1 << 32), "the size of a factor");
    refused(dense(&[2, 2], 1 << 31, 1), "the size of a factor");
    let diagonal = |values, repeat, size| Primitive::Diagonal { values, repeat, size };
    refused(diagonal(ones(&[2]), 0, 4), "repeats 0 times");
    refused(diagonal(ones(&[2]), 1, 0), "the size of a factor");
    refused(diagonal(ones(&[0]), 1, 4), "0 weights under the shape [0]");
    let short = std::sync::Arc::new(paf_ir::tensor::Tensor { shape: Shape(vec![2, 3]), data: vec![1.0; 5] });
    refused(diagonal(short, 1, 4), "5 weights under the shape [2, 3]");
}

#[test]
fn selections_and_permutations_stay_on_their_axes() {
    let select = |input: &[usize], indices: &[&[u32]]| Primitive::Select {
        input: Shape(input.to_vec()),
        indices: indices.iter().map(|list| list.to_vec()).collect(),
    };
    refused(select(&[2, 2], &[&[0]]), "has 1 index lists");
    refused(select(&[2, 2], &[&[0], &[2]]), "select index 2 on axis 1");
    refused(select(&[2, 2], &[&[0], &[]]), "the size of a factor");
    refused(select(&[1 << 40, 1 << 40], &[&[0], &[0]]), "the size of a factor");
    let permute =
        |permutation: &[usize]| Primitive::Permute { input: Shape(vec![2, 3]), permutation: permutation.to_vec() };
    for bad in [&[0][..], &[0, 0], &[0, 2], &[0, 1, 2]] {
        refused(permute(bad), "is no permutation");
    }
}

#[test]
fn maps_whose_sizes_do_not_meet_are_refused() {
    let map = dense(&[1.0, 2.0], 2, Some(&[1.0]));
    let none = Some(Bias { values: constant(&[0], vec![]), repeat: 1 });
    let never = Some(Bias { values: constant(&[1], vec![1.0]), repeat: 0 });
    for (map, reason) in [
        (LinearMap { inputs: 2, ..map.clone() }, "a factor takes 1 elements and gets 2"),
        (LinearMap { outputs: 3, ..map.clone() }, "3 outputs declared, 2 made"),
        (LinearMap { scale: f64::NAN, ..map.clone() }, "the scale is not finite"),
        (LinearMap { bias: none, ..map.clone() }, "empty bias"),
        (LinearMap { bias: never, ..map.clone() }, "empty bias"),
        (LinearMap::identity(0), "0 inputs"),
        (LinearMap::identity(1 << 40), "inputs, not from 1"),
        (map.then(&map), "a factor takes 1 elements and gets 2"),
    ] {
        let error = map.check().unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}
