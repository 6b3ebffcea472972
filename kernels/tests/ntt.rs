//! The transforms against evaluation at powers of the root of unity, and the variants against each other.

use paf_kernels::{Kernels, Modulus, NttTables, Roots, Variant, ntt_prime};
use proptest::prelude::*;
use proptest::test_runner::Config;

fn kernels() -> impl Iterator<Item = Kernels> {
    Variant::available().filter_map(Kernels::new)
}

fn multiply(x: u64, y: u64, q: u64) -> u64 {
    (u128::from(x) * u128::from(y) % u128::from(q)) as u64
}

fn evaluate(coefficients: &[u64], point: u64, q: u64) -> u64 {
    let horner = |sum, &coefficient| (u128::from(multiply(sum, point, q)) + u128::from(coefficient)) % u128::from(q);
    coefficients.iter().rev().fold(0, |sum, coefficient| horner(sum, coefficient) as u64)
}

/// The values at the odd powers of ψ: the power 2·rev(i) + 1 at index i.
fn evaluations(coefficients: &[u64], psi: u64, q: u64) -> Vec<u64> {
    let n = coefficients.len();
    let square = multiply(psi, psi, q);
    let mut point = psi;
    let mut values = vec![0; n];
    for i in 0..n {
        values[i.reverse_bits() >> (usize::BITS - n.trailing_zeros())] = evaluate(coefficients, point, q);
        point = multiply(point, square, q);
    }
    values
}

fn forward(kernels: Kernels, values: &[u64], modulus: Modulus, tables: &NttTables) -> Vec<u64> {
    let mut values = values.to_vec();
    kernels.ntt_forward(&mut values, modulus, tables.forward());
    values
}

fn inverse(kernels: Kernels, values: &[u64], modulus: Modulus, tables: &NttTables) -> Vec<u64> {
    let mut values = values.to_vec();
    kernels.ntt_inverse(&mut values, modulus, tables.inverse(), tables.n_inverse(), tables.n_inverse_shoup());
    values
}

/// Residues from a seed: anything, then the edges of the range among anything, then the edges only.
fn residues(n: usize, q: u64, seed: u64) -> Vec<u64> {
    let mut state = seed | 1;
    let edges = [0, 1, q / 2, q - 2, q - 1, q - 1, 0, q - 1];
    let mut residue = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let [edge, random] = [edges[(state >> 61) as usize], (state ^ (state >> 29)) % q];
        match seed % 3 {
            0 => random,
            1 if (state >> 58) & 1 == 0 => random,
            _ => edge,
        }
    };
    (0..n).map(|_| residue()).collect()
}

/// All zero, all q-1, single ones and single q-1s.
fn edge_cases(n: usize, q: u64) -> Vec<Vec<u64>> {
    let single = |at: usize, value| (0..n).map(|i| if i == at { value } else { 0 }).collect::<Vec<u64>>();
    let places = [0, 1, n / 2 - 1, n / 2, n - 1];
    let singles = places.into_iter().flat_map(|at| [single(at, 1), single(at, q - 1)]);
    let alternating = [0, 1].map(|odd| (0..n).map(|i| if i % 2 == odd { q - 1 } else { 0 }).collect());
    [vec![0; n], vec![q - 1; n]].into_iter().chain(alternating).chain(singles).collect()
}

fn check_against_evaluation(values: &[u64], modulus: Modulus, tables: &NttTables) -> Result<(), TestCaseError> {
    let expected = evaluations(values, tables.psi(), modulus.value());
    for kernels in kernels() {
        let variant = kernels.variant();
        prop_assert_eq!(&forward(kernels, values, modulus, tables), &expected, "forward {}", variant);
        prop_assert_eq!(&inverse(kernels, &expected, modulus, tables), values, "inverse {}", variant);
    }
    Ok(())
}

