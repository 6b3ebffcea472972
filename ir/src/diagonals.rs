//! Linear maps as generalised diagonals, and baby-step giant-step plans over them.
//!
//! Source: the diagonals of Halevi and Shoup (Algorithms in HElib, 2014) with the hybrid embedding of Gazelle (Juvekar,
//! Vaikuntanathan, Chandrakasan, 2018) and Orion (Ebel, Garimella, Reagen, arXiv 2311.03470). The input
//! repeats with period `p_in` and the output with `p_out`. For a modulus `h` with `min(p_in, p_out) ≤ h ≤ p_in`,
//! diagonal `i ∈ [0, h)` holds at slot `t` the entry of output slot `t mod p_out` and input slot
//! `(t + i) mod p_in`; then
//!
//! `w[t] = Σ_i d_i[t] · x[t + i]` and `y = Σ_{k < p_in/h} rot_{k·h}(w)`,
//!
//! the sum done by `log2(p_in / h)` rotate-and-add folds. Any set of representatives modulo `h` will do for `i`; a
//! plan takes the ones with the fewest rotations and writes `i = giant + baby`:
//! `w = Σ_g rot_g( Σ_b rot_{−g}(d_{g+b}) ⊙ rot_b(x) )`.
//!
//! Giants that lie on a grid, `g = outer + inner`, are reached in two rotations: `rot_outer( Σ_inner rot_inner(…) )`
//! takes as many rotations, `(a − 1)·b + (b − 1) = a·b − 1`, and only `(a − 1) + (b − 1)` keys.

mod check;
mod slots;

use std::collections::{BTreeMap, BTreeSet};

use crate::layout::Layout;
use crate::linear::LinearMap;
use crate::sparse::Matrix;

/// One giant step: rotate the sum over `babies` by `rotation`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Giant {
    /// Left rotation of the inner sum, in slots; may be negative.
    pub rotation: i64,
    /// Left rotations of the input, in slots; may be negative.
    pub babies: Vec<i64>,
}

/// A baby-step giant-step evaluation of one linear map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Diagonals are numbered modulo this power of two, `h`.
    pub modulus: usize,
    /// Giant steps, each with its babies; `rotation + baby` is the diagonal.
    pub giants: Vec<Giant>,
    /// Spacing of the outer giant steps: a giant rotates its sum to the nearest multiple of it together with the giants
    /// beside it; 0 where each giant is one rotation.
    pub outer_stride: i64,
    /// Rotations of the final rotate-and-add folds, in order.
    pub folds: Vec<i64>,
}

/// A giant step as two rotations, `inner + outer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GiantSteps {
    /// Rotation of the giant's own sum.
    pub inner: i64,
    /// Rotation of the sum over all giants with this outer step.
    pub outer: i64,
}

/// Splits a giant's rotation at the nearest multiple of `outer_stride`; 0 leaves it whole.
pub fn giant_steps(rotation: i64, outer_stride: i64) -> GiantSteps {
    if outer_stride == 0 {
        return GiantSteps { inner: rotation, outer: 0 };
    }
    let outer = (rotation + outer_stride / 2).div_euclid(outer_stride) * outer_stride;
    GiantSteps { inner: rotation - outer, outer }
}

impl Plan {
    /// For each residue modulo `modulus` the diagonal `i mod period` that stands for it, if the plan has one.
    fn representatives(&self, period: usize) -> Vec<Option<usize>> {
        let mut representatives = vec![None; self.modulus];
        for giant in &self.giants {
            for baby in &giant.babies {
                let diagonal = (giant.rotation + baby).rem_euclid(period as i64) as usize;
                representatives[diagonal % self.modulus] = Some(diagonal);
            }
        }
        representatives
    }

    /// Distinct non-zero baby rotations.
    pub fn babies(&self) -> BTreeSet<i64> {
        self.giants.iter().flat_map(|giant| giant.babies.iter().copied()).filter(|&b| b != 0).collect()
    }

