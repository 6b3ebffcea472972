//! What a run takes in memory, by the circuit itself: a file may say anything.

use paf_circuit::Circuit;
use paf_scheme::{CostModel, EngineProfile, MapWork, Work};

/// Predicted peak of a process that evaluates a circuit with so many bytes of evaluation keys in memory at a time, 0 for all of
/// them: what the circuit's own prediction should say, and says where an honest compiler made it.
pub fn peak_bytes(circuit: &Circuit, key_memory: u64) -> u64 {
    let parameters = &circuit.parameters;
    let profile = EngineProfile::of_parameters(parameters).unwrap_or(EngineProfile::openfhe());
    let maps = circuit.program.maps.iter().map(MapWork::of).collect();
    CostModel::new(profile, Work::ONES, maps).prices(parameters).peak_bytes(&circuit.program, key_memory)
}
