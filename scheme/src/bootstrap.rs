//! What a bootstrap takes: levels, rotations, plaintexts. The transforms are cut as OpenFHE 1.4.2 cuts them
//! (`ckksrns-utils.cpp`); its engine compares them with the library that it runs on.
//!
//! A bootstrap raises the modulus, brings the coefficients into slots, reduces them modulo `q_0` by a scaled sine, and
//! brings the slots back into coefficients. Both transforms are the layers of an FFT, several of which are collapsed
//! into one linear map, a [`Stage`], that costs one level.

use std::collections::BTreeMap;

use paf_ir::ckks::Level;

use crate::keys::need_level;

/// How bootstraps are evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bootstrap {
    /// Levels spent on the homomorphic encoding (coefficients to slots) and on decoding (slots to coefficients).
    pub level_budget: [u32; 2],
    /// Levels that a bootstrap takes from the top of the chain.
    pub depth: u32,
    /// Bits that the first of two iterations reaches: a second bootstrap then refreshes its error, multiplied by 2 to
    /// these bits. 0 where there is one iteration.
    pub refinement_bits: u32,
}

/// A linear map that is several collapsed layers of a transform, with its baby-step giant-step plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage {
    /// Generalised diagonals: one plaintext each.
    pub diagonals: u32,
    /// Hoisted rotations, the empty one included.
    pub babies: u32,
    /// Giant rotations, the empty one included.
    pub giants: u32,
    /// Slots between neighbouring diagonals.
    stride: i64,
}

impl Bootstrap {
    /// The same with a second iteration, after a first one that reaches this many bits: it takes one level more. Source:
    /// Bae, Cheon, Cho, Kim, Kim, "META-BTS: bootstrapping precision beyond the limit" (2022).
    pub fn refined(self, bits: u32) -> Self {
        Bootstrap { depth: self.depth + u32::from(bits > 0), refinement_bits: bits, ..self }
    }

    /// How often the modulus is raised in one bootstrap.
    pub fn iterations(&self) -> u32 {
        1 + u32::from(self.refinement_bits > 0)
    }

    /// The level at which the decoding begins, in a chain of this many levels.
    pub fn decoding_level(&self, levels: Level) -> Level {
        let before = self.depth.saturating_sub(self.level_budget[1] + u32::from(self.refinement_bits > 0));
        Level(levels.0.saturating_sub(before))
    }

    /// Whether a number of slots has layers enough for the budgets: at least one for each level.
    pub fn fits(&self, slots: usize) -> bool {
        self.level_budget.iter().all(|&budget| budget > 1 && budget <= slots.ilog2())
    }

    /// Stages of the encoding, in the order of their evaluation.
    pub fn encoding(&self, slots: usize) -> Vec<Stage> {
        let (layers, rest) = layers(slots, self.level_budget[0]);
        let first = i64::from(rest > 0);
        let whole = (first..i64::from(self.level_budget[0])).rev();
        let mut stages: Vec<Stage> =
            whole.map(|stage| Stage::new(layers, 1 << ((stage - first) as u32 * layers + rest))).collect();
        stages.extend((rest > 0).then(|| Stage::new(rest, 1)));
        stages
    }

    /// Stages of the decoding, in the order of their evaluation.
    pub fn decoding(&self, slots: usize) -> Vec<Stage> {
        let (layers, rest) = layers(slots, self.level_budget[1]);
        let whole = self.level_budget[1] - u32::from(rest > 0);
        let mut stages: Vec<Stage> = (0..whole).map(|stage| Stage::new(layers, 1 << (stage * layers))).collect();
        stages.extend((rest > 0).then(|| Stage::new(rest, 1 << (whole * layers))));
        stages
    }

    /// Rotations that sum up the copies of fewer slots than half the ring dimension.
    pub fn trace(slots: usize, ring_dimension: usize) -> Vec<i64> {
        let copies = (ring_dimension / 2 / slots).max(1);
        (0..copies.ilog2()).map(|bit| (slots << bit) as i64).collect()
    }

    /// Every rotation of a bootstrap of this many slots in a chain of this many levels, each with the highest level it
    /// is used at: the sums of copies at the top, the encoding from one below, the decoding after the modular reduction. A bootstrap also takes the conjugation, the relinearization, and two
    /// switches between the secrets.
    pub fn rotations(&self, slots: usize, ring_dimension: usize, levels: Level) -> BTreeMap<i64, Level> {
        let all = (ring_dimension / 2) as i64;
        let mut highest = BTreeMap::new();
        let mut need = |steps: i64, level: u32| need_level(&mut highest, steps, Level(level));
        Self::trace(slots, ring_dimension).into_iter().for_each(|steps| need(steps, levels.0));
        for (level, stage) in (0..levels.0).rev().zip(self.encoding(slots)) {
            stage.rotations(slots as i64, all).for_each(|steps| need(steps, level));
        }
        for (level, stage) in (0..=self.decoding_level(levels).0).rev().zip(self.decoding(slots)) {
            stage.rotations(all, all).for_each(|steps| need(steps, level));
        }
        highest.remove(&0);
        highest.remove(&all);
        highest
    }

    /// The level of the conjugation, after the encoding and before its last rescale.
    pub fn conjugation_level(&self, levels: Level) -> Level {
        Level(levels.0.saturating_sub(self.level_budget[0]))
    }
}

/// Layers that each stage collapses, and those left for one more stage.
fn layers(slots: usize, budget: u32) -> (u32, u32) {
    let all = slots.max(2).ilog2();
    let stages = |layers: u32| all / layers + u32::from(!all.is_multiple_of(layers));
    let layers = all.div_ceil(budget);
    if stages(layers) >= budget {
        return (layers, all % layers);
    }
    let layers = (layers - 1).max(1);
    let mut rows = all / layers;
    while rows + u32::from(all > rows * layers) > budget {
        rows -= 1;
    }
    (layers, all - rows * layers)
}

impl Stage {
    fn new(layers: u32, stride: i64) -> Self {
        let diagonals = (1 << (layers + 1)) - 1;
        let babies = 1 << (layers / 2 + 1 + u32::from(diagonals > 7));
        Stage { diagonals, babies, giants: (diagonals + 1) / babies, stride }
    }

    /// Babies modulo one number of slots, giants modulo another.
    fn rotations(self, baby_slots: i64, giant_slots: i64) -> impl Iterator<Item = i64> {
        let first = -i64::from(self.diagonals / 2);
        let babies = (0..i64::from(self.babies)).map(move |baby| (first + baby) * self.stride);
        let giants = (0..i64::from(self.giants)).map(move |giant| giant * i64::from(self.babies) * self.stride);
        babies.map(move |steps| steps.rem_euclid(baby_slots)).chain(giants.map(move |s| s.rem_euclid(giant_slots)))
    }
}
