//! Times the operations of the bridge: the unit costs that evaluation times are multiples of.
//!
//! `cargo run --release -p openfhe-sys --example primitives -- [LOG_RING] [LIMBS] [DIGITS] [THREADS] [default-allocator]`

use std::env;
use std::time::Instant;

use openfhe_sys as fhe;

type Result<T> = std::result::Result<T, fhe::Exception>;

const SCALE_BITS: u32 = 45;

/// The median of some runs, in milliseconds.
fn milliseconds(mut operation: impl FnMut() -> Result<()>) -> Result<f64> {
    const RUNS: usize = 7;
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let start = Instant::now();
        operation()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[RUNS / 2])
}

fn report(name: &str, operation: impl FnMut() -> Result<()>) -> Result<()> {
    println!("{name:<34} {:>9.3} ms", milliseconds(operation)?);
    Ok(())
}

fn number(position: usize, default: u32) -> u32 {
    env::args().nth(position).and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn parameters() -> fhe::Parameters {
    let ring_dimension = 1 << number(1, 14);
    fhe::Parameters {
        ring_dimension,
        slots: ring_dimension / 2,
        multiplicative_depth: number(2, 8) - 1,
        scaling_mod_bits: SCALE_BITS,
        first_mod_bits: 55,
        digits: number(3, 2),
        scaling_technique: fhe::ScalingTechnique::FlexibleAuto,
        secret_key_distribution: fhe::SecretKeyDistribution::UniformTernary,
        security_level: fhe::SecurityLevel::NotSet,
    }
}

fn arithmetic(x: &fhe::Ciphertext, plaintext: &fhe::Plaintext) -> Result<()> {
    let product = fhe::multiply_no_relinearize(x, x)?;
    let mut sum = fhe::clone_ciphertext(x)?;
    report("add", || fhe::add(x, x).map(drop))?;
    report("add in place", || fhe::add_in_place(sum.pin_mut(), x))?;
    report("multiply by plaintext", || fhe::multiply_plain(x, plaintext).map(drop))?;
    report("multiply by constant", || fhe::multiply_constant(x, 0.3, 1e12).map(drop))?;
    report("multiply, no relinearization", || fhe::multiply_no_relinearize(x, x).map(drop))?;
    report("relinearize", || fhe::relinearize(&product).map(drop))?;
    report("multiply with relinearization", || fhe::multiply(x, x).map(drop))?;
    report("rescale", || fhe::rescale(x).map(drop))
}

fn rotations(x: &fhe::Ciphertext, plaintext: &fhe::ExtendedPlaintext) -> Result<()> {
    let digits = fhe::precompute_digits(x)?;
    let extended = fhe::rotate_extended(x, 1, &digits, true)?;
    let mut sum = fhe::multiply_plain_extended(&extended, plaintext)?;
    report("rotate", || fhe::rotate(x, 1).map(drop))?;
    report("precompute digits", || fhe::precompute_digits(x).map(drop))?;
    report("rotate hoisted", || fhe::rotate_hoisted(x, 1, &digits).map(drop))?;
    report("rotate extended", || fhe::rotate_extended(x, 1, &digits, true).map(drop))?;
    report("multiply by plaintext, extended", || fhe::multiply_plain_extended(&extended, plaintext).map(drop))?;
    report("multiply-accumulate, extended", || fhe::multiply_accumulate_extended(sum.pin_mut(), &extended, plaintext))?;
    let terms: Vec<_> = (0..16).map(|_| fhe::ExtendedTerm { ciphertext: &extended, plaintext }).collect();
    report("inner product of 16, extended", || fhe::inner_product_extended(&terms).map(drop))?;
    report("reduce extended", || fhe::reduce_extended(&extended).map(drop))
}

fn exports(context: &fhe::Context, key: &fhe::SecretKey, x: &fhe::Ciphertext) -> Result<()> {
    let tag = key.key_tag();
    let id = fhe::rotation_key_id(context, 1)?;
    let raw = fhe::export_evaluation_key(&tag, id)?;
    let openfhe = fhe::evaluation_key_to_openfhe_bytes(&tag, id)?;
    println!("rotation key: {} bytes raw, {} bytes in OpenFHE's serialization", raw.len(), openfhe.len());
    report("generate a rotation key", || fhe::generate_rotation_key(key, 1))?;
    report("export a rotation key, raw", || fhe::export_evaluation_key(&tag, id).map(drop))?;
    report("import a rotation key, raw", || fhe::import_evaluation_key(context, &tag, &raw).map(drop))?;
    report("export a rotation key, OpenFHE", || fhe::evaluation_key_to_openfhe_bytes(&tag, id).map(drop))?;
    let raw = fhe::ciphertext_to_bytes(x)?;
    let openfhe = fhe::ciphertext_to_openfhe_bytes(x)?;
    println!("ciphertext: {} bytes raw, {} bytes in OpenFHE's serialization", raw.len(), openfhe.len());
    report("read a ciphertext, raw", || fhe::ciphertext_from_bytes(context, &raw).map(drop))?;
    report("read a ciphertext, OpenFHE", || fhe::deserialize_ciphertext(&openfhe).map(drop))
}

fn main() -> Result<()> {
    if !env::args().any(|argument| argument == "default-allocator") {
        println!("allocator configured: {}", fhe::configure_allocator());
    }
    fhe::set_threads(number(4, fhe::threads()));
    let parameters = parameters();
    let context = fhe::create_context(&parameters)?;
    println!(
        "OpenFHE {}, N {}, {} limbs, {} digits, {} threads, log2(QP) {:.0}",
        fhe::openfhe_version(),
        context.ring_dimension(),
        context.limb_count(),
        context.digit_count(),
        fhe::threads(),
        context.log2_qp()
    );
    let keys = fhe::generate_key_pair(&context)?;
    fhe::generate_multiplication_key(&keys.secret_key)?;
    fhe::generate_rotation_key(&keys.secret_key, 1)?;
    let (slots, scale) = (parameters.slots, context.scaling_factors()[0]);
    let values: Vec<f64> = (0..slots).map(|i| f64::from(i % 1000) / 1000.0 - 0.5).collect();
    let plaintext = fhe::encode(&context, &values, slots, 0, scale)?;
    let extended = fhe::encode_extended(&context, &values, slots, 0, scale)?;
    let ciphertext = fhe::encrypt(&keys.public_key, &plaintext)?;

    report("encode", || fhe::encode(&context, &values, slots, 0, scale).map(drop))?;
    report("encode extended", || fhe::encode_extended(&context, &values, slots, 0, scale).map(drop))?;
    report("encrypt", || fhe::encrypt(&keys.public_key, &plaintext).map(drop))?;
    report("decrypt", || fhe::decrypt(&keys.secret_key, &ciphertext, scale).map(drop))?;
    arithmetic(&ciphertext, &plaintext)?;
    rotations(&ciphertext, &extended)?;
    exports(&context, &keys.secret_key, &ciphertext)
}
