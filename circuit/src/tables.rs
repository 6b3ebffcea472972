//! Tables of things that a file stores once and refers to by index.

use std::collections::HashMap;
use std::hash::Hash;

use paf_ir::Layout;
use paf_ir::layout::Gaps;
use paf_ir::tensor::Tensor;
use sha2::{Digest, Sha256};

use crate::{encode, schema};

/// Messages in order of first use, found again by a key that equal content shares.
pub(crate) struct Table<Key, Message> {
    ids: HashMap<Key, u32>,
    pub(crate) messages: Vec<Message>,
}

impl<Key: Hash + Eq, Message> Table<Key, Message> {
    pub(crate) fn new() -> Self {
        Table { ids: HashMap::new(), messages: Vec::new() }
    }

    /// The index of a key's message, which `make` gives the first time.
    pub(crate) fn id(&mut self, key: Key, make: impl FnOnce() -> Message) -> u32 {
        let messages = &mut self.messages;
        *self.ids.entry(key).or_insert_with(|| {
            messages.push(make());
            messages.len() as u32 - 1
        })
    }
}

/// SHA-256 of some content.
pub(crate) type ContentHash = [u8; 32];

/// Weights, equal ones once.
pub(crate) type Constants = Table<ContentHash, schema::Constant>;

impl Constants {
    /// The index of a tensor.
    pub(crate) fn tensor(&mut self, tensor: &Tensor) -> u32 {
        let shape = tensor.shape.0.iter().map(|&axis| axis as u64);
        let mut hash = Sha256::new();
        hash.update((tensor.shape.0.len() as u64).to_le_bytes());
        shape.for_each(|axis| hash.update(axis.to_le_bytes()));
        tensor.data.iter().for_each(|value| hash.update(value.to_le_bytes()));
        self.id(hash.finalize().into(), || encode::constant(tensor))
    }
}

/// Layouts, equal ones once.
pub(crate) type Layouts = Table<ContentHash, schema::Layout>;

impl Layouts {
    /// The index of a layout.
    pub(crate) fn layout(&mut self, layout: &Layout) -> u32 {
        let head = [layout.period as u64, layout.ciphertexts as u64, (layout.gaps == Gaps::Zero) as u64];
        let mut hash = Sha256::new();
        head.iter().for_each(|number| hash.update(number.to_le_bytes()));
        layout.table().iter().for_each(|slot| hash.update(slot.to_le_bytes()));
        self.id(hash.finalize().into(), || encode::layout(layout))
    }
}
