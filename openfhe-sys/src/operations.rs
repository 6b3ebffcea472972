//! The operations of the bridge that return a new ciphertext instead of changing their first operand.

use std::pin::Pin;

use cxx::{Exception, UniquePtr};

use crate::bridge::ffi::{self, Ciphertext};

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

/// The ciphertext and its scale divided by its last prime.
pub fn rescale(ciphertext: &Ciphertext) -> Result<UniquePtr<Ciphertext>> {
    on_copy(ciphertext, ffi::rescale_in_place)
}

/// The ciphertext without its last `count` limbs; message and scale stay.
pub fn drop_levels(ciphertext: &Ciphertext, count: u32) -> Result<UniquePtr<Ciphertext>> {
    on_copy(ciphertext, |copy| ffi::drop_levels_in_place(copy, count))
}
