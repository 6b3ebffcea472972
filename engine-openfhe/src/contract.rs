//! The contract of an engine on OpenFHE: keys, encryption, and the bytes of both.

use std::collections::BTreeMap;
use std::time::Duration;

use openfhe_sys as fhe;
use paf_engine::{Engine, EngineError, EvaluationKeyId, KeyList, KeyNeeds, Result, Watch};
use paf_ir::ckks::{Level, Type, Verified};
use paf_scheme::{EngineProfile, KeyPurpose, Parameters, Secret};
use zeroize::Zeroizing;

use crate::evaluator::OpenFheEvaluator;
use crate::keys::OpenFheKeys;
use crate::program::OpenFheProgram;
use crate::public_key::degeneracy;
use crate::turns::beside;
use crate::{Ciphertext, NAME, OpenFheEngine, damaged, failed, message, rotation};

type LooseKey = fhe::UniquePtr<fhe::LooseKey>;

impl Engine for OpenFheEngine {
    const NAME: &'static str = NAME;
    const PROFILE: &'static EngineProfile = EngineProfile::openfhe();

    type SecretKey = fhe::UniquePtr<fhe::SecretKey>;
    type PublicKey = fhe::UniquePtr<fhe::PublicKey>;
    type EvaluationKey = LooseKey;
    type Keys = OpenFheKeys;
    type Ciphertext = Ciphertext;
    type Program = OpenFheProgram;
    type Evaluator<'e> = OpenFheEvaluator<'e>;

    fn new(parameters: &Parameters) -> Result<Self> {
        OpenFheEngine::create(parameters)
    }

    fn parameters(&self) -> &Parameters {
        self.declared()
    }

    fn generate_pair(&self) -> Result<(Self::SecretKey, Self::PublicKey)> {
        let _turn = beside(self.context())?;
        let pair = match self.declared().secret {
            Secret::UniformTernary => fhe::generate_key_pair(self.context()),
            Secret::UniformTernaryEncapsulated => fhe::generate_dense_key_pair(self.context()),
        };
        let pair = pair.map_err(failed("key generation"))?;
        Ok((pair.secret_key, pair.public_key))
    }

    fn write_secret_key(&self, key: &Self::SecretKey) -> Result<Zeroizing<Vec<u8>>> {
        let _turn = beside(self.context())?;
        fhe::secret_key_to_bytes(key).map(Zeroizing::new).map_err(failed("secret key"))
    }

    fn read_secret_key(&self, bytes: &[u8]) -> Result<Self::SecretKey> {
        let _turn = beside(self.context())?;
        fhe::secret_key_from_bytes(self.context(), bytes).map_err(damaged)
    }

    fn write_public_key(&self, key: &Self::PublicKey) -> Result<Vec<u8>> {
        fhe::public_key_to_bytes(key).map_err(failed("public key"))
    }

    fn read_public_key(&self, bytes: &[u8]) -> Result<Self::PublicKey> {
        let _turn = beside(self.context())?;
        fhe::public_key_from_bytes(self.context(), bytes).map_err(damaged)
    }

    fn check_public_key(&self, key: &Self::PublicKey) -> Result<()> {
        let _turn = beside(self.context())?;
        match degeneracy(key, self.primes()).map_err(failed("public key"))? {
            Some(message) => Err(EngineError::Damaged(message)),
            None => Ok(()),
        }
    }

    fn encrypt(&self, key: &Self::PublicKey, slots: &[f64], level: Level) -> Result<Ciphertext> {
        let _turn = beside(self.context())?;
        let ciphertext = self.encoded(slots, level).and_then(|plaintext| fhe::encrypt(key, &plaintext));
        ciphertext.map_err(failed("encrypt"))
    }

    fn encrypt_with_secret(&self, key: &Self::SecretKey, slots: &[f64], level: Level) -> Result<Ciphertext> {
        let _turn = beside(self.context())?;
        let plaintext = self.encoded(slots, level);
        let ciphertext = plaintext.and_then(|plaintext| fhe::encrypt_with_secret_key(key, &plaintext));
        ciphertext.map_err(failed("encrypt"))
    }

