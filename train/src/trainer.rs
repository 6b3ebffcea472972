//! The loop: epochs, groups of epochs, stages.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use candle_core::{DType, Tensor};
use paf_adapt::config::{Augment, Normalization, TrainConfig};
use paf_adapt::events::{Event, Listener, tell};
use paf_adapt::training::{Epoch, EpochEnd, Metrics, Phase};
use paf_adapt::{Data, RecoveryError};
use paf_ir::tensor::{NodeId, Op};
use serde::{Deserialize, Serialize};

use crate::batches;
use crate::error::TrainError;
use crate::evaluate::{Teacher, evaluate, labels_of, loss_of};
use crate::model::{Normalizing, Pass, Seen, TapeModel};
use crate::optimizer::{Optimizer, Rate};
use crate::parameters::{ParameterId, Snapshot};
use crate::ranges::{is_deployable, renew_scales};
use crate::stages::{Ending, Stage, Turn, after_group};

/// Most passes that look for scales that hold together, beyond one for each operator: a new scale changes the values of
/// the nodes after it.
const MORE_SCALE_PASSES: usize = 4;

/// What step sizes are multiplied by where training ended in a loss that is not finite, and how often.
const SLOWER: f64 = 0.25;
const MOST_SLOWER: u32 = 8;

/// How far running statistics move towards those of a batch, as in PyTorch.
const STATISTICS_MOMENTUM: f64 = 0.1;

/// Everything a run needs and does not change.
pub(crate) struct Task<'t> {
    pub(crate) config: &'t TrainConfig,
    pub(crate) data: &'t Data,
    pub(crate) seed: u64,
    pub(crate) original: TapeModel,
    pub(crate) teacher: Teacher,
    pub(crate) stages: Vec<Stage>,
    pub(crate) training: Vec<usize>,
    pub(crate) held_back: Vec<usize>,
    /// Margin of each operator's scale.
    pub(crate) margins: BTreeMap<NodeId, f64>,
}

/// Where a run is; together with the tensors all that a checkpoint holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) stage: usize,
    pub(crate) turn: Turn,
    /// Epochs of the group that are over.
    pub(crate) epoch: usize,
    /// Epochs of the run that are over; each has its own stream of random numbers.
    pub(crate) epochs_run: u64,
    pub(crate) optimizer_steps: u64,
    /// How often the stage's step sizes of coefficients, and of weights, were made smaller.
    pub(crate) slower: (u32, u32),
    /// The best so far; it is what a group starts from.
    pub(crate) incumbent: Metrics,
    /// The best epoch of the group, and its number.
    pub(crate) best: Option<(Metrics, usize)>,
    pub(crate) averaged: usize,
    pub(crate) scales: BTreeMap<u32, Vec<f64>>,
    pub(crate) history: Vec<Epoch>,
    pub(crate) taken: usize,
}

/// A run.
pub(crate) struct Trainer<'t> {
    pub(crate) task: Task<'t>,
    pub(crate) model: TapeModel,
    pub(crate) state: State,
    pub(crate) incumbent: Snapshot,
    pub(crate) best: Option<Snapshot>,
    pub(crate) average: Option<Snapshot>,
    pub(crate) optimizer: Optimizer,
    /// Operators whose scales are known to hold all samples as the network was last kept. Whatever is not among them is
    /// measured, so a resumed run begins with none.
    pub(crate) held: BTreeSet<NodeId>,
}

impl<'t> Trainer<'t> {
    /// A run at its very beginning.
    pub(crate) fn new(task: Task<'t>, model: TapeModel) -> Result<Self, TrainError> {
        let nothing = Metrics { loss: f64::INFINITY, accuracy: 0.0, samples: 0 };
        let state = State {
            stage: 0,
            turn: Turn::default(),
            epoch: 0,
            epochs_run: 0,
            optimizer_steps: 0,
            slower: (0, 0),
            incumbent: nothing,
            best: None,
            averaged: 0,
            scales: BTreeMap::new(),
            history: vec![],
            taken: 0,
        };
        let optimizer = Optimizer::new(task.config.optimizer, BTreeMap::new());
        let incumbent = model.parameters.snapshot()?;
        let mut trainer =
            Trainer { task, model, state, incumbent, best: None, average: None, optimizer, held: BTreeSet::new() };
        trainer.begin_stage()?;
        Ok(trainer)
    }

