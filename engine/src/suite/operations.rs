//! Operations against plain numbers.

use super::Agreement;
use super::cases::{Case, cases, refined_case, refreshing_case};
use super::interpret::Party;
use crate::Engine;

/// Every program without bootstraps computes what its definition says.
pub fn operations_compute_what_they_say<E: Engine>(agreement: Agreement) {
    for case in cases() {
        check::<E>(&case, u64::MAX, agreement.least_bits());
    }
}

/// The same with nothing prepared.
pub fn preparing_changes_nothing<E: Engine>(agreement: Agreement) {
    for case in cases() {
        check::<E>(&case, 0, agreement.least_bits());
    }
}

/// Bootstraps keep what they refresh, and a second iteration adds the bits of the first.
pub fn bootstraps_refresh<E: Engine>(agreement: Agreement) {
    let least = agreement.least_bits_of_bootstraps();
    check::<E>(&refreshing_case(), 0, least);
    check::<E>(&refined_case(7), 0, (least + 6.0).min(40.0));
}

fn check<E: Engine>(case: &Case, budget: u64, least_bits: f64) {
    let party = Party::<E>::new(case);
    for sample in &case.samples {
        let got = party.run(case, sample, budget).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let bits = agreement_bits(&got, &(case.expected)(sample));
        assert!(bits >= least_bits, "{}: agrees to {bits:.1} bits, needs {least_bits}", case.name);
    }
}

/// `−log2` of the largest difference over the largest value.
fn agreement_bits(values: &[f64], reference: &[f64]) -> f64 {
    assert_eq!(values.len(), reference.len());
    let largest = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max);
    let difference = largest(&mut values.iter().zip(reference).map(|(a, b)| (a - b).abs()));
    assert!(values.iter().all(|value| value.is_finite()), "{values:?}");
    -(difference / largest(&mut reference.iter().map(|b| b.abs()))).log2()
}
