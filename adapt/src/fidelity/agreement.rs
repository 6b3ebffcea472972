//! How many predictions stay the same, judged by errors and gaps.
//!
//! What a tensor says is seen from what the client does with it. A model that tells a class and beside it how probable each
//! class is, as scikit-learn's do, is asked for both: there classes must be equal, and probabilities the same as numbers.

use std::ops::Range;

use paf_ir::client::{ClientOp, ClientProgram, ClientResult, ClientStep, ClientValue, Reduction, ResultKind};
use paf_ir::tensor::{Function, Graph};

use crate::evaluate::top1;

/// The error of a value is judged by this part of what it spreads over.
const SPREAD: f64 = 0.01;

/// The error of a direction is judged by this part of its length: a cosine of 0.995.
const ANGLE: f64 = 0.1;

/// By how much a probability may be off that a model tells beside the class: so that those few samples that may be off by more
/// are not off by 2^−10.
const PROBABILITY: f64 = 1.0 / 4096.0;

/// Most pairs of a sample and an error for which the client's program is run: each run takes some microseconds.
const MOST_RUNS: usize = 2048;

/// Spreads neighbouring numbers (Knuth, The Art of Computer Programming, vol. 3, section 6.4).
const SCATTER: usize = 0x9e37_79b1;

/// What the values of a tensor say that the client decrypts, and so what it is for them to stay the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The largest one is the class.
    Classes,
    /// A logit: its sign is the class.
    Score,
    /// Where it points to, as of an embedding.
    Direction,
    /// Values, each by itself.
    Numbers,
}

/// What a network's results say.
#[derive(Debug, Clone)]
pub(super) struct Meanings {
    /// The meaning of each tensor that the network gives, with its number of elements. Without a function behind them, several
    /// values are taken to be classes.
    tensors: Vec<(Meaning, usize)>,
    /// What is computed of them, where that is a class and how probable each class is.
    told: Option<ClientProgram>,
}

impl Meanings {
    /// Without `probabilities` those that are told beside a class say which one it is, as logits do.
    pub(super) fn of(graph: &Graph, probabilities: bool) -> Self {
        let size = |port: usize| graph.node(graph.outputs[port].node).shape.size();
        let tensors = (0..graph.outputs.len()).map(|port| (meaning(graph, port, size(port)), size(port))).collect();
        let told = (probabilities && tells_both(&graph.client)).then(|| graph.client.clone());
        Meanings { tensors, told }
    }

    /// Whether a class and probabilities are told.
    pub(super) fn tells_both(&self) -> bool {
        self.told.is_some()
    }

    /// Whether each error of a number counts.
    pub(super) fn has_numbers(&self) -> bool {
        self.told.is_some() || self.tensors.iter().any(|(meaning, _)| *meaning == Meaning::Numbers)
    }
}

/// Whether a class and numbers are told of one tensor.
fn tells_both(client: &ClientProgram) -> bool {
    let of = |is: fn(&ResultKind) -> bool| client.results.iter().filter(move |result| is(&result.kind));
    let ports = |result: &ClientResult| client.ports_of(result.value);
    of(is_class).any(|class| of(is_number).any(|number| ports(number).iter().any(|port| ports(class).contains(port))))
}

fn is_class(kind: &ResultKind) -> bool {
    matches!(kind, ResultKind::Integer | ResultKind::Text(_))
}

fn is_number(kind: &ResultKind) -> bool {
    *kind == ResultKind::Real
}

fn meaning(graph: &Graph, port: usize, size: usize) -> Meaning {
    let client = &graph.client;
    let reads = |value: ClientValue| client.ports_of(value).contains(&port);
    let steps: Vec<&ClientStep> = client
        .results
        .iter()
        .filter(|result| reads(result.value))
        .flat_map(|result| client.steps_of(result.value))
        .collect();
    let any = |is: fn(&ClientOp) -> bool| steps.iter().any(|step| is(&step.op));
    if size > 1 && any(|op| matches!(op, ClientOp::Softmax(_) | ClientOp::LogSoftmax(_) | ClientOp::ArgMax { .. })) {
        Meaning::Classes
    } else if size == 1 && any(|op| matches!(op, ClientOp::Function(Function::Sigmoid))) {
        Meaning::Score
    } else if any(|op| matches!(op, ClientOp::Reduce(Reduction::L1 | Reduction::L2, _))) {
        Meaning::Direction
    } else if size == 1 || any(|op| matches!(op, ClientOp::Function(_))) {
        Meaning::Numbers
    } else {
        Meaning::Classes
    }
}

