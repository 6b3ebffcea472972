//! `emit`: a scheduled program becomes a circuit.

use paf_circuit::{Circuit, Model, NodePaf, Prediction};
use paf_passes::approximate::Replaced;
use paf_passes::schedule::Scheduled;
use paf_scheme::MachineCosts;

/// Assembles the circuit; the program in it is verified by type.
/// `machine` is the one that seconds are predicted for, if it is not the reference machine.
pub fn circuit(model: Model, replaced: &[Replaced], scheduled: Scheduled, machine: Option<&MachineCosts>) -> Circuit {
    let pafs = replaced.iter().map(|node| NodePaf {
        node: node.node.clone(),
        operator: node.operator.to_owned(),
        paf: node.paf.clone(),
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
            machine: machine.map_or_else(String::new, |machine| machine.machine.clone()),
        },
    }
}
