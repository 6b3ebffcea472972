//! ReLU and MaxPool in the cheaper order.
//!
//! `relu(maxpool(x)) = maxpool(relu(x))`. Both have the same levels and the same ciphertext products, since a tensor
//! keeps its ciphertexts through a pool; ReLU first is the more precise one, because the scale of a pool's maxima then
//! covers positive values only. If a window of `k` taps along an axis leaves room in its ⌈log2 k⌉ rounds, the zero of
//! the ReLU is one more operand of the maximum, and a whole comparison is saved in depth at equal products.
//!
//! ```text
//! conv -> max_pool 2×2 -> relu      becomes   conv -> relu -> max_pool 2×2
//! conv -> max_pool 3×3 -> relu      becomes   conv -> max(…, 0) of 3×3: four comparisons deep instead of five
//! ```

use paf_ir::tensor::{Graph, Node, NodeId, Op};

use super::pool::{self, Reduction};
use crate::decisions::Decisions;
use crate::error::PassError;

/// Moves every ReLU that is the only reader of a pool before it, and drops a ReLU of what one has passed already. Nodes
/// with a scale of their own stay where that scale was measured.
pub(super) fn relu_before_pools(graph: &Graph, per_node: &Decisions) -> Result<Graph, PassError> {
    let mut ordered = without_repeated_relus(graph)?;
    while let Some(pool) = movable(&ordered, per_node) {
        ordered = without_repeated_relus(&swapped(&ordered, pool)?)?;
    }
    Ok(ordered)
}

/// Whether the comparison of a ReLU becomes part of the one pool that reads it.
pub(super) fn joins_pool(graph: &Graph, consumers: &[Vec<NodeId>], relu: NodeId, reduction: Reduction) -> bool {
    let [reader] = consumers[relu.index()][..] else { return false };
    let has_room = matches!(&graph.node(reader).op, Op::MaxPool(window) if pool::has_room_for_zero(window, reduction));
    graph.node(relu).op == Op::Relu && has_room && !is_output(graph, relu)
}

fn is_output(graph: &Graph, id: NodeId) -> bool {
    graph.outputs.iter().any(|output| output.node == id)
}

fn is_rectified(graph: &Graph, id: NodeId) -> bool {
    let node = graph.node(id);
    match &node.op {
        Op::Relu => true,
        Op::MaxPool(_) | Op::Reshape => is_rectified(graph, node.inputs[0]),
        _ => false,
    }
}

fn without_repeated_relus(graph: &Graph) -> Result<Graph, PassError> {
    graph.rebuilt(|result, id, node, inputs| {
        if node.op == Op::Relu && is_rectified(graph, node.inputs[0]) {
            return Ok(inputs[0]);
        }
        Ok(result.copy(graph, id, inputs)?)
    })
}

/// A pool whose one reader is a ReLU.
fn movable(graph: &Graph, per_node: &Decisions) -> Option<NodeId> {
    let consumers = graph.consumers();
    let has_scale = |node: &Node| per_node.scales.contains_key(&node.name);
    let moves = |id: NodeId, node: &Node| {
        let [reader] = consumers[id.index()][..] else { return false };
        let (pool, relu) = (matches!(node.op, Op::MaxPool(_)), graph.node(reader));
        pool && relu.op == Op::Relu && !is_output(graph, id) && !has_scale(node) && !has_scale(relu)
    };
    graph.nodes().find(|(id, node)| moves(*id, node)).map(|(id, _)| id)
}

/// The pool takes the place of its reader, a ReLU, and the ReLU that of the pool.
fn swapped(graph: &Graph, pool: NodeId) -> Result<Graph, PassError> {
    let relu = graph.consumers()[pool.index()][0];
    graph.rebuilt(|result, id, _, inputs| {
        if id == relu {
            return Ok(inputs[0]);
        }
        if id != pool {
            return Ok(result.copy(graph, id, inputs)?);
        }
        let rectified = result.copy(graph, relu, inputs)?;
        Ok(result.copy(graph, pool, &[rectified])?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::approximate::Scaling;
    use paf_ir::linear::Window;
    use paf_ir::tensor::{BatchAxis, Output, Shape, evaluate};

    fn window(side: usize) -> Window {
        let mut window = Window {
            input: [1, 8, 8],
            kernel: [side, side],
            strides: [side, side],
            pads: [0; 4],
            dilations: [1, 1],
            output: [0, 0],
            count_include_pad: false,
        };
        window.output = window.floor_output();
        window
    }

    /// A chain of operations: `r` for ReLU, `p` for a 2×2 pool.
    fn chain(operations: &str) -> Graph {
        let mut graph = Graph::default();
        let mut node = graph.input("x", Shape(vec![1, 8, 8]), BatchAxis::Absent);
        let mut side = 8;
        for (index, operation) in operations.chars().enumerate() {
            let op = match operation {
                'r' => Op::Relu,
                _ => {
                    let mut pool = Window { input: [1, side, side], ..window(2) };
                    pool.output = pool.floor_output();
                    side /= 2;
                    Op::MaxPool(pool)
                }
            };
            node = graph.add(format!("{operation}{index}"), op, &[node]).unwrap();
        }
        graph.outputs = vec![Output { name: "y".into(), node }];
        graph
    }

    fn operations(graph: &Graph) -> String {
        let letter = |node: &Node| match node.op {
            Op::Relu => Some('r'),
            Op::MaxPool(_) => Some('p'),
            _ => None,
        };
        graph.nodes().filter_map(|(_, node)| letter(node)).collect()
    }

    #[test]
    fn relu_comes_before_pools_and_once() {
        let x: Vec<f64> = (0..64).map(|i| f64::from(i * 37 % 64) - 40.0).collect();
        for (before, after) in [("pr", "rp"), ("rp", "rp"), ("rpr", "rp"), ("ppr", "rpp"), ("prp", "rpp"), ("p", "p")] {
            let graph = chain(before);
            let ordered = relu_before_pools(&graph, &Decisions::default()).unwrap();
            assert_eq!(operations(&ordered), after, "{before}");
            let inputs = std::slice::from_ref(&x);
            assert_eq!(evaluate(&graph, inputs).unwrap(), evaluate(&ordered, inputs).unwrap(), "{before}");
        }
    }

    #[test]
    fn nodes_with_scales_stay_where_they_are() {
        for node in ["p0", "r1"] {
            let mut given = Decisions::default();
            given.scales.insert(node.into(), Scaling::Uniform(64.0));
            assert_eq!(operations(&relu_before_pools(&chain("pr"), &given).unwrap()), "pr");
        }
    }

    #[test]
    fn a_pool_that_others_read_stays() {
        let mut graph = chain("pr");
        let pool = graph.nodes().find(|(_, node)| matches!(node.op, Op::MaxPool(_))).unwrap().0;
        graph.outputs.push(Output { name: "z".into(), node: pool });
        assert_eq!(operations(&relu_before_pools(&graph, &Decisions::default()).unwrap()), "pr");
    }

    #[test]
    fn zero_joins_windows_with_room() {
        for (side, joins) in [(1, false), (2, false), (3, true), (4, false), (5, true)] {
            let mut graph = Graph::default();
            let x = graph.input("x", Shape(vec![1, 8, 8]), BatchAxis::Absent);
            let relu = graph.add("r", Op::Relu, &[x]).unwrap();
            graph.add("p", Op::MaxPool(window(side)), &[relu]).unwrap();
            for reduction in [Reduction::Separable, Reduction::Tree] {
                assert_eq!(joins_pool(&graph, &graph.consumers(), relu, reduction), joins, "{side}, {reduction:?}");
            }
        }
    }
}
