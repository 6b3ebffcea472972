//! What the operations of a circuit take with one parameter set: time.
//!
//! The unit is one pass over a limb, `N·log2(N)` butterflies ([`TimeFigures`]). Work is counted by kind, and a table of
//! another machine says how much slower or faster it does each kind.

use paf_ir::ckks::{CkksProgram, Level, Op};
use paf_ir::diagonals::PackedMap;

use crate::profile::TimeFigures;
use crate::{Bootstrap, EngineProfile, Parameters, Stage, Work, WorkKind};

/// Work of one linear map, over all ciphertexts.
#[derive(Debug, Clone, Copy)]
pub struct MapWork {
    pub(crate) babies: usize,
    /// Giant steps that rotate, inner and outer.
    pub(crate) giants: usize,
    /// Outer ones of these: sums that are brought back to Q of their own.
    outer: usize,
    folds: usize,
    pub(crate) plaintexts: usize,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// Slots after which plaintexts repeat.
    period: usize,
}

impl MapWork {
    /// Counts the work of a map; expands one of several ciphertexts.
    pub fn of(map: &PackedMap) -> Self {
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
    pub(crate) fn plaintext_bytes(&self, level: Level) -> u64 {
        (u64::from(level.0) + 2) * 2 * self.period as u64 * 8
    }
}

/// What the operations of a program are made of, whatever their levels, on one engine and one machine.
#[derive(Debug)]
pub struct CostModel {
    profile: &'static EngineProfile,
    /// Seconds of each kind of work for a second on the reference machine.
    slowness: Work,
    maps: Vec<MapWork>,
}

impl CostModel {
    /// For a program with these maps. `slowness` is how many times as long as the engine's reference machine the machine
    /// takes for each kind of work.
    pub fn new(profile: &'static EngineProfile, slowness: Work, maps: Vec<MapWork>) -> Self {
        CostModel { profile, slowness, maps }
    }

    /// Prices with one parameter set.
    pub fn prices<'m>(&'m self, parameters: &'m Parameters) -> Prices<'m> {
        let CostModel { profile, slowness, maps } = self;
        Prices { profile, time: &profile.time, slowness, maps, parameters }
    }
}

/// Seconds and bytes with one parameter set.
#[derive(Debug, Clone, Copy)]
pub struct Prices<'m> {
    pub(crate) profile: &'static EngineProfile,
    time: &'static TimeFigures,
    slowness: &'m Work,
    pub(crate) maps: &'m [MapWork],
    pub(crate) parameters: &'m Parameters,
}

