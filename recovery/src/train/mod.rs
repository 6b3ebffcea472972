//! Training with PAFs in place: progressive approximation (PA) and alternate training (AT).
//!
//! A network becomes a differentiable model on candle's tape (`model.rs`), whose slow or missing operations are kernels
//! of our own (`kernels/`). Training runs in stages (`stages.rs`): one operator at a time in graph order, its PAF put in
//! place of the exact one, coefficients and upstream weights trained in turns; at last all operators together. Every
//! stage uses the static scales that are deployed, renewed at its beginning from the values that the network shows by
//! then. So nothing depends on the batch, and there is no step from dynamic to static scales in which accuracy gets lost.
//!
//! A part of the data is held back from training and decides what is kept. The result is never worse on it than the
//! network that came in.

mod batches;
mod checkpoint;
mod config;
mod evaluate;
mod kernels;
mod layers;
mod loss;
mod model;
mod optimizer;
mod parameters;
mod ranges;
mod resume;
mod stages;
mod trainer;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use candle_core::DType;
use paf_files::BoundFile;
use paf_ir::tensor::{Graph, NodeId};
use serde::{Deserialize, Serialize};

use crate::data::Data;
use crate::error::RecoveryError;
use crate::network::{Network, Origin};
use evaluate::{Teacher, evaluate};
use model::Model;
use trainer::{Task, Trainer};

pub use config::{Augment, Loss, Normalization, OptimizerKind, Order, Schedule, TrainConfig, Upstream};
pub use evaluate::Metrics;
pub use stages::Phase;

/// Fewest samples that can be split into training and held-back ones.
const FEWEST_SAMPLES: usize = 2;

/// One training run.
pub struct Run<'r> {
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
    #[serde(with = "evaluate::finite_or_null")]
    pub training_loss: f64,
    /// On the held-back samples, after the epoch.
    pub held_back: Metrics,
    /// Wall time.
    pub seconds: f64,
}

/// How far a run is, told after each epoch.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'p> {
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

impl fmt::Display for Progress<'_> {
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

/// Trains a network whose ReLU and MaxPool nodes have PAFs and scales; those without a PAF stay exact.
///
/// # Errors
/// [`RecoveryError`] for data that do not fit the network or the loss, a loss that is not finite from the start, a
/// damaged checkpoint or one of another run.
pub fn train(
    network: &Network,
    run: &Run<'_>,
    progress: &mut dyn FnMut(&Progress<'_>),
) -> Result<Trained, RecoveryError> {
    check(network, run)?;
    let (config, data) = (run.config, run.data);
    let mut model = model_of(network, DType::F32)?;
    let (training, held_back) = batches::split(data.len(), config.held_back, run.seed);
    let exact = Model::new(run.original, DType::F32)?;
    let teacher = Teacher::new(&exact, data, config.batch)?;
    let original = evaluate(&exact, data, &held_back, &teacher, config.loss, config.batch)?;
    let operators: Vec<NodeId> = network.pafs.keys().copied().collect();
    model.activate(&operators);
    let before = evaluate(&model, data, &held_back, &teacher, config.loss, config.batch)?;
    let checkpoint = match run.checkpoint {
        Some(path) => Some(BoundFile::new(path, resume::fingerprint(&model, data, config, run.seed)?)),
        None => None,
    };
    let first = model.parameters.snapshot()?;
    let first_scales = model.scales();
    let task = Task {
        config,
        data,
        seed: run.seed,
        original: exact,
        teacher,
        stages: stages::stages(&network.graph, &operators, config, &run.frozen),
        training,
        held_back,
        margins: network.pafs.iter().map(|(id, paf)| (*id, paf.margin)).collect(),
    };
    let mut trainer = Trainer::new(task, model)?;
    if let Some(file) = &checkpoint {
        trainer.resume(file)?;
    }
    while !trainer.is_over() {
        trainer.advance(progress)?;
        if let Some(file) = &checkpoint {
            trainer.save(file)?;
        }
    }
    trainer.model.activate(&operators);
    trainer.hold_ranges(&operators)?;
    let mut after = trainer.evaluate()?;
    let is_better = before.loss.is_nan() || after.loss < before.loss;
    if !is_better {
        trainer.model.parameters.restore(&first)?;
        trainer.model.set_scales(&first_scales);
        after = before;
    }
    let network = exported(network, &trainer.model, config)?;
    let (history, groups_taken) = (trainer.state.history, trainer.state.taken);
    Ok(Trained { network, original, before, after, history, groups_taken })
}

/// The first output of the network on each sample, flat, in single precision: many times faster than
/// [`crate::evaluate::logits`], and enough to count what is classified right.
///
/// # Errors
/// [`RecoveryError::Data`] if the network does not take these samples.
pub fn quick_logits(network: &Network, data: &Data, batch: usize) -> Result<Vec<Vec<f32>>, RecoveryError> {
    data.check_for(&network.graph)?;
    let mut model = model_of(network, DType::F32)?;
    model.activate(&network.pafs.keys().copied().collect::<Vec<_>>());
    let all: Vec<usize> = (0..data.len()).collect();
    let rows = all.chunks(batch.max(1)).map(|part| Ok(evaluate::results(&model, data, part)?.to_vec2()?));
    Ok(rows.collect::<Result<Vec<Vec<Vec<f32>>>, RecoveryError>>()?.concat())
}

fn check(network: &Network, run: &Run<'_>) -> Result<(), RecoveryError> {
    run.config.check().map_err(RecoveryError::Usage)?;
    run.data.check_for(&network.graph)?;
    if run.data.len() < FEWEST_SAMPLES {
        return Err(RecoveryError::Data(format!("{} samples: training needs more", run.data.len())));
    }
    let classes = network.graph.node(network.graph.outputs[0].node).shape.size();
    match &run.data.y {
        None if run.config.needs_labels() => Err(RecoveryError::Usage(
            "this loss needs labels, and the data have none; `distillation` needs none".into(),
        )),
        Some(labels) => match labels.iter().position(|label| *label as usize >= classes) {
            Some(bad) => {
                let label = labels[bad];
                Err(RecoveryError::Data(format!("label {bad} is {label}; the network has {classes} classes")))
            }
            None => Ok(()),
        },
        None => Ok(()),
    }
}

fn model_of(network: &Network, dtype: DType) -> Result<Model, RecoveryError> {
    let mut model = Model::new(&network.graph, dtype)?;
    for (id, chosen) in &network.pafs {
        model.add_paf(*id, &chosen.paf, &chosen.scale)?;
    }
    Ok(model)
}

fn exported(network: &Network, model: &Model, config: &TrainConfig) -> Result<Network, RecoveryError> {
    let mut pafs = network.pafs.clone();
    let graph = model.export(&mut pafs)?;
    let origin = if config.order == Order::Progressive { Origin::Pa } else { Origin::At };
    for (id, paf) in &mut pafs {
        let before = &network.pafs[id];
        if paf.paf != before.paf {
            paf.coefficients_from = origin;
        }
        if paf.scale != before.scale {
            paf.scale_from = origin;
        }
    }
    Ok(Network { graph, pafs })
}

impl From<candle_core::Error> for RecoveryError {
    fn from(error: candle_core::Error) -> Self {
        RecoveryError::Training { step: "train", problem: error.to_string() }
    }
}
