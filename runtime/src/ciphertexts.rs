//! Ciphertexts of all samples in order, one section each: what files of inputs and results hold. Results end with a section
//! that names the inputs that they were computed from.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use paf_circuit::container::{Binding, ContentId, FileKind, Header, SectionKind, SectionReader, SectionWriter};
use paf_engine::{Engine, EngineError, KeySet as _};
use paf_files::AtomicFile;
use paf_ir::ckks::{Kind, Level, Type};

use crate::error::{Result, RuntimeError};
use crate::keys::{EvaluationKeys, SecretKey, check_binding};

/// What ciphertexts are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Encrypted inputs, for the server.
    Inputs,
    /// Encrypted results, for the client.
    Results,
}

impl Role {
    fn section(self) -> SectionKind {
        match self {
            Role::Inputs => SectionKind(1),
            Role::Results => SectionKind(2),
        }
    }

    /// Sections behind the ciphertexts.
    fn further_sections(self) -> u64 {
        match self {
            Role::Inputs => 0,
            Role::Results => 1,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Role::Inputs => "inputs",
            Role::Results => "results",
        }
    }

    /// What stands in messages for the path, where the bytes come from no file.
    pub(crate) fn thing(self) -> &'static Path {
        Path::new(self.name())
    }
}

/// The section of results that holds the [`ContentId`] of the inputs.
const SOURCE: SectionKind = SectionKind(5);

/// Most bytes of a section for so many bytes of polynomials: what engines write beside them is small.
pub(crate) fn most_section_bytes(polynomials: u64) -> u64 {
    polynomials.saturating_mul(2).saturating_add(1 << 16)
}

/// What the ciphertexts of one port must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PortType {
    pub(crate) ciphertexts: usize,
    pub(crate) level: Level,
}

impl PortType {
    /// The type of each of the port's ciphertexts: encrypted, or a result.
    pub(crate) fn of_each(self) -> Type {
        Type { ciphertexts: 1, level: self.level, parts: 2, kind: Kind::Rest }
    }
}

/// Whose ciphertexts are read.
pub(crate) enum Owner<'k, E: Engine> {
    Client(&'k SecretKey<E>),
    Server(&'k EvaluationKeys<E>),
}

impl<E: Engine> Owner<'_, E> {
    fn binding(&self) -> &Binding {
        match self {
            Owner::Client(key) => key.binding(),
            Owner::Server(keys) => keys.binding(),
        }
    }

    fn owns(&self, engine: &E, ciphertext: &E::Ciphertext) -> bool {
        match self {
            Owner::Client(key) => engine.is_of(&key.key, ciphertext),
            Owner::Server(keys) => keys.set.owns(ciphertext),
        }
    }
}

/// Reads samples one after another.
pub struct CiphertextReader<'s, E: Engine, R> {
    engine: &'s E,
    owner: Owner<'s, E>,
    pub(crate) reader: SectionReader<R>,
    path: PathBuf,
    role: Role,
    ports: Vec<PortType>,
    samples: usize,
    body: Vec<u8>,
}

impl<'s, E: Engine, R: Read> CiphertextReader<'s, E, R> {
    /// Of sections that must belong to a circuit and a key pair; `path` is for messages.
    pub(crate) fn new(
        engine: &'s E,
        owner: Owner<'s, E>,
        reader: SectionReader<R>,
        path: &Path,
        role: Role,
        ports: Vec<PortType>,
    ) -> Result<Self> {
        check_binding(&reader.header().binding, owner.binding(), path)?;
        let per_sample: usize = ports.iter().map(|port| port.ciphertexts).sum();
        let Some(sections) = reader.header().sections.checked_sub(role.further_sections()) else {
            return Err(RuntimeError::content(path, "it does not say which inputs it is of"));
        };
        if per_sample == 0 || !sections.is_multiple_of(per_sample as u64) {
            let message = format!("{sections} ciphertexts are no whole number of samples of {per_sample}");
            return Err(RuntimeError::content(path, message));
        }
        let samples = (sections / per_sample as u64) as usize;
        let path = path.to_owned();
        Ok(CiphertextReader { engine, owner, reader, path, role, ports, samples, body: Vec::new() })
    }