    /// Distinct non-zero rotations of giant steps, inner and outer.
    pub fn giant_rotations(&self) -> BTreeSet<i64> {
        self.steps().flat_map(|steps| [steps.inner, steps.outer]).filter(|&g| g != 0).collect()
    }

    /// The giants by outer step: indices into [`Plan::giants`] with their inner rotations.
    pub fn giants_by_outer(&self) -> BTreeMap<i64, Vec<(usize, i64)>> {
        let mut groups: BTreeMap<i64, Vec<(usize, i64)>> = BTreeMap::new();
        for (index, steps) in self.steps().enumerate() {
            groups.entry(steps.outer).or_default().push((index, steps.inner));
        }
        groups
    }

    fn steps(&self) -> impl Iterator<Item = GiantSteps> {
        self.giants.iter().map(|giant| giant_steps(giant.rotation, self.outer_stride))
    }

    /// Rotations of giant steps for one output ciphertext.
    pub fn giant_count(&self) -> usize {
        let inner: BTreeSet<(i64, i64)> = self.steps().filter(|s| s.inner != 0).map(|s| (s.outer, s.inner)).collect();
        let outer: BTreeSet<i64> = self.steps().map(|s| s.outer).filter(|&outer| outer != 0).collect();
        inner.len() + outer.len()
    }

    /// Every rotation that needs a key.
    pub fn rotations(&self) -> BTreeSet<i64> {
        let folds = self.folds.iter().copied().filter(|&f| f != 0);
        self.babies().into_iter().chain(self.giant_rotations()).chain(folds).collect()
    }

    /// Rotations executed for one input and one output ciphertext.
    pub fn rotation_count(&self, inputs: usize, outputs: usize) -> usize {
        self.babies().len() * inputs + (self.giant_count() + self.folds.len()) * outputs
    }
}

/// A linear map between two layouts with its plan: all that is needed to evaluate it on ciphertexts.
#[derive(Debug, Clone, PartialEq)]
pub struct PackedMap {
    /// The map's name in reports: the ONNX node it stands for.
    pub name: String,
    /// The map on elements.
    pub map: std::sync::Arc<LinearMap>,
    /// Layout of the input.
    pub input: Layout,
    /// Layout of the output.
    pub output: Layout,
    /// How it is evaluated.
    pub plan: Plan,
}

/// The diagonals of one block (output ciphertext, input ciphertext): diagonal index to `max(p_in, p_out)` values.
pub type Block = BTreeMap<usize, Vec<f64>>;

/// Plaintexts of one block by giant step and baby rotation.
pub type PlanPlaintexts = BTreeMap<(usize, i64), Vec<f64>>;

/// All blocks of a map, `blocks[output ciphertext][input ciphertext]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagonals {
    /// Length of every diagonal: `max(p_in, p_out)`; it repeats over the slots.
    pub length: usize,
    /// The non-zero diagonals.
    pub blocks: Vec<Vec<Block>>,
}

/// Expands a matrix between two layouts into the non-zero diagonals that a plan takes, keyed by `i mod p_in`.
pub fn diagonals(matrix: &impl Matrix, input: &Layout, output: &Layout, plan: &Plan) -> Diagonals {
    let length = input.period.max(output.period);
    let representatives = plan.representatives(input.period);
    let mut blocks = vec![vec![Block::new(); input.ciphertexts]; output.ciphertexts];
    for_each_entry(matrix, input, output, |place, value| {
        if representatives[place.diagonal % plan.modulus] == Some(place.diagonal) {
            let block = &mut blocks[place.output_ciphertext][place.input_ciphertext];
            block.entry(place.diagonal).or_insert_with(|| vec![0.0; length])[place.slot] = value;
        }
    });
    Diagonals { length, blocks }
}

/// The set of non-zero diagonals modulo `modulus`, over all blocks, without their values.
pub fn diagonal_indices(matrix: &impl Matrix, input: &Layout, output: &Layout, modulus: usize) -> BTreeSet<usize> {
    let residues = Residues::new(input, output, modulus);
    let mut seen = vec![false; residues.modulus];
    residues.for_each(matrix, |_, residue| seen[residue] = true);
    (0..modulus).filter(|&diagonal| seen[diagonal % residues.modulus]).collect()
}

