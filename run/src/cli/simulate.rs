//! `simulate`: a circuit on plain numbers, compared with labels and with the original network.

use std::path::Path;

use paf_circuit::{Circuit, read_circuit};
use paf_files::npy;
use paf_ir::client::{ClientResult, ResultKind};
use paf_ir::program::ValueId;
use paf_oracle::{Oracle, Values};
use paf_runtime::samples::largest;
use paf_runtime::{ClientOutput, Noise, RuntimeError, Samples};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::Input;
use super::commands::read_samples;
use super::error::{CommandError, Result};
use super::progress::Progress;
use super::report::{Format, Report, seconds, warn_if_insecure};
use super::results::Results;

/// The prediction of a single value is the same within this part of the deviation of the original's results.
const SPREAD: f64 = 0.01;

pub(crate) struct Options<'a> {
    pub(crate) circuit: &'a Path,
    pub(crate) input: &'a Input,
    pub(crate) output: Option<&'a Path>,
    pub(crate) noise: Noise,
    /// Classes, [k].
    pub(crate) labels: Option<&'a Path>,
    /// The ONNX file that the circuit was made of.
    pub(crate) model: Option<&'a Path>,
}

pub(crate) fn simulate(options: &Options<'_>, format: Format) -> Result<()> {
    let circuit = read_circuit(options.circuit)?;
    let mut report = Report::default();
    warn_if_insecure(&circuit.parameters, &mut report);
    let samples = read_samples(&circuit.program.inputs, options.input)?;
    let labels = options.labels.map(|path| read_labels(path, &circuit, samples.count())).transpose()?;
    let model = options.model.map(|path| read_model(path, &circuit)).transpose()?;
    let phase = Progress::new(format).phase("simulate");
    let results = paf_runtime::simulate(&circuit, &samples, options.noise)?;
    let time = phase.end();
    report.fact("seconds", time);
    report.line("simulated", format!("{} samples in {}", samples.count(), seconds(time)));
    let shown = Results::of_circuit(&circuit);
    let is_usable = shown.summarize(&mut report, &results);
    let original = model.map(|model| original_results(&model, &shown, &samples)).transpose()?;
    let judged = Judged { shown: &shown.all, outputs: &results, is_usable: &is_usable };
    if let Some(labels) = labels {
        judged.accuracy(&mut report, &labels, original.as_deref());
    }
    if let Some(original) = original {
        judged.agreement(&mut report, &original);
    }
    if let Some(output) = options.output {
        shown.write(&mut report, output, &results)?;
    }
    report.print(format)
}

/// The original's results: a sample's outputs.
type Original = Vec<Vec<Vec<f64>>>;

fn original_results(model: &Oracle, shown: &Results<'_, ValueId>, samples: &Samples) -> Result<Original> {
    let inputs: Vec<Vec<Values>> = (0..samples.count())
        .map(|sample| samples.values(sample).map(|values| values.iter().map(|&value| value as f32).collect()).collect())
        .collect();
    let mut results = model.run_all(&inputs)?;
    if let Some(places) = places_of(&shown.all, model.output_names()) {
        let chosen = |result: &Vec<Values>| places.iter().map(|&place| result[place].clone()).collect();
        results = results.iter().map(chosen).collect();
    }
    let sizes = |result: &[Values]| result.iter().map(Vec::len).collect::<Vec<_>>();
    let expected: Vec<usize> = shown.all.iter().map(|result| result.shape.size()).collect();
    if let Some(other) = results.iter().find(|result| sizes(result) != expected) {
        return Err(CommandError::OtherModel { expected, got: sizes(other) });
    }
    let in_double = |values: Values| values.into_iter().map(f64::from).collect();
    Ok(results.into_iter().map(|outputs| outputs.into_iter().map(in_double).collect()).collect())
}

/// Where the results stand among a model's outputs, if all of them are such: a circuit may have fewer, in another order.
fn places_of(results: &[ClientResult], outputs: &[String]) -> Option<Vec<usize>> {
    results.iter().map(|result| outputs.iter().position(|output| *output == result.name)).collect()
}

/// Reads the original; warns of one that the circuit was not made of, as a recovered network is not.
fn read_model(path: &Path, circuit: &Circuit) -> Result<Oracle> {
    let bytes = bytes_of(path)?;
    if Sha256::digest(&bytes)[..] != circuit.model.source_sha256 {
        paf_files::say!("warning: {} is not the file that the circuit was made of", path.display());
    }
    let samples: Vec<&[usize]> = circuit.program.inputs.iter().map(|port| &port.shape.0[..]).collect();
    Ok(Oracle::load_for(path, &samples)?)
}

fn bytes_of(path: &Path) -> Result<Vec<u8>> {
    Ok(std::fs::read(path).map_err(|source| RuntimeError::Read { path: path.to_owned(), source })?)
}

