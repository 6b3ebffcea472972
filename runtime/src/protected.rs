//! Secret keys under a passphrase.
//!
//! The body of such a file is `version u32 · salt (16) · sealed`, where `sealed` is what XChaCha20-Poly1305 makes of the
//! circuit's fingerprint, the id of the key pair and the secret key, with a key that Argon2i derives from the passphrase. Costs
//! belong to the version: a file of a stranger cannot ask for more.

use std::fmt;

use orion::aead;
use orion::kdf::{self, Password, Salt};
use paf_circuit::container::Binding;
use zeroize::Zeroizing;

use crate::error::{Result, RuntimeError};

const VERSION: u32 = 1;

/// Bytes of the salt.
const SALT: usize = 16;

/// Argon2i's memory in KiB and passes over it: some tenths of a second.
const MEMORY: u32 = 48 << 10;
const ITERATIONS: u32 = 4;

/// Bytes of the derived key.
const KEY: u32 = 32;

/// What a secret key is protected by; overwritten when it is dropped.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// A text that is not empty.
    ///
    /// # Errors
    /// [`RuntimeError::NoPassphrase`].
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = Zeroizing::new(text.into());
        if text.is_empty() { Err(RuntimeError::NoPassphrase) } else { Ok(Passphrase(text)) }
    }

    /// Whether two are the same.
    pub fn is(&self, other: &Passphrase) -> bool {
        self.0 == other.0
    }

    fn key(&self, salt: &[u8]) -> Option<aead::SecretKey> {
        let password = Password::from_slice(self.0.as_bytes()).ok()?;
        kdf::derive_key(&password, &Salt::from_slice(salt).ok()?, ITERATIONS, MEMORY, KEY).ok()
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase")
    }
}

/// The body of a file that holds this secret key.
pub(crate) fn seal(passphrase: &Passphrase, binding: &Binding, key: &[u8]) -> Result<Vec<u8>> {
    let plain = Zeroizing::new([&binding.fingerprint.0[..], &binding.key.0, key].concat());
    let sealed = || {
        let salt = Salt::generate(SALT).ok()?;
        let sealed = aead::seal(&passphrase.key(salt.as_ref())?, &plain).ok()?;
        Some([&VERSION.to_le_bytes(), salt.as_ref(), &sealed].concat())
    };
    sealed().ok_or(RuntimeError::Sealing)
}

/// The secret key in such a body. That the passphrase is another one cannot be told from damage.
pub(crate) fn open(passphrase: &Passphrase, binding: &Binding, body: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let key = || {
        let (version, rest) = body.split_first_chunk::<4>()?;
        let (salt, sealed) = rest.split_first_chunk::<SALT>()?;
        if u32::from_le_bytes(*version) != VERSION {
            return None;
        }
        let plain = Zeroizing::new(aead::open(&passphrase.key(salt)?, sealed).ok()?);
        let key = plain.strip_prefix(&binding.fingerprint.0)?.strip_prefix(&binding.key.0)?;
        Some(Zeroizing::new(key.to_vec()))
    };
    key().ok_or(RuntimeError::WrongPassphrase)
}

#[cfg(test)]
mod tests {
    use paf_circuit::Fingerprint;
    use paf_circuit::container::KeyId;

    use super::*;

    #[test]
    fn only_the_passphrase_opens_what_it_sealed() {
        let binding = Binding { fingerprint: Fingerprint([1; 32]), key: KeyId([2; 32]) };
        let passphrase = |text: &str| Passphrase::new(text).unwrap();
        let sealed = seal(&passphrase("correct horse"), &binding, b"ternary").unwrap();
        assert!(!sealed.windows(7).any(|bytes| bytes == b"ternary"));
        assert_eq!(**open(&passphrase("correct horse"), &binding, &sealed).unwrap(), *b"ternary");
        let mut damaged = sealed.clone();
        *damaged.last_mut().unwrap() ^= 1;
        let other = Binding { key: KeyId([3; 32]), ..binding };
        let wrong = [
            open(&passphrase("correct house"), &binding, &sealed),
            open(&passphrase("correct horse"), &binding, &damaged),
            open(&passphrase("correct horse"), &other, &sealed),
            open(&passphrase("correct horse"), &binding, &sealed[..19]),
        ];
        let messages: Vec<String> = wrong.into_iter().map(|result| result.unwrap_err().to_string()).collect();
        assert!(messages.iter().all(|message| *message == RuntimeError::WrongPassphrase.to_string()), "{messages:?}");
        assert!(matches!(Passphrase::new(""), Err(RuntimeError::NoPassphrase)));
        assert_eq!(format!("{:?}", passphrase("correct horse")), "Passphrase");
    }
}
