//! The page that `--report` writes: figures, and for each node its PAF beside ReLU over the histogram of its inputs.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use paf_circuit::AtomicFile;
use paf_passes::paf::Paf;
use plotters::prelude::*;

use crate::error::RecoveryError;
use crate::evaluate::Accuracy;
use crate::network::NodePaf;
use crate::recover::Outcome;
use crate::steps::NodeReport;

const WIDTH: u32 = 420;
const HEIGHT: u32 = 280;
/// Bars of a histogram and points of a curve.
const BARS: usize = 64;
const POINTS: usize = 400;
/// Curves are drawn this far beyond the scale.
const BEYOND: f64 = 1.05;

/// Writes the page.
///
/// # Errors
/// [`RecoveryError::Io`].
pub fn write(path: &Path, outcome: &Outcome) -> Result<(), RecoveryError> {
    let page = page(outcome).map_err(|problem| RecoveryError::file(path, problem))?;
    let write = || {
        let mut file = AtomicFile::create(path)?;
        file.write_all(page.as_bytes())?;
        file.commit()
    };
    write().map_err(RecoveryError::io(path))
}

fn page(outcome: &Outcome) -> Result<String, String> {
    let mut page = String::from(
        "<!doctype html><meta charset=\"utf-8\"><title>Recovery</title>\n<style>body{font-family:sans-serif}\
         td,th{padding:2px 10px;text-align:right}td:first-child{text-align:left}\
         figure{display:inline-block;margin:8px}</style>\n<h1>Recovery</h1>\n",
    );
    page.push_str(&summary(outcome));
    page.push_str(&table(outcome));
    for (node, chosen) in outcome.nodes.iter().zip(outcome.network.pafs.values()) {
        let plot = curve(node, chosen)?;
        let _ = writeln!(page, "<figure>{plot}<figcaption>{}</figcaption></figure>", escaped(&node.node));
    }
    Ok(page)
}

fn summary(outcome: &Outcome) -> String {
    let side = |accuracy: Accuracy| format!("{:.2} ± {:.2} %", accuracy.percent(), accuracy.standard_error());
    let accuracy = outcome.accuracy.map_or(String::new(), |(original, recovered)| {
        let count = original.count;
        format!("<p>Accuracy on {count} samples: original {}, recovered {}.</p>\n", side(original), side(recovered))
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
            chosen.paf.sign_depth() + 1,
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

/// ReLU and its polynomial on [−1, 1] in units of the scale, over the logarithm of the histogram.
fn curve(node: &NodeReport, chosen: &NodePaf) -> Result<String, String> {
    let mut svg = String::new();
    draw_curve(&mut svg, node, &chosen.paf).map_err(|error| error.to_string())?;
    Ok(svg)
}

fn draw_curve(svg: &mut String, node: &NodeReport, paf: &Paf) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(svg, (WIDTH, HEIGHT)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .margin(8)
        .x_label_area_size(24)
        .y_label_area_size(36)
        .build_cartesian_2d(-BEYOND..BEYOND, -0.2..BEYOND)?;
    chart.configure_mesh().light_line_style(WHITE).draw()?;
    chart.draw_series(bars(node).map(|bar| Rectangle::new(bar, RGBColor(210, 220, 235).filled())))?;
    let points = || (0..=POINTS).map(|k| BEYOND * (2.0 * k as f64 / POINTS as f64 - 1.0));
    chart.draw_series(LineSeries::new(points().map(|x| (x, x.max(0.0))), &BLACK))?;
    let approximated = points().map(|x| (x, paf.relu(x, 1.0).clamp(-0.2, BEYOND)));
    chart.draw_series(LineSeries::new(approximated, &RED))?;
    area.present()?;
    Ok(())
}

/// Bars as high as the logarithm of their share, on both sides: the sign of an input does not matter to an odd PAF.
fn bars(node: &NodeReport) -> impl Iterator<Item = [(f64, f64); 2]> + use<> {
    let shares = node.histogram.shares(BARS);
    let height = |share: f64| if share > 0.0 { (1.0 + share.log10() / 8.0).max(0.0) } else { 0.0 };
    let width = 1.0 / shares.len() as f64;
    shares.into_iter().enumerate().flat_map(move |(index, share)| {
        let (left, right, top) = (index as f64 * width, (index + 1) as f64 * width, height(share));
        [[(left, 0.0), (right, top)], [(-right, 0.0), (-left, top)]]
    })
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
