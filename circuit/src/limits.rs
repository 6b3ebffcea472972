//! Sizes beyond which a reader refuses a file, whatever its checksums say.
//!
//! They are far above what the parameters of the scheme allow in practice, and low enough that no product of sizes
//! overflows and that a small file cannot ask for much memory.

/// Largest ring dimension: the last row of the security table.
pub const RING_DIMENSION: u64 = 1 << 17;

/// Most levels of a circuit.
pub const LEVELS: u32 = 1000;

/// Most levels for each of a bootstrap's two transforms: one for each of its layers of butterflies.
pub const BOOTSTRAP_BUDGET: u32 = 16;

/// Most bits of the first of two iterations of a bootstrap.
pub const REFINEMENT_BITS: u32 = 30;

/// Most elements of a tensor, and most slots of a layout over all its ciphertexts.
pub const ELEMENTS: u64 = 1 << 24;

/// Most slots of all different layouts of a file together.
pub const LAYOUT_SLOTS: u64 = 1 << 27;

/// Largest side of a window, its input, its pads, strides and dilations; largest repeat count of a dense factor.
pub const SIDE: u64 = 1 << 17;

/// Most axes of a tensor.
pub const AXES: usize = 8;
