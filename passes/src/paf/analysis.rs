//! What a PAF does on and beyond \[-1,1\], found by sampling in `f64`.

/// Points on (0, 1]: equally spaced ones, and geometrically spaced ones for the steep part at 0.
const UNIFORM_POINTS: usize = 4000;
const GEOMETRIC_POINTS: usize = 2000;
const SMALLEST_POINT: f64 = 1e-6;

/// Overshoot below this is rounding of the evaluation.
const NEGLIGIBLE_OVERSHOOT: f64 = 1e-12;

/// max |f(u)| on \[0,1\]; for the error of a ReLU with an odd p the same on \[-1,0\].
pub(super) fn largest_magnitude(f: impl Fn(f64) -> f64) -> f64 {
    largest_on_unit_interval(|u| f(u).abs())
}

/// max f(u) on \[0,1\], or 0 where that is rounding: how far max(a,b) leaves \[min(a,b), max(a,b)\] for |a−b| ≤ 1.
pub(super) fn max_overshoot(f: impl Fn(f64) -> f64) -> f64 {
    let overshoot = largest_on_unit_interval(f);
    if overshoot < NEGLIGIBLE_OVERSHOOT { 0.0 } else { overshoot }
}

/// The maximum over the sample points, refined between the neighbours of the best one.
fn largest_on_unit_interval(function: impl Fn(f64) -> f64) -> f64 {
    let points = sample_points();
    let values: Vec<f64> = points.iter().map(|&x| function(x)).collect();
    let best = (0..points.len()).max_by(|&i, &j| values[i].total_cmp(&values[j])).unwrap_or(0);
    let low = points[best.saturating_sub(1)];
    let high = points[(best + 1).min(points.len() - 1)];
    values[best].max(golden_section_maximum(function, low, high))
}

fn sample_points() -> Vec<f64> {
    let uniform = (1..=UNIFORM_POINTS).map(|k| k as f64 / UNIFORM_POINTS as f64);
    let geometric = (0..GEOMETRIC_POINTS).map(|k| SMALLEST_POINT.powf(1.0 - k as f64 / GEOMETRIC_POINTS as f64));
    let mut points: Vec<f64> = uniform.chain(geometric).collect();
    points.sort_by(f64::total_cmp);
    points
}

fn golden_section_maximum(function: impl Fn(f64) -> f64, mut low: f64, mut high: f64) -> f64 {
    let ratio = (5f64.sqrt() - 1.0) / 2.0;
    let mut largest = f64::NEG_INFINITY;
    for _ in 0..60 {
        let (left, right) = (high - ratio * (high - low), low + ratio * (high - low));
        let (at_left, at_right) = (function(left), function(right));
        largest = largest.max(at_left).max(at_right);
        (low, high) = if at_left > at_right { (low, right) } else { (left, high) };
    }
    largest
}
