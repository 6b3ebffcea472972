//! MaxPool as rounds of pairwise maxima.
//!
//! Windows are separable: maxima along the width first, then along the height. Along an axis, windows of `w` taps
//! starting at every position are doubled, `max(w taps from i, w taps from i + w)`; where the kernel is not a power of
//! two the last round takes the taps that are left from the round that had them, `max(max(x0, x1), x2)`. That takes
//! ⌈log2 k⌉ rounds an axis, each one comparison for the whole tensor. Slices of overlapping windows are views, which packing
//! turns into rotations.
//!
//! `max(max(x0, x1), max(x1, x2))`, windows that overlap, would be as right for exact maxima and needs no earlier round, but
//! compares an element with itself wherever the middle one is the largest, which is where a PAF is coarse: the mean error of
//! 3×3 windows is a tenth above that of one tree over nine elements, and within 5 % of it this way.
//!
//! Along an axis whose rounds have room for one more operand, the last round can take zero in:
//! `max(x0, x1, x2, 0) = max(max(x0, x1), relu(x2))`, for the products of a ReLU beside the pool and one comparison less
//! in sequence.
//!
//! [`Reduction::Tree`] instead compares all elements of a window in one balanced tree, as SmartPAF does: ⌈log2 k²⌉
//! comparisons in sequence, k² − 1 in all, each of the size of the result.

use paf_ir::linear::{LinearMap, Primitive, Window};
use paf_ir::tensor::Shape;

/// In which order a pool compares the elements of its windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reduction {
    /// Rows, then columns: the fewest comparisons.
    #[default]
    Separable,
    /// All elements in one balanced tree, halves at ⌊n/2⌋: mostly a smaller error, and for some windows fewer
    /// comparisons in sequence.
    Tree,
}

impl Reduction {
    /// Number of comparisons in sequence.
    pub fn comparisons(self, window: &Window) -> u32 {
        let rounds = |elements: usize| elements.next_power_of_two().trailing_zeros();
        match self {
            Reduction::Separable => window.kernel.iter().map(|&k| rounds(k)).sum(),
            Reduction::Tree => rounds(window.kernel.iter().product()),
        }
    }
}

/// One step of a pool of `[channels, height, width]`, along one axis unless it is a tree. Its selections are linear maps, or
/// what somebody made ready of them.
#[derive(Debug, Clone, PartialEq)]
pub enum Round<M = LinearMap> {
    /// Takes elements.
    Select(M),
    /// The maximum of two selections of the same tensor.
    Max(M, M),
    /// The maximum of a selection and a selection of the tensor that came before round number `earlier`.
    MaxWithEarlier {
        /// Taken from the last tensor.
        first: M,
        /// Taken from the earlier tensor.
        rest: M,
        /// Number of the round.
        earlier: usize,
    },
    /// The maximum of zero, a selection, and a selection of the tensor that came before round number `earlier`.
    MaxWithZero {
        /// What is compared with the maximum of zero and the rest.
        first: M,
        /// The rest, taken from the earlier tensor.
        rest: M,
        /// Number of the round.
        earlier: usize,
    },
    /// The maximum over several selections, as a balanced tree: where it is asked for, and where padding meets dilation.
    Tree(Vec<M>),
    /// The same with zero for one more, the first of them.
    TreeWithZero(Vec<M>),
}

/// The rounds of a pool in order, width before height.
pub fn rounds(window: &Window, reduction: Reduction) -> Vec<Round> {
    if reduction == Reduction::Tree {
        return vec![Round::Tree(taps(window))];
    }
    let mut shape = window.input.to_vec();
    let mut rounds = Vec::new();
    for axis in [1, 0] {
        axis_rounds(window, axis, &mut shape, &mut rounds, maxima);
    }
    rounds
}

