//! Functions of one element that have no exact form in a circuit.

use std::f64::consts::PI;

/// A real function, applied element by element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Function {
    /// `1 / (1 + e^−x)`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// The error function.
    Erf,
    /// `e^x`.
    Exp,
    /// Natural logarithm, for x > 0.
    Log,
    /// Square root, for x ≥ 0.
    Sqrt,
    /// `1 / x`, on one side of zero.
    Reciprocal,
    /// `1 / √x`, for x > 0.
    InverseSqrt,
    /// Sine.
    Sin,
    /// Cosine.
    Cos,
    /// Hyperbolic sine.
    Sinh,
    /// Hyperbolic cosine.
    Cosh,
    /// Arc tangent.
    Atan,
    /// Inverse hyperbolic sine.
    Asinh,
    /// `ln(1 + e^x)`.
    Softplus,
    /// `x / (1 + |x|)`.
    Softsign,
    /// `x` for x > 0, else `e^x − 1`.
    Elu,
    /// `x · Φ(x)` with the normal distribution's Φ, `½·x·(1 + erf(x/√2))`.
    Gelu,
    /// Gelu as `½·x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))`.
    GeluTanh,
    /// `x · sigmoid(x)`.
    Silu,
    /// `x · tanh(softplus(x))`.
    Mish,
}

/// All functions.
pub const FUNCTIONS: [Function; 21] = [
    Function::Sigmoid,
    Function::Tanh,
    Function::Erf,
    Function::Exp,
    Function::Log,
    Function::Sqrt,
    Function::Reciprocal,
    Function::InverseSqrt,
    Function::Sin,
    Function::Cos,
    Function::Sinh,
    Function::Cosh,
    Function::Atan,
    Function::Asinh,
    Function::Softplus,
    Function::Softsign,
    Function::Elu,
    Function::Gelu,
    Function::GeluTanh,
    Function::Silu,
    Function::Mish,
];

