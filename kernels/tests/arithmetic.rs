//! Element-wise kernels of every variant against the remainder operator on 128-bit integers.
//!
//! None of them needs a prime, so the moduli are any odd numbers, with those where a path or a range ends.

use paf_kernels::{Kernels, Modulus, Variant, ntt_prime};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const CASES: u32 = 400;

fn kernels() -> impl Iterator<Item = Kernels> {
    Variant::available().filter_map(Kernels::new)
}

fn check<S: Strategy>(strategy: S, property: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = Config { failure_persistence: None, ..Config::with_cases(CASES) };
    TestRunner::new(config).run(&strategy, property).unwrap();
}

/// Moduli of 30 to 60 bits, the largest and smallest of some widths, and the smallest of all.
fn moduli() -> impl Strategy<Value = u64> {
    let edges = [30, 32, 45, 50, 51, 52, 53, 59, 60].into_iter().flat_map(|bits| {
        [(1 << bits) - 1, (1 << (bits - 1)) + 1, ntt_prime(bits, 1 << 10, 0), ntt_prime(bits, 1 << 10, 1)]
    });
    let edges: Vec<u64> = edges.chain([3, 5, 65537]).collect();
    let random = (30..=60u32, any::<u64>()).prop_map(|(bits, word)| (1 << (bits - 1)) | (word >> (65 - bits)) | 1);
    prop_oneof![prop::sample::select(edges), random]
}

/// Residues of a modulus: anything, among them the edges, or only the largest.
fn residues(q: u64, length: usize) -> impl Strategy<Value = Vec<u64>> {
    let edge = prop::sample::select(vec![0, 1, q / 2, q / 2 + 1, q - 2, q - 1]);
    let any = prop_oneof![3 => 0..q, 2 => edge];
    prop_oneof![4 => prop::collection::vec(any, length), 1 => Just(vec![q - 1; length])]
}

fn lengths() -> impl Strategy<Value = usize> {
    prop_oneof![0..20usize, 20..150usize]
}

/// A modulus, a scalar and three limbs.
fn operands() -> impl Strategy<Value = (u64, u64, Vec<u64>, Vec<u64>, Vec<u64>)> {
    (moduli(), any::<u64>(), lengths()).prop_flat_map(|(q, scalar, n)| {
        let scalars = prop_oneof![Just(scalar), Just(scalar % q), Just(q - 1), Just(0), Just(u64::MAX)];
        (Just(q), scalars, residues(q, n), residues(q, n), residues(q, n))
    })
}

fn modulo(value: u128, q: u64) -> u64 {
    (value % u128::from(q)) as u64
}

fn product(left: u64, right: u64) -> u128 {
    u128::from(left) * u128::from(right)
}

fn elements(left: &[u64], right: &[u64], element: impl Fn(u64, u64) -> u64) -> Vec<u64> {
    left.iter().zip(right).map(|(&left, &right)| element(left, right)).collect()
}

/// The value that an operation leaves in a limb that starts as `values`.
fn changed(values: &[u64], operation: impl FnOnce(&mut [u64])) -> Vec<u64> {
    let mut values = values.to_vec();
    operation(&mut values);
    values
}

#[test]
fn sums_and_differences() {
    check(operands(), |(q, scalar, a, b, _)| {
        let modulus = Modulus::new(q);
        let sum = elements(&a, &b, |a, b| (a + b) % q);
        let difference = elements(&a, &b, |a, b| (a + q - b) % q);
        let negated: Vec<u64> = a.iter().map(|a| (q - a) % q).collect();
        let shifted: Vec<u64> = a.iter().map(|a| (a + scalar % q) % q).collect();
        for kernels in kernels() {
            prop_assert_eq!(&changed(&a, |a| kernels.add_assign(a, &b, modulus)), &sum);
            prop_assert_eq!(&changed(&a, |a| kernels.sub_assign(a, &b, modulus)), &difference);
            prop_assert_eq!(&changed(&a, |a| kernels.negate(a, modulus)), &negated);
            prop_assert_eq!(&changed(&a, |a| kernels.add_scalar_assign(a, scalar, modulus)), &shifted);
            prop_assert_eq!(&changed(&shifted, |a| kernels.sub_scalar_assign(a, scalar, modulus)), &a);
        }
        Ok(())
    });
}

