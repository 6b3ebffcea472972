//! What is done to a model before the walk: other ways to write a network become the plain one, in ONNX's own messages.
//!
//! Each step looks for what it knows and leaves everything else as it is, for the walk to import or to refuse. What a
//! step knows to be unsupported it notes with the node, so that all such nodes still come in one report.

mod branches;
mod classical;
mod flow;
mod functions;
mod fused;
mod names;
mod nodes;
mod outputs;
mod quantized;
mod ranks;
mod refusals;
mod scope;
mod sizes;
mod sparse;
mod whole;

use super::ImportOptions;
use super::error::ImportError;
use super::onnx::{GraphProto, ModelProto};
use crate::source::WeightFolder;
use flow::Flow;

pub(super) use branches::{Conditions, known_condition};
pub(super) use classical::CLASSICAL;
pub(super) use nodes::{message, single};
pub(super) use refusals::Refusals;
pub(super) use sizes::Unbatched;

/// What a model is prepared with.
#[derive(Clone, Copy)]
pub(super) struct Preparation<'a> {
    /// Where external weights lie, if there may be such.
    pub(super) folder: Option<&'a WeightFolder>,
    /// How the model is imported.
    pub(super) options: &'a ImportOptions,
    /// Conditions that are known to be constant.
    pub(super) conditions: &'a Conditions,
}

/// What is known of a model that was prepared.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Nodes that are not supported.
    pub(super) refusals: Refusals,
    /// What the user should know, one sentence each.
    pub(super) warnings: Vec<String>,
    /// The batch that samples take the place of.
    pub(super) unbatched: Option<Unbatched>,
}

impl<'a> Preparation<'a> {
    /// Rewrites a model for the walk.
    pub(super) fn prepare(self, model: &mut ModelProto, opset: i64) -> Result<Notes, ImportError> {
        let mut notes = Notes::default();
        if let Some(graph) = &mut model.graph {
            outputs::choose(graph, &self.options.outputs)?;
        }
        functions::inline(model, opset, &mut notes.refusals)?;
        let Some(graph) = &mut model.graph else { return Ok(notes) };
        sparse::make_dense(graph, self.folder)?;
        while let Some(taken) = branches::take(graph, &self.flow(graph), self.conditions) {
            *graph = taken;
        }
        fused::unfuse(graph, &mut notes.refusals)?;
        if let Some(nodes) = classical::rewrite(graph, &self.flow(graph), &mut notes)? {
            graph.node = nodes;
        }
        if let Some(nodes) = quantized::read_dynamic(graph, &self.flow(graph)) {
            graph.node = nodes;
        }
        if let Some(nodes) = quantized::read_static(graph, &self.flow(graph), &mut notes.refusals) {
            graph.node = nodes;
        }
        if let Some(nodes) = whole::check(graph, &self.flow(graph), &mut notes.refusals) {
            graph.node = nodes;
        }
        notes.unbatched = sizes::fix(graph, self.options)?;
        sizes::check_unbatched(graph, &self.flow(graph), notes.unbatched.as_ref())?;
        Ok(notes)
    }

    fn flow<'g>(&self, graph: &'g GraphProto) -> Flow<'g>
    where
        'a: 'g,
    {
        Flow::of(graph, self.folder, |name| self.options.constants.contains_key(name))
    }
}
