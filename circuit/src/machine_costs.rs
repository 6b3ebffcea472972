//! The file of a machine's costs: readable JSON, written by `paf-run calibrate-machine`, read by whatever predicts.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use paf_files::AtomicFile;
use paf_scheme::{MEASURED_BOOTSTRAP, MEASURED_LIMBS, MEASURED_RING, MachineCosts, WorkKind};
use serde::{Deserialize, Serialize};

use crate::CircuitError;

/// First field of the file; another number is another set of operations or sizes.
const FORMAT: &str = "paf machine costs 1";
/// More seconds than any of the operations takes anywhere.
const MOST_SECONDS: f64 = 1e6;

/// The file, in the order in which people read it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    machine: String,
    threads: u32,
    kernels: String,
    measured: Measured,
    seconds: BTreeMap<String, Vec<f64>>,
}

/// The sizes of the operations: fixed by the format, written for readers.
#[derive(Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Measured {
    ring_dimension: usize,
    limbs: Vec<usize>,
    bootstrap_ring_dimension: usize,
    bootstrap_slots: usize,
}

impl Measured {
    fn sizes() -> Self {
        let (bootstrap_ring_dimension, bootstrap_slots) = MEASURED_BOOTSTRAP;
        let limbs = MEASURED_LIMBS.to_vec();
        Measured { ring_dimension: MEASURED_RING, limbs, bootstrap_ring_dimension, bootstrap_slots }
    }
}

/// Writes a machine's costs, all of the file or nothing; the same costs give the same bytes.
///
/// # Errors
/// [`CircuitError::Io`].
pub fn write_machine_costs(path: &Path, costs: &MachineCosts) -> Result<(), CircuitError> {
    let by_kind = WorkKind::ALL.into_iter().zip(&costs.seconds);
    let file = File {
        format: FORMAT.to_owned(),
        machine: costs.machine.clone(),
        threads: costs.threads,
        kernels: costs.kernels.clone(),
        measured: Measured::sizes(),
        seconds: by_kind.map(|(kind, seconds)| (kind.name().to_owned(), seconds.clone())).collect(),
    };
    let write = || {
        let mut output = AtomicFile::create(path)?;
        serde_json::to_writer_pretty(&mut output, &file)?;
        output.write_all(b"\n")?;
        output.commit()
    };
    write().map_err(|source| CircuitError::io(path, source))
}

/// Reads a machine's costs.
///
/// # Errors
/// [`CircuitError::Io`]; [`CircuitError::Malformed`] for a file that is not one of [`write_machine_costs`], with the
/// path.
pub fn read_machine_costs(path: &Path) -> Result<MachineCosts, CircuitError> {
    let text = fs::read_to_string(path).map_err(|source| CircuitError::io(path, source))?;
    costs(&text).map_err(|message| CircuitError::malformed(message).in_file(path))
}

fn costs(text: &str) -> Result<MachineCosts, String> {
    let file: File = serde_json::from_str(text).map_err(|error| format!("no table of machine costs, {error}"))?;
    if file.format != FORMAT || file.measured != Measured::sizes() {
        let again = "`paf-run calibrate-machine` measures again";
        return Err(format!("a table of the format `{}`, not of `{FORMAT}`; {again}", file.format));
    }
    if file.threads == 0 || file.machine.is_empty() || file.seconds.len() != WorkKind::ALL.len() {
        return Err("machine, threads or kinds of work are missing".into());
    }
    let seconds: Result<_, String> = WorkKind::ALL.into_iter().map(|kind| seconds(&file.seconds, kind)).collect();
    Ok(MachineCosts { machine: file.machine, threads: file.threads, kernels: file.kernels, seconds: seconds? })
}

fn seconds(table: &BTreeMap<String, Vec<f64>>, kind: WorkKind) -> Result<Vec<f64>, String> {
    let name = kind.name();
    let seconds = table.get(name).ok_or_else(|| format!("the seconds of `{name}` are missing"))?;
    if seconds.len() != kind.sizes() {
        return Err(format!("`{name}` has {} numbers instead of {}", seconds.len(), kind.sizes()));
    }
    match seconds.iter().find(|&&seconds| !(seconds > 0.0 && seconds < MOST_SECONDS)) {
        Some(wrong) => Err(format!("`{name}` holds {wrong}, which no operation takes in seconds")),
        None => Ok(seconds.clone()),
    }
}

#[cfg(test)]
mod tests {
    use paf_scheme::EngineProfile;

    use super::*;

    #[test]
    fn what_is_written_is_read_and_gives_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let (path, again) = (folder.path().join("a.json"), folder.path().join("b.json"));
        let mut costs = EngineProfile::openfhe().reference.costs();
        costs.seconds[0][1] = 0.1 + 0.2;
        write_machine_costs(&path, &costs).unwrap();
        assert_eq!(read_machine_costs(&path).unwrap(), costs);
        write_machine_costs(&again, &read_machine_costs(&path).unwrap()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), fs::read(&again).unwrap());
    }

    #[test]
    fn damaged_tables_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("costs.json");
        write_machine_costs(&path, &EngineProfile::openfhe().reference.costs()).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let check = |damaged: &str, message: &str| {
            assert_ne!(damaged, text, "{message}");
            fs::write(&path, damaged).unwrap();
            let error = read_machine_costs(&path).unwrap_err().to_string();
            assert!(error.contains("costs.json") && error.contains(message), "{error}");
        };
        check(&text[..text.len() / 2], "no table of machine costs");
        check(&text.replace("costs 1", "costs 9"), "paf machine costs 9");
        check(&text.replace("\"threads\": 2", "\"threads\": 0"), "threads");
        check(&text.replace("\"product\"", "\"produkt\""), "`product` are missing");
        check(&text.replace("\"addition\": [", "\"addition\": [-1.0,"), "4 numbers instead of 3");
        check(&text.replace("\"addition\": [\n      0", "\"addition\": [\n      -0"), "`addition` holds -0");
        check(&text.replace("\"kernels\"", "\"colonels\""), "no table of machine costs");
        check("", "no table of machine costs");
    }
}