impl Function {
    /// The function's name in the text form.
    pub fn name(self) -> &'static str {
        match self {
            Function::Sigmoid => "sigmoid",
            Function::Tanh => "tanh",
            Function::Erf => "erf",
            Function::Exp => "exp",
            Function::Log => "log",
            Function::Sqrt => "sqrt",
            Function::Reciprocal => "reciprocal",
            Function::InverseSqrt => "inverse_sqrt",
            Function::Sin => "sin",
            Function::Cos => "cos",
            Function::Sinh => "sinh",
            Function::Cosh => "cosh",
            Function::Atan => "atan",
            Function::Asinh => "asinh",
            Function::Softplus => "softplus",
            Function::Softsign => "softsign",
            Function::Elu => "elu",
            Function::Gelu => "gelu",
            Function::GeluTanh => "gelu_tanh",
            Function::Silu => "silu",
            Function::Mish => "mish",
        }
    }

    /// The function of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        FUNCTIONS.into_iter().find(|function| function.name() == name)
    }

    /// The value at `x`; NaN or infinite outside the domain.
    pub fn eval(self, x: f64) -> f64 {
        match self {
            Function::Sigmoid => sigmoid(x),
            Function::Tanh => x.tanh(),
            Function::Erf => erf(x),
            Function::Exp => x.exp(),
            Function::Log => x.ln(),
            Function::Sqrt => x.sqrt(),
            Function::Reciprocal => x.recip(),
            Function::InverseSqrt => x.sqrt().recip(),
            Function::Sin => x.sin(),
            Function::Cos => x.cos(),
            Function::Sinh => x.sinh(),
            Function::Cosh => x.cosh(),
            Function::Atan => x.atan(),
            Function::Asinh => x.asinh(),
            Function::Softplus => softplus(x),
            Function::Softsign => x / (1.0 + x.abs()),
            Function::Elu if x > 0.0 => x,
            Function::Elu => x.exp_m1(),
            Function::Gelu => 0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2)),
            Function::GeluTanh => {
                let inner = (2.0 / PI).sqrt() * (x + 0.044715 * x.powi(3));
                0.5 * x * (1.0 + inner.tanh())
            }
            Function::Silu => x * sigmoid(x),
            Function::Mish => x * softplus(x).tanh(),
        }
    }

    /// Whether the function is defined and bounded on all of `[low, high]`.
    pub fn is_defined_on(self, low: f64, high: f64) -> bool {
        match self {
            Function::Log | Function::InverseSqrt => low > 0.0,
            Function::Sqrt => low >= 0.0,
            Function::Reciprocal => low > 0.0 || high < 0.0,
            _ => true,
        }
    }

    /// Smallest and largest value on `[low, high]`, which must lie in the domain.
    pub fn range_on(self, low: f64, high: f64) -> (f64, f64) {
        let (a, b) = (self.eval(low), self.eval(high));
        if let Function::Sin | Function::Cos = self {
            // The wave is 1 at this place and every 2π further, and −1 half way between.
            let crest = if self == Function::Sin { PI / 2.0 } else { 0.0 };
            let holds = |place: f64| ((low - place) / (2.0 * PI)).ceil() <= ((high - place) / (2.0 * PI)).floor();
            let least = if holds(crest + PI) { -1.0 } else { a.min(b) };
            return (least, if holds(crest) { 1.0 } else { a.max(b) });
        }
        let lowest = self.minimum().filter(|x| (low..=high).contains(x)).map_or(f64::INFINITY, |x| self.eval(x));
        (a.min(b).min(lowest), a.max(b))
    }

    /// Where a function that is not monotone is smallest: the root of its derivative.
    fn minimum(self) -> Option<f64> {
        match self {
            Function::Gelu => Some(-0.751_791_524_693_564_5),
            Function::GeluTanh => Some(-0.752_461_422_1),
            Function::Silu => Some(-1.278_464_542_761_074),
            Function::Mish => Some(-1.192_431_214_5),
            Function::Cosh => Some(0.0),
            _ => None,
        }
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// The error function by `2/√π · e^(−x²) · Σ 2^n·x^(2n+1) / (2n+1)!!`, whose terms all have one sign
/// (Abramowitz and Stegun 7.1.6). Beyond 6 it is ±1 in f64.
fn erf(x: f64) -> f64 {
    const SATURATED: f64 = 6.0;
    if x.is_nan() || x.abs() >= SATURATED {
        return if x.is_nan() { x } else { x.signum() };
    }
    let (mut term, mut sum, mut odd) = (x, x, 1.0);
    while term.abs() > f64::EPSILON / 4.0 * sum.abs() {
        odd += 2.0;
        term *= 2.0 * x * x / odd;
        sum += term;
    }
    std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Abramowitz and Stegun, table 7.1.
    const ERF: [(f64, f64); 5] = [
        (0.1, 0.112_462_916_0),
        (0.5, 0.520_499_877_8),
        (1.0, 0.842_700_792_9),
        (1.5, 0.966_105_146_5),
        (2.0, 0.995_322_265_0),
    ];

    #[test]
    fn the_error_function_has_its_published_values() {
        for (x, expected) in ERF {
            assert!((erf(x) - expected).abs() < 1e-10, "{x}");
            assert!((erf(-x) + expected).abs() < 1e-10, "-{x}");
        }
        assert_eq!((erf(0.0), erf(7.0), erf(-7.0)), (0.0, 1.0, -1.0));
        assert!((erf(5.999) - 1.0).abs() < 1e-15);
    }

    #[test]
    fn ranges_hold_every_value() {
        for function in FUNCTIONS {
            for (low, high) in [(0.5, 3.0), (-4.0, 4.0), (-1.0, -0.1), (-6.0, -0.3)] {
                if !function.is_defined_on(low, high) {
                    continue;
                }
                let (least, greatest) = function.range_on(low, high);
                for step in 0..=1000 {
                    let value = function.eval(low + (high - low) * f64::from(step) / 1000.0);
                    let inside = least - 1e-12 <= value && value <= greatest + 1e-12;
                    assert!(inside, "{function:?} on {low}, {high}: {value} outside {least}, {greatest}");
                }
            }
        }
    }

    #[test]
    fn every_function_has_a_name_of_its_own() {
        for function in FUNCTIONS {
            assert_eq!(Function::by_name(function.name()), Some(function));
        }
    }
}
