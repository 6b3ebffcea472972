//! Key pairs and evaluation keys, in memory, as files and as streams.
//!
//! `client.key` holds the secret key. `server.key` holds the public key and then the evaluation keys in the order of their
//! ids, a section each: keys are made, written, read and checked one at a time, and no more than the circuit lists. Both
//! carry the circuit's fingerprint and the key pair's id, the SHA-256 of the public key.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use paf_circuit::container::{
    self, Binding, FileKind, Header, KeyId, SectionKind, SectionReader, SectionWriter, WholeFile,
};
use paf_circuit::{Circuit, CircuitError};
use paf_engine::{Engine, EvaluationKeyId, KeyList, KeyNeeds, KeySet as _, Watch};
use paf_ir::ckks::Level;
use paf_ir::program::ValueId;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::ciphertexts::most_section_bytes;
use crate::error::{Result, RuntimeError};
use crate::executor::MakeReady;
use crate::protected::{self, Passphrase};
use crate::staged_keys::StagedKeys;

/// The public key, first in `server.key`.
const PUBLIC: SectionKind = SectionKind(1);
/// An evaluation key.
const EVALUATION: SectionKind = SectionKind(2);

/// Decrypts; made and kept by the client only.
pub struct SecretKey<E: Engine> {
    pub(crate) key: E::SecretKey,
    binding: Binding,
}

/// What inputs are encrypted with.
///
/// A secret key leaves no doubt whose key it is, and adds less noise. Under a public key of unknown origin, inputs are as
/// safe as that origin: compare its [id](Binding::key) with the secret key's.
#[derive(Debug)]
pub enum EncryptionKey<'k, E: Engine> {
    /// A public key.
    Public(&'k PublicKey<E>),
    /// A secret key.
    Secret(&'k SecretKey<E>),
}

impl<E: Engine> Clone for EncryptionKey<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E: Engine> Copy for EncryptionKey<'_, E> {}

impl<'k, E: Engine> From<&'k PublicKey<E>> for EncryptionKey<'k, E> {
    fn from(key: &'k PublicKey<E>) -> Self {
        EncryptionKey::Public(key)
    }
}

impl<'k, E: Engine> From<&'k SecretKey<E>> for EncryptionKey<'k, E> {
    fn from(key: &'k SecretKey<E>) -> Self {
        EncryptionKey::Secret(key)
    }
}

impl<'k, E: Engine> EncryptionKey<'k, E> {
    /// The circuit and the key pair.
    pub fn binding(self) -> &'k Binding {
        match self {
            EncryptionKey::Public(key) => &key.binding,
            EncryptionKey::Secret(key) => &key.binding,
        }
    }

    pub(crate) fn encrypt(self, engine: &E, slots: &[f64], level: Level) -> paf_engine::Result<E::Ciphertext> {
        match self {
            EncryptionKey::Public(key) => engine.encrypt(&key.key, slots, level),
            EncryptionKey::Secret(key) => engine.encrypt_with_secret(&key.key, slots, level),
        }
    }
}

/// Encrypts.
pub struct PublicKey<E: Engine> {
    pub(crate) key: E::PublicKey,
    binding: Binding,
}

/// Evaluation keys of one client for one circuit: in memory, or in their file as long as no operation needs them. Dropping
/// this frees them. Those of several clients do not know each other, whatever their files say.
pub struct EvaluationKeys<E: Engine> {
    pub(crate) set: E::Keys,
    /// What else is encrypted for the client.
    pub(crate) public: E::PublicKey,
    binding: Binding,
    staged: Option<Mutex<StagedKeys<E>>>,
}

/// The keys that the client's part of a circuit lists.
pub(crate) fn key_list<E: Engine>(engine: &E, part: &paf_circuit::ClientPart) -> Result<KeyList> {
    let (rotations, bootstrap_slots) = (&part.rotations, &part.bootstrap_slots[..]);
    Ok(engine.key_list(&KeyNeeds { rotations, relinearization: part.relinearization, bootstrap_slots })?)
}

