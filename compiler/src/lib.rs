//! `paf-compile`: from an ONNX file to a CKKS circuit.

pub mod import;
