//! The operators that the client can compute.

use super::super::onnx::NodeProto;
use super::super::operators::Importer;
use super::super::prepare::CLASSICAL;
use super::super::{select, shape};
use super::steps;

/// Where in a run of the client's nodes an operator may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// No circuit computes it: a run begins here.
    Needed,
    /// A circuit would approximate it: a run may begin here.
    Begins,
    /// Behind another one.
    Follows,
}

/// Which constants it may bring to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Constants {
    /// Shapes, places, tables and thresholds.
    Any,
    /// Single numbers; vectors only beside what is bounded.
    Scales,
}

/// What the analysis has to know of an operator.
#[derive(Clone, Copy)]
pub(super) struct Trailing {
    pub(super) part: Part,
    pub(super) importer: Importer,
    pub(super) constants: Constants,
    /// Whether it only puts tensors beside each other, which may be several.
    pub(super) joins: bool,
    /// Whether its results have bounds.
    pub(super) bounds: bool,
    /// Whether they have if its operands do.
    pub(super) keeps_bounds: bool,
}

const fn one(part: Part, importer: Importer) -> Trailing {
    Trailing { part, importer, constants: Constants::Scales, joins: false, bounds: false, keeps_bounds: false }
}

/// A function with bounds.
const fn bounded(part: Part, importer: Importer) -> Trailing {
    Trailing { bounds: true, constants: Constants::Any, ..one(part, importer) }
}

/// An operator that picks or moves elements, or combines them with numbers.
const fn keeping(importer: Importer) -> Trailing {
    Trailing { keeps_bounds: true, ..one(Part::Follows, importer) }
}

/// The same where constants are places and shapes.
const fn moving(importer: Importer) -> Trailing {
    Trailing { constants: Constants::Any, ..keeping(importer) }
}

const JOINING: Trailing = Trailing { joins: true, ..moving(steps::concat) };

const TRAILING: &[(&str, Trailing)] = &[
    ("Abs", keeping(steps::unary)),
    ("Add", keeping(steps::binary)),
    ("And", bounded(Part::Follows, steps::binary)),
    ("ArgMax", bounded(Part::Needed, steps::arg_max)),
    ("ArgMin", bounded(Part::Needed, steps::arg_min)),
    ("Asinh", one(Part::Begins, steps::function)),
    ("Atan", bounded(Part::Begins, steps::function)),
    ("Cast", moving(shape::cast)),
    ("Ceil", one(Part::Needed, steps::unary)),
    ("Celu", one(Part::Begins, steps::elu)),
    ("Clip", keeping(steps::clip)),
    ("Concat", JOINING),
    ("Cos", bounded(Part::Begins, steps::function)),
    ("Cosh", one(Part::Begins, steps::function)),
    ("Div", keeping(steps::binary)),
    ("Dropout", moving(shape::dropout)),
    ("Elu", one(Part::Begins, steps::elu)),
    ("Equal", bounded(Part::Needed, steps::binary)),
    ("Erf", bounded(Part::Begins, steps::function)),
    ("Exp", one(Part::Begins, steps::function)),
    ("Expand", moving(select::expand)),
    ("Flatten", moving(shape::flatten)),
    ("Floor", one(Part::Needed, steps::unary)),
    ("Gather", moving(steps::gather)),
    ("GatherElements", moving(steps::gather_elements)),
    ("Greater", bounded(Part::Needed, steps::binary)),
    ("GreaterOrEqual", bounded(Part::Needed, steps::binary)),
    ("Hardmax", bounded(Part::Needed, steps::hardmax)),
    ("Identity", moving(shape::identity)),
    ("LeakyRelu", one(Part::Begins, steps::leaky_relu)),
    ("Less", bounded(Part::Needed, steps::binary)),
    ("LessOrEqual", bounded(Part::Needed, steps::binary)),
    ("Log", one(Part::Begins, steps::function)),
    ("LogSoftmax", one(Part::Needed, steps::softmax)),
    ("LpNormalization", bounded(Part::Begins, steps::lp_normalization)),
    ("Max", keeping(steps::binary)),
    ("Mean", keeping(steps::mean)),
    ("Min", keeping(steps::binary)),
    ("Mul", keeping(steps::binary)),
    ("Neg", keeping(steps::unary)),
    ("Not", bounded(Part::Follows, steps::unary)),
    ("Or", bounded(Part::Follows, steps::binary)),
    ("Pow", one(Part::Follows, steps::binary)),
    ("Reciprocal", one(Part::Begins, steps::function)),
    ("ReduceL1", one(Part::Begins, steps::reduce)),
    ("ReduceL2", one(Part::Begins, steps::reduce)),
    ("ReduceLogSum", one(Part::Begins, steps::reduce)),
    ("ReduceLogSumExp", one(Part::Begins, steps::reduce)),
    ("ReduceMax", moving(steps::reduce)),
    ("ReduceMean", moving(steps::reduce)),
    ("ReduceMin", moving(steps::reduce)),
    ("ReduceProd", moving(steps::reduce)),
    ("ReduceSum", moving(steps::reduce)),
    ("ReduceSumSquare", moving(steps::reduce)),
    ("Relu", keeping(steps::relu)),
    ("Reshape", moving(shape::reshape)),
    ("Round", one(Part::Needed, steps::unary)),
    ("Sigmoid", bounded(Part::Begins, steps::function)),
    ("Sign", bounded(Part::Needed, steps::unary)),
    ("Sin", bounded(Part::Begins, steps::function)),
    ("Sinh", one(Part::Begins, steps::function)),
    ("Slice", moving(select::slice)),
    ("Softmax", bounded(Part::Needed, steps::softmax)),
    ("Softplus", one(Part::Begins, steps::function)),
    ("Softsign", bounded(Part::Begins, steps::function)),
    ("Split", moving(select::split)),
    ("Sqrt", one(Part::Begins, steps::function)),
    ("Squeeze", moving(shape::squeeze)),
    ("Sub", keeping(steps::binary)),
    ("Sum", keeping(steps::sum)),
    ("Tanh", bounded(Part::Begins, steps::function)),
    ("TopK", one(Part::Needed, steps::top_k)),
    ("Transpose", moving(shape::transpose)),
    ("Unsqueeze", moving(shape::unsqueeze)),
    ("Where", keeping(steps::choose)),
    ("Xor", bounded(Part::Follows, steps::binary)),
];

const TRAILING_ML: &[(&str, Trailing)] = &[
    ("ArrayFeatureExtractor", moving(steps::array_feature_extractor)),
    ("Binarizer", bounded(Part::Needed, steps::binarizer)),
    ("LabelEncoder", bounded(Part::Needed, steps::label_encoder)),
    ("Normalizer", bounded(Part::Begins, steps::normalizer)),
];

/// The operator of a node, if the client can compute it.
pub(super) fn trailing(node: &NodeProto) -> Option<Trailing> {
    let table = match node.domain.as_str() {
        "" | "ai.onnx" => TRAILING,
        CLASSICAL => TRAILING_ML,
        _ => return None,
    };
    table.iter().find(|(name, _)| *name == node.op_type).map(|(_, trailing)| *trailing)
}
