//! `units`: every value in units of its own, in which it is within [−1, 1].
//!
//! Needs: an optimized graph and what its values reach. Then holds: the graph computes the same function in as many levels;
//! values that a bootstrap may want to take are small enough for it, wherever that costs no level.
//!
//! Linear maps and constant factors take any units on both sides. A sum has one unit with those of its operands that have
//! no level to spare; the others are brought to it by a factor. A product has the product of its operands' units, so
//! operands that come from linear maps alone get what the product's unit asks for: `(x/√S)²` is `x²/S`.

use std::collections::BTreeMap;

use paf_ir::tensor::{Graph, Node, NodeId, Op};

use crate::coefficients::is_near;
use crate::error::PassError;
use crate::fold::without_dead_nodes;
use crate::optimize::depths;

/// How much larger than the reach of a value its unit is: the root of a unit is above the margin of a bootstrap too.
const MARGIN: f64 = 1.15;

/// Gives the values of an optimized graph units, where some are too large for a bootstrap. `reach` has the largest magnitude of
/// each node.
///
/// # Errors
/// [`PassError::Ir`] only for a graph that was not verified.
pub(crate) fn within_units(graph: &Graph, reach: &[f64]) -> Result<Graph, PassError> {
    let units = Groups::new(graph, reach).units();
    if units.iter().all(|&unit| unit == 1.0) {
        return Ok(graph.clone());
    }
    let scaled = graph.rebuilt(|result, id, node, inputs| {
        let (own, of) = (units[id.index()], |operand: usize| units[node.inputs[operand].index()]);
        match &node.op {
            Op::Linear(map) if map.as_view().is_none() => {
                let map = map.scaled(of(0) / own, 1.0 / own);
                Ok(result.linear(node.name.clone(), map, inputs[0], node.shape.clone())?)
            }
            Op::Scale(c) => Ok(result.add(node.name.clone(), Op::Scale(c * of(0) / own), inputs)?),
            Op::AddConstant(c) => Ok(result.add(node.name.clone(), Op::AddConstant(c / own), inputs)?),
            Op::Add | Op::Sub => {
                let a = in_units(result, node, inputs[0], of(0) / own)?;
                let b = in_units(result, node, inputs[1], of(1) / own)?;
                Ok(result.add(node.name.clone(), node.op.clone(), &[a, b])?)
            }
            _ => Ok::<_, PassError>(result.copy(graph, id, inputs)?),
        }
    })?;
    without_dead_nodes(&scaled)
}

/// An addend times what its units are in those of the sum.
fn in_units(graph: &mut Graph, sum: &Node, addend: NodeId, factor: f64) -> Result<NodeId, PassError> {
    if is_near(factor, 1.0) {
        return Ok(addend);
    }
    Ok(graph.add(sum.name.clone(), Op::Scale(factor), &[addend])?)
}

/// Nodes that have one unit.
struct Group {
    /// The largest magnitude of any of them.
    reach: f64,
    /// Whether it is 1 whatever they reach: inputs and outputs have their scales already.
    is_fixed: bool,
    /// Whether none of them is a product.
    is_elastic: bool,
}

/// A graph in groups, numbered by their first nodes.
struct Groups<'g> {
    graph: &'g Graph,
    of_node: Vec<usize>,
    groups: BTreeMap<usize, Group>,
}

impl<'g> Groups<'g> {
    fn new(graph: &'g Graph, reach: &[f64]) -> Self {
        let depths = depths(graph);
        let mut parents: Vec<usize> = (0..graph.len()).collect();
        for (id, node) in graph.nodes() {
            let joins = |operand: &&NodeId| match &node.op {
                Op::Add | Op::Sub => {
                    let has_any_unit = matches!(&graph.node(**operand).op, Op::Linear(map) if map.as_view().is_none())
                        || matches!(graph.node(**operand).op, Op::Scale(_));
                    has_any_unit || depths[operand.index()] == depths[id.index()]
                }
                Op::Linear(map) => map.as_view().is_some(),
                Op::AddConstant(_) | Op::Reshape => true,
                _ => false,
            };
            for operand in node.inputs.iter().filter(joins) {
                let (a, b) = (root(&parents, id.index()), root(&parents, operand.index()));
                parents[a.max(b)] = a.min(b);
            }
        }
        let of_node: Vec<usize> = (0..graph.len()).map(|index| root(&parents, index)).collect();
        let mut groups: BTreeMap<usize, Group> = BTreeMap::new();
        for (id, node) in graph.nodes() {
            let empty = || Group { reach: 0.0, is_fixed: false, is_elastic: true };
            let group = groups.entry(of_node[id.index()]).or_insert_with(empty);
            group.reach = group.reach.max(reach[id.index()]);
            group.is_fixed |= node.op == Op::Input || graph.outputs.iter().any(|output| output.node == id);
            group.is_elastic &= node.op != Op::Mul;
        }
        Groups { graph, of_node, groups }
    }

    /// The unit of every node. Where products do not agree, those concerned keep theirs.
    fn units(mut self) -> Vec<f64> {
        loop {
            match self.try_units() {
                Ok(units) => return self.of_node.iter().map(|group| units[group]).collect(),
                Err(product) => self.fix(product),
            }
        }
    }

    /// A unit for each group, or a product whose units do not agree.
    fn try_units(&self) -> Result<BTreeMap<usize, f64>, NodeId> {
        let mut units: BTreeMap<usize, f64> = BTreeMap::new();
        for (id, node) in self.graph.nodes().filter(|(_, node)| node.op == Op::Mul) {
            let [a, b, own] = [node.inputs[0], node.inputs[1], id].map(|node| self.of_node[node.index()]);
            if let Some(adapting) = [a, b].into_iter().find(|&group| self.adapts(group, &units)) {
                let unit = self.unit(own, &mut units);
                let other = if adapting == a { b } else { a };
                let adapted = if a == b { unit.sqrt() } else { unit / self.unit(other, &mut units) };
                units.insert(adapting, adapted);
            }
            let product = self.unit(a, &mut units) * self.unit(b, &mut units);
            let unit = *units.entry(own).or_insert(if self.groups[&own].is_fixed { 1.0 } else { product });
            if !is_near(unit, product) {
                return Err(id);
            }
        }
        self.groups.keys().for_each(|&group| {
            self.unit(group, &mut units);
        });
        Ok(units)
    }

    /// Whether the unit of a group is still open, and may be anything.
    fn adapts(&self, group: usize, units: &BTreeMap<usize, f64>) -> bool {
        let Group { is_fixed, is_elastic, .. } = self.groups[&group];
        is_elastic && !is_fixed && !units.contains_key(&group)
    }

    /// The unit of a group, the one that it would have for itself if it was open.
    fn unit(&self, group: usize, units: &mut BTreeMap<usize, f64>) -> f64 {
        *units.entry(group).or_insert_with(|| self.wanted(group))
    }

    /// The unit that a group would have for itself.
    fn wanted(&self, group: usize) -> f64 {
        let Group { reach, is_fixed, .. } = self.groups[&group];
        if is_fixed || !(reach * MARGIN > 1.0 && reach.is_finite()) { 1.0 } else { reach * MARGIN }
    }

    /// Leaves the groups of a product as they are.
    fn fix(&mut self, product: NodeId) {
        let node = self.graph.node(product);
        for id in node.inputs.iter().chain([&product]) {
            let group = self.of_node[id.index()];
            self.groups.get_mut(&group).expect("every node is in a group").is_fixed = true;
        }
    }
}

fn root(parents: &[usize], mut index: usize) -> usize {
    while parents[index] != index {
        index = parents[index];
    }
    index
}
