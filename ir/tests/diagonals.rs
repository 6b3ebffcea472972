//! A plan on slots computes what its map computes on elements.

mod common;

use paf_ir::diagonals::{PackedMap, diagonals, plaintext_count};
use paf_ir::layout::Gaps;
use paf_ir::sparse::Matrix as _;
use paf_ir::{Layout, slots};
use proptest::prelude::*;

const SLOTS: usize = 32;

/// The slots of an input; those without an element hold `leftover`, where the layout allows it.
fn vectors(layout: &Layout, x: &[f64], leftover: f64) -> Vec<Vec<f64>> {
    let mut vectors = layout.pack(x);
    if layout.gaps == Gaps::Leftover {
        for slot in (0..layout.period * layout.ciphertexts).filter(|slot| !layout.table().contains(&(*slot as u32))) {
            vectors[slot / layout.period][slot % layout.period] = leftover;
        }
    }
    slots::repeat(&vectors, SLOTS).unwrap()
}

/// Elements read from the `copy`-th repetition of a period.
fn unpack(layout: &Layout, vectors: &[Vec<f64>], copy: usize) -> Vec<f64> {
    let shifted: Vec<Vec<f64>> = vectors.iter().map(|vector| vector[copy * layout.period..].to_vec()).collect();
    layout.unpack(&shifted)
}

fn check(packed: &PackedMap, x: &[f64]) {
    packed.check(SLOTS).unwrap();
    packed.check_complete().unwrap();
    let expected = packed.map.apply(x);
    let result = packed.apply(&vectors(&packed.input, x, 77.0), SLOTS);
    assert!(result.len() == packed.output.ciphertexts && result.iter().all(|vector| vector.len() == SLOTS));
    for copy in 0..SLOTS / packed.output.period {
        let got = unpack(&packed.output, &result, copy);
        assert!(got.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-12), "{got:?} instead of {expected:?}");
    }
    check_slot_matrix(packed, x, &expected);
}

/// The same as one matrix on a period of slots.
fn check_slot_matrix(packed: &PackedMap, x: &[f64], expected: &[f64]) {
    let inputs = vectors(&packed.input, x, 77.0);
    let period: Vec<f64> = inputs.iter().flat_map(|vector| vector[..packed.input.period].to_vec()).collect();
    let product = packed.slot_matrix().apply(&period);
    assert_eq!(product.len(), packed.output.ciphertexts * packed.output.period);
    for (element, expected) in expected.iter().enumerate() {
        let bias = packed.map.bias.as_ref().map_or(0.0, |bias| bias.at(element));
        let got = product[packed.output.slot(element)] + bias;
        assert!((got - expected).abs() < 1e-12, "element {element}: {got} instead of {expected}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_plan_computes_its_map(packed in common::packed(SLOTS), seed in common::numbers(96)) {
        check(&packed, &seed[..packed.map.inputs]);
    }

    #[test]
    fn a_plan_that_leaves_out_a_diagonal_is_not_complete(mut packed in common::packed(SLOTS), pick in any::<usize>()) {
        prop_assume!(!packed.plan.giants.is_empty());
        let giant = pick % packed.plan.giants.len();
        let babies = &mut packed.plan.giants[giant].babies;
        babies.remove(pick / 7 % babies.len());
        packed.check(SLOTS).unwrap();
        let error = packed.check_complete().unwrap_err().to_string();
        prop_assert!(error.contains("leaves out diagonal"), "{}", error);
    }

    #[test]
    fn plaintexts_are_as_many_as_counted(packed in common::packed(SLOTS)) {
        let matrix = packed.map.matrix();
        let counted = plaintext_count(&matrix, &packed.input, &packed.output, packed.plan.modulus);
        let plaintexts: usize = packed.plaintexts().iter().flatten().map(|block| block.len()).sum();
        prop_assert_eq!(plaintexts, counted);
        prop_assert_eq!(packed.plaintext_count(), counted);
        let expanded = diagonals(&matrix, &packed.input, &packed.output, &packed.plan);
        prop_assert_eq!(expanded.length, packed.input.period.max(packed.output.period));
        prop_assert_eq!(expanded.blocks.iter().flatten().map(|block| block.len()).sum::<usize>(), counted);
    }

    #[test]
    fn keys_are_those_of_the_steps(packed in common::packed(SLOTS)) {
        let plan = &packed.plan;
        let (babies, giants) = (plan.babies(), plan.giant_rotations());
        let all = plan.rotations();
        prop_assert!(!all.contains(&0) && babies.is_subset(&all) && giants.is_subset(&all));
        let (inputs, outputs) = (packed.input.ciphertexts, packed.output.ciphertexts);
        let executed = babies.len() * inputs + (plan.giant_count() + plan.folds.len()) * outputs;
        prop_assert_eq!(plan.rotation_count(inputs, outputs), executed);
    }
}
