//! A recovery from files to files: the ONNX model, and the PAFs beside it.

use std::io::Write;
use std::path::{Path, PathBuf};

use paf_files::AtomicFile;
use paf_import::{ModelSource, import, import_source, with_weights};
use paf_ir::tensor::Graph;
use paf_scheme::EngineProfile;

use crate::config::Config;
use crate::data::Data;
use crate::error::RecoveryError;
use crate::events::Listener;
use crate::network::Network;
use crate::paf_file::PafFile;
use crate::recovery::{Outcome, accuracy, recover};
use crate::search::file_beside;
use crate::target::Target;
use crate::training::Training;

/// What a recovery reads and writes.
#[derive(Debug, Clone)]
pub struct ModelFiles {
    /// The ONNX file.
    pub model: PathBuf,
    /// Where the ONNX file with new weights goes.
    pub output: PathBuf,
    /// Where `model.paf.json` goes.
    pub paf_output: PathBuf,
}

/// Runs a recovery for the circuit that a compilation for an engine makes without options, and writes both files; on failure neither is written. Checkpoints are removed once they are. Accuracies
/// are counted on test data, if there are some.
///
/// # Errors
/// [`RecoveryError`] naming the file, node or key at fault.
pub fn recover_files(
    files: &ModelFiles,
    config: &Config,
    (data, test): (&Data, Option<&Data>),
    training: Option<&dyn Training>,
    profile: &'static EngineProfile,
    listener: &mut Listener<'_>,
) -> Result<Outcome, RecoveryError> {
    let model = ModelSource::read(&files.model)?;
    let target = Target::new(config, data, profile)?;
    let mut outcome = recover(&target, import_source(&model)?.graph, config, data, training, listener)?;
    if let Some(test) = test {
        let (original, recovered) = (accuracy(&outcome.original, test)?, accuracy(&outcome.network, test)?);
        outcome.accuracy = Some((original, recovered));
        if let Some(control) = &mut outcome.control {
            control.accuracy = Some(accuracy(&control.network, test)?);
        }
    }
    write(files, &model, &outcome.original.graph, &outcome.network)?;
    if let Some(checkpoint) = &config.checkpoint {
        for path in [checkpoint.clone(), file_beside(checkpoint)].into_iter().filter(|path| path.exists()) {
            std::fs::remove_file(&path).map_err(RecoveryError::io(&path))?;
        }
    }
    Ok(outcome)
}

/// Writes the model and its PAFs; the model gets its name last, when everything else is done.
fn write(files: &ModelFiles, model: &ModelSource, original: &Graph, network: &Network) -> Result<(), RecoveryError> {
    let bytes = with_weights(model, original, &network.graph)?;
    let staged = AtomicFile::create(&files.output).and_then(|mut file| file.write_all(&bytes).map(|()| file));
    let file = staged.map_err(RecoveryError::io(&files.output))?;
    PafFile::of(network).write(&files.paf_output)?;
    file.commit().map_err(RecoveryError::io(&files.output))
}

/// Reads a model and its PAFs as one network.
///
/// # Errors
/// [`RecoveryError`] for damage, or for PAFs of another network.
pub fn read_network(model: &Path, pafs: &Path) -> Result<Network, RecoveryError> {
    PafFile::read(pafs)?.network(pafs, import(model)?.graph)
}
