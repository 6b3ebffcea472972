//! Reads single sections of a file, in any order.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::path::Path;

use super::reader::SectionReader;
use super::{FileKind, Header, SECTION_HEADER_BYTES};
use crate::CircuitError;

/// Where the sections of a file are. The file stays open: replacing it by another one changes nothing.
#[derive(Debug)]
pub struct SectionIndex {
    reader: SectionReader<File>,
    /// Where each section's header begins, and the length of its body.
    sections: Vec<(u64, u64)>,
}

impl SectionIndex {
    /// Finds the sections of a file of a kind; their bodies are checked when they are read.
    ///
    /// # Errors
    /// Any [`CircuitError`] about the header; [`CircuitError::Truncated`] for a file that ends before its end mark.
    pub fn open(path: &Path, kind: FileKind) -> Result<Self, CircuitError> {
        let mut reader = SectionReader::open(path, kind)?;
        let mut index = SectionIndex { sections: vec![], reader: SectionReader::open(path, kind)? };
        for _ in 0..=reader.header().sections {
            let place = reader.skip_section()?;
            index.sections.push(place);
        }
        Ok(index)
    }

    /// The header.
    pub fn header(&self) -> &Header {
        self.reader.header()
    }

    /// Bytes of the body of a section, numbered from 0.
    pub fn length(&self, section: usize) -> u64 {
        self.sections[section].1
    }

    /// Replaces `body` by that of a section, numbered from 0.
    ///
    /// # Errors
    /// Those of [`SectionReader::next_section`].
    pub fn read(&mut self, section: usize, body: &mut Vec<u8>) -> Result<super::SectionKind, CircuitError> {
        let (place, length) = self.sections[section];
        self.reader.go_to(section as u64, place, length + SECTION_HEADER_BYTES as u64)?;
        let kind = self.reader.next_section(body)?;
        kind.ok_or_else(|| CircuitError::malformed(format!("there is no section {section}")))
    }
}

impl SectionReader<File> {
    /// Goes over the next section and gives the place of its header and the length of its body.
    fn skip_section(&mut self) -> Result<(u64, u64), CircuitError> {
        let path = self.source.path.clone();
        self.skip().map_err(|error| error.in_file(&path))
    }

    fn skip(&mut self) -> Result<(u64, u64), CircuitError> {
        let place = self.position()?;
        let mut head = [0; SECTION_HEADER_BYTES];
        self.source.fill(&mut head)?;
        let length = u64::from_le_bytes(super::reader::array(&head, 4));
        if self.source.left.is_some_and(|left| length > left) {
            return Err(CircuitError::Truncated);
        }
        self.seek(SeekFrom::Current(i64::try_from(length).map_err(|_| CircuitError::Truncated)?))?;
        self.source.took(length);
        Ok((place, length))
    }

    fn go_to(&mut self, section: u64, place: u64, left: u64) -> Result<(), CircuitError> {
        self.seek(SeekFrom::Start(place))?;
        self.read = section;
        self.source.left = Some(left);
        Ok(())
    }

    fn position(&mut self) -> Result<u64, CircuitError> {
        self.source.stream.stream_position().map_err(|source| CircuitError::io(&self.source.path, source))
    }

    fn seek(&mut self, to: SeekFrom) -> Result<(), CircuitError> {
        let path = &self.source.path;
        self.source.stream.seek(to).map(drop).map_err(|source| CircuitError::io(path, source))
    }
}
