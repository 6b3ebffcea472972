//! Nodes that the preparation knows to be unsupported, and why.

use std::collections::BTreeMap;

use crate::onnx::NodeProto;
use crate::site::Refusal;

/// Reasons and hints by the first output of a node.
#[derive(Debug, Default)]
pub(crate) struct Refusals(BTreeMap<String, (String, String)>);

impl Refusals {
    /// Notes why a node is not supported; the first reason stays.
    pub(super) fn note(&mut self, node: &NodeProto, refusal: &Refusal) {
        let (Some(output), Refusal::Unsupported { reason, hint }) = (node.output.first(), refusal) else { return };
        self.0.entry(output.clone()).or_insert_with(|| (reason.clone(), hint.clone()));
    }

    /// Why a node is not supported, if that was noted.
    pub(crate) fn of(&self, node: &NodeProto) -> Option<Refusal> {
        let (reason, hint) = self.0.get(node.output.first()?)?;
        Some(Refusal::unsupported(reason.clone(), hint.clone()))
    }
}
