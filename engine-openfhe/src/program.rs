//! A program with the plaintexts of its linear maps, for any keys.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use paf_engine::{EngineError, LinearStep, Result, Watch};
use paf_ir::ckks::{Level, Op, Verified};
use paf_ir::program::MapId;
use paf_scheme::bootstrap_slots;

use crate::plaintexts::MapPlaintexts;
use crate::turns::beside;
use crate::{OpenFheEngine, rotation};

/// Where a linear map is applied: the map, the operand's level, the result's level.
type Place = (MapId, Level, Level);

/// A program as this engine evaluates it: plaintexts are encoded at each use, or ahead.
pub struct OpenFheProgram {
    maps: BTreeMap<Place, MapPlaintexts>,
    pub(crate) encoding: Stopwatch,
}

impl OpenFheProgram {
    /// Expands the diagonals of a program's maps, and makes the tables of its bootstraps, which OpenFHE keeps with the
    /// context.
    pub(crate) fn new(engine: &OpenFheEngine, program: &Verified) -> Result<Self> {
        for map in &program.maps {
            map.plan.rotations().into_iter().try_for_each(|steps| rotation(steps).map(drop))?;
        }
        for slots in bootstrap_slots(program) {
            engine.set_up_bootstrap(slots)?;
        }
        let mut maps = BTreeMap::new();
        for (_, value) in program.values() {
            if let Op::Linear { map, input, level } = value.op {
                let from = program.value(input).ty.level;
                if let Entry::Vacant(place) = maps.entry((map, from, level)) {
                    place.insert(MapPlaintexts::new(engine, &program.maps[map.index()], from, level)?);
                }
            }
        }
        Ok(OpenFheProgram { maps, encoding: Stopwatch::default() })
    }

    /// The plaintexts of a map where it stands.
    pub(crate) fn plaintexts(&self, step: LinearStep<'_>) -> Result<&MapPlaintexts> {
        self.maps.get(&(step.id, step.from, step.to)).ok_or(EngineError::OtherProgram)
    }

    /// Encodes plaintexts ahead, map by map while they fit into `budget` bytes. Gives the bytes in use.
    pub(crate) fn prepare(&mut self, engine: &OpenFheEngine, budget: u64, watch: &mut Watch<'_>) -> Result<u64> {
        let (mut used, total) = (0, self.maps.len());
        for (index, plaintexts) in self.maps.values_mut().enumerate() {
            EngineError::unless_cancelled(watch(index, total))?;
            let bytes = plaintexts.encoded_bytes();
            if used + bytes <= budget {
                let _turn = beside(engine.context())?;
                plaintexts.encode_all(engine)?;
                used += bytes;
            }
        }
        Ok(used)
    }
}

/// Time that adds up over threads.
#[derive(Debug, Default)]
pub(crate) struct Stopwatch(AtomicU64);

impl Stopwatch {
    pub(crate) fn add(&self, time: Duration) {
        self.0.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
    }

    pub(crate) fn time(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

impl std::fmt::Debug for OpenFheProgram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenFheProgram").field("maps", &self.maps.len()).finish_non_exhaustive()
    }
}
