//! What is done to a model before the walk: other ways to write a network become the plain one, in ONNX's own messages.
//!
//! Each step looks for what it knows and leaves everything else as it is, for the walk to import or to refuse. What a
//! step knows to be unsupported it notes with the node, so that all such nodes still come in one report.

mod functions;
mod fused;
mod names;
mod nodes;
mod ranks;
mod refusals;

use super::error::ImportError;
use super::onnx::ModelProto;

pub(super) use refusals::Refusals;

/// Rewrites a model for the walk, and gives the nodes that are known to be unsupported.
pub(super) fn prepare(model: &mut ModelProto, opset: i64) -> Result<Refusals, ImportError> {
    let mut refusals = Refusals::default();
    functions::inline(model, opset, &mut refusals)?;
    let Some(graph) = &mut model.graph else { return Ok(refusals) };
    fused::unfuse(graph, &mut refusals)?;
    Ok(refusals)
}
