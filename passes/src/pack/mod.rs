//! `pack`: tensors to slot vectors, linear maps to diagonals with plans.
//!
//! Needs: an optimized polynomial graph. Then holds: a verified slots program that computes the same function.
//!
//! Element-wise operations need their operands in one layout, so the graph falls into classes of tensors that share
//! one, separated by linear maps. Classes are visited in order; each gets the candidate layout (`layouts.rs`) whose
//! maps into it, from classes visited before, have the cheapest plans (`plan.rs`). A class that only takes slices of
//! another one keeps its layout: the slices are rotations, or nothing.

mod layouts;
mod plan;
mod ports;
mod sharing;

use std::collections::BTreeMap;
use std::sync::Arc;

use paf_ir::Layout;
use paf_ir::client::ClientProgram;
use paf_ir::diagonals::{Giant, PackedMap, Plan, folds};
use paf_ir::layout::Gaps;
use paf_ir::linear::{LinearMap, MapRows};
use paf_ir::program::{InputPort, InputScaling, MapId, OutputPort, ValueId};
use paf_ir::slots::{Op as SlotOp, SlotProgram};
use paf_ir::tensor::{Graph, Node, NodeId, Op, Shape};
use paf_scheme::PackingPrices;
use rayon::prelude::*;

use crate::error::PassError;
use layouts::Plane;
use plan::Planner;
pub use ports::options;

/// Most ciphertexts a tensor may take.
const CIPHERTEXT_LIMIT: usize = 64;

/// How the client sees an input or output.
#[derive(Debug, Clone, PartialEq)]
pub struct Port {
    /// Name in the model.
    pub name: String,
    /// Shape of one sample.
    pub shape: Shape,
}

/// What packing needs besides the graph.
#[derive(Debug, Clone)]
pub struct PackOptions {
    /// Most slots a ciphertext may have.
    pub max_slots: usize,
    /// Inputs in order, with what the client does before it encrypts.
    pub inputs: Vec<(Port, InputScaling)>,
    /// Outputs in order, with what the client multiplies by after it decrypts.
    pub outputs: Vec<(Port, f64)>,
    /// What the client computes from them.
    pub client: ClientProgram,
    /// Whether bootstraps are expected: wide layouts then cost more than their rotations.
    pub refreshed: bool,
    /// What plans cost on the engine and the machine.
    pub prices: PackingPrices,
    /// Whether each result must come from a linear map, which leaves zeros in all slots without an element: where it does not,
    /// a map that keeps the elements follows, at a level of its own.
    pub sanitize: bool,
}

/// A packed graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Packed {
    /// The program.
    pub program: SlotProgram,
    /// The value that holds each node of the graph.
    pub values: Vec<ValueId>,
}

/// Packs a polynomial graph.
///
/// # Errors
/// [`PassError::TooLarge`] for a tensor of too many ciphertexts.
pub fn pack(graph: &Graph, options: &PackOptions) -> Result<Packed, PassError> {
    let mut packing = Packing::new(graph, options);
    packing.choose_layouts()?;
    packing.build(options)
}

/// Refuses a network of which a tensor has more elements than its ciphertexts may hold, whatever becomes of it: an input, an
/// output, or what no linear map gives.
///
/// # Errors
/// [`PassError::TooLarge`].
pub fn check_sizes(graph: &Graph, slots: usize) -> Result<(), PassError> {
    let is_output = |id: NodeId| graph.outputs.iter().any(|output| output.node == id);
    let stays = |op: &Op| matches!(op, Op::Input | Op::Relu | Op::MaxPool(_) | Op::Function(_) | Op::Mul);
    let too_large = |&(id, node): &(NodeId, &Node)| {
        (stays(&node.op) || is_output(id)) && node.shape.size().div_ceil(slots) > CIPHERTEXT_LIMIT
    };
    match graph.nodes().find(too_large) {
        Some((_, node)) => Err(too_large_for(node, node.shape.size(), slots)),
        None => Ok(()),
    }
}

fn too_large_for(node: &Node, elements: usize, slots: usize) -> PassError {
    PassError::TooLarge { node: node.name.clone(), elements, slots, limit: CIPHERTEXT_LIMIT }
}

/// A tensor class: tensors that must share a layout.
struct Class {
    /// Linear maps into the class.
    producers: Vec<NodeId>,
    /// Number of elements.
    size: usize,
    layout: Option<(Layout, Option<Plane>)>,
}