/// A fresh key pair for the circuit.
pub(crate) fn generate_pair<E: Engine>(
    engine: &E,
    part: &paf_circuit::ClientPart,
) -> Result<(SecretKey<E>, PublicKey<E>)> {
    let (secret, public) = engine.generate_pair()?;
    let binding = Binding { fingerprint: part.fingerprint, key: key_id(&engine.write_public_key(&public)?) };
    Ok((SecretKey { key: secret, binding }, PublicKey { key: public, binding }))
}

/// The first section of a server key file, whose hash its header has as the id of the pair.
fn public_section<R: Read>(reader: &mut SectionReader<R>, most: u64, path: &Path) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    reader.limit_sections(most);
    if reader.next_section(&mut body)? != Some(PUBLIC) || key_id(&body) != reader.header().binding.key {
        return Err(RuntimeError::content(path, "the public key is not where it must be"));
    }
    Ok(body)
}

/// The header of `server.key`, whose public key is the one that it names. Evaluation keys are not read.
///
/// # Errors
/// [`RuntimeError::Circuit`] for a file that is damaged, [`RuntimeError::Content`] for one without that key.
pub fn read_server_key_header(path: &Path) -> Result<Header> {
    let mut reader = SectionReader::open(path, FileKind::ServerKey)?;
    public_section(&mut reader, MOST_PUBLIC_KEY_BYTES, path)?;
    Ok(*reader.header())
}

/// Most bytes of a public key where the parameters are not known: twice those of the largest ring that protects with all its
/// primes.
const MOST_PUBLIC_KEY_BYTES: u64 = 1 << 29;

fn key_id(public_key: &[u8]) -> KeyId {
    KeyId(Sha256::digest(public_key).into())
}

impl<E: Engine> SecretKey<E> {
    pub(crate) fn load(engine: &E, part: &paf_circuit::ClientPart, path: &Path, ask: Ask<'_>) -> Result<Self> {
        let (file, length) = container::open_file(path)?;
        check_mode(&file, path)?;
        Self::of_stream(engine, part, file, length, path, ask)
    }

    pub(crate) fn read(engine: &E, part: &paf_circuit::ClientPart, stream: impl Read, ask: Ask<'_>) -> Result<Self> {
        Self::of_stream(engine, part, stream, None, FileKind::SecretKey.thing(), ask)
    }

    fn of_stream(
        engine: &E,
        part: &paf_circuit::ClientPart,
        stream: impl Read,
        length: Option<u64>,
        path: &Path,
        ask: Ask<'_>,
    ) -> Result<Self> {
        let kinds = [FileKind::SecretKey, FileKind::ProtectedKey];
        let mut reader = SectionReader::of_kinds(stream, length, path, &kinds, FileKind::SecretKey.name())?;
        reader.limit_sections(most_section_bytes(engine.parameters().ciphertext_bytes(Level(0))));
        let kind = reader.header().kind;
        let (binding, body) = container::read_body(reader).map_err(|error| error.in_file(path))?;
        let mut body = Zeroizing::new(body);
        binding.check_circuit(&part.fingerprint).map_err(|error| error.in_file(path))?;
        if kind == FileKind::ProtectedKey {
            body = protected::open(&ask()?, &binding, &body)?;
        }
        Self::of_body(engine, part, binding, body, path)
    }

    fn of_body(
        engine: &E,
        part: &paf_circuit::ClientPart,
        binding: Binding,
        body: Zeroizing<Vec<u8>>,
        path: &Path,
    ) -> Result<Self> {
        binding.check_circuit(&part.fingerprint).map_err(|error| error.in_file(path))?;
        Ok(SecretKey { key: engine.read_secret_key(&body).map_err(RuntimeError::in_content(path))?, binding })
    }

    /// `client.key`, readable by its owner only, whole and without its name yet.
    fn save(&self, engine: &E, path: &Path, passphrase: Option<&Passphrase>) -> Result<WholeFile> {
        let (kind, body) = self.body(engine, passphrase)?;
        let mut writer = SectionWriter::create(path, Header { kind, binding: self.binding, sections: 1 })?;
        writer.section(SectionKind::BODY, &body)?;
        Ok(writer.complete()?)
    }

