//! Progress on stderr: a bar with the time left on a terminal, plain lines otherwise, nothing with `--json`.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use paf_files::Bytes;
use paf_files::memory::current_bytes;
use paf_runtime::executor::Step;

use super::report::{Format, about};

/// How a command shows progress.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Progress {
    Quiet,
    Lines,
    Bar,
}

impl Progress {
    /// Chooses by the format of the report and by whether stderr is a terminal.
    pub(crate) fn new(format: Format) -> Self {
        match (format, std::io::stderr().is_terminal()) {
            (Format::Json, _) => Progress::Quiet,
            (_, true) => Progress::Bar,
            _ => Progress::Lines,
        }
    }

    /// Starts a phase.
    pub(crate) fn phase(self, name: &'static str) -> Phase {
        let bar = matches!(self, Progress::Bar).then(|| bar(name));
        if matches!(self, Progress::Lines) {
            paf_files::say!("{name}");
        }
        let (last, layers) = (String::new(), Layers::default());
        Phase { progress: self, name, bar, last, layers, start: Instant::now() }
    }
}

fn bar(name: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(0);
    let template = "{prefix:8} {bar:30} {percent:>3}%  {elapsed} elapsed  {msg}";
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
    layers: Layers,
    start: Instant,
}

/// What has been said of an evaluation.
#[derive(Debug, Default)]
struct Layers {
    /// The estimated cost that was done when the evaluation began: more than none if it was resumed.
    first: Option<u64>,
    sample: usize,
    /// The layers of the sample that have a line.
    told: BTreeSet<String>,
}

impl Layers {
    /// Whether a layer is new in its sample: operations of several layers alternate.
    fn is_new(&mut self, sample: usize, layer: &str) -> bool {
        if sample != self.sample {
            self.told.clear();
            self.sample = sample;
        }
        self.told.insert(layer.to_owned())
    }
}

/// Seconds left if what is left takes as long as what was done since the beginning; unknown before the first percent.
fn seconds_left(elapsed: f64, first: u64, done: u64, total: u64) -> Option<f64> {
    (done > first && done - first >= total / 100).then(|| elapsed * (total - done) as f64 / (done - first) as f64)
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
            paf_files::say!("{}: {message}", self.name);
            message.clone_into(&mut self.last);
        }
    }

    /// Says which layer an evaluation is at, with time left and memory in use; a line for each layer of a sample, when
    /// it is reached for the first time.
    pub(crate) fn layer(&mut self, sample: usize, samples: usize, step: Step<'_>) {
        if matches!(self.progress, Progress::Quiet) {
            return;
        }
        let (done, total) = (sample as u64 * step.total + step.done, samples as u64 * step.total);
        let first = *self.layers.first.get_or_insert(done);
        let is_new = self.layers.is_new(sample, step.layer);
        if is_new || self.bar.is_some() {
            let left = seconds_left(self.start.elapsed().as_secs_f64(), first, done, total);
            let left = left.map_or_else(String::new, |left| format!(", {} left", about(left)));
            let memory = current_bytes().map_or_else(String::new, |memory| format!(", {}", Bytes(memory)));
            let percent = 100 * done / total.max(1);
            let sample = format!("sample {} of {samples}", sample + 1);
            match &self.bar {
                Some(bar) => {
                    bar.set_length(total);
                    bar.set_position(done);
                    bar.set_message(format!("{}{left}{memory}, {sample}", step.layer));
                }
                None => paf_files::say!("{}: {sample}, {percent} %{left}{memory}, {}", self.name, step.layer),
            }
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
            paf_files::say!("{}: {seconds:.2} s", self.name);
        }
        seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_told_once_a_sample() {
        let mut layers = Layers::default();
        let told: Vec<bool> =
            [(0, "a"), (0, "b"), (0, "a"), (0, "b"), (1, "a"), (1, "a")].map(|(s, l)| layers.is_new(s, l)).into();
        assert_eq!(told, [true, true, false, false, true, false]);
    }

    #[test]
    fn time_left_counts_what_this_process_did() {
        assert_eq!(seconds_left(10.0, 0, 25, 100), Some(30.0));
        assert_eq!(seconds_left(10.0, 50, 75, 100), Some(10.0));
        assert_eq!(seconds_left(0.1, 50, 50, 100), None);
        assert_eq!(seconds_left(0.1, 0, 5, 1000), None);
    }
}
