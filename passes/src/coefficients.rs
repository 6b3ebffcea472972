//! Constants that a tensor meets element by element: one number, or numbers that repeat, such as one for each channel.

use std::sync::Arc;

use paf_ir::linear::{Bias, LinearMap, Primitive};
use paf_ir::tensor::{Shape, Tensor};

/// Two numbers within this relative distance are one: products of scales taken in another order.
pub(crate) const SNAP: f64 = 1e-13;

/// Whether two numbers are one.
pub(crate) fn is_near(a: f64, b: f64) -> bool {
    (a - b).abs() <= SNAP * a.abs().max(b.abs())
}

/// Element `i` has `values[(i / repeat) mod len]`. The form is the shortest there is, so equal constants are equal values;
/// one number for all elements has one value and a repeat of 1.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Coefficients {
    values: Vec<f64>,
    repeat: usize,
}

impl Coefficients {
    /// One number for all elements.
    pub(crate) fn uniform(value: f64) -> Self {
        Coefficients { values: vec![value], repeat: 1 }
    }

    /// In its shortest form; numbers that are all near each other are one.
    pub(crate) fn new(mut values: Vec<f64>, repeat: usize) -> Self {
        if values.iter().all(|&value| is_near(value, values[0])) {
            return Coefficients::uniform(values[0]);
        }
        values.truncate(period(&values));
        let run = run_length(&values);
        let values: Vec<f64> = values.into_iter().step_by(run).collect();
        Coefficients { values, repeat: repeat * run }
    }

    /// The product of the diagonals and the factor of a map that works element by element; `None` for any other map.
    pub(crate) fn of_diagonals(map: &LinearMap) -> Option<Self> {
        map.factors.iter().try_fold(Coefficients::uniform(map.scale), |product, factor| match factor {
            Primitive::Diagonal { values, repeat, .. } => {
                Some(product.zip(&Coefficients::new(values.data.clone(), *repeat), |a, b| a * b))
            }
            _ => None,
        })
    }

    /// The bias of a map, 0 for none.
    pub(crate) fn of_bias(map: &LinearMap) -> Self {
        let of = |bias: &Bias| Coefficients::new(bias.values.data.clone(), bias.repeat);
        map.bias.as_ref().map_or(Coefficients::uniform(0.0), of)
    }

    /// The number that all elements have.
    pub(crate) fn as_uniform(&self) -> Option<f64> {
        if let [value] = self.values[..] { Some(value) } else { None }
    }

    /// All numbers, each at least once.
    pub(crate) fn values(&self) -> &[f64] {
        &self.values
    }

    /// One number for each of so many elements.
    pub(crate) fn expanded(&self, size: usize) -> Vec<f64> {
        (0..size).map(|index| self.values[(index / self.repeat) % self.values.len()]).collect()
    }

    /// A function of each number.
    pub(crate) fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Coefficients::new(self.values.iter().copied().map(f).collect(), self.repeat)
    }

    /// A function of the two numbers of each element.
    pub(crate) fn zip(&self, other: &Self, f: impl Fn(f64, f64) -> f64) -> Self {
        if let Some(a) = self.as_uniform() {
            return other.map(|b| f(a, b));
        }
        if let Some(b) = other.as_uniform() {
            return self.map(|a| f(a, b));
        }
        let repeat = greatest_common_divisor(self.repeat, other.repeat);
        let (a, b) = (self.values.len() * self.repeat / repeat, other.values.len() * other.repeat / repeat);
        let count = a / greatest_common_divisor(a, b) * b;
        let at = |of: &Self, index: usize| of.values[(index * repeat / of.repeat) % of.values.len()];
        Coefficients::new((0..count).map(|index| f(at(self, index), at(other, index))).collect(), repeat)
    }

    /// The sum; what cancels up to rounding is zero.
    pub(crate) fn plus(&self, other: &Self) -> Self {
        self.zip(other, |a, b| if is_near(a, -b) { 0.0 } else { a + b })
    }

    /// The product.
    pub(crate) fn times(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a * b)
    }

    /// Whether every number is near that of the other.
    pub(crate) fn is_near(&self, other: &Self) -> bool {
        let same = self.repeat == other.repeat && self.values.len() == other.values.len();
        same && self.values.iter().zip(&other.values).all(|(&a, &b)| is_near(a, b))
    }

    /// As factors of a linear map on so many elements.
    pub(crate) fn diagonal(&self, size: usize) -> Primitive {
        Primitive::Diagonal { values: self.tensor(), repeat: self.span(size), size }
    }

    /// As the bias of a linear map to so many elements; `None` for zero.
    pub(crate) fn bias(&self, size: usize) -> Option<Bias> {
        let is_zero = self.as_uniform() == Some(0.0);
        (!is_zero).then(|| Bias { values: self.tensor(), repeat: self.span(size) })
    }

    fn tensor(&self) -> Arc<Tensor> {
        Arc::new(Tensor::new(Shape(vec![self.values.len()]), self.values.clone()))
    }

    fn span(&self, size: usize) -> usize {
        if self.values.len() == 1 { size } else { self.repeat }
    }
}

/// The map `factors · x + offsets` on so many elements.
pub(crate) fn affine(factors: &Coefficients, offsets: &Coefficients, size: usize) -> LinearMap {
    let (diagonal, scale) = match factors.as_uniform() {
        Some(scale) => (None, scale),
        None => (Some(factors.diagonal(size)), 1.0),
    };
    let factors = diagonal.into_iter().collect();
    LinearMap { factors, scale, bias: offsets.bias(size), ..LinearMap::identity(size) }
}

/// The length after which numbers begin again.
fn period(values: &[f64]) -> usize {
    let count = values.len();
    let repeats = |&period: &usize| count.is_multiple_of(period) && values[period..] == values[..count - period];
    (1..=count).find(repeats).unwrap_or(count)
}

/// How many neighbours are equal everywhere.
fn run_length(values: &[f64]) -> usize {
    let changes = (1..values.len()).filter(|&place| values[place] != values[place - 1]);
    changes.fold(values.len(), greatest_common_divisor)
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_constants_have_one_form() {
        let by_channel = Coefficients::new(vec![1.0, 2.0, 3.0], 4);
        let by_element = Coefficients::new(by_channel.expanded(24), 1);
        assert_eq!(by_channel, by_element);
        assert_eq!(Coefficients::new(vec![0.1 + 0.2, 0.3], 5).as_uniform(), Some(0.1 + 0.2));
    }

    #[test]
    fn constants_of_several_forms_meet() {
        let (channels, columns) = (Coefficients::new(vec![1.0, 2.0], 6), Coefficients::new(vec![10.0, 20.0, 30.0], 1));
        let expected: Vec<f64> = channels.expanded(12).iter().zip(columns.expanded(12)).map(|(a, b)| a + b).collect();
        let sum = channels.plus(&columns);
        assert_eq!(sum.expanded(12), expected);
        assert_eq!(sum.plus(&columns.map(|value| -value)), channels);
        let inverse = channels.map(f64::recip);
        assert_eq!(channels.times(&inverse).as_uniform(), Some(1.0));
    }
}
