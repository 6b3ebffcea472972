//! `model.paf.json`: what was decided for each ReLU and MaxPool, for people and for `paf-compile --paf-file`.
//!
//! ```json
//! {
//!   "version": 1,
//!   "inputs": [{ "input": "x", "low": -1.0, "high": 1.0 }],
//!   "nodes": [
//!     {
//!       "node": "Relu_3", "operator": "Relu", "paf": "f1_g2.cheon",
//!       "order": "first_to_last", "basis": "power",
//!       "components": [[3.2, -5.9, 3.7], [1.5, -0.5]],
//!       "scale": 12.5, "margin": 1.1,
//!       "components_from": "named", "scale_from": "calibrate"
//!     }
//!   ]
//! }
//! ```
//!
//! `components` holds the coefficients of x, x³, x⁵, … of each odd polynomial of a sign. With `"basis": "chebyshev"` it
//! holds those of T_0, T_1, T_2, … of a polynomial for ReLU itself: one list, or one for each channel. `scale` is what the sign's argument is
//! divided by, a pool's guard included: one number, or one for each channel. `inputs` says which values the scales were
//! measured for, input by input; it may be left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use paf_files::write_whole;
use paf_ir::tensor::{Graph, Op};
use paf_passes::approximate::Scaling;
use paf_passes::decisions::Decisions;
use paf_passes::paf::{Form, Paf};
use serde::{Deserialize, Serialize};

use crate::error::RecoveryError;
use crate::network::{Network, NodePaf, Origin};

/// The version that is written, and the only one that is read.
pub const VERSION: u64 = 1;

/// The whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PafFile {
    /// [`VERSION`].
    pub version: u64,
    /// What is known of the network's inputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<PafInput>,
    /// In graph order.
    pub nodes: Vec<PafNode>,
}

/// The range of an input in the data that scales were measured on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PafInput {
    /// Name of the network's input.
    pub input: String,
    /// The smallest value.
    pub low: f64,
    /// The largest value.
    pub high: f64,
}

/// One ReLU or MaxPool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PafNode {
    /// Name of the ONNX node; of its first output, if it has none.
    pub node: String,
    /// Which operator the node is.
    pub operator: PafOperator,
    /// The PAF it started from, or any name.
    pub paf: String,
    /// In which order `components` stand.
    #[serde(default)]
    pub order: ComponentOrder,
    /// In which basis `components` are written.
    #[serde(default)]
    pub basis: Basis,
    /// Odd coefficients of each component of a sign; in the Chebyshev basis those of one polynomial, or of one for each
    /// channel.
    pub components: Vec<Vec<f64>>,
    /// The static scale.
    pub scale: Scale,
    /// Scale by largest magnitude seen, guard aside.
    pub margin: f64,
    /// The step that last changed the components.
    pub components_from: Origin,
    /// The step that last changed the scale.
    pub scale_from: Origin,
}

/// The operators that PAFs stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PafOperator {
    /// `max(x, 0)`.
    Relu,
    /// A tree of maxima.
    MaxPool,
}

/// Order of components. Papers write f∘g for both orders, so the file says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComponentOrder {
    /// The first component takes the input.
    #[default]
    FirstToLast,
    /// The last component takes the input.
    LastToFirst,
}

/// Basis of coefficients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// x, x³, x⁵, …
    #[default]
    Power,
    /// T_0, T_1, T_2, …, of one polynomial for ReLU on [−1, 1].
    Chebyshev,
}

/// A static scale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scale {
    /// For the whole tensor.
    Uniform(f64),
    /// For each channel.
    Channels(Vec<f64>),
}

impl From<&Scaling> for Scale {
    fn from(scaling: &Scaling) -> Self {
        match scaling {
            Scaling::Uniform(scale) => Scale::Uniform(*scale),
            Scaling::Channels(scales) => Scale::Channels(scales.clone()),
        }
    }
}

