//! Which evaluation keys are in memory when: all that an operation needs, and of the others as many as fit.
//!
//! A program says beforehand when each key is needed, so the best choice is known: where room is needed, the keys go
//! whose next use is farthest away (Belády 1966). The uses are those of one sample; samples follow one another, so that
//! after the last use of a sample comes the first of the next.

use std::collections::{BTreeMap, BTreeSet};

/// Keys to remove from memory, then keys to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change<K> {
    /// Keys that make room.
    pub remove: Vec<K>,
    /// Keys that are needed and not there.
    pub load: Vec<K>,
}

/// The keys in memory, and what they are needed for.
#[derive(Debug, Clone)]
pub struct Residence<K> {
    uses: BTreeMap<usize, BTreeSet<K>>,
    /// The operations that need each key, ascending.
    users: BTreeMap<K, Vec<usize>>,
    bytes: BTreeMap<K, u64>,
    budget: u64,
    resident: BTreeSet<K>,
}

impl<K: Ord + Copy> Residence<K> {
    /// No key is in memory yet. `bytes` has every key of the uses; keys take at most `budget` bytes together, or what
    /// the operation takes that needs most.
    pub fn new(uses: BTreeMap<usize, BTreeSet<K>>, bytes: BTreeMap<K, u64>, budget: u64) -> Self {
        let mut users: BTreeMap<K, Vec<usize>> = BTreeMap::new();
        for (&operation, keys) in &uses {
            keys.iter().for_each(|&key| users.entry(key).or_default().push(operation));
        }
        let mut residence = Residence { uses, users, bytes, budget, resident: BTreeSet::new() };
        residence.budget = budget.max(residence.least_bytes());
        residence
    }

    /// Bytes of the operation that needs most.
    pub fn least_bytes(&self) -> u64 {
        self.uses.values().map(|keys| self.bytes_of(keys)).max().unwrap_or(0)
    }

