//! Evaluation keys that are read from `server.key` when an operation needs them, and removed when others need the room.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use openfhe_sys as fhe;
use paf_circuit::Circuit;
use paf_circuit::container::{Kind, SectionIndex};
use paf_scheme::{EvaluationKey, Residence, key_uses};

use crate::engine::Result;
use crate::error::{RuntimeError, openfhe_message};
use crate::keys::KeyList;
use crate::openfhe::{Scheme, rotation};

/// The keys of a file with what is in memory of them. Key generation writes them in the order of their ids after the
/// public key, and so they are expected.
pub(crate) struct StagedKeys {
    scheme: Arc<Scheme>,
    list: KeyList,
    tag: String,
    path: PathBuf,
    index: SectionIndex,
    /// Key id to the number of its section.
    sections: BTreeMap<u32, usize>,
    residence: Residence<u32>,
    body: Vec<u8>,
}

impl StagedKeys {
    /// Finds the keys of a file, whose header and public key are checked already. No key is read yet.
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`], [`RuntimeError::Content`] if there are not as many keys as the circuit lists.
    pub(crate) fn open(scheme: &Arc<Scheme>, circuit: &Circuit, path: &Path, tag: &str, budget: u64) -> Result<Self> {
        let list = KeyList::new(scheme, &circuit.client())?;
        let index = SectionIndex::open(path, Kind::ServerKey)?;
        if index.header().sections != list.len() as u64 + 1 {
            let keys = index.header().sections.saturating_sub(1);
            return Err(RuntimeError::content(path, format!("{keys} keys where the circuit lists {}", list.len())));
        }
        let sections: BTreeMap<u32, usize> = list.ids().into_iter().zip(1..).collect();
        let bytes = sections.iter().map(|(&id, &section)| (id, index.length(section))).collect();
        let residence = Residence::new(uses(scheme, circuit)?, bytes, budget);
        let (scheme, tag, path, body) = (Arc::clone(scheme), tag.to_owned(), path.to_owned(), Vec::new());
        Ok(StagedKeys { scheme, list, tag, path, index, sections, residence, body })
    }

    /// Puts the keys into the process that are needed first, as many as fit; the observer gets the number of keys read and
    /// the number to read.
    ///
    /// # Errors
    /// Those of [`StagedKeys::make_ready`].
    pub(crate) fn fill(&mut self, observer: &mut dyn FnMut(usize, usize)) -> Result<()> {
        let load = self.residence.fill();
        for (index, &id) in load.iter().enumerate() {
            observer(index, load.len());
            self.load(id)?;
        }
        Ok(())
    }

    /// Puts the keys into the process that an operation needs, after those that make room for them are gone.
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`] for a file that is damaged, [`RuntimeError::Content`].
    pub(crate) fn make_ready(&mut self, operation: usize) -> Result<()> {
        let change = self.residence.before(operation);
        for id in change.remove {
            fhe::remove_evaluation_key(&self.tag, id).map_err(RuntimeError::openfhe("evaluation key"))?;
        }
        change.load.into_iter().try_for_each(|id| self.load(id))
    }

    fn load(&mut self, id: u32) -> Result<()> {
        self.index.read(self.sections[&id], &mut self.body)?;
        let content = |message: String| RuntimeError::content(&self.path, message);
        let found = fhe::import_evaluation_key(self.scheme.context(), &self.tag, &self.body)
            .map_err(|error| content(openfhe_message(&error)))?;
        if found != id {
            return Err(content(format!("key {found} is where key {id} must be")));
        }
        if !self.list.is_served_by(&self.tag, id)? {
            return Err(content(format!("evaluation key {id} is for lower levels only")));
        }
        Ok(())
    }
}

/// Ids of the keys that each operation needs.
fn uses(scheme: &Scheme, circuit: &Circuit) -> Result<BTreeMap<usize, BTreeSet<u32>>> {
    let uses = key_uses(&circuit.program, &circuit.parameters);
    let ids = |keys: BTreeSet<EvaluationKey>| -> Result<BTreeSet<u32>> {
        let mut all = BTreeSet::new();
        for key in keys {
            all.extend(ids(scheme, key)?);
        }
        Ok(all)
    };
    uses.into_iter().map(|(operation, keys)| Ok((operation, ids(keys)?))).collect()
}

fn ids(scheme: &Scheme, key: EvaluationKey) -> Result<Vec<u32>> {
    Ok(match key {
        EvaluationKey::Rotation(steps) => {
            let id = fhe::rotation_key_id(scheme.context(), rotation(steps)?);
            vec![id.map_err(RuntimeError::openfhe("rotation key"))?]
        }
        EvaluationKey::Relinearization => vec![fhe::MULTIPLICATION_KEY],
        EvaluationKey::Refresh => {
            let mut ids = fhe::encapsulation_key_ids(scheme.context()).to_vec();
            ids.push(fhe::conjugation_key_id(scheme.context()));
            ids
        }
    })
}
