//! PAFs against the tables of the published coefficients and of the errors computed from them.
//!
//! The tables are `paf_tables.json` of the shared data, which are not part of the repository.

use std::str::FromStr;

use dashu_float::DBig;
use paf_passes::paf::remez::alpha_components;
use paf_passes::paf::{Component, Paf, families};
use serde_json::Value;
use testkit::shared;

/// The tables print 10 digits of every error.
const ERROR_TOLERANCE: f64 = 1e-9;

/// The tables' errors were computed by Horner's rule in `f64`, whose rounding shows from `alpha11` on; it is largest
/// where inputs leave \[-1,1\]. The Chebyshev form that [`Paf::eval`] uses there is compared with less.
const HORNER_ROUNDING: f64 = 1e-4;

/// The tables' Chebyshev coefficients come from power coefficients of 20 digits, of which up to 8 cancel.
const CHEBYSHEV_TOLERANCE: f64 = 1e-11;

fn tables() -> Value {
    let text = std::fs::read_to_string(shared("paf_tables.json")).expect("a text file");
    serde_json::from_str(&text).expect("paf_tables.json is JSON")
}

/// Names of the composites; nobody else has published the others.
/// The composites that the tables have.
fn composites() -> impl Iterator<Item = &'static str> {
    let is_ours = |name: &str| name == "alpha15";
    Paf::names().into_iter().filter(move |name| paf(name).composite().is_some() && !is_ours(name))
}

fn paf(name: &str) -> Paf {
    Paf::by_name(name).unwrap_or_else(|error| panic!("{error}"))
}

fn number(value: &Value) -> f64 {
    let parsed = value.as_f64().or_else(|| value.as_str()?.parse().ok());
    parsed.unwrap_or_else(|| panic!("{value} is not a number"))
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(number).collect()
}

fn odd_numbers(component: &Value) -> Vec<f64> {
    numbers(&component["coeffs"]).into_iter().skip(1).step_by(2).collect()
}

fn assert_close(actual: f64, expected: f64, relative: f64, what: &str) {
    let difference = (actual - expected).abs();
    assert!(difference <= relative * expected.abs(), "{what}: {actual:.12e}, expected {expected:.12e}");
}

fn assert_all_close(actual: &[f64], expected: &[f64], relative: f64, what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (actual, expected) in actual.iter().zip(expected) {
        assert_close(*actual, *expected, relative, what);
    }
}

#[test]
#[ignore = "needs PAF_SHARED"]
fn alpha_components_equal_the_published_ones() {
    let tables = tables();
    for alpha in 4..=14 {
        let name = format!("alpha{alpha}");
        let published = tables[&name]["components"].as_array().expect("components");
        let polynomials = alpha_components(alpha).expect("known alpha");
        assert_eq!(polynomials.len(), published.len(), "{name}");
        for (polynomial, expected) in polynomials.iter().zip(published) {
            assert_all_close(&polynomial.odd_coefficients(), &numbers(&expected["odd_coeffs"]), 1e-15, &name);
            assert_close(polynomial.minimax_error(), number(&expected["minimax_error"]), 1e-15, &name);
            assert_close(polynomial.interval().0, number(&expected["interval"][0]), 1e-15, &name);
        }
        for (component, expected) in paf(&name).components().iter().zip(published) {
            assert_chebyshev(component, &expected["cheb_scaled"], &name);
        }
    }
}

/// All 20 published digits. The files hold α = 4 and 5 for inputs 2x; doubling brings them back exactly.
#[test]
#[ignore = "needs PAF_SHARED"]
fn alpha_components_have_the_published_digits() {
    let tables = tables();
    for alpha in 4..=14 {
        let (name, input_bits) = match alpha {
            4 | 5 => (format!("alpha{alpha}.asfile"), 1),
            _ => (format!("alpha{alpha}"), 0),
        };
        let published = tables[&name]["components"].as_array().expect("components");
        for (polynomial, expected) in alpha_components(alpha).expect("known alpha").iter().zip(published) {
            let expected = expected["odd_coeffs"].as_array().expect("a list");
            for (j, actual) in polynomial.decimal_coefficients().iter().enumerate() {
                let scale = decimal(&2u64.pow(input_bits * (2 * j as u32 + 1)).to_string());
                let expected = decimal(expected[j].as_str().expect("a string")) * scale;
                let relative = ((decimal(actual) - &expected) / &expected).to_f64().value().abs();
                assert!(relative <= 1e-19, "{name}: {actual}, expected {expected}");
            }
        }
    }
}

fn decimal(text: &str) -> DBig {
    let exact = DBig::from_str(text).expect("a decimal number");
    exact.with_precision(50).value()
}

fn assert_chebyshev(component: &Component, expected: &Value, name: &str) {
    assert_close(component.domain, number(&expected["domain"][1]), 1e-15, name);
    assert_all_close(&component.chebyshev_odd, &numbers(&expected["odd_coeffs"]), CHEBYSHEV_TOLERANCE, name);
}

#[test]
#[ignore = "needs PAF_SHARED"]
fn families_equal_the_tables_exactly() {
    let tables = tables();
    for n in 1..=4 {
        let base = |letter: &str| odd_numbers(&tables[format!("base.{letter}{n}")]["components"][0]);
        assert_eq!(families::f_polynomial(n), base("f"), "f{n}");
        assert_eq!(families::g_polynomial(n), base("g"), "g{n}");
    }
    for name in composites().filter(|name| !name.starts_with("alpha")) {
        let published = tables[name]["components"].as_array().expect("components");
        let expected: Vec<Vec<f64>> = published.iter().map(odd_numbers).collect();
        let actual: Vec<Vec<f64>> = paf(name).components().iter().map(|c| c.odd_coefficients.clone()).collect();
        assert_eq!(actual, expected, "{name}");
    }
}