impl From<&Scale> for Scaling {
    fn from(scale: &Scale) -> Self {
        match scale {
            Scale::Uniform(scale) => Scaling::Uniform(*scale),
            Scale::Channels(scales) => Scaling::Channels(scales.clone()),
        }
    }
}

impl Scale {
    fn values(&self) -> &[f64] {
        match self {
            Scale::Uniform(scale) => std::slice::from_ref(scale),
            Scale::Channels(scales) => scales,
        }
    }
}

impl PafNode {
    fn new(network: &Network, id: paf_ir::tensor::NodeId, chosen: &NodePaf) -> Self {
        let node = network.graph.node(id);
        PafNode {
            node: node.name.clone(),
            operator: if node.op == Op::Relu { PafOperator::Relu } else { PafOperator::MaxPool },
            paf: chosen.paf.name.clone(),
            order: ComponentOrder::FirstToLast,
            basis: if chosen.paf.rectifier().is_some() { Basis::Chebyshev } else { Basis::Power },
            components: match &chosen.paf.form {
                Form::Sign(sign) => {
                    sign.components.iter().map(|component| component.odd_coefficients.clone()).collect()
                }
                Form::Rectifier(rectifier) => rectifier.series.clone(),
            },
            scale: (&chosen.scale).into(),
            margin: chosen.margin,
            components_from: chosen.coefficients_from,
            scale_from: chosen.scale_from,
        }
    }

    /// The PAF: the named one itself if the coefficients are its own.
    fn paf(&self) -> Result<Paf, String> {
        if self.basis == Basis::Chebyshev {
            return Paf::from_series(&self.paf, self.components.clone()).map_err(|error| error.to_string());
        }
        let mut components = self.components.clone();
        if self.order == ComponentOrder::LastToFirst {
            components.reverse();
        }
        if let Ok(named) = Paf::by_name(&self.paf) {
            let own = named.components().iter().map(|component| &component.odd_coefficients);
            if own.eq(&components) {
                return Ok(named);
            }
        }
        Paf::from_components(&self.paf, components).map_err(|error| error.to_string())
    }

    fn check(&self) -> Result<(), String> {
        let scales = self.scale.values();
        if scales.is_empty() || scales.iter().any(|scale| !(scale.is_finite() && *scale > 0.0)) {
            return Err("every scale must be a positive number".into());
        }
        if !(self.margin.is_finite() && self.margin >= 1.0) {
            return Err(format!("margin {}: at least 1 is needed", self.margin));
        }
        Ok(())
    }
}

impl PafFile {
    /// What a network's PAFs are.
    pub fn of(network: &Network) -> Self {
        let nodes = network.pafs.iter().map(|(id, paf)| PafNode::new(network, *id, paf)).collect();
        let inputs = network.ranges.iter().map(|(input, &(low, high))| PafInput { input: input.clone(), low, high });
        PafFile { version: VERSION, inputs: inputs.collect(), nodes }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`RecoveryError::File`] for damage, another version, numbers that are not finite, a node that stands twice.
    pub fn read(path: &Path) -> Result<Self, RecoveryError> {
        let text = std::fs::read_to_string(path).map_err(RecoveryError::io(path))?;
        PafFile::parse(&text).map_err(|problem| RecoveryError::file(path, problem))
    }

