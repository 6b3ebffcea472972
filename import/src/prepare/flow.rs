//! What is known of the values of a graph before any node is imported: constants, and what depends on the input.

use std::collections::{BTreeMap, BTreeSet};

use super::whole::cast_target;
use crate::attributes::Attributes;
use crate::constants::{self, ElementKind};
use crate::inputs;
use crate::onnx::{DataType, GraphProto, NodeProto, TensorProto};
use crate::source::WeightFolder;

/// Operators whose result does not depend on the numbers in their operand.
const OF_SHAPES: &[&str] = &["Shape", "Size"];

/// Operators that give the elements of their first operand back, moved, repeated or left out, or the largest of several.
const MOVES: &[&str] = &[
    "DepthToSpace",
    "Dropout",
    "Expand",
    "Flatten",
    "Gather",
    "GatherElements",
    "GatherND",
    "GlobalMaxPool",
    "Identity",
    "MaxPool",
    "ReduceMax",
    "Reshape",
    "Slice",
    "SpaceToDepth",
    "Split",
    "Squeeze",
    "Tile",
    "Transpose",
    "Unsqueeze",
];

/// Whether the elements of a node's results are elements of its operands.
pub(super) fn moves(node: &NodeProto) -> bool {
    MOVES.contains(&node.op_type.as_str())
        || node.op_type == "Concat"
        || node.op_type == "Resize"
            && Attributes(&node.attribute).text("mode").ok().flatten().is_none_or(|mode| mode == "nearest")
}

/// The operands of a node whose elements it moves.
pub(super) fn moved(node: &NodeProto) -> &[String] {
    match node.op_type.as_str() {
        "Concat" => &node.input,
        _ => node.input.get(..1).unwrap_or(&[]),
    }
}

/// The values of a graph.
pub(super) struct Flow<'g> {
    /// Where external weights lie, if there may be such.
    folder: Option<&'g WeightFolder>,
    /// Weights and the tensors of Constant nodes, by name.
    constants: BTreeMap<&'g str, &'g TensorProto>,
    /// Names of values that depend on the numbers in an input.
    dependent: BTreeSet<&'g str>,
    /// The nodes that read a value.
    readers: BTreeMap<&'g str, Vec<&'g NodeProto>>,
    /// Inputs of whole numbers, and what such arithmetic makes of them, with their type.
    whole: BTreeMap<&'g str, DataType>,
    /// Inputs, and what is moved from them alone.
    given: BTreeSet<&'g str>,
}

impl<'g> Flow<'g> {
    /// The values of a graph, of whose inputs some stand for constants.
    pub(super) fn of(
        graph: &'g GraphProto,
        folder: Option<&'g WeightFolder>,
        is_constant: impl Fn(&str) -> bool,
    ) -> Self {
        let mut flow = Flow {
            folder,
            constants: known_constants(graph),
            dependent: BTreeSet::new(),
            readers: BTreeMap::new(),
            whole: BTreeMap::new(),
            given: BTreeSet::new(),
        };
        for input in inputs::data_inputs(graph).filter(|input| !is_constant(&input.name)) {
            flow.dependent.insert(&input.name);
            flow.given.insert(&input.name);
            if let Some(element_type) = inputs::element_type(input).filter(|&it| is_whole(it)) {
                flow.whole.insert(&input.name, element_type);
            }
        }
        graph.node.iter().for_each(|node| flow.follow(node));
        flow
    }

    fn follow(&mut self, node: &'g NodeProto) {
        for name in &node.input {
            self.readers.entry(name).or_default().push(node);
        }
        let outputs = || node.output.iter().map(String::as_str);
        if !OF_SHAPES.contains(&node.op_type.as_str()) && node.input.iter().any(|name| self.depends(name)) {
            self.dependent.extend(outputs());
        }
        if let Some(element_type) = self.whole_result(node) {
            self.whole.extend(outputs().map(|output| (output, element_type)));
        }
        if moves(node) && !moved(node).is_empty() && moved(node).iter().all(|name| self.is_given(name)) {
            self.given.extend(outputs());
        }
    }

    /// The type of a node's results if they are whole numbers that depend on the input.
    fn whole_result(&self, node: &NodeProto) -> Option<DataType> {
        let of_first = self.whole(node.input.first()?);
        match node.op_type.as_str() {
            "Cast" => of_first.and(cast_target(node)).filter(|&target| is_whole(target)),
            "Add" | "Mul" | "Sub" => of_first.or_else(|| self.whole(node.input.get(1)?)),
            _ if moves(node) => of_first,
            _ => None,
        }
    }

    /// The tensor of a weight or a Constant node.
    pub(super) fn constant(&self, name: &str) -> Option<&'g TensorProto> {
        self.constants.get(name).copied()
    }

    /// The elements of a weight or a Constant node.
    pub(super) fn values(&self, name: &str) -> Option<Vec<f64>> {
        let constant = constants::read_weight(self.constant(name)?, name, self.folder).ok()?;
        Some(constant.tensor.data.clone())
    }

    /// Whether a value depends on the numbers in an input.
    pub(super) fn depends(&self, name: &str) -> bool {
        self.dependent.contains(name)
    }

    /// The type of a value that is an input of whole numbers, or computed from such alone.
    pub(super) fn whole(&self, name: &str) -> Option<DataType> {
        self.whole.get(name).copied()
    }

    /// Whether a value is an input, or moved from one.
    pub(super) fn is_given(&self, name: &str) -> bool {
        self.given.contains(name)
    }

    /// The nodes that read a value.
    pub(super) fn readers(&self, name: &str) -> &[&'g NodeProto] {
        self.readers.get(name).map_or(&[], Vec::as_slice)
    }

    /// The only node that reads a value.
    pub(super) fn only_reader(&self, name: &str) -> Option<&'g NodeProto> {
        if let [reader] = self.readers(name) { Some(reader) } else { None }
    }
}

fn known_constants(graph: &GraphProto) -> BTreeMap<&str, &TensorProto> {
    let weights = graph.initializer.iter().map(|weight| (weight.name.as_str(), weight));
    let nodes = graph.node.iter().filter(|node| node.op_type == "Constant").filter_map(|node| {
        let tensor = Attributes(&node.attribute).tensor("value").ok().flatten()?;
        Some((node.output.first()?.as_str(), tensor))
    });
    weights.chain(nodes).collect()
}

/// Whether elements of a type are whole numbers or truth values.
fn is_whole(element_type: DataType) -> bool {
    constants::kind(element_type) != ElementKind::Real
}