/// Number of plaintexts: non-zero diagonals counted in each block.
pub fn plaintext_count(matrix: &impl Matrix, input: &Layout, output: &Layout, modulus: usize) -> usize {
    let residues = Residues::new(input, output, modulus);
    let mut seen = vec![false; residues.modulus * input.ciphertexts * output.ciphertexts];
    residues.for_each(matrix, |block, residue| seen[block * residues.modulus + residue] = true);
    seen.into_iter().filter(|&used| used).count() * (modulus / residues.modulus)
}

/// Which diagonals entries lie on, modulo the smaller period: where the output's is smaller, the output's repetitions
/// put an entry on every diagonal of its residue.
struct Residues<'l> {
    input: &'l Layout,
    output: &'l Layout,
    /// A power of two, as periods are.
    modulus: usize,
}

impl<'l> Residues<'l> {
    fn new(input: &'l Layout, output: &'l Layout, modulus: usize) -> Self {
        Residues { input, output, modulus: modulus.min(input.period).min(output.period) }
    }

    /// Visits the block, row-major over output and input ciphertexts, and the residue of every entry.
    fn for_each(&self, matrix: &impl Matrix, mut visit: impl FnMut(usize, usize)) {
        let (input_bits, mask) = (self.input.period.trailing_zeros(), self.modulus - 1);
        matrix.each_row(&mut |row, columns, _| {
            let out_slot = self.output.slot(row);
            let first_block = out_slot / self.output.period * self.input.ciphertexts;
            for &column in columns {
                let in_slot = self.input.slot(column as usize);
                visit(first_block + (in_slot >> input_bits), in_slot.wrapping_sub(out_slot) & mask);
            }
        });
    }
}

struct Place {
    output_ciphertext: usize,
    input_ciphertext: usize,
    diagonal: usize,
    slot: usize,
}

fn for_each_entry(matrix: &impl Matrix, input: &Layout, output: &Layout, mut visit: impl FnMut(Place, f64)) {
    let length = input.period.max(output.period);
    matrix.each_row(&mut |row, columns, values| {
        let out_global = output.slot(row);
        let (output_ciphertext, out_slot) = (out_global / output.period, out_global % output.period);
        for (&column, &value) in columns.iter().zip(values) {
            let in_global = input.slot(column as usize);
            let (input_ciphertext, in_slot) = (in_global / input.period, in_global % input.period);
            for slot in (out_slot..length).step_by(output.period) {
                let diagonal = (in_slot + length - slot) % input.period;
                visit(Place { output_ciphertext, input_ciphertext, diagonal, slot }, value);
            }
        }
    });
}

/// The folds that finish a map of this modulus: `p_in/2, p_in/4, …, modulus`.
pub fn folds(input_period: usize, modulus: usize) -> Vec<i64> {
    let mut folds = Vec::new();
    let mut step = input_period / 2;
    while step >= modulus {
        folds.push(step as i64);
        step /= 2;
    }
    folds
}

impl PackedMap {
    /// Number of plaintexts of a complete plan; expands the map only where several blocks share the plan.
    pub fn plaintext_count(&self) -> usize {
        if self.input.ciphertexts * self.output.ciphertexts == 1 {
            return self.plan.giants.iter().map(|giant| giant.babies.len()).sum();
        }
        plaintext_count(&self.map.rows(), &self.input, &self.output, self.plan.modulus)
    }

    /// Values of the plaintexts, pre-rotated for their giant step: `(giant index, baby rotation)` to
    /// `rot_{−giant}(diagonal)`, a vector of `max(p_in, p_out)` values; per output and input ciphertext.
    pub fn plaintexts(&self) -> Vec<Vec<PlanPlaintexts>> {
        let expanded = diagonals(&self.map.rows(), &self.input, &self.output, &self.plan);
        let rotate = |block: Block| self.plan_block(&block, expanded.length);
        expanded.blocks.into_iter().map(|row| row.into_iter().map(rotate).collect()).collect()
    }

