//! The exports of the bridge as byte vectors.

use cxx::Exception;

use crate::bridge::ffi::{self, Ciphertext, PublicKey, SecretKey};

type Result<T> = std::result::Result<T, Exception>;

fn filled(size: usize, fill: impl FnOnce(&mut [u8]) -> Result<()>) -> Result<Vec<u8>> {
    let mut bytes = vec![0; size];
    fill(&mut bytes)?;
    Ok(bytes)
}

/// One evaluation key: its id, its primes and its raw limbs. The tag is not inside.
pub fn export_evaluation_key(tag: &str, id: u32) -> Result<Vec<u8>> {
    filled(ffi::evaluation_key_size(tag, id)?, |out| ffi::export_evaluation_key_into(tag, id, out))
}

/// A public key with its tag.
pub fn public_key_to_bytes(key: &PublicKey) -> Result<Vec<u8>> {
    filled(ffi::public_key_size(key)?, |out| ffi::export_public_key_into(key, out))
}

/// A secret key with its tag: N bytes and a header. The caller overwrites the bytes after use.
pub fn secret_key_to_bytes(key: &SecretKey) -> Result<Vec<u8>> {
    filled(ffi::secret_key_size(key)?, |out| ffi::export_secret_key_into(key, out))
}

/// A ciphertext with its tag, level, scale and slots.
pub fn ciphertext_to_bytes(ciphertext: &Ciphertext) -> Result<Vec<u8>> {
    filled(ffi::ciphertext_size(ciphertext)?, |out| ffi::export_ciphertext_into(ciphertext, out))
}