    /// Whether every stage is over.
    pub(crate) fn is_over(&self) -> bool {
        self.state.stage >= self.task.stages.len()
    }

    /// Runs one epoch and decides what follows.
    pub(crate) fn advance(&mut self, listener: &mut Listener<'_>) -> Result<(), TrainError> {
        let start = Instant::now();
        if self.state.epoch == 0 {
            self.begin_group()?;
        }
        let training_loss = self.train_epoch(listener)?;
        self.state.epochs_run += 1;
        self.state.epoch += 1;
        let held_back = self.judge_epoch(training_loss)?;
        self.report(training_loss, held_back, start.elapsed().as_secs_f64(), listener)?;
        let diverged = !training_loss.is_finite() || !held_back.loss.is_finite();
        if diverged && self.slow_down() {
            self.state.epoch = 0;
        } else if diverged || self.state.epoch >= self.task.config.epochs {
            self.end_group()?;
        }
        Ok(())
    }

    /// Makes the steps smaller of what is trained, for the rest of the stage; `false` if that was done often enough.
    /// Coefficients of steep composites go astray at steps that suit others.
    fn slow_down(&mut self) -> bool {
        let (phase, slower) = (self.phase(), &mut self.state.slower);
        let trained = [(phase != Phase::Weights, &mut slower.0), (phase != Phase::Coefficients, &mut slower.1)];
        let mut can = false;
        for (_, count) in trained.into_iter().filter(|(is_trained, count)| *is_trained && **count < MOST_SLOWER) {
            *count += 1;
            can = true;
        }
        can
    }

    fn stage(&self) -> &Stage {
        &self.task.stages[self.state.stage]
    }

    fn phase(&self) -> Phase {
        self.stage().phases[self.state.turn.phase]
    }

    fn begin_stage(&mut self) -> Result<(), TrainError> {
        if self.is_over() {
            return Ok(());
        }
        let stage = self.stage().clone();
        if let Some(&first) = stage.replaced.iter().find(|id| !self.held.contains(id)) {
            self.forget_held(first);
        }
        self.model.activate(&stage.replaced);
        self.hold_ranges(&stage.replaced)?;
        (self.state.turn, self.state.slower) = (Turn::default(), (0, 0));
        self.state.incumbent = self.evaluate()?;
        self.incumbent = self.model.parameters.snapshot()?;
        if self.state.incumbent.loss.is_finite() {
            return Ok(());
        }
        let problem = format!(
            "the loss is not finite before training of `{}`; its PAF leaves its range: calibrate first, or take a larger \
             margin",
            stage.name
        );
        Err(RecoveryError::Training { step: "train", problem }.into())
    }

    /// Gives operators scales that hold their values on all samples; those known to hold are not looked at.
    pub(crate) fn hold_ranges(&mut self, operators: &[NodeId]) -> Result<bool, TrainError> {
        let mut open: BTreeMap<NodeId, f64> =
            operators.iter().filter(|id| !self.held.contains(id)).map(|id| (*id, self.task.margins[id])).collect();
        let mut changed = false;
        for _ in 0..operators.len() + MORE_SCALE_PASSES {
            if open.is_empty() {
                break;
            }
            let renewed = renew_scales(&mut self.model, &open, self.task.data, self.task.config.batch)?;
            let Some(&first) = renewed.first() else {
                self.held.extend(open.keys());
                break;
            };
            changed = true;
            self.held.extend(open.keys());
            self.forget_held(first);
            let affected = operators.iter().filter(|id| self.is_affected(**id, first));
            open = affected.map(|id| (*id, self.task.margins[id])).collect();
        }
        self.state.scales = self.model.scales();
        Ok(changed)
    }

    /// Whether the arguments of an operator's signs may change with a node: those of a ReLU do not with the ReLU itself.
    fn is_affected(&self, operator: NodeId, by: NodeId) -> bool {
        operator > by || (operator == by && matches!(self.model.graph.node(by).op, Op::MaxPool(_)))
    }

    /// What changes with a node is no longer known to hold.
    fn forget_held(&mut self, changed: NodeId) {
        let held = std::mem::take(&mut self.held);
        self.held = held.into_iter().filter(|id| !self.is_affected(*id, changed)).collect();
    }