#[test]
#[ignore = "needs PAF_SHARED"]
fn depths_equal_the_tables() {
    let tables = tables();
    for name in composites() {
        assert_eq!((paf(name).depth() - 1) as f64, number(&tables[name]["depth_paper"]), "{name}");
    }
}

/// The composite as the tables evaluate it: Horner's rule in x² for every component.
fn horner(composite: &Paf, x: f64) -> f64 {
    composite.components().iter().fold(x, |x, component| {
        let coefficients = component.odd_coefficients.iter().rev();
        x * coefficients.fold(0.0, |sum, a| sum * (x * x) + a)
    })
}

fn tolerance_of_eval(name: &str) -> f64 {
    let rounded = ["alpha11", "alpha12", "alpha13", "alpha14"].contains(&name);
    if rounded { HORNER_ROUNDING } else { ERROR_TOLERANCE }
}

#[test]
#[ignore = "needs PAF_SHARED"]
fn relu_errors_equal_the_tables() {
    let tables = tables();
    for name in composites() {
        let (composite, expected) = (paf(name), &tables[name]["errors"]);
        let tolerance = tolerance_of_eval(name);
        assert_relu(&|x| (x + x * horner(&composite, x)) / 2.0, expected, ERROR_TOLERANCE, name);
        assert_relu(&|x| composite.relu(x, 1.0), expected, tolerance, name);
        assert_close(
            composite.composite().expect("a composite").eval(1.0),
            number(&expected["p_at_1"]),
            ERROR_TOLERANCE,
            name,
        );
        let largest_on_grid = number(&expected["relu_max_abs"]);
        assert!(composite.max_relu_error() >= largest_on_grid * (1.0 - ERROR_TOLERANCE), "{name}");
    }
}

fn assert_relu(relu: &dyn Fn(f64) -> f64, expected: &Value, tolerance: f64, name: &str) {
    let grid = (-10_000..=10_000).map(|k| f64::from(k) / 10_000.0);
    let errors: Vec<f64> = grid.map(|x| (relu(x) - x.max(0.0)).abs()).collect();
    let largest = errors.iter().copied().fold(0.0, f64::max);
    let mean = errors.iter().sum::<f64>() / errors.len() as f64;
    assert_close(largest, number(&expected["relu_max_abs"]), tolerance, name);
    assert_close(mean, number(&expected["relu_mean_abs"]), tolerance, name);
}

#[test]
#[ignore = "needs PAF_SHARED"]
fn pool_errors_equal_the_tables() {
    let tables = tables();
    for name in composites() {
        let (composite, pools) = (paf(name), &tables[name]["errors"]["maxpool"]);
        assert_pools(&composite, 4, 20, 1.0, &pools["2x2_grid21_[0,1]_S1"]);
        for (elements, steps, key) in [(4, 20, "2x2_grid21_[0,1]_Sguard"), (9, 2, "3x3_levels{0,.5,1}_Sguard")] {
            let guarded = &pools[key];
            if guarded.is_object() {
                let guard = composite.pool_guard(if elements == 4 { 2 } else { 4 });
                assert_close(guard, number(&guarded["S"]), 1e-15, name);
                assert_pools(&composite, elements, steps, guard, guarded);
            }
        }
    }
}

fn assert_pools(composite: &Paf, elements: usize, steps: u32, scale: f64, expected: &Value) {
    let by_horner = |a: f64, b: f64| ((a + b) + (a - b) * horner(composite, (a - b) / scale)) / 2.0;
    let errors = pool_errors(&by_horner, elements, steps);
    assert_pool(errors, expected, ERROR_TOLERANCE, &composite.name);
    let errors = pool_errors(&|a, b| composite.max(a, b, scale), elements, steps);
    assert_pool(errors, expected, tolerance_of_eval(&composite.name), &composite.name);
}

fn assert_pool((largest, mean): (f64, f64), expected: &Value, tolerance: f64, name: &str) {
    assert_close(largest, number(&expected["max_abs"]), tolerance, name);
    assert_close(mean, number(&expected["mean_abs"]), tolerance, name);
}

/// Largest and mean error over all windows of `elements` values k/`steps`, reduced by a tree that splits at ⌊n/2⌋.
fn pool_errors(max: &dyn Fn(f64, f64) -> f64, elements: usize, steps: u32) -> (f64, f64) {
    let levels: Vec<f64> = (0..=steps).map(|k| f64::from(k) / f64::from(steps)).collect();
    let windows = levels.len().pow(elements as u32);
    let (mut largest, mut sum) = (0.0f64, 0.0);
    for index in 0..windows {
        let digit = |position: usize| index / levels.len().pow(position as u32) % levels.len();
        let window: Vec<f64> = (0..elements).map(|position| levels[digit(position)]).collect();
        let exact = window.iter().copied().fold(0.0, f64::max);
        let error = (tree_max(max, &window) - exact).abs();
        largest = largest.max(error);
        sum += error;
    }
    (largest, sum / windows as f64)
}

fn tree_max(max: &dyn Fn(f64, f64) -> f64, window: &[f64]) -> f64 {
    match window {
        [single] => *single,
        _ => {
            let (left, right) = window.split_at(window.len() / 2);
            max(tree_max(max, left), tree_max(max, right))
        }
    }
}
