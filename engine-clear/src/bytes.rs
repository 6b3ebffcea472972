//! The bytes of clear keys and ciphertexts: a magic, then fields, little-endian.

use paf_engine::{EngineError, EvaluationKeyId, Result};
use paf_ir::ckks::{Kind, Level, Type};

use crate::engine::{ClearEvaluationKey, ClearPair};
use crate::evaluator::ClearCiphertext;

type Magic = [u8; 4];

pub(crate) const SECRET: Magic = *b"CSK1";
pub(crate) const PUBLIC: Magic = *b"CPK1";
const EVALUATION: Magic = *b"CEK1";
const CIPHERTEXT: Magic = *b"CCT1";

/// In the place of a level where a key has none.
const NO_LEVEL: u32 = u32::MAX;

/// Bytes that are read from the front.
struct Fields<'b>(&'b [u8]);

impl<'b> Fields<'b> {
    fn after(magic: Magic, bytes: &'b [u8]) -> Result<Self> {
        bytes.strip_prefix(&magic).map(Fields).ok_or_else(|| damaged("they begin with another magic"))
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk().ok_or_else(|| damaged("they end too early"))?;
        self.0 = rest;
        Ok(*field)
    }

    fn number(&mut self) -> Result<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn end(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(damaged("they are too long")) }
    }
}

fn damaged(message: &str) -> EngineError {
    EngineError::Damaged(format!("the bytes are not those of the clear engine: {message}"))
}

pub(crate) fn of_pair(magic: Magic, pair: ClearPair) -> Vec<u8> {
    [&magic[..], &pair.0.to_le_bytes()].concat()
}

pub(crate) fn pair(magic: Magic, bytes: &[u8]) -> Result<ClearPair> {
    let mut fields = Fields::after(magic, bytes)?;
    let pair = u64::from_le_bytes(fields.take()?);
    fields.end()?;
    if pair == 0 { Err(damaged("no key pair has the name 0")) } else { Ok(ClearPair(pair)) }
}

pub(crate) fn write_evaluation_key(key: ClearEvaluationKey, bytes: &mut Vec<u8>) {
    bytes.clear();
    bytes.extend(EVALUATION);
    bytes.extend(key.id.0.to_le_bytes());
    bytes.extend(key.level.map_or(NO_LEVEL, |level| level.0).to_le_bytes());
}

pub(crate) fn evaluation_key(bytes: &[u8]) -> Result<ClearEvaluationKey> {
    let mut fields = Fields::after(EVALUATION, bytes)?;
    let (id, level) = (fields.number()?, fields.number()?);
    fields.end()?;
    Ok(ClearEvaluationKey { id: EvaluationKeyId(id), level: (level != NO_LEVEL).then_some(Level(level)) })
}

pub(crate) fn write_ciphertext(ciphertext: &ClearCiphertext, bytes: &mut Vec<u8>) {
    bytes.clear();
    bytes.extend(CIPHERTEXT);
    bytes.extend(ciphertext.pair.to_le_bytes());
    bytes.extend(ciphertext.level.0.to_le_bytes());
    bytes.extend([kind_number(ciphertext.kind), ciphertext.parts]);
    bytes.extend(ciphertext.values.iter().flat_map(|value| value.to_le_bytes()));
}

/// A ciphertext of a type; its values repeat over the slots.
pub(crate) fn ciphertext(bytes: &[u8], ty: Type, slots: usize) -> Result<ClearCiphertext> {
    let mut fields = Fields::after(CIPHERTEXT, bytes)?;
    let (pair, level) = (u64::from_le_bytes(fields.take()?), Level(fields.number()?));
    let [kind, parts] = fields.take()?;
    if (level, kind, parts) != (ty.level, kind_number(ty.kind), ty.parts) {
        return Err(damaged(&format!("they are at level {level} with {parts} parts, not {ty}")));
    }
    let (values, rest) = fields.0.as_chunks::<8>();
    if !rest.is_empty() || values.is_empty() || !slots.is_multiple_of(values.len()) {
        return Err(damaged(&format!("{} bytes of values do not repeat over {slots} slots", fields.0.len())));
    }
    let values = values.iter().map(|value| f64::from_le_bytes(*value)).collect();
    Ok(ClearCiphertext { values, level, kind: ty.kind, parts, pair })
}

fn kind_number(kind: Kind) -> u8 {
    match kind {
        Kind::Rest => 1,
        Kind::Product => 2,
    }
}
