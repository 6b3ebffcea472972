//! Polynomial approximated functions (PAFs): composites of odd polynomials that approximate sign on \[-1,1\].
//!
//! ReLU and max are exact formulas around the sign: with p ≈ sign and a scale S ≥ max |input|,
//! ReLU(x) ≈ (x + x·p(x/S))/2 and max(a,b) ≈ ((a+b) + (a−b)·p((a−b)/S))/2.
//!
//! `alpha4` … `alpha14` are minimax composites whose ReLU error on \[-1,1\] stays below 2^-α (see [`remez`]); the f/g
//! composites come from closed forms (see [`families`]); [`Paf::from_components`] takes coefficients from elsewhere,
//! such as a fine-tuning run.

mod analysis;
mod chebyshev;
pub mod families;
mod high_precision;
pub mod remez;

use high_precision::{Real, largest_magnitude, real, to_f64};

/// Values evaluated side by side.
const LANES: usize = 8;

/// PAF of nodes for which none is asked: the smallest error of a ReLU of 7 levels (`docs/paf-errors.md`).
pub const DEFAULT_PAF: &str = "alpha7";

/// From this degree on the power basis loses too many digits, and the Chebyshev form is evaluated instead.
const CHEBYSHEV_FROM_DEGREE: usize = 13;

/// Higher degrees are refused: nothing published uses them, and 256 bits would stop being enough.
const MAX_DEGREE: usize = 63;

/// Overshoot below this is rounding of the evaluation.
const NEGLIGIBLE_OVERSHOOT: f64 = 1e-12;

/// Why there is no such PAF.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NoSuchPaf {
    /// The name is none of [`Paf::names`].
    #[error("there is no PAF called \"{name}\"{}; the names are {}", did_you_mean(.suggestion), Paf::names().join(", "))]
    UnknownName {
        /// The name asked for.
        name: String,
        /// A valid name that is spelled similarly.
        suggestion: Option<&'static str>,
    },
    /// A composite needs at least one component.
    #[error("PAF \"{name}\" has no components")]
    NoComponents {
        /// The name of the composite.
        name: String,
    },
    /// A component without coefficients, or with zeros only.
    #[error("component {component} of PAF \"{name}\" is zero")]
    ZeroComponent {
        /// The name of the composite.
        name: String,
        /// Which component, from 1.
        component: usize,
    },
    /// A coefficient is NaN or infinite, or the component's values on its domain exceed `f64`.
    #[error("component {component} of PAF \"{name}\" has a coefficient or values that are not finite")]
    NotFinite {
        /// The name of the composite.
        name: String,
        /// Which component, from 1.
        component: usize,
    },
    /// A component of a degree beyond what the arithmetic is made for.
    #[error("component {component} of PAF \"{name}\" has degree {degree}; at most {MAX_DEGREE} is supported")]
    DegreeTooHigh {
        /// The name of the composite.
        name: String,
        /// Which component, from 1.
        component: usize,
        /// Its degree.
        degree: usize,
    },
    /// The degree is even or too high, or the interval is not 0 < lower < upper.
    #[error(
        "no odd minimax polynomial of degree {degree} on [{lower}, {upper}]: it needs an odd degree up to {MAX_DEGREE} and 0 < lower < upper"
    )]
    BadMinimaxRequest {
        /// The degree asked for.
        degree: usize,
        /// Lower end of the interval of |x|.
        lower: f64,
        /// Upper end of the interval of |x|.
        upper: f64,
    },
    /// The Remez algorithm did not level the error.
    #[error("the minimax polynomial of degree {degree} on [{lower}, {upper}] was not found in {steps} Remez steps")]
    NoConvergence {
        /// The degree asked for.
        degree: usize,
        /// Lower end of the interval of |x|.
        lower: f64,
        /// Upper end of the interval of |x|.
        upper: f64,
        /// Steps taken.
        steps: usize,
    },
}

impl NoSuchPaf {
    fn unknown_name(name: &str) -> NoSuchPaf {
        NoSuchPaf::UnknownName { name: name.to_string(), suggestion: nearest_name(name) }
    }
}

fn did_you_mean(suggestion: &Option<&'static str>) -> String {
    suggestion.map_or(String::new(), |name| format!(" (did you mean \"{name}\"?)"))
}

/// A composite approximation of sign on \[-1,1\].
#[derive(Debug, Clone, PartialEq)]
pub struct Paf {
    /// The name it was asked for by, or that its maker gave it.
    pub name: String,
    /// Applied first to last.
    pub components: Vec<Component>,
    /// α of a minimax composite: the ReLU error on \[-1,1\] stays below 2^-α.
    alpha: Option<u32>,
}

