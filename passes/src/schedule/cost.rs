//! Predicted time and memory of a circuit.
//!
//! The unit of time is one pass over a limb, `N·log2(N)` butterflies; the constants are measured with OpenFHE 1.4.2 and
//! the AVX-512 kernels on two cores of a server CPU (`cargo bench -p paf-compiler --bench networks`). Work is counted by
//! kind, and a table of another machine says how much slower or faster it does each kind.

use std::collections::BTreeMap;

use paf_ir::ckks::{CkksProgram, Level, Op};
use paf_ir::diagonals::PackedMap;
use paf_ir::slots::{self, SlotProgram};
use paf_scheme::{
    Bootstrap, EvaluationKey, Parameters, Residence, Stage, Work, WorkKind, bootstrap_slots, key_uses, merge_levels,
    relinearization_level, rotation_levels,
};
use rayon::prelude::*;

use super::structure::Structure;

/// Seconds of a limb transform divided by `N·log2 N`, two threads, AVX-512 kernels.
const SECONDS_PER_BUTTERFLY: f64 = 2.1e-10;
/// Time of a bootstrap divided by that of its key switches, products and transforms by this model: fitted, like the seconds
/// of a butterfly, to four networks with bootstraps of 2^12 to 2^14 slots at N = 2^16 (docs/bootstrapping.md).
const BOOTSTRAP_FACTOR: f64 = 0.79;
/// Encoding of a plaintext of N/2 slots, in passes: the transform of its values, and that of each limb. Fewer slots repeat
/// and take their share of it.
const ENCODING_PASSES: f64 = 1.0;
const ENCODING_PASSES_PER_LIMB: f64 = 1.1;
/// A limb of both parts of a ciphertext times one of a plaintext, added to a sum.
const PRODUCT_PASSES: f64 = 0.35;
/// A digit's limb times both parts of a key.
const HOISTED_PASSES: f64 = 0.4;
/// A process with OpenFHE loaded, before keys.
const BASE_BYTES: u64 = 150 << 20;
/// Memory that is taken for what is counted, in percent: the allocator's share on top.
const PEAK_PERCENT: u64 = 108;
/// Reading a key from a disk of 1.2 GB a second, with its checksum, and unpacking it.
const SECONDS_PER_KEY_BYTE: f64 = 2.2e-9;
/// Plaintexts are encoded ahead up to this many bytes, as the runtime does.
const PREPARED_LIMIT: u64 = 4 << 30;
/// Ciphertexts at the top level that a bootstrap holds at once: the input of a transform, its rotations by baby steps in
/// the extended basis, and sums.
const BOOTSTRAP_CIPHERTEXTS: u64 = 20;
/// Products of ciphertexts in the modular reduction: a Chebyshev series of degree 32 and three double angles.
const MODULAR_REDUCTION_PRODUCTS: f64 = 14.0;

/// Work of one linear map, over all ciphertexts.
#[derive(Debug, Clone, Copy)]
struct MapWork {
    babies: usize,
    /// Giant steps that rotate, inner and outer.
    giants: usize,
    /// Outer ones of these: sums that are brought back to Q of their own.
    outer: usize,
    folds: usize,
    plaintexts: usize,
    inputs: usize,
    outputs: usize,
    /// Slots after which plaintexts repeat.
    period: usize,
}

impl MapWork {
    fn new(map: &PackedMap) -> Self {
        let (inputs, outputs) = (map.input.ciphertexts, map.output.ciphertexts);
        let outer = map.plan.giants_by_outer().into_keys().filter(|&outer| outer != 0).count();
        MapWork {
            babies: map.plan.babies().len() * inputs,
            giants: map.plan.giant_count() * outputs,
            outer: outer * outputs,
            folds: map.plan.folds.len() * outputs,
            plaintexts: map.plaintext_count(),
            inputs,
            outputs,
            period: map.input.period.max(map.output.period),
        }
    }

    /// Bytes of an encoded plaintext where the result is at a level.
    fn plaintext_bytes(&self, level: Level) -> u64 {
        (u64::from(level.0) + 2) * 2 * self.period as u64 * 8
    }
}