#[test]
fn products() {
    check(operands(), |(q, _, a, b, c)| {
        let modulus = Modulus::new(q);
        let expected = elements(&a, &b, |a, b| modulo(product(a, b), q));
        let accumulated = elements(&expected, &c, |product, c| (product + c) % q);
        for kernels in kernels() {
            prop_assert_eq!(&changed(&a, |a| kernels.mul_assign(a, &b, modulus)), &expected);
            prop_assert_eq!(&changed(&c, |c| kernels.multiply_accumulate(c, &a, &b, modulus)), &accumulated);
        }
        Ok(())
    });
}

#[test]
fn products_with_a_scalar() {
    check(operands(), |(q, scalar, a, b, _)| {
        let modulus = Modulus::new(q);
        let scaled: Vec<u64> = a.iter().map(|&a| modulo(product(a, scalar), q)).collect();
        let added = elements(&scaled, &b, |scaled, b| (scaled + b) % q);
        let difference = elements(&a, &b, |a, b| modulo(product((a + q - b) % q, scalar), q));
        for kernels in kernels() {
            prop_assert_eq!(&changed(&a, |a| kernels.mul_scalar_assign(a, scalar, modulus)), &scaled);
            prop_assert_eq!(&changed(&a, |a| kernels.mul_scalar_add_assign(a, scalar, &b, modulus)), &added);
            prop_assert_eq!(&changed(&a, |a| kernels.sub_mul_scalar_assign(a, &b, scalar, modulus)), &difference);
        }
        Ok(())
    });
}

/// The fractional part of `value * 2^52 / q`, as a fraction of 2^52: the larger it is, the further Shoup's estimate of a
/// quotient with 52-bit words can fall short.
fn lost_fraction(value: u64, q: u64) -> u64 {
    (((u128::from(value) << 52) % u128::from(q)) << 52).div_euclid(u128::from(q)) as u64
}

/// Many products for moduli whose 52-bit quotients lose the most, so that lazy remainders come near their bounds.
#[test]
fn products_with_the_worst_quotients() {
    let bad = |q: &u64| lost_fraction(1, *q) >> 47 == 31 && lost_fraction((1 << 52) % q, *q) >> 47 == 31;
    // Just above 2^52 / k for an integer k, 2^52 / q is just below k.
    let moduli = [1u64, 2, 4, 5, 7, 100].map(|k| (((1 << 52) / k) | 1..).step_by(2).skip(1).find(bad));
    let mut state = 1u64;
    for q in moduli.into_iter().flatten() {
        let mut residues = || {
            let next = |_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state ^ (state >> 29)) % q
            };
            (0..1 << 16).map(next).collect::<Vec<u64>>()
        };
        let (a, b, c) = (residues(), residues(), vec![q - 1; 1 << 16]);
        let expected = elements(&a, &b, |a, b| modulo(product(a, b) + u128::from(q - 1), q));
        for kernels in kernels() {
            let accumulated = changed(&c, |c| kernels.multiply_accumulate(c, &a, &b, Modulus::new(q)));
            assert!(accumulated == expected, "{} differs modulo {q}", kernels.variant());
        }
    }
}

/// The residue modulo `to` of the representative of `value` modulo `from` that is nearest to zero.
fn switched(value: u64, from: u64, to: u64) -> u64 {
    let centred = if value > from / 2 { i128::from(value) - i128::from(from) } else { i128::from(value) };
    centred.rem_euclid(i128::from(to)) as u64
}

#[test]
fn switches_of_the_modulus() {
    let cases = (moduli(), moduli(), any::<u64>(), lengths())
        .prop_flat_map(|(from, to, scalar, n)| (Just((from, to, scalar)), residues(from, n)));
    check(cases, |((from, to, scalar), a)| {
        let expected: Vec<u64> = a.iter().map(|&a| switched(a, from, to)).collect();
        let scaled: Vec<u64> = expected.iter().map(|&value| modulo(product(value, scalar), to)).collect();
        let (from, to) = (Modulus::new(from), Modulus::new(to));
        let junk = vec![7; a.len()];
        for kernels in kernels() {
            let both = changed(&junk, |out| kernels.switch_modulus_mul_scalar(out, &a, scalar, from, to));
            prop_assert_eq!(&both, &scaled);
        }
        Ok(())
    });
}

