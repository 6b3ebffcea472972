//! Events as text with the time left, for programs; they say where it is written.

use std::fmt;
use std::io::Write;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use crate::events::{Event, Undertaking};

/// Between two lines where nothing can be written in place.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// How parts that are done are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// Over the line before, as a terminal shows it.
    InPlace,
    /// As a line now and then.
    Lines,
}

/// Writes what it hears. What cannot be written is not: progress is no reason to fail.
#[derive(Debug)]
pub struct ProgressText<W: Write> {
    out: W,
    style: Style,
    undertaking: Option<Undertaking>,
    begun: Instant,
    last_line: Instant,
    /// Whether a line stands that is to be written over.
    pending: bool,
}

impl<W: Write> ProgressText<W> {
    /// For a terminal.
    pub fn in_place(out: W) -> Self {
        ProgressText::new(out, Style::InPlace)
    }

    /// For anything else.
    pub fn in_lines(out: W) -> Self {
        ProgressText::new(out, Style::Lines)
    }

    fn new(out: W, style: Style) -> Self {
        let now = Instant::now();
        ProgressText { out, style, undertaking: None, begun: now, last_line: now, pending: false }
    }

    /// Writes an event; it never stops the work.
    pub fn hear(&mut self, event: Event<'_>) -> ControlFlow<()> {
        let _ = match event {
            Event::Begins(undertaking) => self.begin(undertaking),
            Event::Done { done, all } => self.write_part(done, all),
            Event::Epoch(end) => self.write_line(format_args!("{}{end}", self.subject())),
            Event::NothingBetter => self.write_line(format_args!(
                "warning: {}training found nothing better on the samples it held back; the network is that before it",
                self.subject()
            )),
            Event::Said(line) => self.write_line(format_args!("{line}")),
        };
        ControlFlow::Continue(())
    }

    fn begin(&mut self, undertaking: Undertaking) -> std::io::Result<()> {
        self.undertaking = Some(undertaking);
        (self.begun, self.last_line) = (Instant::now(), Instant::now());
        self.clear()
    }

    /// Empties the line that is written in place.
    fn clear(&mut self) -> std::io::Result<()> {
        match std::mem::take(&mut self.pending) {
            true => write!(self.out, "\r\x1b[K"),
            false => Ok(()),
        }
    }

    fn write_line(&mut self, line: fmt::Arguments<'_>) -> std::io::Result<()> {
        self.clear()?;
        writeln!(self.out, "{line}")
    }

    fn write_part(&mut self, done: usize, all: usize) -> std::io::Result<()> {
        let name = match self.undertaking {
            Some(Undertaking::Steps) => "calibrate, bn, ct",
            Some(Undertaking::Fidelity) => "choice of PAFs",
            Some(Undertaking::Search) => "search",
            // Epochs of training have lines of their own.
            Some(Undertaking::Training | Undertaking::Control) | None => return Ok(()),
        };
        let (before, after) = match self.style {
            Style::InPlace => ("\r", "\x1b[K"),
            Style::Lines if self.last_line.elapsed() < LINE_EVERY => return Ok(()),
            Style::Lines => ("", "\n"),
        };
        (self.last_line, self.pending) = (Instant::now(), self.style == Style::InPlace);
        let left = self.begun.elapsed().as_secs_f64() / done.max(1) as f64 * all.saturating_sub(done) as f64;
        write!(self.out, "{before}{name}: {done} of {all}, {left:.0} s left{after}")?;
        self.out.flush()
    }

    fn subject(&self) -> &'static str {
        if self.undertaking == Some(Undertaking::Control) { "control: " } else { "" }
    }
}

impl<W: Write> Drop for ProgressText<W> {
    fn drop(&mut self) {
        let _ = self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_sees_one_line_and_a_file_whole_ones() {
        let events = [
            Event::Begins(Undertaking::Search),
            Event::Done { done: 3, all: 3 },
            Event::Begins(Undertaking::Control),
            Event::Done { done: 1, all: 8 },
            Event::NothingBetter,
            Event::Said("epoch 1"),
        ];
        let warning = "warning: control: training found nothing better on the samples it held back; the network is that \
                       before it\nepoch 1\n";
        let (mut terminal, mut file) = (Vec::new(), Vec::new());
        let (mut in_place, mut in_lines) = (ProgressText::in_place(&mut terminal), ProgressText::in_lines(&mut file));
        for event in events {
            assert_eq!(
                (in_place.hear(event), in_lines.hear(event)),
                (ControlFlow::Continue(()), ControlFlow::Continue(()))
            );
        }
        drop((in_place, in_lines));
        let search = "\rsearch: 3 of 3, 0 s left\x1b[K\r\x1b[K";
        assert_eq!(String::from_utf8(terminal).unwrap(), format!("{search}{warning}"));
        assert_eq!(String::from_utf8(file).unwrap(), warning, "no part was 10 seconds after the one before");
    }
}
