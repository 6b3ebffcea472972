//! The operations of the client, their names and the shapes of their results.

use crate::error::IrError;
use crate::linear::ZERO;
use crate::tensor::{Constant, Function, Shape};

/// An enum of operations that have a name each.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$about])* $variant,)* }

        impl $name {
            /// The name in the text form and in files.
            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }

            fn by_name(name: &str) -> Option<Self> {
                match name { $($text => Some($name::$variant),)* _ => None }
            }
        }
    };
}

named! {
    /// A function of each element that is no [`Function`].
    Unary {
        /// `−x`.
        Negate = "negate",
        /// `|x|`.
        Abs = "abs",
        /// −1, 0 or 1.
        Sign = "sign",
        /// The next integer below.
        Floor = "floor",
        /// The next integer above.
        Ceil = "ceil",
        /// The nearest integer, the even one of two.
        Round = "round",
        /// The next integer towards zero.
        Truncate = "truncate",
        /// 1 for zero, 0 otherwise.
        Not = "not",
    }
}

named! {
    /// An operation on two tensors whose shapes broadcast.
    Binary {
        /// `a + b`.
        Add = "add",
        /// `a − b`.
        Sub = "sub",
        /// `a · b`.
        Mul = "mul",
        /// `a / b`.
        Div = "div",
        /// `a` to the power `b`.
        Pow = "pow",
        /// The smaller one.
        Min = "min",
        /// The larger one.
        Max = "max",
        /// Whether they are equal.
        Equal = "equal",
        /// Whether `a > b`.
        Greater = "greater",
        /// Whether `a ≥ b`.
        GreaterOrEqual = "greater_or_equal",
        /// Whether `a < b`.
        Less = "less",
        /// Whether `a ≤ b`.
        LessOrEqual = "less_or_equal",
        /// Whether both are true.
        And = "and",
        /// Whether one is true.
        Or = "or",
        /// Whether exactly one is true.
        Xor = "xor",
    }
}

named! {
    /// What becomes of the elements along some axes, which stay with size 1.
    Reduction {
        /// Their sum.
        Sum = "reduce_sum",
        /// Their mean.
        Mean = "reduce_mean",
        /// Their product.
        Prod = "reduce_prod",
        /// The largest one.
        Max = "reduce_max",
        /// The smallest one.
        Min = "reduce_min",
        /// The sum of magnitudes.
        L1 = "reduce_l1",
        /// The root of the sum of squares.
        L2 = "reduce_l2",
        /// The sum of squares.
        SumSquare = "reduce_sum_square",
        /// The logarithm of the sum.
        LogSum = "reduce_log_sum",
        /// The logarithm of the sum of exponentials.
        LogSumExp = "reduce_log_sum_exp",
    }
}

/// An operation on the client's tensors.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientOp {
    /// A table, or numbers that elements are combined with.
    Constant(Constant),
    /// A function of each element.
    Unary(Unary),
    /// A smooth function of each element.
    Function(Function),
    /// Two tensors, broadcast.
    Binary(Binary),
    /// The second operand where the first one is not zero, the third elsewhere, broadcast.
    Choose,
    /// Softmax along an axis.
    Softmax(usize),
    /// Its logarithm.
    LogSoftmax(usize),
    /// Elements along axes become one.
    Reduce(Reduction, Vec<usize>),
    /// Place of the largest element along an axis, which stays with size 1; of equal ones the first, or the last.
    ArgMax {
        /// The axis.
        axis: usize,
        /// Whether the last of equal elements counts.
        last: bool,
    },
    /// Places of the largest (or smallest) elements along an axis, in their order; of equal ones the first come first.
    TopK {
        /// The axis.
        axis: usize,
        /// How many.
        count: usize,
        /// Whether the largest ones count.
        largest: bool,
    },
    /// Elements of the first operand along an axis at the places that the second one holds.
    TakeAlong(usize),
    /// The same elements under another shape.
    Reshape,
    /// Axis `i` of the result is axis `permutation[i]`.
    Transpose(Vec<usize>),
    /// Along each axis the elements of these places, [`ZERO`] for a zero.
    Select(Vec<Vec<u32>>),
    /// Operands one after another along an axis.
    Concat(usize),
    /// The operand broadcast to a shape.
    Expand,
    /// Slices of the first operand along an axis at the places that the second one holds.
    Gather(usize),
}

