//! Command line of `paf-recover`.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use clap::Parser;
use paf_adapt::compare::compare;
use paf_adapt::evaluate::Accuracy;
use paf_adapt::events::unheard;
use paf_adapt::progress::ProgressText;
use paf_adapt::recovery::Outcome;
use paf_adapt::search::{Cost, SearchReport, Tried};
use paf_adapt::{Config, Data, Listener, ModelFiles, RecoveryError, Training, recover_files};
use paf_scheme::EngineProfile;
use paf_train::CandleTraining;
use serde_json::{Value, json};

use crate::report;

/// Adapts a trained ONNX network to polynomial ReLU and MaxPool, and writes it with the polynomials to use
#[derive(Debug, Parser)]
#[command(name = "paf-recover", version)]
pub(crate) struct Arguments {
    /// The ONNX file
    model: PathBuf,
    /// Where to write the network with its new weights
    #[arg(short, long, value_name = "RECOVERED.onnx")]
    output: PathBuf,
    /// Where to write the PAFs and scales, for paf-compile --paf-file
    #[arg(long, value_name = "P.json")]
    paf_out: PathBuf,
    /// Training data: .npz with x [k, sample shape...] and, if there are labels, y [k]; or .npy with the samples. The
    /// configuration can name them instead
    #[arg(long, value_name = "TRAIN.npz")]
    data: Option<PathBuf>,
    /// Labels of training data in .npy
    #[arg(long, value_name = "Y.npy")]
    labels: Option<PathBuf>,
    /// Data with labels on which accuracy is counted; no step sees them
    #[arg(long, value_name = "TEST.npz")]
    test: Option<PathBuf>,
    /// Labels of test data in .npy
    #[arg(long, value_name = "Y.npy", requires = "test")]
    test_labels: Option<PathBuf>,
    /// Steps, PAFs and options; every key has a default
    #[arg(long, value_name = "C.toml")]
    config: Option<PathBuf>,
    /// A page with figures and plots
    #[arg(long, value_name = "R.html")]
    report: Option<PathBuf>,
    /// Print facts as JSON on stdout
    #[arg(long)]
    json: bool,
}

/// Recovers as the arguments say.
///
/// # Errors
/// [`RecoveryError`]; no file is half written then.
pub(crate) fn run(arguments: &Arguments) -> Result<(), RecoveryError> {
    let config = arguments.config.as_deref().map(Config::read).transpose()?.unwrap_or_default();
    let data = arguments.data.as_ref().or(config.data.as_ref());
    let data = data.ok_or_else(|| RecoveryError::Usage("no training data: give --data TRAIN.npz".into()))?;
    let data = Data::read(data, arguments.labels.as_ref().or(config.labels.as_ref()).map(PathBuf::as_path))?;
    let test = arguments.test.as_deref().map(|path| Data::read(path, arguments.test_labels.as_deref())).transpose()?;
    let files = ModelFiles {
        model: arguments.model.clone(),
        output: arguments.output.clone(),
        paf_output: arguments.paf_out.clone(),
    };
    let mut progress = match std::io::stderr().is_terminal() {
        true => ProgressText::in_place(std::io::stderr()),
        false => ProgressText::in_lines(std::io::stderr()),
    };
    let recover = |listener: &mut Listener<'_>| {
        let (data, training) = ((&data, test.as_ref()), Some(&CandleTraining as &dyn Training));
        recover_files(&files, &config, data, training, EngineProfile::openfhe(), listener)
    };
    let outcome = if arguments.json { recover(&mut unheard)? } else { recover(&mut |event| progress.hear(event))? };
    drop(progress);
    if let Some(path) = &arguments.report {
        let compared = test.as_ref().map(|test| compare(&outcome, &config, &data, test)).transpose()?;
        report::write(path, &outcome, &compared.unwrap_or_default())?;
    }
    for node in &outcome.nodes {
        let kept = node.kept.iter().map(|reason| format!("ct left its coefficients: {reason}"));
        node.warnings
            .iter()
            .cloned()
            .chain(kept)
            .for_each(|warning| paf_files::say!("warning: {}: {warning}", node.node));
    }
    // A reader that closed the pipe is no error.
    let text = if arguments.json { facts(&outcome).to_string() } else { text(&outcome) };
    let _ = writeln!(std::io::stdout().lock(), "{text}");
    Ok(())
}

