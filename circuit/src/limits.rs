//! Sizes beyond which a reader refuses a file, whatever its checksums say.
//!
//! They are far above what the parameters of the scheme allow in practice, and low enough that no product of sizes
//! overflows and that a small file cannot ask for much memory or time: [`Budget`] bounds what all parts of a file ask for
//! together, by its length.

/// Largest ring dimension: the last row of the security table.
pub const RING_DIMENSION: u64 = 1 << 17;

/// Most levels of a circuit.
pub const LEVELS: u32 = 1000;

/// Most levels for each of a bootstrap's two transforms: one for each of its layers of butterflies.
pub const BOOTSTRAP_BUDGET: u32 = 16;

/// Most bits of the first of two iterations of a bootstrap.
pub const REFINEMENT_BITS: u32 = 30;

/// Most elements of a tensor, and most slots of a layout over all its ciphertexts.
pub const ELEMENTS: u64 = 1 << 22;

/// Slots that the layouts of any file may have together, beside one for each of its bytes.
pub const LAYOUT_SLOTS: u64 = 1 << 23;

/// Entries that the linear maps of any file may have together, beside [`ENTRIES_OF_BYTE`].
pub const ENTRIES: u64 = 1 << 29;

/// Entries for each of a file's bytes: a weight of a convolution stands once for each place of the output.
pub const ENTRIES_OF_BYTE: u64 = 1 << 14;

/// What a file of some length may ask for.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Slots of layouts that are left.
    pub layout_slots: u64,
    /// Entries of linear maps that are left.
    pub entries: u64,
}

impl Budget {
    /// Of a body of so many bytes.
    pub fn of(bytes: usize) -> Self {
        let bytes = bytes as u64;
        Budget {
            layout_slots: LAYOUT_SLOTS.saturating_add(bytes),
            entries: ENTRIES.saturating_add(ENTRIES_OF_BYTE.saturating_mul(bytes)),
        }
    }
}

/// Largest side of a window, its input, its pads, strides and dilations; largest repeat count of a dense factor.
pub const SIDE: u64 = 1 << 17;

/// Most axes of a tensor.
pub const AXES: usize = 8;