fn check_variants(values: &[u64], modulus: Modulus, tables: &NttTables) -> Result<(), TestCaseError> {
    let portable = Kernels::new(Variant::Portable).expect("every processor has the portable variant");
    let expected = [forward(portable, values, modulus, tables), inverse(portable, values, modulus, tables)];
    prop_assert_eq!(&inverse(portable, &expected[0], modulus, tables), values);
    prop_assert_eq!(&forward(portable, &expected[1], modulus, tables), values);
    for kernels in kernels() {
        let variant = kernels.variant();
        prop_assert_eq!(&forward(kernels, values, modulus, tables), &expected[0], "forward {}", variant);
        prop_assert_eq!(&inverse(kernels, values, modulus, tables), &expected[1], "inverse {}", variant);
    }
    Ok(())
}

proptest! {
    #![proptest_config(Config::with_cases(200))]

    #[test]
    fn a_transform_evaluates_at_the_odd_powers(log_n in 3u32..=8, bits in 30u32..=60, skip in 0usize..3, seed: u64) {
        let n = 1 << log_n;
        let modulus = Modulus::new(ntt_prime(bits, n, skip));
        let tables = NttTables::new(n, modulus);
        check_against_evaluation(&residues(n, modulus.value(), seed), modulus, &tables)?;
    }
}

proptest! {
    #![proptest_config(Config::with_cases(40))]

    #[test]
    fn variants_agree_at_every_ring_dimension(log_n in 9u32..=17, bits in 30u32..=60, skip in 0usize..3, seed: u64) {
        let n = 1 << log_n;
        let modulus = Modulus::new(ntt_prime(bits, n, skip));
        let tables = NttTables::new(n, modulus);
        check_variants(&residues(n, modulus.value(), seed), modulus, &tables)?;
    }
}

/// Each arithmetic at the largest primes that it takes and just above, where its lazy values are largest.
#[test]
fn variants_agree_at_the_largest_primes_of_each_arithmetic() {
    for bits in [30, 48, 49, 50, 51, 52, 59, 60] {
        for log_n in 3..=16 {
            let n = 1 << log_n;
            let modulus = Modulus::new(ntt_prime(bits, n, 0));
            let tables = NttTables::new(n, modulus);
            for seed in 0..3 {
                let checked = check_variants(&residues(n, modulus.value(), seed), modulus, &tables);
                checked.unwrap_or_else(|error| panic!("{bits} bits, N = {n}: {error}"));
            }
        }
    }
}

/// The value at ψ of the coefficients -1 and `a_t = product·ψ^-t`, t a power of two: every level adds `product` to it, so that
/// it grows as far as the reductions let it.
#[test]
fn a_value_to_which_every_level_adds_is_exact() {
    let n = 1 << 17;
    for bits in [49, 50, 51, 60] {
        let q = ntt_prime(bits, n, 0);
        let modulus = Modulus::new(q);
        let tables = NttTables::new(n, modulus);
        for product in [q - 1, q / 2, q / 2 + 1] {
            let mut values = vec![0; n];
            values[0] = q - 1;
            for (level, t) in (0..17).map(|level| (level, n >> (level + 1))) {
                let inverse_root = tables.inverse().roots[1 << level];
                values[t] = multiply(product, inverse_root, q);
            }
            let expected = (multiply(product, 17, q) + q - 1) % q;
            for kernels in kernels() {
                let first = forward(kernels, &values, modulus, &tables)[0];
                assert_eq!(first, expected, "{bits} bits, product {product}, {}", kernels.variant());
            }
        }
    }
}

/// Primes just above a power of two, as OpenFHE takes them from both sides of a scaling factor.
#[test]
fn variants_agree_at_the_least_primes_of_each_arithmetic() {
    let n = 1 << 12;
    for power in [49, 50, 51] {
        let multiples = (0..).map(|multiple| (1u64 << power) + multiple * 2 * n + 1);
        let candidates = multiples.take(1000).filter(|&q| is_fermat_prime(q));
        let primes: Vec<u64> = candidates.take(2).collect();
        assert_eq!(primes.len(), 2);
        for q in primes {
            let modulus = Modulus::new(q);
            let tables = NttTables::new(n as usize, modulus);
            for seed in 0..6 {
                let values = residues(n as usize, q, seed);
                check_variants(&values, modulus, &tables).unwrap_or_else(|error| panic!("q = {q}: {error}"));
            }
        }
    }
}