    fn plan_block(&self, block: &Block, length: usize) -> PlanPlaintexts {
        let mut plaintexts = BTreeMap::new();
        for (index, giant) in self.plan.giants.iter().enumerate() {
            for &baby in &giant.babies {
                let diagonal = (giant.rotation + baby).rem_euclid(self.input.period as i64) as usize;
                if let Some(values) = block.get(&diagonal) {
                    plaintexts.insert((index, baby), rotated_left(values, -giant.rotation, length));
                }
            }
        }
        plaintexts
    }

    /// The bias in slots: per output ciphertext a vector of `p_out` values, zero in the gaps; `None` without bias.
    pub fn bias_slots(&self) -> Option<Vec<Vec<f64>>> {
        let bias = self.map.bias.as_ref()?;
        let values: Vec<f64> = (0..self.map.outputs).map(|index| bias.at(index)).collect();
        Some(self.output.pack(&values))
    }

    /// The meaning of the map on slots: applies it to vectors of `slots` values.
    pub fn apply(&self, vectors: &[Vec<f64>], slots: usize) -> Vec<Vec<f64>> {
        let plaintexts = self.plaintexts();
        let mut results: Vec<Vec<f64>> = plaintexts.iter().map(|row| self.apply_row(row, vectors, slots)).collect();
        if let Some(bias) = self.bias_slots() {
            for (result, bias) in results.iter_mut().zip(&bias) {
                result.iter_mut().enumerate().for_each(|(t, value)| *value += bias[t % bias.len()]);
            }
        }
        results
    }

    fn apply_row(&self, row: &[PlanPlaintexts], vectors: &[Vec<f64>], slots: usize) -> Vec<f64> {
        let mut result = vec![0.0; slots];
        for (outer, giants) in self.plan.giants_by_outer() {
            let mut sum = vec![0.0; slots];
            for (giant, rotation) in giants {
                let mut inner = vec![0.0; slots];
                for (block, vector) in row.iter().zip(vectors) {
                    for (&(_, baby), plaintext) in block.range((giant, i64::MIN)..=(giant, i64::MAX)) {
                        multiply_rotated(&mut inner, plaintext, vector, baby);
                    }
                }
                add_rotated(&mut sum, &inner, rotation);
            }
            add_rotated(&mut result, &sum, outer);
        }
        for &fold in &self.plan.folds {
            let folded = result.clone();
            add_rotated(&mut result, &folded, fold);
        }
        result
    }
}

/// `values` rotated left by `steps` over their own length.
pub fn rotated_left(values: &[f64], steps: i64, length: usize) -> Vec<f64> {
    let mut rotated = values.to_vec();
    rotated.rotate_left(steps.rem_euclid(length as i64) as usize);
    rotated
}

fn multiply_rotated(sum: &mut [f64], plaintext: &[f64], vector: &[f64], steps: i64) {
    let (slots, shift) = (sum.len(), steps.rem_euclid(sum.len() as i64) as usize);
    for (chunk_index, chunk) in sum.chunks_mut(plaintext.len()).enumerate() {
        let start = (chunk_index * plaintext.len() + shift) % slots;
        let first = chunk.len().min(slots - start);
        multiply_add(&mut chunk[..first], &plaintext[..first], &vector[start..start + first]);
        let rest = chunk.len() - first;
        multiply_add(&mut chunk[first..], &plaintext[first..first + rest], &vector[..rest]);
    }
}

fn multiply_add(sum: &mut [f64], a: &[f64], b: &[f64]) {
    sum.iter_mut().zip(a).zip(b).for_each(|((sum, a), b)| *sum += a * b);
}

fn add_rotated(sum: &mut [f64], addend: &[f64], steps: i64) {
    let shift = steps.rem_euclid(addend.len() as i64) as usize;
    let rotated = addend[shift..].iter().chain(&addend[..shift]);
    sum.iter_mut().zip(rotated).for_each(|(sum, value)| *sum += value);
}