/// A digit and the limbs of the two halves of a key.
type Term = [Vec<u64>; 3];

/// A modulus and terms, with two limbs to overwrite.
fn sums() -> impl Strategy<Value = (u64, Vec<Term>, Vec<u64>, Vec<u64>)> {
    let terms = prop_oneof![8 => 0..10usize, 2 => 10..40usize];
    (moduli(), terms, 0..90usize).prop_flat_map(|(q, terms, n)| {
        let term = prop::array::uniform3(residues(q, n));
        (Just(q), prop::collection::vec(term, terms), residues(q, n), residues(q, n))
    })
}

/// `start + sum of left * right`, reduced after each product.
fn summed<'a>(start: &[u64], products: impl Iterator<Item = (&'a [u64], &'a [u64])>, q: u64) -> Vec<u64> {
    products.fold(start.to_vec(), |sum, (left, right)| {
        let terms = elements(left, right, |left, right| modulo(product(left, right), q));
        elements(&sum, &terms, |sum, term| (sum + term) % q)
    })
}

fn check_sums(q: u64, terms: &[Term], first: &[u64], second: &[u64]) -> Result<(), TestCaseError> {
    let modulus = Modulus::new(q);
    let zero = vec![0; first.len()];
    let singles: Vec<(&[u64], &[u64])> = terms.iter().map(|[digit, b, _]| (&digit[..], &b[..])).collect();
    let others: Vec<(&[u64], &[u64])> = terms.iter().map(|[digit, _, a]| (&digit[..], &a[..])).collect();
    let pairs: Vec<(&[u64], &[u64], &[u64])> = terms.iter().map(|[digit, b, a]| (&digit[..], &b[..], &a[..])).collect();
    let expected = [&singles, &others].map(|terms| summed(&zero, terms.iter().copied(), q));
    for kernels in kernels() {
        prop_assert_eq!(&changed(first, |out| kernels.sum_of_products(out, &singles, modulus)), &expected[0]);
        let [mut sum, mut other] = [first.to_vec(), second.to_vec()];
        kernels.sum_of_products_pair(&mut sum, &mut other, &pairs, modulus);
        prop_assert_eq!([&sum, &other], [&expected[0], &expected[1]]);
    }
    Ok(())
}

#[test]
fn sums_of_products() {
    check(sums(), |(q, terms, first, second)| check_sums(q, &terms, &first, &second));
}

/// Digits whose words stand for several places: as if they were written out.
#[test]
fn sums_of_products_with_repeated_digits() {
    check((sums(), 0..6u32), |((q, terms, _, _), log_repeats)| {
        let repeated = |limb: &[u64]| limb.iter().flat_map(|&word| vec![word; 1 << log_repeats]).collect::<Vec<u64>>();
        let length = terms.first().map_or(3, |[digit, ..]| digit.len()) << log_repeats;
        let keys: Vec<[Vec<u64>; 2]> = terms.iter().map(|[_, b, a]| [repeated(a), repeated(b)]).collect();
        let pairs: Vec<(&[u64], &[u64], &[u64])> =
            terms.iter().zip(&keys).map(|([digit, ..], [b, a])| (&digit[..], &b[..], &a[..])).collect();
        let digits: Vec<Vec<u64>> = terms.iter().map(|[digit, ..]| repeated(digit)).collect();
        let expected = |half: usize| {
            summed(&vec![0; length], digits.iter().zip(&keys).map(|(digit, keys)| (&digit[..], &keys[half][..])), q)
        };
        for kernels in kernels() {
            let [mut first, mut second] = [vec![7; length], vec![7; length]];
            kernels.sum_of_repeated_products_pair(&mut first, &mut second, &pairs, log_repeats, Modulus::new(q));
            prop_assert_eq!([&first, &second], [&expected(0), &expected(1)]);
        }
        Ok(())
    });
}

#[test]
fn residues_of_signed_words() {
    let number = prop_oneof![4 => any::<i64>(), 1 => prop::sample::select(vec![0, 1, -1, i64::MAX, -i64::MAX])];
    let numbers = prop::collection::vec(number.prop_map(|number| number.max(-i64::MAX)), 0..40);
    check((moduli(), numbers), |(q, numbers)| {
        let expected: Vec<u64> = numbers.iter().map(|&n| i128::from(n).rem_euclid(i128::from(q)) as u64).collect();
        for kernels in kernels() {
            let mut residues = vec![7; numbers.len()];
            kernels.reduce_signed(&mut residues, &numbers, Modulus::new(q));
            prop_assert_eq!(&residues, &expected);
        }
        Ok(())
    });
}

