//! Coefficients of every variant against the polynomial's definition: its values at roots of unity are the slots.

use paf_kernels::{Embedding, Kernels, Variant};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const SCALE: f64 = 1e12;

fn kernels() -> impl Iterator<Item = Kernels> {
    Variant::available().filter_map(Kernels::new)
}

/// The first half of the coefficients gives the second: the polynomial is the same at X and X^−1.
fn all_coefficients(half: &[i64]) -> Vec<f64> {
    let n = half.len();
    let mirrored = (0..n).map(|j| if j == 0 { 0 } else { -half[n - j] });
    half.iter().copied().chain(mirrored).map(|coefficient| coefficient as f64 / SCALE).collect()
}

/// The polynomial at the 4n-th root of unity to the power of 5^k.
fn value_at(coefficients: &[f64], k: u32) -> (f64, f64) {
    let order = 2 * coefficients.len() as u64;
    let power = (0..k).fold(1, |power, _| power * 5 % order);
    coefficients.iter().enumerate().fold((0.0, 0.0), |(re, im), (j, coefficient)| {
        let angle = std::f64::consts::TAU * (power * j as u64 % order) as f64 / order as f64;
        (re + coefficient * angle.cos(), im + coefficient * angle.sin())
    })
}

#[test]
fn slots_are_the_values_at_roots_of_unity() {
    let vectors = (2..8u32).prop_flat_map(|log| {
        let values = prop::collection::vec(-10.0..10.0f64, 1 << log);
        (Just(1usize << log), values.clone(), values)
    });
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(60) });
    let property = |(slots, first, second): (usize, Vec<f64>, Vec<f64>)| {
        let embedding = Embedding::new(slots);
        for kernels in kernels() {
            let [mut a, mut b] = [vec![0; slots], vec![0; slots]];
            let shift = kernels.real_coefficients(&embedding, [&first, &second], SCALE, [&mut a, &mut b]);
            prop_assert_eq!(shift, Some(0));
            for (coefficients, values) in [(all_coefficients(&a), &first), (all_coefficients(&b), &second)] {
                for (k, value) in values.iter().enumerate() {
                    let (re, im) = value_at(&coefficients, k as u32);
                    prop_assert!((re - value).abs() < 1e-9 && im.abs() < 1e-9, "{re} + {im}i instead of {value}");
                }
            }
        }
        Ok(())
    };
    runner.run(&vectors, property).unwrap();
}

fn coefficients(kernels: Kernels, vectors: [&[f64]; 2], scale: f64) -> (Option<u32>, [Vec<i64>; 2]) {
    let embedding = Embedding::new(1 << 10);
    let [mut a, mut b] = [vec![0; 1 << 10], vec![0; 1 << 10]];
    let shift = kernels.real_coefficients(&embedding, vectors, scale, [&mut a, &mut b]);
    (shift, [a, b])
}

#[test]
fn all_variants_give_the_same_numbers_and_missing_values_are_zero() {
    let values: Vec<f64> = (0..700).map(|k| ((k * k) % 1013) as f64 / 501.0 - 1.0).collect();
    let padded: Vec<f64> = values.iter().copied().chain(std::iter::repeat_n(0.0, 324)).collect();
    let portable = Kernels::new(Variant::Portable).expect("every processor has it");
    let expected = coefficients(portable, [&padded, &padded[300..]], 2f64.powi(50));
    for kernels in kernels() {
        assert_eq!(coefficients(kernels, [&values, &values[300..]], 2f64.powi(50)), expected);
    }
}

#[test]
fn large_coefficients_are_shifted_and_infinite_ones_refused() {
    let kernels = Kernels::best();
    let (shift, [first, second]) = coefficients(kernels, [&[3.0; 1 << 10], &[0.0]], 2f64.powi(70));
    assert_eq!((shift, first[0], second[0]), (Some(10), 3 << 60, 0));
    assert_eq!(coefficients(kernels, [&[1e300; 1 << 10], &[0.0]], 1e300).0, None);
    assert_eq!(coefficients(kernels, [&[f64::NAN], &[0.0]], 1.0).0, None);
}
