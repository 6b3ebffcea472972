//! Layouts, maps and plans that the property tests share.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part")]

use std::collections::BTreeMap;
use std::sync::Arc;

use paf_ir::diagonals::{Giant, PackedMap, Plan, diagonal_indices, folds, giant_steps};
use paf_ir::layout::Gaps;
use paf_ir::tensor::Tensor;
use paf_ir::{Bias, Constant, Layout, LinearMap, Primitive, Shape};
use proptest::prelude::*;

/// A tensor of weights.
pub fn constant(shape: &[usize], data: Vec<f64>) -> Constant {
    Arc::new(Tensor::new(Shape(shape.to_vec()), data))
}

/// Numbers that are exact in sums and products of a few: multiples of 1/8 in [−2, 2], about one in four zero.
pub fn number() -> impl Strategy<Value = f64> {
    prop_oneof![1 => Just(0.0), 3 => (-16i32..=16).prop_map(|eighths| f64::from(eighths) / 8.0)]
}

/// `count` of [`number`].
pub fn numbers(count: usize) -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(number(), count)
}

/// A name as an exporter or an attacker might choose it.
pub fn name() -> impl Strategy<Value = String> {
    prop_oneof!["/[a-z]{1,6}/[A-Z][a-z]{0,4}", "[\\PC\\n\\t\"\\\\#%\u{7f}]{0,8}"]
}

/// A layout of up to `most` elements on shuffled slots: in one vector whose period divides `slots`, or in several.
pub fn layout(slots: usize, most: usize) -> impl Strategy<Value = Layout> {
    let period = (0..=slots.trailing_zeros(), prop_oneof![3 => Just(1usize), 1 => 2usize..4])
        .prop_map(move |(bits, ciphertexts)| if ciphertexts == 1 { (1 << bits, 1) } else { (slots, ciphertexts) });
    period.prop_flat_map(move |(period, ciphertexts)| {
        let places: Vec<u32> = (0..(period * ciphertexts) as u32).collect();
        (Just((period, ciphertexts)), Just(places).prop_shuffle(), 1..=most.min(period * ciphertexts), any::<bool>())
            .prop_map(|((period, ciphertexts), mut places, size, leftover)| {
                places.truncate(size);
                let gaps = if leftover { Gaps::Leftover } else { Gaps::Zero };
                Layout::new(places, period, ciphertexts, gaps).unwrap()
            })
    })
}

/// A dense map with a bias between two layouts, many of its weights zero.
pub fn dense(input: &Layout, output: &Layout) -> impl Strategy<Value = LinearMap> + use<> {
    let (inputs, outputs) = (input.size(), output.size());
    let bias = prop::option::of((1..=outputs).prop_flat_map(numbers));
    (numbers(inputs * outputs), number(), bias, 1usize..3).prop_map(move |(weights, scale, bias, repeat)| {
        let bias = bias.map(|values| Bias { values: constant(&[values.len()], values), repeat });
        let weight = constant(&[outputs, inputs], weights);
        LinearMap { scale, ..LinearMap::of(Primitive::Dense { weight, left: 1, right: 1 }, bias) }
    })
}

/// A plan of any modulus that may be, with any representatives, cut anyhow into giants and babies.
pub fn plan(map: &LinearMap, input: &Layout, output: &Layout, slots: usize) -> impl Strategy<Value = Plan> + use<> {
    let period = input.period;
    let fewest = period.min(output.period);
    let (matrix, input, output) = (map.matrix(), input.clone(), output.clone());
    (fewest.trailing_zeros()..=period.trailing_zeros()).prop_flat_map(move |bits| {
        let modulus = 1usize << bits;
        let diagonals = diagonal_indices(&matrix, &input, &output, modulus);
        let giants = prop::collection::vec(1 - slots as i64..slots as i64, 1..4);
        let choices = prop::collection::vec((any::<usize>(), any::<usize>(), any::<bool>()), diagonals.len());
        let strides = prop::sample::select(vec![0, 1, 3, slots as i64 / 4]);
        (giants, choices, strides).prop_map(move |(rotations, choices, outer_stride)| {
            let mut giants: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
            for (diagonal, (turns, giant, negative)) in diagonals.iter().zip(choices) {
                let representative = (diagonal + turns % (period / modulus) * modulus) as i64;
                let rotation = rotations[giant % rotations.len()];
                let baby = (representative - rotation).rem_euclid(period as i64);
                let baby = if negative && baby > 0 { baby - period as i64 } else { baby };
                giants.entry(rotation).or_default().push(baby);
            }
            let giants: Vec<Giant> = giants.into_iter().map(|(rotation, babies)| Giant { rotation, babies }).collect();
            // A step beyond the slots would be refused.
            let is_short = |steps: i64| steps.unsigned_abs() < slots as u64;
            let fits = giants.iter().all(|giant| is_short(giant_steps(giant.rotation, outer_stride).outer));
            Plan { modulus, giants, outer_stride: if fits { outer_stride } else { 0 }, folds: folds(period, modulus) }
        })
    })
}

/// A packed map between random layouts of that many slots.
pub fn packed(slots: usize) -> impl Strategy<Value = PackedMap> {
    let layouts = (layout(slots, 12), layout(slots, 12));
    let maps = layouts.prop_flat_map(|(input, output)| (dense(&input, &output), Just((input, output))));
    let plans = maps
        .prop_flat_map(move |(map, (input, output))| (plan(&map, &input, &output, slots), Just((map, input, output))));
    (name(), plans).prop_map(|(name, (plan, (map, input, output)))| PackedMap {
        name,
        map: Arc::new(map),
        input,
        output,
        plan,
    })
}
