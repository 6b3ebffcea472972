//! Options of the training steps `pa` and `at`.

use serde::{Deserialize, Serialize};

/// How PAFs and weights are trained. Rates and decays are the paper's (smartpaf.md 3.5); its plain Adam adds the decay
/// to the gradient, ours takes it off the weights (AdamW).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// What is replaced and trained when.
    pub order: TrainingOrder,
    /// What is minimized.
    pub loss: Loss,
    /// The rule that turns gradients into steps.
    pub optimizer: OptimizerKind,
    /// Step size of PAF coefficients.
    pub coefficient_rate: f64,
    /// Weight decay of PAF coefficients.
    pub coefficient_decay: f64,
    /// Step size of weights.
    pub weight_rate: f64,
    /// Weight decay of weights.
    pub weight_decay: f64,
    /// How the step sizes change within a group.
    pub schedule: Schedule,
    /// Samples a step.
    pub batch: usize,
    /// Epochs between two decisions. The paper takes 20.
    pub epochs: usize,
    /// Most groups of epochs for one operator.
    pub groups: usize,
    /// Most groups of epochs for all operators together, at the end.
    pub last_groups: usize,
    /// Most groups in a row that train the same thing, coefficients or weights, before the other one has its turn. The
    /// paper, whose groups are ten times as long, has no limit.
    pub turn: usize,
    /// Which weights the training of one operator may change.
    pub upstream: Upstream,
    /// Whether the average over a group's epochs is a candidate too (SWA).
    pub average: bool,
    /// Which statistics batch normalizations use while they train.
    pub normalization: Normalization,
    /// Part of the data that selects and never trains.
    pub held_back: f64,
    /// What happens to images before they train.
    pub augment: Augment,
    /// A group counts only if it lowers the held-back loss by more than this part of it.
    pub least_improvement: f64,
}

/// What is replaced and trained when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrainingOrder {
    /// One operator at a time in graph order, coefficients and weights in turns; then all of them.
    Progressive,
    /// All operators at once, coefficients and weights in turns.
    Alternate,
    /// All operators at once, coefficients and weights together.
    Together,
}

/// What is minimized.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Loss {
    /// Cross-entropy with the labels.
    Labels,
    /// Divergence from the original network's results, both softened by the temperature; needs no labels.
    Distillation {
        /// Divides the results before the softmax.
        temperature: f64,
    },
    /// A part of each.
    Both {
        /// Part of the distillation, 0 to 1.
        distillation: f64,
        /// Divides the results before the softmax.
        temperature: f64,
    },
}

/// The rule that turns gradients into steps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum OptimizerKind {
    /// Adam with decoupled weight decay, β1 = 0.9, β2 = 0.999, ε = 1e-8.
    #[serde(rename = "adamw")]
    AdamW,
    /// Stochastic gradient descent.
    Sgd {
        /// Part of the last step that is taken again.
        momentum: f64,
    },
}

/// How step sizes change within a group of epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Not at all, as in the paper.
    Constant,
    /// They fall to nothing at its end, so that the last epoch is not worse than need be for being short.
    Linear,
}

impl Schedule {
    /// The part of the step size after a part of the group.
    pub fn part(self, done: f64) -> f64 {
        match self {
            Schedule::Constant => 1.0,
            Schedule::Linear => 1.0 - done,
        }
    }
}

/// Which weights the training of one operator may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Upstream {
    /// Those between the ReLU and MaxPool nodes before it and itself, as the paper's code does.
    Segment,
    /// All that its input depends on, as the paper says.
    All,
}

/// Which statistics batch normalizations use while they train.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalization {
    /// The running ones, which stay as they are: what is deployed is what trains.
    Running,
    /// Those of each batch; the running ones follow them.
    Batch,
}

/// What happens to images before they train.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Augment {
    /// Nothing.
    None,
    /// A shift by up to four pixels each way, borders repeated.
    Crop,
    /// As `crop`, and half of the images mirrored left to right.
    CropFlip,
}

impl Default for TrainConfig {
    fn default() -> Self {
        TrainConfig {
            order: TrainingOrder::Progressive,
            loss: Loss::Distillation { temperature: 2.0 },
            optimizer: OptimizerKind::AdamW,
            coefficient_rate: 1e-4,
            coefficient_decay: 0.01,
            weight_rate: 1e-5,
            weight_decay: 0.1,
            schedule: Schedule::Linear,
            batch: 100,
            epochs: 2,
            groups: 4,
            last_groups: 8,
            turn: 1,
            upstream: Upstream::Segment,
            average: true,
            normalization: Normalization::Running,
            held_back: 0.1,
            augment: Augment::None,
            least_improvement: 1e-4,
        }
    }
}

impl TrainConfig {
    /// Whether labels are needed.
    pub fn needs_labels(&self) -> bool {
        !matches!(self.loss, Loss::Distillation { .. })
    }

    /// What is out of bounds, if anything.
    ///
    /// # Errors
    /// A sentence that names the key, its value and its bounds.
    pub fn check(&self) -> Result<(), String> {
        within("coefficient_rate", self.coefficient_rate, 0.0, 1.0)?;
        within("weight_rate", self.weight_rate, 0.0, 1.0)?;
        within("coefficient_decay", self.coefficient_decay, 0.0, 10.0)?;
        within("weight_decay", self.weight_decay, 0.0, 10.0)?;
        within("held_back", self.held_back, 0.001, 0.9)?;
        within("least_improvement", self.least_improvement, 0.0, 1.0)?;
        if let OptimizerKind::Sgd { momentum } = self.optimizer {
            within("momentum", momentum, 0.0, 0.999)?;
        }
        self.check_loss()?;
        for (name, count) in [("batch", self.batch), ("epochs", self.epochs), ("turn", self.turn)] {
            if count == 0 {
                return Err(format!("{name} = 0: at least 1 is needed"));
            }
        }
        Ok(())
    }

    fn check_loss(&self) -> Result<(), String> {
        match self.loss {
            Loss::Labels => Ok(()),
            Loss::Distillation { temperature } => within("temperature", temperature, 0.01, 100.0),
            Loss::Both { distillation, temperature } => {
                within("distillation", distillation, 0.0, 1.0)?;
                within("temperature", temperature, 0.01, 100.0)
            }
        }
    }
}

fn within(name: &str, value: f64, low: f64, high: f64) -> Result<(), String> {
    match (low..=high).contains(&value) {
        true => Ok(()),
        false => Err(format!("{name} = {value}: a number from {low} to {high} is needed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_value_is_read() {
        let forms = [
            "loss = \"labels\"",
            "loss = { distillation = { temperature = 2.0 } }",
            "loss = { both = { distillation = 0.5, temperature = 2.0 } }",
            "optimizer = \"adamw\"",
            "optimizer = { sgd = { momentum = 0.9 } }",
            "schedule = \"constant\"",
            "schedule = \"linear\"",
            "upstream = \"segment\"",
            "upstream = \"all\"",
            "augment = \"none\"",
            "augment = \"crop\"",
            "augment = \"crop_flip\"",
            "normalization = \"running\"",
            "normalization = \"batch\"",
            "order = \"together\"",
        ];
        for form in forms {
            let config: TrainConfig = toml::from_str(form).unwrap_or_else(|error| panic!("{form}: {error}"));
            assert_eq!(config.check(), Ok(()), "{form}");
        }
    }
}
