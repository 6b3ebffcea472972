//! How the values of a slots program depend on each other's levels, before any level is assigned.

use paf_ir::program::{Operation, ValueId};
use paf_ir::slots::{Op, SlotProgram};

/// What becomes of each value when it is lowered to ciphertexts.
pub(super) struct Structure {
    /// Values that come out as products: they are rescaled, or wait.
    products: Vec<bool>,
    /// Products that a sum rescales later: their one reader is a sum of products.
    waiting: Vec<bool>,
    /// Products of three parts: they are relinearized, or wait.
    triples: Vec<bool>,
}

impl Structure {
    pub(super) fn new(slots: &SlotProgram) -> Self {
        let readers = readers(slots);
        let (products, waiting) = products(slots, &readers);
        let mut triples = vec![false; slots.len()];
        for (id, value) in slots.values() {
            let waits = |x: &ValueId| waiting[x.index()] && triples[x.index()];
            triples[id.index()] = match &value.op {
                Op::Mul(..) => true,
                Op::Add(..) | Op::Sub(..) | Op::AddConstant(..) => value.op.operands().iter().any(waits),
                _ => false,
            };
        }
        Structure { products, waiting, triples }
    }

    /// Whether a value is a product that a sum rescales later.
    pub(super) fn waits(&self, value: ValueId) -> bool {
        self.waiting[value.index()]
    }

    /// Whether a value is rescaled as soon as it is there.
    pub(super) fn rescales(&self, value: ValueId) -> bool {
        self.products[value.index()] && !self.waiting[value.index()]
    }

    /// Whether a value is relinearized as soon as it is there.
    pub(super) fn relinearizes(&self, value: ValueId) -> bool {
        self.triples[value.index()] && !self.waiting[value.index()]
    }
}

/// Levels that an operation takes from its operands.
pub(super) fn depth(op: &Op) -> u32 {
    match op {
        Op::Linear { .. } | Op::Mul(..) | Op::Scale(..) => 1,
        _ => 0,
    }
}

fn readers(slots: &SlotProgram) -> Vec<Vec<Option<ValueId>>> {
    let mut readers = vec![Vec::new(); slots.len()];
    for (id, value) in slots.values() {
        let mut operands = value.op.operands();
        operands.dedup();
        operands.into_iter().for_each(|operand| readers[operand.index()].push(Some(id)));
    }
    slots.outputs.iter().for_each(|port| readers[port.value.index()].push(None));
    readers
}

/// Which values are products, and which of them wait: products, and sums and offsets of such, whose one reader is
/// again such a sum.
fn products(slots: &SlotProgram, readers: &[Vec<Option<ValueId>>]) -> (Vec<bool>, Vec<bool>) {
    let mut is_product = vec![false; slots.len()];
    for (id, value) in slots.values() {
        let product = |x: &ValueId| is_product[x.index()] && readers[x.index()].len() == 1;
        is_product[id.index()] = match &value.op {
            Op::Mul(..) | Op::Scale(..) => true,
            Op::Add(a, b) | Op::Sub(a, b) => product(a) && product(b),
            Op::AddConstant(_, x) => product(x),
            _ => false,
        };
    }
    let sums = |reader: ValueId| {
        matches!(slots.value(reader).op, Op::Add(..) | Op::Sub(..) | Op::AddConstant(..)) && is_product[reader.index()]
    };
    let waits = |index: usize| is_product[index] && matches!(readers[index][..], [Some(reader)] if sums(reader));
    let waiting = (0..slots.len()).map(waits).collect();
    (is_product, waiting)
}
