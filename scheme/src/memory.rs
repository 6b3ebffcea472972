//! What a circuit takes in memory with one parameter set: keys, tables, plaintexts, ciphertexts.

use paf_ir::ckks::{CkksProgram, Level, Op};
use paf_ir::program::Value;

use crate::keys::{bootstrap_slots, key_sizes, key_uses};
use crate::prices::Prices;
use crate::{Residence, Stage, Work, WorkKind};

/// What a program takes in memory, and what it reads from the key file for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryPlan {
    /// Predicted peak.
    pub peak_bytes: u64,
    /// Bytes of keys that are in memory at a time; 0 for all.
    pub key_memory: u64,
    /// Bytes of keys that one evaluation reads.
    pub loaded_bytes: u64,
}

impl Prices<'_> {
    /// Bytes of the tables of all bootstraps: the diagonals of their transforms, encoded in the extended basis.
    fn table_bytes(&self, program: &CkksProgram) -> u64 {
        let Some(bootstrap) = self.parameters.bootstrap else { return 0 };
        let limb = self.parameters.ring_dimension as u64 * 8;
        let special = u64::from(self.parameters.special_primes);
        let stages = |stages: Vec<Stage>, top: u32| -> u64 {
            let limbs = |index: usize| u64::from(top) + 1 - index as u64 + special;
            stages.iter().enumerate().map(|(index, stage)| u64::from(stage.diagonals) * limbs(index) * limb).sum()
        };
        let decoding = bootstrap.decoding_level(self.parameters.levels).0;
        let of = |slots: usize| {
            stages(bootstrap.encoding(slots), self.parameters.levels.0) + stages(bootstrap.decoding(slots), decoding)
        };
        bootstrap_slots(program).into_iter().map(of).sum()
    }

    /// Bytes of all plaintexts, each at its map's level, as far as they are encoded ahead. With
    /// bootstraps memory belongs to keys, and plaintexts are encoded where they are used.
    fn plaintext_bytes(&self, program: &CkksProgram) -> u64 {
        if self.parameters.bootstrap.is_some() {
            return 0;
        }
        let bytes_at = |value: &Value<Op>| match &value.op {
            Op::Linear { map, level, .. } => {
                let work = &self.maps[map.index()];
                work.plaintexts as u64 * work.plaintext_bytes(*level)
            }
            _ => 0,
        };
        program.values().map(|(_, value)| bytes_at(value)).sum::<u64>().min(self.profile.memory.prepared_bytes)
    }

    /// Bytes that an operation needs besides operands and results: rotated babies, the plaintexts and the decomposition of a
    /// giant step, or the inside of a bootstrap.
    fn scratch_bytes(&self, op: &Op) -> u64 {
        let p = self.parameters;
        match op {
            Op::Linear { map, level, .. } => {
                let work = self.maps[map.index()];
                let from = Level(level.0 + 1);
                let extended = p.ciphertext_bytes(Level(from.0 + p.special_primes));
                let giant = work.plaintexts.div_ceil(work.giants + work.outputs) as u64 * work.plaintext_bytes(*level);
                let babies = (work.babies + 3 * work.inputs) as u64 * p.ciphertext_bytes(from);
                babies + giant + (1 + u64::from(p.digits_at(from))) * extended
            }
            Op::Bootstrap { .. } => self.profile.memory.bootstrap_ciphertexts * p.ciphertext_bytes(p.levels),
            _ => 0,
        }
    }

    /// Largest sum of ciphertexts alive at once and of what the operation at work needs.
    fn live_bytes(&self, program: &CkksProgram) -> u64 {
        let last = program.last_uses();
        let bytes: Vec<u64> = program
            .values()
            .map(|(_, value)| {
                let parts = u64::from(value.ty.parts);
                value.ty.ciphertexts as u64 * self.parameters.ciphertext_bytes(value.ty.level) * parts / 2
            })
            .collect();
        let (mut alive, mut peak) = (0, 0);
        let mut ends: Vec<Vec<usize>> = vec![vec![]; program.len() + 1];
        last.iter().enumerate().for_each(|(value, &end)| ends[end].push(value));
        for (id, value) in program.values() {
            alive += bytes[id.index()];
            peak = peak.max(alive + self.scratch_bytes(&value.op));
            alive -= ends[id.index()].iter().map(|&ended| bytes[ended]).sum::<u64>();
        }
        peak
    }

    /// Predicted peak of a process that encrypts, evaluates and decrypts with so many bytes of keys in memory.
    fn peak_with(&self, program: &CkksProgram, keys: u64) -> u64 {
        let held = keys + self.table_bytes(program) + self.plaintext_bytes(program);
        self.profile.memory.base_bytes + (held + self.live_bytes(program)) * self.profile.memory.peak_percent / 100
    }

    /// Predicted peak of a process with so many bytes of keys in memory at a time; 0 for all of them.
    pub fn peak_bytes(&self, program: &CkksProgram, key_memory: u64) -> u64 {
        let all: u64 = key_sizes(program, self.parameters).values().sum();
        self.peak_with(program, if key_memory == 0 { all } else { key_memory.min(all) })
    }

    /// Memory for a program, within a limit if there is one and that is possible: all keys at once, or as many at a time
    /// as fit; beyond that, the least there is. What is read then is not known yet: [`Prices::loaded_bytes`].
    pub fn memory(&self, program: &CkksProgram, limit: Option<u64>) -> MemoryPlan {
        let sizes = key_sizes(program, self.parameters);
        let all: u64 = sizes.values().sum();
        let peak_bytes = self.peak_with(program, all);
        let Some(over) = limit.and_then(|limit| peak_bytes.checked_sub(limit)).filter(|&over| over > 0) else {
            return MemoryPlan { peak_bytes, key_memory: 0, loaded_bytes: 0 };
        };
        let budget = all.saturating_sub((over * 100).div_ceil(self.profile.memory.peak_percent) + 1);
        let uses = key_uses(program, self.parameters).into_values();
        let least = uses.map(|keys| keys.iter().map(|key| sizes[key]).sum()).max().unwrap_or(0);
        let key_memory = budget.max(least);
        MemoryPlan { peak_bytes: self.peak_with(program, key_memory), key_memory, loaded_bytes: 0 }
    }

    /// Bytes of keys that an evaluation reads where so many are in memory at a time.
    pub fn loaded_bytes(&self, program: &CkksProgram, key_memory: u64) -> u64 {
        Residence::new(key_uses(program, self.parameters), key_sizes(program, self.parameters), key_memory)
            .loaded_bytes()
    }

    /// The reading of keys, in seconds on the reference machine.
    pub fn reading(&self, plan: MemoryPlan) -> Work {
        Work::of(WorkKind::KeyLoading, plan.loaded_bytes as f64 * self.profile.time.seconds_per_key_byte)
    }
}

