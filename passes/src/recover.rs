//! What `recover` hands to the passes: samples, and the PAFs and scales that it decided on.

use std::collections::BTreeMap;

use crate::approximate::Scaling;
use crate::paf::Paf;

/// Samples for calibration: for each sample one flat tensor per input of the graph.
pub type Samples = Vec<Vec<Vec<f64>>>;

/// What a pre-pass may decide for a node, by name.
#[derive(Debug, Clone, Default)]
pub struct Recovered {
    /// The PAF of a node.
    pub pafs: BTreeMap<String, Paf>,
    /// The static scale S of a node, a pool's guard included; otherwise calibration decides.
    pub scales: BTreeMap<String, Scaling>,
}