#[test]
fn edge_values_are_transformed_exactly() {
    for bits in [30, 49, 50, 51, 60] {
        for n in [8, 16, 32, 64, 128, 256] {
            let modulus = Modulus::new(ntt_prime(bits, n, 0));
            let tables = NttTables::new(n, modulus);
            for values in edge_cases(n, modulus.value()) {
                let checked = check_against_evaluation(&values, modulus, &tables);
                checked.unwrap_or_else(|error| panic!("{bits} bits, N = {n}: {error}"));
            }
        }
    }
}

#[test]
fn edge_values_agree_at_large_ring_dimensions() {
    for bits in [50, 51, 60] {
        for n in [1 << 15, 1 << 17] {
            let modulus = Modulus::new(ntt_prime(bits, n, 0));
            let tables = NttTables::new(n, modulus);
            for values in edge_cases(n, modulus.value()) {
                let checked = check_variants(&values, modulus, &tables);
                checked.unwrap_or_else(|error| panic!("{bits} bits, N = {n}: {error}"));
            }
        }
    }
}

/// A product of values is the product of the polynomials with X^N = -1.
#[test]
fn products_of_values_are_negacyclic_products() {
    let n = 64;
    let q = ntt_prime(50, n, 0);
    let modulus = Modulus::new(q);
    let tables = NttTables::new(n, modulus);
    let [a, b] = [3, 6].map(|seed| residues(n, q, seed));
    let mut expected = vec![0; n];
    for i in 0..n {
        for j in 0..n {
            let term = multiply(a[i], b[j], q);
            let signed = if i + j < n { term } else { (q - term) % q };
            expected[(i + j) % n] = (expected[(i + j) % n] + signed) % q;
        }
    }
    for kernels in kernels() {
        let [x, y] = [&a, &b].map(|values| forward(kernels, values, modulus, &tables));
        let product: Vec<u64> = x.iter().zip(&y).map(|(&x, &y)| multiply(x, y, q)).collect();
        assert_eq!(inverse(kernels, &product, modulus, &tables), expected, "{}", kernels.variant());
    }
}

#[test]
fn tables_hold_bit_reversed_powers_with_their_shoup_constants() {
    let n = 16;
    let q = ntt_prime(60, n, 1);
    let tables = NttTables::new(n, Modulus::new(q));
    let inverse_psi = (0..2 * n - 1).fold(1, |power, _| multiply(power, tables.psi(), q));
    for (roots, base) in [(tables.forward(), tables.psi()), (tables.inverse(), inverse_psi)] {
        let Roots { roots, shoup } = roots;
        let mut power = 1;
        for i in 0..n {
            let at = i.reverse_bits() >> (usize::BITS - 4);
            assert_eq!(roots[at], power);
            assert_eq!(u128::from(shoup[at]), (u128::from(power) << 64) / u128::from(q));
            power = multiply(power, base, q);
        }
        assert_eq!(power, q - 1);
    }
    assert_eq!(multiply(tables.n_inverse(), n as u64, q), 1);
}

#[test]
fn primes_are_the_largest_of_their_kind() {
    assert_eq!(ntt_prime(30, 1 << 16, 0), 1_073_479_681);
    assert_eq!(ntt_prime(20, 8, 0), 1_048_433);
    assert!(is_prime_by_division(ntt_prime(30, 1 << 16, 1)));
    for skip in 0..20 {
        assert!(is_prime_by_division(ntt_prime(24, 16, skip)));
    }
    let between = (ntt_prime(24, 16, 7) + 32..ntt_prime(24, 16, 6)).step_by(32);
    assert!(between.into_iter().all(|q| !is_prime_by_division(q)));
}

fn is_prime_by_division(number: u64) -> bool {
    (2..).take_while(|d| d * d <= number).all(|d| !number.is_multiple_of(d))
}

/// Fermat's test to the bases 2 and 3, enough to find candidates: `NttTables::new` refuses a composite one.
fn is_fermat_prime(q: u64) -> bool {
    [2, 3].into_iter().all(|base| {
        let bits = (0..64).rev().map(|bit| (q - 1) >> bit & 1);
        let step = |power: u64, bit| multiply(multiply(power, power, q), if bit == 1 { base } else { 1 }, q);
        bits.fold(1, step) == 1
    })
}
