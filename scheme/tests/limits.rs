//! Every limit of the security table has its estimate, made by `docs/security/estimate.py`.

use paf_scheme::{ENCAPSULATION_LOG_QP, ENCAPSULATION_RING, LOG_QP_LIMITS_128, encapsulation_problem};

/// Ring dimension, log2 of the modulus, secret, bits.
type Row = (usize, u32, String, f64);

fn estimates() -> Vec<Row> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/security/estimates.tsv");
    let text = std::fs::read_to_string(path).expect("the table of estimates");
    let row = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        (fields[0].parse().unwrap(), fields[1].parse().unwrap(), fields[2].to_owned(), fields[4].parse().unwrap())
    };
    text.lines().skip(1).map(row).collect()
}

#[test]
fn every_limit_is_estimated_to_give_128_bits() {
    let estimates = estimates();
    for (ring_dimension, limit) in LOG_QP_LIMITS_128 {
        let row = estimates.iter().find(|(n, log_qp, secret, _)| {
            (*n, *log_qp, secret.as_str()) == (ring_dimension, limit, "uniform ternary")
        });
        let bits = row.unwrap_or_else(|| panic!("no estimate of {limit} at N = {ring_dimension}")).3;
        assert!(bits >= 128.0, "{limit} at N = {ring_dimension}: {bits} bits");
    }
}

#[test]
fn the_sparse_secret_of_bootstraps_is_estimated_to_give_128_bits() {
    let estimates = estimates();
    for ring_dimension in [ENCAPSULATION_RING, 2 * ENCAPSULATION_RING, 4 * ENCAPSULATION_RING] {
        let row = estimates.iter().find(|(n, log_qp, secret, _)| {
            (*n, *log_qp, secret.as_str()) == (ring_dimension, ENCAPSULATION_LOG_QP, "32 of N")
        });
        let bits = row.unwrap_or_else(|| panic!("no estimate at N = {ring_dimension}")).3;
        assert!(bits >= 128.0, "N = {ring_dimension}: {bits} bits");
        assert_eq!(encapsulation_problem(ring_dimension, f64::from(ENCAPSULATION_LOG_QP)), None);
    }
    assert!(encapsulation_problem(ENCAPSULATION_RING / 2, 100.0).is_some());
    assert!(encapsulation_problem(ENCAPSULATION_RING, f64::from(ENCAPSULATION_LOG_QP) + 1.0).is_some());
}
