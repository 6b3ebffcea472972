//! What a CKKS engine is, as values: which parameters are secure, what keys and bootstraps take, what work costs.
//!
//! Whoever plans for an engine reads them here, and so does whoever runs one: passes, the circuit file, the runtime. The
//! crate holds neither ciphertexts nor operations on them, and does no I/O.

mod bootstrap;
mod costs;
mod counts;
mod keys;
mod parameters;
mod residence;

pub use bootstrap::{Bootstrap, Stage};
pub use costs::{MEASURED_BOOTSTRAP, MEASURED_LIMBS, MEASURED_RING, MachineCosts, Work, WorkKind};
pub use counts::Counts;
pub use keys::{
    EvaluationKey, bootstrap_count, bootstrap_slots, key_uses, merge_levels, relinearization_level, rotation_levels,
};
pub use parameters::{
    LOG_QP_LIMITS_128, LOG_QP_LIMITS_SOURCE, Parameters, SPECIAL_PRIME_BITS, Secret, log_qp_limit_128,
};
pub use residence::{Change, Residence};
