//! What a circuit costs, in operations.

use std::collections::BTreeSet;

use paf_ir::ckks::{CkksProgram, Op};
use paf_ir::diagonals::PackedMap;

/// Operation counts of a circuit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// Levels from input to output.
    pub levels: u32,
    /// Bootstraps executed.
    pub bootstraps: usize,
    /// Rotations executed, hoisted ones included.
    pub rotations: usize,
    /// Distinct rotations: one key each.
    pub rotation_keys: BTreeSet<i64>,
    /// Ciphertext by ciphertext products.
    pub ciphertext_products: usize,
    /// Relinearizations.
    pub relinearizations: usize,
    /// Ciphertext by plaintext products in linear maps.
    pub plaintext_products: usize,
    /// Ciphertext by constant products.
    pub constant_products: usize,
    /// Rescales, those inside linear maps and level drops included.
    pub rescales: usize,
}

impl Counts {
    /// The operations of one evaluation.
    pub fn of(program: &CkksProgram) -> Self {
        let mut counts = Counts { levels: program.top_level().0, ..Counts::default() };
        let plaintexts: Vec<usize> = program.maps.iter().map(PackedMap::plaintext_count).collect();
        for (_, value) in program.values() {
            let ciphertexts = value.ty.ciphertexts;
            match &value.op {
                Op::Linear { map, .. } => {
                    let packed = &program.maps[map.index()];
                    counts.rotations += packed.plan.rotation_count(packed.input.ciphertexts, ciphertexts);
                    counts.rotation_keys.extend(packed.plan.rotations());
                    counts.plaintext_products += plaintexts[map.index()];
                    counts.rescales += ciphertexts;
                }
                Op::Rotate { steps, .. } => {
                    counts.rotations += ciphertexts;
                    counts.rotation_keys.insert(*steps);
                }
                Op::Mul(..) => counts.ciphertext_products += ciphertexts,
                Op::MulConstant { .. } => counts.constant_products += ciphertexts,
                Op::Relinearize(_) => counts.relinearizations += ciphertexts,
                Op::Rescale(_) => counts.rescales += ciphertexts,
                Op::Drop { .. } => {
                    counts.rescales += ciphertexts;
                    counts.constant_products += ciphertexts;
                }
                Op::Bootstrap { .. } => counts.bootstraps += ciphertexts,
                Op::Input { .. } | Op::Add(..) | Op::Sub(..) | Op::AddConstant { .. } => {}
            }
        }
        counts
    }
}