    /// Number of samples.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// The next sample: the ciphertexts of each port.
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`] if the file is damaged, [`RuntimeError::Content`] if it does not fit the circuit.
    pub fn next_sample(&mut self) -> Result<Vec<Vec<E::Ciphertext>>> {
        let ports = self.ports.clone();
        ports.iter().map(|port| (0..port.ciphertexts).map(|_| self.next_ciphertext(*port)).collect()).collect()
    }

    /// Checks all samples that are left, each as [`CiphertextReader::next_sample`] does, and the end of the file.
    ///
    /// # Errors
    /// Those of [`CiphertextReader::next_sample`].
    pub(crate) fn check(mut self, samples: std::ops::Range<usize>) -> Result<ContentId> {
        samples.into_iter().try_for_each(|_| self.next_sample().map(drop))?;
        self.finish()
    }

    /// Checks that the file ends after its last sample, and names what it held.
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`].
    pub fn finish(mut self) -> Result<ContentId> {
        match self.reader.next_section(&mut self.body)? {
            None => Ok(self.reader.content()),
            Some(_) => Err(RuntimeError::content(&self.path, "there are more ciphertexts than samples")),
        }
    }

    /// After the last sample of results: which inputs they were computed from.
    ///
    /// # Errors
    /// Those of [`CiphertextReader::finish`].
    pub(crate) fn source(mut self) -> Result<ContentId> {
        self.reader.limit_sections(most_section_bytes(0));
        let source = match self.reader.next_section(&mut self.body)? {
            Some(SOURCE) => <[u8; 32]>::try_from(&self.body[..]).ok(),
            _ => None,
        };
        let source =
            source.ok_or_else(|| RuntimeError::content(&self.path, "it does not say which inputs it is of"))?;
        self.finish()?;
        Ok(ContentId(source))
    }

    fn next_ciphertext(&mut self, port: PortType) -> Result<E::Ciphertext> {
        self.reader.limit_sections(most_section_bytes(self.engine.parameters().ciphertext_bytes(port.level)));
        match self.reader.next_section(&mut self.body)? {
            Some(kind) if kind == self.role.section() => {}
            _ => return Err(RuntimeError::content(&self.path, format!("it does not hold {}", self.role.name()))),
        }
        let in_content = RuntimeError::in_content(&self.path);
        let ciphertext = self.engine.read_ciphertext(&self.body, port.of_each()).map_err(&in_content)?;
        if self.owner.owns(self.engine, &ciphertext) { Ok(ciphertext) } else { Err(in_content(EngineError::OtherKey)) }
    }
}

/// Writes samples one after another.
pub struct CiphertextWriter<'e, E, W> {
    engine: &'e E,
    writer: SectionWriter<W>,
    role: Role,
    body: Vec<u8>,
}

/// How many samples there are, and the ciphertexts of each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Count {
    pub(crate) samples: usize,
    pub(crate) per_sample: usize,
}

impl Count {
    fn header(self, role: Role, binding: &Binding) -> Header {
        let sections = (self.samples * self.per_sample) as u64 + role.further_sections();
        Header { kind: FileKind::Ciphertexts, binding: *binding, sections }
    }
}

impl<'e, E: Engine> CiphertextWriter<'e, E, AtomicFile> {
    /// Starts a file.
    pub(crate) fn create(engine: &'e E, path: &Path, role: Role, binding: &Binding, count: Count) -> Result<Self> {
        let writer = SectionWriter::create(path, count.header(role, binding))?;
        Ok(CiphertextWriter { engine, writer, role, body: Vec::new() })
    }

    /// Ends the file and gives it its name. Names what it holds.
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`].
    pub fn commit(self) -> Result<ContentId> {
        Ok(self.writer.commit()?)
    }
}

impl<'e, E: Engine, W: Write> CiphertextWriter<'e, E, W> {
    /// Starts with any sink.
    pub(crate) fn new(engine: &'e E, out: W, role: Role, binding: &Binding, count: Count) -> Result<Self> {
        let writer = SectionWriter::new(out, role.thing(), count.header(role, binding))?;
        Ok(CiphertextWriter { engine, writer, role, body: Vec::new() })
    }

    /// Appends a sample.
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`] if the sink refuses, [`RuntimeError::Engine`].
    pub fn sample(&mut self, ports: &[Vec<E::Ciphertext>]) -> Result<()> {
        for ciphertext in ports.iter().flatten() {
            self.engine.write_ciphertext(ciphertext, &mut self.body)?;
            self.writer.section(self.role.section(), &self.body)?;
        }
        Ok(())
    }

    /// After the last sample of results: says which inputs they were computed from.
    pub(crate) fn source(&mut self, inputs: &ContentId) -> Result<()> {
        Ok(self.writer.section(SOURCE, &inputs.0)?)
    }

    /// Writes the end mark. Names what was written.
    ///
    /// # Errors
    /// [`RuntimeError::Circuit`].
    pub fn finish(self) -> Result<ContentId> {
        Ok(self.writer.finish()?.1)
    }
}

impl<E: Engine, R> std::fmt::Debug for CiphertextReader<'_, E, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CiphertextReader").field("path", &self.path).field("samples", &self.samples).finish()
    }
}

impl<E, W> std::fmt::Debug for CiphertextWriter<'_, E, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CiphertextWriter").field("role", &self.role).finish()
    }
}
