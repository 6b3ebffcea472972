//! Seconds by kind of operation, summed over all evaluations of a server.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use paf_ir::ckks::Op;

/// What evaluations have taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OperationSeconds {
    /// Bootstraps.
    pub bootstraps: f64,
    /// Linear maps, the encoding of their plaintexts included.
    pub linear_maps: f64,
    /// Encoding of plaintexts that were not encoded ahead.
    pub encoding: f64,
    /// All that is neither: the products, rescales and sums of activations, most of it.
    pub polynomials: f64,
}

/// Nanoseconds so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    bootstraps: AtomicU64,
    linear_maps: AtomicU64,
    polynomials: AtomicU64,
}

impl Tally {
    pub(crate) fn add(&self, op: &Op, time: Duration) {
        let kind = match op {
            Op::Bootstrap { .. } => &self.bootstraps,
            Op::Linear { .. } => &self.linear_maps,
            _ => &self.polynomials,
        };
        kind.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
    }

    /// The seconds so far, with what encoding has taken of them.
    pub(crate) fn seconds(&self, encoding: Duration) -> OperationSeconds {
        let seconds = |kind: &AtomicU64| kind.load(Ordering::Relaxed) as f64 / 1e9;
        OperationSeconds {
            bootstraps: seconds(&self.bootstraps),
            linear_maps: seconds(&self.linear_maps),
            encoding: encoding.as_secs_f64(),
            polynomials: seconds(&self.polynomials),
        }
    }
}
