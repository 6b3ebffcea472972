//! Accuracy against levels: what the search tried and what nothing else beats.

use std::fmt::Write as _;

use paf_adapt::search::{Cost, SearchReport, Tried};
use plotters::prelude::*;

use super::{escaped, percent};

const WIDTH: u32 = 760;
const HEIGHT: u32 = 420;
/// Mixes that lose more points than this are not drawn.
const SHOWN: f64 = 12.0;
/// Lines of text that the plot is high.
const LINES: f64 = 25.0;
/// Pixels from one line of text to the next.
const LINE_HEIGHT: i32 = 12;
const MIX: RGBColor = RGBColor(150, 150, 150);

/// A plot and the table of the front.
pub(super) fn section(search: &SearchReport) -> Result<String, String> {
    let mut svg = String::new();
    draw(&mut svg, search).map_err(|error| error.to_string())?;
    let hidden = search.tried.iter().filter(|tried| !is_shown(tried)).count();
    let below = if hidden > 0 { format!(", {hidden} lie below") } else { String::new() };
    let caption = format!(
        "{} mixes on {} samples that no step looked at{below}. Blue: one PAF for all nodes. Red: nothing tried beats \
         these in levels and accuracy. Green: chosen. Dashed: the original network, and what may be lost.",
        search.tried.len(),
        search.original.count,
    );
    Ok(format!("<h2>Search</h2>\n<figure>{svg}<figcaption>{caption}</figcaption></figure>\n{}", table(search)))
}

fn table(search: &SearchReport) -> String {
    let mut table =
        String::from("<table><tr><th>levels<th>bootstraps<th>seconds<th>accuracy<th>lost<th>divergence<th>PAFs</tr>\n");
    for tried in rows(search) {
        let judged = &tried.judged;
        let pafs = tried.uniform().map_or_else(|| tried.pafs.join(", "), |paf| format!("{paf} everywhere"));
        let chosen = if *tried == search.tried[search.chosen] { " (chosen)" } else { "" };
        let (bootstraps, seconds) = match tried.cost {
            Cost { bootstraps: 0, .. } => ("0".to_owned(), String::new()),
            Cost { bootstraps: u32::MAX, .. } => ("none fits".to_owned(), String::new()),
            Cost { bootstraps, seconds, .. } => (bootstraps.to_string(), format!("{seconds:.1}")),
        };
        let _ = writeln!(
            table,
            "<tr><td>{}{chosen}<td>{}<td>{}<td>{}<td>{:.2} ± {:.2}<td>{:.2e}<td>{}</tr>",
            tried.cost.levels,
            bootstraps,
            seconds,
            percent(judged.accuracy),
            judged.lost,
            judged.standard_error,
            judged.divergence,
            escaped(&pafs),
        );
    }
    table + "</table>\n"
}

/// What nothing tried beats in levels and accuracy, or in bootstraps and accuracy; and what was chosen.
fn rows(search: &SearchReport) -> Vec<&Tried> {
    let by_bootstraps = if search.has_bootstraps() { search.front_by_bootstraps() } else { vec![] };
    let mut rows = search.front();
    for tried in by_bootstraps.into_iter().chain([&search.tried[search.chosen]]) {
        if !rows.contains(&tried) {
            rows.push(tried);
        }
    }
    rows.sort_by_key(|tried| (tried.cost.levels, tried.judged.accuracy.correct));
    rows
}

fn is_shown(tried: &Tried) -> bool {
    tried.judged.lost <= SHOWN
}

fn place(tried: &Tried) -> (f64, f64) {
    (f64::from(tried.cost.levels), tried.judged.accuracy.percent())
}

fn draw(svg: &mut String, search: &SearchReport) -> Result<(), Box<dyn std::error::Error>> {
    let shown: Vec<&Tried> = search.tried.iter().filter(|tried| is_shown(tried)).collect();
    let levels = || search.tried.iter().map(|tried| f64::from(tried.cost.levels));
    let (least, most) = (levels().fold(f64::INFINITY, f64::min), levels().fold(0.0, f64::max));
    let original = search.original.percent();
    let bottom = shown.iter().map(|tried| place(tried).1).fold(original - 1.0, f64::min);
    let top = shown.iter().map(|tried| place(tried).1).fold(original, f64::max);

    let area = SVGBackend::with_string(svg, (WIDTH, HEIGHT)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(48)
        .build_cartesian_2d(least - 1.0..most + 4.0, bottom - 0.5..(top + 0.8).min(100.2))?;
    let whole = |x: &f64| format!("{x:.0}");
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("levels on the deepest path")
        .y_desc("% of held-back samples")
        .x_label_formatter(&whole)
        .draw()?;
    for height in [Some(original), search.max_lost.map(|lost| original - lost)].into_iter().flatten() {
        chart.draw_series(DashedLineSeries::new([(least - 1.0, height), (most + 4.0, height)], 6, 4, BLACK.into()))?;
    }
    let (uniform, mixed): (Vec<&Tried>, Vec<&Tried>) = shown.into_iter().partition(|tried| tried.uniform().is_some());
    chart.draw_series(mixed.iter().map(|tried| Circle::new(place(tried), 2, MIX.filled())))?;
    chart.draw_series(LineSeries::new(stairs(&search.front()), RED.stroke_width(2)))?;
    chart.draw_series(uniform.iter().map(|tried| Circle::new(place(tried), 4, BLUE.filled())))?;
    let labels = labels(&uniform, (top - bottom) / LINES).into_iter();
    chart.draw_series(labels.map(|(at, line, text)| {
        EmptyElement::at(at) + Text::new(text.to_owned(), (7, 5 + LINE_HEIGHT * line), ("sans-serif", 11))
    }))?;
    let chosen = &search.tried[search.chosen];
    chart.draw_series([Circle::new(place(chosen), 7, GREEN.stroke_width(3))])?;
    area.present()?;
    Ok(())
}

/// Names of PAFs beside their points; those of points too close for a line each stand below each other at the first.
fn labels<'t>(uniform: &[&'t Tried], line: f64) -> Vec<((f64, f64), i32, &'t str)> {
    let mut points: Vec<((f64, f64), &str)> =
        uniform.iter().map(|tried| (place(tried), tried.uniform().unwrap_or_default())).collect();
    points.sort_by(|(a, _), (b, _)| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
    let mut labels: Vec<((f64, f64), i32, &str)> = Vec::new();
    for (at, name) in points {
        let above = labels.last().filter(|(first, ..)| first.0 == at.0 && first.1 - at.1 < line);
        let (at, line) = above.map_or((at, 0), |&(first, above, _)| (first, above + 1));
        labels.push((at, line, name));
    }
    labels
}

/// The most accuracy within each number of levels.
fn stairs(front: &[&Tried]) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> = Vec::new();
    for tried in front.iter().filter(|tried| is_shown(tried)) {
        let (x, y) = place(tried);
        points.extend(points.last().map(|&(_, before)| (x, before)));
        points.push((x, y));
    }
    points
}
