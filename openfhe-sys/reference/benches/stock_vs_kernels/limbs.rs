//! Transforms, products and conversions of limbs, N = 2^16.

use openfhe_reference as fhe;
use openfhe_reference::kernels::{Code, available};

use crate::Result;
use crate::table::{Table, Work};

const RING_DIMENSION: u32 = 1 << 16;
/// As many primes as a polynomial of a deep network has: their tables do not fit into a cache together.
const LIMBS: u32 = 24;
const RUNS: usize = 15;
const WORD: f64 = 8.0;

pub(crate) fn measure(table: &mut Table) -> Result<()> {
    for limbs in [1, LIMBS] {
        for bits in [50, 60] {
            transforms(table, table.code(), limbs, bits, "")?;
        }
    }
    let slower = available().into_iter().filter(|code| *code != Code::OpenFhe && *code != table.code());
    for code in slower.collect::<Vec<_>>() {
        transforms(table, code, 1, 50, &format!(", {code}"))?;
    }
    for limbs in [1, LIMBS] {
        for bits in [50, 60] {
            products(table, limbs, bits)?;
        }
    }
    for (from, to) in [(50, 50), (50, 60), (60, 50)] {
        conversion(table, from, to)?;
    }
    Ok(())
}

fn elements() -> f64 {
    f64::from(LIMBS * RING_DIMENSION)
}

/// Forward and inverse alternate, so each is timed on what the other left.
fn transforms(table: &mut Table, code: Code, limbs: u32, bits: u32, suffix: &str) -> Result<()> {
    let mut polynomial = fhe::uniform_polynomial(RING_DIMENSION, bits, limbs)?;
    let repeats = LIMBS / limbs;
    let elements = f64::from(repeats * limbs * RING_DIMENSION);
    let butterflies = elements / 2.0 * f64::from(RING_DIMENSION.ilog2());
    // Values in and out, roots and their constants in.
    let work = Work::Butterflies(2.0 * butterflies, 2.0 * 4.0 * elements * WORD);
    let of = if limbs == 1 { " of one limb" } else { "" };
    let name = format!("{LIMBS} NTTs and inverses{of}, {bits} bits{suffix}");
    table.row_of(code, &name, RUNS, 1, work, || {
        for _ in 0..2 * repeats {
            fhe::transform_polynomial(polynomial.pin_mut())?;
        }
        Ok(())
    })
}

fn products(table: &mut Table, limbs: u32, bits: u32) -> Result<()> {
    let polynomial = || fhe::uniform_polynomial(RING_DIMENSION, bits, limbs);
    let (mut left, right, mut sum) = (polynomial()?, polynomial()?, polynomial()?);
    let of = if limbs == 1 { " of one limb" } else { "" };
    let repeats = 0..LIMBS / limbs;
    table.row(
        &format!("{LIMBS} products{of}, {bits} bits"),
        RUNS,
        1,
        Work::Elements(elements(), 3.0 * elements() * WORD),
        || Ok(repeats.clone().try_for_each(|_| fhe::multiply_polynomial_in_place(left.pin_mut(), &right))?),
    )?;
    table.row(
        &format!("{LIMBS} multiply-accumulates{of}, {bits} bits"),
        RUNS,
        1,
        Work::Elements(elements(), 4.0 * elements() * WORD),
        || Ok(repeats.clone().try_for_each(|_| fhe::multiply_accumulate_polynomial(sum.pin_mut(), &left, &right))?),
    )
}

fn conversion(table: &mut Table, from: u32, to: u32) -> Result<()> {
    const TARGETS: u32 = 8;
    let polynomial = fhe::uniform_polynomial(RING_DIMENSION, from, LIMBS)?;
    let conversion = fhe::conversion_from(&polynomial, to, TARGETS)?;
    let terms = elements() * f64::from(TARGETS);
    let bytes = f64::from((LIMBS + TARGETS) * RING_DIMENSION) * WORD;
    table.row(
        &format!("base conversion {LIMBS} to {TARGETS} limbs, {from} to {to} bits"),
        RUNS,
        1,
        Work::Elements(terms, bytes),
        || Ok(fhe::convert_polynomial(&polynomial, &conversion)?),
    )
}
