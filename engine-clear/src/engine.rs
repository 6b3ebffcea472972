//! The contract of an engine on plain numbers: keys are names, and a set of them says which are there.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use paf_engine::{Engine, EngineError, EvaluationKeyId, KeyList, KeyNeeds, KeySet, Result, Watch, check_process};
use paf_ir::ckks::{Level, Type, Verified};
use paf_ir::slots;
use paf_scheme::{EngineProfile, KeyPurpose, Parameters};
use zeroize::Zeroizing;

use crate::bytes;
use crate::evaluator::{ClearCiphertext, ClearEvaluator, ClearMaps};

/// The key that brings products back to two parts.
const RELINEARIZATION: EvaluationKeyId = EvaluationKeyId(0);
/// What bootstraps take besides rotations.
const REFRESH: EvaluationKeyId = EvaluationKeyId(u32::MAX);

/// The engine on plain numbers.
#[derive(Debug)]
pub struct ClearEngine {
    parameters: Parameters,
}

/// The name of a key pair; both of its keys are no more than that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClearPair(pub(crate) u64);

/// The name of an evaluation key, and the highest level it serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClearEvaluationKey {
    pub(crate) id: EvaluationKeyId,
    pub(crate) level: Option<Level>,
}

/// The evaluation keys that are there.
#[derive(Debug)]
pub struct ClearKeys {
    pair: u64,
    parameters: Parameters,
    held: Mutex<BTreeMap<EvaluationKeyId, Option<Level>>>,
}

impl Engine for ClearEngine {
    const NAME: &'static str = "clear";
    /// That of the engine it imitates.
    const PROFILE: &'static EngineProfile = EngineProfile::openfhe();

    type SecretKey = ClearPair;
    type PublicKey = ClearPair;
    type EvaluationKey = ClearEvaluationKey;
    type Keys = ClearKeys;
    type Ciphertext = ClearCiphertext;
    type Program = ClearMaps;
    type Evaluator<'e> = ClearEvaluator<'e>;

    fn new(parameters: &Parameters) -> Result<Self> {
        Ok(ClearEngine { parameters: parameters.clone() })
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn generate_pair(&self) -> Result<(ClearPair, ClearPair)> {
        let pair = ClearPair(RandomState::new().build_hasher().finish().max(1));
        Ok((pair, pair))
    }

    fn write_secret_key(&self, key: &ClearPair) -> Result<Zeroizing<Vec<u8>>> {
        Ok(Zeroizing::new(bytes::of_pair(bytes::SECRET, *key)))
    }

    fn read_secret_key(&self, bytes: &[u8]) -> Result<ClearPair> {
        bytes::pair(bytes::SECRET, bytes)
    }

    fn write_public_key(&self, key: &ClearPair) -> Result<Vec<u8>> {
        Ok(bytes::of_pair(bytes::PUBLIC, *key))
    }

    fn read_public_key(&self, bytes: &[u8]) -> Result<ClearPair> {
        bytes::pair(bytes::PUBLIC, bytes)
    }

    /// No key of this engine hides anything.
    fn check_public_key(&self, _: &ClearPair) -> Result<()> {
        Ok(())
    }

    fn encrypt(&self, key: &ClearPair, slots: &[f64], level: Level) -> Result<ClearCiphertext> {
        Ok(ClearCiphertext::fresh(one_period(slots).to_vec(), level, key.0))
    }

    fn encrypt_with_secret(&self, key: &ClearPair, slots: &[f64], level: Level) -> Result<ClearCiphertext> {
        self.encrypt(key, slots, level)
    }

    fn decrypt(&self, key: &ClearPair, ciphertext: &ClearCiphertext, _: Type) -> Result<Vec<f64>> {
        if !self.is_of(key, ciphertext) {
            return Err(EngineError::OtherKey);
        }
        Ok(slots::repeat(std::slice::from_ref(&ciphertext.values), self.parameters.slots)?.remove(0))
    }

    fn is_of(&self, key: &ClearPair, ciphertext: &ClearCiphertext) -> bool {
        ciphertext.pair == key.0
    }

    fn write_ciphertext(&self, ciphertext: &ClearCiphertext, bytes: &mut Vec<u8>) -> Result<()> {
        bytes::write_ciphertext(ciphertext, bytes);
        Ok(())
    }

    fn read_ciphertext(&self, bytes: &[u8], ty: Type) -> Result<ClearCiphertext> {
        bytes::ciphertext(bytes, ty, self.parameters.slots)
    }

    fn key_list(&self, needs: &KeyNeeds<'_>) -> Result<KeyList> {
        let mut list = KeyList::default();
        for (&steps, &level) in needs.rotations {
            list.need(rotation_id(&self.parameters, steps), level);
        }
        if let Some(level) = needs.relinearization {
            list.need(RELINEARIZATION, level);
        }
        if !needs.bootstrap_slots.is_empty() {
            for (steps, level) in bootstrap_rotations(&self.parameters, needs.bootstrap_slots)? {
                list.need(rotation_id(&self.parameters, steps), level);
            }
            list.need(RELINEARIZATION, self.parameters.levels);
            list.need_whole(REFRESH);
        }
        Ok(list)
    }

    fn key_ids(&self, purpose: KeyPurpose) -> Result<Vec<EvaluationKeyId>> {
        Ok(vec![id_of(&self.parameters, purpose)])
    }

    fn generate_keys<'k>(
        &'k self,
        _: &'k ClearPair,
        list: &'k KeyList,
    ) -> impl Iterator<Item = Result<ClearEvaluationKey>> + 'k {
        list.levels().map(|(id, level)| Ok(ClearEvaluationKey { id, level }))
    }

    fn write_evaluation_key(&self, key: &ClearEvaluationKey, bytes: &mut Vec<u8>) -> Result<()> {
        bytes::write_evaluation_key(*key, bytes);
        Ok(())
    }

    fn read_evaluation_key(&self, bytes: &[u8]) -> Result<ClearEvaluationKey> {
        bytes::evaluation_key(bytes)
    }

    fn id_of(&self, key: &ClearEvaluationKey) -> EvaluationKeyId {
        key.id
    }

    fn serves(&self, key: &ClearEvaluationKey, level: Level) -> bool {
        serves(key.level, level)
    }

    fn key_set(&self, public: &ClearPair) -> Result<ClearKeys> {
        Ok(ClearKeys { pair: public.0, parameters: self.parameters.clone(), held: Mutex::default() })
    }

    fn load(&self, program: &Verified) -> Result<ClearMaps> {
        check_process()?;
        Ok(ClearMaps::new(program))
    }

    /// Nothing is left to be done ahead.
    fn prepare(&self, _: &mut ClearMaps, _: u64, _: &mut Watch<'_>) -> Result<u64> {
        Ok(0)
    }

    fn evaluator<'e>(&'e self, program: &'e ClearMaps, keys: &'e ClearKeys) -> ClearEvaluator<'e> {
        ClearEvaluator::with_keys(program, keys)
    }
}

