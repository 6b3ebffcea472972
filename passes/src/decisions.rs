//! What the passes are given besides a graph: samples, and what was decided for its nodes before.

use std::collections::BTreeMap;

use crate::approximate::Scaling;
use crate::paf::Paf;

/// Samples for calibration: for each sample one flat tensor per input of the graph.
pub type CalibrationSamples = Vec<Vec<Vec<f64>>>;

/// What is decided for nodes by name: by the user, or by recovery.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decisions {
    /// The PAF of a node.
    pub pafs: BTreeMap<String, Paf>,
    /// The static scale S of a node, a pool's guard included; otherwise calibration decides.
    pub scales: BTreeMap<String, Scaling>,
    /// The least range of an input: what recovery saw there. Samples widen it.
    pub ranges: BTreeMap<String, (f64, f64)>,
}

impl Decisions {
    /// These, and where they leave a node open the other ones.
    pub fn or(mut self, others: Decisions) -> Self {
        for (node, paf) in others.pafs {
            self.pafs.entry(node).or_insert(paf);
        }
        for (node, scale) in others.scales {
            self.scales.entry(node).or_insert(scale);
        }
        for (input, range) in others.ranges {
            self.ranges.entry(input).or_insert(range);
        }
        self
    }
}
