//! The keys of both sides in one process: for first tries, checks and measurements.

use paf_circuit::Circuit;
use tempfile::TempDir;

use crate::client::Client;
use crate::engine::Result;
use crate::error::RuntimeError;
use crate::keys::{self, EvaluationKeys, PublicKey, SecretKey};

/// A fresh key pair with the evaluation keys of a circuit.
#[derive(Debug)]
pub struct LocalKeys {
    /// Decrypts.
    pub secret: SecretKey,
    /// Encrypts.
    pub public: PublicKey,
    /// What the server has.
    pub evaluation: EvaluationKeys,
    /// Where the evaluation keys are that are not in memory; removed with this.
    pub folder: Option<TempDir>,
}

impl LocalKeys {
    /// Makes all keys in memory, or with a `key_memory` that is not 0 in a temporary folder, from where no more than so
    /// many bytes of them are in memory at a time. The observer gets the number of evaluation keys made and the total.
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`] or [`RuntimeError::Write`] if the disk refuses, [`RuntimeError::OpenFhe`].
    pub fn make(
        client: &Client,
        circuit: &Circuit,
        key_memory: u64,
        observer: &mut dyn FnMut(usize, usize),
    ) -> Result<Self> {
        if key_memory > 0 {
            return Self::make_in_folder(client, circuit, key_memory, observer);
        }
        let (secret, public) = client.generate_pair()?;
        let evaluation = EvaluationKeys::generate(&secret, &client.key_list()?, observer)?;
        Ok(LocalKeys { secret, public, evaluation, folder: None })
    }

    fn make_in_folder(
        client: &Client,
        circuit: &Circuit,
        key_memory: u64,
        observer: &mut dyn FnMut(usize, usize),
    ) -> Result<Self> {
        let folder = TempDir::new().map_err(RuntimeError::write(&std::env::temp_dir()))?;
        let server = folder.path().join("server.key");
        let (secret, public) = keys::generate_server_file(client.scheme(), client.part(), &server, observer)?;
        let evaluation = EvaluationKeys::open(client.scheme(), circuit, &server, key_memory, &mut |_, _| {})?;
        Ok(LocalKeys { secret, public, evaluation, folder: Some(folder) })
    }
}
