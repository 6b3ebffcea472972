//! Operators whose error is measured: their models, inputs and exact results.

use paf_ir::tensor::{FUNCTIONS, Function, Shape, Tensor};
use testkit::onnx::{floats, integers, model, node, real, text};
use tract_onnx::pb::{AttributeProto, ModelProto};

/// An operator whose error is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Operator {
    Relu,
    /// MaxPool over disjoint windows of this side.
    MaxPool(usize),
    /// MaxPool over disjoint windows of 3×3 by one balanced tree.
    Tree,
    /// An operator that is a sum of ReLUs.
    Piecewise(Piecewise),
    /// A smooth function, which becomes a Chebyshev series.
    Smooth(Function),
}

/// An operator that is a sum of ReLUs, on a range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Piecewise {
    pub(crate) name: &'static str,
    pub(crate) attributes: &'static [(&'static str, f32)],
    /// Operands after the first.
    pub(crate) constants: &'static [f32],
    /// Inputs lie in [−reach, reach].
    pub(crate) reach: f64,
    /// Largest error in units of the error of one ReLU at the node's scale.
    pub(crate) relu_errors: f64,
}

const fn piecewise(name: &'static str, reach: f64, relu_errors: f64) -> Piecewise {
    Piecewise { name, attributes: &[], constants: &[], reach, relu_errors }
}

/// Error bounds follow from the sums of ReLUs in `import/src/activation.rs` and `extremum.rs`.
pub(crate) const PIECEWISE: [Piecewise; 8] = [
    piecewise("Abs", 1.0, 2.0),
    Piecewise { attributes: &[("alpha", 0.1)], ..piecewise("LeakyRelu", 1.0, 0.9) },
    Piecewise { constants: &[0.25], ..piecewise("PRelu", 1.0, 0.75) },
    Piecewise { constants: &[0.5], ..piecewise("Max", 1.0, 1.0) },
    Piecewise { constants: &[0.5], ..piecewise("Min", 1.0, 1.0) },
    Piecewise { constants: &[-0.5, 0.5], ..piecewise("Clip", 1.0, 2.0) },
    piecewise("HardSigmoid", 4.0, 2.0),
    piecewise("HardSwish", 4.0, 8.0),
];

impl Piecewise {
    fn exact(self, x: f64) -> f64 {
        let constant = |index: usize| f64::from(self.constants[index]);
        match self.name {
            "Abs" => x.abs(),
            "LeakyRelu" => x.max(f64::from(self.attributes[0].1) * x),
            "PRelu" => x.max(constant(0) * x),
            "Max" => x.max(constant(0)),
            "Min" => x.min(constant(0)),
            "Clip" => x.clamp(constant(0), constant(1)),
            "HardSigmoid" => (0.2 * x + 0.5).clamp(0.0, 1.0),
            "HardSwish" => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            other => panic!("no exact form of {other}"),
        }
    }
}

impl Operator {
    /// All operators, in the order of the golden file.
    pub(crate) fn all() -> Vec<Operator> {
        let mut all = vec![Operator::Relu, Operator::MaxPool(2), Operator::Tree, Operator::MaxPool(3)];
        all.extend(PIECEWISE.map(Operator::Piecewise));
        all.extend(smooth().map(Operator::Smooth));
        all
    }

    pub(crate) fn name(self) -> String {
        match self {
            Operator::Relu => "Relu".into(),
            Operator::MaxPool(side) => format!("MaxPool{side}x{side}"),
            Operator::Tree => "MaxPool3x3, tree".into(),
            Operator::Piecewise(operator) => operator.name.into(),
            Operator::Smooth(Function::GeluTanh) => "Gelu, tanh".into(),
            Operator::Smooth(function) => format!("{function:?}"),
        }
    }

    /// Side of the window of one result.
    fn width(self) -> usize {
        match self {
            Operator::MaxPool(side) => side,
            Operator::Tree => 3,
            _ => 1,
        }
    }

    /// Elements of the window of one result.
    pub(crate) fn window(self) -> usize {
        self.width() * self.width()
    }

    /// Range of the inputs.
    pub(crate) fn range(self) -> (f64, f64) {
        match self {
            Operator::Relu => (-1.0, 1.0),
            Operator::MaxPool(_) | Operator::Tree => (0.0, 1.0),
            Operator::Piecewise(operator) => (-operator.reach, operator.reach),
            Operator::Smooth(function) if function.is_defined_on(-4.0, 4.0) => (-4.0, 4.0),
            Operator::Smooth(_) => (0.5, 4.0),
        }
    }

