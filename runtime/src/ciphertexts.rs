//! Ciphertext files: the ciphertexts of all samples in order, one section each.

use std::path::{Path, PathBuf};

use openfhe_sys as fhe;
use paf_circuit::container::{Binding, Header, Kind, SectionKind, SectionReader, SectionWriter};
use paf_files::AtomicFile;
use paf_ir::ckks::{Kind as ValueKind, Level, Type};

use crate::engine::Result;
use crate::error::{RuntimeError, openfhe_message};
use crate::keys::check_binding;
use crate::openfhe::{Ciphertext, Scheme};

/// What a ciphertext file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Encrypted inputs, for `eval`.
    Inputs,
    /// Encrypted results, for `decrypt`.
    Results,
}

impl Role {
    fn section(self) -> SectionKind {
        match self {
            Role::Inputs => SectionKind(1),
            Role::Results => SectionKind(2),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Role::Inputs => "inputs",
            Role::Results => "results",
        }
    }
}

/// What the ciphertexts of one port must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PortType {
    pub(crate) ciphertexts: usize,
    pub(crate) level: Level,
}

/// Reads the samples of a ciphertext file one after another.
pub struct CiphertextReader<'s> {
    scheme: &'s Scheme,
    reader: SectionReader<std::fs::File>,
    path: PathBuf,
    role: Role,
    tag: String,
    ports: Vec<PortType>,
    samples: usize,
    body: Vec<u8>,
}

impl<'s> CiphertextReader<'s> {
    /// Opens a file that must belong to this circuit and key pair.
    pub(crate) fn open(
        scheme: &'s Scheme,
        path: &Path,
        role: Role,
        ports: Vec<PortType>,
        binding: &Binding,
        tag: &str,
    ) -> Result<Self> {
        let reader = SectionReader::open(path, Kind::Ciphertexts)?;
        check_binding(&reader.header().binding, binding, path)?;
        let per_sample: usize = ports.iter().map(|port| port.ciphertexts).sum();
        let sections = reader.header().sections;
        if per_sample == 0 || !sections.is_multiple_of(per_sample as u64) {
            let message = format!("{sections} ciphertexts are no whole number of samples of {per_sample}");
            return Err(RuntimeError::content(path, message));
        }
        let samples = (sections / per_sample as u64) as usize;
        let (path, tag) = (path.to_owned(), tag.to_owned());
        Ok(CiphertextReader { scheme, reader, path, role, tag, ports, samples, body: Vec::new() })
    }

    /// Number of samples.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// The next sample: the ciphertexts of each port.
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`] if the file is damaged, [`RuntimeError::Content`] if it does not fit the circuit.
    pub fn next_sample(&mut self) -> Result<Vec<Vec<Ciphertext>>> {
        let ports = self.ports.clone();
        ports.iter().map(|port| (0..port.ciphertexts).map(|_| self.next_ciphertext(port.level)).collect()).collect()
    }

    /// Checks that the file ends after its last sample.
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`].
    pub fn finish(mut self) -> Result<()> {
        match self.reader.next_section(&mut self.body)? {
            None => Ok(()),
            Some(_) => Err(self.content("there are more ciphertexts than samples")),
        }
    }

    fn next_ciphertext(&mut self, level: Level) -> Result<Ciphertext> {
        match self.reader.next_section(&mut self.body)? {
            Some(kind) if kind == self.role.section() => {}
            _ => return Err(self.content(format!("it does not hold {}", self.role.name()))),
        }
        let ty = Type { ciphertexts: 1, level, parts: 2, kind: ValueKind::Rest };
        decode(self.scheme, &self.body, ty, &self.tag).map_err(|message| self.content(message))
    }

    fn content(&self, message: impl Into<String>) -> RuntimeError {
        RuntimeError::content(&self.path, message)
    }
}

/// A ciphertext from its bytes, which must be of a type and under the key `tag`; otherwise what is wrong.
pub(crate) fn decode(scheme: &Scheme, bytes: &[u8], ty: Type, tag: &str) -> std::result::Result<Ciphertext, String> {
    let ciphertext = fhe::ciphertext_from_bytes(scheme.context(), bytes).map_err(|error| openfhe_message(&error))?;
    match misfit(scheme, &ciphertext, ty, tag) {
        Some(message) => Err(message),
        None => Ok(ciphertext),
    }
}

/// The bytes of a ciphertext.
pub(crate) fn encode(ciphertext: &Ciphertext) -> Result<Vec<u8>> {
    fhe::ciphertext_to_bytes(ciphertext).map_err(RuntimeError::openfhe("ciphertext"))
}

/// The scale of values of a type.
pub(crate) fn scale(scheme: &Scheme, ty: Type) -> f64 {
    let at_rest = scheme.scale(ty.level);
    if ty.kind == ValueKind::Rest { at_rest } else { at_rest * at_rest }
}

/// Why a ciphertext is not of a type under the key `tag`, if it is not.
fn misfit(scheme: &Scheme, ciphertext: &Ciphertext, ty: Type, tag: &str) -> Option<String> {
    let (limbs, scale) = (ty.level.0 + 1, scale(scheme, ty));
    if ciphertext.limb_count() != limbs || ciphertext.level() != scheme.dropped(ty.level) {
        return Some(format!("a ciphertext has {} primes instead of {limbs}", ciphertext.limb_count()));
    }
    if ciphertext.part_count() != u32::from(ty.parts) {
        return Some(format!("a ciphertext has {} parts instead of {}", ciphertext.part_count(), ty.parts));
    }
    if (ciphertext.scaling_factor() / scale - 1.0).abs() > 1e-9 {
        return Some(format!("a ciphertext has scale {:e} instead of {scale:e}", ciphertext.scaling_factor()));
    }
    if ciphertext.slots() as usize != scheme.parameters().slots {
        return Some(format!("a ciphertext has {} slots", ciphertext.slots()));
    }
    (ciphertext.key_tag() != tag).then(|| "a ciphertext belongs to another key".to_owned())
}

/// Writes the samples of a ciphertext file one after another.
pub struct CiphertextWriter {
    writer: SectionWriter<AtomicFile>,
    role: Role,
}

impl CiphertextWriter {
    /// Starts a file of `samples` samples of `per_sample` ciphertexts.
    pub(crate) fn create(
        path: &Path,
        role: Role,
        binding: &Binding,
        samples: usize,
        per_sample: usize,
    ) -> Result<Self> {
        let sections = (samples * per_sample) as u64;
        let header = Header { kind: Kind::Ciphertexts, binding: *binding, sections };
        Ok(CiphertextWriter { writer: SectionWriter::create(path, header)?, role })
    }

    /// Appends a sample.
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`] if the disk refuses, [`RuntimeError::OpenFhe`].
    pub fn sample(&mut self, ports: &[Vec<Ciphertext>]) -> Result<()> {
        for ciphertext in ports.iter().flatten() {
            self.writer.section(self.role.section(), &encode(ciphertext)?)?;
        }
        Ok(())
    }

    /// Ends the file and gives it its name.
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`].
    pub fn commit(self) -> Result<()> {
        Ok(self.writer.commit()?)
    }
}

impl std::fmt::Debug for CiphertextReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CiphertextReader").field("path", &self.path).field("samples", &self.samples).finish()
    }
}

impl std::fmt::Debug for CiphertextWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CiphertextWriter").field("role", &self.role).finish()
    }
}
