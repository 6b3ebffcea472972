//! Changes of the project's files below their checksums, which are made anew.

use std::path::Path;

use paf_circuit::container::{FileKind, Header, KeyId, SectionKind, SectionReader, SectionWriter};
use sha2::{Digest, Sha256};

use crate::{Bytes, Choices};

/// The content of a file.
pub(crate) struct Parts {
    header: Header,
    sections: Vec<(SectionKind, Bytes)>,
}

const KINDS: [FileKind; 6] = [
    FileKind::Circuit,
    FileKind::Client,
    FileKind::SecretKey,
    FileKind::ProtectedKey,
    FileKind::ServerKey,
    FileKind::Ciphertexts,
];

impl Parts {
    /// Those of a whole file.
    fn of(file: &[u8]) -> Option<Parts> {
        let length = Some(file.len() as u64);
        let mut reader = SectionReader::of_kinds(file, length, Path::new("file"), &KINDS, "a file").ok()?;
        let (mut sections, mut body) = (vec![], vec![]);
        while let Some(kind) = reader.next_section(&mut body).ok()? {
            sections.push((kind, body.clone()));
        }
        Some(Parts { header: *reader.header(), sections })
    }

    fn write(mut self) -> Option<Bytes> {
        self.header.sections = self.sections.len() as u64;
        let mut writer = SectionWriter::new(vec![], Path::new("file"), self.header).ok()?;
        for (kind, body) in &self.sections {
            writer.section(*kind, body).ok()?;
        }
        writer.finish().ok().map(|(file, _)| file)
    }
}

/// The body of a file of one section.
///
/// # Panics
/// If it is none.
pub fn body(file: &[u8]) -> Bytes {
    Parts::of(file).expect("a file").sections.remove(0).1
}

/// Changes a file whose sections have no structure of their own, as [`mutate`].
pub fn mutate_bytes(file: Bytes, choices: &mut Choices) -> Bytes {
    mutate(file, choices, crate::binary::mutate)
}

/// Changes a section's body by `change`, or how the sections stand. A file whose frame is broken gets broken further.
pub fn mutate(file: Bytes, choices: &mut Choices, change: fn(Bytes, &mut Choices) -> Bytes) -> Bytes {
    let Some(mut parts) = Parts::of(&file).filter(|parts| !parts.sections.is_empty()) else {
        return crate::binary::mutate(file, choices);
    };
    let place = choices.below(parts.sections.len());
    match choices.below(24) {
        0 => return crate::binary::mutate(file, choices),
        1 => drop(parts.sections.remove(place)),
        2 => parts.sections.insert(place, parts.sections[place].clone()),
        3 => {
            let other = choices.below(parts.sections.len());
            parts.sections.swap(place, other);
        }
        4 => parts.sections[place].0 = SectionKind(1 + choices.below(6) as u32),
        5 => parts.header.binding.fingerprint.0[choices.below(32)] ^= 1,
        6 => parts.header.binding.key.0[choices.below(32)] ^= 1,
        _ => {
            let body = std::mem::take(&mut parts.sections[place].1);
            parts.sections[place].1 = change(body, choices);
        }
    }
    // The name of a key pair follows from its public key.
    if parts.header.kind == FileKind::ServerKey
        && let Some((_, public)) = parts.sections.first()
    {
        parts.header.binding.key = KeyId(Sha256::digest(public).into());
    }
    parts.write().unwrap_or(file)
}
