//! Levels, rescales and relinearizations: from slot vectors to ciphertexts.
//!
//! Every value runs at the lowest level its readers allow (levels are assigned from the outputs backwards), where
//! limbs are fewest. A product that is only added to other products waits with its rescale and relinearization until
//! the whole sum is there.

use std::collections::BTreeMap;
use std::sync::Arc;

use paf_ir::ckks::{CkksProgram, Kind, Level, Op as CkksOp};
use paf_ir::program::{Operation, OutputPort, ValueId};
use paf_ir::slots::{Op, SlotProgram};

use crate::error::PassError;

/// Lowers a slots program to ciphertexts without bootstraps.
///
/// # Errors
/// [`PassError::Ir`] only for a program that was not verified.
pub(super) fn assign(slots: &SlotProgram) -> Result<CkksProgram, PassError> {
    let readers = readers(slots);
    let waiting = waiting_products(slots, &readers);
    let levels = needed_levels(slots);
    let program = CkksProgram::new(slots.slots, slots.maps.clone(), slots.inputs.clone());
    let mut lowering = Lowering { slots, waiting, levels, program, images: vec![], dropped: BTreeMap::new() };
    lowering.run()?;
    Ok(lowering.program)
}

/// Values that read each value; an output reads once more, as `None`.
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

/// Which values are computed as products that a sum rescales later: products, and sums and offsets of such, whose one
/// reader is again such a sum.
fn waiting_products(slots: &SlotProgram, readers: &[Vec<Option<ValueId>>]) -> Vec<bool> {
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
    (0..slots.len())
        .map(|index| is_product[index] && matches!(readers[index][..], [Some(reader)] if sums(reader)))
        .collect()
}

/// The level each value is needed at: at rest, or the level after its rescale where it waits.
fn needed_levels(slots: &SlotProgram) -> Vec<u32> {
    let mut levels = vec![0; slots.len()];
    let values: Vec<_> = slots.values().collect();
    for (id, value) in values.into_iter().rev() {
        let own = levels[id.index()];
        let operand_level = match &value.op {
            Op::Linear { .. } | Op::Mul(..) | Op::Scale(..) => own + 1,
            _ => own,
        };
        for operand in value.op.operands() {
            let level = &mut levels[operand.index()];
            *level = (*level).max(operand_level);
        }
    }
    levels
}

struct Lowering<'a> {
    slots: &'a SlotProgram,
    waiting: Vec<bool>,
    levels: Vec<u32>,
    program: CkksProgram,
    images: Vec<ValueId>,
    dropped: BTreeMap<(ValueId, u32), ValueId>,
}

impl Lowering<'_> {
    fn run(&mut self) -> Result<(), PassError> {
        for (id, value) in self.slots.values() {
            let level = self.levels[id.index()];
            let image = self.lower(&value.name, &value.op, level)?;
            let image = if self.waiting[id.index()] { image } else { self.settle(&value.name, image)? };
            self.images.push(image);
        }
        for port in &self.slots.outputs {
            let value = self.at_level(port.value, 0)?;
            self.program.outputs.push(OutputPort { value, ..port.clone() });
        }
        Ok(())
    }

    fn lower(&mut self, name: &Arc<str>, op: &Op, level: u32) -> Result<ValueId, PassError> {
        let op = match *op {
            Op::Input(port) => CkksOp::Input { port, level: Level(level) },
            Op::Linear { map, input } => CkksOp::Linear { map, input: self.images[input.index()], level: Level(level) },
            Op::Rotate { steps, input } => CkksOp::Rotate { steps, input: self.at_level(input, level)? },
            Op::Add(a, b) => CkksOp::Add(self.at_level(a, level)?, self.at_level(b, level)?),
            Op::Sub(a, b) => CkksOp::Sub(self.at_level(a, level)?, self.at_level(b, level)?),
            Op::Mul(a, b) => CkksOp::Mul(self.at_level(a, level + 1)?, self.at_level(b, level + 1)?),
            Op::Scale(constant, input) => {
                CkksOp::MulConstant { constant, input: self.images[input.index()], level: Level(level + 1) }
            }
            Op::AddConstant(constant, input) => CkksOp::AddConstant { constant, input: self.at_level(input, level)? },
        };
        Ok(self.program.push(name.clone(), op)?)
    }

    /// Relinearizes and rescales a product.
    fn settle(&mut self, name: &Arc<str>, value: ValueId) -> Result<ValueId, PassError> {
        let mut settled = value;
        if self.program.value(settled).ty.parts == 3 {
            settled = self.program.push(name.clone(), CkksOp::Relinearize(settled))?;
        }
        if self.program.value(settled).ty.kind == Kind::Product {
            settled = self.program.push(name.clone(), CkksOp::Rescale(settled))?;
        }
        Ok(settled)
    }

    /// A value at rest brought to a lower level, once; a waiting product as it is.
    fn at_level(&mut self, operand: ValueId, level: u32) -> Result<ValueId, PassError> {
        let image = self.images[operand.index()];
        let ty = self.program.value(image).ty;
        if ty.kind == Kind::Product || ty.level == Level(level) {
            return Ok(image);
        }
        if let Some(&known) = self.dropped.get(&(image, level)) {
            return Ok(known);
        }
        let name = self.program.value(image).name.clone();
        let dropped = self.program.push(name, CkksOp::Drop { input: image, level: Level(level) })?;
        self.dropped.insert((image, level), dropped);
        Ok(dropped)
    }
}
