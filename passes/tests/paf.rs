//! PAFs against published numbers that fit in a test, and against what their definitions promise.

use std::str::FromStr;

use dashu_float::DBig;
use paf_passes::paf::remez::{MinimaxPolynomial, alpha_components, best_odd_polynomial};
use paf_passes::paf::{Composite, NoSuchPaf, Paf, families};

fn paf(name: &str) -> Paf {
    Paf::by_name(name).unwrap_or_else(|error| panic!("{error}"))
}

fn composite(name: &str) -> Composite {
    paf(name).composite().unwrap_or_else(|| panic!("{name} is no composite")).clone()
}

/// Names of the composites.
fn composites() -> impl Iterator<Item = &'static str> {
    Paf::names().into_iter().filter(|name| paf(name).composite().is_some())
}

fn assert_close(actual: f64, expected: f64, relative: f64, what: &str) {
    let difference = (actual - expected).abs();
    assert!(difference <= relative * expected.abs(), "{what}: {actual:e}, expected {expected:e}");
}

fn assert_published(name: &str, published: &[&[f64]]) {
    let composite = composite(name);
    assert_eq!(composite.components.len(), published.len());
    for (component, expected) in composite.components.iter().zip(published) {
        assert_eq!(component.odd_coefficients.len(), expected.len());
        for (actual, expected) in component.odd_coefficients.iter().zip(*expected) {
            assert_close(*actual, *expected, 1e-15, name);
        }
    }
}

/// Table 7 of the SmartPAF paper and file coeff_7 of snu-ccl/approxCNN (Lee et al., arXiv:2105.10879).
#[test]
#[allow(clippy::excessive_precision, reason = "digits as they were published")]
fn alpha7_equals_the_published_coefficients() {
    let first = [7.3044516495825141119, -34.682587110865950932, 59.859651829882618102, -31.875522590646616717];
    let second = [2.4008565221759781728, -2.631254542617839592, 1.5491267477359321766, -0.33117295650430441081];
    assert_published("alpha7", &[&first, &second]);
}

/// File coeff_10 of snu-ccl/approxCNN (Lee et al., arXiv:2105.10879).
#[test]
#[allow(clippy::excessive_precision, reason = "digits as they were published")]
fn alpha10_equals_the_published_coefficients() {
    let first = [10.854184257744249796, -62.28339252110988471, 114.36922782044335657, -62.80234969730743326];
    let second = [4.1397617098511193064, -5.8499764021167980684, 2.9437625565928026676, -0.45453043746015205795];
    let third = [
        3.2995673904373325138,
        -7.8422726029135582971,
        12.890776411556469438,
        -12.491711258448624139,
        6.9416799142807483492,
        -2.0429806739994296629,
        0.24640713892603125782,
    ];
    assert_published("alpha10", &[&first, &second, &third]);
}

/// Chebyshev's theorem, checked without the solver: n+1 alternating errors of equal size on the interval.
#[test]
fn errors_of_minimax_components_alternate() {
    for alpha in 4..=14 {
        let composite = composite(&format!("alpha{alpha}"));
        let polynomials = alpha_components(alpha).unwrap();
        for (component, polynomial) in composite.components.iter().zip(&polynomials) {
            let (lower, upper) = polynomial.interval();
            let alternations =
                count_alternations(|x| 1.0 - component.eval(x), lower, upper, polynomial.minimax_error());
            assert_eq!(alternations, component.odd_coefficients.len() + 1, "alpha{alpha}, degree {}", component.degree);
        }
    }
}

/// How often the error reaches ±`level` (to 1e-3 of it) with changing signs; it must never exceed it.
fn count_alternations(error: impl Fn(f64) -> f64, lower: f64, upper: f64, level: f64) -> usize {
    let mut last_sign = 0.0;
    let mut count = 0;
    let steps = 20_000;
    for k in 0..=steps {
        let fraction = f64::from(k) / f64::from(steps);
        let value = error(lower * (upper / lower).powf(fraction));
        assert!(value.abs() <= level * (1.0 + 1e-6), "error {value:e} above the level {level:e}");
        if value.abs() >= level * (1.0 - 1e-3) && value.signum() != last_sign {
            last_sign = value.signum();
            count += 1;
        }
    }
    count
}

