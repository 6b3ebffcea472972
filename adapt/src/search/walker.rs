//! Walks of many mixes: each begins where it first differs from the one before.

use paf_passes::PassError;
use paf_passes::paf::Paf;

use crate::error::RecoveryError;
use crate::network::Network;
use crate::steps::{NodeReport, Walk};

/// Bytes of values that earlier states may keep; those that are reached soonest from the start go first.
const MOST_BYTES: usize = 2 << 30;

/// For each ReLU and MaxPool in graph order the index of its PAF.
pub(super) type Assignment = Vec<usize>;

/// Walks mixes of some PAFs.
pub(super) struct Walker<'a> {
    pafs: &'a [Paf],
    start: Walk<'a>,
    /// What was decided in the last walk.
    taken: Assignment,
    /// The last walk as it was before each decision.
    states: Vec<Option<Walk<'a>>>,
}

impl<'a> Walker<'a> {
    pub(super) fn new(start: Walk<'a>, pafs: &'a [Paf]) -> Self {
        Walker { pafs, start, taken: vec![], states: vec![] }
    }

    /// The network with these PAFs, and what was found out about its nodes; `None` if a PAF cannot be used where it
    /// stands.
    pub(super) fn walk(&mut self, assignment: &[usize]) -> Result<Option<(Network, Vec<NodeReport>)>, RecoveryError> {
        let mut walk = self.latest_state(assignment);
        while walk.advance()?.is_some() {
            let place = self.taken.len();
            self.keep(walk.clone());
            let paf = self.pafs[assignment[place]].clone();
            self.taken.push(assignment[place]);
            let Some(()) = usable(walk.tuned(paf).and_then(|tuned| walk.place(tuned)))? else { return Ok(None) };
        }
        Ok(Some(walk.finish()))
    }

    /// The latest state that an assignment shares with the last walk; later ones are forgotten.
    fn latest_state(&mut self, assignment: &[usize]) -> Walk<'a> {
        let shared = self.taken.iter().zip(assignment).take_while(|(a, b)| a == b).count();
        let usable = self.states.iter().take(shared + 1).rposition(Option::is_some);
        let kept = usable.unwrap_or(0);
        let state = usable.and_then(|place| self.states[place].take());
        self.states.truncate(kept);
        self.taken.truncate(kept);
        state.unwrap_or_else(|| self.start.clone())
    }

    fn keep(&mut self, walk: Walk<'a>) {
        self.states.push(Some(walk));
        let bytes = |states: &[Option<Walk<'_>>]| states.iter().flatten().map(Walk::bytes).sum::<usize>();
        while bytes(&self.states) > MOST_BYTES {
            let Some(first) = self.states.iter_mut().find(|state| state.is_some()) else { return };
            *first = None;
        }
    }
}

/// `None` for a PAF that cannot be used where it stands: a pool is too large for it, or values stop being finite or leave
/// their scale.
pub(crate) fn usable<T>(result: Result<T, RecoveryError>) -> Result<Option<T>, RecoveryError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(RecoveryError::Pass(
            PassError::PoolTooLarge { .. } | PassError::NotFinite { .. } | PassError::OutOfRange { .. },
        )) => Ok(None),
        Err(error) => Err(error),
    }
}
