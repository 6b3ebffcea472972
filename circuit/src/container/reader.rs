//! Reads a container section by section.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::{
    Binding, Checksum, ContentId, FORMAT_VERSION, FileKind, HEADER_BYTES, Header, KeyId, SECTION_HEADER_BYTES,
    SectionKind, Transcript, header_bytes, section_checksum,
};
use crate::{CircuitError, Fingerprint};

/// Reads the sections of one file in order, checking each; memory holds the one in the caller's buffer.
#[derive(Debug)]
pub struct SectionReader<R> {
    pub(super) source: Source<R>,
    header: Header,
    digest: Checksum,
    transcript: Transcript,
    pub(super) read: u64,
    /// Most bytes of the next section.
    most: u64,
}

/// A stream that does not know its length is believed so many bytes: a buffer that does not grow leaves no copies of a key.
const MOST_UNSEEN: u64 = 1 << 18;

/// A byte stream that may know how much is left of it.
#[derive(Debug)]
pub(super) struct Source<R> {
    pub(super) stream: R,
    pub(super) path: PathBuf,
    pub(super) left: Option<u64>,
}

impl<R: Read> Source<R> {
    /// Fills `buffer` with the next bytes.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<(), CircuitError> {
        self.stream.read_exact(buffer).map_err(|source| match source.kind() {
            ErrorKind::UnexpectedEof => CircuitError::Truncated,
            _ => CircuitError::io(&self.path, source),
        })?;
        self.took(buffer.len() as u64);
        Ok(())
    }

    pub(super) fn took(&mut self, count: u64) {
        self.left = self.left.map(|left| left.saturating_sub(count));
    }

    /// Replaces `body` by the next `length` bytes; memory grows with the bytes that are there.
    fn body(&mut self, length: u64, body: &mut Vec<u8>) -> Result<(), CircuitError> {
        body.clear();
        if self.left.is_some_and(|left| length > left) {
            return Err(CircuitError::Truncated);
        }
        let got = self.read_at_most(length, body).map_err(|source| CircuitError::io(&self.path, source))?;
        self.took(got);
        if got == length { Ok(()) } else { Err(CircuitError::Truncated) }
    }

    fn read_at_most(&mut self, length: u64, body: &mut Vec<u8>) -> io::Result<u64> {
        if self.left.is_some() || length <= MOST_UNSEEN {
            body.try_reserve_exact(usize::try_from(length).unwrap_or(usize::MAX))?;
        }
        (&mut self.stream).take(length).read_to_end(body).map(|got| got as u64)
    }

    fn at_end(&mut self) -> Result<bool, CircuitError> {
        match self.fill(&mut [0]) {
            Ok(()) => Ok(false),
            Err(CircuitError::Truncated) => Ok(true),
            Err(error) => Err(error),
        }
    }
}

impl SectionReader<File> {
    /// Opens a file of a kind and checks its header.
    ///
    /// # Errors
    /// Any [`CircuitError`] about the header, with the path.
    pub fn open(path: &Path, kind: FileKind) -> Result<Self, CircuitError> {
        let (file, length) = open_file(path)?;
        Self::new(file, length, path, kind)
    }
}

impl<R: Read> SectionReader<R> {
    /// Reads from any stream, of `length` bytes if that is known; `path` is for messages.
    ///
    /// # Errors
    /// Any [`CircuitError`] about the header.
    pub fn new(stream: R, length: Option<u64>, path: &Path, kind: FileKind) -> Result<Self, CircuitError> {
        Self::of_kinds(stream, length, path, &[kind], kind.name())
    }

