//! `emit`: a scheduled program becomes a circuit.

use paf_circuit::{Circuit, Fidelity, Model, Prediction, ReplacedNode};
use paf_import::ModelSource;
use paf_ir::printable::printable;
use paf_ir::program::InputScaling;
use paf_passes::approximate::{Approximated, Replaced};
use paf_passes::lower::Lowering;
use paf_passes::schedule::Scheduled;
use paf_scheme::MachineCosts;
use sha2::{Digest, Sha256};

/// Assembles the circuit; the program in it is verified by type.
/// `machine` is the one that seconds are predicted for, if it is not the reference machine.
pub fn circuit(model: Model, replaced: &[Replaced], scheduled: Scheduled, machine: Option<&MachineCosts>) -> Circuit {
    let pafs = replaced.iter().map(|node| ReplacedNode {
        node: node.node.clone(),
        operator: node.operator.to_owned(),
        paf: printable(&node.paf).into_owned(),
        scale: node.scale,
        max_error: node.max_error,
    });
    Circuit {
        model: Model { pafs: pafs.collect(), ..model },
        parameters: scheduled.parameters,
        program: scheduled.program,
        prediction: Prediction {
            peak_bytes: scheduled.peak_bytes,
            seconds: scheduled.seconds,
            precision_bits: scheduled.precision_bits,
            work: scheduled.work,
            key_memory: scheduled.key_memory,
            machine: machine.map_or_else(String::new, |machine| printable(&machine.machine).into_owned()),
        },
    }
}

/// What a circuit says of the model that was compiled, with notes for its user.
pub(crate) fn model(source: &ModelSource, notes: Vec<String>, fidelity: Option<Fidelity>) -> Model {
    Model {
        name: printable(&source.name).into_owned(),
        source_sha256: Sha256::digest(&source.bytes).into(),
        compiler: env!("CARGO_PKG_VERSION").to_owned(),
        pafs: vec![],
        notes: notes.iter().map(|note| printable(note).into_owned()).collect(),
        fidelity,
    }
}

/// That a single sample says little of what others reach.
pub(crate) fn note_of_few(samples: usize) -> Option<String> {
    (samples == 1).then(|| "scales come from a single sample, which others may leave: a few hundred are enough".into())
}

/// Which scales come from interval bounds, if some do.
pub(crate) fn note_of_bounds(lowering: &Lowering, approximated: &Approximated) -> Option<String> {
    if !lowering.samples().is_empty() {
        return None;
    }
    let given = &lowering.options().approximation.per_node.scales;
    let is_given = |node: &&Replaced| given.contains_key(&node.node);
    let which = match approximated.replaced.iter().filter(is_given).count() {
        0 => "scales come",
        count if count == approximated.replaced.len() => "scales of outputs come",
        _ => "scales that are not given come",
    };
    let range = |scaling: &InputScaling| format!("[{}, {}]", scaling.range.0, scaling.range.1);
    let mut ranges: Vec<String> = approximated.inputs.iter().map(range).collect();
    ranges.dedup();
    Some(format!(
        "{which} from interval bounds for inputs in {}; --calibration gives smaller ones and less error",
        ranges.join(", ")
    ))
}