/// One odd polynomial of a composite.
#[derive(Debug, Clone, PartialEq)]
pub struct Component {
    /// The degree, an odd number.
    pub degree: usize,
    /// a1, a3, … in the power basis.
    pub odd_coefficients: Vec<f64>,
    /// The component's inputs lie in \[-domain, domain\]: 1 for the first component. Otherwise the largest output of the
    /// one before; a minimax composite adds its margin of 2^-22.
    pub domain: f64,
    /// c1, c3, … with p(domain·t) = Σ c_k·T_k(t), t in \[-1,1\]; rounded from 77 digits.
    pub chebyshev_odd: Vec<f64>,
}

impl Component {
    fn from_exact(odd_coefficients: &[Real], domain: &Real) -> Component {
        let chebyshev = chebyshev::from_power_basis(odd_coefficients, domain);
        Component {
            degree: 2 * odd_coefficients.len() - 1,
            odd_coefficients: odd_coefficients.iter().map(to_f64).collect(),
            domain: to_f64(domain),
            chebyshev_odd: chebyshev.iter().map(to_f64).collect(),
        }
    }

    /// The value at `x`, by Horner's rule in x² below degree 13 and in the Chebyshev form from there on.
    pub fn eval(&self, x: f64) -> f64 {
        if self.degree >= CHEBYSHEV_FROM_DEGREE {
            return chebyshev::evaluate(&self.chebyshev_odd, x / self.domain);
        }
        let square = x * x;
        x * self.odd_coefficients.iter().rev().fold(0.0, |sum, a| sum * square + a)
    }

    /// Replaces each value by its image; the same as [`Component::eval`], many values at a time.
    fn eval_in_place(&self, values: &mut [f64]) {
        if self.degree >= CHEBYSHEV_FROM_DEGREE {
            return chebyshev::evaluate_in_place(&self.chebyshev_odd, self.domain, values);
        }
        for lane in values.chunks_mut(LANES) {
            let mut squares = [0.0; LANES];
            let mut sums = [0.0; LANES];
            squares.iter_mut().zip(lane.iter()).for_each(|(square, x)| *square = x * x);
            for a in self.odd_coefficients.iter().rev() {
                sums.iter_mut().zip(&squares).for_each(|(sum, square)| *sum = *sum * square + a);
            }
            lane.iter_mut().zip(&sums).for_each(|(x, sum)| *x *= sum);
        }
    }

    /// Levels of a minimum-depth evaluation, coefficients included: ⌈log2(degree + 1)⌉.
    pub fn depth(&self) -> usize {
        ceil_log2(self.degree + 1)
    }

    fn is_finite(&self) -> bool {
        self.domain.is_finite() && self.chebyshev_odd.iter().all(|c| c.is_finite())
    }
}

impl Paf {
    /// The PAF of one of the [`names`](Paf::names); computed on each call.
    pub fn by_name(name: &str) -> Result<Paf, NoSuchPaf> {
        if let Some(family) = families::FAMILIES.iter().find(|family| family.name == name) {
            return Paf::from_components(name, family.odd_coefficients());
        }
        match remez::RECIPES.iter().find(|recipe| recipe.name == name) {
            Some(recipe) => Ok(Paf::from_minimax(name, recipe.alpha, &recipe.components()?)),
            None => Err(NoSuchPaf::unknown_name(name)),
        }
    }

