//! The client: makes keys, encrypts samples, decrypts results. It never sees the model's weights.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use paf_circuit::container::{ContentId, FileKind, KeyId, SectionReader};
use paf_circuit::{read_client_or_circuit, read_client_or_circuit_from};
use paf_engine::{Answer, Engine, EngineError, KeyList};
use paf_ir::ckks::Level;
use paf_ir::program::{InputPort, OutputPort};
use paf_ir::slots::{self, Vectors};
use paf_scheme::InsecureTestParameters;

use crate::ciphertexts::{CiphertextReader, CiphertextWriter, Count, Owner, PortType, Role};
use crate::error::{Result, RuntimeError};
use crate::keys::{self, EncryptionKey, EvaluationKeys, PublicKey, SecretKey};
use crate::protected::Passphrase;
use crate::samples::{ClientOutput, Samples, check_output, finish};
use crate::security::check_security;

/// The client's side of one circuit on an engine.
///
/// ```no_run
/// use std::path::Path;
/// use paf_engine_openfhe::{OpenFheEngine, machine};
/// use paf_runtime::{Client, InsecureTestParameters, Samples, npy};
/// # fn main() -> Result<(), paf_runtime::RuntimeError> {
/// machine::forbid_core_dumps()?;
/// let refuse = InsecureTestParameters::Refuse;
/// let client: Client<OpenFheEngine> = Client::load(Path::new("client.bin"), refuse)?;
/// client.generate_key_files(Path::new("client.key"), Path::new("server.key"), &mut |_, _| {})?;
///
/// let samples = Samples::new(client.inputs(), vec![npy::read(Path::new("x.npy"))?], None)?;
/// let public = client.load_public_key(Path::new("server.key"))?;
/// let sent = client.encrypt_file(&public, &samples, Path::new("x.ct"), &mut |_, _| {})?;
///
/// // The server makes y.ct from circuit.bin, server.key and x.ct.
///
/// let secret = client.load_secret_key(Path::new("client.key"))?;
/// let results = client.decrypt_file(&secret, Path::new("y.ct"), &mut |_, _| {})?;
/// assert_eq!(results.source, sent, "results of other inputs");
/// for outputs in results.samples {
///     println!("class {}", outputs?.top1());
/// }
/// # Ok(())
/// # }
/// ```
///
/// Every file may be a stream instead: what `generate_keys_to`, `encrypt_to` and their like write, `read_…` reads.
#[derive(Debug)]
pub struct Client<E> {
    part: paf_circuit::ClientPart,
    engine: Arc<E>,
}

