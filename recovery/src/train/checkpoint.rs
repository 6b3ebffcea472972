//! A training run on disk: safetensors, written whole or not at all.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;

use candle_core::{Device, Tensor};
use paf_circuit::AtomicFile;
use safetensors::SafeTensors;

use crate::error::RecoveryError;

/// Key of the run's state in the file's metadata.
const STATE: &str = "state";

/// Key of what the run was started with.
const FINGERPRINT: &str = "fingerprint";

/// Writes tensors and a state.
///
/// # Errors
/// [`RecoveryError::Io`].
pub(super) fn write(
    path: &Path,
    fingerprint: &str,
    state: String,
    tensors: &BTreeMap<String, Tensor>,
) -> Result<(), RecoveryError> {
    let metadata = HashMap::from([(STATE.to_owned(), state), (FINGERPRINT.to_owned(), fingerprint.to_owned())]);
    let bytes = safetensors::serialize(tensors, Some(metadata))
        .map_err(|error| RecoveryError::damaged_checkpoint(path, error.to_string()))?;
    let write = || {
        let mut file = AtomicFile::create(path)?;
        file.write_all(&bytes)?;
        file.commit()
    };
    write().map_err(RecoveryError::io(path))
}

/// A state and tensors by name.
type Saved = (String, HashMap<String, Tensor>);

/// Reads a state and its tensors, if the file is there.
///
/// # Errors
/// [`RecoveryError::File`] for damage and for a run that was started with something else.
pub(super) fn read(path: &Path, fingerprint: &str) -> Result<Option<Saved>, RecoveryError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(RecoveryError::io(path)(error)),
    };
    let (_, header) = SafeTensors::read_metadata(&bytes)
        .map_err(|error| RecoveryError::damaged_checkpoint(path, error.to_string()))?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let (Some(state), Some(found)) = (metadata.get(STATE), metadata.get(FINGERPRINT)) else {
        return Err(RecoveryError::damaged_checkpoint(path, "it holds no state of a run".into()));
    };
    if found != fingerprint {
        return Err(RecoveryError::checkpoint_of_another_run(path));
    }
    let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)
        .map_err(|error| RecoveryError::damaged_checkpoint(path, error.to_string()))?;
    Ok(Some((state.clone(), tensors)))
}
