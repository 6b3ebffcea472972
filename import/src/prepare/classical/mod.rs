//! Operators of classical machine learning, those of the domain `ai.onnx.ml`, as the standard operators that they stand for.
//!
//! Scores are products with constant matrices and functions of them, which the circuit computes. Classes and probabilities
//! are written as standard operators behind the scores, so that the analysis of the tail makes them the client's. What the
//! operators mean where ONNX leaves it open, onnxruntime decides, for it is what scikit-learn's exporter tests against.

mod classes;
mod coupling;
mod features;
mod linear;
mod svm;

use super::Notes;
use super::flow::Flow;
use super::names::Names;
use super::nodes::{Replacement, integer, integers, reals, replaced, wholes};
use super::ranks::Ranks;
use crate::attributes::Attributes;
use crate::error::ImportError;
use crate::onnx::{AttributeProto, DataType, GraphProto, NodeProto};
use crate::site::Refusal;

/// The domain of these operators.
pub(crate) const CLASSICAL: &str = "ai.onnx.ml";

/// Writes the standard nodes of one; `false` leaves the node to the client's operators.
type Rewrite = fn(&mut Rewriting<'_>) -> Result<bool, Refusal>;

const REWRITTEN: &[(&str, Rewrite)] = &[
    ("ArrayFeatureExtractor", features::array_feature_extractor),
    ("FeatureVectorizer", features::feature_vectorizer),
    ("Imputer", features::imputer),
    ("LinearClassifier", linear::linear_classifier),
    ("LinearRegressor", linear::linear_regressor),
    ("Normalizer", features::normalizer),
    ("SVMClassifier", svm::svm_classifier),
    ("SVMRegressor", svm::svm_regressor),
    ("Scaler", linear::scaler),
    ("ZipMap", features::zip_map),
];

/// Operators that no circuit computes: why, and what would work.
const REFUSED: &[(&str, &str, &str)] = &[
    ("CastMap", MAPS, TENSORS),
    ("CategoryMapper", TEXTS, ENCODED),
    ("DictVectorizer", MAPS, TENSORS),
    ("OneHotEncoder", "it compares inputs with categories, which encrypted numbers cannot do yet", ENCODED),
    ("TreeEnsemble", BRANCHES, NO_TREES),
    ("TreeEnsembleClassifier", BRANCHES, NO_TREES),
    ("TreeEnsembleRegressor", BRANCHES, NO_TREES),
];

const BRANCHES: &str = "decision trees compare inputs with thresholds, which encrypted numbers cannot do yet";
const NO_TREES: &str = "linear models, support vector machines and multilayer perceptrons work";
const TEXTS: &str = "its inputs are texts or integers that it compares with categories";
const ENCODED: &str = "encode categories before, and export the model for the encoded columns";
const MAPS: &str = "its inputs are maps";
const TENSORS: &str = "export the model for tensors of numbers";

/// A node on its way to standard ones.
struct Rewriting<'a> {
    to: Replacement<'a>,
    graph: &'a GraphProto,
    flow: &'a Flow<'a>,
    ranks: &'a Ranks,
    warnings: &'a mut Vec<String>,
}

/// Standard nodes in the place of classical ones, if there are such.
pub(super) fn rewrite(
    graph: &GraphProto,
    flow: &Flow<'_>,
    notes: &mut Notes,
) -> Result<Option<Vec<NodeProto>>, ImportError> {
    if !graph.node.iter().any(|node| node.domain == CLASSICAL) {
        return Ok(None);
    }
    let (mut names, ranks) = (Names::of(graph), Ranks::of(graph));
    let Notes { refusals, warnings, .. } = notes;
    let nodes = replaced(graph.node.clone(), refusals, |node| {
        if node.domain != CLASSICAL {
            return None;
        }
        if let Some((_, reason, hint)) = REFUSED.iter().find(|(operator, ..)| *operator == node.op_type) {
            return Some(Err(Refusal::unsupported(*reason, *hint)));
        }
        let (_, write) = REWRITTEN.iter().find(|(operator, _)| *operator == node.op_type)?;
        let mut it = Rewriting { to: Replacement::of(node, &mut names), graph, flow, ranks: &ranks, warnings };
        write(&mut it).map(|is_written| is_written.then_some(it.to.nodes)).transpose()
    })?;
    Ok(Some(nodes))
}

