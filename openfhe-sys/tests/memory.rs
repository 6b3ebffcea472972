//! Memory over a long run, in a process of its own: freed limbs must be found again.

use std::fs;

use openfhe_reference as fhe;

const SLOTS: u32 = 1 << 13;

/// What the process holds, in bytes; `None` where the system does not say.
fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

#[test]
fn two_hundred_rotations_do_not_grow() {
    fhe::configure_allocator();
    fhe::set_threads(2).unwrap();
    let context = fhe::create_context(&fhe::ContextParameters {
        ring_dimension: 2 * SLOTS,
        slots: SLOTS,
        multiplicative_depth: 7,
        scaling_mod_bits: 45,
        first_mod_bits: 55,
        digits: 2,
        scaling_technique: fhe::ScalingTechnique::FlexibleAuto,
        secret_key_distribution: fhe::SecretKeyDistribution::UniformTernary,
        security_level: fhe::SecurityLevel::NotSet,
    })
    .expect("the parameters are valid");
    let keys = fhe::generate_key_pair(&context).expect("key generation");
    fhe::generate_rotation_keys(&keys.secret_key, &[1]).expect("key generation");
    let plaintext = fhe::encode(&context, &vec![0.5; SLOTS as usize], SLOTS, 0, context.scaling_factors().unwrap()[0]);
    let mut x = fhe::encrypt(&keys.public_key, &plaintext.expect("it fits")).expect("the key fits");
    let mut rotate = |times: usize| {
        for _ in 0..times {
            x = fhe::rotate(&x, 1).expect("the key is there");
        }
    };
    const ROTATIONS: usize = 200;
    // A rotation that loses memory makes every stretch grow. The heaps of two threads settle at their own pace,
    // which is why one stretch that does not grow is enough, and why the first ones need not be it.
    const STRETCHES: usize = 6;
    // One limb lost in every eighth rotation is more than this.
    let limb = u64::from(2 * SLOTS) * 8;
    let allowed = ROTATIONS as u64 / 8 * limb;
    rotate(100);
    let Some(mut before) = resident_bytes() else { return };
    let mut least = u64::MAX;
    for _ in 0..STRETCHES {
        rotate(ROTATIONS);
        let after = resident_bytes().expect("it was there before");
        println!("{before} bytes before {ROTATIONS} rotations, {after} after");
        least = least.min(after.saturating_sub(before));
        before = after;
    }
    assert!(least < allowed, "each of {STRETCHES} stretches of {ROTATIONS} rotations grew by {least} bytes or more");
}
