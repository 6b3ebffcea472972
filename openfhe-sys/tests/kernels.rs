//! Every code that this machine has gives the limbs that OpenFHE's own code gives, operation by operation.

mod common;

use common::{take_turns, values};
use openfhe_reference as fhe;
use openfhe_reference::kernels::{self, Code};

type Result<T> = std::result::Result<T, fhe::Exception>;

const SLOTS: u32 = 64;

struct Case {
    name: &'static str,
    ring_dimension: u32,
    depth: u32,
    scale_bits: u32,
    first_bits: u32,
    digits: u32,
}

/// Primes for 52-bit and for 64-bit products, rings that the cache holds and rings that it does not, and digits of
/// one and of several primes.
const CASES: [Case; 4] = [
    Case { name: "narrow primes", ring_dimension: 1 << 12, depth: 5, scale_bits: 45, first_bits: 50, digits: 3 },
    Case { name: "wide primes", ring_dimension: 1 << 12, depth: 4, scale_bits: 58, first_bits: 60, digits: 2 },
    Case { name: "primes at the border", ring_dimension: 1 << 11, depth: 3, scale_bits: 50, first_bits: 51, digits: 4 },
    Case { name: "large ring", ring_dimension: 1 << 16, depth: 2, scale_bits: 48, first_bits: 55, digits: 2 },
];

impl Case {
    fn parameters(&self) -> fhe::ContextParameters {
        fhe::ContextParameters {
            ring_dimension: self.ring_dimension,
            slots: SLOTS,
            multiplicative_depth: self.depth,
            scaling_mod_bits: self.scale_bits,
            first_mod_bits: self.first_bits,
            digits: self.digits,
            scaling_technique: fhe::ScalingTechnique::FlexibleAuto,
            secret_key_distribution: fhe::SecretKeyDistribution::UniformTernary,
            security_level: fhe::SecurityLevel::NotSet,
        }
    }
}

/// Everything that has randomness in it, made once.
struct Operands {
    context: fhe::UniquePtr<fhe::Context>,
    x: fhe::UniquePtr<fhe::Ciphertext>,
    y: fhe::UniquePtr<fhe::Ciphertext>,
    lower: fhe::UniquePtr<fhe::Ciphertext>,
}

fn operands(case: &Case) -> Result<Operands> {
    let context = fhe::create_context(&case.parameters())?;
    let keys = fhe::generate_key_pair(&context)?;
    fhe::generate_multiplication_key(&keys.secret_key)?;
    for step in [1, -3] {
        fhe::generate_rotation_keys(&keys.secret_key, &[step])?;
    }
    let scale = context.scaling_factors().unwrap()[0];
    let encrypt =
        |seed| fhe::encrypt(&keys.public_key, &*fhe::encode(&context, &values(seed, SLOTS), SLOTS, 0, scale)?);
    let (x, y) = (encrypt(1)?, encrypt(2)?);
    let lower = fhe::rescale(&x)?;
    Ok(Operands { context, x, y, lower })
}

fn operations(operands: &Operands) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let Operands { context, x, y, lower } = operands;
    let bytes = |ciphertext: &fhe::Ciphertext| fhe::ciphertext_to_bytes(ciphertext);
    let scale = context.scaling_factors().unwrap()[0];
    let plaintext = fhe::encode(context, &values(3, SLOTS), SLOTS, 0, scale)?;
    let extended = fhe::encode_extended(context, &values(3, SLOTS), SLOTS, 0, scale)?;
    let digits = fhe::precompute_digits(x)?;
    let product = fhe::multiply_no_relinearize(x, y)?;
    let lifted = fhe::extend(x, true)?;
    let values = [values(3, SLOTS), values(4, SLOTS), values(5, SLOTS)];
    let vectors: Vec<_> = values.iter().map(|values| fhe::SlotValues { values }).collect();
    let sparse = fhe::encode_sparse(context, &vectors, SLOTS, 0, scale)?;
    let rotations = fhe::rotate_all(x, &[0, 1, -3])?;
    let sparse_term = |i| fhe::SparseTerm { rotations: &rotations, rotation: i, plaintexts: &sparse, plaintext: i };
    let mut sum = fhe::start_rotation_sum().unwrap();
    let [one, two, three] = [(x, 1), (y, -3), (x, 0)].map(|(ciphertext, step)| fhe::RotationTerm { ciphertext, step });
    fhe::add_rotations(sum.pin_mut(), &[one, two, three])?;
    let terms: Vec<_> = (0..3).map(|_| fhe::ExtendedTerm { ciphertext: &lifted, plaintext: &extended }).collect();
    Ok(vec![
        ("add", bytes(&*fhe::add(x, y)?)?),
        ("subtract", bytes(&*fhe::subtract(x, y)?)?),
        ("multiply by a plaintext", bytes(&*fhe::multiply_plain(x, &plaintext)?)?),
        ("multiply by a constant", bytes(&*fhe::multiply_constant(x, -0.7, scale)?)?),
        ("add a constant", bytes(&*fhe::add_constant(x, 0.3, scale)?)?),
        ("multiply", bytes(&product)?),
        ("relinearize", bytes(&*fhe::relinearize(&product)?)?),
        ("square", bytes(&*fhe::square(x)?)?),
        ("rescale", bytes(&*fhe::rescale(&product)?)?),
        ("rotate", bytes(&*fhe::rotate(x, 1)?)?),
        ("rotate at a lower level", bytes(&*fhe::rotate(lower, -3)?)?),
        ("rotate hoisted", bytes(&*fhe::rotate_hoisted(x, -3, &digits)?)?),
        ("inner product", bytes(&*fhe::reduce_extended(&*fhe::inner_product_extended(&terms)?)?)?),
        ("sparse products", bytes(&*fhe::sum_of_sparse_products(&[0, 1, 2].map(sparse_term))?)?),
        ("sum of rotations", bytes(&*fhe::finish_rotation_sum(sum.pin_mut())?)?),
        ("extend", bytes(&*fhe::reduce_extended(&lifted)?)?),
    ])
}