    fn begin_group(&mut self) -> Result<(), TrainError> {
        self.model.parameters.restore(&self.incumbent)?;
        (self.best, self.average, self.state.best, self.state.averaged) = (None, None, None, 0);
        self.optimizer = Optimizer::new(self.task.config.optimizer, self.rates());
        Ok(())
    }

    /// What the phase trains, and how fast.
    pub(crate) fn rates(&self) -> BTreeMap<ParameterId, Rate> {
        let (stage, config, phase) = (self.stage(), self.task.config, self.phase());
        let slower = |step: f64, times: u32| step * SLOWER.powi(times as i32);
        let mut rates = BTreeMap::new();
        if phase != Phase::Weights {
            let step = slower(config.coefficient_rate, self.state.slower.0);
            let rate = Rate { step, decay: config.coefficient_decay };
            rates.extend(stage.operators.iter().filter_map(|id| self.model.coefficients(*id)).map(|id| (id, rate)));
        }
        if phase != Phase::Coefficients {
            let rate = Rate { step: slower(config.weight_rate, self.state.slower.1), decay: config.weight_decay };
            let weights = stage.weights.iter().flat_map(|id| self.model.trainable_weights(*id));
            rates.extend(weights.map(|id| (id, rate)));
        }
        rates
    }

    /// The mean loss of an epoch; not finite as soon as a batch's is not.
    fn train_epoch(&mut self, listener: &mut Listener<'_>) -> Result<f64, TrainError> {
        let (config, data) = (self.task.config, self.task.data);
        let mut generator = batches::generator(self.task.seed, 1 + self.state.epochs_run);
        let order = batches::epoch(&self.task.training, config.batch, &mut generator);
        let trained: BTreeSet<ParameterId> = self.rates().into_keys().collect();
        let mut total = 0.0;
        for (number, indices) in order.iter().enumerate() {
            let done = (self.state.epoch as f64 + number as f64 / order.len() as f64) / config.epochs as f64;
            let x = batches::augmented(data, indices, config.augment, &mut generator, self.model.dtype())?;
            let teacher = self.teacher(&x, indices)?;
            let logits = self.training_forward(&x, &trained)?;
            let loss = loss_of(config.loss, &logits, &teacher, labels_of(data, indices).as_deref())?;
            let value = loss.to_dtype(DType::F64)?.to_scalar::<f64>()?;
            if !value.is_finite() {
                return Ok(value);
            }
            total += value * indices.len() as f64;
            self.optimizer.step(&self.model.parameters, &loss.backward()?, config.schedule.part(done))?;
            tell(listener, Event::Done { done: number + 1, all: order.len() })?;
        }
        Ok(total / self.task.training.len() as f64)
    }

    /// Results on the tape; running statistics follow if they are to.
    fn training_forward(&self, x: &Tensor, trained: &BTreeSet<ParameterId>) -> Result<Tensor, TrainError> {
        let normalizing = match self.task.config.normalization {
            Normalization::Running => Normalizing::Running,
            Normalization::Batch => Normalizing::Batch,
        };
        let mut seen = Vec::new();
        let logits = self.model.forward_observed(x, &Pass { trained, normalizing }, &mut |id, what| {
            if let Seen::Statistics(statistics) = what {
                seen.push((id, statistics));
            }
            Ok(())
        })?;
        for (id, statistics) in &seen {
            self.model.move_statistics(*id, statistics, STATISTICS_MOMENTUM)?;
        }
        Ok(logits)
    }

    fn teacher(&self, x: &Tensor, indices: &[usize]) -> Result<Tensor, TrainError> {
        if self.task.config.augment == Augment::None {
            return self.task.teacher.of(indices);
        }
        let pass = Pass { trained: &BTreeSet::new(), normalizing: Normalizing::Running };
        self.task.original.forward(x, &pass)
    }

    pub(crate) fn evaluate(&self) -> Result<Metrics, TrainError> {
        let task = &self.task;
        evaluate(&self.model, task.data, &task.held_back, &task.teacher, task.config.loss, task.config.batch)
    }

    /// Keeps the epoch if it is the best of its group, and adds it to the average.
    fn judge_epoch(&mut self, training_loss: f64) -> Result<Metrics, TrainError> {
        let metrics = self.evaluate()?;
        if !training_loss.is_finite() || !metrics.loss.is_finite() {
            return Ok(metrics);
        }
        self.offer(metrics, self.state.epoch)?;
        let now = self.model.parameters.snapshot()?;
        self.state.averaged += 1;
        self.average = Some(match self.average.take() {
            Some(average) => average_of(&average, &now, self.state.averaged)?,
            None => now,
        });
        Ok(metrics)
    }

