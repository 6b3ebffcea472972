//! What becomes of scores: probabilities, and the label of a class.

use super::super::nodes::{integer, texts, wholes};
use super::{Rewriting, kept};
use crate::onnx::{DataType, TensorProto};
use crate::site::Refusal;

/// Scores this near zero count as zero where SOFTMAX_ZERO leaves those out.
const ZERO: f64 = 1e-7;

/// What is made of scores: the attribute `post_transform`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transform {
    None,
    Logistic,
    Softmax,
    SoftmaxZero,
}

impl Transform {
    /// That of a node.
    pub(super) fn of(it: &Rewriting<'_>) -> Result<Self, Refusal> {
        match it.attributes().text("post_transform")?.as_deref() {
            None | Some("NONE") => Ok(Transform::None),
            Some("LOGISTIC") => Ok(Transform::Logistic),
            Some("SOFTMAX") => Ok(Transform::Softmax),
            Some("SOFTMAX_ZERO") => Ok(Transform::SoftmaxZero),
            Some(other) => Err(Refusal::unsupported(
                format!("post_transform is {other}"),
                "NONE, LOGISTIC, SOFTMAX and SOFTMAX_ZERO work",
            )),
        }
    }
}

/// The names of the classes.
#[derive(Debug, Clone)]
pub(super) enum Labels {
    Numbers(Vec<i64>),
    Texts(Vec<String>),
}

impl Labels {
    /// Those of a node: texts come first if it has both.
    pub(super) fn of(it: &Rewriting<'_>) -> Result<Self, Refusal> {
        let attributes = it.attributes();
        let numbers = ["classlabels_ints", "classlabels_int64s"].map(|name| attributes.integers(name));
        let [ints, int64s] = numbers;
        match attributes.texts("classlabels_strings")?.filter(|texts| !texts.is_empty()) {
            Some(texts) => Ok(Labels::Texts(texts)),
            None => Ok(Labels::Numbers(ints?.or(int64s?).unwrap_or_default())),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Labels::Numbers(numbers) => numbers.len(),
            Labels::Texts(texts) => texts.len(),
        }
    }

    /// Two labels, the second first.
    pub(super) fn exchanged(mut self) -> Self {
        match &mut self {
            Labels::Numbers(numbers) => numbers.reverse(),
            Labels::Texts(texts) => texts.reverse(),
        }
        self
    }

    fn table(&self) -> TensorProto {
        match self {
            Labels::Numbers(numbers) => wholes(numbers.clone()),
            Labels::Texts(list) => texts(list),
        }
    }
}

/// How scores name a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The place of the largest score, of the first one if there are several.
    OfLargest,
    /// 1 where the last score is positive, otherwise 0.
    WherePositive,
}

impl Rewriting<'_> {
    /// Scores after a transformation.
    pub(super) fn transformed(&mut self, scores: &str, transform: Transform) -> String {
        match transform {
            Transform::None => scores.to_owned(),
            Transform::Logistic => self.to.add("Sigmoid", &[scores], vec![]),
            Transform::Softmax => self.softmax(scores),
            Transform::SoftmaxZero => self.softmax_of_others_than_zero(scores),
        }
    }

    /// The same of a score and its opposite, of which nothing but the logistic function is taken.
    pub(super) fn of_two(&mut self, scores: &str, transform: Transform) -> String {
        match transform {
            Transform::Logistic => self.transformed(scores, transform),
            Transform::None | Transform::Softmax | Transform::SoftmaxZero => scores.to_owned(),
        }
    }

    fn softmax(&mut self, scores: &str) -> String {
        self.to.add("Softmax", &[scores], vec![integer("axis", 1)])
    }

    /// Softmax among the scores that are not zero; the others stay zero.
    fn softmax_of_others_than_zero(&mut self, scores: &str) -> String {
        let [low, high, zero] = [-ZERO, ZERO, 0.0].map(|value| self.to.number(value));
        let below = self.to.add("Less", &[scores, &low], vec![]);
        let above = self.to.add("Greater", &[scores, &high], vec![]);
        let counts = self.to.add("Or", &[&below, &above], vec![]);
        let softmax = self.softmax(scores);
        let others = self.to.add("Where", &[&counts, &softmax, &zero], vec![]);
        let sum = self.to.add("ReduceSum", &[&others], kept(1));
        self.to.add("Div", &[&others, &sum], vec![])
    }

    /// The outputs of a classifier: the label of the place that the scores name, and what was made of the scores.
    pub(super) fn classes(
        &mut self,
        scores: &str,
        place: Place,
        labels: &Labels,
        probabilities: &str,
    ) -> Result<bool, Refusal> {
        let place = self.place(scores, place);
        self.labelled(&place, labels, probabilities)
    }

    /// The outputs of a classifier: the label of a place, and what was made of the scores.
    pub(super) fn labelled(&mut self, place: &str, labels: &Labels, probabilities: &str) -> Result<bool, Refusal> {
        let [label, output] = [0, 1].map(|index| self.to.output(index));
        if !label.is_empty() {
            let table = self.to.constant(labels.table());
            self.to.finish("Gather", &[&table, place], &[label], vec![integer("axis", 0)]);
        }
        if !output.is_empty() {
            self.to.also("Identity", &[probabilities], output, vec![]);
        }
        Ok(true)
    }

    fn place(&mut self, scores: &str, place: Place) -> String {
        match place {
            Place::OfLargest => self.to.add("ArgMax", &[scores], vec![integer("axis", 1), integer("keepdims", 0)]),
            Place::WherePositive => {
                let positive = self.exceeds(scores, 0.0);
                let last = self.to.constant(wholes(vec![-1]));
                let last = self.to.add("Gather", &[&positive, &last], vec![integer("axis", 1)]);
                self.to.add("Squeeze", &[&last], kept(1))
            }
        }
    }

    /// 1 for each score above a threshold, 0 for the others.
    pub(super) fn exceeds(&mut self, scores: &str, threshold: f64) -> String {
        let threshold = self.to.number(threshold);
        let exceeds = self.to.add("Greater", &[scores, &threshold], vec![]);
        self.to.add("Cast", &[&exceeds], vec![integer("to", DataType::Int64 as i64)])
    }
}
