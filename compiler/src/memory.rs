//! How much memory a compilation takes, from shapes and the number of samples, before it takes it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use paf_adapt::fidelity::{LEAST_SAMPLES, fitted_at_once};
use paf_ir::tensor::Graph;
use paf_passes::fold::fold;
use paf_passes::lower::LowerOptions;
use paf_passes::memory::{lowering, values, weights};

use crate::error::CompileError;
use crate::options::{Calibration, CompileOptions, Recovery};

/// What the program and its tables take.
const PROGRAM: u64 = 9 << 20;

/// Bytes of an element of a sample while a file is read: as it is there, as it was parsed, and by sample.
const READING: u64 = 20;

/// Copies of values while PAFs are chosen: a layer's results before and after it was corrected.
const CHOOSING: u64 = 2;

/// Bytes of the beginning of a `.npy` that says its type.
const HEAD: usize = 128;

/// What a compilation takes at its peak with any number of samples.
struct Estimator<'c> {
    options: &'c CompileOptions,
    lower: &'c LowerOptions,
    graph: &'c Graph,
    folded: Graph,
}

/// Bytes that a compilation takes at its peak, about.
///
/// # Errors
/// [`CompileError::Memory`] if that is more than the options allow, with what would fit.
pub(crate) fn checked(options: &CompileOptions, lower: &LowerOptions, graph: &Graph) -> Result<u64, CompileError> {
    let folded = fold(graph)?;
    let estimator = Estimator { options, lower, graph, folded };
    let samples = samples(&options.calibration, graph);
    let needed = estimator.bytes(samples);
    match options.compile_memory {
        Some(allowed) if needed > allowed => {
            let fitting = estimator.fitting(samples, allowed);
            Err(CompileError::Memory { needed, allowed, samples, fitting })
        }
        _ => Ok(needed),
    }
}

impl Estimator<'_> {
    fn bytes(&self, samples: usize) -> u64 {
        let elements: usize = self.graph.inputs.iter().map(|input| self.graph.node(input.0).shape.size()).sum();
        let read = READING * (samples * elements) as u64;
        let (at_once, copies) = match self.chooses(samples) {
            true => (fitted_at_once(self.graph, samples), CHOOSING),
            false => (samples, 1),
        };
        let followed = copies * values(self.graph, at_once);
        PROGRAM + weights(self.graph) + read + followed.max(lowering(&self.folded, at_once, self.lower))
    }

    /// Whether PAFs are chosen by samples where nobody names any.
    fn chooses(&self, samples: usize) -> bool {
        samples >= LEAST_SAMPLES && self.options.pafs.is_empty() && self.options.recovery == Recovery::None
    }

    /// The most samples with which it takes no more than is allowed; none if one is too many.
    fn fitting(&self, samples: usize, allowed: u64) -> Option<usize> {
        let (mut fit, mut too_many) = (0, samples);
        while too_many - fit > 1 {
            let middle = usize::midpoint(fit, too_many);
            if self.bytes(middle) <= allowed { fit = middle } else { too_many = middle }
        }
        (fit > 0).then_some(fit)
    }
}

/// How many samples there are, as far as the first file's size says.
fn samples(calibration: &Calibration, graph: &Graph) -> usize {
    match (calibration, graph.inputs.first()) {
        (Calibration::Samples(samples), _) => samples.len(),
        (Calibration::Files(files), Some(input)) => {
            let elements = graph.node(input.0).shape.size().max(1);
            files.first().and_then(|file| values_in(file)).map_or(0, |values| values.div_ceil(elements))
        }
        _ => 0,
    }
}

/// About how many values a `.npy` holds; `None` if it cannot be read, which reading it says better.
fn values_in(file: &Path) -> Option<usize> {
    let mut head = vec![];
    let mut opened = File::open(file).ok()?;
    opened.by_ref().take(HEAD as u64).read_to_end(&mut head).ok()?;
    let is_double = head.windows(2).any(|pair| pair == b"f8");
    let bytes = opened.metadata().ok()?.len().saturating_sub(HEAD as u64);
    Some(bytes as usize / if is_double { 8 } else { 4 })
}