    fn decrypt(&self, key: &Self::SecretKey, ciphertext: &Ciphertext, ty: Type) -> Result<Vec<f64>> {
        if !self.is_of(key, ciphertext) {
            return Err(EngineError::OtherKey);
        }
        let _turn = beside(self.context())?;
        let values = fhe::decrypt(key, ciphertext, self.scale_of(ty));
        values.map_err(|exception| EngineError::Undecryptable(message(&exception)))
    }

    fn is_of(&self, key: &Self::SecretKey, ciphertext: &Ciphertext) -> bool {
        let tags = key.key_tag().and_then(|key| Ok((key, ciphertext.key_tag()?)));
        tags.is_ok_and(|(key, ciphertext)| key == ciphertext)
    }

    fn write_ciphertext(&self, ciphertext: &Ciphertext, bytes: &mut Vec<u8>) -> Result<()> {
        let written = ciphertext.key_tag().and_then(|tag| fhe::ciphertext_into(ciphertext, &tag, bytes));
        written.map_err(failed("ciphertext"))
    }

    fn read_ciphertext(&self, bytes: &[u8], ty: Type) -> Result<Ciphertext> {
        let turn = beside(self.context())?;
        let ciphertext = fhe::ciphertext_from_bytes(self.context(), bytes).map_err(damaged)?;
        drop(turn);
        match self.misfit(&ciphertext, ty) {
            Some(message) => Err(EngineError::Damaged(message)),
            None => Ok(ciphertext),
        }
    }

    fn key_list(&self, needs: &KeyNeeds<'_>) -> Result<KeyList> {
        let mut list = KeyList::default();
        for (&steps, &level) in needs.rotations {
            list.need(self.rotation_id(steps)?, level);
        }
        if let Some(level) = needs.relinearization {
            list.need(EvaluationKeyId(fhe::MULTIPLICATION_KEY), level);
        }
        for &slots in needs.bootstrap_slots {
            self.list_bootstrap(slots, &mut list)?;
        }
        Ok(list)
    }

    fn key_ids(&self, purpose: KeyPurpose) -> Result<Vec<EvaluationKeyId>> {
        Ok(match purpose {
            KeyPurpose::Rotation(steps) => vec![self.rotation_id(steps)?],
            KeyPurpose::Relinearization => vec![EvaluationKeyId(fhe::MULTIPLICATION_KEY)],
            KeyPurpose::Refresh => {
                let (conjugation, encapsulation) = self.refresh_ids()?;
                encapsulation.into_iter().chain([conjugation]).collect()
            }
        })
    }

    fn generate_keys<'k>(
        &'k self,
        secret: &'k Self::SecretKey,
        list: &'k KeyList,
    ) -> impl Iterator<Item = Result<LooseKey>> + 'k {
        let mut encapsulation = BTreeMap::new();
        list.levels().map(move |(id, level)| self.generate_key(secret, id, level, &mut encapsulation))
    }

    fn write_evaluation_key(&self, key: &LooseKey, bytes: &mut Vec<u8>) -> Result<()> {
        fhe::evaluation_key_into(key, bytes).map_err(failed("evaluation key"))
    }

    fn read_evaluation_key(&self, bytes: &[u8]) -> Result<LooseKey> {
        let _turn = beside(self.context())?;
        fhe::evaluation_key_from_bytes(self.context(), bytes).map_err(damaged)
    }

    fn id_of(&self, key: &LooseKey) -> EvaluationKeyId {
        EvaluationKeyId(key.id())
    }

    fn serves(&self, key: &LooseKey, level: Level) -> bool {
        level.0 < key.limbs()
    }

    fn key_set(&self, public: &Self::PublicKey) -> Result<OpenFheKeys> {
        OpenFheKeys::new(self.context(), public.key_tag().map_err(failed("public key"))?)
    }

    fn load(&self, program: &Verified) -> Result<OpenFheProgram> {
        OpenFheProgram::new(self, program)
    }

    /// Encodes plaintexts, map by map.
    fn prepare(&self, program: &mut OpenFheProgram, budget: u64, watch: &mut Watch<'_>) -> Result<u64> {
        program.prepare(self, budget, watch)
    }

    /// The encoding of plaintexts at their use.
    fn unprepared_time(&self, program: &OpenFheProgram) -> Duration {
        program.encoding.time()
    }

    fn evaluator<'e>(&'e self, program: &'e OpenFheProgram, _: &'e OpenFheKeys) -> OpenFheEvaluator<'e> {
        OpenFheEvaluator::new(self, program)
    }
}

