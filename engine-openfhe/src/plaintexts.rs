//! The plaintexts of one linear map at one place in a program: values, or encoded ahead.
//!
//! Values repeat over the slots with the period of the map's layouts, and a plaintext is encoded and kept as one of that
//! many slots: its polynomial is one in a power of X, and all work on it is that of a smaller ring.

use std::collections::{BTreeMap, BTreeSet};

use openfhe_sys as fhe;
use paf_engine::Result;
use paf_ir::ckks::Level;
use paf_ir::diagonals::{PackedMap, Plan, PlanPlaintexts};

use crate::{OpenFheEngine, failed, rotation};

type Plaintexts = fhe::UniquePtr<fhe::SparsePlaintexts>;
type Bias = fhe::UniquePtr<fhe::Plaintext>;

/// Where and at which scale plaintexts are encoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encoding {
    dropped: u32,
    scale: f64,
}

impl Encoding {
    /// The scale of the plaintexts.
    pub(crate) fn scale(self) -> f64 {
        self.scale
    }

    fn encode(self, context: &fhe::Context, vectors: &[Vec<f64>]) -> Result<Plaintexts, fhe::Exception> {
        let slots = vectors.first().map_or(1, Vec::len) as u32;
        let vectors: Vec<_> = vectors.iter().map(|values| fhe::SlotValues { values }).collect();
        fhe::encode_sparse(context, &vectors, slots, self.dropped, self.scale)
    }
}

/// A plaintext of a sum: it multiplies this rotation of this operand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Factor {
    /// Input ciphertext.
    pub(crate) input: usize,
    /// Number of the rotation among the input's.
    pub(crate) baby: usize,
}

/// The plaintexts that one giant step of one block row sums.
pub(crate) struct Group {
    /// How far the sum is rotated to the left.
    pub(crate) rotation: i32,
    /// One a plaintext.
    pub(crate) factors: Vec<Factor>,
    stored: Stored,
}

enum Stored {
    Values(Vec<Vec<f64>>),
    Encoded(Plaintexts),
}

/// Plaintexts for one use.
pub(crate) enum Ready<'p> {
    Kept(&'p fhe::SparsePlaintexts),
    Made(Plaintexts),
}

impl std::ops::Deref for Ready<'_> {
    type Target = fhe::SparsePlaintexts;

    fn deref(&self) -> &fhe::SparsePlaintexts {
        match self {
            Ready::Kept(plaintexts) => plaintexts,
            Ready::Made(plaintexts) => plaintexts,
        }
    }
}

impl Group {
    /// The plaintexts, encoded for the occasion if need be.
    pub(crate) fn ready(&self, context: &fhe::Context, at: Encoding) -> Result<Ready<'_>, fhe::Exception> {
        match &self.stored {
            Stored::Encoded(plaintexts) => Ok(Ready::Kept(plaintexts)),
            Stored::Values(vectors) => at.encode(context, vectors).map(Ready::Made),
        }
    }

    fn encode_ahead(&mut self, context: &fhe::Context, at: Encoding) -> Result<(), fhe::Exception> {
        if let Stored::Values(vectors) = &self.stored {
            self.stored = Stored::Encoded(at.encode(context, vectors)?);
        }
        Ok(())
    }
}

/// All plaintexts of one map.
pub(crate) struct MapPlaintexts {
    /// Rotations of each input ciphertext.
    pub(crate) babies: Vec<Vec<i32>>,
    /// By output ciphertext, the giant steps that have plaintexts.
    pub(crate) rows: Vec<Vec<Group>>,
    /// Of the diagonals.
    pub(crate) encoding: Encoding,
    bias: Vec<Vec<f64>>,
    bias_encoding: Encoding,
    bytes: u64,
}

impl MapPlaintexts {
    /// Expands the diagonals of a map that takes level `from` to level `to`.
    ///
    /// # Errors
    /// [`EngineError::RotationTooLarge`](paf_engine::EngineError::RotationTooLarge).
    pub(crate) fn new(engine: &OpenFheEngine, map: &PackedMap, from: Level, to: Level) -> Result<Self> {
        let product_level = Level(to.0 + 1);
        let blocks = map.plaintexts();
        let count: usize = blocks.iter().flatten().map(BTreeMap::len).sum();
        let period = map.input.period.max(map.output.period);
        let babies: Vec<Vec<i64>> = (0..map.input.ciphertexts).map(|input| babies_of(&blocks, input)).collect();
        let row = |row| groups(&map.plan, row, &babies);
        Ok(MapPlaintexts {
            rows: blocks.into_iter().map(row).collect::<Result<_>>()?,
            babies: babies
                .iter()
                .map(|babies| babies.iter().copied().map(rotation).collect())
                .collect::<Result<_>>()?,
            encoding: Encoding { dropped: engine.dropped(product_level), scale: engine.adjusting_scale(from, to) },
            bias: map.bias_slots().unwrap_or_default(),
            bias_encoding: Encoding { dropped: engine.dropped(to), scale: engine.scale(to) },
            bytes: count as u64 * engine.plaintext_bytes(product_level, period),
        })
    }

    /// Bytes of the diagonals when encoded ahead.
    pub(crate) fn encoded_bytes(&self) -> u64 {
        self.bytes
    }

    /// Encodes all diagonals that are not encoded yet.
    pub(crate) fn encode_all(&mut self, engine: &OpenFheEngine) -> Result<()> {
        let groups = self.rows.iter_mut().flatten();
        groups
            .into_iter()
            .try_for_each(|group| group.encode_ahead(engine.context(), self.encoding))
            .map_err(failed("encode"))
    }

    /// The bias of one output ciphertext, if the map has one.
    pub(crate) fn bias(&self, context: &fhe::Context, output: usize) -> Result<Option<Bias>, fhe::Exception> {
        let at = self.bias_encoding;
        let encode = |values: &Vec<f64>| fhe::encode(context, values, values.len() as u32, at.dropped, at.scale);
        self.bias.get(output).map(encode).transpose()
    }
}

/// The rotations of one input that any block of its column reads.
fn babies_of(blocks: &[Vec<PlanPlaintexts>], input: usize) -> Vec<i64> {
    let babies: BTreeSet<i64> = blocks.iter().flat_map(|row| row[input].keys()).map(|&(_, baby)| baby).collect();
    babies.into_iter().collect()
}

/// The plaintexts of one block row by giant step.
fn groups(plan: &Plan, row: Vec<PlanPlaintexts>, babies: &[Vec<i64>]) -> Result<Vec<Group>> {
    let mut groups: BTreeMap<usize, (Vec<Factor>, Vec<Vec<f64>>)> = BTreeMap::new();
    for (input, block) in row.into_iter().enumerate() {
        for ((giant, rotation), values) in block {
            let (factors, vectors) = groups.entry(giant).or_default();
            factors.push(Factor { input, baby: babies[input].partition_point(|&baby| baby < rotation) });
            vectors.push(values);
        }
    }
    let group = |(giant, (factors, vectors)): (usize, (Vec<Factor>, Vec<Vec<f64>>))| {
        let rotation = rotation(plan.giants[giant].rotation)?;
        Ok(Group { rotation, factors, stored: Stored::Values(vectors) })
    };
    groups.into_iter().map(group).collect()
}
