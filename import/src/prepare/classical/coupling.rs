//! Probabilities of classes from those of pairs of classes, by the iteration of Wu, Lin and Weng (2004) as LIBSVM has it.

use super::super::nodes::{integer, reals, wholes};
use super::svm::pairs_of;
use super::{Affine, Rewriting, dropped, kept};
use crate::onnx::TensorProto;
use crate::site::Refusal;

/// Probabilities of pairs keep this distance from 0 and 1.
const LEAST: f64 = 1e-7;

/// The iteration ends where its error is below this, over the number of classes.
const TOLERANCE: f64 = 0.005;

/// Most classes: the client's program has an end.
const MOST_CLASSES: usize = 10;

/// Most iterations, and most operations of all iterations.
const MOST_ITERATIONS: usize = 100;
const MOST_OPERATIONS: usize = 2500;

/// What stays the same in all iterations.
struct Coupling {
    classes: usize,
    /// The matrix of the quadratic form that the probabilities make least.
    matrix: String,
    /// Its rows, and its diagonal's elements.
    rows: Vec<String>,
    diagonal: Vec<String>,
    one: String,
    two: String,
    tolerance: String,
    /// A unit vector for each class.
    units: Vec<String>,
}

impl Rewriting<'_> {
    /// Probabilities of classes. The last scores are what those of pairs are functions of.
    pub(super) fn coupled(&mut self, scores: &str, pairs: usize, classes: usize) -> Result<String, Refusal> {
        if classes > MOST_CLASSES {
            return Err(Refusal::unsupported(
                format!("it computes probabilities of {classes} classes from those of pairs"),
                format!("up to {MOST_CLASSES} classes work, and so does a model without probabilities"),
            ));
        }
        let of_pairs = self.probabilities_of_pairs(scores, pairs);
        let coupling = self.coupling(&of_pairs, classes);
        let (zero, even) = (self.to.number(0.0), self.to.number(1.0 / classes as f64));
        let diagonal: Vec<&str> = coupling.diagonal.iter().map(String::as_str).collect();
        let start = self.to.add("Concat", &diagonal, vec![integer("axis", 1)]);
        let start = self.to.add("Mul", &[&start, &zero], vec![]);
        let mut p = self.to.add("Add", &[&start, &even], vec![]);
        for _ in 0..MOST_ITERATIONS.min(MOST_OPERATIONS / (10 + 17 * classes)) {
            p = self.iterated(&coupling, &p);
        }
        Ok(p)
    }

    /// `−(a·s + b)` for the decision s of each pair: the probability of its first class is the logistic function of it.
    pub(super) fn arguments(&self, decisions: &Affine) -> Result<Affine, Refusal> {
        let (a, b) = (self.numbers("prob_a")?, self.numbers("prob_b")?);
        let pairs = decisions.rows();
        if a.len() < pairs || b.len() < pairs {
            let problem = format!("prob_a and prob_b have {} and {} numbers for {pairs} pairs", a.len(), b.len());
            return Err(Refusal::invalid(problem));
        }
        let rows = decisions.weights.chunks(decisions.columns()).zip(&a);
        let weights = rows.flat_map(|(row, a)| row.iter().map(move |weight| -a * weight)).collect();
        let bias = decisions.bias.iter().zip(a.iter().zip(&b)).map(|(bias, (a, b))| -a * bias - b).collect();
        Affine::of(weights, bias)
    }

    /// Of the first class of each pair.
    fn probabilities_of_pairs(&mut self, scores: &str, pairs: usize) -> String {
        let all = self.to.add("Sigmoid", &[scores], vec![]);
        let places = self.to.constant(wholes((pairs..2 * pairs).map(|place| place as i64).collect()));
        let probability = self.to.add("Gather", &[&all, &places], vec![integer("axis", 1)]);
        let bounds = [LEAST, 1.0 - LEAST].map(|bound| self.to.number(bound));
        self.to.add("Clip", &[&probability, &bounds[0], &bounds[1]], vec![])
    }

    /// The matrix: `Q_ii` is the sum of all `r_ji²`, and `Q_ij` is `−r_ji·r_ij`, for the probability `r_ij` of i among i, j.
    fn coupling(&mut self, of_pairs: &str, classes: usize) -> Coupling {
        let [r, transposed] = self.matrices_of_pairs(of_pairs, classes);
        let products = self.to.add("Mul", &[&r, &transposed], vec![]);
        let squares = self.to.add("Mul", &[&r, &r], vec![]);
        let sums = self.to.add("ReduceSum", &[&squares], kept(1));
        let identity = (0..classes).flat_map(|class| unit(classes, class)).collect();
        let identity = self.to.constant(reals(vec![classes, classes], identity));
        let diagonal = self.to.add("Mul", &[&sums, &identity], vec![]);
        let matrix = self.to.add("Sub", &[&diagonal, &products], vec![]);
        let rows: Vec<String> = (0..classes).map(|class| self.without(&matrix, 1, class)).collect();
        let diagonal = rows.iter().enumerate().map(|(class, row)| self.column(row, class)).collect();
        let units = (0..classes).map(|class| self.to.numbers(unit(classes, class))).collect();
        let [one, two, tolerance] = [1.0, 2.0, TOLERANCE / classes as f64].map(|value| self.to.number(value));
        Coupling { classes, matrix, rows, diagonal, one, two, tolerance, units }
    }

    /// The matrix of all `r_ij`, with zeros on its diagonal, and its transpose.
    fn matrices_of_pairs(&mut self, of_pairs: &str, classes: usize) -> [String; 2] {
        let (zero, one) = (self.to.number(0.0), self.to.number(1.0));
        let others = self.to.add("Sub", &[&one, of_pairs], vec![]);
        let zeros = self.to.add("Mul", &[of_pairs, &zero], vec![]);
        let all = self.to.add("Concat", &[of_pairs, &others, &zeros], vec![integer("axis", 1)]);
        [places(classes, |i, j| (i, j)), places(classes, |i, j| (j, i))].map(|places| {
            let places = self.to.constant(places);
            self.to.add("Gather", &[&all, &places], vec![integer("axis", 1)])
        })
    }

    /// The probabilities after an iteration, which changes them where they are not good enough.
    fn iterated(&mut self, coupling: &Coupling, p: &str) -> String {
        let as_row = self.to.add("Unsqueeze", &[p], kept(1));
        let terms = self.to.add("Mul", &[&coupling.matrix, &as_row], vec![]);
        let mut product = self.to.add("ReduceSum", &[&terms], dropped(2));
        let terms = self.to.add("Mul", &[p, &product], vec![]);
        let mut form = self.to.add("ReduceSum", &[&terms], kept(1));
        let apart = self.to.add("Sub", &[&product, &form], vec![]);
        let apart = self.to.add("Abs", &[&apart], vec![]);
        let error = self.to.add("ReduceMax", &[&apart], kept(1));
        let is_done = self.to.add("Less", &[&error, &coupling.tolerance], vec![]);
        let mut next = p.to_owned();
        for class in 0..coupling.classes {
            (next, product, form) = self.stepped(coupling, class, [&next, &product, &form]);
        }
        self.to.add("Where", &[&is_done, p, &next], vec![])
    }

    /// Makes the form least along one probability, and scales all of them to the sum 1: the probabilities, the product of
    /// the matrix with them, and the form.
    fn stepped(&mut self, coupling: &Coupling, class: usize, state: [&str; 3]) -> (String, String, String) {
        let [p, product, form] = state;
        let (diagonal, row) = (&coupling.diagonal[class], &coupling.rows[class]);
        let own = self.column(product, class);
        let apart = self.to.add("Sub", &[form, &own], vec![]);
        let step = self.to.add("Div", &[&apart, diagonal], vec![]);
        let scale = self.to.add("Add", &[&coupling.one, &step], vec![]);
        let moved = self.to.add("Mul", &[&step, &coupling.units[class]], vec![]);
        let p = self.sum_over(p, &moved, &scale);
        let curvature = self.to.add("Mul", &[&step, diagonal], vec![]);
        let doubled = self.to.add("Mul", &[&own, &coupling.two], vec![]);
        let slope = self.to.add("Add", &[&curvature, &doubled], vec![]);
        let change = self.to.add("Mul", &[&step, &slope], vec![]);
        let form = self.sum_over(form, &change, &scale);
        let form = self.to.add("Div", &[&form, &scale], vec![]);
        let change = self.to.add("Mul", &[&step, row], vec![]);
        let product = self.sum_over(product, &change, &scale);
        (p, product, form)
    }

    /// `(a + b) / scale`.
    fn sum_over(&mut self, a: &str, b: &str, scale: &str) -> String {
        let sum = self.to.add("Add", &[a, b], vec![]);
        self.to.add("Div", &[&sum, scale], vec![])
    }

    /// A column of a matrix.
    fn column(&mut self, matrix: &str, column: usize) -> String {
        let place = self.to.constant(wholes(vec![column as i64]));
        self.to.add("Gather", &[matrix, &place], vec![integer("axis", 1)])
    }

    /// A slice along an axis, without the axis.
    fn without(&mut self, tensor: &str, axis: i64, place: usize) -> String {
        let place = self.to.constant(TensorProto { dims: vec![], ..wholes(vec![place as i64]) });
        self.to.add("Gather", &[tensor, &place], vec![integer("axis", axis)])
    }
}

/// A vector with 1 in the place of a class.
fn unit(classes: usize, class: usize) -> Vec<f64> {
    (0..classes).map(|other| f64::from(u8::from(other == class))).collect()
}

/// Where the elements of a matrix, each some `r_ij`, lie among the probabilities of pairs, those of their second classes, and
/// zeros.
fn places(classes: usize, element: impl Fn(usize, usize) -> (usize, usize)) -> TensorProto {
    let pairs: Vec<(usize, usize)> = pairs_of(classes).collect();
    let find = |pair: (usize, usize)| pairs.iter().position(|&other| other == pair);
    let place = |(i, j): (usize, usize)| {
        let second = || find((j, i)).map(|place| place + pairs.len());
        find((i, j)).or_else(second).unwrap_or(2 * pairs.len()) as i64
    };
    let all = (0..classes).flat_map(|i| (0..classes).map(move |j| (i, j)));
    let all = all.map(|(i, j)| place(element(i, j))).collect();
    TensorProto { dims: vec![classes as i64; 2], ..wholes(all) }
}