/// A linear map into a class, from a tensor that is laid out.
struct KnownMap<'a> {
    rows: MapRows<'a>,
    input: &'a Layout,
}

struct Packing<'a> {
    graph: &'a Graph,
    max_slots: usize,
    refreshed: bool,
    prices: &'a PackingPrices,
    class_of: Vec<usize>,
    classes: BTreeMap<usize, Class>,
}

fn root(parents: &mut [usize], mut index: usize) -> usize {
    while parents[index] != index {
        parents[index] = parents[parents[index]];
        index = parents[index];
    }
    index
}

impl<'a> Packing<'a> {
    fn new(graph: &'a Graph, options: &'a PackOptions) -> Self {
        let mut parents: Vec<usize> = (0..graph.len()).collect();
        for (id, node) in graph.nodes().filter(|(_, node)| !matches!(node.op, Op::Linear(_))) {
            for input in &node.inputs {
                let (a, b) = (root(&mut parents, id.index()), root(&mut parents, input.index()));
                parents[a.max(b)] = a.min(b);
            }
        }
        let class_of: Vec<usize> = (0..graph.len()).map(|index| root(&mut parents, index)).collect();
        let mut classes: BTreeMap<usize, Class> = BTreeMap::new();
        for (id, node) in graph.nodes() {
            let class = classes.entry(class_of[id.index()]).or_insert_with(|| Class {
                producers: vec![],
                size: node.shape.size(),
                layout: None,
            });
            if matches!(node.op, Op::Linear(_)) {
                class.producers.push(id);
            }
        }
        let PackOptions { max_slots, refreshed, ref prices, .. } = *options;
        Packing { graph, max_slots, refreshed, prices, class_of, classes }
    }

    fn choose_layouts(&mut self) -> Result<(), PassError> {
        let classes: Vec<usize> = self.classes.keys().copied().collect();
        for class in classes {
            let chosen = self.choose(class);
            if chosen.0.ciphertexts > CIPHERTEXT_LIMIT {
                let node = self.graph.node(NodeId(class as u32));
                return Err(too_large_for(node, self.classes[&class].size, self.max_slots));
            }
            self.classes.get_mut(&class).expect("the class is in the table").layout = Some(chosen);
        }
        Ok(())
    }

    fn map(&self, node: NodeId) -> &Arc<LinearMap> {
        match &self.graph.node(node).op {
            Op::Linear(map) => map,
            _ => unreachable!("producers are linear"),
        }
    }

    /// Layout of a tensor if its class has one already.
    fn layout(&self, node: NodeId) -> Option<&(Layout, Option<Plane>)> {
        self.classes[&self.class_of[node.index()]].layout.as_ref()
    }

    fn source(&self, producer: NodeId) -> Option<&(Layout, Option<Plane>)> {
        self.layout(self.graph.node(producer).inputs[0])
    }

    fn choose(&self, class: usize) -> (Layout, Option<Plane>) {
        let producers = &self.classes[&class].producers;
        let size = self.classes[&class].size;
        let known: Vec<NodeId> = producers.iter().copied().filter(|&node| self.source(node).is_some()).collect();
        let Some(&first) = known.first() else { return self.input_layout(class, size) };
        if let Some(view) = self.common_view(&known) {
            return view;
        }
        let (_, plane) = self.source(first).expect("known producers have a source layout");
        let candidates = layouts::candidates(self.map(first), *plane, self.max_slots);
        let maps: Vec<KnownMap<'_>> = known.iter().map(|&node| self.known_map(node)).collect();
        let costs: Vec<f64> = candidates.par_iter().map(|(layout, _)| self.cost(layout, &maps)).collect();
        let best = (0..candidates.len()).min_by(|&a, &b| costs[a].total_cmp(&costs[b])).unwrap_or(0);
        candidates[best].clone()
    }

    /// An input lies dense; its plane is known if a map reads it as an image.
    fn input_layout(&self, class: usize, size: usize) -> (Layout, Option<Plane>) {
        let readers = self
            .graph
            .nodes()
            .filter(|(_, node)| matches!(node.op, Op::Linear(_)) && self.class_of[node.inputs[0].index()] == class);
        let plane = readers
            .filter_map(|(id, _)| layouts::geometry(self.map(id)))
            .map(|geometry| Plane::dense(geometry.input[1], geometry.input[2]))
            .next();
        (Layout::dense(size, self.max_slots), plane)
    }

