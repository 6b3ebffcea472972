//! A graph that is followed keeps what is read and nothing else.

use std::rc::Rc;

use paf_ir::IrError;
use paf_ir::tensor::{BatchAxis, Graph, Live, NodeId, Op, Output, Shape};
use proptest::prelude::*;

/// A graph of sums and ReLU: each node reads some of those before it, the output is one of them.
fn graph(nodes: &[(usize, Option<usize>)], output: usize) -> Graph {
    let mut graph = Graph::default();
    graph.input("x", Shape(vec![3]), BatchAxis::Absent);
    for &(near, far) in nodes {
        let before = |distance: usize| NodeId((graph.len() - 1 - distance.min(graph.len() - 1)) as u32);
        let (a, b) = (before(near), far.map(before));
        let (op, inputs) = b.map_or((Op::Relu, vec![a]), |b| (Op::Add, vec![a, b]));
        graph.add("n", op, &inputs).unwrap();
    }
    let node = NodeId((output % graph.len()) as u32);
    graph.outputs = vec![Output { name: "y".into(), node }];
    graph
}

/// Whether a node after the first `done` ones, or the user, reads a value.
fn is_read(graph: &Graph, value: NodeId, done: usize) -> bool {
    let later = graph.nodes().skip(done).any(|(_, node)| node.inputs.contains(&value));
    later || graph.outputs[0].node == value
}

fn graphs() -> impl Strategy<Value = Graph> {
    let nodes = prop::collection::vec((0usize..3, prop::option::of(0usize..6)), 1..12);
    (nodes, any::<usize>()).prop_map(|(nodes, output)| graph(&nodes, output))
}

proptest! {
    #[test]
    fn what_is_alive_is_what_is_read_later(graph in graphs()) {
        let mut live = Live::new(&graph);
        while let Some((id, node)) = live.next() {
            let operands: Vec<NodeId> = live.operands().into_iter().copied().collect();
            prop_assert_eq!(&operands, &node.inputs, "each value is the number of its node");
            live.push(id);
            let expected: Vec<NodeId> =
                (0..=id.0).map(NodeId).filter(|&value| is_read(&graph, value, id.index() + 1)).collect();
            prop_assert_eq!(live.alive().map(|(id, _)| id).collect::<Vec<_>>(), expected);
        }
        prop_assert_eq!(live.outputs().copied().collect::<Vec<_>>(), [graph.outputs[0].node]);
    }

    #[test]
    fn an_operand_is_moved_out_where_nothing_else_reads_it(graph in graphs()) {
        let live = Live::new(&graph).follow(|live, id, node| {
            let Some(&first) = node.inputs.first() else { return Ok(Rc::new(id)) };
            let alone = !is_read(&graph, first, id.index() + 1) && node.inputs[1..] != [first];
            let operand = live.take_operand(0);
            assert_eq!((*operand, Rc::strong_count(&operand) == 1), (first, alone));
            assert_eq!(live.get(first).is_none(), alone);
            Ok::<_, IrError>(Rc::new(id))
        });
        prop_assert_eq!(**live.unwrap().outputs().next().unwrap(), graph.outputs[0].node);
    }

    #[test]
    fn a_clone_goes_another_way_and_leaves_the_first_alone(graph in graphs(), at in any::<usize>()) {
        let exact = |live: &mut Live<'_, u64>, id: NodeId, _: &_| {
            Ok::<_, IrError>(live.operands().into_iter().fold(u64::from(id.0), |sum, x| sum.wrapping_mul(31) + x))
        };
        let expected: Vec<u64> = Live::new(&graph).follow(exact).unwrap().outputs().copied().collect();
        let mut live = Live::new(&graph);
        for _ in 0..at % graph.len() {
            let (id, node) = live.next().unwrap();
            let value = exact(&mut live, id, node).unwrap();
            live.push(value);
        }
        let mut other = live.clone();
        other.push(1 << 40);
        let changed = other.follow(exact).unwrap();
        prop_assert!(changed.outputs().count() == 1);
        prop_assert_eq!(live.follow(exact).unwrap().outputs().copied().collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_walk_may_end_early_and_read_what_is_no_operand() {
    let graph = graph(&[(0, None), (0, None), (0, None), (0, None)], 4);
    let half = Live::up_to(&graph, NodeId(2)).follow(|_, id, _| Ok::<_, IrError>(id)).unwrap();
    assert_eq!(half.next(), None);
    assert_eq!(half.alive().collect::<Vec<_>>(), [(NodeId(2), &NodeId(2))]);

    let mut live = Live::new(&graph).reading([(NodeId(0), NodeId(3))]);
    for id in 0..3 {
        live.push(NodeId(id));
        assert!(live.get(NodeId(0)).is_some(), "node 3 is still to come");
    }
    live.push(NodeId(3));
    assert!(live.get(NodeId(0)).is_none());
}
