//! Key pairs and evaluation keys, in memory and as files.
//!
//! `client.key` holds the secret key. `server.key` holds the public key, the multiplication key and one key for each
//! rotation, a section each: keys are made, written, read and checked one at a time, and no more than the circuit
//! lists. Both carry the circuit's fingerprint and the key pair's id, the SHA-256 of the public key.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openfhe_sys as fhe;
use paf_circuit::container::{self, Binding, Header, KeyId, Kind, SectionKind, SectionReader, SectionWriter};
use paf_circuit::{Circuit, CircuitError};
use paf_files::AtomicFile;
use paf_ir::ckks::Level;
use paf_ir::program::ValueId;
use paf_scheme::Secret;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::engine::Result;
use crate::error::{RuntimeError, openfhe_message};
use crate::openfhe::{Scheme, rotation};
use crate::staged_keys::StagedKeys;

/// The public key, first in `server.key`.
const PUBLIC: SectionKind = SectionKind(1);
/// An evaluation key.
const EVALUATION: SectionKind = SectionKind(2);

/// Decrypts; made and kept by the client only.
pub struct SecretKey {
    key: fhe::UniquePtr<fhe::SecretKey>,
    binding: Binding,
}

/// Encrypts.
pub struct PublicKey {
    key: fhe::UniquePtr<fhe::PublicKey>,
    binding: Binding,
}

/// The evaluation keys that one circuit lists, under their ids.
#[derive(Debug, Clone)]
pub struct KeyList {
    /// Key id to the limbs of the largest ciphertext that it serves. Rotations with the same effect share a key.
    limbs: BTreeMap<u32, u32>,
    /// Key ids of the switches between the main secret and the sparse one of bootstraps.
    encapsulation: BTreeSet<u32>,
}

/// Evaluation keys in OpenFHE's process-wide maps, or in their file as long as no operation needs them; dropping this
/// removes them from the process.
pub struct EvaluationKeys {
    tag: String,
    binding: Binding,
    staged: Option<Mutex<StagedKeys>>,
}

impl KeyList {
    /// The keys that a client's part of a circuit lists.
    ///
    /// # Errors
    /// [`RuntimeError::RotationTooLarge`] or [`RuntimeError::OpenFhe`].
    pub fn new(scheme: &Scheme, part: &paf_circuit::Client) -> Result<Self> {
        let mut list = KeyList { limbs: BTreeMap::new(), encapsulation: BTreeSet::new() };
        for (&steps, &level) in &part.rotations {
            list.need_rotation(scheme, steps, level)?;
        }
        if let Some(level) = part.relinearization {
            list.need(fhe::MULTIPLICATION_KEY, level);
        }
        for &slots in &part.bootstrap_slots {
            list.need_bootstrap(scheme, slots)?;
        }
        Ok(list)
    }

    fn need(&mut self, id: u32, level: Level) {
        let limbs = self.limbs.entry(id).or_insert(0);
        *limbs = (level.0 + 1).max(*limbs);
    }

    fn need_rotation(&mut self, scheme: &Scheme, steps: i64, level: Level) -> Result<()> {
        let id = fhe::rotation_key_id(scheme.context(), rotation(steps)?);
        self.need(id.map_err(RuntimeError::openfhe("rotation key"))?, level);
        Ok(())
    }

    fn need_bootstrap(&mut self, scheme: &Scheme, slots: usize) -> Result<()> {
        let parameters = scheme.parameters();
        let Some(bootstrap) = parameters.bootstrap else { return Err(RuntimeError::BootstrapUnsupported) };
        for (steps, level) in bootstrap.rotations(slots, parameters.ring_dimension, parameters.levels) {
            self.need_rotation(scheme, steps, level)?;
        }
        let conjugation = fhe::conjugation_key_id(scheme.context());
        self.need(conjugation, bootstrap.conjugation_level(parameters.levels));
        self.need(fhe::MULTIPLICATION_KEY, parameters.levels);
        self.encapsulation = fhe::encapsulation_key_ids(scheme.context()).into();
        Ok(())
    }

    /// Number of evaluation keys.
    pub fn len(&self) -> usize {
        self.limbs.len() + self.encapsulation.len()
    }

