//! What a CKKS engine is, as values: which parameters are secure, what keys and bootstraps take, what work costs.
//!
//! Whoever plans for an engine reads them here, and so does whoever runs one: passes, the circuit file, the runtime. What
//! is an engine's own stands in its [`EngineProfile`]; the rest holds for every engine with hybrid key switching. The
//! crate holds neither ciphertexts nor operations on them, and does no I/O.

mod bootstrap;
mod costs;
mod counts;
mod keys;
mod known;
mod memory;
mod openfhe;
mod parameters;
mod prices;
mod profile;
mod residence;
#[cfg(test)]
mod testing;

pub use bootstrap::{Bootstrap, Stage};
pub use costs::{MEASURED_BOOTSTRAP, MEASURED_LIMBS, MEASURED_RING, MachineCosts, Work, WorkKind};
pub use counts::Counts;
pub use keys::{
    KeyPurpose, bootstrap_count, bootstrap_slots, key_sizes, key_uses, merge_levels, relinearization_level,
    rotation_levels,
};
pub use memory::MemoryPlan;
pub use parameters::{
    ENCAPSULATION_LOG_QP, ENCAPSULATION_RING, InsecureTestParameters, LOG_QP_LIMITS_128, LOG_QP_LIMITS_SOURCE,
    LOG_QP_MARGIN, Parameters, Secret, encapsulation_problem, is_secure_choice, log_qp_limit_128,
};
pub use prices::{CostModel, MapWork, Prices};
pub use profile::{
    BootstrapRules, ChainRules, EngineProfile, MemoryFigures, NoiseFigures, PackingPrices, ProgressWeights,
    ReferenceMachine, TimeFigures,
};
pub use residence::{Change, Residence};
