//! Rotation, product and rescale at N = 2^16 with 24 limbs and three digits, and a bootstrap.

use openfhe_reference as fhe;

use crate::Result;
use crate::table::{Table, Work, all_threads};

const RING_DIMENSION: u32 = 1 << 16;
const SCALE_BITS: u32 = 50;
const RUNS: usize = 7;

fn parameters(slots: u32, multiplicative_depth: u32, digits: u32) -> fhe::ContextParameters {
    fhe::ContextParameters {
        ring_dimension: RING_DIMENSION,
        slots,
        multiplicative_depth,
        scaling_mod_bits: SCALE_BITS,
        first_mod_bits: 57,
        digits,
        scaling_technique: fhe::ScalingTechnique::FlexibleAuto,
        secret_key_distribution: fhe::SecretKeyDistribution::UniformTernary,
        security_level: fhe::SecurityLevel::NotSet,
    }
}

fn encrypt(
    context: &fhe::Context,
    keys: &fhe::KeyPair,
    slots: u32,
    level: u32,
) -> Result<fhe::UniquePtr<fhe::Ciphertext>> {
    let values: Vec<f64> = (0..slots).map(|slot| f64::from(slot) / f64::from(slots) - 0.5).collect();
    let plaintext = fhe::encode(context, &values, slots, level, context.scaling_factors().unwrap()[level as usize])?;
    Ok(fhe::encrypt(&keys.public_key, &plaintext)?)
}

pub(crate) fn measure(table: &mut Table) -> Result<()> {
    const LIMBS: u32 = 24;
    let slots = RING_DIMENSION / 2;
    let context = fhe::create_context(&parameters(slots, LIMBS - 1, 3))?;
    let keys = fhe::generate_key_pair(&context)?;
    fhe::generate_multiplication_key(&keys.secret_key)?;
    fhe::generate_rotation_keys(&keys.secret_key, &[1])?;
    let x = encrypt(&context, &keys, slots, 0)?;
    let digits = fhe::precompute_digits(&x)?;
    let all = all_threads();
    let mut row = |name: &str, operation: &mut dyn FnMut() -> std::result::Result<(), fhe::Exception>| {
        table.row(name, RUNS, all, Work::Opaque, || Ok(operation()?))
    };
    row("rotation, 24 limbs", &mut || fhe::rotate(&x, 1).map(drop))?;
    row("rotation, hoisted", &mut || fhe::rotate_hoisted(&x, 1, &digits).map(drop))?;
    row("product with relinearization, 24 limbs", &mut || fhe::multiply(&x, &x).map(drop))?;
    row("rescale, 24 limbs", &mut || fhe::rescale(&x).map(drop))?;
    row("sum of ciphertexts, 24 limbs", &mut || fhe::add(&x, &x).map(drop))?;
    forget(keys)
}

/// Levels that a bootstrap leaves.
const LEVELS_AFTER: u32 = 4;

pub(crate) fn measure_bootstrap(table: &mut Table) -> Result<()> {
    const SLOTS: u32 = 1 << 12;
    let distribution = fhe::SecretKeyDistribution::SparseEncapsulated;
    let budgets = [3, 3];
    let depth = fhe::bootstrap_depth(&budgets, distribution)? + LEVELS_AFTER;
    let parameters = fhe::ContextParameters { secret_key_distribution: distribution, ..parameters(SLOTS, depth, 4) };
    let context = fhe::create_context(&parameters)?;
    fhe::setup_bootstrap(&context, &budgets, &[0, 0], SLOTS, 0)?;
    let keys = fhe::generate_key_pair(&context)?;
    fhe::generate_multiplication_key(&keys.secret_key)?;
    fhe::generate_bootstrap_keys(&keys.secret_key, SLOTS)?;
    let x = encrypt(&context, &keys, SLOTS, context.limb_count() - 2)?;
    let name = format!("bootstrap, 2^12 slots, {{3,3}}, {} limbs", context.limb_count());
    table.row(&name, 1, all_threads(), Work::Opaque, || Ok(fhe::bootstrap(&x, 1, 0).map(drop)?))?;
    forget(keys)
}

fn forget(keys: fhe::KeyPair) -> Result<()> {
    drop(keys);
    fhe::clear_multiplication_keys().unwrap();
    fhe::clear_rotation_keys().unwrap();
    fhe::release_contexts().unwrap();
    Ok(())
}
