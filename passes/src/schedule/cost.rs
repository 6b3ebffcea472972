//! Predicted time of the values of a slots program, before their levels are known.

use paf_ir::program::ValueId;
use paf_ir::slots::{Op, SlotProgram};
use paf_scheme::{Prices, Work, WorkKind};

use super::structure::Structure;

/// Seconds of a value with what becomes of it, by the level it ends at, from 0 to the highest.
pub(super) fn value_seconds(
    prices: &Prices<'_>,
    slots: &SlotProgram,
    structure: &Structure,
    value: ValueId,
    highest: u32,
) -> Vec<f64> {
    let each = slots.value(value).ty.ciphertexts as f64;
    let waits = structure.waits(value);
    let at = |level: u32| {
        let before_rescale = level + u32::from(waits || structure.rescales(value));
        let mut work = match &slots.value(value).op {
            Op::Input(_) => Work::default(),
            Op::Linear { map, .. } => return prices.seconds_of(prices.linear(map.index(), level)),
            Op::Rotate { .. } => Work::of(WorkKind::KeySwitch, prices.key_switch(level)),
            Op::Mul(..) => Work::of(WorkKind::Product, prices.product(level + 1)),
            _ => Work::of(WorkKind::Addition, prices.addition(before_rescale)),
        };
        if structure.relinearizes(value) {
            work[WorkKind::KeySwitch] += prices.key_switch(before_rescale);
        }
        if structure.rescales(value) {
            work[WorkKind::Rescale] += prices.rescale(level);
        }
        prices.seconds_of(work * each)
    };
    (0..=highest).map(at).collect()
}
