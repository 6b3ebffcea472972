//! Plaintexts of a subring: matrix-vector products against clear ones, and what does not fit together.

mod common;

use common::{Party, Tolerance, rotated, take_turns, values};
use openfhe_reference as fhe;

type Result<T> = std::result::Result<T, fhe::Exception>;

/// A square matrix by its generalised diagonals: entry t of diagonal i is in row t and column t+i.
fn times(diagonals: &[Vec<f64>], x: &[f64]) -> Vec<f64> {
    let size = x.len();
    (0..size).map(|row| diagonals.iter().enumerate().map(|(i, d)| d[row] * x[(row + i) % size]).sum()).collect()
}

/// Baby steps by one decomposition, sums of products, and giant steps by one division by P, two of them at a time.
fn multiply(
    party: &Party,
    ciphertext: &fhe::Ciphertext,
    diagonals: &[Vec<f64>],
    babies: usize,
) -> Result<fhe::UniquePtr<fhe::Ciphertext>> {
    let scale = party.scale(1) * party.dropped_prime(0) / party.scale(0);
    let rotations = fhe::rotate_all(ciphertext, &(0..babies as i32).collect::<Vec<_>>())?;
    let inner_sum = |giant: usize| {
        let turned: Vec<Vec<f64>> = diagonals[giant * babies..(giant + 1) * babies]
            .iter()
            .map(|diagonal| rotated(diagonal, -((giant * babies) as i32)))
            .collect();
        let vectors: Vec<_> = turned.iter().map(|values| fhe::SlotValues { values }).collect();
        let plaintexts = fhe::encode_sparse(&party.context, &vectors, turned[0].len() as u32, 0, scale)?;
        let term = |i| fhe::SparseTerm { rotations: &rotations, rotation: i, plaintexts: &plaintexts, plaintext: i };
        fhe::sum_of_sparse_products(&(0..babies as u32).map(term).collect::<Vec<_>>())
    };
    let mut sum = fhe::start_rotation_sum().unwrap();
    let giants: Vec<usize> = (0..diagonals.len() / babies).collect();
    for giants in giants.chunks(2) {
        let inner = giants.iter().map(|&giant| inner_sum(giant)).collect::<Result<Vec<_>>>()?;
        let step = |giant: usize| (giant * babies) as i32;
        let terms =
            inner.iter().zip(giants).map(|(ciphertext, &giant)| fhe::RotationTerm { ciphertext, step: step(giant) });
        fhe::add_rotations(sum.pin_mut(), &terms.collect::<Vec<_>>())?;
    }
    let mut product = fhe::finish_rotation_sum(sum.pin_mut())?;
    fhe::rescale_in_place(product.pin_mut())?;
    Ok(product)
}

/// From so few slots that the transforms take repetitions of them to all slots of the ring.
#[test]
fn matrix_vector_products_of_any_number_of_slots() {
    let _turn = take_turns();
    let party = Party::new(3, fhe::ScalingTechnique::FlexibleAuto);
    let steps: Vec<i32> = (1..4).chain([4, 8]).collect();
    fhe::generate_rotation_keys(&party.keys.secret_key, &steps).expect("key generation");
    for (slots, babies, giants) in [(1, 1, 1), (2, 2, 1), (4, 2, 2), (64, 4, 3), (party.slots, 4, 3)] {
        let x = values(4, slots);
        let plaintext = fhe::encode(&party.context, &x, slots, 0, party.scale(0)).expect("encode");
        let ciphertext = fhe::encrypt(&party.keys.public_key, &plaintext).expect("encrypt");
        let diagonals: Vec<Vec<f64>> = (0..babies * giants).map(|i| values(100 + i as u64, slots)).collect();
        let product = multiply(&party, &ciphertext, &diagonals, babies).expect("all keys are there");
        assert_eq!((product.level(), product.noise_scale_degree(), product.slots()), (1, 1, slots));
        assert!((product.scaling_factor() / party.scale(1) - 1.0).abs() < 1e-12);
        party.check(&product, party.scale(1), &times(&diagonals, &x), Tolerance::Operation);
    }
}

#[test]
fn a_plaintext_takes_the_words_of_its_slots() {
    let _turn = take_turns();
    let party = Party::new(2, fhe::ScalingTechnique::FlexibleAuto);
    let vectors = [fhe::SlotValues { values: &[1.0, 2.0] }, fhe::SlotValues { values: &[3.0] }];
    let plaintexts = fhe::encode_sparse(&party.context, &vectors, 16, 1, 1e12).expect("encode");
    assert_eq!(plaintexts.byte_size(), 2 * (party.context.limb_count() as usize - 1) * 32 * 8);
}

#[test]
fn what_does_not_fit_is_refused() {
    let _turn = take_turns();
    let party = Party::new(2, fhe::ScalingTechnique::FlexibleAuto);
    let refused = |result: Result<fhe::UniquePtr<fhe::Ciphertext>>, reason: &str| match result {
        Ok(_) => panic!("not refused: {reason}"),
        Err(error) => assert!(error.what().contains(reason), "{error}"),
    };
    let encode = |values: &[f64], slots, level, scale| {
        fhe::encode_sparse(&party.context, &[fhe::SlotValues { values }], slots, level, scale)
    };
    for (values, slots, level, scale) in [
        (&[1.0, 2.0][..], 1, 0, 1e9),
        (&[f64::NAN], 1, 0, 1e9),
        (&[1.0], 3, 0, 1e9),
        (&[1.0], 1, 9, 1e9),
        (&[1.0], 1, 0, 0.0),
    ] {
        assert!(encode(values, slots, level, scale).is_err(), "{values:?} in {slots} slots at {level}, {scale}");
    }
    let ciphertext = party.encrypt(&[0.5]);
    let rotations = fhe::rotate_all(&ciphertext, &[0]).expect("no key is needed");
    let (plaintexts, lower) = (encode(&[1.0], 8, 0, 1e9), encode(&[1.0], 8, 1, 1e9));
    let (plaintexts, lower) = (plaintexts.expect("encode"), lower.expect("encode"));
    let term = |rotation, plaintexts, plaintext| {
        fhe::sum_of_sparse_products(&[fhe::SparseTerm { rotations: &rotations, rotation, plaintexts, plaintext }])
    };
    refused(term(0, &lower, 0), "different levels");
    refused(term(0, &plaintexts, 1), "fewer plaintexts");
    assert!(term(1, &plaintexts, 0).is_err() && fhe::sum_of_sparse_products(&[]).is_err());
    assert!(fhe::rotate_all(&ciphertext, &[77]).is_err(), "there is no such key");
    refused(fhe::finish_rotation_sum(fhe::start_rotation_sum().unwrap().pin_mut()), "at least one term");
    let dropped = fhe::drop_levels(&ciphertext, 1).expect("limbs are left");
    let [one, other] = [&ciphertext, &dropped].map(|ciphertext| fhe::RotationTerm { ciphertext, step: 0 });
    assert!(fhe::add_rotations(fhe::start_rotation_sum().unwrap().pin_mut(), &[one, other]).is_err());
}
