//! What a recovery tells while it runs, and how whoever listens stops it.

use std::ops::ControlFlow;

use crate::error::RecoveryError;
use crate::training::EpochEnd;

/// Something that happened.
#[derive(Debug, Clone, Copy)]
pub enum Event<'e> {
    /// A stretch of work begins; what is told next belongs to it.
    Begins(Undertaking),
    /// Parts of the work are done, of all. Nodes for the steps, nodes and mixes for the search, batches for an epoch of
    /// training.
    Done {
        /// Parts that are done.
        done: usize,
        /// All parts.
        all: usize,
    },
    /// An epoch of training is over.
    Epoch(&'e EpochEnd<'e>),
    /// Training found nothing better on the samples that it held back: the network is the one before it.
    NothingBetter,
    /// An external command wrote a line.
    Said(&'e str),
}

/// A stretch of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undertaking {
    /// The steps without gradients, for one PAF a node.
    Steps,
    /// The choice of PAFs with which a network predicts as the original does.
    Fidelity,
    /// The search for the PAF of each node.
    Search,
    /// Training of the network with its PAFs.
    Training,
    /// Training of the exact network, for comparison.
    Control,
}

/// Whoever listens; [`ControlFlow::Break`] stops the work with [`RecoveryError::Stopped`].
pub type Listener<'l> = dyn FnMut(Event<'_>) -> ControlFlow<()> + 'l;

/// Tells an event.
///
/// # Errors
/// [`RecoveryError::Stopped`] if the listener has had enough.
pub fn tell(listener: &mut Listener<'_>, event: Event<'_>) -> Result<(), RecoveryError> {
    match listener(event) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(RecoveryError::Stopped),
    }
}

/// A listener that lets everything run.
pub fn unheard(_: Event<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}
