//! The exports of the bridge as byte vectors.

use cxx::Exception;

use crate::bridge::ffi::{self, Ciphertext, LooseKey, PublicKey, SecretKey};

type Result<T> = std::result::Result<T, Exception>;

fn filled(size: usize, fill: impl FnOnce(&mut [u8]) -> Result<()>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    refill(&mut bytes, size, fill)?;
    Ok(bytes)
}

/// Gives a buffer another content, in the memory that it has.
fn refill(bytes: &mut Vec<u8>, size: usize, fill: impl FnOnce(&mut [u8]) -> Result<()>) -> Result<()> {
    bytes.resize(size, 0);
    fill(bytes)
}

/// Replaces `bytes` by one evaluation key: its id, its primes and its raw limbs. No tag is inside.
pub fn evaluation_key_into(key: &LooseKey, bytes: &mut Vec<u8>) -> Result<()> {
    refill(bytes, ffi::evaluation_key_size(key)?, |out| ffi::export_evaluation_key_into(key, out))
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
    let mut bytes = Vec::new();
    ciphertext_into(ciphertext, &ciphertext.key_tag()?, &mut bytes)?;
    Ok(bytes)
}

/// Replaces `bytes` by a ciphertext with its level, scale and slots, and with this tag.
pub fn ciphertext_into(ciphertext: &Ciphertext, tag: &str, bytes: &mut Vec<u8>) -> Result<()> {
    refill(bytes, ffi::ciphertext_size(ciphertext, tag)?, |out| ffi::export_ciphertext_into(ciphertext, tag, out))
}
