//! Published composites in arithmetic that does not round where `f64` does.

use std::collections::HashMap;
use std::str::FromStr;

use dashu_float::ops::Abs;
use dashu_float::round::mode::HalfEven;
use dashu_float::{DBig, FBig};
use serde_json::Value;

use crate::operator::Operator;

/// A number of [`PRECISION_BITS`].
type Exact = FBig<HalfEven, 2>;

/// 53 digits; the published coefficients have 20.
const PRECISION_BITS: usize = 176;

/// A composite of odd polynomials: coefficients of x, x³, … of each, first to last.
pub(crate) struct Composite(Vec<Vec<Exact>>);

fn exact(value: f64) -> Exact {
    Exact::try_from(value).expect("a finite number").with_precision(PRECISION_BITS).value()
}

fn parsed(decimal: &Value) -> Exact {
    let text = decimal.as_str().expect("a decimal number");
    let number = DBig::from_str(text).expect("a decimal number").with_precision(60).value();
    number.with_rounding::<HalfEven>().with_base_and_precision::<2>(PRECISION_BITS).value()
}

fn largest_and_mean(errors: impl Iterator<Item = f64>) -> (f64, f64) {
    let (max, sum, count) = errors.fold((0f64, 0.0, 0.0), |(max, sum, count), e| (max.max(e), sum + e, count + 1.0));
    (max, sum / count)
}

impl Composite {
    /// The components of an entry of `paf_tables.json`.
    pub(crate) fn published(components: &Value) -> Self {
        let list = |value: &Value| value.as_array().expect("a list").clone();
        let odd = |component: &Value| list(&component["odd_coeffs"]).iter().map(parsed).collect();
        Composite(list(components).iter().map(odd).collect())
    }

    fn sign(&self, x: &Exact) -> Exact {
        self.0.iter().fold(x.clone(), |x, odd| {
            let square = &x * &x;
            x * odd.iter().rev().fold(exact(0.0), |sum, a| sum * &square + a)
        })
    }

    /// Largest and mean error of ReLU at k/`steps` in \[−1, 1\]: x·(1 − p(x))/2 on either side of 0.
    pub(crate) fn relu_errors(&self, steps: usize) -> (f64, f64) {
        let error = |k: usize| {
            let x = exact(k as f64) / exact(steps as f64);
            let error = &x * (exact(1.0) - self.sign(&x)) / exact(2.0);
            error.abs().to_f64().value()
        };
        let on_one_side: Vec<f64> = (1..=steps).map(error).collect();
        largest_and_mean(on_one_side.iter().chain(&on_one_side).copied().chain([0.0]))
    }

    /// Largest and mean error of a pool, reduced by halves, on all windows of its grid.
    pub(crate) fn pool_errors(&self, operator: Operator, scale: f64) -> (f64, f64) {
        let grid = operator.grid();
        let mut maxima = Maxima { paf: self, scale: exact(scale), values: vec![], ids: HashMap::new() };
        let error = |window: &Vec<f64>| {
            let id = maxima.of(window);
            (&maxima.values[id] - exact(operator.exact(window))).abs().to_f64().value()
        };
        largest_and_mean(grid.iter().map(error).collect::<Vec<_>>().into_iter())
    }
}

/// What a value is made of.
#[derive(PartialEq, Eq, Hash)]
enum Source {
    Element(u64),
    /// The maximum of two values; max is symmetric with any odd p.
    Maximum(usize, usize),
}

/// Maxima of windows, each pair of values compared once.
struct Maxima<'p> {
    paf: &'p Composite,
    scale: Exact,
    values: Vec<Exact>,
    ids: HashMap<Source, usize>,
}

impl Maxima<'_> {
    fn of(&mut self, window: &[f64]) -> usize {
        if let [x] = window {
            return self.known(Source::Element(x.to_bits()), |_| exact(*x));
        }
        let (first, second) = window.split_at(window.len() / 2);
        let (a, b) = (self.of(first), self.of(second));
        self.known(Source::Maximum(a.min(b), a.max(b)), |maxima| {
            let (a, b) = (&maxima.values[a], &maxima.values[b]);
            let difference = a - b;
            (a + b + &difference * maxima.paf.sign(&(&difference / &maxima.scale))) / exact(2.0)
        })
    }

    fn known(&mut self, source: Source, value: impl FnOnce(&Self) -> Exact) -> usize {
        if let Some(id) = self.ids.get(&source) {
            return *id;
        }
        let value = value(self);
        self.values.push(value);
        self.ids.insert(source, self.values.len() - 1);
        self.values.len() - 1
    }
}
