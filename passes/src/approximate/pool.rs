//! MaxPool as rounds of pairwise maxima.
//!
//! Windows are separable: maxima along the width first, then along the height. Along an axis, windows of `w` taps
//! starting at every position are doubled, `max(w taps from i, w taps from i + w)`; where the kernel is not a power of
//! two the last round overlaps, which a maximum does not mind. That takes ⌈log2 k⌉ rounds an axis, each one
//! comparison for the whole tensor. Slices of overlapping windows are views, which packing turns into rotations.

use paf_ir::linear::{LinearMap, Primitive, Window};
use paf_ir::tensor::Shape;

/// One step of a pool along one axis of `[channels, height, width]`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Round {
    /// Takes elements.
    Select(LinearMap),
    /// The maximum of two selections of the same tensor.
    Max(LinearMap, LinearMap),
    /// The maximum over several selections, as a balanced tree: where padding meets dilation.
    Tree(Vec<LinearMap>),
}

/// The rounds of a pool in order, width before height.
pub(super) fn rounds(window: &Window) -> Vec<Round> {
    let mut shape = window.input.to_vec();
    let mut rounds = Vec::new();
    for axis in [1, 0] {
        axis_rounds(window, axis, &mut shape, &mut rounds);
    }
    rounds
}

/// Number of comparisons in sequence.
pub(super) fn comparisons(window: &Window) -> u32 {
    window.kernel.iter().map(|k| k.next_power_of_two().trailing_zeros()).sum()
}

fn axis_rounds(window: &Window, axis: usize, shape: &mut [usize], rounds: &mut Vec<Round>) {
    let (kernel, dilation, outputs) = (window.kernel[axis], window.dilations[axis], window.output[axis]);
    let padded = needs_padding(window, axis);
    if padded && dilation > 1 {
        return tree(window, axis, shape, rounds);
    }
    if padded {
        let length = (outputs - 1) * window.strides[axis] + kernel;
        let last = shape[axis + 1] - 1;
        let clamped = (0..length).map(|i| i.saturating_sub(window.pads[axis]).min(last) as u32).collect();
        rounds.push(Round::Select(take(shape, axis, clamped)));
    }
    let mut taps = 1;
    while taps < kernel {
        let shift = taps.min(kernel - taps);
        let length = shape[axis + 1] - shift * dilation;
        let from = |start: usize| (start..start + length).map(|i| i as u32).collect();
        let first = take(&mut shape.to_vec(), axis, from(0));
        rounds.push(Round::Max(first, take(shape, axis, from(shift * dilation))));
        taps += shift;
    }
    if window.strides[axis] > 1 || outputs < shape[axis + 1] {
        let strided = (0..outputs).map(|out| (out * window.strides[axis]) as u32).collect();
        rounds.push(Round::Select(take(shape, axis, strided)));
    }
}

fn needs_padding(window: &Window, axis: usize) -> bool {
    let last_tap =
        (window.output[axis] - 1) * window.strides[axis] + (window.kernel[axis] - 1) * window.dilations[axis];
    window.pads[axis] > 0 || last_tap >= window.input[axis + 1] + window.pads[axis]
}

/// Every tap by itself; a tap in the padding repeats one that is not.
fn tree(window: &Window, axis: usize, shape: &mut [usize], rounds: &mut Vec<Round>) {
    let index = |out: usize, tap: usize| {
        let real = (0..window.kernel[axis]).find_map(|other| window.input_index(axis, out, other));
        window.input_index(axis, out, tap).or(real).unwrap_or(0) as u32
    };
    let taps = (0..window.kernel[axis])
        .map(|tap| take(&mut shape.to_vec(), axis, (0..window.output[axis]).map(|out| index(out, tap)).collect()))
        .collect();
    shape[axis + 1] = window.output[axis];
    rounds.push(Round::Tree(taps));
}

/// A selection along one axis; updates the shape.
fn take(shape: &mut [usize], axis: usize, indices: Vec<u32>) -> LinearMap {
    let input = Shape(shape.to_vec());
    let mut lists: Vec<Vec<u32>> = shape.iter().map(|&size| (0..size as u32).collect()).collect();
    shape[axis + 1] = indices.len();
    lists[axis + 1] = indices;
    LinearMap::of(Primitive::Select { input, indices: lists }, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use paf_ir::tensor::{Graph, Op, Output, PostProcess, evaluate};

    fn exact(window: &Window, x: &[f64]) -> Vec<f64> {
        let mut graph = Graph::default();
        let input = graph.input("x", Shape(window.input.to_vec()), false);
        let node = graph.add("pool", Op::MaxPool(window.clone()), &[input]).unwrap();
        graph.outputs = vec![Output { name: "y".into(), node, post: PostProcess::None }];
        evaluate(&graph, &[x.to_vec()]).unwrap().remove(0)
    }

    fn by_rounds(window: &Window, x: &[f64]) -> Vec<f64> {
        let max = |a: Vec<f64>, b: &Vec<f64>| a.iter().zip(b).map(|(a, b)| a.max(*b)).collect::<Vec<_>>();
        rounds(window).iter().fold(x.to_vec(), |x, round| match round {
            Round::Select(map) => map.apply(&x),
            Round::Max(a, b) => max(a.apply(&x), &b.apply(&x)),
            Round::Tree(taps) => taps[1..].iter().fold(taps[0].apply(&x), |sum, tap| max(sum, &tap.apply(&x))),
        })
    }

    #[test]
    fn rounds_equal_the_pool_for_negative_values_too() {
        for kernel in 1..=5usize {
            for (stride, dilation, pads) in [(1, 1, 0), (2, 1, 0), (3, 1, 0), (2, 1, 1), (1, 2, 0), (1, 2, 1)] {
                let pad = if pads < kernel { pads } else { 0 };
                let mut window = Window {
                    input: [2, 11, 12],
                    kernel: [kernel, kernel],
                    strides: [stride, stride],
                    pads: [pad, 0, 0, pad],
                    dilations: [dilation, dilation],
                    output: [0, 0],
                    count_include_pad: false,
                };
                window.output = window.floor_output();
                let x: Vec<f64> = (0..264).map(|i| -1.0 - f64::from(i * 7919 % 263)).collect();
                assert_eq!(by_rounds(&window, &x), exact(&window, &x), "{window:?}");
            }
        }
    }
}
