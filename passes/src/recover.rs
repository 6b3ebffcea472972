//! `recover`: the hook for accuracy recovery, before any other pass.

use std::collections::BTreeMap;

use paf_ir::tensor::Graph;

use crate::error::PassError;
use crate::paf::Paf;

/// Samples for calibration: for each sample one flat tensor per input of the graph.
pub type Samples = Vec<Vec<Vec<f64>>>;

/// What a pre-pass may decide for a node, by name.
#[derive(Debug, Clone, Default)]
pub struct Recovered {
    /// The PAF of a node.
    pub pafs: BTreeMap<String, Paf>,
    /// The static scale S of a node; otherwise calibration decides.
    pub scales: BTreeMap<String, f64>,
}

/// A pre-pass: takes the imported graph and data, may change weights and choose PAFs and scales per node.
pub trait PrePass {
    /// Runs the pre-pass.
    ///
    /// # Errors
    /// Whatever the pre-pass finds wrong with its data.
    fn run(&self, graph: &mut Graph, samples: &Samples) -> Result<Recovered, PassError>;
}
