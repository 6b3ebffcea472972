//! Observers: who is told how far a piece of work is, and may stop it.

use std::ops::ControlFlow;

use crate::{EngineError, Result};

/// Told the number of parts that are done and their total before each part; a break stops the work there.
pub type Watch<'w> = dyn FnMut(usize, usize) -> ControlFlow<()> + 'w;

/// What an observer answers: nothing, or whether to go on.
///
/// ```
/// use std::ops::ControlFlow;
/// use paf_engine::Answer;
///
/// fn count(mut observer: impl FnMut(usize) -> ControlFlow<()>) -> usize {
///     (0..10).take_while(|&number| observer(number).is_continue()).count()
/// }
/// fn work<A: Answer>(observer: &mut dyn FnMut(usize) -> A) -> usize {
///     count(|number| observer(number).flow())
/// }
///
/// assert_eq!(work(&mut |_| {}), 10);
/// assert_eq!(work(&mut |number| if number < 4 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }), 4);
/// ```
pub trait Answer {
    /// Whether to go on.
    fn flow(self) -> ControlFlow<()>;
}

impl Answer for () {
    fn flow(self) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

impl Answer for ControlFlow<()> {
    fn flow(self) -> ControlFlow<()> {
        self
    }
}

/// An observer that lets everything go on.
pub fn unwatched(_: usize, _: usize) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

impl EngineError {
    /// [`EngineError::Cancelled`] for a break.
    ///
    /// # Errors
    /// Only that.
    pub fn unless_cancelled(flow: ControlFlow<()>) -> Result<()> {
        if flow.is_break() { Err(EngineError::Cancelled) } else { Ok(()) }
    }
}