/// The rounds of the maximum of a pool and zero, for a window that has room for it.
pub(super) fn rounds_with_zero(window: &Window, reduction: Reduction) -> Vec<Round> {
    if reduction == Reduction::Tree {
        return vec![Round::TreeWithZero(taps(window))];
    }
    let mut shape = window.input.to_vec();
    let mut rounds = Vec::new();
    let with_room = [1, 0].into_iter().find(|&axis| axis_has_room(window, axis));
    for axis in [1, 0] {
        let maxima = if with_room == Some(axis) { maxima_with_zero } else { maxima };
        axis_rounds(window, axis, &mut shape, &mut rounds, maxima);
    }
    rounds
}

impl<M> Round<M> {
    /// Number of the round before which a tensor came that this one reads, other than the last.
    pub(super) fn earlier(&self) -> Option<usize> {
        match self {
            Round::MaxWithEarlier { earlier, .. } | Round::MaxWithZero { earlier, .. } => Some(*earlier),
            _ => None,
        }
    }

    /// The same round with every selection made ready.
    pub fn prepared<N>(&self, mut prepare: impl FnMut(&M) -> N) -> Round<N> {
        match self {
            Round::Select(selection) => Round::Select(prepare(selection)),
            Round::Max(first, second) => Round::Max(prepare(first), prepare(second)),
            Round::MaxWithEarlier { first, rest, earlier } => {
                Round::MaxWithEarlier { first: prepare(first), rest: prepare(rest), earlier: *earlier }
            }
            Round::MaxWithZero { first, rest, earlier } => {
                Round::MaxWithZero { first: prepare(first), rest: prepare(rest), earlier: *earlier }
            }
            Round::Tree(taps) => Round::Tree(taps.iter().map(prepare).collect()),
            Round::TreeWithZero(taps) => Round::TreeWithZero(taps.iter().map(prepare).collect()),
        }
    }
}

/// Whether zero can be one more operand at no more comparisons in sequence.
pub(super) fn has_room_for_zero(window: &Window, reduction: Reduction) -> bool {
    match reduction {
        Reduction::Separable => [1, 0].into_iter().any(|axis| axis_has_room(window, axis)),
        Reduction::Tree => !window.kernel.iter().product::<usize>().is_power_of_two(),
    }
}

fn axis_has_room(window: &Window, axis: usize) -> bool {
    let (high, low) = last_round(window.kernel[axis]);
    low > 0 && 2 * low <= high && !is_tree(window, axis)
}

/// Taps of the two overlapping windows whose maximum is the last round, each a power of two.
fn last_round(kernel: usize) -> (usize, usize) {
    let high = kernel.next_power_of_two() / 2;
    (high, if kernel > high && high > 0 { (kernel - high).next_power_of_two() } else { 0 })
}

fn is_tree(window: &Window, axis: usize) -> bool {
    needs_padding(window, axis) && window.dilations[axis] > 1
}

fn axis_rounds(
    window: &Window,
    axis: usize,
    shape: &mut [usize],
    rounds: &mut Vec<Round>,
    maxima: fn(&Window, usize, &mut [usize], &mut Vec<Round>),
) {
    if is_tree(window, axis) {
        return tree(window, axis, shape, rounds);
    }
    let outputs = window.output[axis];
    if needs_padding(window, axis) {
        let length = (outputs - 1) * window.strides[axis] + window.kernel[axis];
        let last = shape[axis + 1] - 1;
        let clamped = (0..length).map(|i| i.saturating_sub(window.pads[axis]).min(last) as u32).collect();
        rounds.push(Round::Select(take(shape, axis, clamped)));
    }
    maxima(window, axis, shape, rounds);
    if window.strides[axis] > 1 || outputs < shape[axis + 1] {
        let strided = (0..outputs).map(|out| (out * window.strides[axis]) as u32).collect();
        rounds.push(Round::Select(take(shape, axis, strided)));
    }
}