    /// Parses the text of a file.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u64,
        }
        let not_pafs = |error: serde_json::Error| format!("is no file of PAFs: {error}");
        let Versioned { version } = serde_json::from_str(text).map_err(not_pafs)?;
        if version != VERSION {
            return Err(format!("has version {version}; this program reads version {VERSION}"));
        }
        let file: PafFile = serde_json::from_str(text).map_err(not_pafs)?;
        let mut names = BTreeSet::new();
        for PafInput { input, low, high } in &file.inputs {
            if !(low.is_finite() && high.is_finite() && low < high) {
                return Err(format!("input `{input}`: low must be below high, and both be numbers"));
            }
            if !names.insert(input) {
                return Err(format!("input `{input}` stands twice"));
            }
        }
        names.clear();
        for node in &file.nodes {
            node.check()
                .and_then(|()| node.paf().map(drop))
                .map_err(|problem| format!("node `{}`: {problem}", node.node))?;
            if !names.insert(&node.node) {
                return Err(format!("node `{}` stands twice", node.node));
            }
        }
        Ok(file)
    }

    /// Writes the file under a temporary name and renames it.
    ///
    /// # Errors
    /// [`RecoveryError::Io`].
    pub fn write(&self, path: &Path) -> Result<(), RecoveryError> {
        let text = serde_json::to_string_pretty(self).map_err(|error| RecoveryError::file(path, error.to_string()))?;
        write_whole(path, (text + "\n").as_bytes()).map_err(RecoveryError::io(path))
    }

    /// What the passes need, checked against the network.
    ///
    /// # Errors
    /// A sentence that names an input or a node that the network has not, or a node that is another operator.
    pub fn decisions(&self, graph: &Graph) -> Result<Decisions, String> {
        let mut decisions = Decisions::default();
        let known: Vec<&str> = graph.inputs.iter().map(|(id, _)| graph.node(*id).name.as_str()).collect();
        for PafInput { input, low, high } in &self.inputs {
            if !known.contains(&input.as_str()) {
                return Err(format!("the network has no input `{input}`; it has {}", known.join(", ")));
            }
            decisions.ranges.insert(input.clone(), (*low, *high));
        }
        for entry in &self.nodes {
            entry.check_against(graph)?;
            let paf = entry.paf().map_err(|problem| format!("node `{}`: {problem}", entry.node))?;
            decisions.pafs.insert(entry.node.clone(), paf);
            decisions.scales.insert(entry.node.clone(), (&entry.scale).into());
        }
        Ok(decisions)
    }

    /// The network with these PAFs.
    ///
    /// # Errors
    /// As [`PafFile::decisions`], and what [`Network::exact`] refuses.
    pub fn network(&self, path: &Path, graph: Graph) -> Result<Network, RecoveryError> {
        let decided = self.decisions(&graph).map_err(|problem| RecoveryError::file(path, problem))?;
        let mut network = Network { ranges: decided.ranges.clone(), ..Network::exact(graph)? };
        let ids: BTreeMap<String, _> = network.nonlinear().map(|(id, node)| (node.name.clone(), id)).collect();
        for entry in &self.nodes {
            let (Some(&id), Some(paf), Some(scale)) =
                (ids.get(&entry.node), decided.pafs.get(&entry.node), decided.scales.get(&entry.node))
            else {
                continue;
            };
            let chosen = NodePaf {
                paf: paf.clone(),
                scale: scale.clone(),
                margin: entry.margin,
                coefficients_from: entry.components_from,
                scale_from: entry.scale_from,
            };
            network.pafs.insert(id, chosen);
        }
        Ok(network)
    }
}

impl PafNode {
    fn check_against(&self, graph: &Graph) -> Result<(), String> {
        let mut nonlinear = graph.nodes().filter(|(_, node)| matches!(node.op, Op::Relu | Op::MaxPool(_)));
        let Some((_, node)) = nonlinear.find(|(_, node)| node.name == self.node) else {
            let known: Vec<&str> = graph
                .nodes()
                .filter(|(_, node)| matches!(node.op, Op::Relu | Op::MaxPool(_)))
                .map(|(_, node)| node.name.as_str())
                .collect();
            return Err(format!("the network has no ReLU or MaxPool `{}`; it has {}", self.node, known.join(", ")));
        };
        let actual = if node.op == Op::Relu { PafOperator::Relu } else { PafOperator::MaxPool };
        if actual != self.operator {
            return Err(format!("node `{}` is a {actual:?} in the network, not a {:?}", self.node, self.operator));
        }
        let (given, channels) = (self.scale.values().len(), node.shape.0.get(1).copied().unwrap_or(1));
        if matches!(self.scale, Scale::Channels(_)) && given != channels {
            return Err(format!("node `{}` has {channels} channels and {given} scales", self.node));
        }
        Ok(())
    }
}
