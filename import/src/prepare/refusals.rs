//! Nodes that the preparation knows to be unsupported, and why.

use std::collections::BTreeMap;

use crate::onnx::NodeProto;
use crate::site::Refusal;

/// What is noted of a node.
#[derive(Debug)]
struct Noted {
    reason: String,
    hint: String,
    /// Whether the client, who knows the numbers, can compute it all the same.
    is_for_client: bool,
}

/// What is noted, by the first output of a node.
#[derive(Debug, Default)]
pub(crate) struct Refusals(BTreeMap<String, Noted>);

impl Refusals {
    /// Notes why nobody computes a node; the first reason stays.
    pub(super) fn note(&mut self, node: &NodeProto, refusal: &Refusal) {
        self.add(node, refusal, false);
    }

    /// Notes why no circuit computes a node; the first reason stays.
    pub(super) fn note_for_circuit(&mut self, node: &NodeProto, refusal: &Refusal) {
        self.add(node, refusal, true);
    }

    fn add(&mut self, node: &NodeProto, refusal: &Refusal, is_for_client: bool) {
        let (Some(output), Refusal::Unsupported { reason, hint }) = (node.output.first(), refusal) else { return };
        let noted = || Noted { reason: reason.clone(), hint: hint.clone(), is_for_client };
        self.0.entry(output.clone()).or_insert_with(noted);
    }

    /// Why a node is not supported in a circuit, if that was noted.
    pub(crate) fn of(&self, node: &NodeProto) -> Option<Refusal> {
        self.noted(node).map(Noted::refusal)
    }

    /// Why a node is not supported behind the last layer, if that was noted.
    pub(crate) fn of_trailing(&self, node: &NodeProto) -> Option<Refusal> {
        self.noted(node).filter(|noted| !noted.is_for_client).map(Noted::refusal)
    }

    fn noted(&self, node: &NodeProto) -> Option<&Noted> {
        self.0.get(node.output.first()?)
    }
}

impl Noted {
    fn refusal(&self) -> Refusal {
        Refusal::unsupported(self.reason.clone(), self.hint.clone())
    }
}