fn text(outcome: &Outcome) -> String {
    let mut lines = vec![format!(
        "{} nodes with PAFs, {} levels in all, {:.1} s",
        outcome.nodes.len(),
        outcome.network.total_depth(),
        outcome.seconds
    )];
    lines.push(format!("{:<40} {:<20} {:>10} {:>12} {:>12}", "node", "paf", "scale", "error before", "after"));
    for (node, chosen) in outcome.nodes.iter().zip(outcome.network.pafs.values()) {
        let (scale, (before, after)) = (chosen.scale.largest(), node.error);
        lines.push(format!("{:<40} {:<20} {scale:>10.4} {before:>12.2e} {after:>12.2e}", node.node, chosen.paf.name));
    }
    if let Some(search) = &outcome.search {
        let Tried { cost: Cost { levels, bootstraps, .. }, judged, .. } = &search.tried[search.chosen];
        lines.push(format!(
            "search: of {} mixes one of {levels} levels on the deepest path and {bootstraps} bootstraps, {:.2} % of {} \
             held-back samples; {:.2} ± {:.2} points lost",
            search.tried.len(),
            judged.accuracy.percent(),
            judged.accuracy.count,
            judged.lost,
            judged.standard_error,
        ));
    }
    if let Some((original, recovered)) = outcome.accuracy {
        let side = |accuracy: Accuracy| format!("{:.2} ± {:.2} %", accuracy.percent(), accuracy.standard_error());
        let control = control_accuracy(outcome).map_or(String::new(), |control| format!(", control {}", side(control)));
        lines.push(format!("accuracy: original {}, recovered {}{control}", side(original), side(recovered)));
    }
    lines.join("\n")
}

fn control_accuracy(outcome: &Outcome) -> Option<Accuracy> {
    outcome.control.as_ref().and_then(|control| control.accuracy)
}

/// The facts of `--json`.
fn facts(outcome: &Outcome) -> Value {
    let nodes = outcome.nodes.iter().zip(outcome.network.pafs.values()).map(|(node, chosen)| {
        let percentiles = [0.5, 0.9, 0.99, 0.999, 0.9999].map(|share| node.histogram.percentile(share));
        json!({
            "node": node.node, "paf": chosen.paf.name, "largest_scale": chosen.scale.largest(),
            "margin": chosen.margin, "error_before_ct": node.error.0, "error": node.error.1,
            "percentiles": percentiles, "largest": node.histogram.largest(),
            "coefficients_from": chosen.coefficients_from, "kept": node.kept, "warnings": node.warnings,
        })
    });
    let accuracy = |accuracy: Accuracy| json!({"percent": accuracy.percent(), "standard_error": accuracy.standard_error(), "count": accuracy.count});
    json!({
        "nodes": nodes.collect::<Vec<_>>(),
        "total_depth": outcome.network.total_depth(),
        "seconds": outcome.seconds,
        "search": outcome.search.as_ref().map(searched),
        "original": outcome.accuracy.map(|both| accuracy(both.0)),
        "recovered": outcome.accuracy.map(|both| accuracy(both.1)),
        "control": control_accuracy(outcome).map(accuracy),
    })
}

fn searched(search: &SearchReport) -> Value {
    let tried = |tried: &Tried| {
        let judged = &tried.judged;
        let Cost { levels, bootstraps, seconds } = tried.cost;
        json!({
            "pafs": tried.pafs, "uniform": tried.uniform(), "levels": levels,
            "bootstraps": (bootstraps < u32::MAX).then_some(bootstraps), "seconds": (seconds > 0.0).then_some(seconds),
            "percent": judged.accuracy.percent(), "lost": judged.lost,
            "standard_error": judged.standard_error, "divergence": judged.divergence,
        })
    };
    json!({
        "held_back": search.original.count,
        "original_percent": search.original.percent(),
        "chosen": tried(&search.tried[search.chosen]),
        "tried": search.tried.iter().map(tried).collect::<Vec<_>>(),
    })
}
