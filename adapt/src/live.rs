//! The values of a network while it is followed node by node.

use paf_ir::tensor::{Graph, Node, NodeId, Op};
use paf_passes::approximate::Values;

use crate::data::Data;
use crate::evaluate::input_values;

/// Values of the nodes so far, dropped after their last reader; those of the first output stay. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    values: Vec<Option<Values>>,
    /// How many nodes still read each.
    pending: Vec<usize>,
    result: NodeId,
}

impl Live {
    /// Before the first node of a network.
    pub(crate) fn new(graph: &Graph) -> Self {
        let result = graph.outputs[0].node;
        let mut pending: Vec<usize> = graph.consumers().iter().map(Vec::len).collect();
        pending[result.index()] += 1;
        Live { values: Vec::with_capacity(graph.len()), pending, result }
    }

    /// The node whose value comes next; `None` after the last one.
    pub(crate) fn next(&self) -> Option<NodeId> {
        (self.values.len() < self.pending.len()).then_some(NodeId(self.values.len() as u32))
    }

    /// The operands of the next node.
    pub(crate) fn operands(&self, node: &Node) -> Vec<&Values> {
        let value =
            |input: &NodeId| self.values[input.index()].as_ref().expect("operands live until their last reader");
        node.inputs.iter().map(value).collect()
    }

    /// Takes the value of the next node.
    pub(crate) fn push(&mut self, node: &Node, value: Values) {
        self.values.push(Some(value));
        for input in &node.inputs {
            self.pending[input.index()] -= 1;
            if self.pending[input.index()] == 0 {
                self.values[input.index()] = None;
            }
        }
    }

    /// The first output's values, flat, sample by sample; none before they were computed.
    pub(crate) fn results(&self) -> Vec<Vec<f64>> {
        self.values.get(self.result.index()).and_then(Option::as_ref).map(Values::samples).unwrap_or_default()
    }

    /// Elements of one sample that are kept.
    pub(crate) fn size(&self, graph: &Graph) -> usize {
        let kept = graph.nodes().zip(&self.values).filter(|(_, value)| value.is_some());
        kept.map(|((_, node), _)| node.shape.size()).sum()
    }
}

/// Follows some samples through a network; `value` computes each node but the inputs from its operands.
pub(crate) fn follow<E>(
    graph: &Graph,
    data: &Data,
    samples: std::ops::Range<usize>,
    mut value: impl FnMut(NodeId, &Node, &[&Values]) -> Result<Values, E>,
) -> Result<Live, E> {
    let mut live = Live::new(graph);
    for (id, node) in graph.nodes() {
        let value = match node.op {
            Op::Input => input_values(data, samples.clone()),
            _ => value(id, node, &live.operands(node))?,
        };
        live.push(node, value);
    }
    Ok(live)
}
