//! What a command says on stdout: aligned lines for people, one JSON object with `--json`.

use std::io::Write as _;
use std::path::Path;

use paf_files::Bytes;
use paf_ir::printable::{printable, printable_json};
use paf_runtime::RuntimeError;
use paf_runtime::{InsecureTestParameters, check_security};
use paf_scheme::Parameters;
use serde_json::{Map, Value};

use super::error::Result;

/// How a command says what it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Lines for people, and progress on stderr.
    Text,
    /// One JSON object for programs, and no progress.
    Json,
}

/// Facts in the order in which people read them.
#[derive(Debug, Default)]
pub(crate) struct Report {
    facts: Map<String, Value>,
    lines: Vec<(String, String)>,
}

impl Report {
    /// Adds a fact for programs only.
    pub(crate) fn fact(&mut self, key: &str, value: impl Into<Value>) {
        self.facts.insert(key.to_owned(), value.into());
    }

    /// Adds a line for people only.
    pub(crate) fn line(&mut self, label: impl Into<String>, text: impl Into<String>) {
        self.lines.push((label.into(), text.into()));
    }

    /// Prints the report.
    ///
    /// # Errors
    /// [`RuntimeError::Write`].
    pub(crate) fn print(&self, format: Format) -> Result<()> {
        let text = match format {
            Format::Json => printable_json(&format!("{:#}\n", Value::Object(self.facts.clone()))),
            Format::Text => self.text(),
        };
        let mut out = std::io::stdout().lock();
        let result = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        Ok(result.map_err(|source| RuntimeError::Write { path: "standard output".into(), source })?)
    }

    fn text(&self) -> String {
        let width = self.lines.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
        let line = |(label, text): &(String, String)| format!("{:width$}  {}\n", printable(label), printable(text));
        self.lines.iter().map(line).collect()
    }
}

/// Says on stderr and in the facts that parameters protect nothing.
pub(crate) fn warn_if_insecure(parameters: &Parameters, report: &mut Report) {
    report.fact("insecure", parameters.is_insecure());
    if parameters.is_insecure() {
        paf_files::say!("warning: INSECURE TEST PARAMETERS: anyone can decrypt what this circuit's keys encrypt");
    }
}

/// Refuses parameters that protect nothing, or says what [`warn_if_insecure`] says.
///
/// # Errors
/// [`RuntimeError::InsecureParameters`](paf_runtime::RuntimeError::InsecureParameters).
pub(crate) fn refuse_or_warn(
    parameters: &Parameters,
    insecure: InsecureTestParameters,
    report: &mut Report,
) -> Result<()> {
    check_security(parameters, insecure)?;
    warn_if_insecure(parameters, report);
    Ok(())
}

/// A duration for people.
pub(crate) fn seconds(seconds: f64) -> String {
    match seconds {
        long if long >= 120.0 => format!("{:.0} min {:.0} s", (long / 60.0).floor(), long % 60.0),
        second if second >= 1.0 => format!("{second:.2} s"),
        short => format!("{:.1} ms", short * 1000.0),
    }
}

/// A duration for people, roughly.
pub(crate) fn about(seconds: f64) -> String {
    match seconds {
        long if long >= 7200.0 => format!("{:.0} h {:.0} min", (long / 3600.0).floor(), (long % 3600.0 / 60.0).floor()),
        minutes if minutes >= 120.0 => format!("{:.0} min", minutes / 60.0),
        short => format!("{short:.0} s"),
    }
}

/// Adds the file that a command wrote.
pub(crate) fn wrote(report: &mut Report, path: &Path) {
    let size = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    report.line("wrote", format!("{} ({})", path.display(), Bytes(size)));
}
