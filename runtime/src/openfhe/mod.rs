//! The openfhe engine: circuits on real ciphertexts, through OpenFHE.
//!
//! The program decides every level and relinearization; OpenFHE's FLEXIBLEAUTO technique only contributes its
//! sequence of scales, which is that of the [ckks IR](paf_ir::ckks): a value at rest at level `l` has exactly the scale
//! `s_l` of [`Scheme::scale`]. Plaintexts and constants are encoded at the scale that makes a result exact again.

mod linear;
mod plaintexts;
mod scheme;
mod tally;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use openfhe_sys as fhe;
use paf_ir::ckks::{Kind, Level, Op, Type, Verified};
use paf_ir::program::MapId;
use paf_scheme::bootstrap_slots;

use crate::engine::{Engine, LinearStep, Result};
use crate::error::RuntimeError;
use plaintexts::MapPlaintexts;
pub use scheme::Scheme;
pub use tally::OperationSeconds;
use tally::Tally;

/// One ciphertext of OpenFHE.
pub type Ciphertext = fhe::UniquePtr<fhe::Ciphertext>;

/// Where a linear map is applied: the map, the operand's level, the result's level.
type Place = (MapId, Level, Level);

/// Evaluates circuits with the evaluation keys of the process.
///
/// OpenFHE keeps evaluation keys in process-wide maps, found by the key tag of the ciphertext: import or generate them
/// before the first operation ([`Server`](crate::Server) does).
pub struct OpenFheEngine {
    scheme: Arc<Scheme>,
    maps: BTreeMap<Place, MapPlaintexts>,
    tally: Tally,
}

impl OpenFheEngine {
    /// Expands the diagonals of a program's maps, and makes the tables of its bootstraps, which OpenFHE keeps with the
    /// context; plaintexts are encoded at each use until [`Self::prepare`].
    ///
    /// # Errors
    /// [`RuntimeError::RotationTooLarge`]; [`RuntimeError::BootstrapUnsupported`] if the program contains one and the
    /// parameters have none; [`RuntimeError::OpenFhe`].
    pub fn new(scheme: Arc<Scheme>, program: &Verified) -> Result<Self> {
        for map in &program.maps {
            map.plan.rotations().into_iter().try_for_each(|steps| rotation(steps).map(drop))?;
        }
        for slots in bootstrap_slots(program) {
            scheme.set_up_bootstrap(slots)?;
        }
        let mut maps = BTreeMap::new();
        for (_, value) in program.values() {
            if let Op::Linear { map, input, level } = value.op {
                let from = program.value(input).ty.level;
                if let Entry::Vacant(place) = maps.entry((map, from, level)) {
                    place.insert(MapPlaintexts::new(&scheme, &program.maps[map.index()], from, level)?);
                }
            }
        }
        Ok(OpenFheEngine { scheme, maps, tally: Tally::default() })
    }

    /// What all evaluations so far have taken.
    pub fn operation_seconds(&self) -> OperationSeconds {
        self.tally.seconds()
    }

    /// Bytes that all plaintexts take when they are encoded ahead.
    pub fn plaintext_bytes(&self) -> u64 {
        self.maps.values().map(MapPlaintexts::encoded_bytes).sum()
    }

    /// Encodes plaintexts ahead, map by map while they fit into `budget` bytes. Gives the bytes in use.
    ///
    /// # Errors
    /// [`RuntimeError::OpenFhe`].
    pub fn prepare(&mut self, budget: u64, observer: &mut dyn FnMut(usize, usize)) -> Result<u64> {
        let (mut used, total) = (0, self.maps.len());
        for (index, plaintexts) in self.maps.values_mut().enumerate() {
            observer(index, total);
            let bytes = plaintexts.encoded_bytes();
            if used + bytes <= budget {
                plaintexts.encode_all(&self.scheme)?;
                used += bytes;
            }
        }
        Ok(used)
    }
}

impl Engine for OpenFheEngine {
    type Ciphertext = Ciphertext;

    fn took(&self, op: &Op, time: Duration) {
        self.tally.add(op, time);
    }

    fn duplicate(&self, input: &Ciphertext) -> Result<Ciphertext> {
        fhe::clone_ciphertext(input).map_err(RuntimeError::openfhe("copy"))
    }

    fn linear(&self, step: LinearStep<'_>, inputs: &[Ciphertext]) -> Result<Vec<Ciphertext>> {
        let plaintexts = self.maps.get(&(step.id, step.from, step.to)).ok_or(RuntimeError::OtherProgram)?;
        linear::apply(&self.scheme, &self.tally, step, plaintexts, inputs)
            .map_err(RuntimeError::openfhe(&format!("linear map `{}`", step.map.name)))
    }

    fn rotate(&self, input: &Ciphertext, steps: i64, _: Type) -> Result<Ciphertext> {
        if steps == 0 {
            return self.duplicate(input);
        }
        fhe::rotate(input, rotation(steps)?).map_err(RuntimeError::openfhe("rotate"))
    }

