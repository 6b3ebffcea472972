//! How many predictions stay the same, judged by errors and gaps.

use std::ops::Range;

use paf_ir::client::{ClientOp, ClientStep, ClientValue, Reduction};
use paf_ir::tensor::{Function, Graph};

use crate::evaluate::top1;

/// The error of a value is judged by this part of what it spreads over.
const SPREAD: f64 = 0.01;

/// The error of a direction is judged by this part of its length: a cosine of 0.995.
const ANGLE: f64 = 0.1;

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

/// The meaning of each tensor that a network gives, with its number of elements. Without a function behind them, several values
/// are taken to be classes.
pub(super) fn meanings(graph: &Graph) -> Vec<(Meaning, usize)> {
    let size = |port: usize| graph.node(graph.outputs[port].node).shape.size();
    (0..graph.outputs.len()).map(|port| (meaning(graph, port, size(port)), size(port))).collect()
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

/// The original network's results on the samples that judge: all tensors one after another.
#[derive(Debug, Clone)]
pub(super) struct Results {
    values: Vec<Vec<f64>>,
    parts: Vec<Part>,
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
    pub(super) fn of(values: Vec<Vec<f64>>, meanings: &[(Meaning, usize)]) -> Self {
        let mut start = 0;
        let part = |&(meaning, size): &(Meaning, usize)| {
            let places = start..start + size;
            start += size;
            let all = || values.iter().flat_map(|values| values[places.clone()].iter().copied());
            let count = all().count().max(1) as f64;
            let mean = all().sum::<f64>() / count;
            let spread = (all().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt();
            let largest = all().fold(0.0f64, |most, x| most.max(x.abs()));
            Part { meaning, places, spread, largest }
        };
        let parts = meanings.iter().map(part).collect();
        Results { values, parts }
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
        let is_same = |(own, error): (&Vec<f64>, &Option<Vec<f64>>)| {
            error.as_ref().is_some_and(|error| self.keeps(own, error, 1.0))
        };
        let same = self.values.iter().zip(&errors).filter(|&pair| is_same(pair)).count();
        let lost = errors.iter().filter(|error| error.is_none()).count();
        Agreement { same: same as f64 / self.values.len().max(1) as f64, lost, errors }
    }

    /// Whether a prediction is the same with an error, so many times as large.
    fn keeps(&self, own: &[f64], error: &[f64], factor: f64) -> bool {
        self.parts.iter().all(|part| part.keeps(&own[part.places.clone()], &error[part.places.clone()], factor))
    }

    /// The share of samples that keep their prediction where any sample may have the error of any other one, times a factor.
    pub(super) fn expected(&self, agreement: &Agreement, factor: f64) -> f64 {
        let errors: Vec<&Vec<f64>> = agreement.errors.iter().flatten().collect();
        let kept = |own: &Vec<f64>| errors.iter().filter(|error| self.keeps(own, error, factor)).count();
        let all = self.values.len() * agreement.errors.len();
        self.values.iter().map(kept).sum::<usize>() as f64 / all.max(1) as f64
    }
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
    use super::*;

    #[test]
    fn classes_and_single_values() {
        let results = Results::of(vec![vec![1.0, 0.0], vec![0.0, 0.1]], &[(Meaning::Classes, 2)]);
        let agreement = results.beside(&[vec![0.6, 0.5], vec![0.2, 0.1]]);
        assert_eq!((agreement.same, agreement.lost), (0.5, 0));
        // Errors of 0.9 and -0.2 towards the second class against a gap of 1, of 0.2 and -0.9 towards the first against 0.1.
        assert_eq!(results.expected(&agreement, 1.0), 0.75);
        assert_eq!(results.expected(&agreement, 0.1), 1.0);
        let values = Results::of(vec![vec![0.0], vec![100.0]], &[(Meaning::Numbers, 1)]);
        let agreement = values.beside(&[vec![0.4], vec![101.0]]);
        assert_eq!(agreement.same, 0.5);
    }

    #[test]
    fn a_score_keeps_its_side_and_a_direction_its_angle() {
        let scores = Results::of(vec![vec![0.1], vec![-3.0]], &[(Meaning::Score, 1)]);
        assert_eq!(scores.beside(&[vec![-0.1], vec![-9.0]]).same, 0.5);
        assert_eq!((scores.class(&[0.1]), scores.class(&[-0.1])), (1, 0));
        let directions = Results::of(vec![vec![3.0, 4.0], vec![0.3, 0.4]], &[(Meaning::Direction, 2)]);
        assert_eq!(directions.beside(&[vec![3.0, 4.4], vec![0.3, 0.8]]).same, 0.5);
    }

    #[test]
    fn every_tensor_must_stay_the_same() {
        let meanings = [(Meaning::Classes, 2), (Meaning::Numbers, 1)];
        let results = Results::of(vec![vec![1.0, 0.0, 0.0], vec![0.0, 1.0, 100.0]], &meanings);
        assert_eq!(results.beside(&[vec![0.9, 0.0, 0.1], vec![0.0, 0.9, 102.0]]).same, 0.5);
        assert_eq!(results.beside(&[vec![0.0, 1.0, 0.1], vec![0.0, 0.9, 100.0]]).same, 0.5);
    }

    #[test]
    fn what_is_not_finite_is_lost() {
        let results = Results::of(vec![vec![1.0, 0.0]; 4], &[(Meaning::Classes, 2)]);
        let mut others = results.values().to_vec();
        others[2][1] = f64::NAN;
        others[3][0] = 1e9;
        let agreement = results.beside(&others);
        assert_eq!((agreement.same, agreement.lost), (0.5, 2));
        assert_eq!(results.expected(&agreement, 1.0), 0.5);
    }
}