/// The matrix of a product with its bias: a row a result.
struct Affine {
    weights: Vec<f64>,
    bias: Vec<f64>,
}

impl Affine {
    /// So many rows; the coefficients of each lie beside each other.
    fn of(weights: Vec<f64>, bias: Vec<f64>) -> Result<Self, Refusal> {
        let (count, rows) = (weights.len(), bias.len());
        if rows == 0 || count == 0 || !count.is_multiple_of(rows) {
            return Err(Refusal::invalid(format!("{count} coefficients for {rows} results")));
        }
        Ok(Affine { weights, bias })
    }

    fn rows(&self) -> usize {
        self.bias.len()
    }

    fn columns(&self) -> usize {
        self.weights.len() / self.rows()
    }

    /// Its rows, then those of another one.
    fn above(mut self, mut other: Affine) -> Self {
        self.weights.append(&mut other.weights);
        self.bias.append(&mut other.bias);
        self
    }

    /// The only row behind its negative, plus `shift`.
    fn with_opposite(self, shift: f64) -> Self {
        let opposite = |values: &[f64], shift: f64| {
            values.iter().map(|value| shift - value).chain(values.iter().copied()).collect()
        };
        Affine { weights: opposite(&self.weights, 0.0), bias: opposite(&self.bias, shift) }
    }
}

impl Rewriting<'_> {
    fn attributes(&self) -> Attributes<'_> {
        Attributes(&self.to.node.attribute)
    }

    /// A list of numbers among the attributes, empty if it is absent.
    fn numbers(&self, name: &str) -> Result<Vec<f64>, Refusal> {
        Ok(self.attributes().numbers(name)?.unwrap_or_default())
    }

    /// Samples as rows of real numbers: a list is one row.
    fn rows(&mut self) -> String {
        let real = self.real(0);
        if self.ranks.of_value(self.to.input(0)) != Some(1) {
            return real;
        }
        let one_row = self.to.constant(wholes(vec![1, -1]));
        self.to.add("Reshape", &[&real, &one_row], vec![])
    }

    /// An operand, of real numbers.
    fn real(&mut self, index: usize) -> String {
        let operand = self.to.input(index);
        if self.flow.whole(operand).is_none() {
            return operand.to_owned();
        }
        self.to.add("Cast", &[operand], vec![integer("to", DataType::Float as i64)])
    }

    /// The product of rows and a matrix.
    fn product(&mut self, rows: &str, matrix: Affine) -> String {
        let shape = vec![matrix.rows(), matrix.columns()];
        let weights = self.to.constant(reals(shape, matrix.weights));
        let bias = self.to.numbers(matrix.bias);
        self.to.add("Gemm", &[rows, &weights, &bias], vec![integer("transB", 1)])
    }

    /// Names the first output.
    fn finish(&mut self, operator: &str, inputs: &[&str]) -> Result<bool, Refusal> {
        let output = self.to.output(0);
        self.to.finish(operator, inputs, &[output], vec![]);
        Ok(true)
    }
}

/// Attributes of a Squeeze, or of a reduction that keeps its axis: old operator sets have axes as one, and all read it.
fn kept(axis: i64) -> Vec<AttributeProto> {
    vec![integers("axes", vec![axis])]
}

/// Attributes of a reduction that drops its axis.
fn dropped(axis: i64) -> Vec<AttributeProto> {
    [kept(axis), vec![integer("keepdims", 0)]].concat()
}
