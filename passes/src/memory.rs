//! Memory that the way down takes at its peak, from shapes alone.
//!
//! What is alive at once: the values of all samples at one place of the network, or of a few samples of its polynomial form; weights
//! and their copies; matrices of maps that have no other form; tables of layouts. Everything else is small beside it.

use paf_ir::lanes::LANES;
use paf_ir::linear::{LinearMap, Primitive};
use paf_ir::tensor::{Graph, Live, Node, Op, Output};

use crate::approximate::least_depth;
use crate::lower::LowerOptions;
use crate::schedule::may_be_refreshed;

/// Bytes of a value or a weight.
const VALUE: u64 = 8;

/// Bytes of both bounds of an element, and of a copy of them where signs are looked for.
const BOUNDS: u64 = 4 * VALUE;

/// Tensors that the polynomial of a ReLU keeps at once, beside its operand and its result.
const POWERS: u64 = 5;

/// Bytes of an entry of a matrix: column and value, and room to grow.
const ENTRY: u64 = 18;

/// Bytes of an element in all layouts that are tried for it: tables of slots, and which are taken.
const LAYOUTS: u64 = 9 * 5;

/// Bytes of a weight as it was read, folded, scaled, and written.
const WEIGHT: u64 = 28;

/// Elements of one sample that are alive at once, at most.
pub fn live_elements(graph: &Graph) -> u64 {
    live_beside(graph, |_| 0)
}

/// The same with so many elements more while a node is computed.
fn live_beside(graph: &Graph, more: impl Fn(&Node) -> u64) -> u64 {
    let mut live: Live<'_, u64> = Live::new(graph);
    let mut most = 0;
    while let Some((_, node)) = live.next() {
        let size = node.shape.size() as u64;
        let alive: u64 = live.alive().map(|(_, size)| size).sum();
        most = most.max(alive + size + more(node));
        live.push(size);
    }
    most
}

/// Bytes of a network's weights and their copies.
pub fn weights(graph: &Graph) -> u64 {
    let of_map = |map: &LinearMap| map.factors.iter().filter_map(Primitive::constant).map(|c| c.data.len()).sum();
    let of_node = |node: &Node| -> usize { if let Op::Linear(map) = &node.op { of_map(map) } else { 0 } };
    WEIGHT * graph.nodes().map(|(_, node)| of_node(node) as u64).sum::<u64>()
}

/// Bytes of the values of so many samples.
pub fn values(graph: &Graph, samples: usize) -> u64 {
    match samples {
        0 => BOUNDS * live_elements(graph),
        _ => VALUE * samples.next_multiple_of(LANES) as u64 * live_elements(graph),
    }
}

/// Bytes of the network's results on so many samples, which stay.
fn results(graph: &Graph, samples: usize) -> u64 {
    let size = |output: &Output| graph.node(output.node).shape.size();
    VALUE * (samples * graph.outputs.iter().map(size).sum::<usize>()) as u64
}

/// Bytes that it takes to lower a network with so many samples, weights and samples not included.
pub fn lowering(graph: &Graph, samples: usize, options: &LowerOptions) -> u64 {
    let approximation = &options.approximation;
    let levels = least_depth(graph, &approximation.default_paf, approximation.reduction);
    let refreshed = if may_be_refreshed(levels, &options.schedule) { magnitudes(graph) } else { 0 };
    let packed = LAYOUTS * graph.nodes().map(|(_, node)| node.shape.size() as u64).max().unwrap_or(0);
    results(graph, samples) + values(graph, samples).max(refreshed).max(packed) + matrices(graph)
}

/// Bytes of what a few samples of the polynomial network take.
fn magnitudes(graph: &Graph) -> u64 {
    let more = |node: &Node| match node.op {
        Op::Relu | Op::MaxPool(_) | Op::Function(_) => POWERS * node.shape.size() as u64,
        _ => 0,
    };
    VALUE * LANES as u64 * live_beside(graph, more)
}

/// Bytes of the largest matrix that is expanded.
fn matrices(graph: &Graph) -> u64 {
    let entries = |node: &Node| match &node.op {
        Op::Linear(map) if !map.has_computed_rows() => expanded_entries(map),
        _ => 0,
    };
    ENTRY * graph.nodes().map(|(_, node)| entries(node)).max().unwrap_or(0)
}

/// About how many entries the product of a map's factors has: rows with as many as those of all factors multiplied.
fn expanded_entries(map: &LinearMap) -> u64 {
    let of_row = |factor: &Primitive| match factor {
        Primitive::Conv(conv) => conv.weight.shape.0[1..].iter().product(),
        Primitive::Dense { weight, .. } => weight.shape.0[1],
        Primitive::AveragePool(window) => window.kernel.iter().product(),
        _ => 1,
    };
    let row = map.factors.iter().map(of_row).fold(1usize, usize::saturating_mul);
    row.min(map.inputs) as u64 * map.outputs as u64
}
