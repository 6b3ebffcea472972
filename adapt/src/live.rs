//! The values of a network on samples while it is followed node by node.

use paf_ir::tensor::{Graph, Live, Node, NodeId, Op};
use paf_passes::approximate::Values;

use crate::data::Data;
use crate::evaluate::input_values;

/// Follows some samples through a network; `value` computes each node but the inputs from its operands.
pub(crate) fn follow<'g, E>(
    graph: &'g Graph,
    data: &Data,
    samples: std::ops::Range<usize>,
    mut value: impl FnMut(NodeId, &Node, &[&Values]) -> Result<Values, E>,
) -> Result<Live<'g, Values>, E> {
    Live::new(graph).follow(|live, id, node| match node.op {
        Op::Input => Ok(input_values(data, samples.clone())),
        _ => value(id, node, &live.operands()),
    })
}

/// The first output's values, flat, sample by sample; none before they were computed.
pub(crate) fn results(live: &Live<'_, Values>, graph: &Graph) -> Vec<Vec<f64>> {
    live.get(graph.outputs[0].node).map(Values::samples).unwrap_or_default()
}

/// Elements of one sample that are kept.
pub(crate) fn kept_elements(live: &Live<'_, Values>, graph: &Graph) -> usize {
    live.alive().map(|(id, _)| graph.node(id).shape.size()).sum()
}
