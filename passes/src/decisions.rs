//! What the passes are given besides a graph: samples, and what was decided for its nodes before.

use std::collections::BTreeMap;

use paf_ir::random::SplitMix64;

use crate::approximate::Scaling;
use crate::paf::Paf;

/// Samples for calibration: for each sample one flat tensor per input of the graph.
pub type CalibrationSamples = Vec<Vec<Vec<f64>>>;

/// Samples looked at where magnitudes are asked for: the scales that bring values to about 1 come from all of them already.
const FEW: usize = 6;

/// A few samples, or where there are none inputs drawn from their ranges: the ends of each, and numbers between them from a
/// fixed seed. `inputs` says of each input how many elements it has and what range.
pub(crate) fn a_few(samples: &CalibrationSamples, inputs: &[(usize, (f64, f64))]) -> CalibrationSamples {
    if !samples.is_empty() {
        return samples.iter().take(FEW).cloned().collect();
    }
    let mut numbers = SplitMix64::new(0);
    let all = |part: &mut dyn FnMut() -> f64| -> Vec<Vec<f64>> {
        let input =
            |&(size, (low, high)): &(usize, (f64, f64))| (0..size).map(|_| low + (high - low) * part()).collect();
        inputs.iter().map(input).collect()
    };
    let mut drawn = vec![all(&mut || 0.0), all(&mut || 1.0)];
    drawn.extend((drawn.len()..FEW).map(|_| all(&mut || numbers.uniform())));
    drawn
}

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

    /// Without what is decided for some nodes.
    #[must_use]
    pub(crate) fn without(mut self, is_gone: impl Fn(&str) -> bool) -> Self {
        self.pafs.retain(|node, _| !is_gone(node));
        self.scales.retain(|node, _| !is_gone(node));
        self
    }
}