    /// Whether the circuit needs no evaluation key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn ids(&self) -> BTreeSet<u32> {
        self.limbs.keys().chain(&self.encapsulation).copied().collect()
    }

    /// Puts one key into the process; those of the encapsulation come together.
    fn generate(&self, secret: &fhe::SecretKey, id: u32) -> Result<()> {
        match self.limbs.get(&id) {
            Some(&limbs) => fhe::generate_evaluation_key(secret, id, limbs),
            None if fhe::evaluation_key_ids(&secret.key_tag()).contains(&id) => Ok(()),
            None => fhe::generate_encapsulation_keys(secret),
        }
        .map_err(RuntimeError::openfhe("key generation"))
    }

    /// Whether a key that was read has the limbs that the circuit needs.
    pub(crate) fn is_served_by(&self, tag: &str, id: u32) -> Result<bool> {
        let Some(&needed) = self.limbs.get(&id) else { return Ok(true) };
        let limbs = fhe::evaluation_key_limbs(tag, id).map_err(RuntimeError::openfhe("evaluation key"))?;
        Ok(needed <= limbs)
    }
}

/// A fresh key pair for the circuit with this fingerprint.
///
/// # Errors
/// [`RuntimeError::OpenFhe`].
pub(crate) fn generate_pair(scheme: &Scheme, part: &paf_circuit::Client) -> Result<(SecretKey, PublicKey)> {
    let pair = match scheme.parameters().secret {
        Secret::UniformTernary => fhe::generate_key_pair(scheme.context()),
        Secret::UniformTernaryEncapsulated => fhe::generate_dense_key_pair(scheme.context()),
    };
    let pair = pair.map_err(RuntimeError::openfhe("key generation"))?;
    let binding = Binding { fingerprint: part.fingerprint, key: key_id(&public_bytes(&pair.public_key)?) };
    Ok((SecretKey { key: pair.secret_key, binding }, PublicKey { key: pair.public_key, binding }))
}

fn public_bytes(key: &fhe::PublicKey) -> Result<Vec<u8>> {
    fhe::public_key_to_bytes(key).map_err(RuntimeError::openfhe("public key"))
}

fn key_id(public_key: &[u8]) -> KeyId {
    KeyId(Sha256::digest(public_key).into())
}

impl SecretKey {
    /// Reads `client.key`, which must belong to the circuit.
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`] for a file that is damaged or of another circuit, [`RuntimeError::Content`].
    pub fn load(scheme: &Scheme, part: &paf_circuit::Client, path: &Path) -> Result<Self> {
        let (binding, body) = container::read_file(path, Kind::SecretKey)?;
        let body = Zeroizing::new(body);
        binding.check_circuit(&part.fingerprint).map_err(|error| error.in_file(path))?;
        let key = fhe::secret_key_from_bytes(scheme.context(), &body);
        Ok(SecretKey { key: key.map_err(|error| RuntimeError::content(path, openfhe_message(&error)))?, binding })
    }

    /// Writes `client.key`, readable by its owner only.
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`], [`RuntimeError::OpenFhe`].
    pub fn save(&self, path: &Path) -> Result<()> {
        let body = fhe::secret_key_to_bytes(&self.key).map_err(RuntimeError::openfhe("secret key"))?;
        let body = Zeroizing::new(body);
        Ok(container::write_file(path, Kind::SecretKey, self.binding, &body)?)
    }

    /// The circuit and the key pair.
    pub fn binding(&self) -> &Binding {
        &self.binding
    }

    pub(crate) fn key(&self) -> &fhe::SecretKey {
        &self.key
    }
}

