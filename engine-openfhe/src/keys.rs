//! The evaluation keys of one client in OpenFHE's static maps.
//!
//! Bytes of keys and ciphertexts carry a tag that the client chose; two clients may have the same. In this process the
//! keys of a set have a fresh tag of their own, and so has a ciphertext from when it is admitted to when it is released.

use openfhe_sys as fhe;
use paf_engine::{EngineError, EvaluationKeyId, KeySet, Result};

use crate::turns::alone;
use crate::{Ciphertext, OpenFheEngine, failed};

/// Evaluation keys in use; they leave the process when this is dropped.
#[derive(Debug)]
pub struct OpenFheKeys {
    /// In the bytes of the client's keys and ciphertexts.
    outside: String,
    /// In OpenFHE's maps.
    inside: String,
}

impl OpenFheKeys {
    /// An empty set for the ciphertexts that carry a tag.
    pub(crate) fn new(context: &fhe::Context, outside: String) -> Result<Self> {
        Ok(OpenFheKeys { outside, inside: fhe::fresh_key_tag(context).map_err(failed("key tag"))? })
    }
}

impl KeySet<OpenFheEngine> for OpenFheKeys {
    fn insert(&self, keys: Vec<fhe::UniquePtr<fhe::LooseKey>>) -> Result<()> {
        let _turn = alone()?;
        let mut insert = keys.into_iter().map(|key| fhe::insert_evaluation_key(&self.inside, key));
        insert.try_for_each(|result| result.map_err(failed("evaluation key")))
    }

    fn remove(&self, ids: &[EvaluationKeyId]) -> Result<()> {
        let _turn = alone()?;
        let held = fhe::evaluation_key_ids(&self.inside).map_err(failed("evaluation key"))?;
        let mut there = ids.iter().filter(|id| held.contains(&id.0));
        there.try_for_each(|id| fhe::remove_evaluation_key(&self.inside, id.0).map_err(failed("evaluation key")))
    }

    fn owns(&self, ciphertext: &Ciphertext) -> bool {
        ciphertext.key_tag().is_ok_and(|tag| tag == self.outside)
    }

    fn admit(&self, mut ciphertext: Ciphertext) -> Result<Ciphertext> {
        if !self.owns(&ciphertext) {
            return Err(EngineError::OtherKey);
        }
        fhe::set_key_tag(ciphertext.pin_mut(), &self.inside).map_err(failed("key tag"))?;
        Ok(ciphertext)
    }

    fn release(&self, mut ciphertext: Ciphertext) -> Result<Ciphertext> {
        fhe::set_key_tag(ciphertext.pin_mut(), &self.outside).map_err(failed("key tag"))?;
        Ok(ciphertext)
    }

    fn write_admitted(&self, ciphertext: &Ciphertext, bytes: &mut Vec<u8>) -> Result<()> {
        fhe::ciphertext_into(ciphertext, &self.outside, bytes).map_err(failed("ciphertext"))
    }
}

impl Drop for OpenFheKeys {
    fn drop(&mut self) {
        // In a forked process nobody uses them.
        let Ok(_turn) = alone() else { return };
        for id in fhe::evaluation_key_ids(&self.inside).unwrap_or_default() {
            // A key that is no longer there needs no removal.
            let _ = fhe::remove_evaluation_key(&self.inside, id);
        }
    }
}