    /// As [`SectionReader::new`] for one of several kinds, which `needed` puts in words.
    ///
    /// # Errors
    /// Any [`CircuitError`] about the header.
    pub fn of_kinds(
        stream: R,
        length: Option<u64>,
        path: &Path,
        kinds: &[FileKind],
        needed: &'static str,
    ) -> Result<Self, CircuitError> {
        let mut source = Source { stream, path: path.to_owned(), left: length };
        let in_file = |error: CircuitError| error.in_file(path);
        let (header, digest) = header_of(&mut source, kinds, needed).map_err(in_file)?;
        let transcript = Transcript::begin(&digest);
        Ok(SectionReader { source, header, digest, transcript, read: 0, most: u64::MAX })
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Refuses sections of more bytes from here on, before they are read.
    pub fn limit_sections(&mut self, most: u64) {
        self.most = most;
    }

    /// Names the content of the file, which has been read to its end.
    pub fn content(&self) -> ContentId {
        self.transcript.content()
    }

    /// Replaces `body` by the next section's; `None` after the last one, when the end mark was there and nothing
    /// followed it. A file is whole only when `None` has been reached.
    ///
    /// # Errors
    /// [`CircuitError::Truncated`], [`CircuitError::Checksum`], [`CircuitError::Malformed`] or [`CircuitError::Io`],
    /// with the path; `body` must not be used then.
    pub fn next_section(&mut self, body: &mut Vec<u8>) -> Result<Option<SectionKind>, CircuitError> {
        self.read_section(body).map_err(|error| error.in_file(&self.source.path))
    }

    fn read_section(&mut self, body: &mut Vec<u8>) -> Result<Option<SectionKind>, CircuitError> {
        if self.read > self.header.sections {
            body.clear();
            return Ok(None);
        }
        let mut head = [0; SECTION_HEADER_BYTES];
        self.source.fill(&mut head)?;
        let kind = SectionKind(u32::from_le_bytes(array(&head, 0)));
        let length = u64::from_le_bytes(array(&head, 4));
        if length > self.most {
            let (number, most) = (self.read, self.most);
            return Err(CircuitError::malformed(format!(
                "section {number} has {length} bytes where {most} are possible"
            )));
        }
        self.source.body(length, body)?;
        if section_checksum(&self.digest, self.read, kind, body) != array::<32>(&head, 12) {
            return Err(CircuitError::Checksum(format!("section {}", self.read)));
        }
        self.transcript.section(&head[12..]);
        let is_end = kind == SectionKind::END;
        if is_end != (self.read == self.header.sections) {
            return Err(CircuitError::malformed(format!("section {} has kind {}", self.read, kind.0)));
        }
        self.read += 1;
        if !is_end {
            return Ok(Some(kind));
        }
        if body.is_empty() && self.source.at_end()? {
            return Ok(None);
        }
        Err(CircuitError::malformed("there are bytes after the end mark"))
    }
}

/// The header of a file of any kind.
///
/// # Errors
/// Any [`CircuitError`] about the header, with the path.
pub fn read_header(path: &Path) -> Result<Header, CircuitError> {
    require_file(path)?;
    let (stream, left) = open_file(path)?;
    let needed = "a circuit, client, key or ciphertext file";
    Ok(*SectionReader::of_kinds(stream, left, path, &FileKind::ALL, needed)?.header())
}

/// Refuses pipes and devices: what is read more than once must be a file.
///
/// # Errors
/// [`CircuitError::ReadOnce`], [`CircuitError::Io`]; with the path.
pub fn require_file(path: &Path) -> Result<(), CircuitError> {
    // Asked of the name: to open a pipe would wait for a writer.
    let metadata = std::fs::metadata(path).map_err(|source| CircuitError::io(path, source))?;
    if metadata.is_file() || metadata.is_dir() { Ok(()) } else { Err(CircuitError::ReadOnce.in_file(path)) }
}

/// The stream of a file and its length; pipes and devices have none.
///
/// # Errors
/// [`CircuitError::Io`] with the path.
pub fn open_file(path: &Path) -> Result<(File, Option<u64>), CircuitError> {
    let open = || {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(ErrorKind::IsADirectory.into());
        }
        Ok((file, metadata.is_file().then_some(metadata.len())))
    };
    open().map_err(|source| CircuitError::io(path, source))
}

fn header_of<R: Read>(
    source: &mut Source<R>,
    kinds: &[FileKind],
    needed: &'static str,
) -> Result<(Header, Checksum), CircuitError> {
    let kind = kind_of(source, kinds, needed)?;
    let mut version = [0; 4];
    source.fill(&mut version)?;
    let found = u32::from_le_bytes(version);
    if found != FORMAT_VERSION {
        return Err(CircuitError::Version { found, supported: FORMAT_VERSION });
    }
    let mut rest = [0; HEADER_BYTES - 12];
    source.fill(&mut rest)?;
    let binding = Binding { fingerprint: Fingerprint(array(&rest, 8)), key: KeyId(array(&rest, 40)) };
    let header = Header { kind, binding, sections: u64::from_le_bytes(array(&rest, 0)) };
    let (_, digest) = header_bytes(&header);
    if digest != array::<32>(&rest, 72) {
        return Err(CircuitError::Checksum("the header".into()));
    }
    Ok((header, digest))
}

/// The kind that the magic says, one of `kinds`. A file shorter than a magic is cut short if what there is fits.
fn kind_of<R: Read>(
    source: &mut Source<R>,
    kinds: &[FileKind],
    needed: &'static str,
) -> Result<FileKind, CircuitError> {
    let mut magic = Vec::new();
    source.read_at_most(8, &mut magic).map_err(|error| CircuitError::io(&source.path, error))?;
    source.took(8);
    let found = FileKind::ALL.into_iter().find(|kind| kind.magic() == magic[..]);
    match found {
        Some(kind) if kinds.contains(&kind) => Ok(kind),
        None if kinds.iter().any(|kind| kind.magic().starts_with(&magic)) => Err(CircuitError::Truncated),
        _ => Err(CircuitError::NotThisKind { needed, found }),
    }
}

/// `N` bytes from `start`; the caller's slice is long enough.
pub(super) fn array<const N: usize>(bytes: &[u8], start: usize) -> [u8; N] {
    bytes[start..start + N].try_into().expect("a range of N bytes")
}
