//! `check`: an encrypted run against the clear one, layer by layer, in one process.

use std::path::Path;
use std::sync::Arc;

use paf_circuit::read_circuit;
use paf_runtime::{Expectations, InsecureTestParameters, LayerAgreement, Sides, check_layers};
use serde_json::json;

use super::commands::{finish, read_samples};
use super::error::{CommandError, Result};
use super::infer::{Parties, Times, set_up};
use super::progress::Progress;
use super::report::{Format, Report, refuse_or_warn, seconds};
use super::{Input, Memory};

/// Keys that the noise model is asked for: what it expects is their mean.
const SEEDS: u64 = 4;

/// Bits of the mean under the expectation from which on a layer is named: it varies by about one bit from key to key, and
/// the noise model is as uncertain. The largest error of a layer is that of a few slots and varies more.
const MARGIN_BITS: f64 = 2.0;

/// Bits of the mean under the expectation from which on the check fails: the circuit does not keep what the compiler promised.
const BROKEN_BITS: f64 = 3.0;

pub(crate) struct Options<'a> {
    pub(crate) circuit: &'a Path,
    pub(crate) files: &'a [std::path::PathBuf],
    pub(crate) sample: usize,
    /// How many samples, from that one on.
    pub(crate) limit: usize,
    pub(crate) least_bits: Option<f64>,
    pub(crate) memory: Memory,
    pub(crate) insecure: InsecureTestParameters,
}

pub(crate) fn check(options: &Options<'_>, format: Format) -> Result<()> {
    let circuit = Arc::new(read_circuit(options.circuit)?);
    let mut report = Report::default();
    refuse_or_warn(&circuit.parameters, options.insecure, &mut report)?;
    let input = Input { files: options.files.to_vec(), limit: Some(options.sample.saturating_add(options.limit)) };
    let samples = read_samples(&circuit.program.inputs, &input)?;
    if options.sample >= samples.count() {
        return Err(CommandError::NoSuchSample { sample: options.sample, count: samples.count() });
    }
    options.memory.check(&circuit)?;
    let progress = Progress::new(format);
    let parties = set_up(&circuit, options.memory, options.insecure, progress, &mut Times::default())?;
    let mut layers: Vec<LayerAgreement> = vec![];
    let (count, mut time) = (samples.count() - options.sample, 0.0);
    for sample in options.sample..samples.count() {
        let phase = progress.phase("simulate");
        let expectations = Expectations::new(&circuit, &samples, sample, SEEDS)?;
        phase.end();
        let mut phase = progress.phase("check");
        let Parties { client, server, keys } = &parties;
        let inputs = client.encrypt(&keys.public, &samples, sample)?;
        let observer = &mut |step: paf_runtime::executor::Step<'_>| phase.layer(sample - options.sample, count, step);
        let sides = Sides { client, secret: &keys.secret, server, keys: &keys.evaluation };
        keep_worst(&mut layers, check_layers(&sides, inputs, &expectations, observer)?);
        time += phase.end();
    }
    report.fact("sample", options.sample);
    report.fact("samples", count);
    report.fact("seconds", time);
    describe(&mut report, &layers);
    let which = if count == 1 { format!("sample {}", options.sample) } else { format!("{count} samples") };
    report.line("checked", format!("{which} in {}", seconds(time)));
    finish(report, format)?;
    options.least_bits.map_or(Ok(()), |least| refuse_below(&layers, least))?;
    refuse_broken(&layers)
}

/// Of each layer the sample that is farthest under its expectation.
fn keep_worst(layers: &mut Vec<LayerAgreement>, others: Vec<LayerAgreement>) {
    let missing = |layer: &LayerAgreement| layer.expected_mean_bits - layer.mean_bits;
    if layers.is_empty() {
        *layers = others;
        return;
    }
    for (layer, other) in layers.iter_mut().zip(others) {
        if missing(&other) > missing(layer) {
            *layer = other;
        }
    }
}

/// A line a layer, and the first one that is under its expectation.
fn describe(report: &mut Report, layers: &[LayerAgreement]) {
    for layer in layers {
        let text = format!(
            "level {:>2}, agreement {}, expected {}; on average {}, expected {}",
            layer.level,
            in_bits(layer.bits),
            in_bits(layer.expected_bits),
            in_bits(layer.mean_bits),
            in_bits(layer.expected_mean_bits)
        );
        report.line(&layer.layer, text);
    }
    let under = layers.iter().find(|layer| is_under(layer));
    report.line("expectation", under.map_or_else(all_within, first_under));
    let fact = |layer: &LayerAgreement| {
        json!({ "layer": layer.layer, "level": layer.level.0, "agreement_bits": layer.bits,
                "expected_bits": layer.expected_bits, "mean_bits": layer.mean_bits,
                "expected_mean_bits": layer.expected_mean_bits, "under_expectation": is_under(layer) })
    };
    report.fact("layers", layers.iter().map(fact).collect::<Vec<_>>());
    report.fact("margin_bits", MARGIN_BITS);
    report.fact("first_under_expectation", under.map(|layer| layer.layer.as_str()));
}

fn is_under(layer: &LayerAgreement) -> bool {
    layer.mean_bits < layer.expected_mean_bits - MARGIN_BITS
}

fn all_within() -> String {
    format!("every layer is within {MARGIN_BITS} bits of the noise model")
}

fn first_under(layer: &LayerAgreement) -> String {
    let (name, bits, expected) = (&layer.layer, in_bits(layer.mean_bits), in_bits(layer.expected_mean_bits));
    format!(
        "{name} is on average the first layer more than {MARGIN_BITS} bits under the noise model: {bits}, not {expected}"
    )
}

/// Bits for people; a layer that cannot be decrypted has none.
fn in_bits(bits: f64) -> String {
    if bits == f64::NEG_INFINITY { "none".to_owned() } else { format!("{bits:>4.1} bits") }
}

fn refuse_broken(layers: &[LayerAgreement]) -> Result<()> {
    let broken = layers.iter().find(|layer| layer.mean_bits < layer.expected_mean_bits - BROKEN_BITS);
    let Some(layer) = broken else { return Ok(()) };
    let (bits, expected) = (layer.mean_bits, layer.expected_mean_bits);
    Err(CommandError::Unexpected { layer: layer.layer.clone(), bits, expected })
}

fn refuse_below(layers: &[LayerAgreement], least: f64) -> Result<()> {
    let Some(layer) = layers.iter().find(|layer| layer.bits < least) else { return Ok(()) };
    Err(CommandError::Imprecise { layer: layer.layer.clone(), bits: layer.bits, least })
}
