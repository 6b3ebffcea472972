//! Training with PAFs in place: progressive approximation (PA) and alternate training (AT).
//!
//! [`CandleTraining`] is what a recovery is handed. A network becomes a differentiable model on candle's tape
//! (`model.rs`), whose slow or missing operations are fused ones of our own (`fused/`). Training runs in stages
//! (`stages.rs`): one operator at a time in graph order, its PAF put in
//! place of the exact one, coefficients and upstream weights trained in turns; at last all operators together. Every
//! stage uses the static scales that are deployed, renewed at its beginning from the values that the network shows by
//! then. So nothing depends on the batch, and there is no step from dynamic to static scales in which accuracy gets lost.
//!
//! A part of the data is held back from training and decides what is kept. The result is never worse on it than the
//! network that came in.

mod batches;
mod checkpoint;
mod error;
mod evaluate;
mod fused;
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

use candle_core::DType;
use paf_adapt::config::{TrainConfig, TrainingOrder};
use paf_adapt::network::{Network, Origin};
use paf_adapt::training::{Trained, Training, TrainingRun};
use paf_adapt::{Data, Listener, RecoveryError};
use paf_files::BoundFile;
use paf_ir::tensor::NodeId;

use error::TrainError;
use evaluate::{Teacher, evaluate};
use model::TapeModel;
use trainer::{Task, Trainer};

/// Fewest samples that can be split into training and held-back ones.
const FEWEST_SAMPLES: usize = 2;

/// Training on candle's tape, on the CPU.
#[derive(Debug, Clone, Copy, Default)]
pub struct CandleTraining;

impl Training for CandleTraining {
    fn train(
        &self,
        network: &Network,
        run: &TrainingRun<'_>,
        listener: &mut Listener<'_>,
    ) -> Result<Trained, RecoveryError> {
        check(network, run)?;
        Ok(train(network, run, listener)?)
    }
}

/// As [`CandleTraining`], of a network and a run that fit each other.
fn train(network: &Network, run: &TrainingRun<'_>, listener: &mut Listener<'_>) -> Result<Trained, TrainError> {
    let (config, data) = (run.config, run.data);
    let mut model = model_of(network, DType::F32)?;
    let (training, held_back) = batches::split(data.len(), config.held_back, run.seed);
    let exact = TapeModel::new(run.original, network.reduction, DType::F32)?;
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
        trainer.advance(listener)?;
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

/// The first output of the network on each sample, flat, in single precision: faster than
/// [`paf_adapt::evaluate::logits`], and enough to count what is classified right.
///
/// # Errors
/// [`RecoveryError::Data`] if the network does not take these samples.
pub fn quick_logits(network: &Network, data: &Data, batch: usize) -> Result<Vec<Vec<f32>>, RecoveryError> {
    data.check_for(&network.graph)?;
    let rows = || -> Result<Vec<Vec<Vec<f32>>>, TrainError> {
        let mut model = model_of(network, DType::F32)?;
        model.activate(&network.pafs.keys().copied().collect::<Vec<_>>());
        let all: Vec<usize> = (0..data.len()).collect();
        all.chunks(batch.max(1)).map(|part| Ok(evaluate::results(&model, data, part)?.to_vec2()?)).collect()
    };
    Ok(rows()?.concat())
}

fn check(network: &Network, run: &TrainingRun<'_>) -> Result<(), RecoveryError> {
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

fn model_of(network: &Network, dtype: DType) -> Result<TapeModel, TrainError> {
    let mut model = TapeModel::new(&network.graph, network.reduction, dtype)?;
    for (id, chosen) in &network.pafs {
        model.add_paf(*id, &chosen.paf, &chosen.scale)?;
    }
    Ok(model)
}

fn exported(network: &Network, model: &TapeModel, config: &TrainConfig) -> Result<Network, TrainError> {
    let mut pafs = network.pafs.clone();
    let graph = model.export(&mut pafs)?;
    let origin = if config.order == TrainingOrder::Progressive { Origin::Pa } else { Origin::At };
    for (id, paf) in &mut pafs {
        let before = &network.pafs[id];
        if paf.paf != before.paf {
            paf.coefficients_from = origin;
        }
        if paf.scale != before.scale {
            paf.scale_from = origin;
        }
    }
    Ok(Network { graph, pafs, ..network.clone() })
}
