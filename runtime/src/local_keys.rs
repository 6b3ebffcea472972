//! The keys of both sides in one process: for first tries, checks and measurements.

use std::io::BufWriter;

use paf_engine::{Answer, Engine};
use paf_files::ScratchFile;

use crate::client::Client;
use crate::error::{Result, RuntimeError};
use crate::keys::{EvaluationKeys, PublicKey, SecretKey};
use crate::server::Server;

/// A fresh key pair with the evaluation keys of a circuit.
#[derive(Debug)]
pub struct LocalKeys<E: Engine> {
    /// Decrypts.
    pub secret: SecretKey<E>,
    /// Encrypts.
    pub public: PublicKey<E>,
    /// What the server has.
    pub evaluation: EvaluationKeys<E>,
    /// Where the evaluation keys are that are not in memory.
    pub file: Option<ScratchFile>,
}

impl<E: Engine> LocalKeys<E> {
    /// Makes all keys in memory, or with a `key_memory` that is not 0 in a file without a name, from where no more than so
    /// many bytes of them are in memory at a time. The observer gets the number of evaluation keys made and the total.
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`] or [`RuntimeError::Write`] if the disk refuses, [`RuntimeError::Engine`],
    /// [`RuntimeError::Cancelled`].
    pub fn make<A: Answer>(
        client: &Client<E>,
        server: &Server<E>,
        key_memory: u64,
        observer: &mut dyn FnMut(usize, usize) -> A,
    ) -> Result<Self> {
        let (secret, public) = client.generate_pair()?;
        if key_memory == 0 {
            let evaluation = client.generate_evaluation_keys(&secret, &public, observer)?;
            return Ok(LocalKeys { secret, public, evaluation, file: None });
        }
        let file = ScratchFile::new().map_err(RuntimeError::scratch)?;
        client.generate_keys_to(&secret, &public, BufWriter::new(file.file()), observer)?;
        let evaluation = server.load_keys(&file.path(), key_memory, &mut |_, _| {})?;
        Ok(LocalKeys { secret, public, evaluation, file: Some(file) })
    }
}
