//! The engine suite's cases as circuits.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::sync::{Mutex, MutexGuard, PoisonError};

use paf_circuit::{Circuit, Model, Prediction};
use paf_engine::suite::cases::{self, SampleFunction};
use paf_ir::ckks::Verified;
use paf_scheme::{Parameters, Work, WorkKind};

/// A circuit and what it must compute for one sample, values before post-processing.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) circuit: Circuit,
    pub(crate) samples: Vec<Vec<f64>>,
    pub(crate) expected: SampleFunction,
}

impl From<cases::Case> for Case {
    fn from(case: cases::Case) -> Self {
        let circuit = circuit(case.name, case.parameters, case.program);
        Case { name: case.name, circuit, samples: case.samples, expected: case.expected }
    }
}

/// Tests that measure or that use much memory take turns.
pub(crate) fn exclusive() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The results of all samples, none of which is refused.
pub(crate) fn usable<T, E: std::fmt::Debug>(results: Result<Vec<Result<T, E>>, E>) -> Vec<T> {
    results.and_then(|results| results.into_iter().collect()).expect("results of every sample")
}

pub(crate) fn circuit(name: &str, parameters: Parameters, program: Verified) -> Circuit {
    let model = Model {
        name: name.into(),
        source_sha256: [7; 32],
        compiler: "test".into(),
        pafs: vec![],
        notes: vec!["built by hand".into()],
        fidelity: None,
    };
    let work = Work::of(WorkKind::KeySwitch, 0.07) + Work::of(WorkKind::Rescale, 0.03);
    let prediction = Prediction {
        peak_bytes: 1 << 20,
        seconds: 0.1,
        precision_bits: 20.0,
        work,
        machine: String::new(),
        key_memory: 0,
    };
    Circuit { model, parameters, program, prediction }
}

pub(crate) fn arithmetic_case() -> Case {
    cases::arithmetic_case().into()
}

pub(crate) fn relu_case() -> Case {
    cases::relu_case().into()
}

pub(crate) fn network_case() -> Case {
    cases::network_case().into()
}

pub(crate) fn refreshing_case() -> Case {
    cases::refreshing_case().into()
}

pub(crate) fn refined_case(refinement_bits: u32) -> Case {
    cases::refined_case(refinement_bits).into()
}

/// All cases without bootstraps.
pub(crate) fn cases() -> Vec<Case> {
    cases::cases().into_iter().map(Case::from).collect()
}
