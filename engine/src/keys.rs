//! Which evaluation keys a circuit needs, under the ids of an engine.

use std::collections::BTreeMap;
use std::fmt;

use paf_ir::ckks::Level;

/// Names one evaluation key of an engine. Key files hold keys in the order of their ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EvaluationKeyId(pub u32);

impl fmt::Display for EvaluationKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a circuit needs evaluation keys for.
#[derive(Debug, Clone, Copy)]
pub struct KeyNeeds<'c> {
    /// Rotations outside of bootstraps, slots to the left, each with the highest level of its use.
    pub rotations: &'c BTreeMap<i64, Level>,
    /// The highest level of a relinearization outside of bootstraps, if there is one.
    pub relinearization: Option<Level>,
    /// The slots of all bootstraps.
    pub bootstrap_slots: &'c [usize],
}

/// The evaluation keys that one circuit needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyList {
    /// The highest level that a key must serve; `None` for one that knows no levels.
    levels: BTreeMap<EvaluationKeyId, Option<Level>>,
}

impl KeyList {
    /// Notes that a key is used at a level: rotations with the same effect share one.
    pub fn need(&mut self, id: EvaluationKeyId, level: Level) {
        let highest = self.levels.entry(id).or_insert(Some(level));
        *highest = (*highest).max(Some(level));
    }

    /// Notes that a key is used which is the same for all levels.
    pub fn need_whole(&mut self, id: EvaluationKeyId) {
        self.levels.insert(id, None);
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.levels.len()
    }

    /// Whether the circuit needs no evaluation key.
    pub fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    /// The ids, ascending.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = EvaluationKeyId> + '_ {
        self.levels.keys().copied()
    }

    /// The ids with the highest level that each key must serve, `None` for those without levels.
    pub fn levels(&self) -> impl ExactSizeIterator<Item = (EvaluationKeyId, Option<Level>)> + '_ {
        self.levels.iter().map(|(&id, &level)| (id, level))
    }

    /// The highest level that a key must serve, if it is on the list and has levels.
    pub fn level(&self, id: EvaluationKeyId) -> Option<Level> {
        self.levels.get(&id).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_serves_the_highest_level_of_its_uses() {
        let mut list = KeyList::default();
        for (id, level) in [(3, 2), (5, 1), (3, 4), (3, 3)] {
            list.need(EvaluationKeyId(id), Level(level));
        }
        list.need_whole(EvaluationKeyId(4));
        assert_eq!(list.ids().map(|id| id.0).collect::<Vec<_>>(), [3, 4, 5]);
        let levels: Vec<_> = [3, 4, 5].into_iter().map(|id| list.level(EvaluationKeyId(id))).collect();
        assert_eq!(levels, [Some(Level(4)), None, Some(Level(1))]);
    }
}