/// Windows at every position.
fn maxima(window: &Window, axis: usize, shape: &mut [usize], rounds: &mut Vec<Round>) {
    let (kernel, dilation) = (window.kernel[axis], window.dilations[axis]);
    let (high, low) = last_round(kernel);
    if low == high && kernel > 1 {
        doublings(high, low, dilation, axis, shape, rounds);
        rounds.push(doubled(shape, axis, (kernel - high) * dilation));
    } else if kernel > 1 {
        let (first, rest, earlier) = two_windows(window, axis, shape, rounds);
        rounds.push(Round::MaxWithEarlier { first, rest, earlier });
    }
}

/// Windows at every position, and zero.
fn maxima_with_zero(window: &Window, axis: usize, shape: &mut [usize], rounds: &mut Vec<Round>) {
    let (first, rest, earlier) = two_windows(window, axis, shape, rounds);
    rounds.push(Round::MaxWithZero { first, rest, earlier });
}

/// The rounds before the last one, and what the last one compares: all taps but the last few, those, and the number of
/// the round before which these came.
fn two_windows(
    window: &Window,
    axis: usize,
    shape: &mut [usize],
    rounds: &mut Vec<Round>,
) -> (LinearMap, LinearMap, usize) {
    let (kernel, dilation) = (window.kernel[axis], window.dilations[axis]);
    let (high, low) = last_round(kernel);
    let (earlier, mut earlier_shape) = doublings(high, low, dilation, axis, shape, rounds);
    let length = earlier_shape[axis + 1] - (kernel - low) * dilation;
    let first = take(shape, axis, range(0, length));
    let rest = take(&mut earlier_shape, axis, range((kernel - low) * dilation, length));
    (first, rest, earlier)
}

/// Doubles windows up to `high` taps; gives the number of the round, and the shape, at which they had `low`.
fn doublings(
    high: usize,
    low: usize,
    dilation: usize,
    axis: usize,
    shape: &mut [usize],
    rounds: &mut Vec<Round>,
) -> (usize, Vec<usize>) {
    let mut earlier = (rounds.len(), shape.to_vec());
    let mut taps = 1;
    while taps < high {
        rounds.push(doubled(shape, axis, taps * dilation));
        taps *= 2;
        if taps == low {
            earlier = (rounds.len(), shape.to_vec());
        }
    }
    earlier
}

/// Every element with the one at a distance.
fn doubled(shape: &mut [usize], axis: usize, distance: usize) -> Round {
    let length = shape[axis + 1] - distance;
    let first = take(&mut shape.to_vec(), axis, range(0, length));
    Round::Max(first, take(shape, axis, range(distance, length)))
}

fn range(start: usize, length: usize) -> Vec<u32> {
    (start..start + length).map(|i| i as u32).collect()
}

fn needs_padding(window: &Window, axis: usize) -> bool {
    let last_tap =
        (window.output[axis] - 1) * window.strides[axis] + (window.kernel[axis] - 1) * window.dilations[axis];
    window.pads[axis] > 0 || last_tap >= window.input[axis + 1] + window.pads[axis]
}

/// Every tap along an axis by itself.
fn tree(window: &Window, axis: usize, shape: &mut [usize], rounds: &mut Vec<Round>) {
    let tap = |tap| take(&mut shape.to_vec(), axis, tap_indices(window, axis, tap));
    let taps = (0..window.kernel[axis]).map(tap).collect();
    shape[axis + 1] = window.output[axis];
    rounds.push(Round::Tree(taps));
}

/// Every tap of a window by itself, row by row.
fn taps(window: &Window) -> Vec<LinearMap> {
    let tap = |row: usize, column: usize| {
        let channels = (0..window.input[0] as u32).collect();
        let indices = vec![channels, tap_indices(window, 0, row), tap_indices(window, 1, column)];
        LinearMap::of(Primitive::Select { input: Shape(window.input.to_vec()), indices }, None)
    };
    (0..window.kernel[0]).flat_map(|row| (0..window.kernel[1]).map(move |column| tap(row, column))).collect()
}