    fn add(&self, mut left: Ciphertext, right: &Ciphertext) -> Result<Ciphertext> {
        fhe::add_in_place(left.pin_mut(), right).map_err(RuntimeError::openfhe("add"))?;
        Ok(left)
    }

    fn sub(&self, mut left: Ciphertext, right: &Ciphertext) -> Result<Ciphertext> {
        fhe::subtract_in_place(left.pin_mut(), right).map_err(RuntimeError::openfhe("sub"))?;
        Ok(left)
    }

    fn mul(&self, left: &Ciphertext, right: &Ciphertext) -> Result<Ciphertext> {
        fhe::multiply_no_relinearize(left, right).map_err(RuntimeError::openfhe("mul"))
    }

    fn square(&self, input: &Ciphertext) -> Result<Ciphertext> {
        fhe::square_no_relinearize(input).map_err(RuntimeError::openfhe("mul"))
    }

    /// `c` at scale `s_m² / s_l`, after the limbs above level `m` are dropped.
    fn mul_constant(&self, mut input: Ciphertext, constant: f64, ty: Type, level: Level) -> Result<Ciphertext> {
        let scale = self.scheme.scale(level).powi(2) / self.scheme.scale(ty.level);
        fhe::drop_levels_in_place(input.pin_mut(), ty.level.0 - level.0)
            .and_then(|()| fhe::multiply_constant_in_place(input.pin_mut(), constant, scale))
            .map_err(RuntimeError::openfhe("mul_constant"))?;
        Ok(input)
    }

    fn add_constant(&self, mut input: Ciphertext, constant: f64, ty: Type) -> Result<Ciphertext> {
        let scale = self.scheme.scale(ty.level);
        let scale = if ty.kind == Kind::Rest { scale } else { scale * scale };
        fhe::add_constant_in_place(input.pin_mut(), constant, scale).map_err(RuntimeError::openfhe("add_constant"))?;
        Ok(input)
    }

    fn relinearize(&self, mut input: Ciphertext, _: Type) -> Result<Ciphertext> {
        fhe::relinearize_in_place(input.pin_mut()).map_err(RuntimeError::openfhe("relinearize"))?;
        Ok(input)
    }

    fn rescale(&self, mut input: Ciphertext, _: Type) -> Result<Ciphertext> {
        fhe::rescale_in_place(input.pin_mut()).map_err(RuntimeError::openfhe("rescale"))?;
        Ok(input)
    }

    /// A product with 1 at the scale that the following rescale turns into the lower level's.
    fn drop_to(&self, mut input: Ciphertext, ty: Type, level: Level) -> Result<Ciphertext> {
        let scale = self.scheme.adjusting_scale(ty.level, level);
        fhe::drop_levels_in_place(input.pin_mut(), ty.level.0 - level.0 - 1)
            .and_then(|()| fhe::multiply_constant_in_place(input.pin_mut(), 1.0, scale))
            .and_then(|()| fhe::rescale_in_place(input.pin_mut()))
            .map_err(RuntimeError::openfhe("drop"))?;
        Ok(input)
    }

    /// The result of OpenFHE's bootstrap is a product that awaits its rescale, one level above the usable ones.
    fn bootstrap(&self, input: Ciphertext, _: Type, slots: usize, level: Level) -> Result<Ciphertext> {
        let parameters = self.scheme.parameters();
        let refreshed = self.refresh(input, slots, parameters.slots).map_err(RuntimeError::openfhe("bootstrap"))?;
        let usable = parameters.usable_levels();
        if level == usable {
            return Ok(refreshed);
        }
        self.drop_to(refreshed, Type { ciphertexts: 1, level: usable, parts: 2, kind: Kind::Rest }, level)
    }
}

impl OpenFheEngine {
    fn refresh(
        &self,
        mut input: Ciphertext,
        period: usize,
        slots: usize,
    ) -> std::result::Result<Ciphertext, fhe::Exception> {
        fhe::set_slots(input.pin_mut(), period as u32)?;
        let bootstrap = self.scheme.parameters().bootstrap;
        let (iterations, bits) = bootstrap.map_or((1, 0), |b| (b.iterations(), b.refinement_bits));
        let mut refreshed = fhe::bootstrap(&input, iterations, bits)?;
        fhe::rescale_in_place(refreshed.pin_mut())?;
        fhe::set_slots(refreshed.pin_mut(), slots as u32)?;
        Ok(refreshed)
    }
}

/// A rotation in the width that OpenFHE takes.
pub(crate) fn rotation(steps: i64) -> Result<i32> {
    i32::try_from(steps).map_err(|_| RuntimeError::RotationTooLarge { steps })
}

impl std::fmt::Debug for OpenFheEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenFheEngine").field("maps", &self.maps.len()).finish()
    }
}