    /// A map whose source has a layout.
    fn known_map(&self, node: NodeId) -> KnownMap<'_> {
        let (input, _) = self.source(node).expect("known producers have a source layout");
        KnownMap { rows: self.map(node).rows(), input }
    }

    /// Plans from every known source; each ciphertext of the result also costs its element-wise work.
    fn cost(&self, layout: &Layout, maps: &[KnownMap<'_>]) -> f64 {
        let plans = maps.iter().map(|map| Planner::new(&map.rows, map.input, layout, self.prices).least_cost());
        let more = self.prices.ciphertext * (layout.ciphertexts - 1) as f64;
        plans.sum::<f64>() + more + self.refresh_price(layout)
    }

    /// What it costs to refresh a tensor in this layout, where bootstraps are expected.
    fn refresh_price(&self, layout: &Layout) -> f64 {
        let price = || self.prices.refreshing(layout.ciphertexts, layout.period, self.max_slots);
        if self.refreshed { price() } else { 0.0 }
    }

    /// The layout of the first slice, if all of these maps into the class are slices of laid-out tensors at a constant
    /// distance from each other.
    fn common_view(&self, producers: &[NodeId]) -> Option<(Layout, Option<Plane>)> {
        let (first, plane) = self.view(*producers.first()?)?;
        for &producer in producers {
            let (other, _) = self.view(producer)?;
            rotation_between(&first, &other)?;
        }
        Some((first, plane))
    }

    /// Where the elements of a slice lie if it stays where its source is.
    fn view(&self, producer: NodeId) -> Option<(Layout, Option<Plane>)> {
        let view = self.map(producer).as_view()?;
        let (source, plane) = self.source(producer)?;
        let strided = match (plane, layouts::geometry(self.map(producer))) {
            (Some(plane), Some(geometry)) => Some(plane.strided_by(geometry.strides)),
            _ => None,
        };
        Some((source.view(&view)?, strided))
    }

    fn build(&self, options: &PackOptions) -> Result<Packed, PassError> {
        let slots = self.classes.values().filter_map(|class| class.layout.as_ref()).map(|(layout, _)| layout.period);
        let slots = slots.max().unwrap_or(1);
        let inputs = options.inputs.iter().zip(&self.graph.inputs).map(|((port, scaling), (id, _))| InputPort {
            name: port.name.clone(),
            shape: port.shape.clone(),
            layout: self.layout_of(*id).clone(),
            scaling: scaling.clone(),
        });
        let mut program = SlotProgram::new(slots, vec![], inputs.collect());
        let mut plans = self.plans();
        let mut values: Vec<ValueId> = Vec::with_capacity(self.graph.len());
        for (id, node) in self.graph.nodes() {
            let value = self.lower(&mut program, id, node, &values, &mut plans)?;
            values.push(value);
        }
        for ((port, scale), output) in options.outputs.iter().zip(&self.graph.outputs) {
            let (mut value, mut layout) = (values[output.node.index()], self.layout_of(output.node).clone());
            if options.sanitize && !matches!(program.value(value).op, SlotOp::Linear { .. }) {
                (value, layout) = kept_alone(&mut program, &port.name, value, layout)?;
            }
            let (name, shape) = (port.name.clone(), port.shape.clone());
            program.outputs.push(OutputPort { name, value, shape, layout, scale: *scale });
        }
        program.client = options.client.clone();
        program.verify()?;
        Ok(Packed { program, values })
    }

    fn layout_of(&self, node: NodeId) -> &Layout {
        &self.layout(node).expect("every class has a layout by now").0
    }

    fn lower(
        &self,
        program: &mut SlotProgram,
        id: NodeId,
        node: &Node,
        values: &[ValueId],
        plans: &mut BTreeMap<NodeId, Plan>,
    ) -> Result<ValueId, PassError> {
        let operand = |index: usize| values[node.inputs[index].index()];
        let op = match &node.op {
            Op::Input => {
                let port = self.graph.inputs.iter().position(|input| input.0 == id).unwrap_or(0);
                SlotOp::Input(port as u32)
            }
            Op::Linear(map) => match self.steps_of_view(id) {
                Some(0) => return Ok(operand(0)),
                Some(steps) => SlotOp::Rotate { steps, input: operand(0) },
                None => {
                    let plan = plans.remove(&id).expect("every map that is no rotation has a plan");
                    return self.lower_linear(program, id, map, plan, operand(0));
                }
            },
            Op::Add => SlotOp::Add(operand(0), operand(1)),
            Op::Sub => SlotOp::Sub(operand(0), operand(1)),
            Op::Mul => SlotOp::Mul(operand(0), operand(1)),
            Op::Scale(c) => SlotOp::Scale(*c, operand(0)),
            Op::AddConstant(c) => SlotOp::AddConstant(*c, operand(0)),
            Op::Reshape => return Ok(operand(0)),
            Op::BatchNorm(_) | Op::Relu | Op::MaxPool(_) | Op::Function(_) => {
                return Err(paf_ir::IrError::Eval(format!("pack got a {} node", node.op.name())).into());
            }
        };
        Ok(program.push(node.name.clone(), op)?)
    }

    /// The plans of all linear maps that are more than a rotation.
    fn plans(&self) -> BTreeMap<NodeId, Plan> {
        let linear = self.graph.nodes().filter(|(_, node)| matches!(node.op, Op::Linear(_)));
        let nodes: Vec<NodeId> = linear.map(|(id, _)| id).filter(|&id| self.steps_of_view(id).is_none()).collect();
        let planner = |&id: &NodeId| {
            let input = self.layout_of(self.graph.node(id).inputs[0]);
            Planner::new(&self.map(id).rows(), input, self.layout_of(id), self.prices)
        };
        let planners: Vec<Planner<'_>> = nodes.par_iter().map(planner).collect();
        nodes.into_iter().zip(sharing::choose_plans(&planners, self.prices.key)).collect()
    }

    /// The rotation that a linear node is, if it is no more than one.
    fn steps_of_view(&self, id: NodeId) -> Option<i64> {
        let view = self.map(id).as_view()?;
        let there = self.layout_of(self.graph.node(id).inputs[0]).view(&view)?;
        rotation_between(self.layout_of(id), &there)
    }

    fn lower_linear(
        &self,
        program: &mut SlotProgram,
        id: NodeId,
        map: &Arc<LinearMap>,
        plan: Plan,
        input: ValueId,
    ) -> Result<ValueId, PassError> {
        let node = self.graph.node(id);
        let packed = PackedMap {
            name: node.name.clone(),
            map: map.clone(),
            input: self.layout_of(node.inputs[0]).clone(),
            output: self.layout_of(id).clone(),
            plan,
        };
        program.maps.push(packed);
        let map = MapId(program.maps.len() as u32 - 1);
        Ok(program.push(node.name.clone(), SlotOp::Linear { map, input })?)
    }
}

