//! Progress on stderr: a bar with the time left on a terminal, plain lines otherwise, nothing with `--json`.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How a command shows progress.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Progress {
    Quiet,
    Lines,
    Bar,
}

impl Progress {
    /// Chooses by `--json` and by whether stderr is a terminal.
    pub(crate) fn new(json: bool) -> Self {
        match (json, std::io::stderr().is_terminal()) {
            (true, _) => Progress::Quiet,
            (_, true) => Progress::Bar,
            _ => Progress::Lines,
        }
    }

    /// Starts a phase.
    pub(crate) fn phase(self, name: &'static str) -> Phase {
        let bar = matches!(self, Progress::Bar).then(|| bar(name));
        if matches!(self, Progress::Lines) {
            eprintln!("{name}");
        }
        Phase { progress: self, name, bar, last: String::new(), start: Instant::now() }
    }
}

fn bar(name: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(0);
    let template = "{prefix:8} {bar:30} {percent:>3}%  {elapsed} elapsed, {eta} left  {msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_prefix(name);
    bar.enable_steady_tick(Duration::from_secs(1));
    bar
}

/// One phase of a command and its time.
pub(crate) struct Phase {
    progress: Progress,
    name: &'static str,
    bar: Option<ProgressBar>,
    last: String,
    start: Instant,
}

impl Phase {
    /// Says how far the phase is; a line is printed only for a new message.
    pub(crate) fn at(&mut self, done: u64, total: u64, message: &str) {
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(done);
            bar.set_message(message.to_owned());
        }
        if matches!(self.progress, Progress::Lines) && message != self.last {
            eprintln!("{}: {message}", self.name);
            message.clone_into(&mut self.last);
        }
    }

    /// An observer for `done` of `total` things of one kind.
    pub(crate) fn counter(&mut self, things: &'static str) -> impl FnMut(usize, usize) {
        move |done, total| self.at(done as u64, total as u64, &format!("{total} {things}"))
    }

    /// Ends the phase and gives its seconds.
    pub(crate) fn end(self) -> f64 {
        let seconds = self.start.elapsed().as_secs_f64();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if matches!(self.progress, Progress::Lines) {
            eprintln!("{}: {seconds:.2} s", self.name);
        }
        seconds
    }
}
