//! Rotations, and a matrix-vector product with double hoisting against a clear one.

mod common;

use common::{Party, Tolerance, rotated, take_turns, values};
use openfhe_sys as fhe;

fn party(steps: &[i32]) -> Party {
    let party = Party::new(4, fhe::ScalingTechnique::FlexibleAuto);
    fhe::generate_rotation_keys(&party.keys.secret_key, steps).expect("key generation");
    party
}

#[test]
fn plain_and_hoisted_rotations() {
    let _turn = take_turns();
    let steps = [1, 5, -3, 1000];
    let party = party(&steps);
    let x = values(1, party.slots);
    let ciphertext = fhe::drop_levels(&party.encrypt(&x), 1).expect("limbs are left");
    let digits = fhe::precompute_digits(&ciphertext).expect("two parts");
    assert_eq!(digits.byte_size() % ciphertext.context_limb_bytes(), 0);
    for step in steps {
        let plain = fhe::rotate(&ciphertext, step).expect("the key is there");
        party.check(&plain, party.scale(0), &rotated(&x, step), Tolerance::Operation);
        let hoisted = fhe::rotate_hoisted(&ciphertext, step, &digits).expect("the key is there");
        party.check(&hoisted, party.scale(0), &rotated(&x, step), Tolerance::Operation);
    }
    let same = fhe::rotate(&ciphertext, 0).expect("no key is needed");
    party.check(&same, party.scale(0), &x, Tolerance::Noise);
}

#[test]
fn conjugation_keeps_real_slots() {
    let _turn = take_turns();
    let party = party(&[]);
    fhe::generate_conjugation_key(&party.keys.secret_key).expect("key generation");
    let x = values(2, party.slots);
    let conjugate = fhe::conjugate(&party.encrypt(&x)).expect("the key is there");
    party.check(&conjugate, party.scale(0), &x, Tolerance::Operation);
}

#[test]
fn extended_rotation_and_back() {
    let _turn = take_turns();
    let party = party(&[7]);
    let x = values(3, party.slots);
    let ciphertext = party.encrypt(&x);
    let digits = fhe::precompute_digits(&ciphertext).expect("two parts");
    let extended = fhe::rotate_extended(&ciphertext, 7, &digits, true).expect("the key is there");
    let back = fhe::reduce_extended(&extended).expect("extended");
    party.check(&back, party.scale(0), &rotated(&x, 7), Tolerance::Operation);

    let mut without_first = fhe::rotate_extended(&ciphertext, 7, &digits, false).expect("the key is there");
    let mut back = fhe::reduce_extended(&without_first).expect("extended");
    fhe::add_to_first(back.pin_mut(), &fhe::rotate_first(&ciphertext, 7).expect("a part")).expect("same level");
    party.check(&back, party.scale(0), &rotated(&x, 7), Tolerance::Operation);

    fhe::add_extended_in_place(without_first.pin_mut(), &extended).expect("same level");
    fhe::clear_first_extended(without_first.pin_mut()).expect("extended");
    let lifted = fhe::reduce_extended(&fhe::extend(&ciphertext, true).expect("two parts")).expect("extended");
    party.check(&lifted, party.scale(0), &x, Tolerance::Noise);
}

/// A dense square matrix whose size is the slot count, by its generalised diagonals.
struct Matrix {
    size: usize,
    diagonals: Vec<Vec<f64>>,
}

impl Matrix {
    fn new(size: usize) -> Matrix {
        let diagonals = (0..size).map(|i| values(100 + i as u64, size as u32)).collect();
        Matrix { size, diagonals }
    }

    /// Row t, column t+i is entry t of diagonal i.
    fn times(&self, x: &[f64]) -> Vec<f64> {
        let entry = |row: usize, i: usize| self.diagonals[i][row] * x[(row + i) % self.size];
        (0..self.size).map(|row| (0..self.size).map(|i| entry(row, i)).sum()).collect()
    }
}

/// Baby steps, and the diagonals of giant step g rotated right by g·babies: all over Q·P.
fn encode_diagonals(
    party: &Party,
    matrix: &Matrix,
    babies: usize,
    scale: f64,
) -> Vec<Vec<fhe::UniquePtr<fhe::ExtendedPlaintext>>> {
    let encode = |index: usize, giant: usize| {
        let diagonal = rotated(&matrix.diagonals[index], -((giant * babies) as i32));
        fhe::encode_extended(&party.context, &diagonal, matrix.size as u32, 0, scale).expect("encode")
    };
    (0..matrix.size / babies).map(|giant| (0..babies).map(|b| encode(giant * babies + b, giant)).collect()).collect()
}

