//! SVMRegressor and SVMClassifier: kernels of the support vectors, then a product with their coefficients.

use super::super::nodes::{integer, wholes};
use super::classes::{Labels, Place, Transform};
use super::{Affine, Rewriting, dropped, kept};
use crate::onnx::DataType;
use crate::site::Refusal;

/// A function of a sample and a support vector.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kernel {
    /// Their product.
    Linear,
    /// A power of a multiple of their product plus a number.
    Polynomial { gamma: f64, offset: f64, degree: f64 },
    /// Of their distance.
    Radial { gamma: f64 },
    /// The hyperbolic tangent of a multiple of their product plus a number.
    Sigmoid { gamma: f64, offset: f64 },
}

impl Kernel {
    fn of(it: &Rewriting<'_>) -> Result<Self, Refusal> {
        let parameters = it.numbers("kernel_params")?;
        let parameter = |index: usize| parameters.get(index).copied().unwrap_or(0.0);
        let [gamma, offset, degree] = [0, 1, 2].map(parameter);
        match it.attributes().text("kernel_type")?.as_deref() {
            None | Some("LINEAR") => Ok(Kernel::Linear),
            Some("POLY") => Ok(Kernel::Polynomial { gamma, offset, degree }),
            Some("RBF") => Ok(Kernel::Radial { gamma }),
            Some("SIGMOID") => Ok(Kernel::Sigmoid { gamma, offset }),
            Some(other) => Err(Refusal::invalid(format!("kernel_type is `{other}`"))),
        }
    }
}

/// Support vectors: a row each.
struct Vectors {
    values: Vec<f64>,
    columns: usize,
}

impl Vectors {
    fn of(it: &Rewriting<'_>, count: usize) -> Result<Self, Refusal> {
        let values = it.numbers("support_vectors")?;
        if count == 0 || values.is_empty() || !values.len().is_multiple_of(count) {
            return Err(Refusal::invalid(format!("{} numbers for {count} support vectors", values.len())));
        }
        Ok(Vectors { columns: values.len() / count, values })
    }

    fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.values.chunks(self.columns)
    }

    /// The mean of each column.
    fn center(&self) -> Vec<f64> {
        let count = self.rows().count() as f64;
        (0..self.columns).map(|column| self.rows().map(|row| row[column]).sum::<f64>() / count).collect()
    }

    /// The vectors seen from another one.
    fn from(&self, center: &[f64]) -> Self {
        let moved = |row: &[f64]| row.iter().zip(center).map(|(value, center)| value - center).collect::<Vec<_>>();
        Vectors { values: self.rows().flat_map(moved).collect(), columns: self.columns }
    }

    fn times(&self, factor: f64) -> Vec<f64> {
        self.values.iter().map(|value| factor * value).collect()
    }

    /// A row of sums of the vectors for each row of coefficients.
    fn combined(&self, coefficients: &[f64]) -> Vec<f64> {
        let count = self.rows().count();
        let sum = |row: &[f64], column: usize| {
            row.iter().zip(self.rows()).map(|(coefficient, vector)| coefficient * vector[column]).sum::<f64>()
        };
        coefficients.chunks(count).flat_map(|row| (0..self.columns).map(move |column| sum(row, column))).collect()
    }
}

/// SVMRegressor: without support vectors it is a product with the coefficients. `post_transform` is left out.
pub(super) fn svm_regressor(it: &mut Rewriting<'_>) -> Result<bool, Refusal> {
    let (coefficients, rho) = (it.numbers("coefficients")?, it.numbers("rho")?);
    let bias = rho.first().copied().ok_or_else(|| Refusal::invalid("rho is missing"))?;
    let supports = it.attributes().integer("n_supports")?.unwrap_or(0);
    let decision = Affine::of(coefficients, vec![bias])?;
    let result = match usize::try_from(supports).unwrap_or(0) {
        0 => {
            let rows = it.rows();
            it.product(&rows, decision)
        }
        count => {
            let vectors = Vectors::of(it, count)?;
            it.decisions(&vectors, decision)?
        }
    };
    if !it.attributes().flag("one_class")? {
        return it.finish("Identity", &[&result]);
    }
    let [zero, inlier, outlier] = [0.0, 1.0, -1.0].map(|value| it.to.number(value));
    let is_inlier = it.to.add("Greater", &[&result, &zero], vec![]);
    it.finish("Where", &[&is_inlier, &inlier, &outlier])
}

/// SVMClassifier: a decision between each pair of classes, or without support vectors a score for each class.
pub(super) fn svm_classifier(it: &mut Rewriting<'_>) -> Result<bool, Refusal> {
    let (labels, transform) = (Labels::of(it)?, Transform::of(it)?);
    if labels.len() < 2 {
        return Err(Refusal::invalid(format!("it has {} classes", labels.len())));
    }
    let counts = it.attributes().integers("vectors_per_class")?.unwrap_or_default();
    if counts.iter().all(|&count| count == 0) {
        return of_scores(it, &labels, transform);
    }
    let pairs = Pairs::of(it, &labels, &counts)?;
    let vectors = Vectors::of(it, pairs.vectors())?;
    let decisions = pairs.decisions(it)?;
    match labels.len() {
        _ if !it.numbers("prob_a")?.is_empty() => with_probabilities(it, &vectors, decisions, (&labels, transform)),
        2 => of_one_pair(it, &vectors, decisions, (labels, transform)),
        _ => of_pairs(it, &vectors, decisions, (&labels, transform)),
    }
}