impl PublicKey {
    /// Reads the public key out of `server.key`, which must belong to the circuit; evaluation keys are not read.
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`] for a file that is damaged or of another circuit, [`RuntimeError::Content`].
    pub fn load(scheme: &Scheme, part: &paf_circuit::Client, path: &Path) -> Result<Self> {
        Self::read(&mut SectionReader::open(path, Kind::ServerKey)?, scheme, part, path)
    }

    fn read<R: std::io::Read>(
        reader: &mut SectionReader<R>,
        scheme: &Scheme,
        part: &paf_circuit::Client,
        path: &Path,
    ) -> Result<Self> {
        let binding = reader.header().binding;
        binding.check_circuit(&part.fingerprint).map_err(|error| error.in_file(path))?;
        let mut body = Vec::new();
        if reader.next_section(&mut body)? != Some(PUBLIC) || key_id(&body) != binding.key {
            return Err(RuntimeError::content(path, "the public key is not where it must be"));
        }
        let key = fhe::public_key_from_bytes(scheme.context(), &body);
        Ok(PublicKey { key: key.map_err(|error| RuntimeError::content(path, openfhe_message(&error)))?, binding })
    }

    /// The circuit and the key pair.
    pub fn binding(&self) -> &Binding {
        &self.binding
    }

    pub(crate) fn key(&self) -> &fhe::PublicKey {
        &self.key
    }
}

impl EvaluationKeys {
    /// Makes all keys of the list in memory; the observer gets the number made and the total.
    ///
    /// # Errors
    /// [`RuntimeError::OpenFhe`].
    pub fn generate(secret: &SecretKey, list: &KeyList, observer: &mut dyn FnMut(usize, usize)) -> Result<Self> {
        let keys = EvaluationKeys { tag: secret.key.key_tag(), binding: secret.binding, staged: None };
        for (index, id) in list.ids().into_iter().enumerate() {
            observer(index, list.len());
            list.generate(&secret.key, id)?;
        }
        Ok(keys)
    }

    /// Reads all keys of `server.key`, which must be those that the circuit lists.
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`] for a file that is damaged or of another circuit, [`RuntimeError::Content`].
    pub fn load(
        scheme: &Scheme,
        part: &paf_circuit::Client,
        path: &Path,
        observer: &mut dyn FnMut(usize, usize),
    ) -> Result<Self> {
        let list = KeyList::new(scheme, part)?;
        let mut reader = SectionReader::open(path, Kind::ServerKey)?;
        let public = PublicKey::read(&mut reader, scheme, part, path)?;
        let keys = EvaluationKeys { tag: public.key.key_tag(), binding: public.binding, staged: None };
        let (mut body, mut missing) = (Vec::new(), list.ids());
        while let Some(kind) = reader.next_section(&mut body)? {
            observer(list.len() - missing.len(), list.len());
            let id = fhe::import_evaluation_key(scheme.context(), &keys.tag, &body)
                .map_err(|error| RuntimeError::content(path, openfhe_message(&error)))?;
            if kind != EVALUATION || !missing.remove(&id) {
                return Err(RuntimeError::content(path, format!("the circuit does not list key {id}")));
            }
            if !list.is_served_by(&keys.tag, id)? {
                return Err(RuntimeError::content(path, format!("evaluation key {id} is for lower levels only")));
            }
        }
        match missing.first() {
            Some(id) => Err(RuntimeError::content(path, format!("evaluation key {id} is missing"))),
            None => Ok(keys),
        }
    }

    /// Keys of `server.key` that are read when an operation needs them: at most `budget` bytes of them are in memory at a
    /// time, or what the operation takes that needs most. Those that are needed first are read here; the observer gets the
    /// number of keys read and the number to read. The file must stay until this is dropped.
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`] for a file that is damaged or of another circuit, [`RuntimeError::Content`].
    pub fn open(
        scheme: &Arc<Scheme>,
        circuit: &Circuit,
        path: &Path,
        budget: u64,
        observer: &mut dyn FnMut(usize, usize),
    ) -> Result<Self> {
        let public = PublicKey::load(scheme, &circuit.client(), path)?;
        let tag = public.key.key_tag();
        let staged = Mutex::new(StagedKeys::open(scheme, circuit, path, &tag, budget)?);
        let keys = EvaluationKeys { tag, binding: public.binding, staged: Some(staged) };
        keys.staged().map_or(Ok(()), |mut staged| staged.fill(observer))?;
        Ok(keys)
    }

    /// Makes the keys ready that an operation of the circuit needs.
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`] for a key file that is damaged, [`RuntimeError::Content`].
    pub(crate) fn make_ready(&self, operation: ValueId) -> Result<()> {
        self.staged().map_or(Ok(()), |mut staged| staged.make_ready(operation.index()))
    }

    fn staged(&self) -> Option<MutexGuard<'_, StagedKeys>> {
        let staged = self.staged.as_ref()?;
        Some(staged.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The circuit and the key pair.
    pub fn binding(&self) -> &Binding {
        &self.binding
    }

    /// The name of the keys inside of OpenFHE.
    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }
}

