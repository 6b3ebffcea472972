//! Secret keys and their passphrases: from files, from standard input, from the terminal.

use std::fs::File;
use std::io::{ErrorKind, stdin};
use std::os::fd::AsFd as _;
use std::path::Path;

use paf_runtime::{Client, Passphrase, RuntimeError, SecretKey};
use zeroize::Zeroizing;

use super::error::{CommandError, Result};
use super::{OpenFheEngine, Protection};

/// Stands for standard input in the place of a file.
const STDIN: &str = "-";

/// A passphrase file of more bytes holds something else.
const MOST_BYTES: u64 = 1 << 16;

/// Reads the secret key of a file, or of standard input.
pub(crate) fn load(
    client: &Client<OpenFheEngine>,
    path: &Path,
    protection: &Protection,
) -> Result<SecretKey<OpenFheEngine>> {
    let mut problem = None;
    let ask = || {
        given(protection).map_err(|error| {
            problem = Some(error);
            RuntimeError::PassphraseNeeded
        })
    };
    let key = if path == Path::new(STDIN) {
        // Not through the library's buffer, which nobody overwrites.
        let stdin = stdin().as_fd().try_clone_to_owned().map_err(CommandError::NoTerminal)?;
        client.read_protected_key(File::from(stdin), ask)
    } else {
        client.load_protected_key(path, ask)
    };
    key.map_err(|error| problem.unwrap_or_else(|| error.into()))
}

/// The passphrase of a key that is there.
fn given(protection: &Protection) -> Result<Passphrase> {
    match &protection.passphrase_file {
        Some(file) => of_file(file),
        None => asked("Passphrase of the secret key: "),
    }
}

/// The passphrase for a new key, if there is to be one.
pub(crate) fn wanted(ask: bool, protection: &Protection) -> Result<Option<Passphrase>> {
    if let Some(file) = &protection.passphrase_file {
        return of_file(file).map(Some);
    }
    if !ask {
        return Ok(None);
    }
    let passphrase = asked("Passphrase for the secret key: ")?;
    if passphrase.is(&asked("The same again: ")?) { Ok(Some(passphrase)) } else { Err(CommandError::OtherPassphrase) }
}

/// The first line of a file.
fn of_file(file: &Path) -> Result<Passphrase> {
    let problem = |problem: String| CommandError::PassphraseFile { path: file.to_owned(), problem };
    let bytes = read_at_most(file).map_err(|error| problem(error.to_string()))?;
    let text = str::from_utf8(&bytes).map_err(|_| problem("it is no text".to_owned()))?;
    let line = text.lines().next().unwrap_or_default();
    if bytes.len() as u64 > MOST_BYTES {
        return Err(problem("it is too long for a passphrase".to_owned()));
    }
    Passphrase::new(line).map_err(|error| problem(error.to_string()))
}

fn read_at_most(file: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    use std::io::Read as _;
    let mut bytes = Zeroizing::new(Vec::with_capacity(1 << 12));
    std::fs::File::open(file)?.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Asks on the terminal, which does not show what is typed.
fn asked(question: &str) -> Result<Passphrase> {
    let text = rpassword::prompt_password(question).map_err(|error| match error.kind() {
        ErrorKind::Interrupted => CommandError::Interrupted,
        ErrorKind::UnexpectedEof => RuntimeError::NoPassphrase.into(),
        _ => CommandError::NoTerminal(error),
    })?;
    Ok(Passphrase::new(text)?)
}
