//! Polynomial approximated functions (PAFs): what stands for ReLU and max.
//!
//! Composites p of odd polynomials approximate sign on \[-1,1\] ([`Composite`]), and ReLU and max are exact formulas around
//! the sign: with a scale S ≥ max |input|, ReLU(x) ≈ (x + x·p(x/S))/2 and max(a,b) ≈ b + ReLU(a − b).
//! `alpha4` … `alpha15` are minimax composites whose ReLU error on \[-1,1\] stays below 2^-α (see [`remez`]); the f/g
//! composites come from closed forms (see [`families`]); [`Paf::from_components`] takes coefficients from elsewhere,
//! such as a fine-tuning run.
//!
//! A ReLU needs |x| only, where an error near 0 is forgiven, so one polynomial r takes far fewer levels ([`Rectifier`]):
//! ReLU(x) ≈ S·r(x/S), from |x| for `abs2` … `abs126`, of ReLU itself for `relu2` … `relu63`.

mod analysis;
mod chebyshev;
mod composite;
pub mod families;
mod high_precision;
mod rectifier;
pub mod remez;
mod squares;

pub(crate) use chebyshev::clenshaw;
pub use composite::{Component, Composite};
pub use rectifier::{Arguments, Rectifier, Symmetry};
pub(crate) use squares::Squares;

/// Values evaluated side by side.
const LANES: usize = 32;

/// PAF of nodes for which none is asked: the smallest error of a ReLU of 7 levels (`docs/paf-errors.md`).
pub const DEFAULT_PAF: &str = "alpha7";

/// Higher degrees are refused: nothing published uses them, and 256 bits would stop being enough.
const MAX_DEGREE: usize = 63;

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
    #[error(
        "component {component} of PAF \"{name}\" has degree {degree}; at most {MAX_DEGREE} is supported, or 127 in one polynomial of ReLU"
    )]
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

/// What stands for the ReLU and the comparisons of a node.
#[derive(Debug, Clone, PartialEq)]
pub struct Paf {
    /// The name it was asked for by, or that its maker gave it.
    pub name: String,
    /// How it approximates.
    pub form: Form,
}

/// How a PAF approximates ReLU.
#[derive(Debug, Clone, PartialEq)]
pub enum Form {
    /// ReLU(x) = (x + x·p(x/S))/2 with a composite p ≈ sign.
    Sign(Composite),
    /// ReLU(x) = S·r(x/S) with one polynomial r.
    Rectifier(Rectifier),
}

impl Paf {
    /// The PAF of one of the [`names`](Paf::names); computed on each call.
    pub fn by_name(name: &str) -> Result<Paf, NoSuchPaf> {
        if let Some(family) = families::FAMILIES.iter().find(|family| family.name == name) {
            return Paf::from_components(name, family.odd_coefficients());
        }
        if let Some(family) = rectifier::FAMILIES.iter().find(|family| family.name == name) {
            return Ok(Paf { name: name.to_string(), form: Form::Rectifier(family.minimax()?) });
        }
        match remez::RECIPES.iter().find(|recipe| recipe.name == name) {
            Some(recipe) => {
                let composite = Composite::from_minimax(recipe.alpha, &recipe.components()?);
                Ok(Paf { name: name.to_string(), form: Form::Sign(composite) })
            }
            None => Err(NoSuchPaf::unknown_name(name)),
        }
    }

