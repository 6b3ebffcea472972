//! Accuracy after each step, PAF by PAF.

use std::fmt::Write as _;

use paf_adapt::compare::Row;
use paf_adapt::evaluate::Accuracy;
use plotters::prelude::*;

use super::{escaped, percent};

const WIDTH: u32 = 760;
const HEIGHT: u32 = 380;
/// Width of the legend at the right, in parts of a step.
const LEGEND: f64 = 1.3;

/// A table and a plot; nothing without rows.
pub(super) fn section(rows: &[Row], original: Option<Accuracy>) -> Result<String, String> {
    let (Some(original), false) = (original, rows.is_empty()) else { return Ok(String::new()) };
    let steps = steps(rows);
    let mut svg = String::new();
    draw(&mut svg, rows, &steps, original.percent()).map_err(|error| error.to_string())?;
    let caption = format!("Test accuracy after each step; dashed: the original network, {}.", percent(original));
    let table = table(rows, &steps);
    Ok(format!("<h2>Accuracy by step</h2>\n{table}<figure>{svg}<figcaption>{caption}</figcaption></figure>\n"))
}

/// Every step that a row has, in order.
fn steps(rows: &[Row]) -> Vec<&'static str> {
    let mut steps: Vec<&str> = Vec::new();
    for (step, _) in rows.iter().flat_map(|row| &row.steps) {
        if !steps.contains(step) {
            steps.push(step);
        }
    }
    steps
}

fn table(rows: &[Row], steps: &[&'static str]) -> String {
    let mut table = format!("<table><tr><th>PAFs<th>{}</tr>\n", steps.join("<th>"));
    for row in rows {
        let cell = |step: &&str| row.after(step).map_or("–".to_owned(), percent);
        let cells: Vec<String> = steps.iter().map(cell).collect();
        let _ = writeln!(table, "<tr><td>{}<td>{}</tr>", escaped(&row.name), cells.join("<td>"));
    }
    table + "</table>\n"
}

fn draw(
    svg: &mut String,
    rows: &[Row],
    steps: &[&'static str],
    original: f64,
) -> Result<(), Box<dyn std::error::Error>> {
    let accuracies = || rows.iter().flat_map(|row| &row.steps).filter_map(|(_, accuracy)| *accuracy);
    let bottom = accuracies().map(|accuracy| accuracy.percent()).fold(original, f64::min);
    let last = (steps.len() - 1) as f64;
    let area = SVGBackend::with_string(svg, (WIDTH, HEIGHT)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .margin(12)
        .x_label_area_size(28)
        .y_label_area_size(48)
        .build_cartesian_2d(-0.3..last + LEGEND, (bottom - 3.0).max(0.0)..original + 3.0)?;
    let name = |x: &f64| {
        let is_step = x.fract() == 0.0 && (0.0..=last).contains(x);
        if is_step { steps[*x as usize].to_owned() } else { String::new() }
    };
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .disable_x_mesh()
        .x_labels(2 * steps.len() + 2)
        .x_label_formatter(&name)
        .y_desc("% of test samples")
        .draw()?;
    chart.draw_series(DashedLineSeries::new([(-0.3, original), (last + 0.2, original)], 6, 4, BLACK.into()))?;
    for (index, row) in rows.iter().enumerate() {
        let color = Palette99::pick(index).stroke_width(2);
        let places = steps.iter().enumerate();
        let points: Vec<(f64, f64)> =
            places.filter_map(|(x, step)| Some((x as f64, row.after(step)?.percent()))).collect();
        chart.draw_series(points.iter().map(|&point| Circle::new(point, 3, color.filled())))?;
        chart
            .draw_series(LineSeries::new(points, color))?
            .label(&row.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 14, y)], color));
    }
    chart.configure_series_labels().position(SeriesLabelPosition::MiddleRight).background_style(WHITE).draw()?;
    area.present()?;
    Ok(())
}
