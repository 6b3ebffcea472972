//! A run to and from its checkpoint.

use std::collections::{BTreeMap, HashMap};

use candle_core::Tensor;
use paf_adapt::Data;
use paf_adapt::RecoveryError;
use paf_adapt::config::TrainConfig;
use paf_files::{BoundFile, hex};
use paf_ir::tensor::NodeId;
use sha2::{Digest, Sha256};

use crate::checkpoint;
use crate::error::TrainError;
use crate::model::TapeModel;
use crate::optimizer::Optimizer;
use crate::parameters::Snapshot;
use crate::trainer::{State, Trainer};

/// What a run is started with, in 64 hexadecimal digits.
pub(crate) fn fingerprint(
    model: &TapeModel,
    data: &Data,
    config: &TrainConfig,
    seed: u64,
) -> Result<String, TrainError> {
    let mut hash = Sha256::new();
    let config = serde_json::to_string(config).map_err(|error| RecoveryError::Usage(error.to_string()))?;
    hash.update(config.as_bytes());
    hash.update(seed.to_le_bytes());
    data.add_to(&mut hash);
    for id in model.parameters.ids() {
        hash.update(model.parameters.name(id).as_bytes());
        model.parameters.values(id)?.iter().for_each(|value| hash.update(value.to_le_bytes()));
    }
    for (id, scales) in model.scales() {
        hash.update(id.to_le_bytes());
        scales.iter().for_each(|scale| hash.update(scale.to_le_bytes()));
    }
    Ok(hex(&hash.finalize()))
}

impl Trainer<'_> {
    /// Writes the run's checkpoint.
    pub(crate) fn save(&self, file: &BoundFile) -> Result<(), TrainError> {
        let mut tensors = BTreeMap::new();
        let now = self.model.parameters.snapshot()?;
        let snapshots = [("now", Some(&now)), ("incumbent", Some(&self.incumbent))];
        for (prefix, snapshot) in
            snapshots.into_iter().chain([("best", self.best.as_ref()), ("average", self.average.as_ref())])
        {
            for (id, tensor) in self.model.parameters.ids().zip(snapshot.into_iter().flatten()) {
                tensors.insert(format!("{prefix}/{}", self.model.parameters.name(id)), tensor.clone());
            }
        }
        for (id, moments) in &self.optimizer.moments {
            for (place, moment) in moments.iter().enumerate() {
                tensors.insert(format!("moment{place}/{}", self.model.parameters.name(*id)), moment.clone());
            }
        }
        let state = State { optimizer_steps: self.optimizer.steps, ..self.state.clone() };
        let state = serde_json::to_string(&state)
            .map_err(|error| RecoveryError::damaged_checkpoint(file.path(), error.to_string()))?;
        Ok(checkpoint::write(file, state, &tensors)?)
    }

    /// Goes on where a checkpoint stopped. The run must be at its beginning.
    pub(crate) fn resume(&mut self, file: &BoundFile) -> Result<bool, TrainError> {
        let Some((state, tensors)) = checkpoint::read(file)? else { return Ok(false) };
        let path = file.path();
        self.state =
            serde_json::from_str(&state).map_err(|error| RecoveryError::damaged_checkpoint(path, error.to_string()))?;
        if self.state.stage > self.task.stages.len() {
            return Err(RecoveryError::damaged_checkpoint(path, format!("it is in stage {}", self.state.stage)).into());
        }
        self.model.set_scales(&self.state.scales);
        self.held.clear();
        let snapshot = |prefix: &str| self.find(&tensors, prefix);
        let (now, incumbent) = (snapshot("now"), snapshot("incumbent"));
        (self.best, self.average) = (snapshot("best"), snapshot("average"));
        let (Some(now), Some(incumbent)) = (now, incumbent) else {
            return Err(RecoveryError::damaged_checkpoint(path, "tensors are missing".into()).into());
        };
        self.model.parameters.restore(&now)?;
        self.incumbent = incumbent;
        if !self.is_over() {
            let replaced: Vec<NodeId> = self.task.stages[self.state.stage].replaced.clone();
            self.model.activate(&replaced);
            self.optimizer = self.optimizer_of(&tensors);
        }
        Ok(true)
    }

    fn optimizer_of(&self, tensors: &HashMap<String, Tensor>) -> Optimizer {
        let mut optimizer = Optimizer::new(self.task.config.optimizer, self.rates());
        optimizer.steps = self.state.optimizer_steps;
        for id in self.rates().into_keys() {
            let name = self.model.parameters.name(id);
            let moment = |place: usize| tensors.get(&format!("moment{place}/{name}")).cloned();
            if let Some(moments) = (0..optimizer.moment_count()).map(moment).collect() {
                optimizer.moments.insert(id, moments);
            }
        }
        optimizer
    }

    /// A snapshot, if every tensor of it is there with its shape and type.
    fn find(&self, tensors: &HashMap<String, Tensor>, prefix: &str) -> Option<Snapshot> {
        let fits = |tensor: &&Tensor, variable: &Tensor| {
            tensor.dims() == variable.dims() && tensor.dtype() == variable.dtype()
        };
        let find = |id| {
            let tensor = tensors.get(&format!("{prefix}/{}", self.model.parameters.name(id)));
            tensor.filter(|tensor| fits(tensor, self.model.parameters.get(id).variable.as_tensor())).cloned()
        };
        self.model.parameters.ids().map(find).collect()
    }
}