#[cfg(test)]
mod tests {
    use paf_ir::program::{InputPort, InputScaling};

    use super::*;
    use crate::testing::parameters;
    use crate::{CostModel, EngineProfile};

    /// Three rotations at one level, the last like the first.
    fn rotating() -> CkksProgram {
        let layout = paf_ir::Layout::dense(8, 1 << 12);
        let shape = paf_ir::Shape(vec![8]);
        let input = InputPort { name: "x".into(), shape, layout, scaling: InputScaling::shared(1.0, (-1.0, 1.0)) };
        let mut program = CkksProgram::new(1 << 12, vec![], vec![input]);
        let mut value = program.push("x", Op::Input { port: 0, level: Level(5) }).unwrap();
        for steps in [1, 2, 1] {
            value = program.push("rotated", Op::Rotate { steps, input: value }).unwrap();
        }
        program
    }

    #[test]
    fn where_memory_is_short_fewer_keys_are_in_it_and_read_again() {
        let (parameters, model) = (parameters(20, 4), CostModel::new(EngineProfile::openfhe(), Work::ONES, vec![]));
        let (prices, program) = (model.prices(&parameters), rotating());
        let key = parameters.evaluation_key_bytes_at(Level(5));
        let free = prices.memory(&program, None);
        assert_eq!((free.key_memory, free.loaded_bytes), (0, 0));
        assert_eq!(prices.memory(&program, Some(free.peak_bytes)), free);
        let tight = prices.memory(&program, Some(free.peak_bytes - 1));
        assert!(tight.peak_bytes < free.peak_bytes && (key..2 * key).contains(&tight.key_memory), "{tight:?}");
        // The first rotation of a sample finds the key that the last one of the sample before has read.
        assert_eq!(prices.loaded_bytes(&program, tight.key_memory), 2 * key);
        assert_eq!(prices.loaded_bytes(&program, 2 * key), 0);
        let least = prices.memory(&program, Some(0));
        assert_eq!(least.key_memory, key, "it does not fit");
        let fitting = prices.memory(&program, Some(least.peak_bytes));
        assert_eq!((fitting.peak_bytes, fitting.key_memory), (least.peak_bytes, key));
        assert!(prices.seconds(prices.reading(MemoryPlan { loaded_bytes: key, ..fitting })) > 0.0);
    }
}