impl OpenFheEngine {
    fn encoded(
        &self,
        slots: &[f64],
        level: Level,
    ) -> std::result::Result<fhe::UniquePtr<fhe::Plaintext>, fhe::Exception> {
        fhe::encode(self.context(), slots, slots.len() as u32, self.dropped(level), self.scale(level))
    }

    fn rotation_id(&self, steps: i64) -> Result<EvaluationKeyId> {
        let id = fhe::rotation_key_id(self.context(), rotation(steps)?);
        id.map(EvaluationKeyId).map_err(failed("rotation key"))
    }

    /// The keys of the conjugation and of the two sides of the encapsulation.
    fn refresh_ids(&self) -> Result<(EvaluationKeyId, [EvaluationKeyId; 2])> {
        let conjugation = fhe::conjugation_key_id(self.context()).map_err(failed("conjugation key"))?;
        let encapsulation = fhe::encapsulation_key_ids(self.context()).map_err(failed("encapsulation keys"))?;
        Ok((EvaluationKeyId(conjugation), encapsulation.map(EvaluationKeyId)))
    }

    fn list_bootstrap(&self, slots: usize, list: &mut KeyList) -> Result<()> {
        let parameters = self.declared();
        let Some(bootstrap) = parameters.bootstrap else { return Err(EngineError::BootstrapUnsupported) };
        for (steps, level) in bootstrap.rotations(slots, parameters.ring_dimension, parameters.levels) {
            list.need(self.rotation_id(steps)?, level);
        }
        let (conjugation, encapsulation) = self.refresh_ids()?;
        list.need(conjugation, bootstrap.conjugation_level(parameters.levels));
        list.need(EvaluationKeyId(fhe::MULTIPLICATION_KEY), parameters.levels);
        encapsulation.into_iter().for_each(|id| list.need_whole(id));
        Ok(())
    }

    /// Makes one key of a list. The two keys of the encapsulation are made together; the other one waits.
    fn generate_key(
        &self,
        secret: &fhe::SecretKey,
        id: EvaluationKeyId,
        level: Option<Level>,
        waiting: &mut BTreeMap<u32, LooseKey>,
    ) -> Result<LooseKey> {
        let _turn = beside(self.context())?;
        let mut generate = || match (level, waiting.remove(&id.0)) {
            (_, Some(key)) => Ok(key),
            (Some(level), None) => fhe::generate_evaluation_key(secret, id.0, level.0 + 1),
            (None, None) => {
                let pair = fhe::generate_encapsulation_keys(secret)?;
                let is_wanted = |key: &LooseKey| key.id() == id.0;
                let (wanted, other): (Vec<_>, Vec<_>) = [pair.to_sparse, pair.to_main].into_iter().partition(is_wanted);
                waiting.extend(other.into_iter().map(|key| (key.id(), key)));
                Ok(wanted.into_iter().next().expect("keys without levels are those of the encapsulation"))
            }
        };
        generate().map_err(failed("key generation"))
    }

    /// Why a ciphertext is not of a type, if it is not.
    fn misfit(&self, ciphertext: &Ciphertext, ty: Type) -> Option<String> {
        let (limbs, scale) = (ty.level.0 + 1, self.scale_of(ty));
        if ciphertext.limb_count() != limbs || ciphertext.level() != self.dropped(ty.level) {
            return Some(format!("a ciphertext has {} primes instead of {limbs}", ciphertext.limb_count()));
        }
        if ciphertext.part_count() != u32::from(ty.parts) {
            return Some(format!("a ciphertext has {} parts instead of {}", ciphertext.part_count(), ty.parts));
        }
        if (ciphertext.scaling_factor() / scale - 1.0).abs() > 1e-9 {
            return Some(format!("a ciphertext has scale {:e} instead of {scale:e}", ciphertext.scaling_factor()));
        }
        let slots = ciphertext.slots();
        (slots as usize != self.declared().slots).then(|| format!("a ciphertext has {slots} slots"))
    }
}