impl ClientOp {
    /// The name in the text form and in files.
    pub fn name(&self) -> &'static str {
        self.parts().0
    }

    /// Name, integers and constant, from which [`ClientOp::from_parts`] makes it again.
    pub fn parts(&self) -> (&'static str, Vec<i64>, Option<&Constant>) {
        let of = |list: &[usize]| list.iter().map(|&number| number as i64).collect::<Vec<_>>();
        match self {
            ClientOp::Constant(constant) => ("constant", vec![], Some(constant)),
            ClientOp::Unary(unary) => (unary.name(), vec![], None),
            ClientOp::Function(function) => (function.name(), vec![], None),
            ClientOp::Binary(binary) => (binary.name(), vec![], None),
            ClientOp::Choose => ("choose", vec![], None),
            ClientOp::Softmax(axis) => ("softmax", of(&[*axis]), None),
            ClientOp::LogSoftmax(axis) => ("log_softmax", of(&[*axis]), None),
            ClientOp::Reduce(reduction, axes) => (reduction.name(), of(axes), None),
            ClientOp::ArgMax { axis, last } => ("arg_max", of(&[*axis, usize::from(*last)]), None),
            ClientOp::TopK { axis, count, largest } => ("top_k", of(&[*axis, *count, usize::from(*largest)]), None),
            ClientOp::TakeAlong(axis) => ("take_along", of(&[*axis]), None),
            ClientOp::Reshape => ("reshape", vec![], None),
            ClientOp::Transpose(permutation) => ("transpose", of(permutation), None),
            ClientOp::Select(indices) => ("select", flat(indices), None),
            ClientOp::Concat(axis) => ("concat", of(&[*axis]), None),
            ClientOp::Expand => ("expand", vec![], None),
            ClientOp::Gather(axis) => ("gather", of(&[*axis]), None),
        }
    }

    /// The operation of these parts, if there is one.
    pub fn from_parts(name: &str, integers: &[i64], constant: Option<Constant>) -> Option<Self> {
        let list: Option<Vec<usize>> = integers.iter().map(|&number| usize::try_from(number).ok()).collect();
        let op = match (name, list.as_deref(), constant) {
            ("constant", Some([]), Some(constant)) => ClientOp::Constant(constant),
            (_, _, Some(_)) => return None,
            ("select", ..) => ClientOp::Select(unflat(integers)?),
            ("choose", Some([]), _) => ClientOp::Choose,
            ("softmax", Some([axis]), _) => ClientOp::Softmax(*axis),
            ("log_softmax", Some([axis]), _) => ClientOp::LogSoftmax(*axis),
            ("arg_max", Some([axis, last @ (0 | 1)]), _) => ClientOp::ArgMax { axis: *axis, last: *last == 1 },
            ("top_k", Some([axis, count, largest @ (0 | 1)]), _) => {
                ClientOp::TopK { axis: *axis, count: *count, largest: *largest == 1 }
            }
            ("take_along", Some([axis]), _) => ClientOp::TakeAlong(*axis),
            ("reshape", Some([]), _) => ClientOp::Reshape,
            ("transpose", Some(permutation), _) => ClientOp::Transpose(permutation.to_vec()),
            ("concat", Some([axis]), _) => ClientOp::Concat(*axis),
            ("expand", Some([]), _) => ClientOp::Expand,
            ("gather", Some([axis]), _) => ClientOp::Gather(*axis),
            (_, Some(axes), _) => match (Reduction::by_name(name), axes) {
                (Some(reduction), axes) => ClientOp::Reduce(reduction, axes.to_vec()),
                (None, []) => Self::elementwise(name)?,
                (None, _) => return None,
            },
            (_, None, _) => return None,
        };
        Some(op)
    }

    fn elementwise(name: &str) -> Option<Self> {
        let unary = Unary::by_name(name).map(ClientOp::Unary);
        let binary = || Binary::by_name(name).map(ClientOp::Binary);
        unary.or_else(binary).or_else(|| Function::by_name(name).map(ClientOp::Function))
    }

    /// The result's shape; `wanted` says which for a reshape or an expansion.
    pub(super) fn infer(&self, operands: &[&Shape], wanted: Option<&Shape>) -> Result<Shape, IrError> {
        let shape = self.shape(operands, wanted);
        let shape = shape.ok_or_else(|| {
            let operands: Vec<String> = operands.iter().map(ToString::to_string).collect();
            IrError::ty(self.name(), format!("not defined for operands of shapes {}", operands.join(", ")))
        })?;
        let is_small = shape.checked_size().is_some();
        if is_small { Ok(shape) } else { Err(IrError::ty(self.name(), format!("no tensor has the shape {shape}"))) }
    }

    fn shape(&self, operands: &[&Shape], wanted: Option<&Shape>) -> Option<Shape> {
        let with = |shape: &Shape, axis: usize, size: usize| {
            let mut result = shape.clone();
            *result.0.get_mut(axis)? = size;
            Some(result)
        };
        match (self, operands) {
            (ClientOp::Constant(constant), []) => Some(constant.shape.clone()),
            (ClientOp::Unary(_) | ClientOp::Function(_), [x]) => Some((*x).clone()),
            (ClientOp::Binary(_), [a, b]) => a.broadcast(b),
            (ClientOp::Choose, [condition, a, b]) => condition.broadcast(&a.broadcast(b)?),
            (ClientOp::Softmax(axis) | ClientOp::LogSoftmax(axis), [x]) => (*axis < x.0.len()).then(|| (*x).clone()),
            (ClientOp::Reduce(_, axes), [x]) => axes.iter().try_fold((*x).clone(), |x, &axis| with(&x, axis, 1)),
            (ClientOp::ArgMax { axis, .. }, [x]) => with(x, *axis, 1),
            (ClientOp::TopK { axis, count, .. }, [x]) => {
                let fits = (1..=*x.0.get(*axis)?).contains(count);
                if fits { with(x, *axis, *count) } else { None }
            }
            (ClientOp::TakeAlong(axis), [x, places]) => {
                let same = with(x, *axis, *places.0.get(*axis)?)?;
                (same == **places).then_some(same)
            }
            (ClientOp::Reshape, [x]) => wanted.filter(|wanted| wanted.checked_size() == x.checked_size()).cloned(),
            (ClientOp::Transpose(permutation), [x]) => {
                let mut sorted = permutation.clone();
                sorted.sort_unstable();
                let is_permutation = sorted.into_iter().eq(0..x.0.len());
                is_permutation.then(|| Shape(permutation.iter().map(|&axis| x.0[axis]).collect()))
            }
            (ClientOp::Select(indices), [x]) => {
                let is_there = |(list, &size): (&Vec<u32>, &usize)| {
                    list.iter().all(|&place| place == ZERO || (place as usize) < size)
                };
                let fits = indices.len() == x.0.len() && indices.iter().zip(&x.0).all(is_there);
                fits.then(|| Shape(indices.iter().map(Vec::len).collect()))
            }
            (ClientOp::Concat(axis), [first, others @ ..]) => {
                let join = |sum: Shape, other: &&Shape| {
                    let joined = with(&sum, *axis, sum.0.get(*axis)?.checked_add(*other.0.get(*axis)?)?)?;
                    let fits = with(other, *axis, joined.0[*axis])? == joined;
                    fits.then_some(joined)
                };
                others.iter().try_fold((*first).clone(), join)
            }
            (ClientOp::Expand, [x]) => wanted.filter(|wanted| x.broadcast(wanted).as_ref() == Some(*wanted)).cloned(),
            (ClientOp::Gather(axis), [data, places]) => {
                data.0.get(*axis)?;
                Some(Shape([&data.0[..*axis], &places.0, &data.0[axis + 1..]].concat()))
            }
            _ => None,
        }
    }
}

/// For each axis its number of places, and the places; −1 for a zero.
fn flat(indices: &[Vec<u32>]) -> Vec<i64> {
    let place = |&place: &u32| if place == ZERO { -1 } else { i64::from(place) };
    indices.iter().flat_map(|list| [list.len() as i64].into_iter().chain(list.iter().map(place))).collect()
}

fn unflat(mut integers: &[i64]) -> Option<Vec<Vec<u32>>> {
    let place = |&place: &i64| if place == -1 { Some(ZERO) } else { u32::try_from(place).ok() };
    let mut indices = vec![];
    while let [count, rest @ ..] = integers {
        let (list, rest) = rest.split_at_checked(usize::try_from(*count).ok()?)?;
        indices.push(list.iter().map(place).collect::<Option<Vec<_>>>()?);
        integers = rest;
    }
    Some(indices)
}
