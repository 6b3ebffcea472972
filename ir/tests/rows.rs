//! Rows that are computed from weights against the matrix, and operators with such rows against it: to the last bit.

mod common;

use common::constant;
use paf_ir::lanes::side_by_side;
use paf_ir::linear::{Conv, MapRows, Operator, Window, ZERO};
use paf_ir::random::SplitMix64;
use paf_ir::sparse::{Matrix as _, Sparse, product_fits};
use paf_ir::{LinearMap, Primitive, Shape};

const CHANNELS: usize = 4;
const SIDE: usize = 6;
const SIZE: usize = CHANNELS * SIDE * SIDE;

/// Numbers between −1 and 1, every seventh one zero.
fn numbers(seed: u64, count: usize) -> Vec<f64> {
    let mut random = SplitMix64::new(seed);
    (0..count).map(|index| if index % 7 == 3 { 0.0 } else { 2.0 * random.uniform() - 1.0 }).collect()
}

fn window(kernel: usize, stride: usize) -> Window {
    let mut window = Window {
        input: [CHANNELS, SIDE, SIDE],
        kernel: [kernel, kernel],
        strides: [stride, stride],
        pads: [1, 0, 1, 1],
        dilations: [1, 1],
        output: [0, 0],
        count_include_pad: false,
    };
    window.output = window.floor_output();
    window
}

fn conv(groups: usize) -> Primitive {
    let shape = [CHANNELS, CHANNELS / groups, 3, 3];
    let weight = constant(&shape, numbers(1, shape.iter().product()));
    Primitive::Conv(Conv { weight, window: window(3, 1), groups })
}

fn diagonal(seed: u64, size: usize, count: usize) -> Primitive {
    Primitive::Diagonal { values: constant(&[count], numbers(seed, count)), repeat: size / count, size }
}

/// Elements of a tensor of three axes in another order, some twice, some as zeros.
fn select(input: [usize; 3]) -> Primitive {
    let axis = |size: usize, first: u32| [first, 0, ZERO, 0].into_iter().take(size).collect();
    Primitive::Select { input: Shape(input.to_vec()), indices: input.map(|size| axis(size, size as u32 - 1)).to_vec() }
}

fn turned(input: [usize; 3]) -> Primitive {
    Primitive::Permute { input: Shape(input.to_vec()), permutation: vec![2, 0, 1] }
}

fn map(factors: Vec<Primitive>, scale: f64) -> LinearMap {
    let [first, .., last] = &factors[..] else { return LinearMap { scale, ..LinearMap::of(factors[0].clone(), None) } };
    let (inputs, outputs) = (first.input_size(), last.output_size());
    LinearMap { factors, scale, bias: None, inputs, outputs }
}

fn collected(rows: &MapRows<'_>, columns: usize) -> Sparse {
    Sparse::from_rows(rows.rows(), columns, |row, entries| {
        rows.each_row_of(row..row + 1, &mut |_, columns, values| {
            entries.extend(columns.iter().copied().zip(values.iter().copied()));
        });
    })
}

fn maps() -> Vec<LinearMap> {
    let output = [CHANNELS, window(3, 1).output[0], window(3, 1).output[1]];
    let elements: usize = output.iter().product();
    let dense = Primitive::Dense { weight: constant(&[3, elements], numbers(5, 3 * elements)), left: 1, right: 1 };
    let columns =
        Primitive::Dense { weight: constant(&[5, CHANNELS], numbers(6, 5 * CHANNELS)), left: 1, right: SIDE * SIDE };
    let channels = |seed: u64, size: usize| diagonal(seed, size, CHANNELS);
    vec![
        map(vec![conv(1)], 1.0),
        map(vec![conv(2)], 0.3),
        map(vec![columns.clone()], 1.0),
        map(vec![Primitive::AveragePool(window(2, 2))], 1.0),
        map(vec![channels(2, SIZE), diagonal(3, SIZE, SIZE), conv(1), channels(4, elements), turned(output)], -1.7),
        map(vec![turned([CHANNELS, SIDE, SIDE]), channels(2, SIZE), conv(1), diagonal(3, elements, elements)], 1.0),
        map(vec![conv(1), select(output), diagonal(3, output.iter().map(|size| size.min(&4)).product(), 4)], 0.1),
        map(vec![conv(1), turned(output), turned([output[2], output[0], output[1]])], 0.1),
        map(vec![conv(2), select(output)], 0.7),
        map(vec![select([CHANNELS, SIDE, SIDE]), diagonal(3, 4 * 4 * 4, 16)], 0.5),
        map(vec![channels(2, SIZE)], 1.0),
        map(vec![conv(1), dense], 2.0),
        LinearMap { scale: 0.25, ..LinearMap::identity(9) },
    ]
}

#[test]
fn computed_rows_are_those_of_the_matrix() {
    for map in maps() {
        let (rows, matrix) = (map.rows(), map.matrix());
        assert_eq!(collected(&rows, map.inputs), matrix, "{map:?}");
        assert_eq!(rows.entry_count(), matrix.entry_count());
        let x = numbers(9, map.inputs);
        assert_eq!(rows.apply(&x), matrix.apply(&x));
        let lanes = Operator::new(&map).apply(&side_by_side::<8>(&[&x]));
        assert_eq!(lanes.iter().map(|lane| lane[0]).collect::<Vec<_>>(), matrix.apply(&x), "{map:?}");
    }
    let computed = maps().iter().filter(|map| map.has_computed_rows()).count();
    assert_eq!(computed, maps().len() - 1, "one map mixes elements twice");
}

#[test]
fn entries_of_products_are_counted() {
    let (first, second) = (map(vec![conv(2)], 1.0), map(vec![conv(1)], 1.0));
    let second = LinearMap {
        factors: vec![diagonal(8, first.outputs, 4)],
        inputs: first.outputs,
        outputs: first.outputs,
        ..second
    };
    let product = second.matrix().multiply(&first.matrix()).entry_count();
    assert!(product_fits(&second.rows(), &first.rows(), product));
    assert!(!product_fits(&second.rows(), &first.rows(), product - 1));
}
