//! Which evaluation keys a circuit needs, and up to which level.

use std::collections::{BTreeMap, BTreeSet};

use paf_ir::ckks::{CkksProgram, Level, Op};
use paf_ir::program::{Value, ValueId};

use crate::Parameters;

/// What evaluation keys are for. Those of one purpose are needed together or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyPurpose {
    /// Rotating by this many slots to the left.
    Rotation(i64),
    /// Bringing products back to two parts.
    Relinearization,
    /// Bootstraps, besides their rotations: the conjugation and the switches between the secrets.
    Refresh,
}

/// Every rotation outside of bootstraps, ascending and without the empty one, with the highest level it is used at:
/// a key for it needs no limbs above.
pub fn rotation_levels(program: &CkksProgram) -> BTreeMap<i64, Level> {
    let mut levels: BTreeMap<i64, Level> = BTreeMap::new();
    let mut need = |steps: i64, level: Level| need_level(&mut levels, steps, level);
    for (_, value) in program.values() {
        match &value.op {
            Op::Linear { map, level, .. } => {
                let plan = &program.maps[map.index()].plan;
                let before_rescale = plan.babies().into_iter().chain(plan.giant_rotations());
                before_rescale.for_each(|steps| need(steps, Level(level.0 + 1)));
                plan.folds.iter().for_each(|&steps| need(steps, *level));
            }
            Op::Rotate { steps, .. } => need(*steps, value.ty.level),
            _ => {}
        }
    }
    levels.remove(&0);
    levels
}

/// The highest level of a relinearization; a bootstrap relinearizes from the top on.
pub fn relinearization_level(program: &CkksProgram, parameters: &Parameters) -> Option<Level> {
    let highest = |(_, value): (ValueId, &Value<Op>)| match value.op {
        Op::Relinearize(_) => Some(value.ty.level),
        Op::Bootstrap { .. } => Some(parameters.levels),
        _ => None,
    };
    program.values().filter_map(highest).max()
}

/// Bootstraps executed: one for each ciphertext refreshed.
pub fn bootstrap_count(program: &CkksProgram) -> usize {
    let refreshes = program.values().filter(|(_, value)| matches!(value.op, Op::Bootstrap { .. }));
    refreshes.map(|(_, value)| value.ty.ciphertexts).sum()
}

/// The slots of all bootstraps, ascending, each count once: a set of keys and tables for each.
pub fn bootstrap_slots(program: &CkksProgram) -> Vec<usize> {
    let slots = program.values().filter_map(|(_, value)| match value.op {
        Op::Bootstrap { slots, .. } => Some(slots),
        _ => None,
    });
    slots.collect::<BTreeSet<usize>>().into_iter().collect()
}

/// What each operation needs keys for, by its number; operations that need none are left out.
pub fn key_uses(program: &CkksProgram, parameters: &Parameters) -> BTreeMap<usize, BTreeSet<KeyPurpose>> {
    let needed = |op: &Op| -> BTreeSet<KeyPurpose> {
        match op {
            Op::Linear { map, .. } => {
                let rotations = program.maps[map.index()].plan.rotations().into_iter();
                rotations.filter(|&steps| steps != 0).map(KeyPurpose::Rotation).collect()
            }
            Op::Rotate { steps: 0, .. } => BTreeSet::new(),
            Op::Rotate { steps, .. } => [KeyPurpose::Rotation(*steps)].into(),
            Op::Relinearize(_) => [KeyPurpose::Relinearization].into(),
            Op::Bootstrap { slots, .. } => {
                let rotations = parameters.bootstrap_rotations(&[*slots]).into_keys();
                let others = [KeyPurpose::Relinearization, KeyPurpose::Refresh];
                rotations.map(KeyPurpose::Rotation).chain(others).collect()
            }
            _ => BTreeSet::new(),
        }
    };
    let uses = program.values().map(|(ValueId(id), value)| (id as usize, needed(&value.op)));
    uses.filter(|(_, purposes)| !purposes.is_empty()).collect()
}

/// Bytes of the evaluation keys of each purpose, for the levels they are used at.
pub fn key_sizes(program: &CkksProgram, parameters: &Parameters) -> BTreeMap<KeyPurpose, u64> {
    let bootstrap_slots = bootstrap_slots(program);
    let mut rotations = parameters.bootstrap_rotations(&bootstrap_slots);
    merge_levels(&mut rotations, rotation_levels(program));
    let size = |(steps, level)| (KeyPurpose::Rotation(steps), parameters.evaluation_key_bytes_at(level));
    let mut sizes: BTreeMap<KeyPurpose, u64> = rotations.into_iter().map(size).collect();
    if !bootstrap_slots.is_empty() {
        sizes.insert(KeyPurpose::Refresh, parameters.refresh_key_bytes());
    }
    if let Some(level) = relinearization_level(program, parameters) {
        sizes.insert(KeyPurpose::Relinearization, parameters.evaluation_key_bytes_at(level));
    }
    sizes
}

/// Adds rotations to a list, each with the highest level of its uses.
pub fn merge_levels(all: &mut BTreeMap<i64, Level>, others: BTreeMap<i64, Level>) {
    others.into_iter().for_each(|(steps, level)| need_level(all, steps, level));
}

/// Notes that a rotation is used at a level.
pub(crate) fn need_level(levels: &mut BTreeMap<i64, Level>, steps: i64, level: Level) {
    let highest = levels.entry(steps).or_insert(level);
    *highest = level.max(*highest);
}
