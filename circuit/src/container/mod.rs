//! The frame of every file of the project: who it is for, and that it is whole.
//!
//! ```text
//! header    magic (8) · format version u32 · section count u64 · circuit fingerprint (32) · key id (32)
//!           · SHA-256 of all that (32)
//! section   kind u32 · length u64 · SHA-256 (32) · body           `section count` times
//! end       kind 0   · length 0   · SHA-256 (32)
//! ```
//!
//! Integers are little-endian. The checksum of a section covers the header's checksum, the section's number, its kind,
//! its length and its body: a section that is damaged, missing, repeated, moved, or taken from another file does not
//! match. Circuits and clients are one section. Server keys are many, and [`SectionReader`] holds one at a time.
//! Checksums find accidents, not attacks: whoever can write a file can write its checksums.

mod index;
mod reader;
mod writer;

use std::fmt;
use std::io::{Read, Write};
use std::path::Path;

use paf_files::hex;
use sha2::{Digest, Sha256};

pub use index::SectionIndex;
pub use reader::{SectionReader, open_file, read_header, require_file};
pub use writer::{SectionWriter, WholeFile};

use crate::{CircuitError, Fingerprint};

/// The format version that this crate writes and reads.
pub const FORMAT_VERSION: u32 = 4;

/// Bytes of a file's header.
pub const HEADER_BYTES: usize = 116;

/// Bytes before a section's body.
pub const SECTION_HEADER_BYTES: usize = 44;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A compiled network with its weights.
    Circuit,
    /// The client's part of a circuit.
    Client,
    /// A secret key.
    SecretKey,
    /// A secret key under a passphrase.
    ProtectedKey,
    /// A public key and evaluation keys.
    ServerKey,
    /// Encrypted inputs or results.
    Ciphertexts,
}

impl FileKind {
    const ALL: [FileKind; 6] = [
        FileKind::Circuit,
        FileKind::Client,
        FileKind::SecretKey,
        FileKind::ProtectedKey,
        FileKind::ServerKey,
        FileKind::Ciphertexts,
    ];

    /// The kind in words, with its article.
    pub fn name(self) -> &'static str {
        match self {
            FileKind::Circuit => "a circuit file",
            FileKind::Client => "a client file",
            FileKind::SecretKey => "a secret key file",
            FileKind::ProtectedKey => "a secret key file under a passphrase",
            FileKind::ServerKey => "a server key file",
            FileKind::Ciphertexts => "a ciphertext file",
        }
    }

    /// What stands in messages for the path, where the bytes come from no file.
    pub fn thing(self) -> &'static Path {
        Path::new(match self {
            FileKind::Circuit => "circuit",
            FileKind::Client => "client",
            FileKind::SecretKey | FileKind::ProtectedKey => "secret key",
            FileKind::ServerKey => "server key",
            FileKind::Ciphertexts => "ciphertexts",
        })
    }

    /// The first bytes of a file of this kind; the first is no text, so that text tools keep off.
    pub fn magic(self) -> [u8; 8] {
        match self {
            FileKind::Circuit => *b"\x89PAFcirc",
            FileKind::Client => *b"\x89PAFclnt",
            FileKind::SecretKey => *b"\x89PAFskey",
            FileKind::ProtectedKey => *b"\x89PAFpkey",
            FileKind::ServerKey => *b"\x89PAFeval",
            FileKind::Ciphertexts => *b"\x89PAFctxt",
        }
    }
}

/// Names one key pair, so that a ciphertext is never used with the keys of another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct KeyId(pub [u8; 32]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl std::str::FromStr for KeyId {
    type Err = NotKeyId;

    /// All 64 hexadecimal digits: a shorter beginning is something that another key can be made to have.
    fn from_str(text: &str) -> Result<Self, NotKeyId> {
        let mut id = [0; 32];
        if text.len() != 2 * id.len() || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(NotKeyId);
        }
        for (byte, place) in id.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&text[place..place + 2], 16).map_err(|_| NotKeyId)?;
        }
        Ok(KeyId(id))
    }
}

/// A text that does not name a key pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key id is 64 hexadecimal digits")]
pub struct NotKeyId;

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// Names the content of a file of many sections: the SHA-256 of the checksums of its header and sections, the end mark's
/// included. It costs nothing where the sections are read or written anyway.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentId(pub [u8; 32]);

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentId({self})")
    }
}

/// Computes a [`ContentId`] from one checksum after another.
#[derive(Debug, Clone)]
struct Transcript(Sha256);

impl Transcript {
    fn begin(header: &Checksum) -> Self {
        Transcript(Sha256::new().chain_update(header))
    }

    fn section(&mut self, checksum: &[u8]) {
        self.0.update(checksum);
    }

    fn content(&self) -> ContentId {
        ContentId(self.0.clone().finalize().into())
    }
}

/// What a file belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Binding {
    /// Fingerprint of the circuit.
    pub fingerprint: Fingerprint,
    /// The key pair; all zero in circuit and client files.
    pub key: KeyId,
}

impl Binding {
    /// Checks that the file belongs to a circuit.
    ///
    /// # Errors
    /// [`CircuitError::OtherCircuit`].
    pub fn check_circuit(&self, expected: &Fingerprint) -> Result<(), CircuitError> {
        if self.fingerprint == *expected {
            return Ok(());
        }
        Err(CircuitError::OtherCircuit { expected: *expected, found: self.fingerprint })
    }