/// A tensor where it is, with zeros in all other slots.
fn kept_alone(
    program: &mut SlotProgram,
    name: &str,
    input: ValueId,
    layout: Layout,
) -> Result<(ValueId, Layout), PassError> {
    let modulus = layout.period;
    let plan = Plan {
        modulus,
        giants: vec![Giant { rotation: 0, babies: vec![0] }],
        outer_stride: 0,
        folds: folds(modulus, modulus),
    };
    let map = Arc::new(LinearMap::identity(layout.size()));
    let mut output = layout.clone();
    output.gaps = Gaps::Zero;
    program.maps.push(PackedMap { name: name.to_owned(), map, input: layout, output: output.clone(), plan });
    let map = MapId(program.maps.len() as u32 - 1);
    Ok((program.push(name.to_owned(), SlotOp::Linear { map, input })?, output))
}

/// The rotation that brings a tensor from layout `there` to layout `here`, if one does: same period, every element in
/// the same ciphertext, constant distance.
fn rotation_between(here: &Layout, there: &Layout) -> Option<i64> {
    let same = here.period == there.period && here.ciphertexts == there.ciphertexts && here.size() == there.size();
    let places = || here.table().iter().zip(there.table());
    if !same || places().any(|(&a, &b)| a as usize / here.period != b as usize / here.period) {
        return None;
    }
    let period = here.period as i64;
    let mut distances = places().map(|(&a, &b)| plan::wrap(i64::from(b) - i64::from(a), period));
    let first = distances.next().unwrap_or(0);
    distances.all(|distance| distance == first).then_some(first)
}
