//! Placeholder.
pub mod paf;