/// What the operations of a program are made of, whatever their levels.
pub(super) struct CostModel {
    maps: Vec<MapWork>,
    /// Seconds of each kind of work for a second on the reference machine.
    slowness: Work,
}

impl CostModel {
    pub(super) fn new(maps: &[PackedMap], slowness: Work) -> Self {
        CostModel { maps: maps.par_iter().map(MapWork::new).collect(), slowness }
    }

    /// Prices with one parameter set.
    pub(super) fn prices<'m>(&'m self, parameters: &'m Parameters) -> Prices<'m> {
        Prices { maps: &self.maps, slowness: self.slowness, parameters }
    }
}

/// Seconds and bytes with one parameter set.
pub(super) struct Prices<'m> {
    maps: &'m [MapWork],
    slowness: Work,
    parameters: &'m Parameters,
}

impl Prices<'_> {
    /// Seconds on the reference machine of a pass over a limb.
    fn seconds_per_pass(&self) -> f64 {
        let n = self.parameters.ring_dimension as f64;
        n * n.log2() * SECONDS_PER_BUTTERFLY
    }

    /// Seconds of these passes over a limb.
    fn seconds_of(&self, passes: Work) -> f64 {
        let seconds = |kind: WorkKind| passes[kind] * self.slowness[kind];
        WorkKind::ALL.into_iter().map(seconds).sum::<f64>() * self.seconds_per_pass()
    }

    /// Limbs of Q and P at a level.
    fn extended(&self, level: u32) -> f64 {
        f64::from(level + 1 + self.parameters.special_primes)
    }

    fn digits(&self, level: u32) -> f64 {
        f64::from(self.parameters.digits_at(Level(level)))
    }

    /// Every digit raised to QP, and its product with the key.
    fn raise(&self, level: u32) -> f64 {
        1.6 * self.digits(level) * self.extended(level)
    }

    /// Two parts over QP brought back.
    fn divide(&self, level: u32) -> f64 {
        2.0 * self.extended(level)
    }

    fn key_switch(&self, level: u32) -> f64 {
        self.raise(level) + self.divide(level)
    }

    /// A stage of a bootstrap, whose babies and plaintexts are in QP, before its rescale.
    fn rotations_and_products(&self, babies: usize, others: usize, plaintexts: usize, from: u32) -> f64 {
        (others as f64 + 0.5 * babies as f64) * self.key_switch(from) + plaintexts as f64 * self.extended(from) * 0.4
    }

    /// A plaintext encoded where it is used: with bootstraps, memory belongs to keys.
    fn encoding(&self, from: u32, share: f64) -> f64 {
        let passes = ENCODING_PASSES + ENCODING_PASSES_PER_LIMB * f64::from(from + 1);
        if self.parameters.bootstrap.is_some() { share * passes } else { 0.0 }
    }

    /// A map whose result is at a level. Its plaintexts have a share of the words of a limb.
    fn linear(&self, map: usize, level: u32) -> Work {
        let (work, from) = (self.maps[map], level + 1);
        let share = (2 * work.period) as f64 / self.parameters.ring_dimension as f64;
        let hoisted = HOISTED_PASSES * self.digits(from) * self.extended(from) + self.divide(from);
        let each = |count: usize, passes: f64| count as f64 * passes;
        let key_switches = each(work.inputs.min(work.babies), self.raise(from))
            + each(work.babies, hoisted)
            + each(work.giants, self.raise(from) + self.light(from))
            + each(work.outputs.min(work.giants) + work.outer, self.divide(from))
            + each(work.folds, self.key_switch(level));
        Work::of(WorkKind::KeySwitch, key_switches)
            + Work::of(WorkKind::PlaintextProduct, each(work.plaintexts, PRODUCT_PASSES * f64::from(from + 1)))
            + Work::of(WorkKind::Encoding, each(work.plaintexts, self.encoding(from, share)))
            + Work::of(WorkKind::Rescale, each(work.outputs, self.rescale(from)))
    }

    fn product(&self, level: u32) -> f64 {
        f64::from(level + 1) * 0.8
    }

    fn rescale(&self, level: u32) -> f64 {
        f64::from(level + 1) * 2.5
    }

    fn light(&self, level: u32) -> f64 {
        f64::from(level + 1) * 0.3
    }

    fn operation(&self, op: &Op, level: u32, ciphertexts: usize) -> Work {
        let (kind, passes) = match op {
            Op::Linear { map, .. } => return self.linear(map.index(), level),
            Op::Rotate { .. } | Op::Relinearize(_) => (WorkKind::KeySwitch, self.key_switch(level)),
            Op::Mul(..) => (WorkKind::Product, self.product(level)),
            Op::Rescale(_) | Op::Drop { .. } => (WorkKind::Rescale, self.rescale(level)),
            Op::Bootstrap { slots, .. } => (WorkKind::Bootstrap, self.bootstrap(*slots)),
            _ => (WorkKind::Addition, self.light(level)),
        };
        Work::of(kind, ciphertexts as f64 * passes)
    }

    /// Passes of one bootstrap of this many slots, whatever the level it is asked for: the modulus is raised to the top.
    fn bootstrap(&self, slots: usize) -> f64 {
        let Some(bootstrap) = self.parameters.bootstrap else { return 0.0 };
        let top = self.parameters.levels.0;
        let mut level = top;
        let mut passes = 3.0 * self.key_switch(top);
        passes += Bootstrap::trace(slots, self.parameters.ring_dimension).len() as f64 * self.key_switch(top);
        passes += self.transform(&bootstrap.encoding(slots), &mut level);
        let copies = if 2 * slots == self.parameters.ring_dimension { 2.0 } else { 1.0 };
        let decoding = bootstrap.decoding_level(self.parameters.levels).0;
        let middle = (level + decoding) / 2;
        passes += copies * MODULAR_REDUCTION_PRODUCTS * (self.key_switch(middle) + 2.0 * self.rescale(middle));
        level = decoding;
        passes += self.transform(&bootstrap.decoding(slots), &mut level);
        passes * BOOTSTRAP_FACTOR * f64::from(bootstrap.iterations())
    }

    fn transform(&self, stages: &[Stage], level: &mut u32) -> f64 {
        let mut passes = 0.0;
        for stage in stages {
            let (babies, giants) = (stage.babies as usize - 1, stage.giants as usize - 1);
            passes += self.rotations_and_products(babies, giants, stage.diagonals as usize, *level);
            passes += self.rescale(*level);
            *level -= 1;
        }
        passes
    }

    /// Seconds of one bootstrap of this many slots.
    pub(super) fn bootstrap_seconds(&self, slots: usize) -> f64 {
        self.seconds_of(Work::of(WorkKind::Bootstrap, self.bootstrap(slots)))
    }

    /// Seconds of a value of the slots program with what becomes of it, by the level it ends at, from 0 to the highest.
    pub(super) fn value_seconds(
        &self,
        slots: &SlotProgram,
        structure: &Structure,
        value: paf_ir::program::ValueId,
        highest: u32,
    ) -> Vec<f64> {
        let each = slots.value(value).ty.ciphertexts as f64;
        let waits = structure.waits(value);
        let at = |level: u32| {
            let before_rescale = level + u32::from(waits || structure.rescales(value));
            let mut work = match &slots.value(value).op {
                slots::Op::Input(_) => Work::default(),
                slots::Op::Linear { map, .. } => return self.seconds_of(self.linear(map.index(), level)),
                slots::Op::Rotate { .. } => Work::of(WorkKind::KeySwitch, self.key_switch(level)),
                slots::Op::Mul(..) => Work::of(WorkKind::Product, self.product(level + 1)),
                _ => Work::of(WorkKind::Addition, self.light(before_rescale)),
            };
            if structure.relinearizes(value) {
                work[WorkKind::KeySwitch] += self.key_switch(before_rescale);
            }
            if structure.rescales(value) {
                work[WorkKind::Rescale] += self.rescale(level);
            }
            self.seconds_of(work * each)
        };
        (0..=highest).map(at).collect()
    }

    /// Work of one evaluation: seconds on the reference machine by kind.
    pub(super) fn work(&self, program: &CkksProgram) -> Work {
        let passes =
            program.values().map(|(_, value)| self.operation(&value.op, value.ty.level.0, value.ty.ciphertexts));
        passes.sum::<Work>() * self.seconds_per_pass()
    }

    /// Seconds of work.
    pub(super) fn seconds(&self, work: Work) -> f64 {
        WorkKind::ALL.into_iter().map(|kind| work[kind] * self.slowness[kind]).sum()
    }

    /// Bytes of each evaluation key, for the levels it is used at.
    fn key_sizes(&self, program: &CkksProgram) -> BTreeMap<EvaluationKey, u64> {
        let p = self.parameters;
        let bootstrap_slots = bootstrap_slots(program);
        let mut rotations = p.bootstrap_rotations(&bootstrap_slots);
        merge_levels(&mut rotations, rotation_levels(program));
        let size = |(steps, level)| (EvaluationKey::Rotation(steps), p.evaluation_key_bytes_at(level));
        let mut sizes: BTreeMap<EvaluationKey, u64> = rotations.into_iter().map(size).collect();
        if !bootstrap_slots.is_empty() {
            // Bootstraps relinearize at the top, conjugate, and switch back from the ephemeral secret.
            sizes.insert(EvaluationKey::Relinearization, p.evaluation_key_bytes());
            sizes.insert(EvaluationKey::Refresh, 2 * p.evaluation_key_bytes());
        } else if let Some(level) = relinearization_level(program) {
            sizes.insert(EvaluationKey::Relinearization, p.evaluation_key_bytes_at(level));
        }
        sizes
    }

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
        let bytes_at = |value: &paf_ir::program::Value<Op>| match &value.op {
            Op::Linear { map, level, .. } => {
                let work = &self.maps[map.index()];
                work.plaintexts as u64 * work.plaintext_bytes(*level)
            }
            _ => 0,
        };
        program.values().map(|(_, value)| bytes_at(value)).sum::<u64>().min(PREPARED_LIMIT)
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
            Op::Bootstrap { .. } => BOOTSTRAP_CIPHERTEXTS * p.ciphertext_bytes(p.levels),
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
        BASE_BYTES + (held + self.live_bytes(program)) * PEAK_PERCENT / 100
    }

    /// Memory for a program, within a limit if there is one and that is possible: all keys at once, or as many at a time
    /// as fit; beyond that, the least there is. What is read then is not known yet: [`Prices::loaded_bytes`].
    pub(super) fn memory(&self, program: &CkksProgram, limit: Option<u64>) -> MemoryPlan {
        let sizes = self.key_sizes(program);
        let all: u64 = sizes.values().sum();
        let peak_bytes = self.peak_with(program, all);
        let Some(over) = limit.and_then(|limit| peak_bytes.checked_sub(limit)).filter(|&over| over > 0) else {
            return MemoryPlan { peak_bytes, key_memory: 0, loaded_bytes: 0 };
        };
        let budget = all.saturating_sub((over * 100).div_ceil(PEAK_PERCENT) + 1);
        let uses = key_uses(program, self.parameters).into_values();
        let least = uses.map(|keys| keys.iter().map(|key| sizes[key]).sum()).max().unwrap_or(0);
        let key_memory = budget.max(least);
        MemoryPlan { peak_bytes: self.peak_with(program, key_memory), key_memory, loaded_bytes: 0 }
    }

    /// Bytes of keys that an evaluation reads where so many are in memory at a time.
    pub(super) fn loaded_bytes(&self, program: &CkksProgram, key_memory: u64) -> u64 {
        Residence::new(key_uses(program, self.parameters), self.key_sizes(program), key_memory).loaded_bytes()
    }
}

