//! The clear engine: circuits on plain numbers, exactly or with the noise that CKKS would add.
//!
//! * [`ClearEvaluator`] computes on plain slot vectors: what simulation and checks compare with.
//! * [`NoiseModel`] is the error that CKKS adds, for a set of parameters and a key.
//! * [`ClearEngine`] is the whole contract of an engine on such vectors. **It protects nothing**: its keys are numbers
//!   that only tell clients apart.

mod bytes;
mod engine;
mod evaluator;
mod matrix;
mod noise;

pub use engine::{ClearEngine, ClearEvaluationKey, ClearKeys, ClearPair};
pub use evaluator::{ClearCiphertext, ClearEvaluator, ClearMaps};
pub use noise::NoiseModel;