#[test]
fn alpha_bounds_the_relu_error() {
    for alpha in 4..=14 {
        let error = paf(&format!("alpha{alpha}")).max_relu_error();
        assert!(error <= 2f64.powi(-alpha), "alpha{alpha}: {error:e}");
        assert!(error >= 2f64.powi(-alpha) * 0.7, "alpha{alpha}: {error:e} is implausibly small");
    }
}

#[test]
fn both_forms_of_a_component_agree() {
    for name in composites() {
        for component in composite(name).components.iter().filter(|component| component.degree < 13) {
            for k in -50..=50 {
                let t = f64::from(k) / 50.0;
                let (x, angle) = (component.domain * t, t.acos());
                let terms = component.chebyshev_odd.iter().enumerate();
                let chebyshev: f64 = terms.map(|(j, c)| c * ((2 * j + 1) as f64 * angle).cos()).sum();
                assert!((chebyshev - component.eval(x)).abs() < 1e-12, "{name} at {x}");
            }
        }
    }
}

/// The composite in 50-digit arithmetic, from 40-digit coefficients.
fn eval_exactly(polynomials: &[MinimaxPolynomial], x: f64) -> f64 {
    let decimal = |text: &str| DBig::from_str(text).expect("a decimal number").with_precision(50).value();
    let mut value = decimal(&format!("{x:.25}"));
    for polynomial in polynomials {
        let square = &value * &value;
        let coefficients = polynomial.decimal_coefficients();
        let horner = |sum: DBig, text: &String| sum * &square + decimal(text);
        value *= coefficients.iter().rev().fold(decimal("0"), horner);
    }
    value.to_f64().value()
}

#[test]
fn evaluation_is_stable_at_high_degree() {
    for alpha in [9, 11, 13, 14] {
        let polynomials = alpha_components(alpha).unwrap();
        let composite = composite(&format!("alpha{alpha}"));
        for k in 1..=12 {
            let x = f64::from(k * k) / 144.0;
            let difference = (composite.eval(x) - eval_exactly(&polynomials, x)).abs();
            assert!(difference < 1e-13, "alpha{alpha} at {x}: off by {difference:e}");
        }
    }
}

#[test]
fn outputs_of_a_component_stay_in_the_domain_of_the_next() {
    for name in composites() {
        let composite = composite(name);
        assert_eq!(composite.components[0].domain, 1.0);
        for pair in composite.components.windows(2) {
            let inputs = (0..=10_000).map(|k| pair[0].domain * f64::from(k) / 10_000.0);
            let largest = inputs.map(|x| pair[0].eval(x).abs()).fold(0.0, f64::max);
            assert!(largest <= pair[1].domain * (1.0 + 1e-12), "{name}: {largest} > {}", pair[1].domain);
            assert!(largest >= pair[1].domain * (1.0 - 1e-5), "{name}: {largest} < {}", pair[1].domain);
        }
    }
}

#[test]
fn depths_are_those_of_the_published_composites() {
    let depths = [("f1_g2.cheon", 5), ("f2_g3.smartpaf", 6), ("f1sq_g1sq.smartpaf", 8), ("f3_g3.cheon", 6)];
    let alpha_depths = [("alpha7", 6), ("alpha10", 10), ("alpha13", 13), ("alpha14", 14), ("alpha15", 15)];
    for (name, depth) in depths.into_iter().chain(alpha_depths) {
        assert_eq!(composite(name).sign_depth(), depth, "{name}");
    }
}

/// f_n(1) = 1 with n vanishing derivatives, from the definition.
#[test]
fn f_polynomials_are_flat_at_one() {
    for n in 1..=4 {
        let coefficients = families::f_polynomial(n);
        assert_eq!(coefficients.iter().sum::<f64>(), 1.0);
        for order in 1..=n {
            let derivative = |(k, a): (usize, &f64)| {
                (0..order).fold(*a, |product, i| product * (2 * k + 1) as f64 - product * i as f64)
            };
            assert_eq!(coefficients.iter().enumerate().map(derivative).sum::<f64>(), 0.0, "f{n}, derivative {order}");
        }
    }
}

