//! The operations of the bridge that return a new ciphertext instead of changing their first operand.

use std::pin::Pin;

use cxx::{Exception, UniquePtr};

use crate::bridge::ffi::{self, Ciphertext, Plaintext};

type Result<T> = std::result::Result<T, Exception>;

fn on_copy(
    ciphertext: &Ciphertext,
    operation: impl FnOnce(Pin<&mut Ciphertext>) -> Result<()>,
) -> Result<UniquePtr<Ciphertext>> {
    let mut copy = ffi::clone_ciphertext(ciphertext)?;
    operation(copy.pin_mut())?;
    Ok(copy)
}

/// `left + right`.
pub fn add(left: &Ciphertext, right: &Ciphertext) -> Result<UniquePtr<Ciphertext>> {
    on_copy(left, |copy| ffi::add_in_place(copy, right))
}

/// `left - right`.
pub fn subtract(left: &Ciphertext, right: &Ciphertext) -> Result<UniquePtr<Ciphertext>> {
    on_copy(left, |copy| ffi::subtract_in_place(copy, right))
}

/// `-ciphertext`.
pub fn negate(ciphertext: &Ciphertext) -> Result<UniquePtr<Ciphertext>> {
    on_copy(ciphertext, ffi::negate_in_place)
}

/// `ciphertext + plaintext`, which have the same scale.
pub fn add_plain(ciphertext: &Ciphertext, plaintext: &Plaintext) -> Result<UniquePtr<Ciphertext>> {
    on_copy(ciphertext, |copy| ffi::add_plain_in_place(copy, plaintext))
}

/// `ciphertext - plaintext`, which have the same scale.
pub fn subtract_plain(ciphertext: &Ciphertext, plaintext: &Plaintext) -> Result<UniquePtr<Ciphertext>> {
    on_copy(ciphertext, |copy| ffi::subtract_plain_in_place(copy, plaintext))
}

/// `ciphertext * plaintext`; the scales multiply.
pub fn multiply_plain(ciphertext: &Ciphertext, plaintext: &Plaintext) -> Result<UniquePtr<Ciphertext>> {
    on_copy(ciphertext, |copy| ffi::multiply_plain_in_place(copy, plaintext))
}

/// `ciphertext + value`, encoded at the ciphertext's `scale`.
pub fn add_constant(ciphertext: &Ciphertext, value: f64, scale: f64) -> Result<UniquePtr<Ciphertext>> {
    on_copy(ciphertext, |copy| ffi::add_constant_in_place(copy, value, scale))
}

/// `ciphertext * value`, with the value rounded at `scale`; the scales multiply.
pub fn multiply_constant(ciphertext: &Ciphertext, value: f64, scale: f64) -> Result<UniquePtr<Ciphertext>> {
    on_copy(ciphertext, |copy| ffi::multiply_constant_in_place(copy, value, scale))
}

/// `ciphertext * factor`; the scale stays.
pub fn multiply_integer(ciphertext: &Ciphertext, factor: i64) -> Result<UniquePtr<Ciphertext>> {
    on_copy(ciphertext, |copy| ffi::multiply_integer_in_place(copy, factor))
}

/// The ciphertext in two parts.
pub fn relinearize(ciphertext: &Ciphertext) -> Result<UniquePtr<Ciphertext>> {
    on_copy(ciphertext, ffi::relinearize_in_place)
}

/// `left * right`, relinearized and not rescaled; the scales multiply.
pub fn multiply(left: &Ciphertext, right: &Ciphertext) -> Result<UniquePtr<Ciphertext>> {
    let mut product = ffi::multiply_no_relinearize(left, right)?;
    ffi::relinearize_in_place(product.pin_mut())?;
    Ok(product)
}

/// `ciphertext * ciphertext`, relinearized and not rescaled; the scales multiply.
pub fn square(ciphertext: &Ciphertext) -> Result<UniquePtr<Ciphertext>> {
    let mut product = ffi::square_no_relinearize(ciphertext)?;
    ffi::relinearize_in_place(product.pin_mut())?;
    Ok(product)
}

/// The ciphertext and its scale divided by its last prime.
pub fn rescale(ciphertext: &Ciphertext) -> Result<UniquePtr<Ciphertext>> {
    on_copy(ciphertext, ffi::rescale_in_place)
}

/// The ciphertext without its last `count` limbs; message and scale stay.
pub fn drop_levels(ciphertext: &Ciphertext, count: u32) -> Result<UniquePtr<Ciphertext>> {
    on_copy(ciphertext, |copy| ffi::drop_levels_in_place(copy, count))
}
