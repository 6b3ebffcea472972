//! CKKS operations on OpenFHE 1.4.2: a cxx bridge to its calls, RNS arithmetic of our own beside them, and overrides of
//! its functions on residues.
//!
//! The caller manages levels and scales. Nothing here adjusts an operand: operands of a binary operation must have the
//! same limbs, and a rescale happens when [`rescale_in_place`] is called, in FLEXIBLEAUTO contexts too. A *level* is
//! the number of limbs dropped from Q, 0 for a fresh ciphertext; a *scale* is the factor between a slot's value and
//! the integer that encodes it; a *step* is a rotation of the slots to the left.
//!
//! ```
//! use openfhe_sys as fhe;
//! # fn main() -> Result<(), fhe::Exception> {
//! let context = fhe::create_context(&fhe::ContextParameters {
//!     ring_dimension: 1 << 10,
//!     slots: 512,
//!     multiplicative_depth: 2,
//!     scaling_mod_bits: 40,
//!     first_mod_bits: 50,
//!     digits: 2,
//!     scaling_technique: fhe::ScalingTechnique::FlexibleAuto,
//!     secret_key_distribution: fhe::SecretKeyDistribution::UniformTernary,
//!     security_level: fhe::SecurityLevel::NotSet,
//! })?;
//! let keys = fhe::generate_key_pair(&context)?;
//! let key = fhe::generate_evaluation_key(&keys.secret_key, fhe::MULTIPLICATION_KEY, context.limb_count())?;
//! fhe::insert_evaluation_key(&keys.secret_key.key_tag()?, key)?;
//! let scales = context.scaling_factors()?;
//!
//! let plaintext = fhe::encode(&context, &[0.5, -1.5], 512, 0, scales[0])?;
//! let ciphertext = fhe::encrypt(&keys.public_key, &plaintext)?;
//! let mut x = fhe::square_no_relinearize(&ciphertext)?;
//! fhe::relinearize_in_place(x.pin_mut())?;
//! fhe::rescale_in_place(x.pin_mut())?;
//!
//! let result = fhe::decrypt(&keys.secret_key, &x, scales[1])?;
//! assert!((result[0] - 0.25).abs() < 1e-6 && (result[1] - 2.25).abs() < 1e-6);
//! # Ok(())
//! # }
//! ```
//!
//! # Rooms
//!
//! The C++ code (`src/shim`) has three rooms.
//!
//! - `api` calls OpenFHE: contexts, key pairs, encryption, products, rotations, bootstraps, and bytes in formats of our
//!   own.
//! - `rns` computes on residues itself what OpenFHE does not do, or does through temporaries: encoding at any scale and
//!   of many vectors at a time; plaintexts of fewer than N/2 slots, which are polynomials in a power of X and need a
//!   fraction of the words, and sums of their products ([`encode_sparse`]); sums of rotations with one division by P
//!   ([`add_rotations`]); linear transforms in baby and giant steps; the steps of a key switch; evaluation keys for few
//!   limbs ([`generate_evaluation_key`]) and key pairs with a dense secret; and the team of threads for its loops.
//! - `overrides` are definitions of OpenFHE's own functions on limbs, of its hybrid key switch and of the transforms of
//!   its bootstrap, which run the kernels of `paf-kernels` to the same bits: see [`kernels`].
//!
//! The shim decides two things. The overrides run OpenFHE's code where the kernels are not in use or do not take the
//! numbers. And a key has the limbs that were asked for only while the kernels are in use, all of them otherwise, because
//! OpenFHE's key switch takes no other: one that is made or read meanwhile is larger, and the same ciphertexts come out.
//!
//! What only tests and benchmarks call is in the crate `openfhe-reference`.
//!
//! # Ownership
//!
//! Each object is a C++ object behind a [`UniquePtr`] that owns its limbs and is freed when the pointer is dropped.
//! A context is shared: OpenFHE keeps every context alive until [`release_contexts`], and every object keeps its own.
//! Two contexts with equal parameters are one object, and so is what [`setup_bootstrap`] stored in it.
//!
//! # Process-wide keys
//!
//! OpenFHE keeps evaluation keys in static maps, not in objects: operations find them there by the key tag of the
//! ciphertext, and they stay until [`remove_evaluation_key`] or [`clear_rotation_keys`] and
//! [`clear_multiplication_keys`]. A [`LooseKey`] is a key outside of the maps: what [`generate_evaluation_key`] makes and
//! [`evaluation_key_from_bytes`] reads, until [`insert_evaluation_key`] puts it there. OpenFHE's own key
//! generation puts keys there at once. Within a tag, a key has a number as its id:
//! [`MULTIPLICATION_KEY`], or the automorphism index of a rotation or the conjugation; OpenFHE uses the two even
//! numbers 2N − 2 and 2N − 4 for the keys of sparse encapsulation. An operation whose key is missing is an error.
//!
//! # Threads
//!
//! All types are `Send` and `Sync`. Loops over limbs run on [`threads`] threads, those of the calling thread included;
//! one calling thread is the fastest. These change process-wide state and must not run beside anything else: creating
//! and releasing contexts; [`prepare_transforms`], which is needed where contexts of another ring dimension
//! were used since; [`setup_bootstrap`]; inserting and removing evaluation keys, and OpenFHE's own key generation;
//! [`set_threads`] and [`configure_allocator`].
//!
//! # Aliasing
//!
//! No operation keeps a reference to an operand, and operands are never changed through `&`. Rust's borrow rules
//! forbid that the two operands of an in-place operation are the same object, so the shim does not expect it.
//!
//! # Errors
//!
//! An exception of OpenFHE, or of a check in the shim, arrives as an [`Exception`] whose text names the place and the
//! reason. One limit: OpenFHE looks some keys up inside of parallel loops, where an exception would end the process, so
//! [`bootstrap`] checks all keys beforehand. The byte formats (`*_to_bytes`, `*_from_bytes`, evaluation key export and
//! import) check every field; what is in range and wrong needs a checksum around them.
//!
//! # Secrets
//!
//! A [`SecretKey`] overwrites its limbs when it is dropped. Copies that OpenFHE makes while it decrypts or generates
//! keys are freed without being overwritten.

mod bridge;
mod bytes;
pub mod kernels;
mod operations;

pub use bridge::ffi::*;
pub use bytes::*;
pub use cxx::{Exception, UniquePtr};
pub use operations::*;

/// The id of the multiplication key among the evaluation keys of a tag; all others are automorphism indices.
pub const MULTIPLICATION_KEY: u32 = 0;
