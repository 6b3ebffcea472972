//! The page that `--report` writes: figures, accuracy after each step, what the search found, and for each node its PAF
//! beside ReLU over the histogram of its inputs.

mod by_step;
mod curve;
mod front;

use std::fmt::Write as _;
use std::path::Path;

use paf_adapt::RecoveryError;
use paf_adapt::compare::Row;
use paf_adapt::evaluate::Accuracy;
use paf_adapt::recovery::Outcome;
use paf_files::write_whole;

/// Writes the page; `rows` are accuracies after each step, if there are some.
///
/// # Errors
/// [`RecoveryError::Io`].
pub(crate) fn write(path: &Path, outcome: &Outcome, rows: &[Row]) -> Result<(), RecoveryError> {
    let page = page(outcome, rows).map_err(|problem| RecoveryError::file(path, problem))?;
    write_whole(path, page.as_bytes()).map_err(RecoveryError::io(path))
}

fn page(outcome: &Outcome, rows: &[Row]) -> Result<String, String> {
    let mut page = String::from(
        "<!doctype html><meta charset=\"utf-8\"><title>Recovery</title>\n<style>body{font-family:sans-serif}\
         td,th{padding:2px 10px;text-align:right}td:first-child{text-align:left}\
         figure{display:inline-block;margin:8px}</style>\n<h1>Recovery</h1>\n",
    );
    page.push_str(&summary(outcome));
    page.push_str(&by_step::section(rows, outcome.accuracy.map(|both| both.0))?);
    if let Some(search) = &outcome.search {
        page.push_str(&front::section(search)?);
    }
    page.push_str("<h2>ReLU and MaxPool</h2>\n");
    page.push_str(&table(outcome));
    for (node, chosen) in outcome.nodes.iter().zip(outcome.network.pafs.values()) {
        let plot = curve::plot(node, &chosen.paf)?;
        let _ = writeln!(page, "<figure>{plot}<figcaption>{}</figcaption></figure>", escaped(&node.node));
    }
    Ok(page)
}

fn summary(outcome: &Outcome) -> String {
    let accuracy = outcome.accuracy.map_or(String::new(), |(original, recovered)| {
        let count = original.count;
        format!(
            "<p>Accuracy on {count} samples: original {}, recovered {}.</p>\n",
            percent(original),
            percent(recovered)
        )
    });
    let (levels, seconds) = (outcome.network.total_depth(), outcome.seconds);
    format!("<p>{} nodes with PAFs, {levels} levels in all; {seconds:.1} s.</p>\n{accuracy}", outcome.nodes.len())
}

fn table(outcome: &Outcome) -> String {
    let mut table = String::from(
        "<table><tr><th>node<th>PAF<th>levels<th>scale<th>99 %<th>99.99 %<th>largest<th>error before ct<th>after\
         <th>coefficients<th>remarks</tr>\n",
    );
    for (node, chosen) in outcome.nodes.iter().zip(outcome.network.pafs.values()) {
        let remarks: Vec<&str> = node.warnings.iter().chain(&node.kept).map(String::as_str).collect();
        let _ = writeln!(
            table,
            "<tr><td>{}<td>{}<td>{}<td>{:.4}<td>{:.3}<td>{:.3}<td>{:.3}<td>{:.2e}<td>{:.2e}<td>{:?}<td>{}</tr>",
            escaped(&node.node),
            escaped(&chosen.paf.name),
            chosen.paf.depth(),
            chosen.scale.largest(),
            node.histogram.percentile(0.99),
            node.histogram.percentile(0.9999),
            node.histogram.largest(),
            node.error.0,
            node.error.1,
            chosen.coefficients_from,
            escaped(&remarks.join("; ")),
        );
    }
    table + "</table>\n"
}

/// An accuracy with its standard error.
fn percent(accuracy: Accuracy) -> String {
    format!("{:.2} ± {:.2} %", accuracy.percent(), accuracy.standard_error())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
