//! Public keys that hide nothing are refused before anything is encrypted under them.
//!
//! A public key is a pair `(b, a)` with a uniform `a` and `b = e - a·s`, which looks uniform too. A pair with zeros, with few
//! values, or small in one of its two forms encrypts to what everybody can read, and so does one without error, which is
//! seen from its quotient `b / a`. That says that a key is none, not that it is yours: a pair whose secret somebody else
//! knows looks like any other. Only its id tells.

use openfhe_sys as fhe;

use fhe::{PublicKeyPart, Representation};

/// Rings below this are in no table of secure parameters, and have too few coefficients to say what is random.
const LEAST_RING_DIMENSION: usize = 1 << 10;

/// How far a quartile of a key's residues may be from where a uniform one is, as a share of the prime: eight standard
/// deviations in the smallest ring.
const QUARTILE_TOLERANCE: f64 = 0.125;

/// What is wrong with a public key, if anything.
///
/// # Errors
/// Those of [`fhe::public_key_residues`].
pub(crate) fn degeneracy(key: &fhe::PublicKey, primes: &[u64]) -> Result<Option<String>, fhe::Exception> {
    let limbs = (0..primes.len() as u32).flat_map(|limb| [(limb, PublicKeyPart::Body), (limb, PublicKeyPart::Mask)]);
    for (limb, part) in limbs.chain([(0, PublicKeyPart::Quotient)]) {
        if let Some(message) = limb_degeneracy(key, part, limb, primes)? {
            return Ok(Some(message));
        }
    }
    Ok(None)
}

fn limb_degeneracy(
    key: &fhe::PublicKey,
    part: PublicKeyPart,
    limb: u32,
    primes: &[u64],
) -> Result<Option<String>, fhe::Exception> {
    for representation in [Representation::Evaluation, Representation::Coefficient] {
        let mut residues = fhe::public_key_residues(key, part, limb, representation)?;
        if residues.len() >= LEAST_RING_DIMENSION && !looks_uniform(&mut residues, primes[limb as usize]) {
            let part = name(part);
            return Ok(Some(format!("the public key hides nothing: {part} modulo prime {limb} is not random")));
        }
    }
    Ok(None)
}

fn name(part: PublicKeyPart) -> &'static str {
    match part {
        PublicKeyPart::Body => "its first half",
        PublicKeyPart::Mask => "its second half",
        _ => "the quotient of its halves",
    }
}

/// Whether residues could be uniform: most of them differ, and their quartiles are where they should be. The prime is at
/// least twice their number, so that of uniform ones four fifths differ.
fn looks_uniform(residues: &mut [u64], prime: u64) -> bool {
    residues.sort_unstable();
    let distinct = residues.chunk_by(|a, b| a == b).count();
    let quartile = |number: usize| residues[number * residues.len() / 4] as f64 / prime as f64;
    let in_place = |number: usize| (quartile(number) - number as f64 / 4.0).abs() < QUARTILE_TOLERANCE;
    2 * distinct >= residues.len() && (1..4).all(in_place)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIME: u64 = (1 << 50) - 27;

    fn check(name: &str, expected: bool, value: impl Fn(u64) -> u64) {
        let mut residues: Vec<u64> = (0..2048).map(value).collect();
        assert_eq!(looks_uniform(&mut residues, PRIME), expected, "{name}");
    }

    /// Knuth's multiplicative hash: spread evenly, which uniform residues are but for their noise.
    fn spread(index: u64) -> u64 {
        (index + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) % PRIME
    }

    #[test]
    fn what_is_not_uniform_is_seen() {
        check("spread", true, spread);
        check("zero", false, |_| 0);
        check("constant", false, |_| PRIME / 3);
        check("few values", false, |i| spread(i % 64));
        check("half of them one value", false, |i| if i % 2 == 0 { PRIME / 2 } else { spread(i) });
        check("counting", false, |i| i);
        check("small, of both signs", false, |i| if i % 2 == 0 { i } else { PRIME - i });
        check("below a third", false, |i| spread(i) / 3);
    }
}
