//! `keygen`: both key files, or none.

use std::path::{Path, PathBuf};

use paf_runtime::InsecureTestParameters;

use super::commands::{finish, open_client};
use super::error::{CommandError, Result};
use super::progress::Progress;
use super::report::{Format, seconds, wrote};
use super::{Protection, facts, secrets};

/// The files of a key generation.
pub(crate) struct Files<'a> {
    pub(crate) client: &'a Path,
    pub(crate) secret: &'a Path,
    pub(crate) public: &'a Path,
    /// Whether keys that are there are replaced.
    pub(crate) force: bool,
}

impl Files<'_> {
    /// Refuses one name for both files, and to replace a key.
    fn check(&self) -> Result<()> {
        if place(self.secret) == place(self.public) {
            return Err(CommandError::SameFile(self.secret.to_owned()));
        }
        let is_kept = |path: &&Path| path.is_file() && !self.force;
        match [self.secret, self.public].into_iter().find(is_kept) {
            Some(path) => Err(CommandError::KeyExists(path.to_owned())),
            None => Ok(()),
        }
    }
}

/// Where a file is or will be, whatever it is called by.
fn place(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let named = || Some(folder.canonicalize().ok()?.join(path.file_name()?));
    path.canonicalize().ok().or_else(named).unwrap_or_else(|| path.to_owned())
}

pub(crate) fn keygen(
    files: &Files<'_>,
    ask: bool,
    protection: &Protection,
    insecure: InsecureTestParameters,
    format: Format,
) -> Result<()> {
    files.check()?;
    let (client, mut report) = open_client(files.client, insecure)?;
    let passphrase = secrets::wanted(ask, protection)?;
    let mut phase = Progress::new(format).phase("keygen");
    let key = {
        let counter = &mut phase.counter("evaluation keys");
        match &passphrase {
            Some(passphrase) => client.generate_protected_key_files(files.secret, files.public, passphrase, counter)?,
            None => client.generate_key_files(files.secret, files.public, counter)?,
        }
    };
    let time = phase.end();
    let keys = client.key_list()?.len();
    report.fact("evaluation_keys", keys);
    report.fact("seconds", time);
    report.fact("passphrase", passphrase.is_some());
    report.line("keygen", format!("{keys} evaluation keys in {}", seconds(time)));
    facts::key_id(&mut report, &key);
    facts::parameters(&mut report, &client.part().parameters);
    wrote(&mut report, files.secret);
    wrote(&mut report, files.public);
    finish(report, format)
}