    pub(crate) fn write(&self, engine: &E, out: impl Write, passphrase: Option<&Passphrase>) -> Result<()> {
        let (kind, body) = self.body(engine, passphrase)?;
        Ok(container::write_to(out, kind, self.binding, &body)?)
    }

    fn body(&self, engine: &E, passphrase: Option<&Passphrase>) -> Result<(FileKind, Zeroizing<Vec<u8>>)> {
        let key = engine.write_secret_key(&self.key)?;
        Ok(match passphrase {
            None => (FileKind::SecretKey, key),
            Some(passphrase) => {
                let sealed = protected::seal(passphrase, &self.binding, &key)?;
                (FileKind::ProtectedKey, Zeroizing::new(sealed))
            }
        })
    }

    /// The circuit and the key pair.
    pub fn binding(&self) -> &Binding {
        &self.binding
    }

    /// What an engine makes of the key itself.
    pub fn with<T>(&self, action: impl FnOnce(&E::SecretKey) -> T) -> T {
        action(&self.key)
    }
}

impl<E: Engine> PublicKey<E> {
    pub(crate) fn load(engine: &E, part: &paf_circuit::ClientPart, path: &Path) -> Result<Self> {
        Self::first_of(&mut SectionReader::open(path, FileKind::ServerKey)?, engine, part, path)
    }

    pub(crate) fn read(engine: &E, part: &paf_circuit::ClientPart, stream: impl Read) -> Result<Self> {
        let path = FileKind::ServerKey.thing();
        Self::first_of(&mut SectionReader::new(stream, None, path, FileKind::ServerKey)?, engine, part, path)
    }

    fn first_of<R: Read>(
        reader: &mut SectionReader<R>,
        engine: &E,
        part: &paf_circuit::ClientPart,
        path: &Path,
    ) -> Result<Self> {
        let binding = reader.header().binding;
        binding.check_circuit(&part.fingerprint).map_err(|error| error.in_file(path))?;
        let parameters = engine.parameters();
        let most = most_section_bytes(parameters.ciphertext_bytes(parameters.levels));
        let body = public_section(reader, most, path)?;
        Ok(PublicKey { key: engine.read_public_key(&body).map_err(RuntimeError::in_content(path))?, binding })
    }

    /// The key, unless everybody could read what it encrypts.
    pub(crate) fn checked(self, engine: &E, path: &Path) -> Result<Self> {
        engine.check_public_key(&self.key).map_err(RuntimeError::in_content(path))?;
        Ok(self)
    }

    /// The circuit and the key pair.
    pub fn binding(&self) -> &Binding {
        &self.binding
    }
}

impl<E: Engine> EvaluationKeys<E> {
    /// Makes all keys that a circuit lists, in memory.
    pub(crate) fn generate(
        engine: &E,
        part: &paf_circuit::ClientPart,
        pair: (&SecretKey<E>, &PublicKey<E>),
        watch: &mut Watch<'_>,
    ) -> Result<Self> {
        let (secret, public) = pair;
        let copy = engine.read_public_key(&engine.write_public_key(&public.key)?)?;
        let set = engine.key_set(&public.key)?;
        let keys = EvaluationKeys::<E> { set, public: copy, binding: secret.binding, staged: None };
        let list = key_list(engine, part)?;
        let mut made = Vec::with_capacity(list.len());
        let mut generate = engine.generate_keys(&secret.key, &list);
        for done in 0..list.len() {
            RuntimeError::unless_cancelled(watch(done, list.len()))?;
            made.extend(generate.next().transpose()?);
        }
        drop(generate);
        keys.set.insert(made)?;
        Ok(keys)
    }

