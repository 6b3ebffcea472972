//! How many predictions stay the same, judged by errors and gaps.

use crate::evaluate::top1;

/// Results of several values have a first class; the error of a single value is judged by this part of its spread.
const SPREAD: f64 = 0.01;

/// The original network's results on the samples that judge.
#[derive(Debug, Clone)]
pub(super) struct Results {
    values: Vec<Vec<f64>>,
    /// Standard deviation of single results.
    spread: f64,
    /// The largest magnitude.
    largest: f64,
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
    pub(super) fn of(values: Vec<Vec<f64>>) -> Self {
        let all = || values.iter().flatten().copied();
        let count = all().count().max(1) as f64;
        let mean = all().sum::<f64>() / count;
        let spread = (all().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt();
        let largest = all().fold(0.0f64, |most, x| most.max(x.abs()));
        Results { values, spread, largest }
    }

    pub(super) fn values(&self) -> &[Vec<f64>] {
        &self.values
    }

    /// Results farther off than this are lost.
    fn reach(&self) -> f64 {
        2.0 * self.largest
    }

    pub(super) fn beside(&self, others: &[Vec<f64>]) -> Agreement {
        let error = |(own, other): (&Vec<f64>, &Vec<f64>)| {
            let error: Vec<f64> = own.iter().zip(other).map(|(own, other)| other - own).collect();
            error.iter().all(|error| error.abs() <= self.reach()).then_some(error)
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
        if let ([_], [error]) = (own, error) {
            return factor * error.abs() <= SPREAD * self.spread;
        }
        let first = top1(own);
        let others = (0..own.len()).filter(|&class| class != first);
        others.into_iter().all(|class| own[first] - own[class] >= factor * (error[class] - error[first]))
    }

    /// The share of samples that keep their prediction where any sample may have the error of any other one, times a factor.
    pub(super) fn expected(&self, agreement: &Agreement, factor: f64) -> f64 {
        let errors: Vec<&Vec<f64>> = agreement.errors.iter().flatten().collect();
        let kept = |own: &Vec<f64>| errors.iter().filter(|error| self.keeps(own, error, factor)).count();
        let all = self.values.len() * agreement.errors.len();
        self.values.iter().map(kept).sum::<usize>() as f64 / all.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_and_single_values() {
        let results = Results::of(vec![vec![1.0, 0.0], vec![0.0, 0.1]]);
        let agreement = results.beside(&[vec![0.6, 0.5], vec![0.2, 0.1]]);
        assert_eq!((agreement.same, agreement.lost), (0.5, 0));
        // Errors of 0.9 and -0.2 towards the second class against a gap of 1, of 0.2 and -0.9 towards the first against 0.1.
        assert_eq!(results.expected(&agreement, 1.0), 0.75);
        assert_eq!(results.expected(&agreement, 0.1), 1.0);
        let values = Results::of(vec![vec![0.0], vec![100.0]]);
        let agreement = values.beside(&[vec![0.4], vec![101.0]]);
        assert_eq!(agreement.same, 0.5);
    }

    #[test]
    fn what_is_not_finite_is_lost() {
        let results = Results::of(vec![vec![1.0, 0.0]; 4]);
        let mut others = results.values().to_vec();
        others[2][1] = f64::NAN;
        others[3][0] = 1e9;
        let agreement = results.beside(&others);
        assert_eq!((agreement.same, agreement.lost), (0.5, 2));
        assert_eq!(results.expected(&agreement, 1.0), 0.5);
    }
}