/// The decisions are the scores. One of two classes is for the first class if it is positive, and the second score all the
/// same.
fn of_one_pair(
    it: &mut Rewriting<'_>,
    vectors: &Vectors,
    decision: Affine,
    (labels, transform): (Labels, Transform),
) -> Result<bool, Refusal> {
    let shift = if matches!(transform, Transform::None | Transform::Logistic) { 0.0 } else { 1.0 };
    let scores = it.decisions(vectors, decision.with_opposite(shift))?;
    let probabilities = it.of_two(&scores, transform);
    it.classes(&scores, Place::WherePositive, &labels.exchanged(), &probabilities)
}

/// The decisions are the scores, and each of them is a vote for a class.
fn of_pairs(
    it: &mut Rewriting<'_>,
    vectors: &Vectors,
    decisions: Affine,
    (labels, transform): (&Labels, Transform),
) -> Result<bool, Refusal> {
    let pairs = decisions.rows();
    let scores = it.decisions(vectors, decisions)?;
    let transformed = it.transformed(&scores, transform);
    let place = it.most_votes(&scores, pairs, labels.len());
    it.labelled(&place, labels, &transformed)
}

/// Decisions, then what probabilities are functions of: one product, and one tensor for the client.
fn with_probabilities(
    it: &mut Rewriting<'_>,
    vectors: &Vectors,
    decisions: Affine,
    (labels, transform): (&Labels, Transform),
) -> Result<bool, Refusal> {
    let (pairs, arguments) = (decisions.rows(), it.arguments(&decisions)?);
    let scores = it.decisions(vectors, decisions.above(arguments))?;
    let probabilities = it.coupled(&scores, pairs, labels.len())?;
    let probabilities = it.transformed(&probabilities, transform);
    let place = it.most_votes(&scores, 2 * pairs, labels.len());
    it.labelled(&place, labels, &probabilities)
}

/// A score for each class, from a product with coefficients.
fn of_scores(it: &mut Rewriting<'_>, labels: &Labels, transform: Transform) -> Result<bool, Refusal> {
    let (coefficients, rho) = (it.numbers("coefficients")?, it.numbers("rho")?);
    let bias = rho.first().copied().ok_or_else(|| Refusal::invalid("rho is missing"))?;
    let are_positive = coefficients.iter().all(|&coefficient| coefficient >= 0.0);
    let matrix = Affine::of(coefficients, vec![bias; labels.len()])?;
    let rows = it.rows();
    let scores = it.product(&rows, matrix);
    let probabilities = it.transformed(&scores, transform);
    if labels.len() > 2 || !it.numbers("prob_a")?.is_empty() {
        return it.classes(&scores, Place::OfLargest, labels, &probabilities);
    }
    // Of two classes it is the second one as soon as a score is large enough.
    let threshold = if are_positive { 0.5 } else { 0.0 };
    let exceeds = it.exceeds(&scores, threshold);
    let any = it.to.add("ReduceMax", &[&exceeds], dropped(1));
    let largest = it.to.add("ArgMax", &[&scores], vec![integer("axis", 1), integer("keepdims", 0)]);
    let place = it.to.add("Max", &[&any, &largest], vec![]);
    it.labelled(&place, labels, &probabilities)
}

/// What decides between pairs of classes.
struct Pairs {
    /// The support vectors of each class, which lie beside each other.
    counts: Vec<usize>,
    /// A number for each pair.
    rho: Vec<f64>,
}

impl Pairs {
    fn of(it: &Rewriting<'_>, labels: &Labels, counts: &[i64]) -> Result<Self, Refusal> {
        let counts = counts.iter().map(|&count| usize::try_from(count)).collect::<Result<Vec<_>, _>>();
        let counts = counts.map_err(|_| Refusal::invalid("vectors_per_class has negative numbers"))?;
        let mut rho = it.numbers("rho")?;
        let pairs = pairs_of(labels.len()).count();
        let total = counts.iter().try_fold(0usize, |total, &count| total.checked_add(count));
        if counts.len() != labels.len() || rho.len() < pairs || total.is_none() {
            let problem =
                format!("{} classes with {} counts of vectors and {} offsets", labels.len(), counts.len(), rho.len());
            return Err(Refusal::invalid(problem));
        }
        rho.truncate(pairs);
        Ok(Pairs { counts, rho })
    }

    fn vectors(&self) -> usize {
        self.counts.iter().sum()
    }