    /// Reads all keys of `server.key`, which must be those that the circuit lists.
    pub(crate) fn load(engine: &E, part: &paf_circuit::ClientPart, path: &Path, watch: &mut Watch<'_>) -> Result<Self> {
        Self::all_of(SectionReader::open(path, FileKind::ServerKey)?, engine, part, path, watch)
    }

    pub(crate) fn read(
        engine: &E,
        part: &paf_circuit::ClientPart,
        stream: impl Read,
        watch: &mut Watch<'_>,
    ) -> Result<Self> {
        let path = FileKind::ServerKey.thing();
        Self::all_of(SectionReader::new(stream, None, path, FileKind::ServerKey)?, engine, part, path, watch)
    }

    /// Keys are put to use together, when all of them were read and checked.
    fn all_of<R: Read>(
        mut reader: SectionReader<R>,
        engine: &E,
        part: &paf_circuit::ClientPart,
        path: &Path,
        watch: &mut Watch<'_>,
    ) -> Result<Self> {
        let list = key_list(engine, part)?;
        let public = PublicKey::first_of(&mut reader, engine, part, path)?;
        let (set, binding) = (engine.key_set(&public.key)?, public.binding);
        let keys = EvaluationKeys::<E> { set, public: public.key, binding, staged: None };
        let (mut body, mut missing) = (Vec::new(), list.ids().collect::<BTreeSet<_>>());
        let mut read = Vec::with_capacity(list.len());
        reader.limit_sections(most_section_bytes(engine.parameters().evaluation_key_bytes()));
        while let Some(kind) = reader.next_section(&mut body)? {
            RuntimeError::unless_cancelled(watch(read.len(), list.len()))?;
            let (id, key) = read_key(engine, &list, &body, path)?;
            if kind != EVALUATION || !missing.remove(&id) {
                return Err(RuntimeError::content(path, format!("the circuit does not list key {id}")));
            }
            read.push(key);
        }
        if let Some(id) = missing.first() {
            return Err(RuntimeError::content(path, format!("evaluation key {id} is missing")));
        }
        keys.set.insert(read)?;
        Ok(keys)
    }

    /// Keys of `server.key` that are read when an operation needs them: at most `budget` bytes of them are in memory at a
    /// time, or what the operation takes that needs most. Those that are needed first are read here.
    pub(crate) fn open(
        engine: &Arc<E>,
        circuit: &Circuit,
        path: &Path,
        budget: u64,
        watch: &mut Watch<'_>,
    ) -> Result<Self> {
        let public = PublicKey::load(&**engine, &circuit.client(), path)?;
        let mut staged = StagedKeys::open(engine, circuit, path, budget)?;
        let (set, binding) = (engine.key_set(&public.key)?, public.binding);
        let keys = EvaluationKeys::<E> { set, public: public.key, binding, staged: None };
        staged.fill(&keys.set, watch)?;
        Ok(EvaluationKeys { staged: Some(Mutex::new(staged)), ..keys })
    }

