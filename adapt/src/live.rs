//! The values of a network on samples while it is followed node by node.

use paf_ir::tensor::{Graph, Live, Node, NodeId, Op, Output};
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

/// The outputs' values, one after another, sample by sample; none before they were computed.
pub(crate) fn results(live: &Live<'_, Values>, graph: &Graph) -> Vec<Vec<f64>> {
    let samples = |output: &Output| live.get(output.node).map(Values::samples).unwrap_or_default();
    let others: Vec<Vec<Vec<f64>>> = graph.outputs.iter().map(samples).collect();
    let join = |mut all: Vec<Vec<f64>>, next: Vec<Vec<f64>>| {
        all.iter_mut().zip(next).for_each(|(all, next)| all.extend(next));
        all
    };
    others.into_iter().reduce(join).unwrap_or_default()
}

/// Elements of one sample that are kept.
pub(crate) fn kept_elements(live: &Live<'_, Values>, graph: &Graph) -> usize {
    live.alive().map(|(id, _)| graph.node(id).shape.size()).sum()
}