impl KeySet<ClearEngine> for ClearKeys {
    fn insert(&self, keys: Vec<ClearEvaluationKey>) -> Result<()> {
        self.held().extend(keys.into_iter().map(|key| (key.id, key.level)));
        Ok(())
    }

    fn remove(&self, ids: &[EvaluationKeyId]) -> Result<()> {
        self.held().retain(|id, _| !ids.contains(id));
        Ok(())
    }

    fn owns(&self, ciphertext: &ClearCiphertext) -> bool {
        ciphertext.pair == self.pair
    }

    fn admit(&self, ciphertext: ClearCiphertext) -> Result<ClearCiphertext> {
        if self.owns(&ciphertext) { Ok(ciphertext) } else { Err(EngineError::OtherKey) }
    }

    fn release(&self, ciphertext: ClearCiphertext) -> Result<ClearCiphertext> {
        Ok(ciphertext)
    }

    fn write_admitted(&self, ciphertext: &ClearCiphertext, bytes: &mut Vec<u8>) -> Result<()> {
        bytes::write_ciphertext(ciphertext, bytes);
        Ok(())
    }
}

impl ClearKeys {
    fn held(&self) -> MutexGuard<'_, BTreeMap<EvaluationKeyId, Option<Level>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails where a key is missing or for lower levels only.
    pub(crate) fn need(&self, purpose: KeyPurpose, level: Level) -> Result<()> {
        match self.held().get(&id_of(&self.parameters, purpose)) {
            Some(&highest) if serves(highest, level) => Ok(()),
            _ => Err(EngineError::MissingKey(in_words(purpose))),
        }
    }

    /// Fails where a key of a bootstrap is missing.
    pub(crate) fn need_bootstrap(&self, slots: usize) -> Result<()> {
        for (steps, level) in bootstrap_rotations(&self.parameters, &[slots])? {
            self.need(KeyPurpose::Rotation(steps), level)?;
        }
        self.need(KeyPurpose::Relinearization, self.parameters.levels)?;
        self.need(KeyPurpose::Refresh, self.parameters.levels)
    }
}

fn serves(highest: Option<Level>, level: Level) -> bool {
    highest.is_none_or(|highest| level <= highest)
}

fn in_words(purpose: KeyPurpose) -> String {
    match purpose {
        KeyPurpose::Rotation(steps) => format!("a rotation by {steps}"),
        KeyPurpose::Relinearization => "relinearization".to_owned(),
        KeyPurpose::Refresh => "bootstraps".to_owned(),
    }
}

fn bootstrap_rotations(parameters: &Parameters, slots: &[usize]) -> Result<BTreeMap<i64, Level>> {
    if parameters.bootstrap.is_none() {
        return Err(EngineError::BootstrapUnsupported);
    }
    Ok(parameters.bootstrap_rotations(slots))
}

fn id_of(parameters: &Parameters, purpose: KeyPurpose) -> EvaluationKeyId {
    match purpose {
        KeyPurpose::Rotation(steps) => rotation_id(parameters, steps),
        KeyPurpose::Relinearization => RELINEARIZATION,
        KeyPurpose::Refresh => REFRESH,
    }
}

/// Rotations that differ by all slots of the ring are the same.
fn rotation_id(parameters: &Parameters, steps: i64) -> EvaluationKeyId {
    EvaluationKeyId(1 + steps.rem_euclid(parameters.ring_dimension as i64 / 2) as u32)
}

/// The shortest part that the values repeat, a power of two of them.
fn one_period(values: &[f64]) -> &[f64] {
    let (first, second) = values.split_at(values.len() / 2);
    if !values.len().is_multiple_of(2) || first != second { values } else { one_period(first) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_repeat_are_kept_once() {
        assert_eq!(one_period(&[1.0, 2.0, 1.0, 2.0]), [1.0, 2.0]);
        assert_eq!(one_period(&[1.0, 1.0]), [1.0]);
        assert_eq!(one_period(&[1.0, 2.0, 2.0, 1.0]), [1.0, 2.0, 2.0, 1.0]);
        assert_eq!(one_period(&[f64::NAN, f64::NAN]).len(), 2);
    }
}
