//! Progress with time left, on stderr.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Between two lines where stderr is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// One piece of long work.
#[derive(Debug)]
pub(crate) struct Reporter {
    name: String,
    start: Instant,
    last_line: Instant,
    terminal: bool,
    quiet: bool,
}

impl Reporter {
    /// Starts the clock of a piece of work.
    pub(crate) fn new(name: &str, quiet: bool) -> Self {
        let now = Instant::now();
        Reporter { name: name.to_owned(), start: now, last_line: now, terminal: std::io::stderr().is_terminal(), quiet }
    }

    /// Reports that a part is done: in place on a terminal, as a line now and then elsewhere.
    pub(crate) fn report(&mut self, done: usize, all: usize) {
        if self.quiet || (!self.terminal && self.last_line.elapsed() < LINE_EVERY) {
            return;
        }
        self.last_line = Instant::now();
        let spent = self.start.elapsed().as_secs_f64();
        let left = spent / done.max(1) as f64 * all.saturating_sub(done) as f64;
        let (before, after) = if self.terminal { ("\r", "\x1b[K") } else { ("", "\n") };
        eprint!("{before}{}: {done} of {all}, {left:.0} s left{after}", self.name);
        let _ = std::io::stderr().flush();
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        if self.terminal && !self.quiet {
            eprint!("\r\x1b[K");
        }
    }
}
