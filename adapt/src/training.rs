//! What training with gradients is asked for and what it tells: whoever has it hands it to a recovery. Adapting itself
//! knows none.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use paf_ir::tensor::{Graph, NodeId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::TrainConfig;
use crate::data::Data;
use crate::error::RecoveryError;
use crate::events::Listener;
use crate::network::Network;

/// The steps `pa` and `at`.
pub trait Training {
    /// Trains a network whose ReLU and MaxPool nodes have PAFs and scales; those without a PAF stay exact. The listener
    /// hears of batches and epochs.
    ///
    /// # Errors
    /// [`RecoveryError`] for data that do not fit the network or the loss, a loss that is not finite from the start, a
    /// damaged checkpoint or one of another run, and where the listener stops it.
    fn train(
        &self,
        network: &Network,
        run: &TrainingRun<'_>,
        listener: &mut Listener<'_>,
    ) -> Result<Trained, RecoveryError>;
}

/// One training run.
pub struct TrainingRun<'r> {
    /// The network as its makers trained it: the teacher of a distillation.
    pub original: &'r Graph,
    /// Samples, and labels where the loss needs them.
    pub data: &'r Data,
    /// What to do.
    pub config: &'r TrainConfig,
    /// Seed of the split, the order of samples and their augmentation.
    pub seed: u64,
    /// Nodes whose weights stay as they are, for instance because they cannot be written back.
    pub frozen: BTreeSet<NodeId>,
    /// Where the run is kept after each epoch, and taken up again. The caller removes it once the result is safe.
    pub checkpoint: Option<&'r Path>,
}

/// What a group of epochs trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Coefficients of PAFs.
    Coefficients,
    /// Weights of the network.
    Weights,
    /// Both at once.
    Both,
}

/// How well a network does on some samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// What training minimizes.
    #[serde(with = "finite_or_null")]
    pub loss: f64,
    /// Part of the samples whose largest result is at their class; without labels, at the original network's.
    pub accuracy: f64,
    /// Number of samples.
    pub samples: usize,
}

/// What an epoch came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Name of the operator that is trained, or `all`.
    pub stage: String,
    /// What was trained.
    pub phase: Phase,
    /// Number of the group of epochs in its stage, from 1.
    pub group: usize,
    /// Number of the epoch in its group, from 1.
    pub epoch: usize,
    /// Mean loss of the batches.
    #[serde(with = "finite_or_null")]
    pub training_loss: f64,
    /// On the held-back samples, after the epoch.
    pub held_back: Metrics,
    /// Wall time.
    pub seconds: f64,
}

/// How far a run is, told after each epoch.
#[derive(Debug, Clone, Copy)]
pub struct EpochEnd<'p> {
    /// The epoch that is over.
    pub last: &'p Epoch,
    /// Number of the stage, from 1.
    pub stage: usize,
    /// Number of stages.
    pub stages: usize,
    /// Most groups of this stage.
    pub groups: usize,
    /// Epochs of a group.
    pub epochs: usize,
    /// Seconds that are left if no stage ends early, at the speed of the last epoch.
    pub most_seconds_left: f64,
}

impl fmt::Display for EpochEnd<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Epoch { stage, phase, group, epoch, training_loss, held_back, seconds } = self.last;
        write!(
            f,
            "{stage} ({} of {}), {phase:?} {group} of at most {}, epoch {epoch} of {}: loss {training_loss:.5}, held \
             back {:.5} and {:.2} %, {seconds:.1} s, at most {:.0} s left",
            self.stage,
            self.stages,
            self.groups,
            self.epochs,
            held_back.loss,
            100.0 * held_back.accuracy,
            self.most_seconds_left
        )
    }
}

/// What a run came to.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The network with new weights, coefficients and scales.
    pub network: Network,
    /// On the held-back samples: the original network, all of it exact.
    pub original: Metrics,
    /// On the held-back samples: the network that came in.
    pub before: Metrics,
    /// On the held-back samples: the network that goes out.
    pub after: Metrics,
    /// Every epoch.
    pub history: Vec<Epoch>,
    /// Groups of epochs that improved something.
    pub groups_taken: usize,
}

impl Trained {
    /// Whether the network that goes out has a lower loss than the one that came in.
    pub fn improved(&self) -> bool {
        self.after.loss < self.before.loss
    }
}

/// JSON has no NaN and no infinity.
mod finite_or_null {
    use super::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        value.is_finite().then_some(*value).serialize(serializer)
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(deserializer: D) -> Result<f64, D::Error> {
        Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
    }
}
