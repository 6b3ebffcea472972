//! `calibrate-machine`, and where its table is found.

use std::env;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use paf_circuit::{Prediction, read_machine_costs, write_machine_costs};
use paf_engine::Engine as _;
use paf_engine_openfhe::{OpenFheEngine, calibrate};
use paf_runtime::RuntimeError;
use paf_scheme::{MachineCosts, WorkKind};
use serde_json::json;

use super::Machine;
use super::error::{CommandError, Result};
use super::progress::Progress;
use super::report::{Format, Report, seconds, wrote};

/// Measures this machine and writes its table.
pub(crate) fn calibrate_machine(machine: &Machine, output: Option<&Path>, format: Format) -> Result<()> {
    let path = match output {
        Some(path) => path.to_owned(),
        None => made_default_path()?,
    };
    let mut phase = Progress::new(format).phase("calibrate");
    let costs = calibrate(machine, &mut |done, all, what| {
        phase.at(done as u64, all as u64, what);
        ControlFlow::Continue(())
    })?;
    let time = phase.end();
    write_machine_costs(&path, &costs)?;
    let mut report = Report::default();
    describe(&mut report, &costs);
    report.fact("seconds", time);
    report.line("measured in", seconds(time));
    wrote(&mut report, &path);
    report.print(format)
}

fn describe(report: &mut Report, costs: &MachineCosts) {
    let slowness = OpenFheEngine::PROFILE.reference.slowness_of(costs);
    report.fact("machine", costs.machine.as_str());
    report.fact("threads", costs.threads);
    report.fact("kernels", costs.kernels.as_str());
    report.line("machine", format!("{}, {} threads, {} kernels", costs.machine, costs.threads, costs.kernels));
    let mut facts = serde_json::Map::new();
    for kind in WorkKind::ALL {
        let (times, factor) = (&costs.seconds[kind as usize], slowness[kind]);
        let list: Vec<String> = times.iter().map(|&time| seconds(time)).collect();
        report.line(kind.name().replace('_', " "), format!("{}; {factor:.2} x the built-in table", list.join(", ")));
        facts.insert(kind.name().to_owned(), json!({ "seconds": times, "in_built_in_tables": factor }));
    }
    report.fact("operations", facts);
}

/// The table in the user's folder for settings: `$XDG_CONFIG_HOME/paf/machine-costs.json`, with `~/.config` where the
/// variable is not set. `None` where there is no home.
fn default_path() -> Option<PathBuf> {
    let absolute = |variable: &str| env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let settings = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
    Some(settings.join("paf").join("machine-costs.json"))
}

fn made_default_path() -> Result<PathBuf> {
    let path = default_path().ok_or(CommandError::NoSettingsFolder)?;
    let folder = path.parent().unwrap_or(&path);
    fs::create_dir_all(folder).map_err(|source| RuntimeError::Write { path: folder.to_owned(), source })?;
    Ok(path)
}

/// The table to predict with: the one that was asked for, or the user's if there is one.
///
/// # Errors
/// [`RuntimeError::Circuit`] for a table that is missing or damaged.
pub(crate) fn chosen(asked: Option<&Path>) -> Result<Option<MachineCosts>> {
    let own = default_path().filter(|path| path.exists());
    let path = asked.map(Path::to_owned).or(own);
    Ok(path.map(|path| read_machine_costs(&path)).transpose()?)
}

/// Seconds of an evaluation and the machine they are for: that of the table, or the one that the circuit was compiled
/// for where there is no table or the circuit does not say what its time is made of.
pub(crate) fn predicted(prediction: &Prediction, costs: Option<&MachineCosts>) -> (f64, String) {
    let reference = &OpenFheEngine::PROFILE.reference;
    match costs {
        Some(costs) if !prediction.work.is_empty() => {
            (costs.seconds_of(&prediction.work, reference), costs.machine.clone())
        }
        _ if prediction.machine.is_empty() => (prediction.seconds, reference.machine.to_owned()),
        _ => (prediction.seconds, prediction.machine.clone()),
    }
}