impl Prices<'_> {
    /// Seconds on the reference machine of a pass over a limb.
    fn seconds_per_pass(&self) -> f64 {
        let n = self.parameters.ring_dimension as f64;
        n * n.log2() * self.time.seconds_per_butterfly
    }

    /// Seconds of these passes over a limb.
    pub fn seconds_of(&self, passes: Work) -> f64 {
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
        self.time.raise * self.digits(level) * self.extended(level)
    }

    /// Two parts over QP brought back.
    fn divide(&self, level: u32) -> f64 {
        self.time.divide * self.extended(level)
    }

    /// Passes of a rotation or a relinearization.
    pub fn key_switch(&self, level: u32) -> f64 {
        self.raise(level) + self.divide(level)
    }

    /// A stage of a bootstrap, whose babies and plaintexts are in QP, before its rescale.
    fn rotations_and_products(&self, babies: usize, others: usize, plaintexts: usize, from: u32) -> f64 {
        let key_switches = (others as f64 + self.time.transform_baby * babies as f64) * self.key_switch(from);
        key_switches + plaintexts as f64 * self.extended(from) * self.time.transform_product
    }

    /// A plaintext encoded where it is used: with bootstraps, memory belongs to keys.
    fn encoding(&self, from: u32, share: f64) -> f64 {
        let passes = self.time.encoding + self.time.encoding_of_limb * f64::from(from + 1);
        if self.parameters.bootstrap.is_some() { share * passes } else { 0.0 }
    }

    /// Passes of a map whose result is at a level. Its plaintexts have a share of the words of a limb.
    pub fn linear(&self, map: usize, level: u32) -> Work {
        let (work, from) = (self.maps[map], level + 1);
        let share = (2 * work.period) as f64 / self.parameters.ring_dimension as f64;
        let hoisted = self.time.hoisted * self.digits(from) * self.extended(from) + self.divide(from);
        let each = |count: usize, passes: f64| count as f64 * passes;
        let key_switches = each(work.inputs.min(work.babies), self.raise(from))
            + each(work.babies, hoisted)
            + each(work.giants, self.raise(from) + self.addition(from))
            + each(work.outputs.min(work.giants) + work.outer, self.divide(from))
            + each(work.folds, self.key_switch(level));
        Work::of(WorkKind::KeySwitch, key_switches)
            + Work::of(
                WorkKind::PlaintextProduct,
                each(work.plaintexts, self.time.plaintext_product * f64::from(from + 1)),
            )
            + Work::of(WorkKind::Encoding, each(work.plaintexts, self.encoding(from, share)))
            + Work::of(WorkKind::Rescale, each(work.outputs, self.rescale(from)))
    }

    /// Passes of a product of ciphertexts.
    pub fn product(&self, level: u32) -> f64 {
        f64::from(level + 1) * self.time.product
    }

    /// Passes of a rescale.
    pub fn rescale(&self, level: u32) -> f64 {
        f64::from(level + 1) * self.time.rescale
    }

    /// Passes of a sum, or of a product with a constant.
    pub fn addition(&self, level: u32) -> f64 {
        f64::from(level + 1) * self.time.addition
    }

    fn operation(&self, op: &Op, level: u32, ciphertexts: usize) -> Work {
        let (kind, passes) = match op {
            Op::Linear { map, .. } => return self.linear(map.index(), level),
            Op::Rotate { .. } | Op::Relinearize(_) => (WorkKind::KeySwitch, self.key_switch(level)),
            Op::Mul(..) => (WorkKind::Product, self.product(level)),
            Op::Rescale(_) | Op::Drop { .. } => (WorkKind::Rescale, self.rescale(level)),
            Op::Bootstrap { slots, .. } => (WorkKind::Bootstrap, self.bootstrap(*slots)),
            _ => (WorkKind::Addition, self.addition(level)),
        };
        Work::of(kind, ciphertexts as f64 * passes)
    }

    /// Passes of one bootstrap of this many slots, whatever the level it is asked for: the modulus is raised to the top.
    fn bootstrap(&self, slots: usize) -> f64 {
        let Some(bootstrap) = self.parameters.bootstrap else { return 0.0 };
        let top = self.parameters.levels.0;
        let mut level = top;
        let mut passes = self.profile.bootstrap.other_key_switches * self.key_switch(top);
        passes += Bootstrap::trace(slots, self.parameters.ring_dimension).len() as f64 * self.key_switch(top);
        passes += self.transform(&bootstrap.encoding(slots), &mut level);
        let copies = if 2 * slots == self.parameters.ring_dimension { 2.0 } else { 1.0 };
        let decoding = bootstrap.decoding_level(self.parameters.levels).0;
        let middle = (level + decoding) / 2;
        passes += copies
            * self.profile.bootstrap.modular_reduction_products
            * (self.key_switch(middle) + 2.0 * self.rescale(middle));
        level = decoding;
        passes += self.transform(&bootstrap.decoding(slots), &mut level);
        passes * self.time.bootstrap * f64::from(bootstrap.iterations())
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
    pub fn bootstrap_seconds(&self, slots: usize) -> f64 {
        self.seconds_of(Work::of(WorkKind::Bootstrap, self.bootstrap(slots)))
    }

    /// Work of one evaluation: seconds on the reference machine by kind.
    pub fn work(&self, program: &CkksProgram) -> Work {
        let passes =
            program.values().map(|(_, value)| self.operation(&value.op, value.ty.level.0, value.ty.ciphertexts));
        passes.sum::<Work>() * self.seconds_per_pass()
    }

    /// Seconds of work.
    pub fn seconds(&self, work: Work) -> f64 {
        WorkKind::ALL.into_iter().map(|kind| work[kind] * self.slowness[kind]).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parameters;

    fn model(maps: Vec<MapWork>) -> CostModel {
        CostModel::new(EngineProfile::openfhe(), Work::ONES, maps)
    }

    /// 2.2 s: `cargo bench -p openfhe-sys --bench stock_vs_kernels`, two threads.
    #[test]
    fn a_bootstrap_takes_what_was_measured() {
        let (parameters, model) = (parameters(20, 4), model(vec![]));
        let seconds = model.prices(&parameters).bootstrap_seconds(1 << 12);
        assert!((seconds - 2.2).abs() < 0.1, "{seconds} s");
    }

    #[test]
    fn bootstraps_of_more_slots_and_limbs_take_longer() {
        let model = model(vec![]);
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
        let map = MapWork { babies, giants, outer, folds: 0, plaintexts: 144, inputs: 1, outputs: 1, period: 1 << 14 };
        let model = model(vec![map]);
        for digits in [1, 2, 3, 4, 5, 9, 14, 27] {
            let parameters = parameters(26, digits);
            let prices = model.prices(&parameters);
            let grows = |name: &str, price: &dyn Fn(u32) -> f64| {
                for level in 0..25 {
                    assert!(price(level) <= price(level + 1), "{name} at level {level} with {digits} digits");
                }
            };
            grows("key switch", &|level| prices.key_switch(level));
            grows("linear", &|level| prices.linear(0, level).total());
            grows("rescale", &|level| prices.rescale(level) + prices.product(level) + prices.addition(level));
        }
    }
}
