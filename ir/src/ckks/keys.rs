//! Which evaluation keys a circuit needs, and up to which level.

use std::collections::{BTreeMap, BTreeSet};

use super::parameters::need_level;
use super::{CkksProgram, Level, Op};

impl CkksProgram {
    /// Every rotation outside of bootstraps, ascending and without the empty one, with the highest level it is used at:
    /// a key for it needs no limbs above.
    pub fn rotation_levels(&self) -> BTreeMap<i64, Level> {
        let mut levels: BTreeMap<i64, Level> = BTreeMap::new();
        let mut need = |steps: i64, level: Level| need_level(&mut levels, steps, level);
        for (_, value) in self.values() {
            match &value.op {
                Op::Linear { map, level, .. } => {
                    let plan = &self.maps[map.index()].plan;
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

    /// The highest level of a relinearization outside of bootstraps.
    pub fn relinearization_level(&self) -> Option<Level> {
        let relinearized = self.values().filter(|(_, value)| matches!(value.op, Op::Relinearize(_)));
        relinearized.map(|(_, value)| value.ty.level).max()
    }

    /// Bootstraps executed: one for each ciphertext refreshed.
    pub fn bootstrap_count(&self) -> usize {
        let refreshes = self.values().filter(|(_, value)| matches!(value.op, Op::Bootstrap { .. }));
        refreshes.map(|(_, value)| value.ty.ciphertexts).sum()
    }

    /// The slots of all bootstraps, ascending, each count once: a set of keys and tables for each.
    pub fn bootstrap_slots(&self) -> Vec<usize> {
        let slots = self.values().filter_map(|(_, value)| match value.op {
            Op::Bootstrap { slots, .. } => Some(slots),
            _ => None,
        });
        slots.collect::<BTreeSet<usize>>().into_iter().collect()
    }
}
