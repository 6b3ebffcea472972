//! Evaluation keys that are read from `server.key` when an operation needs them, and removed when others need the room.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use paf_circuit::Circuit;
use paf_circuit::container::{FileKind, SectionIndex};
use paf_engine::{Engine, EvaluationKeyId, KeyList, KeySet as _, Watch};
use paf_scheme::{Residence, key_uses};

use crate::error::{Result, RuntimeError};
use crate::keys::{key_list, read_key};

/// The keys of a file with what is in memory of them. Key generation writes them in the order of their ids after the
/// public key, and so they are expected.
pub(crate) struct StagedKeys<E> {
    engine: Arc<E>,
    list: KeyList,
    path: PathBuf,
    index: SectionIndex,
    /// Key id to the number of its section.
    sections: BTreeMap<EvaluationKeyId, usize>,
    residence: Residence<EvaluationKeyId>,
    body: Vec<u8>,
}

impl<E: Engine> StagedKeys<E> {
    /// Finds the keys of a file, whose header and public key are checked already. No key is read yet.
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`], [`RuntimeError::Content`] if there are not as many keys as the circuit lists.
    pub(crate) fn open(engine: &Arc<E>, circuit: &Circuit, path: &Path, budget: u64) -> Result<Self> {
        let list = key_list(&**engine, &circuit.client())?;
        let index = SectionIndex::open(path, FileKind::ServerKey)?;
        if index.header().sections != list.len() as u64 + 1 {
            let keys = index.header().sections.saturating_sub(1);
            return Err(RuntimeError::content(path, format!("{keys} keys where the circuit lists {}", list.len())));
        }
        let sections: BTreeMap<EvaluationKeyId, usize> = list.ids().zip(1..).collect();
        let bytes = sections.iter().map(|(&id, &section)| (id, index.length(section))).collect();
        let residence = Residence::new(uses(&**engine, circuit)?, bytes, budget);
        let (engine, path, body) = (Arc::clone(engine), path.to_owned(), Vec::new());
        Ok(StagedKeys { engine, list, path, index, sections, residence, body })
    }

    /// Puts the keys to use that are needed first, as many as fit; the observer gets the number of keys read and the
    /// number to read.
    ///
    /// # Errors
    /// Those of [`StagedKeys::make_ready`], [`RuntimeError::Cancelled`].
    pub(crate) fn fill(&mut self, set: &E::Keys, watch: &mut Watch<'_>) -> Result<()> {
        let load = self.residence.fill();
        let mut keys = Vec::with_capacity(load.len());
        for (index, &id) in load.iter().enumerate() {
            RuntimeError::unless_cancelled(watch(index, load.len()))?;
            keys.push(self.read(id)?);
        }
        Ok(set.insert(keys)?)
    }

    /// Puts the keys to use that an operation needs, after those that make room for them are gone.
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`] for a file that is damaged, [`RuntimeError::Content`].
    pub(crate) fn make_ready(&mut self, set: &E::Keys, operation: usize) -> Result<()> {
        let change = self.residence.before(operation);
        if !change.remove.is_empty() {
            set.remove(&change.remove)?;
        }
        if change.load.is_empty() {
            return Ok(());
        }
        let keys = change.load.into_iter().map(|id| self.read(id)).collect::<Result<_>>()?;
        Ok(set.insert(keys)?)
    }

    fn read(&mut self, id: EvaluationKeyId) -> Result<E::EvaluationKey> {
        self.index.read(self.sections[&id], &mut self.body)?;
        let (found, key) = read_key(&*self.engine, &self.list, &self.body, &self.path)?;
        if found != id {
            return Err(RuntimeError::content(&self.path, format!("key {found} is where key {id} must be")));
        }
        Ok(key)
    }
}

/// Ids of the keys that each operation needs.
fn uses<E: Engine>(engine: &E, circuit: &Circuit) -> Result<BTreeMap<usize, BTreeSet<EvaluationKeyId>>> {
    let mut uses = BTreeMap::new();
    for (operation, keys) in key_uses(&circuit.program, &circuit.parameters) {
        let mut ids = BTreeSet::new();
        for key in keys {
            ids.extend(engine.key_ids(key)?);
        }
        uses.insert(operation, ids);
    }
    Ok(uses)
}
