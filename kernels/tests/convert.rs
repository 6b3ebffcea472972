//! Base conversion of every variant against its definition, with the remainder operator on 128-bit integers.

use paf_kernels::{Kernels, Modulus, Variant, ntt_prime};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const CASES: u32 = 300;

fn kernels() -> impl Iterator<Item = Kernels> {
    Variant::available().filter_map(Kernels::new)
}

/// The limbs and tables of a conversion. Its definition holds for any odd moduli and any residues in the tables.
#[derive(Debug, Clone)]
struct Case {
    sources: Vec<u64>,
    targets: Vec<u64>,
    hat_inverse: Vec<u64>,
    hat_mod: Vec<Vec<u64>>,
    inputs: Vec<Vec<u64>>,
}

/// Residues in turn from a generator, or all the largest: no shrinking is worth the time of so many strategies.
struct Residues {
    state: u64,
    largest: bool,
}

impl Residues {
    fn below(&mut self, q: u64) -> u64 {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        match self.state >> 61 {
            _ if self.largest => q - 1,
            0 => q - 1,
            1 => 0,
            _ => (self.state ^ (self.state >> 29)) % q,
        }
    }
}

impl Case {
    fn new(sources: Vec<u64>, targets: Vec<u64>, length: usize, mut residues: Residues) -> Self {
        Case {
            hat_inverse: sources.iter().map(|&q| residues.below(q)).collect(),
            hat_mod: sources.iter().map(|_| targets.iter().map(|&p| residues.below(p)).collect()).collect(),
            inputs: sources.iter().map(|&q| (0..length).map(|_| residues.below(q)).collect()).collect(),
            sources,
            targets,
        }
    }

    /// The definition, word by word.
    fn expected(&self) -> Vec<Vec<u64>> {
        let length = self.inputs[0].len();
        let residue = |target: usize, k: usize| {
            (0..self.sources.len()).fold(0, |sum, source| {
                let scaled = multiply(self.inputs[source][k], self.hat_inverse[source], self.sources[source]);
                (sum + multiply(scaled, self.hat_mod[source][target], self.targets[target])) % self.targets[target]
            })
        };
        (0..self.targets.len()).map(|target| (0..length).map(|k| residue(target, k)).collect()).collect()
    }

    /// The kernel on the coefficients below `split`, then on the others.
    fn converted(&self, kernels: Kernels, split: usize) -> Vec<Vec<u64>> {
        let [sources, targets] = [&self.sources, &self.targets].map(|moduli| moduli.iter().map(|&q| Modulus::new(q)));
        let (sources, targets) = (sources.collect::<Vec<_>>(), targets.collect::<Vec<_>>());
        let hat_mod: Vec<&[u64]> = self.hat_mod.iter().map(|row| &row[..]).collect();
        let mut outputs = vec![vec![7; self.inputs[0].len()]; targets.len()];
        for range in [0..split, split..self.inputs[0].len()] {
            let inputs: Vec<&[u64]> = self.inputs.iter().map(|input| &input[range.clone()]).collect();
            let mut outputs: Vec<&mut [u64]> = outputs.iter_mut().map(|output| &mut output[range.clone()]).collect();
            kernels.base_convert(&mut outputs, &inputs, &sources, &targets, &self.hat_inverse, &hat_mod);
        }
        outputs
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let length = self.inputs[0].len();
        let expected = self.expected();
        for kernels in kernels() {
            prop_assert_eq!(&self.converted(kernels, length), &expected);
            prop_assert_eq!(&self.converted(kernels, length / 3), &expected);
        }
        Ok(())
    }
}

fn multiply(left: u64, right: u64, q: u64) -> u64 {
    (u128::from(left) * u128::from(right) % u128::from(q)) as u64
}