    /// All names, the minimax composites first.
    pub fn names() -> Vec<&'static str> {
        let families = families::FAMILIES.iter().map(|family| family.name);
        remez::RECIPES.iter().map(|recipe| recipe.name).chain(families).collect()
    }

    /// A composite of given odd coefficients (a1, a3, … of each component, first to last), for inputs in \[-1,1\].
    ///
    /// Zero leading coefficients are dropped. The domain of each component after the first is the largest magnitude
    /// the one before reaches on its own domain.
    pub fn from_components(name: &str, odd_coefficients: Vec<Vec<f64>>) -> Result<Paf, NoSuchPaf> {
        let mut domain = real(1.0);
        let mut components = Vec::new();
        for (index, coefficients) in odd_coefficients.iter().enumerate() {
            let exact = checked_coefficients(name, index + 1, coefficients)?;
            let component = Component::from_exact(&exact, &domain);
            domain = largest_magnitude(&exact, &domain);
            if !component.is_finite() || !to_f64(&domain).is_finite() {
                return Err(NoSuchPaf::NotFinite { name: name.to_string(), component: index + 1 });
            }
            components.push(component);
        }
        if components.is_empty() {
            return Err(NoSuchPaf::NoComponents { name: name.to_string() });
        }
        Ok(Paf { name: name.to_string(), components, alpha: None })
    }

    fn from_minimax(name: &str, alpha: u32, polynomials: &[remez::MinimaxPolynomial]) -> Paf {
        let components = polynomials.iter().map(|p| Component::from_exact(&p.exact, &p.upper));
        Paf { name: name.to_string(), components: components.collect(), alpha: Some(alpha) }
    }

    /// The approximation of sign(x).
    pub fn eval(&self, x: f64) -> f64 {
        self.components.iter().fold(x, |value, component| component.eval(value))
    }

    /// Levels of the sign at minimum depth; a ReLU or max whose scale is folded elsewhere takes one more.
    pub fn sign_depth(&self) -> usize {
        self.components.iter().map(Component::depth).sum()
    }

    /// (x + x·p(x/scale))/2, which approximates ReLU for |x| ≤ scale.
    pub fn relu(&self, x: f64, scale: f64) -> f64 {
        (x + x * self.eval(x / scale)) / 2.0
    }

    /// ((a+b) + (a−b)·p((a−b)/scale))/2, which approximates max(a,b) for |a−b| ≤ scale.
    pub fn max(&self, a: f64, b: f64, scale: f64) -> f64 {
        let difference = a - b;
        ((a + b) + difference * self.eval(difference / scale)) / 2.0
    }

    /// [`Paf::relu`] on many values.
    pub fn relu_all(&self, xs: &[f64], scale: f64) -> Vec<f64> {
        let mut signs: Vec<f64> = xs.iter().map(|x| x / scale).collect();
        self.eval_in_place(&mut signs);
        signs.iter_mut().zip(xs).for_each(|(sign, x)| *sign = (x + x * *sign) / 2.0);
        signs
    }

    /// [`Paf::max`] on many pairs.
    pub fn max_all(&self, a: &[f64], b: &[f64], scale: f64) -> Vec<f64> {
        let mut signs: Vec<f64> = a.iter().zip(b).map(|(a, b)| (a - b) / scale).collect();
        self.eval_in_place(&mut signs);
        let pairs = a.iter().zip(b);
        signs.iter_mut().zip(pairs).for_each(|(sign, (a, b))| *sign = ((a + b) + (a - b) * *sign) / 2.0);
        signs
    }

    fn eval_in_place(&self, values: &mut [f64]) {
        self.components.iter().for_each(|component| component.eval_in_place(values));
    }

    /// The factor ≥ 1 on the scale of a pool with so many comparisons in sequence, so that the inputs of every sign
    /// stay in \[-1,1\] although the comparisons before overshoot. Infinite if no factor suffices.
    ///
    /// A comparison widens the range of the values by at most 2·e·S, e being the error of one max at scale 1. With L of
    /// them S must be at least 1/(1 − 2(L−1)·e) times the range. A minimax composite has e ≤ 2^-α; approxCNN uses
    /// 1 − 4·2^-α for 2×2 windows and 1 − 6·2^-α for 3×3, and so does this: 2(L−1), but at least 4. For other
    /// composites e is their measured overshoot, which is 0 for the untuned f/g families: their guard is 1.
    pub fn pool_guard(&self, comparisons: u32) -> f64 {
        if comparisons < 2 {
            return 1.0;
        }
        let widenings = f64::from(2 * (comparisons - 1));
        match self.alpha {
            Some(alpha) => tree_guard(widenings.max(4.0) * 2f64.powi(-(alpha as i32))),
            None => tree_guard(widenings * self.overshoot()),
        }
    }

    fn overshoot(&self) -> f64 {
        let overshoot = analysis::max_overshoot(self);
        if overshoot < NEGLIGIBLE_OVERSHOOT { 0.0 } else { overshoot }
    }

    /// max |ReLU(x) − relu(x, 1)| on \[-1,1\]; multiply by the scale for other ranges. For max the same bound holds.
    pub fn max_relu_error(&self) -> f64 {
        analysis::max_relu_error(self)
    }
}

/// 1/(1 − widening), infinite when the widening eats the whole range.
fn tree_guard(widening: f64) -> f64 {
    if widening < 1.0 { 1.0 / (1.0 - widening) } else { f64::INFINITY }
}

fn ceil_log2(value: usize) -> usize {
    value.next_power_of_two().trailing_zeros() as usize
}

fn checked_coefficients(name: &str, component: usize, coefficients: &[f64]) -> Result<Vec<Real>, NoSuchPaf> {
    let name = name.to_string();
    if coefficients.iter().any(|a| !a.is_finite()) {
        return Err(NoSuchPaf::NotFinite { name, component });
    }
    let Some(last) = coefficients.iter().rposition(|a| *a != 0.0) else {
        return Err(NoSuchPaf::ZeroComponent { name, component });
    };
    let degree = 2 * last + 1;
    if degree > MAX_DEGREE {
        return Err(NoSuchPaf::DegreeTooHigh { name, component, degree });
    }
    Ok(coefficients[..=last].iter().map(|a| real(*a)).collect())
}

/// The valid name with the fewest edits to `name`, ignoring case, if that is at most 3. The part of a name before
/// its dot counts as a spelling of it.
fn nearest_name(name: &str) -> Option<&'static str> {
    let lowercase = name.to_lowercase();
    let distance = |known: &str| {
        let stem = known.split('.').next().unwrap_or(known);
        edit_distance(&lowercase, known).min(edit_distance(&lowercase, stem))
    };
    let nearest = Paf::names().into_iter().min_by_key(|known| distance(known))?;
    (distance(nearest) <= 3).then_some(nearest)
}

/// Levenshtein distance: insertions, deletions and substitutions.
fn edit_distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}