/// The order of calls of OpenFHE's own linear transform: one decomposition for all babies, one for each giant step,
/// sums over Q·P, first parts moved by automorphism alone, and one final division by P.
fn multiply(
    ciphertext: &fhe::Ciphertext,
    diagonals: &[Vec<fhe::UniquePtr<fhe::ExtendedPlaintext>>],
) -> Result<fhe::UniquePtr<fhe::Ciphertext>, fhe::Exception> {
    let babies = diagonals[0].len();
    let digits = fhe::precompute_digits(ciphertext)?;
    let mut rotations = vec![fhe::extend(ciphertext, true)?];
    for step in 1..babies {
        rotations.push(fhe::rotate_extended(ciphertext, step as i32, &digits, true)?);
    }
    let inner = |row: &[fhe::UniquePtr<fhe::ExtendedPlaintext>]| {
        let mut sum = fhe::multiply_plain_extended(&rotations[0], &row[0])?;
        for (rotation, plaintext) in rotations.iter().zip(row).skip(1) {
            fhe::multiply_accumulate_extended(sum.pin_mut(), rotation, plaintext)?;
        }
        Ok(sum)
    };
    let mut result = inner(&diagonals[0])?;
    let mut first = fhe::reduce_extended_first(&result)?;
    fhe::clear_first_extended(result.pin_mut())?;
    for (giant, row) in diagonals.iter().enumerate().skip(1) {
        let step = (giant * babies) as i32;
        let reduced = fhe::reduce_extended(&*inner(row)?)?;
        fhe::add_polynomial_in_place(first.pin_mut(), &*fhe::rotate_first(&reduced, step)?)?;
        let digits = fhe::precompute_digits(&reduced)?;
        fhe::add_extended_in_place(result.pin_mut(), &*fhe::rotate_extended(&reduced, step, &digits, false)?)?;
    }
    let mut product = fhe::reduce_extended(&result)?;
    fhe::add_to_first(product.pin_mut(), &first)?;
    fhe::rescale_in_place(product.pin_mut())?;
    Ok(product)
}

#[test]
fn double_hoisted_matrix_vector_product() {
    let _turn = take_turns();
    let (size, babies) = (64, 8);
    let steps: Vec<i32> = (1..8).chain((1..8).map(|giant| 8 * giant)).collect();
    let party = party(&steps);
    let matrix = Matrix::new(size);
    let x = values(4, size as u32);
    let plaintext = fhe::encode(&party.context, &x, size as u32, 0, party.scale(0)).expect("encode");
    let ciphertext = fhe::encrypt(&party.keys.public_key, &plaintext).expect("encrypt");

    let scale = party.scale(1) * party.dropped_prime(0) / party.scale(0);
    let product = multiply(&ciphertext, &encode_diagonals(&party, &matrix, babies, scale)).expect("all keys are there");
    assert_eq!((product.level(), product.noise_scale_degree(), product.slots()), (1, 1, 64));
    assert!((product.scaling_factor() / party.scale(1) - 1.0).abs() < 1e-12);
    party.check(&product, party.scale(1), &matrix.times(&x), Tolerance::Operation);
}

/// More terms than one lazy sum holds.
#[test]
fn inner_product_is_the_sum_of_products() {
    let _turn = take_turns();
    let party = party(&[]);
    let count = 150;
    let x = values(5, party.slots);
    let lifted = fhe::extend(&party.encrypt(&x), true).expect("two parts");
    let factors: Vec<Vec<f64>> = (0..count).map(|seed| values(seed, party.slots)).collect();
    let encode = |factor: &Vec<f64>| fhe::encode_extended(&party.context, factor, party.slots, 0, 1e12);
    let plaintexts: Vec<_> = factors.iter().map(|factor| encode(factor).expect("encode")).collect();
    let terms: Vec<_> =
        plaintexts.iter().map(|plaintext| fhe::ExtendedTerm { ciphertext: &lifted, plaintext }).collect();
    let product = fhe::reduce_extended(&fhe::inner_product_extended(&terms).expect("one level")).expect("extended");
    let sum = |slot: usize| factors.iter().map(|factor| factor[slot]).sum::<f64>();
    let expected: Vec<f64> = x.iter().enumerate().map(|(slot, value)| value * sum(slot)).collect();
    assert_eq!(product.scaling_factor(), party.scale(0) * 1e12);
    party.check(&product, product.scaling_factor(), &expected, Tolerance::Bits(16));
    assert!(fhe::inner_product_extended(&[]).is_err());
}

trait LimbBytes {
    fn context_limb_bytes(&self) -> usize;
}

impl LimbBytes for fhe::Ciphertext {
    fn context_limb_bytes(&self) -> usize {
        self.byte_size() / (self.limb_count() * self.part_count()) as usize
    }
}
