//! What the tests and benchmarks of all crates share: files, images, networks, programs, oracles, both parties.
//!
//! A test that takes [`shared`] files carries `#[ignore = "needs PAF_SHARED"]`, so that the runner counts it where they
//! are not; `.ci/run` runs it where they are. Nothing here decides what a test asserts, and everything here panics where
//! it cannot do what it says: the test fails by name.

pub mod arrays;
#[cfg(feature = "onnx")]
pub mod backend;
#[cfg(feature = "circuits")]
pub mod circuits;
pub mod client_part;
pub mod digits;
pub mod images;
pub mod networks;
#[cfg(feature = "onnx")]
pub mod onnx;
#[cfg(feature = "parties")]
pub mod parties;
mod places;
pub mod program;
pub mod python;
pub mod random;

pub use places::{entries, file_name, repository, shared, shared_if_there, stem, testdata};