/// A tensor's place among the results, and what is known of it.
#[derive(Debug, Clone)]
struct Part {
    meaning: Meaning,
    places: Range<usize>,
    /// Standard deviation of its values.
    spread: f64,
    /// The largest magnitude.
    largest: f64,
}

/// What the client computes of the original network's results.
#[derive(Debug, Clone)]
struct Told {
    program: ClientProgram,
    /// Of each sample all results.
    results: Vec<Vec<Vec<f64>>>,
    /// For each result by how much it may be off.
    tolerances: Vec<f64>,
}

/// The original network's results on the samples that judge: all tensors one after another.
#[derive(Debug, Clone)]
pub(super) struct Results {
    values: Vec<Vec<f64>>,
    parts: Vec<Part>,
    told: Option<Told>,
}

/// Another network's results beside them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Agreement {
    /// For each sample by how much each result is off; none where it is lost.
    errors: Vec<Option<Vec<f64>>>,
    /// Share of samples with the same prediction.
    pub(super) same: f64,
    /// Samples whose results are far from anything, since a value left its scale.
    pub(super) lost: usize,
}

impl Results {
    pub(super) fn of(values: Vec<Vec<f64>>, meanings: &Meanings) -> Self {
        let mut start = 0;
        let part = |&(meaning, size): &(Meaning, usize)| {
            let places = start..start + size;
            start += size;
            let (spread, largest) = spread_of(|| values.iter().flat_map(|values| &values[places.clone()]));
            Part { meaning, places, spread, largest }
        };
        let parts: Vec<Part> = meanings.tensors.iter().map(part).collect();
        let told = meanings.told.clone().map(|program| Told::new(program, &values, &parts));
        Results { values, parts, told }
    }

    pub(super) fn values(&self) -> &[Vec<f64>] {
        &self.values
    }

    /// The class that the first tensor says.
    pub(super) fn class(&self, values: &[f64]) -> usize {
        match &self.parts[0] {
            Part { meaning: Meaning::Score, places, .. } => usize::from(values[places.start] > 0.0),
            Part { places, .. } => top1(&values[places.clone()]),
        }
    }

    pub(super) fn beside(&self, others: &[Vec<f64>]) -> Agreement {
        let is_found = |error: &[f64]| {
            let is_near =
                |part: &Part| error[part.places.clone()].iter().all(|error| error.abs() <= 2.0 * part.largest);
            self.parts.iter().all(is_near)
        };
        let error = |(own, other): (&Vec<f64>, &Vec<f64>)| {
            let error: Vec<f64> = own.iter().zip(other).map(|(own, other)| other - own).collect();
            is_found(&error).then_some(error)
        };
        let errors: Vec<Option<Vec<f64>>> = self.values.iter().zip(others).map(error).collect();
        let lost = errors.iter().filter(|error| error.is_none()).count();
        Agreement { same: self.kept_with(&errors, 1.0), lost, errors }
    }

    /// Whether the prediction of a sample is the same with an error, so many times as large.
    fn keeps(&self, sample: usize, error: &[f64], factor: f64) -> bool {
        let own = &self.values[sample];
        match &self.told {
            Some(told) => {
                let moved: Vec<f64> = own.iter().zip(error).map(|(own, error)| own + factor * error).collect();
                told.keeps(sample, &tensors(&moved, &self.parts))
            }
            None => {
                let is_kept = |part: &Part| part.keeps(&own[part.places.clone()], &error[part.places.clone()], factor);
                self.parts.iter().all(is_kept)
            }
        }
    }

    /// The share of samples that keep their prediction with their own error, times a factor.
    pub(super) fn kept(&self, agreement: &Agreement, factor: f64) -> f64 {
        self.kept_with(&agreement.errors, factor)
    }