fn read_labels(path: &Path, circuit: &Circuit, samples: usize) -> Result<Vec<usize>> {
    let wrong = |problem: String| CommandError::Labels { path: path.to_owned(), problem };
    let port = &circuit.program.outputs[0];
    let classes = port.shape.size();
    if classes < 2 {
        return Err(wrong(format!("output `{}` is a single value, which has no classes", port.name)));
    }
    let labels = npy::classes(&bytes_of(path)?).map_err(wrong)?;
    if labels.len() < samples {
        return Err(wrong(format!("{} labels for {samples} samples", labels.len())));
    }
    let class = |&label: &u32| {
        let is_class = (label as usize) < classes;
        is_class.then_some(label as usize).ok_or_else(|| wrong(format!("{label} is none of {classes} classes, from 0")))
    };
    labels[..samples].iter().map(class).collect()
}

struct Judged<'r> {
    shown: &'r [ClientResult],
    outputs: &'r [ClientOutput],
    /// For each sample whether its results are any.
    is_usable: &'r [bool],
}

impl Judged<'_> {
    fn accuracy(&self, report: &mut Report, labels: &[usize], original: Option<&[Vec<Vec<f64>>]>) {
        let class = |values: &[f64]| class(&self.shown[0].kind, values);
        let right = self.outputs.iter().zip(self.is_usable).zip(labels);
        let right = right.filter(|((output, usable), label)| **usable && class(&output.results[0]) == **label);
        let percent = self.percent(right.count());
        report.fact("accuracy", percent);
        let mut text = format!("{percent:.2} % of {} samples right", labels.len());
        if let Some(original) = original {
            let right = original.iter().zip(labels).filter(|(outputs, label)| class(&outputs[0]) == **label);
            let percent = self.percent(right.count());
            report.fact("model_accuracy", percent);
            text += &format!(", {percent:.2} % by the model");
        }
        report.line("accuracy", text);
    }

    fn agreement(&self, report: &mut Report, original: &[Vec<Vec<f64>>]) {
        let is_same = self.is_same(original);
        let others: Vec<usize> = (0..is_same.len()).filter(|&sample| !is_same[sample]).collect();
        let percent = self.percent(is_same.len() - others.len());
        report.fact("same", percent);
        report.fact("other_samples", others);
        report.line("same", format!("{percent:.2} % of {} samples predicted as by the model", is_same.len()));
        let mut errors = vec![];
        for (index, result) in self.shown.iter().enumerate() {
            let usable = self.outputs.iter().zip(original).zip(self.is_usable).filter(|(_, usable)| **usable);
            let pairs = usable.flat_map(|((output, original), _)| output.results[index].iter().zip(&original[index]));
            let (mut largest, mut squares, mut count, mut reach) = (0.0f64, 0.0, 0usize, 0.0f64);
            for (value, exact) in pairs {
                let error = (value - exact).abs();
                (largest, squares, count) = (largest.max(error), squares + error * error, count + 1);
                reach = reach.max(exact.abs());
            }
            let rms = (squares / count.max(1) as f64).sqrt();
            errors.push(json!({ "output": result.name, "largest": largest, "rms": rms, "largest_value": reach }));
            let text = format!("{largest:.1e} at most, {rms:.1e} root mean square, of values up to {reach:.1e}");
            report.line(format!("error of {}", result.name), text);
        }
        report.fact("errors", errors);
    }

    /// Whether every output predicts as the original's: the same first class, the same values where they are classes, and
    /// for a single number an error that is small beside what the results spread over.
    fn is_same(&self, original: &[Vec<Vec<f64>>]) -> Vec<bool> {
        let mut is_same = self.is_usable.to_vec();
        for (index, result) in self.shown.iter().enumerate() {
            let spread = deviation(original.iter().flat_map(|outputs| outputs[index].iter().copied()));
            for ((same, output), exact) in is_same.iter_mut().zip(self.outputs).zip(original) {
                *same &= match (&result.kind, &output.results[index][..], &exact[index][..]) {
                    (ResultKind::Real, [value], [exact]) => (value - exact).abs() <= SPREAD * spread,
                    (ResultKind::Real, values, exact) => class(&result.kind, values) == class(&result.kind, exact),
                    (_, values, exact) => values == exact,
                };
            }
        }
        is_same
    }

    fn percent(&self, count: usize) -> f64 {
        100.0 * count as f64 / self.outputs.len().max(1) as f64
    }
}

/// The class that a result says: what it is, or where it is largest.
fn class(kind: &ResultKind, values: &[f64]) -> usize {
    match (kind, values) {
        (ResultKind::Real, values) => largest(values.iter().copied()),
        (_, [value, ..]) => *value as usize,
        (_, []) => 0,
    }
}

fn deviation(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let count = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / count;
    (values.map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt()
}
