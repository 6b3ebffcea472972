//! The exports of the bridge as byte vectors: the crate's own formats, and OpenFHE's serialization.

use cxx::{CxxString, Exception, UniquePtr};

use crate::bridge::ffi::{self, Ciphertext, Context, PublicKey, SecretKey};

type Result<T> = std::result::Result<T, Exception>;

fn filled(size: usize, fill: impl FnOnce(&mut [u8]) -> Result<()>) -> Result<Vec<u8>> {
    let mut bytes = vec![0; size];
    fill(&mut bytes)?;
    Ok(bytes)
}

fn to_vec(text: UniquePtr<CxxString>) -> Vec<u8> {
    text.as_bytes().to_vec()
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

/// OpenFHE's serialization of a context.
pub fn context_to_openfhe_bytes(context: &Context) -> Result<Vec<u8>> {
    ffi::serialize_context(context).map(to_vec)
}

/// OpenFHE's serialization of a public key, with its context.
pub fn public_key_to_openfhe_bytes(key: &PublicKey) -> Result<Vec<u8>> {
    ffi::serialize_public_key(key).map(to_vec)
}

/// OpenFHE's serialization of a secret key, with its context. The caller overwrites the bytes after use.
pub fn secret_key_to_openfhe_bytes(key: &SecretKey) -> Result<Vec<u8>> {
    ffi::serialize_secret_key(key).map(to_vec)
}

/// OpenFHE's serialization of a ciphertext, with its context.
pub fn ciphertext_to_openfhe_bytes(ciphertext: &Ciphertext) -> Result<Vec<u8>> {
    ffi::serialize_ciphertext(ciphertext).map(to_vec)
}

/// OpenFHE's serialization of one evaluation key, with its context.
pub fn evaluation_key_to_openfhe_bytes(tag: &str, id: u32) -> Result<Vec<u8>> {
    ffi::serialize_evaluation_key(tag, id).map(to_vec)
}
