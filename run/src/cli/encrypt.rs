//! `encrypt`: under a public key, with a secret key, and which of them is whose.

use std::path::Path;

use paf_circuit::container::{Binding, KeyId};
use paf_runtime::{Client, EncryptionKey, InsecureTestParameters, PublicKey, SecretKey};

use super::commands::{finish, open_client, read_samples};
use super::error::Result;
use super::progress::Progress;
use super::report::{Format, seconds, wrote};
use super::{Input, OpenFheEngine, Protection, facts, secrets};

pub(crate) struct Options<'a> {
    pub(crate) client: &'a Path,
    pub(crate) keys: KeyFiles<'a>,
    pub(crate) input: &'a Input,
    pub(crate) output: &'a Path,
    pub(crate) insecure: InsecureTestParameters,
}

/// At least one of the two files is given.
pub(crate) struct KeyFiles<'a> {
    pub(crate) public: Option<&'a Path>,
    pub(crate) secret: Option<&'a Path>,
    pub(crate) protection: &'a Protection,
    pub(crate) id: Option<KeyId>,
}

pub(crate) fn encrypt(options: &Options<'_>, format: Format) -> Result<()> {
    let (client, mut report) = open_client(options.client, options.insecure)?;
    let samples = read_samples(client.inputs(), options.input)?;
    let keys = Keys::load(&client, &options.keys)?;
    let mut phase = Progress::new(format).phase("encrypt");
    client.encrypt_file(keys.encrypting(), &samples, options.output, &mut phase.counter("samples"))?;
    let time = phase.end();
    report.fact("samples", samples.count());
    report.fact("seconds", time);
    report.line("encrypted", format!("{} samples in {}", samples.count(), seconds(time)));
    facts::key_id(&mut report, &keys.encrypting().binding().key);
    wrote(&mut report, options.output);
    finish(report, format)
}

/// The keys that were given, which belong together.
enum Keys {
    Public(PublicKey<OpenFheEngine>),
    Secret(SecretKey<OpenFheEngine>),
}

impl Keys {
    /// Reads the secret key first: what it is compared with comes from elsewhere.
    fn load(client: &Client<OpenFheEngine>, files: &KeyFiles<'_>) -> Result<Self> {
        let mut expected = files.id;
        let mut check = |found: &Binding, path: &Path| match expected.replace(found.key) {
            Some(expected) => found.check_key(&expected).map_err(|error| error.in_file(path)),
            None => Ok(()),
        };
        let mut keys = None;
        if let Some(path) = files.secret {
            let secret = secrets::load(client, path, files.protection)?;
            check(secret.binding(), path)?;
            keys = Some(Keys::Secret(secret));
        }
        if let Some(path) = files.public {
            let public = client.load_public_key(path)?;
            check(public.binding(), path)?;
            keys = Some(Keys::Public(public));
        }
        Ok(keys.expect("the command line asks for a key file"))
    }

    fn encrypting(&self) -> EncryptionKey<'_, OpenFheEngine> {
        match self {
            Keys::Public(key) => key.into(),
            Keys::Secret(key) => key.into(),
        }
    }
}
