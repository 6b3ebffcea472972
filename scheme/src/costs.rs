//! What the time of a circuit is made of, and how fast a machine does each of it.
//!
//! [`Work`] is a circuit's share: seconds by kind on the reference machine. [`MachineCosts`] is a machine's: seconds of
//! the same few operations, measured on every machine with the same sizes. Their ratio to the reference machine's turns
//! the one into the seconds of the other.

use std::array;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Index, IndexMut, Mul};

use crate::ReferenceMachine;

/// A kind of work. Which operation stands for it, and of what size, is what `paf-run calibrate-machine` measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WorkKind {
    /// Rotations and relinearizations.
    KeySwitch,
    /// Products with plaintexts over Q·P in linear maps.
    PlaintextProduct,
    /// Encodings of plaintexts at their use.
    Encoding,
    /// Products of ciphertexts, before their relinearization.
    Product,
    /// Rescales.
    Rescale,
    /// Sums, and products with constants: as fast as memory is.
    Addition,
    /// Bootstraps as a whole.
    Bootstrap,
    /// Evaluation keys that are read from their file again.
    KeyLoading,
}

impl WorkKind {
    /// All kinds, in the order of [`Work`] and [`MachineCosts`].
    pub const ALL: [WorkKind; 8] = [
        WorkKind::KeySwitch,
        WorkKind::PlaintextProduct,
        WorkKind::Encoding,
        WorkKind::Product,
        WorkKind::Rescale,
        WorkKind::Addition,
        WorkKind::Bootstrap,
        WorkKind::KeyLoading,
    ];

    /// Its name in files and reports.
    pub fn name(self) -> &'static str {
        match self {
            WorkKind::KeySwitch => "key_switch",
            WorkKind::PlaintextProduct => "plaintext_product",
            WorkKind::Encoding => "encoding",
            WorkKind::Product => "product",
            WorkKind::Rescale => "rescale",
            WorkKind::Addition => "addition",
            WorkKind::Bootstrap => "bootstrap",
            WorkKind::KeyLoading => "key_loading",
        }
    }

    /// How many sizes of it are measured.
    pub fn sizes(self) -> usize {
        if matches!(self, WorkKind::Bootstrap | WorkKind::KeyLoading) { 1 } else { MEASURED_LIMBS.len() }
    }
}

/// An amount by kind of work: seconds on the reference machine, or whatever the user of it says.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Work([f64; WorkKind::ALL.len()]);

impl Work {
    /// One of each kind: how slow the reference machine is in its own measure.
    pub const ONES: Work = Work([1.0; WorkKind::ALL.len()]);

    /// An amount of one kind.
    pub fn of(kind: WorkKind, amount: f64) -> Self {
        let mut work = Work::default();
        work[kind] = amount;
        work
    }

    /// The sum over all kinds.
    pub fn total(&self) -> f64 {
        self.0.iter().sum()
    }

    /// Whether nothing is known or nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|&amount| amount == 0.0)
    }
}

impl Index<WorkKind> for Work {
    type Output = f64;

    fn index(&self, kind: WorkKind) -> &f64 {
        &self.0[kind as usize]
    }
}

impl IndexMut<WorkKind> for Work {
    fn index_mut(&mut self, kind: WorkKind) -> &mut f64 {
        &mut self.0[kind as usize]
    }
}

impl Add for Work {
    type Output = Work;

    fn add(self, other: Work) -> Work {
        Work(array::from_fn(|kind| self.0[kind] + other.0[kind]))
    }
}

impl AddAssign for Work {
    fn add_assign(&mut self, other: Work) {
        *self = *self + other;
    }
}

impl Mul<f64> for Work {
    type Output = Work;

    fn mul(self, factor: f64) -> Work {
        Work(self.0.map(|amount| amount * factor))
    }
}

impl Sum for Work {
    fn sum<I: Iterator<Item = Work>>(amounts: I) -> Work {
        amounts.fold(Work::default(), Add::add)
    }
}

/// Ring dimension of the measured operations but the bootstrap.
pub const MEASURED_RING: usize = 1 << 16;
/// Limbs of their ciphertexts: before a bootstrap, in the middle, and at the top of a chain of 27 with four digits.
pub const MEASURED_LIMBS: [usize; 3] = [3, 11, 27];
/// Ring dimension of the measured bootstrap, and its slots: small, because most of its time is key generation.
pub const MEASURED_BOOTSTRAP: (usize, usize) = (1 << 14, 1 << 10);

/// How fast a machine is: seconds of one operation of each kind and size.
#[derive(Debug, Clone, PartialEq)]
pub struct MachineCosts {
    /// The machine: its processor's name.
    pub machine: String,
    /// Threads that the operations ran on.
    pub threads: u32,
    /// The arithmetic that they ran with.
    pub kernels: String,
    /// By kind in the order of [`WorkKind::ALL`], then by size in the order of [`MEASURED_LIMBS`].
    pub seconds: Vec<Vec<f64>>,
}

impl MachineCosts {
    /// Seconds of work on this machine.
    pub fn seconds_of(&self, work: &Work, reference: &ReferenceMachine) -> f64 {
        let slowness = reference.slowness_of(self);
        WorkKind::ALL.into_iter().map(|kind| work[kind] * slowness[kind]).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EngineProfile;

    #[test]
    fn the_reference_table_has_every_kind_and_size_and_is_its_own_measure() {
        let reference = &EngineProfile::openfhe().reference;
        for kind in WorkKind::ALL {
            assert_eq!(reference.seconds[kind as usize].len(), kind.sizes(), "{}", kind.name());
        }
        assert_eq!(reference.slowness_of(&reference.costs()), Work::ONES);
    }

    #[test]
    fn only_the_work_of_a_kind_is_slower_where_that_kind_is_slower() {
        let reference = &EngineProfile::openfhe().reference;
        let mut machine = reference.costs();
        machine.seconds[WorkKind::Encoding as usize].iter_mut().for_each(|seconds| *seconds *= 3.0);
        let work = Work::of(WorkKind::Encoding, 2.0) + Work::of(WorkKind::Bootstrap, 5.0);
        assert!((machine.seconds_of(&work, reference) - 11.0).abs() < 1e-9);
        assert!((reference.costs().seconds_of(&work, reference) - work.total()).abs() < 1e-9);
    }
}