    /// Every window of the grid.
    pub(crate) fn grid(self) -> Vec<Vec<f64>> {
        let (low, high) = self.range();
        let spread = |steps: u32| (0..=steps).map(|k| low + (high - low) * f64::from(k) / f64::from(steps)).collect();
        let values: Vec<f64> = match self {
            Operator::Relu => (-10_000..=10_000).map(|k| f64::from(k) / 10_000.0).collect(),
            Operator::MaxPool(2) => (0..=20).map(|k| f64::from(k) / 20.0).collect(),
            Operator::MaxPool(_) | Operator::Tree => vec![0.0, 0.5, 1.0],
            Operator::Piecewise(_) | Operator::Smooth(_) => spread(4000),
        };
        let digit = |index: usize, place: usize| values[index / values.len().pow(place as u32) % values.len()];
        let count = values.len().pow(self.window() as u32);
        (0..count).map(|index| (0..self.window()).map(|place| digit(index, place)).collect()).collect()
    }

    pub(crate) fn exact(self, window: &[f64]) -> f64 {
        match self {
            Operator::Relu => window[0].max(0.0),
            Operator::MaxPool(_) | Operator::Tree => window.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            Operator::Piecewise(operator) => operator.exact(window[0]),
            Operator::Smooth(function) => function.eval(window[0]),
        }
    }

    /// Shape of an input that holds `side · side` windows.
    fn shape(self, side: usize) -> [usize; 4] {
        match self {
            Operator::MaxPool(_) | Operator::Tree => [1, 1, side * self.width(), side * self.width()],
            _ => [1, 1, side, side],
        }
    }

    /// Row and column of an element of a window.
    fn place(self, side: usize, window: usize, element: usize) -> (usize, usize) {
        let (row, column) = (window / side, window % side);
        match self {
            Operator::MaxPool(_) | Operator::Tree => {
                let width = self.width();
                (row * width + element / width, column * width + element % width)
            }
            _ => (row, column),
        }
    }

    /// Windows as samples of `side · side` windows each; the last is filled up with the middle of the range.
    pub(crate) fn samples(self, side: usize, windows: &[Vec<f64>]) -> Tensor {
        let count = windows.len().div_ceil(side * side);
        let shape = self.shape(side);
        let (low, high) = self.range();
        let mut data = vec![(low + high) / 2.0; count * shape.iter().product::<usize>()];
        for (index, window) in windows.iter().enumerate() {
            let (sample, window_index) = (index / (side * side), index % (side * side));
            for (element, &value) in window.iter().enumerate() {
                let (row, column) = self.place(side, window_index, element);
                data[(sample * shape[2] + row) * shape[3] + column] = value;
            }
        }
        Tensor::new(Shape([&[count], &shape[1..]].concat()), data)
    }

    /// A model of this operator alone.
    pub(crate) fn model(self, side: usize) -> ModelProto {
        let constants: &[f32] = if let Operator::Piecewise(operator) = self { operator.constants } else { &[] };
        let names: Vec<String> = (0..constants.len()).map(|index| format!("c{index}")).collect();
        let weights = names.iter().zip(constants).map(|(name, &value)| floats(name, &[], &[value])).collect();
        let operands = [&["x".to_owned()], &names[..]].concat().join(" ");
        let nodes = vec![node(&self.operator(), &operands, "y", self.attributes())];
        model(24, &self.shape(side).map(|size| size as i64), nodes, weights)
    }

    fn operator(self) -> String {
        match self {
            Operator::MaxPool(_) | Operator::Tree => "MaxPool".into(),
            Operator::Smooth(Function::GeluTanh) => "Gelu".into(),
            Operator::Smooth(Function::Silu) => "Swish".into(),
            _ => self.name(),
        }
    }

    fn attributes(self) -> Vec<AttributeProto> {
        match self {
            Operator::MaxPool(_) | Operator::Tree => {
                let side = [self.width() as i64; 2];
                vec![integers("kernel_shape", &side), integers("strides", &side)]
            }
            Operator::Piecewise(operator) => {
                operator.attributes.iter().map(|(name, value)| real(name, *value)).collect()
            }
            Operator::Smooth(Function::GeluTanh) => vec![text("approximate", "tanh")],
            Operator::Relu | Operator::Smooth(_) => vec![],
        }
    }
}

/// The functions that are operators of ONNX; 1/√x is made of two of them.
pub(crate) fn smooth() -> impl Iterator<Item = Function> {
    FUNCTIONS.into_iter().filter(|function| *function != Function::InverseSqrt)
}
