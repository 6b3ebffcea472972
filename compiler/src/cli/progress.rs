//! Which step a compilation is in, on stderr: what takes no longer than a second says nothing.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use clap::ValueEnum as _;
use paf_compiler::options::PipelineStep;

/// How long a step says nothing, and how often a terminal hears of it then.
const QUIET: Duration = Duration::from_secs(1);

/// Between two lines where nothing can be written in place.
const LINE_EVERY: u64 = 10;

/// A step that is under way; it says so until it is dropped.
pub(crate) struct StepText {
    ended: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl StepText {
    /// Begins with a step.
    pub(crate) fn begin(step: PipelineStep) -> Self {
        let (ended, end) = channel();
        let tell = move || {
            let begun = Instant::now();
            while end.recv_timeout(QUIET) == Err(RecvTimeoutError::Timeout) {
                write(step, begun.elapsed().as_secs());
            }
            if begun.elapsed() >= QUIET && stderr().is_terminal() {
                let _ = write!(stderr(), "\r\x1b[K");
            }
        };
        // A system without another thread goes on without words.
        let thread = std::thread::Builder::new().spawn(tell).ok();
        StepText { ended: Some(ended), thread }
    }
}

impl Drop for StepText {
    fn drop(&mut self) {
        drop(self.ended.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Progress is no reason to fail: what cannot be written is not.
fn write(step: PipelineStep, seconds: u64) {
    let steps = PipelineStep::value_variants();
    let place = steps.iter().position(|other| *other == step).unwrap_or(0) + 1;
    let name = step.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
    let text = format!("step {place} of {}, {name}: {seconds} s", steps.len());
    let _ = match stderr().is_terminal() {
        true => write!(stderr(), "\r{text}\x1b[K"),
        false if seconds % LINE_EVERY == 1 => writeln!(stderr(), "{text}"),
        false => Ok(()),
    };
}
