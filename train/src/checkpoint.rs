//! A training run on disk: safetensors, written whole or not at all.

use std::collections::{BTreeMap, HashMap};

use candle_core::{Device, Tensor};
use paf_adapt::RecoveryError;
use paf_files::BoundFile;
use safetensors::SafeTensors;

/// Key of the run's state in the file's metadata.
const STATE: &str = "state";

/// Key of what the run was started with.
const FINGERPRINT: &str = "fingerprint";

/// Writes tensors and a state.
///
/// # Errors
/// [`RecoveryError::Io`].
pub(crate) fn write(file: &BoundFile, state: String, tensors: &BTreeMap<String, Tensor>) -> Result<(), RecoveryError> {
    let metadata = [(STATE, state), (FINGERPRINT, file.fingerprint().to_owned())];
    let metadata = metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let bytes = safetensors::serialize(tensors, Some(metadata))
        .map_err(|error| RecoveryError::damaged_checkpoint(file.path(), error.to_string()))?;
    file.write(&bytes).map_err(RecoveryError::io(file.path()))
}

/// A state and tensors by name.
type Saved = (String, HashMap<String, Tensor>);

/// Reads a state and its tensors, if the file is there.
///
/// # Errors
/// [`RecoveryError::File`] for damage and for a run that was started with something else.
pub(crate) fn read(file: &BoundFile) -> Result<Option<Saved>, RecoveryError> {
    file.read(opened).map_err(RecoveryError::checkpoint(file.path()))
}

/// The fingerprint in a file, and what it holds.
fn opened(bytes: &[u8]) -> Result<(String, Saved), String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    let mut metadata = header.metadata().clone().unwrap_or_default();
    let (Some(state), Some(fingerprint)) = (metadata.remove(STATE), metadata.remove(FINGERPRINT)) else {
        return Err("it holds no state of a run".into());
    };
    let tensors = candle_core::safetensors::load_buffer(bytes, &Device::Cpu).map_err(|error| error.to_string())?;
    Ok((fingerprint, (state, tensors)))
}
