//! Levels, rescales and relinearizations: from slot vectors to ciphertexts.
//!
//! Every value runs at the lowest level its readers allow (levels are assigned from the outputs backwards), where
//! limbs are fewest. A product that is only added to other products waits with its rescale and relinearization until
//! the whole sum is there. A refreshed value runs at the level that a bootstrap needs, and its readers take the copy
//! that the bootstrap makes at the highest level one of them needs.

use std::collections::BTreeMap;
use std::sync::Arc;

use paf_ir::ckks::{CkksProgram, Kind, Level, Op as CkksOp};
use paf_ir::program::{Operation, OutputPort, ValueId};
use paf_ir::slots::{Op, SlotProgram};

use super::structure::{Structure, depth};
use crate::error::PassError;

/// Where bootstraps are.
#[derive(Debug, Clone)]
pub(super) struct Placement {
    /// For each value the slots of its bootstrap, if it is refreshed.
    pub(super) slots: Vec<Option<usize>>,
    /// Level of a value that is refreshed.
    pub(super) source: u32,
}

impl Placement {
    /// No bootstrap anywhere.
    pub(super) fn nowhere(program: &SlotProgram) -> Self {
        Placement { slots: vec![None; program.len()], source: 0 }
    }
}

/// Lowers a slots program to ciphertexts.
///
/// # Errors
/// [`PassError::Ir`] for a program that was not verified, or a placement that refreshes a waiting product.
pub(super) fn assign(
    slots: &SlotProgram,
    structure: &Structure,
    placement: &Placement,
) -> Result<CkksProgram, PassError> {
    let levels = Levels::new(slots, placement);
    let program = CkksProgram::new(slots.slots, slots.maps.clone(), slots.inputs.clone());
    let (dropped, refreshed) = (BTreeMap::new(), BTreeMap::new());
    let mut assignment =
        LevelAssignment { slots, structure, placement, levels, program, images: vec![], refreshed, dropped };
    assignment.run()?;
    Ok(assignment.program)
}

/// Levels at rest, or after the rescale where a value waits.
struct Levels {
    /// What each value is computed at.
    own: Vec<u32>,
    /// The highest that a reader needs.
    needed: Vec<u32>,
}

impl Levels {
    fn new(slots: &SlotProgram, placement: &Placement) -> Self {
        let (mut own, mut needed) = (vec![0; slots.len()], vec![0; slots.len()]);
        let values: Vec<_> = slots.values().collect();
        for (id, value) in values.into_iter().rev() {
            let level = if placement.slots[id.index()].is_some() { placement.source } else { needed[id.index()] };
            own[id.index()] = level;
            for operand in value.op.operands() {
                let need = &mut needed[operand.index()];
                *need = (*need).max(level + depth(&value.op));
            }
        }
        Levels { own, needed }
    }
}

struct LevelAssignment<'a> {
    slots: &'a SlotProgram,
    structure: &'a Structure,
    placement: &'a Placement,
    levels: Levels,
    program: CkksProgram,
    images: Vec<ValueId>,
    /// Bootstrapped copies, made where they are first read: until then the value has two limbs.
    refreshed: BTreeMap<ValueId, ValueId>,
    dropped: BTreeMap<(ValueId, u32), ValueId>,
}

impl LevelAssignment<'_> {
    fn run(&mut self) -> Result<(), PassError> {
        for (id, value) in self.slots.values() {
            let level = self.levels.own[id.index()];
            let image = self.lower(&value.name, &value.op, level)?;
            let image = if self.structure.waits(id) { image } else { self.settle(&value.name, image)? };
            self.images.push(image);
        }
        for port in &self.slots.outputs {
            let value = self.at_level(port.value, 0)?;
            self.program.outputs.push(OutputPort { value, ..port.clone() });
        }
        self.program.client = self.slots.client.clone();
        Ok(())
    }

    fn lower(&mut self, name: &Arc<str>, op: &Op, level: u32) -> Result<ValueId, PassError> {
        let op = match *op {
            Op::Input(port) => CkksOp::Input { port, level: Level(level) },
            Op::Linear { map, input } => {
                CkksOp::Linear { map, input: self.source(input, level + 1)?, level: Level(level) }
            }
            Op::Rotate { steps, input } => CkksOp::Rotate { steps, input: self.at_level(input, level)? },
            Op::Add(a, b) => CkksOp::Add(self.at_level(a, level)?, self.at_level(b, level)?),
            Op::Sub(a, b) => CkksOp::Sub(self.at_level(a, level)?, self.at_level(b, level)?),
            Op::Mul(a, b) => CkksOp::Mul(self.at_level(a, level + 1)?, self.at_level(b, level + 1)?),
            Op::Scale(constant, input) => {
                CkksOp::MulConstant { constant, input: self.source(input, level + 1)?, level: Level(level + 1) }
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

    /// A value at a level or above: itself if it reaches that high, else its refreshed copy.
    fn source(&mut self, operand: ValueId, level: u32) -> Result<ValueId, PassError> {
        let image = self.images[operand.index()];
        let Some(slots) = self.placement.slots[operand.index()].filter(|_| level > self.levels.own[operand.index()])
        else {
            return Ok(image);
        };
        if let Some(&known) = self.refreshed.get(&image) {
            return Ok(known);
        }
        let name = self.program.value(image).name.clone();
        let level = Level(self.levels.needed[operand.index()]);
        let refreshed = self.program.push(name, CkksOp::Bootstrap { input: image, slots, level })?;
        self.refreshed.insert(image, refreshed);
        Ok(refreshed)
    }

    /// A value at rest brought to a lower level, once; a waiting product as it is.
    fn at_level(&mut self, operand: ValueId, level: u32) -> Result<ValueId, PassError> {
        let image = self.source(operand, level)?;
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