    fn staged(&self) -> Option<MutexGuard<'_, StagedKeys<E>>> {
        let staged = self.staged.as_ref()?;
        Some(staged.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The circuit and the key pair.
    pub fn binding(&self) -> &Binding {
        &self.binding
    }
}

impl<E: Engine> MakeReady for EvaluationKeys<E> {
    fn make_ready(&self, operation: ValueId) -> Result<()> {
        self.staged().map_or(Ok(()), |mut staged| staged.make_ready(&self.set, operation.index()))
    }
}

/// A key of a list from its bytes.
pub(crate) fn read_key<E: Engine>(
    engine: &E,
    list: &KeyList,
    body: &[u8],
    path: &Path,
) -> Result<(EvaluationKeyId, E::EvaluationKey)> {
    let key = engine.read_evaluation_key(body).map_err(RuntimeError::in_content(path))?;
    let id = engine.id_of(&key);
    if list.level(id).is_some_and(|level| !engine.serves(&key, level)) {
        return Err(RuntimeError::content(path, format!("evaluation key {id} is for lower levels only")));
    }
    Ok((id, key))
}

/// Who is asked for a passphrase, where one is needed.
pub(crate) type Ask<'a> = &'a mut dyn FnMut() -> Result<Passphrase>;

/// Refuses a file that others may read or write.
fn check_mode(file: &File, path: &Path) -> Result<()> {
    let metadata = file.metadata().map_err(RuntimeError::read(path))?;
    let mode = metadata.permissions().mode() & 0o777;
    if metadata.is_file() && mode & 0o077 != 0 {
        return Err(RuntimeError::LooseMode { path: path.to_owned(), mode });
    }
    Ok(())
}

/// Makes a key pair and the evaluation keys that a circuit lists, and writes both key files, which get their names at about the
/// same moment. Memory holds one evaluation key. After an error neither file is there. Gives the id of the pair.
pub(crate) fn generate_files<E: Engine>(
    engine: &E,
    part: &paf_circuit::ClientPart,
    (secret_path, server_path): (&Path, &Path),
    passphrase: Option<&Passphrase>,
    watch: &mut Watch<'_>,
) -> Result<KeyId> {
    let (secret, public) = generate_pair(engine, part)?;
    let server_file = generate_server_file(engine, part, (&secret, &public), server_path, watch)?;
    let secret_file = secret.save(engine, secret_path, passphrase)?;
    // The secret key last: what it replaces is lost only when all is well.
    server_file.commit()?;
    secret_file.commit().inspect_err(|_| discard(server_path))?;
    Ok(secret.binding.key)
}

/// The evaluation keys of a pair in a file that is whole and does not have its name yet.
fn generate_server_file<E: Engine>(
    engine: &E,
    part: &paf_circuit::ClientPart,
    pair: (&SecretKey<E>, &PublicKey<E>),
    path: &Path,
    watch: &mut Watch<'_>,
) -> Result<WholeFile> {
    let list = key_list(engine, part)?;
    let mut writer = SectionWriter::create(path, server_header(&pair.1.binding, &list))?;
    write_server_sections(engine, &list, pair, &mut writer, watch)?;
    Ok(writer.complete()?)
}

/// The same into any sink.
pub(crate) fn generate_server_stream<E: Engine>(
    engine: &E,
    part: &paf_circuit::ClientPart,
    pair: (&SecretKey<E>, &PublicKey<E>),
    out: impl Write,
    watch: &mut Watch<'_>,
) -> Result<()> {
    let list = key_list(engine, part)?;
    let header = server_header(&pair.1.binding, &list);
    let mut writer = SectionWriter::new(out, FileKind::ServerKey.thing(), header)?;
    write_server_sections(engine, &list, pair, &mut writer, watch)?;
    Ok(writer.finish().map(drop)?)
}

fn server_header(binding: &Binding, list: &KeyList) -> Header {
    Header { kind: FileKind::ServerKey, binding: *binding, sections: list.len() as u64 + 1 }
}

fn write_server_sections<E: Engine, W: Write>(
    engine: &E,
    list: &KeyList,
    (secret, public): (&SecretKey<E>, &PublicKey<E>),
    writer: &mut SectionWriter<W>,
    watch: &mut Watch<'_>,
) -> Result<()> {
    writer.section(PUBLIC, &engine.write_public_key(&public.key)?)?;
    let (mut body, mut keys) = (Vec::new(), engine.generate_keys(&secret.key, list));
    for done in 0..list.len() {
        RuntimeError::unless_cancelled(watch(done, list.len()))?;
        let Some(key) = keys.next() else { break };
        engine.write_evaluation_key(&key?, &mut body)?;
        writer.section(EVALUATION, &body)?;
    }
    Ok(())
}

/// A server key without its secret key is of no use; that it may stay behind does not matter more than the first error.
fn discard(server_path: &Path) {
    if server_path.is_file() {
        let _ = std::fs::remove_file(server_path);
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
        impl<E: Engine> std::fmt::Debug for $name<E> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name)).field("binding", &self.binding).finish_non_exhaustive()
            }
        }
    )*};
}

debug_binding!(SecretKey, PublicKey, EvaluationKeys);