    fn kept_with(&self, errors: &[Option<Vec<f64>>], factor: f64) -> f64 {
        let is_kept = |(sample, error): &(usize, &Option<Vec<f64>>)| {
            error.as_ref().is_some_and(|error| self.keeps(*sample, error, factor))
        };
        let kept = errors.iter().enumerate().filter(is_kept).count();
        kept as f64 / self.values.len().max(1) as f64
    }

    /// The share of samples that keep their prediction where any sample may have the error of any other one, times a factor.
    pub(super) fn expected(&self, agreement: &Agreement, factor: f64) -> f64 {
        let errors: Vec<&Vec<f64>> = agreement.errors.iter().flatten().collect();
        let found = errors.len() as f64 / agreement.errors.len().max(1) as f64;
        let step = match &self.told {
            Some(_) => (self.values.len() * errors.len()).div_ceil(MOST_RUNS).max(1),
            None => 1,
        };
        let (mut kept, mut all) = (0usize, 0usize);
        for sample in 0..self.values.len() {
            // Scattered, so that no sample always meets its own error.
            for error in errors.iter().skip(sample.wrapping_mul(SCATTER) % step).step_by(step) {
                kept += usize::from(self.keeps(sample, error, factor));
                all += 1;
            }
        }
        found * kept as f64 / all.max(1) as f64
    }
}

impl Told {
    fn new(program: ClientProgram, values: &[Vec<f64>], parts: &[Part]) -> Self {
        let results: Vec<Vec<Vec<f64>>> =
            values.iter().map(|values| program.evaluate(&tensors(values, parts))).collect();
        let tolerance = |(place, result): (usize, &ClientResult)| {
            let all = || results.iter().flat_map(move |results| &results[place]);
            match &result.kind {
                ResultKind::Real if all().all(|x| (0.0..=1.0).contains(x)) => PROBABILITY,
                ResultKind::Real => SPREAD * spread_of(all).0,
                _ => 0.0,
            }
        };
        let tolerances = program.results.iter().enumerate().map(tolerance).collect();
        Told { program, results, tolerances }
    }

    fn keeps(&self, sample: usize, tensors: &[Vec<f64>]) -> bool {
        let results = self.program.evaluate(tensors);
        let mut pairs = self.results[sample].iter().zip(&results).zip(&self.tolerances);
        // Where a table has no such place both are not a number.
        let is_kept = |own: f64, other: f64, most: f64| (own - other).abs() <= most || own.is_nan() && other.is_nan();
        pairs.all(|((own, other), most)| own.iter().zip(other).all(|(own, other)| is_kept(*own, *other, *most)))
    }
}

/// The tensors that lie one after another.
fn tensors(values: &[f64], parts: &[Part]) -> Vec<Vec<f64>> {
    parts.iter().map(|part| values[part.places.clone()].to_vec()).collect()
}

/// Standard deviation and largest magnitude.
fn spread_of<'v, I: Iterator<Item = &'v f64>>(values: impl Fn() -> I) -> (f64, f64) {
    let count = values().count().max(1) as f64;
    let mean = values().sum::<f64>() / count;
    let variance = values().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
    (variance.sqrt(), values().fold(0.0f64, |most, x| most.max(x.abs())))
}

impl Part {
    fn keeps(&self, own: &[f64], error: &[f64], factor: f64) -> bool {
        match self.meaning {
            Meaning::Classes => {
                let first = top1(own);
                let others = (0..own.len()).filter(|&class| class != first);
                others.into_iter().all(|class| own[first] - own[class] >= factor * (error[class] - error[first]))
            }
            Meaning::Score => {
                let other = own[0] + factor * error[0];
                (own[0] > 0.0) == (other > 0.0)
            }
            Meaning::Direction => factor * length(error) <= ANGLE * length(own),
            Meaning::Numbers => error.iter().all(|error| factor * error.abs() <= SPREAD * self.spread),
        }
    }
}