impl Drop for EvaluationKeys {
    fn drop(&mut self) {
        for id in fhe::evaluation_key_ids(&self.tag) {
            // A key that is no longer there needs no removal.
            let _ = fhe::remove_evaluation_key(&self.tag, id);
        }
    }
}

/// Makes a key pair and the evaluation keys of the list, and writes both key files. Memory holds one evaluation key.
///
/// # Errors
/// [`RuntimeError::Circuit`], [`RuntimeError::OpenFhe`]. Neither file appears then.
pub(crate) fn generate_files(
    scheme: &Scheme,
    part: &paf_circuit::Client,
    secret_path: &Path,
    server_path: &Path,
    observer: &mut dyn FnMut(usize, usize),
) -> Result<()> {
    let (secret, _, writer) = write_server_file(scheme, part, server_path, observer)?;
    secret.save(secret_path)?;
    writer.commit().inspect_err(|_| discard(secret_path))?;
    Ok(())
}

/// As [`generate_files`], with the pair in memory: no secret is written.
///
/// # Errors
/// [`RuntimeError::Circuit`], [`RuntimeError::OpenFhe`]. The file does not appear then.
pub(crate) fn generate_server_file(
    scheme: &Scheme,
    part: &paf_circuit::Client,
    server_path: &Path,
    observer: &mut dyn FnMut(usize, usize),
) -> Result<(SecretKey, PublicKey)> {
    let (secret, public, writer) = write_server_file(scheme, part, server_path, observer)?;
    writer.commit()?;
    Ok((secret, public))
}

/// A key pair, and its evaluation keys in a file that does not have its name yet.
fn write_server_file(
    scheme: &Scheme,
    part: &paf_circuit::Client,
    server_path: &Path,
    observer: &mut dyn FnMut(usize, usize),
) -> Result<(SecretKey, PublicKey, SectionWriter<AtomicFile>)> {
    let list = KeyList::new(scheme, part)?;
    let (secret, public) = generate_pair(scheme, part)?;
    let header = Header { kind: Kind::ServerKey, binding: public.binding, sections: list.len() as u64 + 1 };
    let mut writer = SectionWriter::create(server_path, header)?;
    writer.section(PUBLIC, &public_bytes(&public.key)?)?;
    let keys = EvaluationKeys { tag: secret.key.key_tag(), binding: secret.binding, staged: None };
    let mut body = Vec::new();
    for (index, id) in list.ids().into_iter().enumerate() {
        observer(index, list.len());
        list.generate(&secret.key, id)?;
        export(&keys.tag, id, &mut body)?;
        writer.section(EVALUATION, &body)?;
    }
    Ok((secret, public, writer))
}

/// Moves one evaluation key out of the process into `body`.
fn export(tag: &str, id: u32, body: &mut Vec<u8>) -> Result<()> {
    let mut export = || {
        body.resize(fhe::evaluation_key_size(tag, id)?, 0);
        fhe::export_evaluation_key_into(tag, id, body)?;
        fhe::remove_evaluation_key(tag, id)
    };
    export().map_err(RuntimeError::openfhe("evaluation key"))
}

/// A secret key without its server key is of no use; that it may stay behind does not matter more than the first error.
fn discard(secret_path: &Path) {
    if secret_path.is_file() {
        let _ = std::fs::remove_file(secret_path);
    }
}

/// Checks that a file was made with the key pair in use.
pub(crate) fn check_binding(found: &Binding, expected: &Binding, path: &Path) -> Result<()> {
    let check = || -> std::result::Result<(), CircuitError> {
        found.check_circuit(&expected.fingerprint)?;
        found.check_key(&expected.key)
    };
    check().map_err(|error| error.in_file(path).into())
}

macro_rules! debug_binding {
    ($($name:ident),*) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name)).field("binding", &self.binding).finish_non_exhaustive()
            }
        }
    )*};
}

debug_binding!(SecretKey, PublicKey, EvaluationKeys);
