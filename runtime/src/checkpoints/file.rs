//! The file of one checkpoint: a ciphertext file whose first section says what it is of.

use paf_circuit::container::{ContentId, FileKind, Header, SectionKind, SectionReader, SectionWriter};
use paf_engine::{Engine, EngineError, KeySet as _};
use paf_ir::ckks::Type;
use paf_ir::program::ValueId;

use super::{Run, Session};
use crate::ciphertexts::most_section_bytes;
use crate::error::{Result, RuntimeError};
use crate::executor::{Alive, Evaluation, alive_before};
use crate::keys::check_binding;

/// The section that says what the file is of.
const PLACE: SectionKind = SectionKind(3);
/// A ciphertext of a value that is alive.
const ALIVE: SectionKind = SectionKind(4);

/// Version of the first section.
const VERSION: u32 = 1;

/// What a checkpoint is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) run: Run,
    pub(super) sample: u64,
    /// Operations of the program that are done.
    pub(super) position: u64,
}

impl Place {
    /// Version, circuit, inputs, sample, position; integers little-endian.
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = VERSION.to_le_bytes().to_vec();
        bytes.extend(self.run.circuit);
        bytes.extend(self.run.inputs.0);
        bytes.extend(self.sample.to_le_bytes());
        bytes.extend(self.position.to_le_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first_chunk::<4>()?;
        let (circuit, rest) = rest.split_first_chunk::<32>()?;
        let (inputs, rest) = rest.split_first_chunk::<32>()?;
        let (sample, rest) = rest.split_first_chunk::<8>()?;
        let (position, rest) = rest.split_first_chunk::<8>()?;
        let place = Place {
            run: Run { circuit: *circuit, inputs: ContentId(*inputs) },
            sample: u64::from_le_bytes(*sample),
            position: u64::from_le_bytes(*position),
        };
        (u32::from_le_bytes(*version) == VERSION && rest.is_empty()).then_some(place)
    }
}

impl<'e, E: Engine> Session<'_, 'e, E> {
    /// Replaces the checkpoint of a sample by where its evaluation stands.
    pub(super) fn save(&self, sample: usize, evaluation: &Evaluation<'_, E::Evaluator<'e>>) -> Result<()> {
        let ciphertexts: usize = evaluation.alive().map(|(_, value)| value.len()).sum();
        let binding = *self.keys.binding();
        let header = Header { kind: FileKind::Ciphertexts, binding, sections: ciphertexts as u64 + 1 };
        let mut writer = SectionWriter::create(&self.checkpoints.path(sample), header)?;
        let place = Place { run: self.run, sample: sample as u64, position: evaluation.position() as u64 };
        writer.section(PLACE, &place.to_bytes())?;
        let mut body = Vec::new();
        for ciphertext in evaluation.alive().flat_map(|(_, value)| value) {
            self.keys.set.write_admitted(ciphertext, &mut body)?;
            writer.section(ALIVE, &body)?;
        }
        Ok(writer.commit().map(drop)?)
    }

    /// Reads what the checkpoint of a sample is of; it must be of this run.
    pub(super) fn open(&self, sample: usize) -> Result<(Place, SectionReader<std::fs::File>)> {
        let path = self.checkpoints.path(sample);
        let mut reader = SectionReader::open(&path, FileKind::Ciphertexts)?;
        check_binding(&reader.header().binding, self.keys.binding(), &path)?;
        let parameters = self.server.engine.parameters();
        reader.limit_sections(most_section_bytes(parameters.ciphertext_bytes(parameters.levels)));
        let mut body = Vec::new();
        let place = match reader.next_section(&mut body)? {
            Some(PLACE) => Place::from_bytes(&body),
            _ => None,
        };
        let place = place.ok_or_else(|| RuntimeError::content(&path, "this is no checkpoint of this version"))?;
        if place.run.circuit != self.run.circuit {
            return Err(RuntimeError::OtherRun { path, other: "circuit" });
        }
        if place.run.inputs != self.run.inputs {
            return Err(RuntimeError::OtherRun { path, other: "input file" });
        }
        if place.sample != sample as u64 || place.position > self.server.circuit().program.len() as u64 {
            return Err(RuntimeError::content(&path, format!("this is a checkpoint of sample {}", place.sample)));
        }
        Ok((place, reader))
    }

    /// The number of operations done and the values alive then.
    pub(super) fn load(&self, sample: usize) -> Result<(usize, Vec<Alive<E::Ciphertext>>)> {
        let (place, mut reader) = self.open(sample)?;
        let (program, position) = (&self.server.circuit().program, place.position as usize);
        let mut body = Vec::new();
        let mut alive = Vec::new();
        for id in alive_before(program, position) {
            alive.push(self.load_value(sample, id, &mut reader, &mut body)?);
        }
        match reader.next_section(&mut body)? {
            None => Ok((position, alive)),
            Some(_) => Err(self.content(sample, "there are more ciphertexts than are alive")),
        }
    }

    fn load_value(
        &self,
        sample: usize,
        id: ValueId,
        reader: &mut SectionReader<std::fs::File>,
        body: &mut Vec<u8>,
    ) -> Result<Alive<E::Ciphertext>> {
        let ty: Type = self.server.circuit().program.value(id).ty;
        let mut ciphertexts = Vec::with_capacity(ty.ciphertexts);
        for _ in 0..ty.ciphertexts {
            if reader.next_section(body)? != Some(ALIVE) {
                return Err(self.content(sample, format!("value {} is missing", id.0)));
            }
            ciphertexts
                .push(self.admitted(body, ty).map_err(RuntimeError::in_content(&self.checkpoints.path(sample)))?);
        }
        Ok((id, ciphertexts))
    }

    fn admitted(&self, body: &[u8], ty: Type) -> Result<E::Ciphertext, EngineError> {
        self.keys.set.admit(self.server.engine.read_ciphertext(body, Type { ciphertexts: 1, ..ty })?)
    }

    fn content(&self, sample: usize, message: impl Into<String>) -> RuntimeError {
        RuntimeError::content(&self.checkpoints.path(sample), message)
    }
}