/// What a program takes in memory, and what it reads from the key file for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MemoryPlan {
    /// Predicted peak.
    pub(super) peak_bytes: u64,
    /// Bytes of keys that are in memory at a time; 0 for all.
    pub(super) key_memory: u64,
    /// Bytes of keys that one evaluation reads.
    pub(super) loaded_bytes: u64,
}

impl MemoryPlan {
    /// The reading, in seconds on the reference machine.
    pub(super) fn work(&self) -> Work {
        Work::of(WorkKind::KeyLoading, self.loaded_bytes as f64 * SECONDS_PER_KEY_BYTE)
    }
}

#[cfg(test)]
mod tests {
    use paf_ir::program::InputPort;
    use paf_scheme::Secret;

    use super::*;

    fn parameters(levels: u32, digits: u32) -> Parameters {
        let (scale_bits, first_modulus_bits) = (50, 57);
        let special_primes = Parameters::special_primes_for(Level(levels), scale_bits, first_modulus_bits, digits);
        Parameters {
            ring_dimension: 1 << 16,
            slots: 1 << 12,
            levels: Level(levels),
            scale_bits,
            first_modulus_bits,
            digits,
            special_primes,
            secret: Secret::UniformTernaryEncapsulated,
            bootstrap: Some(Bootstrap::with_budget([3, 3])),
            log_qp: first_modulus_bits + levels * scale_bits + special_primes * 60,
            security_bits: 128,
        }
    }