    fn offer(&mut self, metrics: Metrics, epoch: usize) -> Result<(), TrainError> {
        let is_better = self.state.best.as_ref().is_none_or(|(best, _)| metrics.loss < best.loss);
        if is_better {
            self.state.best = Some((metrics, epoch));
            self.best = Some(self.model.parameters.snapshot()?);
        }
        Ok(())
    }

    fn end_group(&mut self) -> Result<(), TrainError> {
        let config = self.task.config;
        if let (true, Some(average)) = (config.average && self.state.averaged > 1, self.average.take()) {
            self.model.parameters.restore(&average)?;
            self.offer(self.evaluate()?, config.epochs)?;
        }
        let ending = self.settle()?;
        self.state.epoch = 0;
        match after_group(&self.state.turn, ending, self.stage(), config.turn) {
            Some(turn) => self.state.turn = turn,
            None => {
                self.model.parameters.restore(&self.incumbent)?;
                self.state.stage += 1;
                self.begin_stage()?;
            }
        }
        Ok(())
    }

    /// Takes the best of the group if it is better than what the group started from, with the scales that it needs.
    fn settle(&mut self) -> Result<Ending, TrainError> {
        let config = self.task.config;
        let (Some((metrics, epoch)), Some(best)) = (self.state.best, self.best.take()) else {
            return Ok(Ending::Rejected);
        };
        let is_better =
            |metrics: Metrics, incumbent: Metrics| metrics.loss < incumbent.loss * (1.0 - config.least_improvement);
        self.model.parameters.restore(&best)?;
        if !is_better(metrics, self.state.incumbent) || !self.is_deployable()? {
            return Ok(Ending::Rejected);
        }
        let (scales, held) = (self.model.scales(), self.held.clone());
        if let Some(first) = self.model.parameters.first_difference(&self.incumbent, &best)? {
            self.forget_held(first);
        }
        let metrics = if self.hold_ranges(&self.stage().replaced.clone())? { self.evaluate()? } else { metrics };
        if !is_better(metrics, self.state.incumbent) {
            self.model.set_scales(&scales);
            (self.state.scales, self.held) = (scales, held);
            return Ok(Ending::Rejected);
        }
        (self.incumbent, self.state.incumbent) = (best, metrics);
        self.state.taken += 1;
        Ok(if 2 * epoch <= config.epochs { Ending::BetterEarly } else { Ending::BetterLate })
    }

    /// Whether circuits take all PAFs that are trained.
    fn is_deployable(&self) -> Result<bool, TrainError> {
        let each = self.stage().operators.iter().map(|id| is_deployable(&self.model, *id));
        Ok(each.collect::<Result<Vec<_>, _>>()?.into_iter().all(|deployable| deployable))
    }

    fn report(
        &mut self,
        training_loss: f64,
        held_back: Metrics,
        seconds: f64,
        listener: &mut Listener<'_>,
    ) -> Result<(), TrainError> {
        let stage = self.stage();
        let epoch = Epoch {
            stage: stage.name.clone(),
            phase: self.phase(),
            group: self.state.turn.groups + 1,
            epoch: self.state.epoch,
            training_loss,
            held_back,
            seconds,
        };
        let (epochs, groups) = (self.task.config.epochs, stage.groups);
        let here = (groups - self.state.turn.groups) * epochs - self.state.epoch;
        let later: usize = self.task.stages[self.state.stage + 1..].iter().map(|stage| stage.groups * epochs).sum();
        let end = EpochEnd {
            last: &epoch,
            stage: self.state.stage + 1,
            stages: self.task.stages.len(),
            groups,
            epochs,
            most_seconds_left: (here + later) as f64 * seconds,
        };
        tell(listener, Event::Epoch(&end))?;
        self.state.history.push(epoch);
        Ok(())
    }
}

/// The mean of `count` snapshots, from that of all but the last.
fn average_of(average: &Snapshot, last: &Snapshot, count: usize) -> Result<Snapshot, TrainError> {
    let pairs = average.iter().zip(last);
    pairs.map(|(average, last)| Ok((average + ((last - average)? / count as f64)?)?)).collect()
}
