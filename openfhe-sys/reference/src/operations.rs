//! Operations that return a new ciphertext instead of changing their first operand, and bytes of keys in the process-wide
//! maps, where only tests want that.

use std::pin::Pin;

use openfhe_sys::{self as fhe, Ciphertext, Context, Exception, Plaintext, UniquePtr};

use crate::bridge::ffi;

type Result<T> = std::result::Result<T, Exception>;

fn on_copy(
    ciphertext: &Ciphertext,
    operation: impl FnOnce(Pin<&mut Ciphertext>) -> Result<()>,
) -> Result<UniquePtr<Ciphertext>> {
    let mut copy = fhe::clone_ciphertext(ciphertext)?;
    operation(copy.pin_mut())?;
    Ok(copy)
}

/// `left - right`.
pub fn subtract(left: &Ciphertext, right: &Ciphertext) -> Result<UniquePtr<Ciphertext>> {
    on_copy(left, |copy| fhe::subtract_in_place(copy, right))
}

/// `ciphertext + plaintext`, which have the same scale.
pub fn add_plain(ciphertext: &Ciphertext, plaintext: &Plaintext) -> Result<UniquePtr<Ciphertext>> {
    on_copy(ciphertext, |copy| fhe::add_plain_in_place(copy, plaintext))
}

/// `ciphertext * plaintext`; the scales multiply.
pub fn multiply_plain(ciphertext: &Ciphertext, plaintext: &Plaintext) -> Result<UniquePtr<Ciphertext>> {
    on_copy(ciphertext, |copy| ffi::multiply_plain_in_place(copy, plaintext))
}

/// `ciphertext + value`, encoded at the ciphertext's `scale`.
pub fn add_constant(ciphertext: &Ciphertext, value: f64, scale: f64) -> Result<UniquePtr<Ciphertext>> {
    on_copy(ciphertext, |copy| fhe::add_constant_in_place(copy, value, scale))
}

/// `ciphertext * value`, with the value rounded at `scale`; the scales multiply.
pub fn multiply_constant(ciphertext: &Ciphertext, value: f64, scale: f64) -> Result<UniquePtr<Ciphertext>> {
    on_copy(ciphertext, |copy| fhe::multiply_constant_in_place(copy, value, scale))
}

/// The ciphertext in two parts.
pub fn relinearize(ciphertext: &Ciphertext) -> Result<UniquePtr<Ciphertext>> {
    on_copy(ciphertext, fhe::relinearize_in_place)
}

/// `left * right`, relinearized and not rescaled; the scales multiply.
pub fn multiply(left: &Ciphertext, right: &Ciphertext) -> Result<UniquePtr<Ciphertext>> {
    let mut product = fhe::multiply_no_relinearize(left, right)?;
    fhe::relinearize_in_place(product.pin_mut())?;
    Ok(product)
}

/// `ciphertext * ciphertext`, relinearized and not rescaled; the scales multiply.
pub fn square(ciphertext: &Ciphertext) -> Result<UniquePtr<Ciphertext>> {
    let mut product = fhe::square_no_relinearize(ciphertext)?;
    fhe::relinearize_in_place(product.pin_mut())?;
    Ok(product)
}

/// One evaluation key of the process-wide maps, as [`fhe::evaluation_key_into`] writes it.
pub fn export_evaluation_key(tag: &str, id: u32) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fhe::evaluation_key_into(&*fhe::evaluation_key(tag, id)?, &mut bytes)?;
    Ok(bytes)
}

/// Reads one evaluation key into the process-wide maps, under this tag, and gives its id.
pub fn import_evaluation_key(context: &Context, tag: &str, bytes: &[u8]) -> Result<u32> {
    let key = fhe::evaluation_key_from_bytes(context, bytes)?;
    let id = key.id();
    fhe::insert_evaluation_key(tag, key)?;
    Ok(id)
}