/// The inputs of a tap for all results along an axis; a tap in the padding repeats one that is not.
fn tap_indices(window: &Window, axis: usize, tap: usize) -> Vec<u32> {
    let index = |out: usize| {
        let real = (0..window.kernel[axis]).find_map(|other| window.input_index(axis, out, other));
        window.input_index(axis, out, tap).or(real).unwrap_or(0) as u32
    };
    (0..window.output[axis]).map(index).collect()
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
    use paf_ir::tensor::{BatchAxis, Graph, Op, Output, evaluate};

    fn exact(window: &Window, x: &[f64]) -> Vec<f64> {
        let mut graph = Graph::default();
        let input = graph.input("x", Shape(window.input.to_vec()), BatchAxis::Absent);
        let node = graph.add("pool", Op::MaxPool(window.clone()), &[input]).unwrap();
        graph.outputs = vec![Output { name: "y".into(), node }];
        evaluate(&graph, &[x.to_vec()]).unwrap().remove(0)
    }

    fn run(rounds: &[Round], x: &[f64]) -> Vec<f64> {
        let max = |a: Vec<f64>, b: &Vec<f64>| a.iter().zip(b).map(|(a, b)| a.max(*b)).collect::<Vec<_>>();
        let mut states = vec![x.to_vec()];
        for round in rounds {
            let x = &states[states.len() - 1];
            states.push(match round {
                Round::Select(map) => map.apply(x),
                Round::Max(a, b) => max(a.apply(x), &b.apply(x)),
                Round::MaxWithEarlier { first, rest, earlier } => max(first.apply(x), &rest.apply(&states[*earlier])),
                Round::MaxWithZero { first, rest, earlier } => {
                    let rest = rest.apply(&states[*earlier]);
                    max(max(first.apply(x), &rest), &vec![0.0; rest.len()])
                }
                Round::Tree(taps) => taps[1..].iter().fold(taps[0].apply(x), |sum, tap| max(sum, &tap.apply(x))),
                Round::TreeWithZero(taps) => {
                    taps.iter().fold(vec![0.0; taps[0].outputs], |sum, tap| max(sum, &tap.apply(x)))
                }
            });
        }
        states.remove(rounds.len())
    }

    fn is_tree(round: &Round) -> bool {
        matches!(round, Round::Tree(_) | Round::TreeWithZero(_))
    }

    fn comparisons_in(rounds: &[Round]) -> usize {
        rounds.iter().filter(|round| !matches!(round, Round::Select(_)) && !is_tree(round)).count()
    }

    /// The rounds give the pool, and with zero the pool and zero, in as many comparisons as were counted.
    fn check(window: &Window, reduction: Reduction, x: &[f64]) {
        let expected = exact(window, x);
        let found = rounds(window, reduction);
        assert_eq!(run(&found, x), expected, "{window:?}, {reduction:?}");
        if !found.iter().any(is_tree) {
            assert_eq!(comparisons_in(&found), reduction.comparisons(window) as usize, "{window:?}");
        }
        if !has_room_for_zero(window, reduction) {
            return;
        }
        let x: Vec<f64> = x.iter().map(|x| x + 20.0).collect();
        let expected: Vec<f64> = expected.iter().map(|y| (y + 20.0).max(0.0)).collect();
        let with_zero = rounds_with_zero(window, reduction);
        assert_eq!(run(&with_zero, &x), expected, "{window:?} and zero, {reduction:?}");
        if !with_zero.iter().any(is_tree) {
            assert_eq!(comparisons_in(&with_zero), reduction.comparisons(window) as usize, "{window:?} and zero");
        }
    }

    #[test]
    fn rounds_equal_the_pool_for_negative_values_too() {
        for kernel in 1..=6usize {
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
                check(&window, Reduction::Separable, &x);
                check(&window, Reduction::Tree, &x);
            }
        }
    }
}
