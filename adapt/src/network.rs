//! A network and what stands for its ReLU and MaxPool nodes.

use std::collections::{BTreeMap, BTreeSet};

use paf_ir::tensor::{Graph, Node, NodeId, Op};
use paf_passes::PassError;
use paf_passes::approximate::{Reduction, Scaling, levels_with};
use paf_passes::decisions::Decisions;
use paf_passes::paf::Paf;
use serde::{Deserialize, Serialize};

use crate::error::RecoveryError;

/// The imported graph, not folded, so that each node is still an ONNX node; and the PAF of every node that has one. A
/// ReLU or MaxPool without an entry is computed exactly.
#[derive(Debug, Clone)]
pub struct Network {
    /// Weights are changed with [`Graph::replace_weights`]; nodes stay the same.
    pub graph: Graph,
    /// What stands for a ReLU or MaxPool.
    pub pafs: BTreeMap<NodeId, NodePaf>,
    /// How pools compare, as the circuit's will.
    pub reduction: Reduction,
    /// Range of the values of each input that data have shown, by its name.
    pub ranges: BTreeMap<String, (f64, f64)>,
}

/// What stands for one ReLU or MaxPool.
#[derive(Debug, Clone, PartialEq)]
pub struct NodePaf {
    /// The composite.
    pub paf: Paf,
    /// The static scale: the sign's argument is divided by it; a pool's guard is included.
    pub scale: Scaling,
    /// The scale is this (times a pool's guard) times the largest magnitude that was seen.
    pub margin: f64,
    /// The step that last changed the coefficients.
    pub coefficients_from: Origin,
    /// The step that last changed the scale.
    pub scale_from: Origin,
}

/// A step of recovery, as `model.paf.json` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The coefficients of a named PAF.
    Named,
    /// Measured on data.
    Calibrate,
    /// Least squares on the node's own inputs.
    Ct,
    /// Progressive approximation: training, one node at a time.
    Pa,
    /// Alternate training of coefficients and weights.
    At,
    /// An external command.
    Command,
}

impl Network {
    /// A network without PAFs whose pools compare as circuits do unless told otherwise.
    ///
    /// # Errors
    /// [`RecoveryError::Node`] if two ReLU or MaxPool nodes have one name: files name nodes, so the two could not be
    /// told apart.
    pub fn exact(graph: Graph) -> Result<Self, RecoveryError> {
        let mut names = BTreeSet::new();
        if let Some((_, twin)) = nonlinear(&graph).find(|(_, node)| !names.insert(node.name.as_str())) {
            let problem = "two ReLU or MaxPool operations come from it; give every ONNX node a name of its own".into();
            return Err(RecoveryError::Node { node: twin.name.clone(), problem });
        }
        Ok(Network { graph, pafs: BTreeMap::new(), reduction: Reduction::default(), ranges: BTreeMap::new() })
    }

    /// What a compilation gets to know of it besides its weights.
    pub fn decisions(&self) -> Decisions {
        let by_name = || self.pafs.iter().map(|(id, chosen)| (self.graph.node(*id).name.clone(), chosen));
        Decisions {
            pafs: by_name().map(|(name, chosen)| (name, chosen.paf.clone())).collect(),
            scales: by_name().map(|(name, chosen)| (name, chosen.scale.clone())).collect(),
            ranges: self.ranges.clone(),
        }
    }

    /// Every ReLU and MaxPool in graph order.
    pub fn nonlinear(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        nonlinear(&self.graph)
    }

    /// Names of every ReLU and MaxPool, in graph order, if those that are `given` are among them.
    ///
    /// # Errors
    /// [`PassError::NoSuchNode`] for the first one that is not.
    pub fn check_names<'n>(&self, mut given: impl Iterator<Item = &'n String>) -> Result<Vec<String>, RecoveryError> {
        let known: Vec<String> = self.nonlinear().map(|(_, node)| node.name.clone()).collect();
        match given.find(|name| !known.contains(name)) {
            Some(node) => Err(PassError::NoSuchNode { node: node.clone(), known }.into()),
            None => Ok(known),
        }
    }

    /// Levels of all its PAFs together, each with the product that makes a ReLU of it; every comparison of a pool counts.
    pub fn total_depth(&self) -> usize {
        let depth = |(id, chosen): (&NodeId, &NodePaf)| {
            levels_with(&self.graph.node(*id).op, &chosen.paf, self.reduction) as usize
        };
        self.pafs.iter().map(depth).sum()
    }
}

fn nonlinear(graph: &Graph) -> impl Iterator<Item = (NodeId, &Node)> {
    graph.nodes().filter(|(_, node)| matches!(node.op, Op::Relu | Op::MaxPool(_)))
}
