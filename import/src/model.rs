//! From bytes to a decoded ONNX graph and its operator set version.

use std::path::Path;

use prost::Message;

use super::ImportOptions;
use super::error::ImportError;
use super::names;
use super::onnx::{GraphProto, ModelProto, OperatorSetIdProto};
use super::prepare::{Conditions, Notes, Preparation};
use super::source::{ModelSource, WeightFolder};
use super::walk::NEWEST_OPSET;

/// A decoded model, prepared for the walk.
pub(super) struct Model {
    pub(super) graph: GraphProto,
    /// The message without its graph.
    pub(super) rest: ModelProto,
    /// Version of the standard operator set.
    pub(super) opset: i64,
    /// Where external weights lie, if there may be such.
    pub(super) folder: Option<WeightFolder>,
    /// What is known of it.
    pub(super) notes: Notes,
}

/// A model as it is imported, with branches taken whose conditions are known.
pub(super) fn decoded(
    source: &ModelSource,
    options: &ImportOptions,
    conditions: &Conditions,
) -> Result<Model, ImportError> {
    let mut rest = decode(&source.origin, &source.bytes)?;
    let opset = standard_opset(&rest)?;
    if standard_version(&rest.opset_import).is_none() {
        rest.opset_import.push(OperatorSetIdProto { domain: String::new(), version: opset });
    }
    let notes = Preparation { folder: source.folder.as_ref(), options, conditions }.prepare(&mut rest, opset)?;
    let not_onnx = |reason: &str| ImportError::NotOnnx { path: source.origin.clone(), reason: reason.into() };
    let graph = rest.graph.take().ok_or_else(|| not_onnx("it holds no graph"))?;
    Ok(Model { graph, rest, opset, folder: source.folder.clone(), notes })
}

fn decode(path: &Path, bytes: &[u8]) -> Result<ModelProto, ImportError> {
    let not_onnx = |reason: String| Err(ImportError::NotOnnx { path: path.into(), reason });
    if bytes.is_empty() {
        return not_onnx("the file is empty".into());
    }
    if let Some(reason) = other_kind(bytes) {
        return not_onnx(reason.into());
    }
    match outline(bytes) {
        Outline::CutShort => return Err(ImportError::Truncated { path: path.into(), length: bytes.len() }),
        Outline::Foreign => return not_onnx("its bytes are no ONNX protobuf message".into()),
        Outline::Whole => {}
    }
    match ModelProto::decode(bytes) {
        Ok(model) if model.graph.is_none() => not_onnx("it holds no graph".into()),
        Ok(mut model) => match names::make_printable(&mut model) {
            Ok(()) => Ok(model),
            Err(problem) => not_onnx(problem),
        },
        Err(problem) => not_onnx(problem.to_string()),
    }
}

/// What bytes are that are often taken for a model.
fn other_kind(bytes: &[u8]) -> Option<&'static str> {
    const KINDS: [(&[u8], &str); 3] = [
        (b"version https://git-lfs", "it is a Git LFS pointer; fetch the file itself with `git lfs pull`"),
        (b"\x1f\x8b", "it is packed by gzip; unpack it with `gunzip`"),
        (
            b"PK\x03\x04",
            "it is a zip archive, such as torch.save and np.savez write; unpack it, or export the model to ONNX",
        ),
    ];
    KINDS.iter().find(|(start, _)| bytes.starts_with(start)).map(|(_, reason)| *reason)
}

fn standard_opset(model: &ModelProto) -> Result<i64, ImportError> {
    let of_functions = || model.functions.iter().find_map(|function| standard_version(&function.opset_import));
    let standard = standard_version(&model.opset_import).or_else(of_functions);
    standard.or_else(|| has_only_others(model).then_some(NEWEST_OPSET)).ok_or_else(|| ImportError::UnknownOpset {
        domains: model.opset_import.iter().map(|opset| opset.domain.clone()).collect(),
    })
}

/// Whether a model has nodes and none of them is of the standard operator set.
fn has_only_others(model: &ModelProto) -> bool {
    let nodes = model.graph.iter().flat_map(|graph| &graph.node);
    nodes.clone().next().is_some() && nodes.clone().all(|node| !is_standard(&node.domain))
}

/// The version of the standard operators among imported sets.
pub(super) fn standard_version(sets: &[OperatorSetIdProto]) -> Option<i64> {
    sets.iter().find(|set| is_standard(&set.domain)).map(|set| set.version)
}

/// Whether a domain is that of the standard operators.
pub(super) fn is_standard(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

/// How bytes read as the top level of an ONNX model.
#[derive(Debug, PartialEq)]
enum Outline {
    Whole,
    CutShort,
    Foreign,
}

/// Walks the top-level fields of `ModelProto` without decoding them.
fn outline(bytes: &[u8]) -> Outline {
    let mut rest = bytes;
    while !rest.is_empty() {
        let Some(tag) = take_varint(&mut rest) else { return Outline::CutShort };
        match (tag >> 3, tag & 7) {
            (1 | 5, 0) => {
                if take_varint(&mut rest).is_none() {
                    return Outline::CutShort;
                }
            }
            (2..=4 | 6..=8 | 14 | 20 | 25 | 26, 2) => {
                let length = take_varint(&mut rest).and_then(|length| usize::try_from(length).ok());
                let Some(after) = length.and_then(|length| rest.get(length..)) else { return Outline::CutShort };
                rest = after;
            }
            _ => return Outline::Foreign,
        }
    }
    Outline::Whole
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_files_are_recognized() {
        let reason = |bytes: &[u8]| decode(Path::new("m.onnx"), bytes).unwrap_err().to_string();
        assert!(reason(b"\x1f\x8b\x08 and more").contains("gunzip"));
        assert!(reason(b"version https://git-lfs.github.com/spec/v1").contains("git lfs pull"));
        assert!(reason(b"PK\x03\x04").contains("zip archive"));
    }

    #[test]
    fn tells_cut_models_from_foreign_files() {
        // Field 1 (varint 7), then field 2 with two bytes.
        let model = [0x08, 7, 0x12, 2, b'a', b'b'];
        assert_eq!(outline(&model), Outline::Whole);
        assert_eq!(outline(&model[..5]), Outline::CutShort);
        assert_eq!(outline(b"This is a text file"), Outline::Foreign);
    }
}
