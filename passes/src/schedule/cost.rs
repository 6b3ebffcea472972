//! Predicted time and memory of a circuit.
//!
//! The unit of time is one pass over a limb, `N·log2(N)` butterflies; the constants are measured with OpenFHE 1.4.2 and
//! the AVX-512 kernels on two cores of a server CPU (`cargo bench -p paf-compiler --bench networks`), so predictions for
//! other machines are off by their ratio.

use paf_ir::ckks::{CkksProgram, Op, Parameters};
use paf_ir::diagonals::plaintext_count;
use paf_ir::program::Operation;
use rayon::prelude::*;

/// Seconds of a limb transform divided by `N·log2 N`, two threads, AVX-512 kernels.
const SECONDS_PER_BUTTERFLY: f64 = 1.75e-10;
/// A process with OpenFHE loaded, before keys.
const BASE_BYTES: u64 = 150 << 20;

/// Costs that depend on the parameters only through their sizes.
pub(super) struct CostModel<'p> {
    program: &'p CkksProgram,
    plaintexts: Vec<usize>,
    keys: u64,
}

impl<'p> CostModel<'p> {
    pub(super) fn new(program: &'p CkksProgram) -> Self {
        let plaintexts = program
            .maps
            .par_iter()
            .map(|map| plaintext_count(&map.map.matrix(), &map.input, &map.output, map.plan.modulus))
            .collect();
        let counts = program.counts();
        let keys = counts.rotation_keys.len() as u64 + u64::from(counts.relinearizations > 0);
        CostModel { program, plaintexts, keys }
    }

    /// Limb transforms of a key switch at a level: every digit raised to QP, the two results brought back.
    fn key_switch(&self, p: &Parameters, level: u32) -> f64 {
        let limbs = f64::from(level + 1);
        let per_digit = (p.limbs() as f64 / f64::from(p.digits)).ceil();
        let digits = (limbs / per_digit).ceil();
        digits * (limbs + f64::from(p.special_primes)) * 1.6 + 2.0 * (limbs + f64::from(p.special_primes))
    }

    fn operation(&self, p: &Parameters, op: &Op, level: u32, ciphertexts: usize) -> f64 {
        let limbs = f64::from(level + 1);
        let each = ciphertexts as f64;
        match op {
            Op::Linear { map, .. } => {
                let packed = &self.program.maps[map.index()];
                let rotations = packed.plan.rotation_count(packed.input.ciphertexts, packed.output.ciphertexts);
                let babies = packed.plan.babies().len() * packed.input.ciphertexts;
                let extended = limbs + 1.0 + f64::from(p.special_primes);
                (rotations - babies) as f64 * self.key_switch(p, level + 1)
                    + babies as f64 * 0.5 * self.key_switch(p, level + 1)
                    + self.plaintexts[map.index()] as f64 * extended * 0.4
                    + each * 2.0 * limbs
            }
            Op::Rotate { .. } | Op::Relinearize(_) => each * self.key_switch(p, level),
            Op::Mul(..) => each * limbs * 0.8,
            Op::Rescale(_) | Op::Drop { .. } => each * limbs * 2.5,
            Op::Bootstrap { .. } => each * 40.0 * self.key_switch(p, p.levels.0),
            _ => each * limbs * 0.3,
        }
    }

    /// Seconds of one evaluation, plaintexts encoded ahead.
    pub(super) fn seconds(&self, p: &Parameters) -> f64 {
        let n = p.ring_dimension as f64;
        let passes: f64 = self
            .program
            .values()
            .map(|(_, value)| self.operation(p, &value.op, value.ty.level.0, value.ty.ciphertexts))
            .sum();
        passes * n * n.log2() * SECONDS_PER_BUTTERFLY
    }

    /// Bytes of all plaintexts in the extended basis, each at its map's level.
    fn plaintext_bytes(&self, p: &Parameters) -> u64 {
        let bytes_at = |value: &paf_ir::program::Value<Op>| match &value.op {
            Op::Linear { map, level, .. } => {
                let limbs = u64::from(level.0) + 2 + u64::from(p.special_primes);
                self.plaintexts[map.index()] as u64 * limbs * p.ring_dimension as u64 * 8
            }
            _ => 0,
        };
        self.program.values().map(|(_, value)| bytes_at(value)).sum()
    }

    /// Largest sum of ciphertexts alive at once, rotated babies included.
    fn live_bytes(&self, p: &Parameters) -> u64 {
        let last = self.program.last_uses();
        let bytes: Vec<u64> = self
            .program
            .values()
            .map(|(_, value)| {
                let parts = u64::from(value.ty.parts);
                value.ty.ciphertexts as u64 * p.ciphertext_bytes(value.ty.level) * parts / 2
            })
            .collect();
        let mut peak = 0;
        for (id, value) in self.program.values() {
            let alive = (0..=id.index()).filter(|&other| last[other] >= id.index()).map(|other| bytes[other]);
            let babies = value.op.map().map_or(0, |map| {
                let packed = &self.program.maps[map.index()];
                let extended = p.ciphertext_bytes(p.levels) * (p.limbs() as u64 + u64::from(p.special_primes));
                (packed.plan.babies().len() as u64 + 3) * packed.input.ciphertexts as u64 * extended / p.limbs() as u64
            });
            peak = peak.max(alive.sum::<u64>() + babies);
        }
        peak
    }

    /// Predicted peak of a process that makes keys, encrypts, evaluates and decrypts.
    pub(super) fn peak_bytes(&self, p: &Parameters) -> u64 {
        let keys = self.keys * p.evaluation_key_bytes();
        let plaintexts = self.plaintext_bytes(p).min(PREPARED_LIMIT);
        BASE_BYTES + (keys + plaintexts + self.live_bytes(p)) * 108 / 100
    }
}

/// Plaintexts are encoded ahead up to this many bytes, as the runtime does.
const PREPARED_LIMIT: u64 = 4 << 30;