fn length(values: &[f64]) -> f64 {
    values.iter().map(|x| x * x).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use paf_ir::tensor::Shape;

    use super::*;

    fn of(tensors: &[(Meaning, usize)]) -> Meanings {
        Meanings { tensors: tensors.to_vec(), told: None }
    }

    #[test]
    fn classes_and_single_values() {
        let results = Results::of(vec![vec![1.0, 0.0], vec![0.0, 0.1]], &of(&[(Meaning::Classes, 2)]));
        let agreement = results.beside(&[vec![0.6, 0.5], vec![0.2, 0.1]]);
        assert_eq!((agreement.same, agreement.lost), (0.5, 0));
        // Errors of 0.9 and -0.2 towards the second class against a gap of 1, of 0.2 and -0.9 towards the first against 0.1.
        assert_eq!(results.expected(&agreement, 1.0), 0.75);
        assert_eq!(results.expected(&agreement, 0.1), 1.0);
        let values = Results::of(vec![vec![0.0], vec![100.0]], &of(&[(Meaning::Numbers, 1)]));
        let agreement = values.beside(&[vec![0.4], vec![101.0]]);
        assert_eq!(agreement.same, 0.5);
    }

    #[test]
    fn a_score_keeps_its_side_and_a_direction_its_angle() {
        let scores = Results::of(vec![vec![0.1], vec![-3.0]], &of(&[(Meaning::Score, 1)]));
        assert_eq!(scores.beside(&[vec![-0.1], vec![-9.0]]).same, 0.5);
        assert_eq!((scores.class(&[0.1]), scores.class(&[-0.1])), (1, 0));
        let directions = Results::of(vec![vec![3.0, 4.0], vec![0.3, 0.4]], &of(&[(Meaning::Direction, 2)]));
        assert_eq!(directions.beside(&[vec![3.0, 4.4], vec![0.3, 0.8]]).same, 0.5);
    }

    #[test]
    fn every_tensor_must_stay_the_same() {
        let meanings = of(&[(Meaning::Classes, 2), (Meaning::Numbers, 1)]);
        let results = Results::of(vec![vec![1.0, 0.0, 0.0], vec![0.0, 1.0, 100.0]], &meanings);
        assert_eq!(results.beside(&[vec![0.9, 0.0, 0.1], vec![0.0, 0.9, 102.0]]).same, 0.5);
        assert_eq!(results.beside(&[vec![0.0, 1.0, 0.1], vec![0.0, 0.9, 100.0]]).same, 0.5);
    }

    #[test]
    fn what_is_not_finite_is_lost() {
        let results = Results::of(vec![vec![1.0, 0.0]; 4], &of(&[(Meaning::Classes, 2)]));
        let mut others = results.values().to_vec();
        others[2][1] = f64::NAN;
        others[3][0] = 1e9;
        let agreement = results.beside(&others);
        assert_eq!((agreement.same, agreement.lost), (0.5, 2));
        assert_eq!(results.expected(&agreement, 1.0), 0.5);
    }

    #[test]
    fn a_class_and_its_probabilities_are_both_kept() {
        let mut told = ClientProgram { ports: vec![Shape(vec![1, 2])], ..ClientProgram::default() };
        let shares = told.push(ClientOp::Softmax(1), vec![ClientValue::Port(0)]).unwrap();
        let class = told.push(ClientOp::ArgMax { axis: 1, last: false }, vec![shares]).unwrap();
        let result =
            |name: &str, value, size, kind| ClientResult { name: name.into(), value, shape: Shape(vec![size]), kind };
        told.results = vec![result("label", class, 1, ResultKind::Integer), result("p", shares, 2, ResultKind::Real)];
        assert!(tells_both(&told));
        let meanings = Meanings { told: Some(told), ..of(&[(Meaning::Classes, 2)]) };
        let results = Results::of(vec![vec![0.0, 1.0], vec![0.0, 20.0], vec![0.001, 0.0]], &meanings);
        // Far from ½ an error of the logit hardly moves a probability; at ½ a small one turns the class.
        let agreement = results.beside(&[vec![0.0, 1.01], vec![0.0, 21.0], vec![0.0, 0.001]]);
        assert_eq!(agreement.same, 1.0 / 3.0);
        let agreement = results.beside(&[vec![0.0, 1.001], vec![0.0, 20.001], vec![0.001, 0.0002]]);
        assert_eq!((agreement.same, results.kept(&agreement, 10.0)), (1.0, 1.0 / 3.0));
    }
}