/// Calls a function under every code, and under OpenFHE's again: nothing is left behind.
fn under_each_code<T>(mut function: impl FnMut(Code) -> T) {
    let codes = kernels::available();
    assert!(codes.len() > 1, "no kernels are available: {:?}", kernels::select_from_environment());
    for code in codes.into_iter().chain([Code::OpenFhe]) {
        kernels::select(code).expect("it is available");
        function(code);
    }
    kernels::select_from_environment().expect("the variable is valid");
}

#[test]
fn every_operation_gives_the_limbs_of_openfhe() {
    let _turn = take_turns();
    for case in &CASES {
        let operands = operands(case).expect("the parameters are valid");
        let mut expected = None;
        under_each_code(|code| {
            let results = operations(&operands).expect("all keys are there");
            let expected = expected.get_or_insert_with(|| results.clone());
            for ((name, bytes), (_, stock)) in results.iter().zip(expected) {
                assert!(bytes == stock, "{}: {name} with {code} differs from OpenFHE's", case.name);
            }
        });
    }
}

/// Stages with and without layers that remain, sparse and full slots, and transforms in one stage.
const BOOTSTRAPS: [([u32; 2], u32); 4] = [([2, 2], SLOTS), ([4, 3], 1 << 8), ([3, 4], 1 << 10), ([1, 1], 1 << 4)];

#[test]
fn a_bootstrap_gives_the_limbs_of_openfhe() {
    let _turn = take_turns();
    for (budget, slots) in BOOTSTRAPS {
        let exhausted = exhausted(budget, slots).expect("the parameters are valid");
        let mut expected = None;
        under_each_code(|code| {
            let fresh = fhe::bootstrap(&exhausted, 1, 0).and_then(|fresh| fhe::ciphertext_to_bytes(&fresh));
            let fresh = fresh.expect("all keys are there");
            let same = *expected.get_or_insert_with(|| fresh.clone()) == fresh;
            assert!(same, "the bootstrap of {slots} slots in {budget:?} levels with {code} differs");
        });
    }
}

/// A ciphertext at the last level that can be bootstrapped, all keys made.
fn exhausted(budget: [u32; 2], slots: u32) -> Result<fhe::UniquePtr<fhe::Ciphertext>> {
    let distribution = fhe::SecretKeyDistribution::SparseEncapsulated;
    let depth = fhe::bootstrap_depth(&budget, distribution)? + 1;
    let case = Case { name: "bootstrap", ring_dimension: 1 << 11, depth, scale_bits: 49, first_bits: 56, digits: 3 };
    let parameters = fhe::ContextParameters { slots, secret_key_distribution: distribution, ..case.parameters() };
    let context = fhe::create_context(&parameters)?;
    fhe::setup_bootstrap(&context, &budget, &[0, 0], slots, 0)?;
    let keys = fhe::generate_key_pair(&context)?;
    fhe::generate_multiplication_key(&keys.secret_key)?;
    fhe::generate_bootstrap_keys(&keys.secret_key, slots)?;
    let (last, scales) = (context.limb_count() - 2, context.scaling_factors().unwrap());
    let values = values(1, slots);
    fhe::encrypt(&keys.public_key, &*fhe::encode(&context, &values, slots, last, scales[last as usize])?)
}

#[test]
fn a_key_pair_made_with_one_code_serves_with_another() {
    let _turn = take_turns();
    under_each_code(|code| {
        let operands = operands(&CASES[0]).expect("the parameters are valid");
        kernels::select(Code::OpenFhe).expect("it is available");
        let stock = operations(&operands).expect("all keys are there");
        kernels::select(code).expect("it is available");
        assert!(operations(&operands).expect("all keys are there") == stock, "keys made with {code}");
    });
}

#[test]
fn a_name_that_is_none_is_refused() {
    let error = "sse2".parse::<Code>().expect_err("no such code");
    assert!(error.to_string().contains("openfhe, portable, avx2 and avx512"), "{error}");
    for code in kernels::available() {
        assert_eq!(code.to_string().parse(), Ok(code));
    }
}
