//! What the client computed: predictions, files, and samples that have no usable results.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use paf_circuit::{Circuit, ClientPart};
use paf_ir::client::{ClientProgram, ClientResult, ResultKind};
use paf_ir::program::OutputPort;
use paf_ir::tensor::Shape;
use paf_runtime::npy::{self, Array};
use paf_runtime::samples::{self, check_output, largest};
use paf_runtime::{ClientOutput, RuntimeError};
use serde_json::{Value, json};

use super::error::Result;
use super::report::{Report, wrote};

/// Samples named at most.
const NAMED: usize = 20;

/// The results of a circuit: what is decrypted, and what the client makes of it.
pub(crate) struct Results<'c, V> {
    ports: &'c [OutputPort<V>],
    client: &'c ClientProgram,
    pub(crate) all: Vec<ClientResult>,
}

impl<'c> Results<'c, paf_ir::program::ValueId> {
    pub(crate) fn of_circuit(circuit: &'c Circuit) -> Self {
        Results::new(&circuit.program.outputs, &circuit.program.client)
    }
}

impl<'c> Results<'c, paf_ir::ckks::Level> {
    pub(crate) fn of_client(part: &'c ClientPart) -> Self {
        Results::new(&part.outputs, &part.program)
    }
}

impl<'c, V> Results<'c, V> {
    fn new(ports: &'c [OutputPort<V>], client: &'c ClientProgram) -> Self {
        Results { ports, client, all: samples::results(ports, client) }
    }

    /// The results of samples, NaN for those that are refused since a value left the range of its polynomial.
    ///
    /// # Errors
    /// Any other error, and the first refusal where no sample is left.
    pub(crate) fn kept(&self, results: Vec<Result<ClientOutput, RuntimeError>>) -> Result<Vec<ClientOutput>> {
        let none_is_left = results.iter().all(std::result::Result::is_err);
        let keep = |result| match result {
            Err(RuntimeError::Undecryptable { .. } | RuntimeError::Diverged { .. }) if !none_is_left => {
                Ok(ClientOutput::none(self.ports, self.client))
            }
            other => Ok(other?),
        };
        results.into_iter().map(keep).collect()
    }

    /// Adds the predictions, and which samples have results that no trained network gives, with a warning; gives for each
    /// sample whether its results are usable.
    pub(crate) fn summarize(&self, report: &mut Report, outputs: &[ClientOutput]) -> Vec<bool> {
        let problem = |(sample, output): (usize, &ClientOutput)| check_output(self.ports, sample, output).err();
        let problems: Vec<Option<RuntimeError>> = outputs.iter().enumerate().map(problem).collect();
        let outside: Vec<usize> = (0..problems.len()).filter(|&sample| problems[sample].is_some()).collect();
        if let Some(first) = problems.iter().flatten().next() {
            let samples = format!("{} of {} samples: {}", outside.len(), outputs.len(), named(&outside));
            paf_files::say!("warning: no usable results for {samples}; {first}");
            report.line("outside", format!("a scale is left by {samples}"));
        }
        let predictions = outputs.iter().zip(&problems).map(|(output, problem)| match problem {
            None => self.prediction(output),
            Some(_) => Value::Null,
        });
        report.fact("samples", outputs.len());
        report.fact("outside_samples", outside);
        report.fact("top1", predictions.collect::<Vec<_>>());
        problems.iter().map(Option::is_none).collect()
    }

    /// What the first result says: its text or class, the number where it is one, or else where it is largest.
    pub(crate) fn prediction(&self, output: &ClientOutput) -> Value {
        match (&self.all[0].kind, &output.results[0][..]) {
            (ResultKind::Text(texts), [place]) => json!(text_at(texts, *place)),
            (ResultKind::Integer | ResultKind::Boolean, [value]) => json!(class_number(*value)),
            (ResultKind::Real, [value]) => json!(value),
            (_, values) => json!(largest(values.iter().copied())),
        }
    }

    /// Writes the results, in a file of its own for each output if there are several.
    pub(crate) fn write(&self, report: &mut Report, path: &Path, outputs: &[ClientOutput]) -> Result<()> {
        let mut taken = BTreeSet::new();
        for (index, result) in self.all.iter().enumerate() {
            let path = if self.all.len() == 1 { path.to_owned() } else { own_path(path, &result.name, &mut taken) };
            let shape = Shape([&[outputs.len()], &result.shape.0[..]].concat());
            let values = outputs.iter().flat_map(|output| output.results[index].iter().copied());
            match &result.kind {
                ResultKind::Real => npy::write(&path, &Array { shape, data: values.collect() })?,
                ResultKind::Integer => npy::write(&path, &Array { shape, data: values.map(class_number).collect() })?,
                ResultKind::Boolean => npy::write(&path, &Array { shape, data: values.map(|x| x == 1.0).collect() })?,
                ResultKind::Text(texts) => {
                    let texts: Vec<&str> = values.map(|place| text_at(texts, place)).collect();
                    npy::write_texts(&path, &shape, &texts)?;
                }
            }
            wrote(report, &path);
        }
        Ok(())
    }
}

/// Some numbers, the first ones where they are many.
pub(crate) fn named(samples: &[usize]) -> String {
    let named: Vec<String> = samples.iter().take(NAMED).map(usize::to_string).collect();
    let more = if samples.len() > NAMED { ", …" } else { "" };
    format!("{}{more}", named.join(", "))
}

/// A class; -1 for none.
fn class_number(value: f64) -> i64 {
    if value.is_nan() { -1 } else { value as i64 }
}

/// A text; none where there is no such place.
fn text_at(texts: &[String], place: f64) -> &str {
    let place = (place >= 0.0).then_some(place as usize);
    place.and_then(|place| texts.get(place)).map_or("", String::as_str)
}

/// `y.npy` becomes `y.NAME.npy`; characters that a file name may not have become `_`, and names that are equal then get a
/// number.
fn own_path(path: &Path, name: &str, taken: &mut BTreeSet<PathBuf>) -> PathBuf {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
    let name: String = name.chars().map(plain).collect();
    let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
    let candidates = (0..).map(|number: usize| match number {
        0 => path.with_extension(format!("{name}.{extension}")),
        _ => path.with_extension(format!("{name}_{number}.{extension}")),
    });
    let path = candidates.into_iter().find(|path| !taken.contains(path)).expect("numbers do not end");
    taken.insert(path.clone());
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_after_outputs() {
        let mut taken = BTreeSet::new();
        let mut path = |name| own_path(Path::new("d/Y.npy"), name, &mut taken).display().to_string();
        assert_eq!(path("a"), "d/Y.a.npy");
        assert_eq!(path("b/c:0"), "d/Y.b_c_0.npy");
        assert_eq!(path("b.c.0"), "d/Y.b_c_0_1.npy");
        assert_eq!(path("../../etc"), "d/Y.______etc.npy");
    }
}
