//! Import against references that others computed: ONNX's reference evaluator, the ONNX backend tests and tract.

mod against_tract;
mod bad_models;
mod built_models;
mod classical;
mod constants;
mod damaged_files;
mod functions;
mod fused;
mod inputs;
mod networks;
mod operators;
mod powers;
mod quantized;
mod support;
