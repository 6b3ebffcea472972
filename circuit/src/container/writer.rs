//! Writes a container section by section.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use paf_files::AtomicFile;

use super::{Checksum, ContentId, FileKind, Header, SectionKind, Transcript, header_bytes, section_header};
use crate::CircuitError;

/// Writes the sections of one file in order; memory holds none of them.
#[derive(Debug)]
pub struct SectionWriter<W> {
    out: W,
    path: PathBuf,
    digest: Checksum,
    transcript: Transcript,
    declared: u64,
    written: u64,
}

impl SectionWriter<AtomicFile> {
    /// Starts a file; only its owner may read a secret key.
    ///
    /// # Errors
    /// [`CircuitError::Io`].
    pub fn create(path: &Path, header: Header) -> Result<Self, CircuitError> {
        let file = match header.kind {
            FileKind::SecretKey | FileKind::ProtectedKey => AtomicFile::create_private(path),
            _ => AtomicFile::create(path),
        };
        Self::new(file.map_err(|source| CircuitError::io(path, source))?, path, header)
    }

    /// Ends the file, forces it to the disk and gives it its name. Gives what names its content.
    ///
    /// # Errors
    /// [`CircuitError::Io`]; [`CircuitError::Malformed`] if sections are missing. Nothing is left behind then.
    pub fn commit(self) -> Result<ContentId, CircuitError> {
        let whole = self.complete()?;
        let content = whole.content;
        whole.commit()?;
        Ok(content)
    }

    /// Ends the file and forces it to the disk; it has no name yet.
    ///
    /// # Errors
    /// Those of [`SectionWriter::commit`].
    pub fn complete(self) -> Result<WholeFile, CircuitError> {
        let path = self.path.clone();
        let (file, content) = self.finish()?;
        file.sync().map_err(|source| CircuitError::io(&path, source))?;
        Ok(WholeFile { file, path, content })
    }
}

/// A file that is on the disk to its end and has no name yet: several of them get theirs at about the same moment.
#[derive(Debug)]
pub struct WholeFile {
    file: AtomicFile,
    path: PathBuf,
    /// Names its content.
    pub content: ContentId,
}

impl WholeFile {
    /// Gives the file its name.
    ///
    /// # Errors
    /// [`CircuitError::Io`]; then nothing is left behind.
    pub fn commit(self) -> Result<(), CircuitError> {
        self.file.publish().map_err(|source| CircuitError::io(&self.path, source))
    }
}

impl<W: Write> SectionWriter<W> {
    /// Starts a container in any sink; `path` is for messages.
    ///
    /// # Errors
    /// [`CircuitError::Io`].
    pub fn new(out: W, path: &Path, header: Header) -> Result<Self, CircuitError> {
        let (bytes, digest) = header_bytes(&header);
        let (path, declared, transcript) = (path.to_owned(), header.sections, Transcript::begin(&digest));
        let mut writer = SectionWriter { out, path, digest, transcript, declared, written: 0 };
        writer.write(|out| out.write_all(&bytes))?;
        Ok(writer)
    }

    /// Appends a section.
    ///
    /// # Errors
    /// [`CircuitError::Io`]; [`CircuitError::Malformed`] if it is one more than the header declares or of the kind
    /// that marks the end.
    pub fn section(&mut self, kind: SectionKind, body: &[u8]) -> Result<(), CircuitError> {
        if self.written == self.declared || kind == SectionKind::END {
            let message = format!("section {} of {} with kind {}", self.written, self.declared, kind.0);
            return Err(CircuitError::malformed(message).in_file(&self.path));
        }
        self.append(kind, body)
    }

    fn append(&mut self, kind: SectionKind, body: &[u8]) -> Result<(), CircuitError> {
        let header = section_header(&self.digest, self.written, kind, body);
        self.write(|out| out.write_all(&header).and_then(|()| out.write_all(body)))?;
        self.transcript.section(&header[12..]);
        self.written += 1;
        Ok(())
    }

    /// Writes the end mark and gives the sink back, with what names the content.
    ///
    /// # Errors
    /// [`CircuitError::Io`]; [`CircuitError::Malformed`] if sections are missing.
    pub fn finish(mut self) -> Result<(W, ContentId), CircuitError> {
        if self.written != self.declared {
            let message = format!("{} of {} sections were written", self.written, self.declared);
            return Err(CircuitError::malformed(message).in_file(&self.path));
        }
        self.append(SectionKind::END, &[])?;
        self.write(|out| out.flush())?;
        Ok((self.out, self.transcript.content()))
    }

    fn write(&mut self, action: impl FnOnce(&mut W) -> io::Result<()>) -> Result<(), CircuitError> {
        action(&mut self.out).map_err(|source| CircuitError::io(&self.path, source))
    }
}