    fn bytes_of<'k>(&self, keys: impl IntoIterator<Item = &'k K>) -> u64
    where
        K: 'k,
    {
        keys.into_iter().map(|key| self.bytes[key]).sum()
    }

    /// What to do before the operation of this number: keys whose next use is farthest away go first.
    pub fn before(&mut self, operation: usize) -> Change<K> {
        let Some(needed) = self.uses.get(&operation) else { return Change { remove: vec![], load: vec![] } };
        let load: Vec<K> = needed.difference(&self.resident).copied().collect();
        let mut bytes = self.bytes_of(&self.resident) + self.bytes_of(&load);
        let mut idle: Vec<(usize, K)> = match bytes > self.budget {
            true => self.resident.difference(needed).map(|&key| (self.distance(key, operation), key)).collect(),
            false => vec![],
        };
        idle.sort_unstable();
        let mut remove = vec![];
        while bytes > self.budget
            && let Some((_, key)) = idle.pop()
        {
            bytes -= self.bytes[&key];
            remove.push(key);
        }
        self.resident.retain(|key| !remove.contains(key));
        self.resident.extend(&load);
        Change { remove, load }
    }

    /// Operations from one that is about to begin to the next that needs a key, in this sample or the one after it.
    fn distance(&self, key: K, operation: usize) -> usize {
        let users = &self.users[&key];
        let length = self.uses.last_key_value().map_or(0, |(last, _)| last + 1);
        let later = users[users.partition_point(|&user| user <= operation)..].first();
        later.map_or_else(|| users[0] + length - operation, |user| user - operation)
    }

    /// Keys to read before the first operation: in the order of their first uses, as long as they fit.
    pub fn fill(&mut self) -> Vec<K> {
        let mut bytes = self.bytes_of(&self.resident);
        let mut load = vec![];
        for &key in self.uses.values().flatten() {
            let fits = bytes + self.bytes[&key] <= self.budget;
            if fits && self.resident.insert(key) {
                bytes += self.bytes[&key];
                load.push(key);
            }
        }
        load
    }

    /// Bytes that a sample reads after another one.
    pub fn loaded_bytes(mut self) -> u64 {
        self.fill();
        self.pass();
        self.pass()
    }

    /// Bytes that a sample reads from here on.
    fn pass(&mut self) -> u64 {
        let operations: Vec<usize> = self.uses.keys().copied().collect();
        let mut loaded = 0;
        for operation in operations {
            let change = self.before(operation);
            loaded += self.bytes_of(&change.load);
        }
        loaded
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn residence(uses: &[&[u8]], bytes: &[u64], budget: u64) -> Residence<u8> {
        let uses = uses.iter().enumerate().map(|(at, keys)| (at, keys.iter().copied().collect())).collect();
        Residence::new(uses, (0..).zip(bytes.iter().copied()).collect(), budget)
    }

    #[test]
    fn where_all_fit_each_is_read_once() {
        let mut keys = residence(&[&[0], &[1], &[0, 1], &[2]], &[5, 6, 7], 18);
        assert_eq!(keys.clone().pass(), 18);
        assert_eq!(keys.clone().loaded_bytes(), 0, "later samples read nothing");
        assert_eq!(keys.fill(), [0, 1, 2]);
        assert!((0..4).all(|operation| keys.before(operation).load.is_empty()));
    }

    #[test]
    fn the_key_that_is_needed_last_makes_room() {
        let mut keys = residence(&[&[0], &[1], &[2], &[1], &[0]], &[1, 1, 1], 2);
        assert_eq!(keys.before(0), Change { remove: vec![], load: vec![0] });
        assert_eq!(keys.before(1), Change { remove: vec![], load: vec![1] });
        assert_eq!(keys.before(2), Change { remove: vec![0], load: vec![2] });
        assert_eq!(keys.before(3), Change { remove: vec![], load: vec![] });
        assert_eq!(keys.before(4), Change { remove: vec![2], load: vec![0] }, "1 comes before 2 in the next sample");
    }

    #[test]
    fn what_is_needed_first_is_read_beforehand() {
        let mut keys = residence(&[&[2], &[0], &[1], &[3]], &[5, 6, 7, 2], 15);
        assert_eq!(keys.fill(), [2, 0, 3], "1 does not fit");
        assert!(keys.before(0).load.is_empty() && keys.before(1).load.is_empty());
        assert_eq!(keys.before(2), Change { remove: vec![0], load: vec![1] });
        assert_eq!(keys.fill(), Vec::<u8>::new());
    }

    #[test]
    fn an_operation_gets_its_keys_whatever_the_budget() {
        let mut keys = residence(&[&[0, 1], &[2]], &[5, 5, 5], 3);
        assert_eq!(keys.least_bytes(), 10);
        assert_eq!(keys.before(0).load, [0, 1]);
    }

    /// Least bytes read by any choice of keys to remove, by trying them all.
    fn least_loads(keys: &Residence<u8>, resident: &BTreeSet<u8>, operations: &[usize]) -> u64 {
        let Some((first, rest)) = operations.split_first() else { return 0 };
        let needed = &keys.uses[first];
        let loaded = keys.bytes_of(needed.difference(resident));
        let all: Vec<u8> = resident.difference(needed).copied().collect();
        let kept = (0..1u32 << all.len()).map(|set| {
            let some = all.iter().enumerate().filter(|(index, _)| set >> index & 1 == 1).map(|(_, &key)| key);
            some.chain(needed.iter().copied()).collect::<BTreeSet<u8>>()
        });
        let fitting = kept.filter(|kept| keys.bytes_of(kept) <= keys.budget);
        fitting.map(|kept| loaded + least_loads(keys, &kept, rest)).min().expect("the needed keys fit")
    }

    proptest! {
        /// Bélády's rule is optimal for one key an operation and keys of one size.
        #[test]
        fn no_choice_reads_less(uses in prop::collection::vec(0u8..4, 1..8), budget in 1u64..4) {
            let lists: Vec<[u8; 1]> = uses.iter().map(|&key| [key]).collect();
            let lists: Vec<&[u8]> = lists.iter().map(|list| &list[..]).collect();
            let keys = residence(&lists, &[1; 4], budget);
            let operations: Vec<usize> = (0..uses.len()).collect();
            prop_assert_eq!(keys.clone().pass(), least_loads(&keys, &BTreeSet::new(), &operations));
        }

        #[test]
        fn what_is_needed_is_there_and_the_budget_holds(
            uses in prop::collection::vec(prop::collection::btree_set(0u8..6, 0..4), 1..12),
            bytes in prop::collection::vec(1u64..9, 6),
            budget in 1u64..30,
        ) {
            let uses: BTreeMap<usize, BTreeSet<u8>> = uses.into_iter().enumerate().collect();
            let mut keys = Residence::new(uses.clone(), (0..).zip(bytes).collect(), budget);
            let mut there = BTreeSet::new();
            for operation in (0..uses.len()).cycle().take(3 * uses.len()) {
                let change = keys.before(operation);
                change.remove.iter().for_each(|key| assert!(there.remove(key)));
                change.load.iter().for_each(|&key| assert!(there.insert(key)));
                prop_assert!(uses[&operation].is_subset(&there));
                prop_assert!(keys.bytes_of(&there) <= budget.max(keys.least_bytes()));
            }
        }
    }
}
