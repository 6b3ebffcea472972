//! The client: makes keys, encrypts samples, decrypts results. It never sees the model's weights.

use std::path::Path;
use std::sync::Arc;

use openfhe_sys as fhe;
use paf_circuit::read_client_or_circuit;
use paf_ir::program::InputPort;
use paf_ir::slots::{self, Vectors};

use crate::ciphertexts::{CiphertextReader, CiphertextWriter, PortType, Role};
use crate::engine::Result;
use crate::error::{RuntimeError, openfhe_message};
use crate::keys::{self, KeyList, PublicKey, SecretKey};
use crate::openfhe::{Ciphertext, Scheme};
use crate::samples::{Output, Samples, finish};

/// The client's side of one circuit.
///
/// ```no_run
/// use std::path::Path;
/// use paf_runtime::{Client, PublicKey, Samples, SecretKey, npy};
/// # fn main() -> Result<(), paf_runtime::RuntimeError> {
/// let client = Client::load(Path::new("client.bin"))?;
/// client.generate_key_files(Path::new("client.key"), Path::new("server.key"), &mut |_, _| {})?;
///
/// let samples = Samples::new(client.inputs(), vec![npy::read(Path::new("x.npy"))?], None)?;
/// let public = PublicKey::load(client.scheme(), client.part(), Path::new("server.key"))?;
/// client.encrypt_file(&public, &samples, Path::new("x.ct"), &mut |_, _| {})?;
///
/// // The server makes y.ct from circuit.bin, server.key and x.ct.
///
/// let secret = SecretKey::load(client.scheme(), client.part(), Path::new("client.key"))?;
/// for outputs in client.decrypt_file(&secret, Path::new("y.ct"), &mut |_, _| {})? {
///     println!("class {}", outputs[0].top1());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Client {
    part: paf_circuit::Client,
    scheme: Arc<Scheme>,
}

impl Client {
    /// Reads a client file, or the client's part of a circuit file.
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`], and those of [`Scheme::new`].
    pub fn load(path: &Path) -> Result<Self> {
        Self::new(read_client_or_circuit(path)?)
    }

    /// A client for a part that is in memory.
    ///
    /// # Errors
    /// Those of [`Scheme::new`].
    pub fn new(part: paf_circuit::Client) -> Result<Self> {
        let scheme = Arc::new(Scheme::new(&part.parameters)?);
        Ok(Client { part, scheme })
    }

    /// What the client knows of the circuit.
    pub fn part(&self) -> &paf_circuit::Client {
        &self.part
    }

    /// The encryption scheme.
    pub fn scheme(&self) -> &Arc<Scheme> {
        &self.scheme
    }

    /// The inputs, in order.
    pub fn inputs(&self) -> &[InputPort] {
        &self.part.inputs
    }

    /// A fresh key pair in memory.
    ///
    /// # Errors
    /// [`RuntimeError::OpenFhe`].
    pub fn generate_pair(&self) -> Result<(SecretKey, PublicKey)> {
        keys::generate_pair(&self.scheme, &self.part)
    }

    /// The evaluation keys that the circuit needs.
    ///
    /// # Errors
    /// Those of [`KeyList::new`].
    pub fn key_list(&self) -> Result<KeyList> {
        KeyList::new(&self.scheme, &self.part)
    }

    /// Makes all keys and writes `client.key` and `server.key`; the observer gets the number of evaluation keys made
    /// and their total.
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`] if the disk refuses, [`RuntimeError::OpenFhe`].
    pub fn generate_key_files(
        &self,
        secret: &Path,
        server: &Path,
        observer: &mut dyn FnMut(usize, usize),
    ) -> Result<()> {
        keys::generate_files(&self.scheme, &self.part, secret, server, observer)
    }

    /// Encrypts one sample.
    ///
    /// # Errors
    /// [`RuntimeError::OpenFhe`].
    pub fn encrypt(&self, key: &PublicKey, samples: &Samples, sample: usize) -> Result<Vec<Vec<Ciphertext>>> {
        let packed = samples.packed(&self.part.inputs, sample);
        let port = |(vectors, &level): (&Vectors, _)| -> Result<Vec<Ciphertext>> {
            let slots = self.part.parameters.slots;
            let (dropped, scale) = (self.scheme.dropped(level), self.scheme.scale(level));
            let encrypt = |vector: &Vec<f64>| {
                let plaintext = fhe::encode(self.scheme.context(), vector, slots as u32, dropped, scale)?;
                fhe::encrypt(key.key(), &plaintext)
            };
            let vectors = slots::repeat(vectors, slots)?;
            vectors.iter().map(|vector| encrypt(vector).map_err(RuntimeError::openfhe("encrypt"))).collect()
        };
        packed.iter().zip(&self.part.input_levels).map(port).collect()
    }

    /// Encrypts all samples into a file; the observer gets the number done and the total.
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`] if the disk refuses, [`RuntimeError::OpenFhe`].
    pub fn encrypt_file(
        &self,
        key: &PublicKey,
        samples: &Samples,
        path: &Path,
        observer: &mut dyn FnMut(usize, usize),
    ) -> Result<()> {
        let per_sample = self.part.inputs.iter().map(|port| port.layout.ciphertexts).sum();
        let mut writer = CiphertextWriter::create(path, Role::Inputs, key.binding(), samples.count(), per_sample)?;
        for sample in 0..samples.count() {
            observer(sample, samples.count());
            writer.sample(&self.encrypt(key, samples, sample)?)?;
        }
        writer.commit()
    }

    /// Decrypts one sample's results and finishes them: one [`Output`] per output port. Values are not
    /// [checked](crate::samples::check_output).
    ///
    /// # Errors
    /// [`RuntimeError::Undecryptable`].
    pub fn decrypt(&self, key: &SecretKey, sample: usize, results: &[Vec<Ciphertext>]) -> Result<Vec<Output>> {
        let decrypt = |(port, ciphertexts): (&paf_ir::program::OutputPort<_>, &Vec<Ciphertext>)| {
            let scale = self.scheme.scale(port.value);
            let decrypt = |ciphertext: &Ciphertext| fhe::decrypt(key.key(), ciphertext, scale);
            let vectors: std::result::Result<Vectors, _> = ciphertexts.iter().map(decrypt).collect();
            let vectors = vectors.map_err(|error| undecryptable(&port.name, sample, &error))?;
            Ok(finish(port, &vectors))
        };
        self.part.outputs.iter().zip(results).map(decrypt).collect()
    }

    /// Decrypts all samples of a result file.
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`] for a file that is damaged, of another circuit or of another key,
    /// [`RuntimeError::Content`], and those of [`Client::decrypt`].
    pub fn decrypt_file(
        &self,
        key: &SecretKey,
        path: &Path,
        observer: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<Vec<Output>>> {
        let port = |port: &paf_ir::program::OutputPort<paf_ir::ckks::Level>| PortType {
            ciphertexts: port.layout.ciphertexts,
            level: port.value,
        };
        let ports = self.part.outputs.iter().map(port).collect();
        let tag = key.key().key_tag();
        let mut reader = CiphertextReader::open(&self.scheme, path, Role::Results, ports, key.binding(), &tag)?;
        let mut outputs = Vec::new();
        for sample in 0..reader.samples() {
            observer(sample, reader.samples());
            outputs.push(self.decrypt(key, sample, &reader.next_sample()?)?);
        }
        reader.finish()?;
        Ok(outputs)
    }
}

fn undecryptable(output: &str, sample: usize, error: &fhe::Exception) -> RuntimeError {
    RuntimeError::Undecryptable { output: output.to_owned(), sample, message: openfhe_message(error) }
}