impl<E: Engine> Client<E> {
    /// Reads a client file, or the client's part of a circuit file.
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`], and those of [`Client::new`].
    pub fn load(path: &Path, insecure: InsecureTestParameters) -> Result<Self> {
        Self::new(read_client_or_circuit(path)?, insecure)
    }

    /// Reads what such a file holds, to the end of the stream.
    ///
    /// # Errors
    /// Those of [`Client::load`].
    pub fn read(stream: impl Read, insecure: InsecureTestParameters) -> Result<Self> {
        Self::new(read_client_or_circuit_from(stream)?, insecure)
    }

    /// A client for a part that is in memory.
    ///
    /// # Errors
    /// Those of [`check_security`] and [`Engine::new`].
    pub fn new(part: paf_circuit::ClientPart, insecure: InsecureTestParameters) -> Result<Self> {
        check_security(&part.parameters, insecure)?;
        let engine = Arc::new(E::new(&part.parameters)?);
        Ok(Client { part, engine })
    }

    /// What the client knows of the circuit.
    pub fn part(&self) -> &paf_circuit::ClientPart {
        &self.part
    }

    /// The engine, which a server in the same process may share.
    pub fn engine(&self) -> &Arc<E> {
        &self.engine
    }

    /// The inputs, in order.
    pub fn inputs(&self) -> &[InputPort] {
        &self.part.inputs
    }

    /// The evaluation keys that the circuit needs.
    ///
    /// # Errors
    /// Those of [`Engine::key_list`].
    pub fn key_list(&self) -> Result<KeyList> {
        keys::key_list(&*self.engine, &self.part)
    }

    /// A fresh key pair in memory.
    ///
    /// # Errors
    /// [`RuntimeError::Engine`].
    pub fn generate_pair(&self) -> Result<(SecretKey<E>, PublicKey<E>)> {
        keys::generate_pair(&*self.engine, &self.part)
    }

    /// Makes the evaluation keys of a pair in memory, for a server of the same process; the observer gets the number made
    /// and the total.
    ///
    /// # Errors
    /// [`RuntimeError::Engine`], [`RuntimeError::Cancelled`].
    pub fn generate_evaluation_keys<A: Answer>(
        &self,
        secret: &SecretKey<E>,
        public: &PublicKey<E>,
        observer: &mut dyn FnMut(usize, usize) -> A,
    ) -> Result<EvaluationKeys<E>> {
        let watch = &mut |done, total| observer(done, total).flow();
        EvaluationKeys::generate(&*self.engine, &self.part, (secret, public), watch)
    }

    /// Makes all keys and writes `client.key` and `server.key`; the observer gets the number of evaluation keys made
    /// and their total. After an error neither file is there. Gives the id of the key pair.
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`] if the disk refuses, [`RuntimeError::Engine`], [`RuntimeError::Cancelled`].
    pub fn generate_key_files<A: Answer>(
        &self,
        secret: &Path,
        server: &Path,
        observer: &mut dyn FnMut(usize, usize) -> A,
    ) -> Result<KeyId> {
        let watch = &mut |done, total| observer(done, total).flow();
        keys::generate_files(&*self.engine, &self.part, (secret, server), None, watch)
    }

    /// The same with the secret key under a passphrase.
    ///
    /// # Errors
    /// Those of [`Client::generate_key_files`]; [`RuntimeError::Sealing`].
    pub fn generate_protected_key_files<A: Answer>(
        &self,
        secret: &Path,
        server: &Path,
        passphrase: &Passphrase,
        observer: &mut dyn FnMut(usize, usize) -> A,
    ) -> Result<KeyId> {
        let watch = &mut |done, total| observer(done, total).flow();
        keys::generate_files(&*self.engine, &self.part, (secret, server), Some(passphrase), watch)
    }

    /// Makes the evaluation keys of a pair and writes what `server.key` holds.
    ///
    /// # Errors
    /// Those of [`Client::generate_key_files`].
    pub fn generate_keys_to<A: Answer>(
        &self,
        secret: &SecretKey<E>,
        public: &PublicKey<E>,
        out: impl Write,
        observer: &mut dyn FnMut(usize, usize) -> A,
    ) -> Result<()> {
        let watch = &mut |done, total| observer(done, total).flow();
        keys::generate_server_stream(&*self.engine, &self.part, (secret, public), out, watch)
    }

    /// Writes what `client.key` holds: it must not leave the client.
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`], [`RuntimeError::Engine`].
    pub fn write_secret_key(&self, key: &SecretKey<E>, out: impl Write) -> Result<()> {
        key.write(&*self.engine, out, None)
    }

    /// The same under a passphrase.
    ///
    /// # Errors
    /// Those of [`Client::write_secret_key`]; [`RuntimeError::Sealing`].
    pub fn write_protected_key(&self, key: &SecretKey<E>, passphrase: &Passphrase, out: impl Write) -> Result<()> {
        key.write(&*self.engine, out, Some(passphrase))
    }

    /// Reads `client.key`, which must belong to the circuit, be under no passphrase, and be readable by its owner only.
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`] for a file that is damaged or of another circuit, [`RuntimeError::Content`],
    /// [`RuntimeError::LooseMode`], [`RuntimeError::PassphraseNeeded`].
    pub fn load_secret_key(&self, path: &Path) -> Result<SecretKey<E>> {
        self.load_protected_key(path, || Err(RuntimeError::PassphraseNeeded))
    }

    /// Reads `client.key`; `ask` gives the passphrase if it is under one.
    ///
    /// # Errors
    /// Those of [`Client::load_secret_key`] and of `ask`; [`RuntimeError::WrongPassphrase`].
    pub fn load_protected_key(&self, path: &Path, mut ask: impl FnMut() -> Result<Passphrase>) -> Result<SecretKey<E>> {
        SecretKey::load(&*self.engine, &self.part, path, &mut ask)
    }

    /// Reads what `client.key` holds, to the end of the stream.
    ///
    /// # Errors
    /// Those of [`Client::load_secret_key`].
    pub fn read_secret_key(&self, stream: impl Read) -> Result<SecretKey<E>> {
        self.read_protected_key(stream, || Err(RuntimeError::PassphraseNeeded))
    }

    /// The same; `ask` gives the passphrase if the key is under one.
    ///
    /// # Errors
    /// Those of [`Client::load_protected_key`].
    pub fn read_protected_key(
        &self,
        stream: impl Read,
        mut ask: impl FnMut() -> Result<Passphrase>,
    ) -> Result<SecretKey<E>> {
        SecretKey::read(&*self.engine, &self.part, stream, &mut ask)
    }

    /// Reads the public key out of `server.key`, which must belong to the circuit; evaluation keys are not read. A key
    /// under which everybody could read what it encrypts is refused.
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`] for a file that is damaged or of another circuit, [`RuntimeError::Content`].
    pub fn load_public_key(&self, path: &Path) -> Result<PublicKey<E>> {
        PublicKey::load(&*self.engine, &self.part, path)?.checked(&*self.engine, path)
    }

    /// Reads the public key from the beginning of what `server.key` holds.
    ///
    /// # Errors
    /// Those of [`Client::load_public_key`].
    pub fn read_public_key(&self, stream: impl Read) -> Result<PublicKey<E>> {
        PublicKey::read(&*self.engine, &self.part, stream)?.checked(&*self.engine, FileKind::ServerKey.thing())
    }

    /// Encrypts one sample: the ciphertexts of each input port.
    ///
    /// # Errors
    /// [`RuntimeError::Engine`].
    pub fn encrypt<'k>(
        &self,
        key: impl Into<EncryptionKey<'k, E>>,
        samples: &Samples,
        sample: usize,
    ) -> Result<Vec<Vec<E::Ciphertext>>> {
        let key = key.into();
        let packed = samples.packed(&self.part.inputs, sample);
        let port = |(vectors, &level): (&Vectors, &Level)| -> Result<Vec<E::Ciphertext>> {
            let vectors = slots::repeat(vectors, self.part.parameters.slots)?;
            vectors.iter().map(|vector| Ok(key.encrypt(&*self.engine, vector, level)?)).collect()
        };
        packed.iter().zip(&self.part.input_levels).map(port).collect()
    }

    /// Encrypts all samples into a file; the observer gets the number done and the total. Gives what names the file's content,
    /// which its results will name too ([`Decrypted::source`]).
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`] if the disk refuses, [`RuntimeError::Engine`], [`RuntimeError::Cancelled`].
    pub fn encrypt_file<'k, A: Answer>(
        &self,
        key: impl Into<EncryptionKey<'k, E>>,
        samples: &Samples,
        path: &Path,
        observer: &mut dyn FnMut(usize, usize) -> A,
    ) -> Result<ContentId> {
        let (key, count) = (key.into(), self.input_count(samples));
        let mut writer = CiphertextWriter::create(&*self.engine, path, Role::Inputs, key.binding(), count)?;
        self.encrypt_all(key, samples, &mut writer, observer)?;
        writer.commit()
    }

    /// Encrypts all samples into any sink.
    ///
    /// # Errors
    /// Those of [`Client::encrypt_file`].
    pub fn encrypt_to<'k, A: Answer>(
        &self,
        key: impl Into<EncryptionKey<'k, E>>,
        samples: &Samples,
        out: impl Write,
        observer: &mut dyn FnMut(usize, usize) -> A,
    ) -> Result<ContentId> {
        let (key, count) = (key.into(), self.input_count(samples));
        let mut writer = CiphertextWriter::new(&*self.engine, out, Role::Inputs, key.binding(), count)?;
        self.encrypt_all(key, samples, &mut writer, observer)?;
        writer.finish()
    }

    fn input_count(&self, samples: &Samples) -> Count {
        let per_sample = self.part.inputs.iter().map(|port| port.layout.ciphertexts).sum();
        Count { samples: samples.count(), per_sample }
    }

    fn encrypt_all<W: Write, A: Answer>(
        &self,
        key: EncryptionKey<'_, E>,
        samples: &Samples,
        writer: &mut CiphertextWriter<'_, E, W>,
        observer: &mut dyn FnMut(usize, usize) -> A,
    ) -> Result<()> {
        for sample in 0..samples.count() {
            RuntimeError::unless_cancelled(observer(sample, samples.count()).flow())?;
            writer.sample(&self.encrypt(key, samples, sample)?)?;
        }
        Ok(())
    }

    /// Decrypts one sample's results and computes the model's outputs from them.
    ///
    /// # Errors
    /// [`RuntimeError::Undecryptable`] and [`RuntimeError::Diverged`] where a value left the range of its polynomial,
    /// [`RuntimeError::Engine`].
    pub fn decrypt(&self, key: &SecretKey<E>, sample: usize, results: &[Vec<E::Ciphertext>]) -> Result<ClientOutput> {
        let decrypt = |(port, ciphertexts): (&OutputPort<Level>, &Vec<E::Ciphertext>)| {
            let ty = port_type(port).of_each();
            let decrypt = |ciphertext: &E::Ciphertext| self.engine.decrypt(&key.key, ciphertext, ty);
            let vectors: paf_engine::Result<Vectors> = ciphertexts.iter().map(decrypt).collect();
            vectors.map_err(|error| undecryptable(&port.name, sample, error))
        };
        let ports = &self.part.outputs;
        let vectors = ports.iter().zip(results).map(decrypt).collect::<Result<Vec<_>>>()?;
        let output = finish(ports, &self.part.program, &vectors);
        check_output(ports, sample, &output)?;
        Ok(output)
    }

    /// Decrypts all samples of a result file, each by itself: one that is refused leaves the others as they are. The observer
    /// gets the number done and the total.
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`] for a file that is damaged, of another circuit or of another key,
    /// [`RuntimeError::Content`], [`RuntimeError::Cancelled`]; for a sample those of [`Client::decrypt`].
    pub fn decrypt_file<A: Answer>(
        &self,
        key: &SecretKey<E>,
        path: &Path,
        observer: &mut dyn FnMut(usize, usize) -> A,
    ) -> Result<Decrypted> {
        let sections: SectionReader<File> = SectionReader::open(path, FileKind::Ciphertexts)?;
        self.decrypt_all(key, sections, path, observer)
    }

    /// Decrypts all samples of what a result file holds, to the end of the stream.
    ///
    /// # Errors
    /// Those of [`Client::decrypt_file`].
    pub fn decrypt_from<A: Answer>(
        &self,
        key: &SecretKey<E>,
        stream: impl Read,
        observer: &mut dyn FnMut(usize, usize) -> A,
    ) -> Result<Decrypted> {
        let path = Role::Results.thing();
        self.decrypt_all(key, SectionReader::new(stream, None, path, FileKind::Ciphertexts)?, path, observer)
    }

    fn decrypt_all<R: Read, A: Answer>(
        &self,
        key: &SecretKey<E>,
        sections: SectionReader<R>,
        path: &Path,
        observer: &mut dyn FnMut(usize, usize) -> A,
    ) -> Result<Decrypted> {
        let ports = self.part.outputs.iter().map(port_type).collect();
        let owner = Owner::Client(key);
        let mut reader = CiphertextReader::new(&*self.engine, owner, sections, path, Role::Results, ports)?;
        let mut outputs = Vec::new();
        for sample in 0..reader.samples() {
            RuntimeError::unless_cancelled(observer(sample, reader.samples()).flow())?;
            outputs.push(self.decrypt(key, sample, &reader.next_sample()?));
        }
        Ok(Decrypted { samples: outputs, source: reader.source()? })
    }
}

/// What a file of results held.
#[derive(Debug)]
pub struct Decrypted {
    /// Each sample by itself: one that is refused leaves the others as they are.
    pub samples: Vec<Result<ClientOutput>>,
    /// The content of the file of inputs that the results were computed from, as the server says: compare it with what
    /// [`Client::encrypt_file`] gave, or [`inputs_content`].
    pub source: ContentId,
}

/// What names the content of a file of encrypted inputs.
///
/// # Errors
/// [`RuntimeError::Circuit`] for a file that is damaged.
pub fn inputs_content(path: &Path) -> Result<ContentId> {
    let (mut sections, mut body) = (SectionReader::open(path, FileKind::Ciphertexts)?, Vec::new());
    while sections.next_section(&mut body)?.is_some() {}
    Ok(sections.content())
}

fn port_type(port: &OutputPort<Level>) -> PortType {
    PortType { ciphertexts: port.layout.ciphertexts, level: port.value }
}

fn undecryptable(output: &str, sample: usize, error: EngineError) -> RuntimeError {
    match error {
        EngineError::Undecryptable(message) => {
            RuntimeError::Undecryptable { output: output.to_owned(), sample, message }
        }
        other => other.into(),
    }
}