    /// Checks that the file belongs to a key pair.
    ///
    /// # Errors
    /// [`CircuitError::OtherKey`].
    pub fn check_key(&self, expected: &KeyId) -> Result<(), CircuitError> {
        if self.key == *expected {
            return Ok(());
        }
        Err(CircuitError::OtherKey { expected: *expected, found: self.key })
    }
}

/// The header of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What the file holds.
    pub kind: FileKind,
    /// What it belongs to.
    pub binding: Binding,
    /// Number of sections.
    pub sections: u64,
}

/// What a section holds, numbered from 1 by whoever defines the file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SectionKind(pub u32);

impl SectionKind {
    /// The mark after the last section.
    pub(crate) const END: SectionKind = SectionKind(0);
    /// The only section of a whole-body file.
    pub const BODY: SectionKind = SectionKind(1);
}

/// Writes a file of one section.
///
/// # Errors
/// [`CircuitError::Io`]; then no file is left behind.
pub fn write_file(path: &Path, kind: FileKind, binding: Binding, body: &[u8]) -> Result<(), CircuitError> {
    let mut writer = SectionWriter::create(path, Header { kind, binding, sections: 1 })?;
    writer.section(SectionKind::BODY, body)?;
    writer.commit().map(drop)
}

/// Reads a file of one section.
///
/// # Errors
/// Any [`CircuitError`] about the frame, with the path.
pub fn read_file(path: &Path, kind: FileKind) -> Result<(Binding, Vec<u8>), CircuitError> {
    read_body(SectionReader::open(path, kind)?).map_err(|error| error.in_file(path))
}

/// Writes what a file of one section holds to any sink.
///
/// # Errors
/// [`CircuitError::Io`].
pub fn write_to(out: impl Write, kind: FileKind, binding: Binding, body: &[u8]) -> Result<(), CircuitError> {
    let mut writer = SectionWriter::new(out, kind.thing(), Header { kind, binding, sections: 1 })?;
    writer.section(SectionKind::BODY, body)?;
    writer.finish().map(drop)
}

/// Reads what a file of one section holds from any stream, to its end.
///
/// # Errors
/// Any [`CircuitError`] about the frame.
pub fn read_from(stream: impl Read, kind: FileKind) -> Result<(Binding, Vec<u8>), CircuitError> {
    read_body(SectionReader::new(stream, None, kind.thing(), kind)?).map_err(|error| error.in_file(kind.thing()))
}

/// The bytes of a file of one section.
pub fn seal(kind: FileKind, binding: Binding, body: &[u8]) -> Vec<u8> {
    let (header, digest) = header_bytes(&Header { kind, binding, sections: 1 });
    let mut bytes = header.to_vec();
    bytes.extend(section_header(&digest, 0, SectionKind::BODY, body));
    bytes.extend(body);
    bytes.extend(section_header(&digest, 1, SectionKind::END, &[]));
    bytes
}

/// Binding and body of a file of one section.
///
/// # Errors
/// Any [`CircuitError`] about the frame.
pub fn open(bytes: &[u8], kind: FileKind) -> Result<(Binding, Vec<u8>), CircuitError> {
    let reader = SectionReader::new(bytes, Some(bytes.len() as u64), Path::new(""), kind);
    reader.and_then(read_body).map_err(CircuitError::into_problem)
}

/// Reads the section of a file that has only one, to the file's end.
///
/// # Errors
/// Any [`CircuitError`] about the frame.
pub fn read_body<R: Read>(mut reader: SectionReader<R>) -> Result<(Binding, Vec<u8>), CircuitError> {
    let (mut body, mut after) = (Vec::new(), Vec::new());
    let only_one = reader.header().sections == 1
        && reader.next_section(&mut body)? == Some(SectionKind::BODY)
        && reader.next_section(&mut after)?.is_none();
    if only_one { Ok((reader.header().binding, body)) } else { Err(CircuitError::malformed("not one section")) }
}

type Checksum = [u8; 32];

/// The bytes of a header and the checksum at their end.
fn header_bytes(header: &Header) -> ([u8; HEADER_BYTES], Checksum) {
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    bytes.extend(header.kind.magic());
    bytes.extend(FORMAT_VERSION.to_le_bytes());
    bytes.extend(header.sections.to_le_bytes());
    bytes.extend(header.binding.fingerprint.0);
    bytes.extend(header.binding.key.0);
    let digest: Checksum = Sha256::digest(&bytes).into();
    bytes.extend(digest);
    (bytes.try_into().expect("the fields above are 116 bytes"), digest)
}

/// What stands before a section's body.
fn section_header(header: &Checksum, number: u64, kind: SectionKind, body: &[u8]) -> [u8; SECTION_HEADER_BYTES] {
    let mut bytes = [0; SECTION_HEADER_BYTES];
    bytes[..4].copy_from_slice(&kind.0.to_le_bytes());
    bytes[4..12].copy_from_slice(&(body.len() as u64).to_le_bytes());
    bytes[12..].copy_from_slice(&section_checksum(header, number, kind, body));
    bytes
}

fn section_checksum(header: &Checksum, number: u64, kind: SectionKind, body: &[u8]) -> Checksum {
    let mut hash = Sha256::new();
    hash.update(header);
    hash.update(number.to_le_bytes());
    hash.update(kind.0.to_le_bytes());
    hash.update((body.len() as u64).to_le_bytes());
    hash.update(body);
    hash.finalize().into()
}