    /// A row for each pair: the coefficients of the first class against the second, then those of the second.
    fn decisions(&self, it: &Rewriting<'_>) -> Result<Affine, Refusal> {
        let (coefficients, vectors, classes) = (it.numbers("coefficients")?, self.vectors(), self.counts.len());
        if coefficients.len() < vectors.saturating_mul(classes - 1) {
            let given = coefficients.len();
            return Err(Refusal::invalid(format!("{given} coefficients for {vectors} vectors of {classes} classes")));
        }
        let starts: Vec<usize> =
            self.counts.iter().scan(0, |start, count| Some(std::mem::replace(start, *start + count))).collect();
        let mut weights = Vec::new();
        for (one, other) in pairs_of(classes) {
            let mut row = vec![0.0; vectors];
            for (class, line) in [(one, other - 1), (other, one)] {
                let places = starts[class]..starts[class] + self.counts[class];
                row[places.clone()].copy_from_slice(&coefficients[line * vectors..][places]);
            }
            weights.append(&mut row);
        }
        Affine::of(weights, self.rho.clone())
    }
}

/// Pairs of classes in their order.
pub(super) fn pairs_of(classes: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..classes).flat_map(move |one| (one + 1..classes).map(move |other| (one, other)))
}

impl Rewriting<'_> {
    /// Sums of the kernels of all vectors.
    fn decisions(&mut self, vectors: &Vectors, decision: Affine) -> Result<String, Refusal> {
        let count = vectors.rows().count();
        if decision.columns() != count {
            return Err(Refusal::invalid(format!("{} coefficients for {count} support vectors", decision.columns())));
        }
        let rows = &self.rows();
        let kernels = match Kernel::of(self)? {
            Kernel::Linear => {
                let weights = vectors.combined(&decision.weights);
                return Ok(self.product(rows, Affine { weights, bias: decision.bias }));
            }
            Kernel::Polynomial { gamma, offset, degree } => {
                let products = self.products(rows, vectors, gamma, offset);
                let degree = self.to.number(degree);
                self.to.add("Pow", &[&products, &degree], vec![])
            }
            Kernel::Sigmoid { gamma, offset } => {
                let products = self.products(rows, vectors, gamma, offset);
                self.to.add("Tanh", &[&products], vec![])
            }
            Kernel::Radial { gamma } => self.radial(rows, vectors, gamma),
        };
        Ok(self.product(&kernels, decision))
    }

    /// A multiple of the products with all vectors plus a number.
    fn products(&mut self, rows: &str, vectors: &Vectors, gamma: f64, offset: f64) -> String {
        let bias = vec![offset; vectors.rows().count()];
        self.product(rows, Affine { weights: vectors.times(gamma), bias })
    }

    /// `exp(−gamma·|x − v|²)` with `|x − v|² = |x|² − 2·x·v + |v|²`, seen from the middle of the vectors, where the squares
    /// are small.
    fn radial(&mut self, rows: &str, vectors: &Vectors, gamma: f64) -> String {
        let center = vectors.center();
        let vectors = vectors.from(&center);
        let center = self.to.numbers(center);
        let moved = self.to.add("Sub", &[rows, &center], vec![]);
        let squares = |row: &[f64]| -gamma * row.iter().map(|value| value * value).sum::<f64>();
        let bias = vectors.rows().map(squares).collect();
        let products = self.product(&moved, Affine { weights: vectors.times(2.0 * gamma), bias });
        let square = self.to.add("ReduceSumSquare", &[&moved], kept(1));
        let factor = self.to.number(-gamma);
        let square = self.to.add("Mul", &[&square, &factor], vec![]);
        let distances = self.to.add("Add", &[&products, &square], vec![]);
        self.to.add("Exp", &[&distances], vec![])
    }

    /// The class that most decisions of pairs are for, the first one of several. The decisions are the first of so many scores.
    fn most_votes(&mut self, scores: &str, width: usize, classes: usize) -> String {
        let first = self.exceeds(scores, 0.0);
        let first = self.to.add("Cast", &[&first], vec![integer("to", DataType::Float as i64)]);
        let one = self.to.number(1.0);
        let second = self.to.add("Sub", &[&one, &first], vec![]);
        let both = self.to.add("Concat", &[&first, &second], vec![integer("axis", 1)]);
        let pairs: Vec<(usize, usize)> = pairs_of(classes).collect();
        let place = |class: usize, pair: usize| match pairs[pair] {
            (one, _) if one == class => Some(pair as i64),
            (_, other) if other == class => Some((width + pair) as i64),
            _ => None,
        };
        let places = (0..classes).flat_map(|class| (0..pairs.len()).filter_map(move |pair| place(class, pair)));
        let mut places = wholes(places.collect());
        places.dims = vec![classes as i64, classes as i64 - 1];
        let places = self.to.constant(places);
        let ballots = self.to.add("Gather", &[&both, &places], vec![integer("axis", 1)]);
        let votes = self.to.add("ReduceSum", &[&ballots], dropped(2));
        self.to.add("ArgMax", &[&votes], vec![integer("axis", 1), integer("keepdims", 0)])
    }
}