    /// 2.2 s: `cargo bench -p openfhe-sys --bench stock_vs_kernels`, two threads.
    #[test]
    fn a_bootstrap_takes_what_was_measured() {
        let (parameters, model) = (parameters(20, 4), CostModel::new(&[], Work::ONES));
        let seconds = model.prices(&parameters).bootstrap_seconds(1 << 12);
        assert!((seconds - 2.2).abs() < 0.1, "{seconds} s");
    }

    /// Three rotations at one level, the last like the first.
    fn rotating() -> CkksProgram {
        let layout = paf_ir::Layout::dense(8, 1 << 12);
        let shape = paf_ir::Shape(vec![8]);
        let input = InputPort { name: "x".into(), shape, layout, scale: 1.0, range: (-1.0, 1.0) };
        let mut program = CkksProgram::new(1 << 12, vec![], vec![input]);
        let mut value = program.push("x", Op::Input { port: 0, level: Level(5) }).unwrap();
        for steps in [1, 2, 1] {
            value = program.push("rotated", Op::Rotate { steps, input: value }).unwrap();
        }
        program
    }

    #[test]
    fn where_memory_is_short_fewer_keys_are_in_it_and_read_again() {
        let (parameters, model) = (parameters(20, 4), CostModel::new(&[], Work::ONES));
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
        assert!(prices.seconds(MemoryPlan { loaded_bytes: key, ..fitting }.work()) > 0.0);
    }

