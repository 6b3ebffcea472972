//! Composites of odd polynomials that approximate sign.

use super::high_precision::{Real, largest_magnitude, real, to_f64};
use super::remez::MinimaxPolynomial;
use super::{LANES, MAX_DEGREE, NoSuchPaf, analysis, ceil_log2, chebyshev};

/// From this degree on the power basis loses too many digits, and the Chebyshev form is evaluated instead.
const CHEBYSHEV_FROM_DEGREE: usize = 13;

/// A composite approximation p of sign on \[-1,1\].
#[derive(Debug, Clone, PartialEq)]
pub struct Composite {
    /// Applied first to last.
    pub components: Vec<Component>,
    /// α of a minimax composite: the ReLU error on \[-1,1\] stays below 2^-α.
    pub(super) alpha: Option<u32>,
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
    /// c1, c3, … with p(domain·t) = Σ c_k·T_k(t), t in \[-1,1\]; rounded from 115 digits.
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

/// Bits by which the noise at a composite must be smaller than where its steepest slope takes it to 1.
const CALM_BITS: f64 = 3.0;

impl Composite {
    /// Bits that its input must have. Noise has an imaginary part, along which odd polynomials grow instead of levelling off:
    /// where the slope at 0 makes it as large as 1, in any slot, the next component takes it to infinity.
    pub fn least_bits(&self) -> f64 {
        let slope: f64 = self.components.iter().map(|component| component.odd_coefficients[0].abs()).product();
        slope.log2() + CALM_BITS
    }

    /// The composite of given odd coefficients; `name` is what errors call it.
    pub(super) fn from_coefficients(name: &str, odd_coefficients: &[Vec<f64>]) -> Result<Composite, NoSuchPaf> {
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
        Ok(Composite { components, alpha: None })
    }

    pub(super) fn from_minimax(alpha: u32, polynomials: &[MinimaxPolynomial]) -> Composite {
        let components = polynomials.iter().map(|p| Component::from_exact(&p.exact, &p.upper));
        Composite { components: components.collect(), alpha: Some(alpha) }
    }

    /// The approximation of sign(x).
    pub fn eval(&self, x: f64) -> f64 {
        self.components.iter().fold(x, |value, component| component.eval(value))
    }

    /// Replaces each value by its image.
    pub(super) fn eval_in_place(&self, values: &mut [f64]) {
        self.components.iter().for_each(|component| component.eval_in_place(values));
    }

    /// Levels of the sign at minimum depth; a ReLU or max whose scale is folded elsewhere takes one more.
    pub fn sign_depth(&self) -> usize {
        self.components.iter().map(Component::depth).sum()
    }

    /// How far a maximum leaves the range of its operands, at scale 1: 2^-α for minimax composites, else what is measured.
    pub(super) fn overshoot(&self) -> f64 {
        match self.alpha {
            Some(alpha) => 2f64.powi(-(alpha as i32)),
            None => analysis::max_overshoot(|u| u * (self.eval(u).abs() - 1.0) / 2.0),
        }
    }
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