#[test]
fn relu_and_max_scale_with_their_inputs() {
    let composite = paf("alpha9");
    for k in -100..=100 {
        let x = f64::from(k) / 100.0;
        let scaled = composite.relu(40.0 * x, 40.0);
        assert!((scaled - 40.0 * composite.relu(x, 1.0)).abs() < 1e-12);
        assert!((composite.max(x, 0.25, 2.0) - x.max(0.25)).abs() <= 2.0 * composite.max_relu_error());
    }
}

#[test]
fn pool_guards_keep_max_trees_in_range() {
    assert_eq!(paf("alpha7").pool_guard(2), 1.0 / (1.0 - 4.0 / 128.0));
    assert_eq!(paf("alpha7").pool_guard(4), 1.0 / (1.0 - 6.0 / 128.0));
    assert_eq!(paf("alpha7").pool_guard(1), 1.0);
    assert_eq!(paf("alpha4").pool_guard(20), f64::INFINITY);
    for name in composites().filter(|name| !name.starts_with("alpha")) {
        assert_eq!(paf(name).pool_guard(4), 1.0, "{name}");
    }
    let overshooting = Paf::from_components("mine", vec![vec![1.2]]).unwrap();
    assert_close(overshooting.pool_guard(2), 1.0 / (1.0 - 2.0 * 0.1), 1e-12, "guard of p(x) = 1.2x");
}

#[test]
fn custom_components_are_checked() {
    let reject = |components: Vec<Vec<f64>>| Paf::from_components("mine", components).unwrap_err();
    assert!(matches!(reject(vec![]), NoSuchPaf::NoComponents { .. }));
    assert!(matches!(reject(vec![vec![1.5, -0.5], vec![]]), NoSuchPaf::ZeroComponent { component: 2, .. }));
    assert!(matches!(reject(vec![vec![0.0, 0.0]]), NoSuchPaf::ZeroComponent { component: 1, .. }));
    assert!(matches!(reject(vec![vec![1.0, f64::NAN]]), NoSuchPaf::NotFinite { component: 1, .. }));
    assert!(matches!(reject(vec![vec![1e300], vec![1e300]]), NoSuchPaf::NotFinite { component: 2, .. }));
    assert!(matches!(reject(vec![vec![1.0; 33]]), NoSuchPaf::DegreeTooHigh { degree: 65, .. }));
    let trimmed = Paf::from_components("mine", vec![vec![1.5, -0.5, 0.0]]).unwrap();
    assert_eq!((trimmed.components()[0].degree, trimmed.depth()), (3, 3));
}

#[test]
fn unknown_names_get_the_nearest_and_all() {
    let suggestion = |name: &str| match Paf::by_name(name) {
        Err(NoSuchPaf::UnknownName { suggestion, .. }) => suggestion,
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(suggestion("Alpha7"), Some("alpha7"));
    assert_eq!(suggestion("alpha-10"), Some("alpha10"));
    assert_eq!(suggestion("f1g2"), Some("f1_g2.smartpaf"));
    assert_eq!(suggestion("gelu_tanh_fast"), None);
    let message = Paf::by_name("alpha3").unwrap_err().to_string();
    assert!(message.contains("did you mean \"alpha") && message.contains("f3_g3.cheon"), "{message}");
}

#[test]
fn impossible_minimax_requests_are_errors() {
    for (degree, lower, upper) in
        [(4, 0.1, 1.0), (5, 0.0, 1.0), (5, 1.0, 1.0), (5, f64::NAN, 1.0), (0, 0.1, 1.0), (65, 0.1, 1.0)]
    {
        assert!(matches!(best_odd_polynomial(degree, lower, upper), Err(NoSuchPaf::BadMinimaxRequest { .. })));
    }
    let slope = best_odd_polynomial(1, 0.5, 1.0).unwrap();
    assert_close(slope.odd_coefficients()[0], 4.0 / 3.0, 1e-15, "best a·x for 1 on [1/2, 1]");
    assert_close(slope.minimax_error(), 1.0 / 3.0, 1e-15, "its error");
}
