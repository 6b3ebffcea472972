//! Smooth functions of one element.

use paf_ir::tensor::Function;

use super::{Kernel, Real, each_pair, each_sample};

/// The function of each element.
pub(crate) struct Elementwise {
    pub(crate) function: Function,
    pub(crate) width: usize,
}

impl Kernel for Elementwise {
    const NAME: &'static str = "function";

    fn widths(&self) -> (usize, usize) {
        (self.width, self.width)
    }

    fn forward<T: Real>(&self, operands: &[&[T]]) -> Vec<T> {
        each_sample(operands[0], self.widths(), |x, y| {
            y.iter_mut().zip(x).for_each(|(y, x)| *y = T::from_f64(self.function.eval(x.to_f64())));
        })
    }

    fn backward<T: Real>(&self, operands: &[&[T]], gradient: &[T], wanted: &[bool]) -> Vec<Option<Vec<T>>> {
        let pull_back = |x: &[T], g: &[T], result: &mut [T]| {
            for (to, (x, g)) in result.iter_mut().zip(x.iter().zip(g)) {
                *to = T::from_f64(g.to_f64() * derivative(self.function, x.to_f64()));
            }
        };
        vec![wanted[0].then(|| each_pair((operands[0], self.width), (gradient, self.width), self.width, pull_back))]
    }
}

fn derivative(function: Function, x: f64) -> f64 {
    let value = |function: Function| function.eval(x);
    match function {
        Function::Sigmoid => value(Function::Sigmoid) * (1.0 - value(Function::Sigmoid)),
        Function::Tanh => 1.0 - x.tanh().powi(2),
        Function::Erf => std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp(),
        Function::Exp => x.exp(),
        Function::Log => x.recip(),
        Function::Sqrt => 0.5 / x.sqrt(),
        Function::Reciprocal => -(x * x).recip(),
        Function::InverseSqrt => -0.5 / (x * x.sqrt()),
        Function::Sin => x.cos(),
        Function::Cos => -x.sin(),
        Function::Sinh => x.cosh(),
        Function::Cosh => x.sinh(),
        Function::Atan => (1.0 + x * x).recip(),
        Function::Asinh => (1.0 + x * x).sqrt().recip(),
        Function::Softplus => value(Function::Sigmoid),
        Function::Softsign => (1.0 + x.abs()).powi(-2),
        Function::Elu => {
            if x > 0.0 {
                1.0
            } else {
                x.exp()
            }
        }
        Function::Gelu => {
            let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
            0.5 * (1.0 + Function::Erf.eval(x * std::f64::consts::FRAC_1_SQRT_2)) + x * density
        }
        Function::GeluTanh => {
            let factor = (2.0 / std::f64::consts::PI).sqrt();
            let tanh = (factor * (x + 0.044715 * x.powi(3))).tanh();
            0.5 * (1.0 + tanh) + 0.5 * x * (1.0 - tanh * tanh) * factor * (1.0 + 3.0 * 0.044715 * x * x)
        }
        Function::Silu => {
            let sigmoid = value(Function::Sigmoid);
            sigmoid + x * sigmoid * (1.0 - sigmoid)
        }
        Function::Mish => {
            let tanh = value(Function::Softplus).tanh();
            tanh + x * (1.0 - tanh * tanh) * value(Function::Sigmoid)
        }
    }
}