    #[test]
    fn bootstraps_of_more_slots_and_limbs_take_longer() {
        let model = CostModel::new(&[], Work::ONES);
        let seconds = |levels, log_slots: u32| model.prices(&parameters(levels, 4)).bootstrap_seconds(1 << log_slots);
        for slots in 10..15 {
            assert!(seconds(24, slots) < seconds(24, slots + 1), "2^{slots} slots");
        }
        for levels in 18..30 {
            assert!(seconds(levels, 14) < seconds(levels + 1, 14), "{levels} levels");
        }
    }

    /// What the search for places relies on.
    #[test]
    fn nothing_is_cheaper_at_a_higher_level() {
        let (babies, giants, outer) = (17, 7, 1);
        let maps =
            [MapWork { babies, giants, outer, folds: 0, plaintexts: 144, inputs: 1, outputs: 1, period: 1 << 14 }];
        for digits in [1, 2, 3, 4, 5, 9, 14, 27] {
            let parameters = parameters(26, digits);
            let prices = Prices { maps: &maps, slowness: Work::ONES, parameters: &parameters };
            let grows = |name: &str, price: &dyn Fn(u32) -> f64| {
                for level in 0..25 {
                    assert!(price(level) <= price(level + 1), "{name} at level {level} with {digits} digits");
                }
            };
            grows("key switch", &|level| prices.key_switch(level));
            grows("linear", &|level| prices.linear(0, level).total());
            grows("rescale", &|level| prices.rescale(level) + prices.product(level) + prices.light(level));
        }
    }
}