    /// All names: the minimax composites, the f/g composites, the polynomials of |x| and of ReLU.
    pub fn names() -> Vec<&'static str> {
        let minimax = remez::RECIPES.iter().map(|recipe| recipe.name);
        let composites = families::FAMILIES.iter().map(|family| family.name);
        minimax.chain(composites).chain(rectifier::FAMILIES.iter().map(|family| family.name)).collect()
    }

    /// A composite of given odd coefficients (a1, a3, … of each component, first to last), for inputs in \[-1,1\].
    ///
    /// Zero leading coefficients are dropped. The domain of each component after the first is the largest magnitude
    /// the one before reaches on its own domain.
    pub fn from_components(name: &str, odd_coefficients: Vec<Vec<f64>>) -> Result<Paf, NoSuchPaf> {
        let composite = Composite::from_coefficients(name, &odd_coefficients)?;
        Ok(Paf { name: name.to_string(), form: Form::Sign(composite) })
    }

    /// One polynomial of ReLU by its coefficients in the Chebyshev basis, or one for each channel.
    ///
    /// # Errors
    /// As [`Rectifier::from_series`].
    pub fn from_series(name: &str, series: Vec<Vec<f64>>) -> Result<Paf, NoSuchPaf> {
        Ok(Paf { name: name.to_string(), form: Form::Rectifier(Rectifier::from_series(name, series)?) })
    }

    /// The composite, if it is one.
    pub fn composite(&self) -> Option<&Composite> {
        match &self.form {
            Form::Sign(composite) => Some(composite),
            Form::Rectifier(_) => None,
        }
    }

    /// The components of a composite; none of anything else.
    pub fn components(&self) -> &[Component] {
        self.composite().map_or(&[], |composite| &composite.components)
    }

    /// The polynomial of ReLU, if it is one.
    pub fn rectifier(&self) -> Option<&Rectifier> {
        match &self.form {
            Form::Sign(_) => None,
            Form::Rectifier(rectifier) => Some(rectifier),
        }
    }

    /// The same PAF with the coefficients that it has, whatever its node sees.
    pub fn settled(mut self) -> Paf {
        if let Form::Rectifier(rectifier) = &mut self.form {
            rectifier.settled = true;
        }
        self
    }

    /// Levels of a ReLU, at minimum depth and with every scale folded elsewhere.
    pub fn depth(&self) -> usize {
        match &self.form {
            Form::Sign(composite) => composite.sign_depth() + 1,
            Form::Rectifier(rectifier) => rectifier.depth(),
        }
    }

    /// Levels of one comparison of a pool, likewise.
    pub fn depth_of_comparison(&self) -> usize {
        match &self.form {
            Form::Sign(composite) => composite.sign_depth() + 1,
            Form::Rectifier(rectifier) => rectifier.depth_of_comparison(),
        }
    }

    /// What approximates ReLU(u) for |u| ≤ 1, in a channel.
    pub fn rectified(&self, channel: usize, u: f64) -> f64 {
        match &self.form {
            Form::Sign(composite) => (u + u * composite.eval(u)) / 2.0,
            Form::Rectifier(rectifier) => rectifier.eval(channel, u),
        }
    }

    /// What approximates ReLU(x) for |x| ≤ scale.
    pub fn relu(&self, x: f64, scale: f64) -> f64 {
        scale * self.rectified(0, x / scale)
    }

    /// b + ReLU(a − b), which approximates max(a,b) for |a−b| ≤ scale.
    pub fn max(&self, a: f64, b: f64, scale: f64) -> f64 {
        b + self.relu(a - b, scale)
    }

    /// [`Paf::relu`] of a channel on many values.
    pub fn relu_all(&self, channel: usize, xs: &[f64], scale: f64) -> Vec<f64> {
        let mut values: Vec<f64> = xs.iter().map(|x| x / scale).collect();
        match &self.form {
            Form::Sign(composite) => {
                composite.eval_in_place(&mut values);
                values.iter_mut().zip(xs).for_each(|(sign, x)| *sign = (x + x * *sign) / 2.0);
            }
            Form::Rectifier(rectifier) => {
                rectifier.eval_in_place(channel, &mut values);
                values.iter_mut().for_each(|value| *value *= scale);
            }
        }
        values
    }

    /// [`Paf::max`] on many pairs.
    pub fn max_all(&self, a: &[f64], b: &[f64], scale: f64) -> Vec<f64> {
        let mut values: Vec<f64> = a.iter().zip(b).map(|(a, b)| (a - b) / scale).collect();
        let pairs = a.iter().zip(b);
        match &self.form {
            Form::Sign(composite) => {
                composite.eval_in_place(&mut values);
                values.iter_mut().zip(pairs).for_each(|(sign, (a, b))| *sign = ((a + b) + (a - b) * *sign) / 2.0);
            }
            Form::Rectifier(rectifier) => {
                rectifier.eval_in_place(0, &mut values);
                values.iter_mut().zip(b).for_each(|(value, b)| *value = b + scale * *value);
            }
        }
        values
    }

    /// The factor ≥ 1 on the scale of a pool with so many comparisons in sequence, so that the inputs of every comparison
    /// stay in \[-1,1\] although those before overshoot. Infinite if no factor suffices.
    ///
    /// A comparison widens the range of the values by at most 2·e·S, e being the error of one max at scale 1. With L of
    /// them S must be at least 1/(1 − 2(L−1)·e) times the range. A minimax composite has e ≤ 2^-α; approxCNN uses
    /// 1 − 4·2^-α for 2×2 windows and 1 − 6·2^-α for 3×3, and so does this: 2(L−1), but at least 4. For anything else e
    /// is the measured overshoot, which is 0 for the untuned f/g families: their guard is 1.
    pub fn pool_guard(&self, comparisons: u32) -> f64 {
        if comparisons < 2 {
            return 1.0;
        }
        let widenings = f64::from(2 * (comparisons - 1));
        match &self.form {
            Form::Sign(composite) if composite.alpha.is_some() => {
                tree_guard(widenings.max(4.0) * composite.overshoot())
            }
            Form::Sign(composite) => tree_guard(widenings * composite.overshoot()),
            Form::Rectifier(rectifier) => rectifier.room() * tree_guard(widenings * rectifier.overshoot()),
        }
    }

    /// max |ReLU(x) − relu(x, 1)| on \[-1,1\]; multiply by the scale for other ranges. For max the same bound holds.
    pub fn max_relu_error(&self) -> f64 {
        match &self.form {
            Form::Sign(composite) => analysis::largest_magnitude(|u| u * (1.0 - composite.eval(u)) / 2.0),
            Form::Rectifier(rectifier) => rectifier.max_error(),
        }
    }
}

/// 1/(1 − widening), infinite when the widening eats the whole range.
fn tree_guard(widening: f64) -> f64 {
    if widening < 1.0 { 1.0 / (1.0 - widening) } else { f64::INFINITY }
}

/// ⌈log2(value)⌉.
pub(crate) fn ceil_log2(value: usize) -> usize {
    value.next_power_of_two().trailing_zeros() as usize
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