/// More terms than any accumulator holds, all as large as can be.
#[test]
fn sums_of_many_largest_products() {
    let widths = [30, 45, 49, 50, 51, 52, 53, 59, 60];
    let largest = widths.iter().flat_map(|bits| [(1u64 << bits) - 1, (1 << (bits - 1)) + 1]);
    for q in largest {
        for count in [1, 3, 4, 5, 15, 16, 17, 63, 64, 200, 255, 256, 257, 511, 1024, 1025, 1400, 4100] {
            let limb = vec![q - 1; 41];
            let terms = vec![[limb.clone(), limb.clone(), limb.clone()]; count];
            check_sums(q, &terms, &limb, &limb).unwrap();
        }
    }
}

/// The place in bit-reversed evaluation form of what the automorphism X -> X^k puts at place `index`.
fn automorphism_index(index: usize, exponent: usize, log_dimension: u32) -> u32 {
    let reversed = |index: usize| index.reverse_bits() >> (usize::BITS - log_dimension);
    let power = (2 * reversed(index) + 1) * exponent % (2 << log_dimension);
    reversed(power / 2) as u32
}

#[test]
fn automorphisms_and_any_other_indices() {
    let input: Vec<u64> = (0..1 << 10).map(|value| value * value + 5).collect();
    let automorphism = (4..=10u32, 0..1024usize).prop_map(|(log, half)| {
        (0..1 << log).map(|index| automorphism_index(index, 2 * half + 1, log)).collect::<Vec<u32>>()
    });
    let anything = prop::collection::vec(0..1u32 << 10, 0..200);
    check(prop_oneof![automorphism, anything], |indices| {
        let expected: Vec<u64> = indices.iter().map(|&index| input[index as usize]).collect();
        for kernels in kernels() {
            let junk = vec![7; indices.len()];
            prop_assert_eq!(&changed(&junk, |out| kernels.permute(out, &input, &indices)), &expected);
        }
        Ok(())
    });
}

#[test]
fn rescale_divides_by_the_last_prime() {
    // For x given by its residues modulo q and modulo the last prime l, the rescale is (x - [x]_l) / l with the
    // centred remainder, so x = l y + r with -l/2 < r < l/2 gives y.
    let [q, last] = [ntt_prime(50, 1 << 10, 0), ntt_prime(50, 1 << 10, 1)];
    let inverse_last = power(last % q, q - 2, q);
    let negated_inverse = modulo(product(q - 1, inverse_last), q);
    let quotients: Vec<i128> = (0..100).map(|k| k * 12_345_678_901 - 600_000_000_000).collect();
    let remainders: Vec<i128> = (0..100).map(|k| (k - 50) * i128::from(last) / 101).collect();
    let value = |k: usize| i128::from(last) * quotients[k] + remainders[k];
    let of_q: Vec<u64> = (0..100).map(|k| value(k).rem_euclid(i128::from(q)) as u64).collect();
    let of_last: Vec<u64> = (0..100).map(|k| value(k).rem_euclid(i128::from(last)) as u64).collect();
    let expected: Vec<u64> = quotients.iter().map(|y| y.rem_euclid(i128::from(q)) as u64).collect();
    let [q, last] = [q, last].map(Modulus::new);
    for kernels in kernels() {
        let mut correction = vec![0; 100];
        kernels.switch_modulus_mul_scalar(&mut correction, &of_last, negated_inverse, last, q);
        let scaled = changed(&of_q, |values| kernels.mul_scalar_add_assign(values, inverse_last, &correction, q));
        assert_eq!(scaled, expected);
    }
}

fn power(base: u64, exponent: u64, q: u64) -> u64 {
    let bits = (0..u64::BITS).rev().map(|bit| (exponent >> bit) & 1);
    bits.fold(1, |power, bit| {
        let square = modulo(product(power, power), q);
        if bit == 1 { modulo(product(square, base), q) } else { square }
    })
}