/// Mostly the widths in use, then all of 30 to 60 bits, and the edges of the ranges of the kernels.
fn moduli() -> impl Strategy<Value = u64> {
    let used = prop::sample::select(vec![45u32, 50, 59, 60]);
    let bits = prop_oneof![2 => used, 1 => 30..=60u32];
    let random = (bits, any::<u64>()).prop_map(|(bits, word)| (1 << (bits - 1)) | (word >> (65 - bits)) | 1);
    let edges: Vec<u64> =
        [30, 50, 51, 52, 60].iter().flat_map(|bits| [(1 << bits) - 1, (1 << (bits - 1)) + 1]).collect();
    prop_oneof![4 => random, 1 => prop::sample::select(edges)]
}

#[test]
fn any_conversion() {
    let counts = prop_oneof![8 => 1..12usize, 1 => 12..100usize];
    let sources = counts.prop_flat_map(|count| prop::collection::vec(moduli(), count));
    let targets = prop::collection::vec(moduli(), 1..6);
    let cases = (sources, targets, 1..600usize, any::<u64>(), prop::bool::weighted(0.2));
    let cases = cases.prop_map(|(sources, targets, length, state, largest)| {
        Case::new(sources, targets, length, Residues { state, largest })
    });
    let config = Config { failure_persistence: None, ..Config::with_cases(CASES) };
    TestRunner::new(config).run(&cases, |case| case.check()).unwrap();
}

/// More sources than any accumulator holds, with every residue as large as can be.
#[test]
fn many_largest_sources() {
    let widths = [30, 50, 51, 52, 53, 60];
    let largest: Vec<u64> = widths.iter().flat_map(|bits| [(1u64 << bits) - 1, (1 << (bits - 1)) + 1]).collect();
    for count in [3, 4, 8, 9, 15, 16, 17, 255, 256, 257, 1500] {
        for &source in &largest {
            let residues = Residues { state: 0, largest: true };
            let mut case = Case::new(vec![source; count], largest.clone(), 9, residues);
            // A factor of one keeps the scaled sources largest.
            case.hat_inverse.fill(1);
            case.check().unwrap();
        }
    }
}

/// With the tables of real primes, the result is a number that is the input modulo Q and below `sources * Q`.
#[test]
fn converts_a_small_number_up_to_multiples_of_the_product() {
    let sources: Vec<u64> = (0..3).map(|skip| ntt_prime(50, 1 << 10, skip)).collect();
    let targets = vec![ntt_prime(60, 1 << 10, 0), ntt_prime(45, 1 << 10, 0)];
    let hat = |source: usize, q: u64| {
        let others = sources.iter().enumerate().filter(|&(other, _)| other != source);
        others.fold(1, |product, (_, &other)| multiply(product, other % q, q))
    };
    let values: Vec<u64> = (0..64u64).map(|k| k.pow(6) * 17 + k).collect();
    let case = Case {
        hat_inverse: (0..3).map(|source| inverse(hat(source, sources[source]), sources[source])).collect(),
        hat_mod: (0..3).map(|source| targets.iter().map(|&p| hat(source, p)).collect()).collect(),
        inputs: sources.iter().map(|&q| values.iter().map(|value| value % q).collect()).collect(),
        sources: sources.clone(),
        targets: targets.clone(),
    };
    for kernels in kernels() {
        let outputs = case.converted(kernels, 64);
        for (k, &value) in values.iter().enumerate() {
            let product = |p: u64| sources.iter().fold(1, |product, &q| multiply(product, q % p, p));
            let reached = (0..3).find(|&u| {
                targets
                    .iter()
                    .zip(&outputs)
                    .all(|(&p, output)| output[k] == (value % p + multiply(u, product(p), p)) % p)
            });
            assert!(reached.is_some(), "coefficient {k} is no such number");
        }
    }
}

fn inverse(value: u64, q: u64) -> u64 {
    let bits = (0..u64::BITS).rev().map(|bit| ((q - 2) >> bit) & 1);
    bits.fold(1, |power, bit| {
        let square = multiply(power, power, q);
        if bit == 1 { multiply(square, value, q) } else { square }
    })
}
