//! A PAF beside ReLU over the histogram of its inputs.

use paf_adapt::steps::NodeReport;
use paf_passes::paf::Paf;
use plotters::prelude::*;

const WIDTH: u32 = 420;
const HEIGHT: u32 = 280;
/// Bars of a histogram and points of a curve.
const BARS: usize = 64;
const POINTS: usize = 400;
/// Curves are drawn this far beyond the scale.
const BEYOND: f64 = 1.05;

/// ReLU and its polynomial on [−1, 1] in units of the scale, over the logarithm of the histogram.
pub(super) fn plot(node: &NodeReport, paf: &Paf) -> Result<String, String> {
    let mut svg = String::new();
    draw(&mut svg, node, paf).map_err(|error| error.to_string())?;
    Ok(svg)
}

fn draw(svg: &mut String, node: &NodeReport, paf: &Paf) -> Result<(), Box<dyn std::error::Error>> {
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
